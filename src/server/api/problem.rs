//! What goes wrong, as RFC 9457 says it: what, where, why, and what to do.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{Response, StatusCode};
use serde_json::json;

use crate::server::manage;
use crate::server::store;
use crate::server::trace::shown;
use crate::sieve::Mistake;

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server::api) struct Problem {
    pub(in crate::server::api) status: StatusCode,
    /// The last part of its type: stable, for programs.
    name: &'static str,
    title: &'static str,
    /// Why.
    detail: String,
    /// What to do.
    fix: &'static str,
    /// Which part of the request.
    place: Option<String>,
    extra: Option<Extra>,
    /// Each mistake of a script.
    mistakes: Box<[Mistake]>,
}

/// Mistakes of a script that are told. 100: whoever has more does not mend them by a list.
const MISTAKES: usize = 100;

/// A field of the answer that a problem needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extra {
    /// RFC 6750 3: how to ask.
    Bearer,
    /// RFC 6750 3.1: the token is not good.
    BadToken,
    /// RFC 6750 3.1: the token may not.
    Scope,
    /// RFC 9110 10.2.3: when to come back.
    Retry,
    /// RFC 9112 9.6: what else the client sends is not read.
    Close,
}

impl Extra {
    const fn field(self) -> (HeaderName, &'static str) {
        match self {
            Self::Bearer => (WWW_AUTHENTICATE, "Bearer"),
            Self::BadToken => (WWW_AUTHENTICATE, "Bearer error=\"invalid_token\""),
            Self::Scope => (WWW_AUTHENTICATE, "Bearer error=\"insufficient_scope\", scope=\"admin\""),
            Self::Retry => (RETRY_AFTER, "60"),
            Self::Close => (CONNECTION, "close"),
        }
    }
}

/// Begins the type of each problem; no page lies there.
pub(in crate::server::api) const TYPE: &str = "urn:sealpost:problem:";

impl Problem {
    fn new(status: StatusCode, name: &'static str, title: &'static str, detail: String, fix: &'static str) -> Self {
        Self { status, name, title, detail, fix, place: None, extra: None, mistakes: Box::default() }
    }

    fn with(mut self, extra: Extra) -> Self {
        self.extra = Some(extra);
        self
    }

    /// About one part of the request, as a JSON pointer, or as `path` or `query` with its name.
    pub(in crate::server::api) fn at(mut self, place: &str) -> Self {
        self.place = Some(place.to_owned());
        self
    }

    pub(in crate::server::api) fn nowhere(path: &str) -> Self {
        let detail = format!("there is nothing at {path}");
        Self::new(StatusCode::NOT_FOUND, "no-such-path", "No such path", detail, "look into /v1/openapi.json for what there is")
    }

    pub(in crate::server::api) fn not_by(method: &str, path: &str) -> Self {
        let detail = format!("{method} is nothing that can be done to {path}");
        let fix = "use one of the methods that the field Allow names";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "wrong-method", "Not by this method", detail, fix)
    }

    pub(in crate::server::api) fn no_token() -> Self {
        let fix = "make one with `sealpost token new NAME` and send it as `Authorization: Bearer TOKEN`";
        let detail = "the request bears no token".to_owned();
        Self::new(StatusCode::UNAUTHORIZED, "no-token", "A token is needed", detail, fix).with(Extra::Bearer)
    }

    /// RFC 6750 3.1: what is wrong with it is not told.
    pub(in crate::server::api) fn bad_token() -> Self {
        let fix = "make another one with `sealpost token new NAME`; `sealpost token list` shows those that are good";
        let detail = "the token is not known, or is good no more".to_owned();
        Self::new(StatusCode::UNAUTHORIZED, "bad-token", "The token is not good", detail, fix).with(Extra::BadToken)
    }

    pub(in crate::server::api) fn too_many_bad_tokens() -> Self {
        let detail = "too many tokens that are not good came from this address".to_owned();
        let fix = "wait a minute, and send a good token";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-bad-tokens", "Too many bad tokens", detail, fix).with(Extra::Retry)
    }

    pub(in crate::server::api) fn only_reads() -> Self {
        let detail = "a token with scope read changes nothing".to_owned();
        let fix = "make a token with `sealpost token new NAME --scope admin`";
        Self::new(StatusCode::FORBIDDEN, "insufficient-scope", "The token may only look", detail, fix).with(Extra::Scope)
    }

    pub(in crate::server::api) fn not_json() -> Self {
        let detail = "the body is not announced as application/json".to_owned();
        let fix = "send JSON with the field `Content-Type: application/json`";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", "JSON is needed", detail, fix).closing()
    }

    pub(in crate::server::api) fn too_large(most: usize) -> Self {
        let detail = format!("the body is over {most} bytes");
        let title = "The body is too large";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", title, detail, "send less at once").closing()
    }

    pub(in crate::server::api) fn too_slow() -> Self {
        let detail = "the body did not come in time".to_owned();
        Self::new(StatusCode::REQUEST_TIMEOUT, "too-slow", "The request is too slow", detail, "send it again").closing()
    }

    pub(in crate::server::api) fn cut_off() -> Self {
        let detail = "the request ended early".to_owned();
        Self::new(StatusCode::BAD_REQUEST, "cut-off", "The request is not whole", detail, "send it again").closing()
    }

    pub(in crate::server::api) fn not_found(detail: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "It is not there", detail, "look at the list, and mind the spelling")
    }

    pub(in crate::server::api) fn exists(detail: String) -> Self {
        Self::new(StatusCode::CONFLICT, "exists", "It is there already", detail, "change it, or remove it first")
    }

    /// It could be done at another time.
    pub(in crate::server::api) fn not_now(detail: String, fix: &'static str) -> Self {
        Self::new(StatusCode::CONFLICT, "not-now", "Not as it stands now", detail, fix)
    }

    /// The configuration cannot be read again; a line for each mistake.
    pub(in crate::server::api) fn configuration(why: &str) -> Self {
        let detail = why.lines().map(str::trim).collect::<Vec<_>>().join("; ");
        let (title, fix) = ("The old configuration stays", "run `sealpost serve --check`, which tells every mistake");
        Self::new(StatusCode::CONFLICT, "configuration", title, detail, fix)
    }

    fn script(mistakes: Vec<Mistake>) -> Self {
        let detail = mistakes.first().map(ToString::to_string).unwrap_or_default();
        let (title, fix) = ("The script has mistakes", "mend each of `mistakes`, and send it again");
        let problem = Self::new(StatusCode::BAD_REQUEST, "script-mistakes", title, detail, fix).at("/script");
        Self { mistakes: mistakes.into(), ..problem }
    }

    pub(in crate::server::api) fn no_folder_of_keys() -> Self {
        let detail = "the configuration names no folder for keys of DKIM".to_owned();
        Self::not_now(detail, "set `folder` in [dkim], and run `sealpost reload`")
    }

    /// Something in the request is not as the description has it.
    pub(in crate::server::api) fn invalid(place: &str, detail: String) -> Self {
        let fix = "compare it with /v1/openapi.json";
        Self::new(StatusCode::BAD_REQUEST, "invalid", "The request is not valid", detail, fix).at(place)
    }

    pub(in crate::server::api) fn broken(detail: String) -> Self {
        let title = "The server failed";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", title, detail, "look into the log, and run `sealpost doctor`")
    }

    fn closing(self) -> Self {
        self.with(Extra::Close)
    }

    pub(in crate::server::api) fn respond(self) -> Response<Body> {
        let Self { status, name, title, detail, fix, place, extra, mistakes } = self;
        let mut value = json!({
            "type": format!("{TYPE}{name}"), "title": title, "status": status.as_u16(), "detail": shown(&detail), "fix": fix,
        });
        if let Some(place) = place {
            value["place"] = json!(place);
        }
        if !mistakes.is_empty() {
            let told = mistakes.iter().take(MISTAKES).map(|Mistake { line, text }| json!({ "line": line, "text": shown(text) }));
            value["mistakes"] = told.collect();
        }
        let mut response = Response::new(Body::from(format!("{value}\n")));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some((name, value)) = extra.map(Extra::field) {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl From<manage::Error> for Problem {
    fn from(error: manage::Error) -> Self {
        let detail = error.to_string();
        match error {
            manage::Error::Store(error) => Self::from(error),
            manage::Error::Nothing(_) => {
                let fix = "name a message by `id`, or several by `domain` or `user`";
                Self::new(StatusCode::BAD_REQUEST, "nothing-named", "Nothing is named", detail, fix).at("/")
            }
            manage::Error::HasMailbox(_) | manage::Error::IsAlias(_) => Self::exists(detail),
            manage::Error::Script(mistakes) => Self::script(mistakes),
            manage::Error::Circle(_) => Self::not_now(detail, "lead it to a mailbox, or to an address elsewhere").at("/target"),
            manage::Error::Wrong(..) => {
                Self::new(StatusCode::BAD_REQUEST, "invalid", "The request is not valid", detail, "send what is meant")
            }
        }
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        let detail = error.to_string();
        match error {
            store::Error::NotFound(_) => Self::not_found(detail),
            store::Error::Exists(_) => Self::exists(detail),
            store::Error::InUse(_) => Self::not_now(detail, "remove first what needs it"),
            store::Error::Full(_) => {
                let fix = "make room on the disk, and send it again";
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "disk-full", "The disk takes no more", detail, fix)
            }
            store::Error::Broken(_) | store::Error::Unsure(_) | store::Error::File(_) | store::Error::NoRoom(_) => {
                Self::broken(detail)
            }
        }
    }
}
