//! From a request to its answer: who asks, what comes with it, and how what comes out is sent.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Map, Value};

use crate::secret::Secret;
use crate::server::api::problem::Problem;
use crate::server::api::routes::{By, Field, For, Kind, Need, Operation, Route};
use crate::server::api::{Api, Peer, gate, verbs};
use crate::server::store::Scope;

/// Bytes of a body: an address, a password, and what clients put around them.
const BODY: usize = 16 << 10;
/// Bytes of a body with a script. 2 MiB: a script has 1 MiB at most, and JSON writes ends of lines and quotes with two bytes.
const SCRIPT: usize = 2 << 20;
/// For a body. 10 s: it has some hundred bytes.
const BODY_TIME: Duration = Duration::from_secs(10);

/// What came with a request.
#[derive(Debug, Default)]
pub(in crate::server::api) struct Asked {
    pub(in crate::server::api) path: Vec<(String, String)>,
    pub(in crate::server::api) query: Vec<(String, String)>,
    pub(in crate::server::api) body: Map<String, Value>,
}

/// What goes back.
pub(in crate::server::api) enum Said {
    Json(Value),
    Text(StatusCode, &'static str, String),
    Stream(Body),
}

/// Answers a request.
pub(in crate::server::api) async fn to(api: Arc<Api>, route: &'static Route, asked: Asked, request: Request) -> Response<Body> {
    let tracer = api.tracer.clone();
    let response = match answer(api, route, asked, request).await {
        Ok(said) => said.respond(),
        Err(problem) => problem.respond(),
    };
    tracer.metrics().asked(&format!("{:?}", route.operation), response.status().as_u16());
    response
}

async fn answer(api: Arc<Api>, route: &'static Route, mut asked: Asked, request: Request) -> Result<Said, Problem> {
    let peer = request.extensions().get::<Peer>().copied();
    let (head, body) = request.into_parts();
    let now = (api.clock)();
    let name = match route.access {
        For::Everybody => String::new(),
        For::Bearers => {
            let bearer = gate::bearer(&head.headers);
            // who is not known by his address counts as one
            let address = peer.map_or(std::net::IpAddr::from([0; 4]), |Peer(peer)| peer.ip());
            let known = Arc::clone(&api);
            let token = blocking(move || known.gate.admit((&known.manage, &known.tracer), bearer.as_ref(), address, now)).await?;
            let needed = if route.method == By::Get { Scope::Read } else { Scope::Admin };
            if !gate::may(&token, needed) {
                return Err(Problem::only_reads());
            }
            token.name
        }
    };
    check(&asked.query, route.query)?;
    if !route.body.is_empty() {
        let most = if route.body.iter().any(|field| field.kind == Kind::Script) { SCRIPT } else { BODY };
        asked.body = fields(&whole(&head.headers, body, most).await?, route.body)?;
    }
    if route.method != By::Get {
        let from = peer.map(|Peer(peer)| peer.ip().to_string()).unwrap_or_default();
        let what = format!("admin API: {} {} by the token {name} from {from}", head.method, head.uri.path());
        api.tracer.note(now, &what);
    }
    if route.operation == Operation::Trace {
        return verbs::trace(&api, &asked);
    }
    if route.operation == Operation::Reload {
        return verbs::reload(&api).await;
    }
    blocking(move || verbs::run(&api, route.operation, &mut asked, now)).await
}

/// Asks what reads and writes the disk, without holding up others.
async fn blocking<T: Send + 'static>(ask: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(ask).await.unwrap_or_else(|error| Err(Problem::broken(error.to_string())))
}

/// The body of a request. What it holds may be a password: it is wiped.
async fn whole(headers: &HeaderMap, body: Body, most: usize) -> Result<Secret<Vec<u8>>, Problem> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let announced = text(CONTENT_LENGTH).parse::<u64>().ok();
    if announced.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > most)) {
        return Err(Problem::too_large(most));
    }
    let content_type = text(CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    if !content_type.eq_ignore_ascii_case("application/json") {
        return Err(Problem::not_json());
    }
    match tokio::time::timeout(BODY_TIME, Limited::new(body, most).collect()).await {
        Ok(Ok(whole)) => Ok(Secret::new(Vec::from(whole.to_bytes()))),
        Ok(Err(error)) if is_too_large(error.as_ref()) => Err(Problem::too_large(most)),
        Ok(Err(_)) => Err(Problem::cut_off()),
        Err(_) => Err(Problem::too_slow()),
    }
}

fn is_too_large(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<LengthLimitError>()
}

/// The fields of a body, each as the table has it.
fn fields(body: &Secret<Vec<u8>>, known: &[Field]) -> Result<Map<String, Value>, Problem> {
    let value: Value = serde_json::from_slice(body.expose())
        // the message of the parser may show a part of a password: only the place is told
        .map_err(|error| {
            Problem::invalid("/", format!("the body is no JSON, at line {} column {}", error.line(), error.column()))
        })?;
    let Value::Object(object) = value else { return Err(Problem::invalid("/", "the body is no JSON object".to_owned())) };
    // of two values, readers take one or the other (RFC 8259 4): what one of them checked, another would do
    if let Some(name) = twice(body.expose()) {
        return Err(Problem::invalid(&format!("/{name}"), format!("{name} stands there twice")));
    }
    for (name, value) in &object {
        let place = format!("/{name}");
        let Some(field) = known.iter().find(|field| field.name == name) else {
            return Err(Problem::invalid(&place, format!("{name} is not known here")));
        };
        let (is_right, meant) = match field.kind {
            Kind::Text | Kind::Password | Kind::Script => (value.is_string(), "a text"),
            Kind::Texts => (value.is_string() || is_texts(value), "a text, or a list of texts"),
            Kind::OneOf(words) => {
                (value.as_str().is_some_and(|word| words.contains(&word)), "one of the words that /v1/openapi.json has")
            }
            Kind::Number => (value.as_u64().is_some_and(|number| i64::try_from(number).is_ok()), "a whole number, 0 at least"),
        };
        if !is_right {
            return Err(Problem::invalid(&place, format!("{name} is to be {meant}")));
        }
    }
    match known.iter().find(|field| field.need == Need::Must && !object.contains_key(field.name)) {
        Some(missing) => Err(Problem::invalid(&format!("/{}", missing.name), format!("{} is missing", missing.name))),
        None => Ok(object),
    }
}

/// A name that the object has twice; it is JSON.
fn twice(object: &[u8]) -> Option<String> {
    let (mut seen, mut depth, mut name, mut rest) = (HashSet::new(), 0_usize, None, object);
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'"' => {
                let end = end_of_text(rest)?;
                let text = object.get(object.len().checked_sub(rest.len())?.checked_sub(1)?..)?.get(..end.checked_add(2)?)?;
                (name, rest) = (Some(text), rest.get(end.checked_add(1)?..)?);
            }
            b'{' | b'[' => depth = depth.saturating_add(1),
            b'}' | b']' => depth = depth.saturating_sub(1),
            b':' if depth == 1 => {
                let name: String = serde_json::from_slice(name?).ok()?;
                if !seen.insert(name.clone()) {
                    return Some(name);
                }
            }
            _ => {}
        }
    }
    None
}

/// Where the quote is that ends a text.
fn end_of_text(rest: &[u8]) -> Option<usize> {
    let mut is_escaped = false;
    rest.iter().position(|byte| {
        let is_end = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        is_end
    })
}

/// Whether it is a list of texts, one at least.
fn is_texts(value: &Value) -> bool {
    value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_string))
}

fn check(query: &[(String, String)], known: &[Field]) -> Result<(), Problem> {
    for (name, value) in query {
        let place = format!("query {name}");
        let Some(field) = known.iter().find(|field| field.name == name) else {
            return Err(Problem::invalid(&place, format!("{name} is not known here")));
        };
        if field.kind == Kind::Number && value.parse::<u32>().is_err() {
            return Err(Problem::invalid(&place, format!("{name} is to be a whole number, 0 at least")));
        }
    }
    Ok(())
}

impl Asked {
    /// A part of the path.
    pub(in crate::server::api) fn part(&self, name: &str) -> &str {
        pair(&self.path, name).unwrap_or_default()
    }

    /// A part of the query.
    pub(in crate::server::api) fn query(&self, name: &str) -> Option<&str> {
        pair(&self.query, name)
    }

    /// A text of the body.
    pub(in crate::server::api) fn text(&self, name: &str) -> Option<&str> {
        self.body.get(name).and_then(Value::as_str)
    }

    /// The texts of the body: one, or those of a list.
    pub(in crate::server::api) fn texts(&self, name: &str) -> Vec<&str> {
        match self.body.get(name) {
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
            one => one.and_then(Value::as_str).into_iter().collect(),
        }
    }

    /// A number of the body.
    pub(in crate::server::api) fn number(&self, name: &str) -> Option<u64> {
        self.body.get(name).and_then(Value::as_u64)
    }

    /// The password of the body; it is there no more.
    pub(in crate::server::api) fn password(&mut self) -> Secret<Vec<u8>> {
        match self.body.remove("password") {
            Some(Value::String(password)) => Secret::new(password.into_bytes()),
            _ => Secret::default(),
        }
    }
}

fn pair<'p>(pairs: &'p [(String, String)], name: &str) -> Option<&'p str> {
    pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

impl Said {
    fn respond(self) -> Response<Body> {
        let (status, content_type, body) = match self {
            Self::Json(value) => (StatusCode::OK, "application/json", Body::from(Bytes::from(format!("{value}\n")))),
            Self::Text(status, content_type, text) => (status, content_type, Body::from(text)),
            Self::Stream(body) => (StatusCode::OK, "application/x-ndjson", body),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
        response
    }
}
