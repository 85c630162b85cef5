//! What a request gets.

use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use crate::ca::publish;
use crate::mime::transfer::decode_base64;
use crate::server::drive::now;
use crate::server::web::Site;
use crate::server::web::headers::{Age, Page};

/// Bytes of an OCSP request: one about 32 certificates has some 4 KiB.
const REQUEST_BYTES: usize = 16 << 10;

type Answer = Response<Full<Bytes>>;

/// What is asked for.
enum Route<'a> {
    /// `/ocsp`, by POST.
    Post,
    /// `/ocsp/…`, by GET: the request in base64, escaped.
    Get(&'a str),
    /// A file.
    File(&'a str),
}

/// Answers a request.
pub(super) async fn to(site: &Site, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let Some(path) = path.strip_prefix(site.base.as_str()).and_then(|rest| rest.strip_prefix('/')) else {
        return plain(StatusCode::NOT_FOUND, "there is nothing here\n");
    };
    let route = match path.strip_prefix("ocsp") {
        Some("" | "/") if head.method == Method::POST => Route::Post,
        Some("" | "/") => return only("POST"),
        Some(rest) if rest.starts_with('/') => Route::Get(rest.get(1..).unwrap_or_default()),
        _ => Route::File(path),
    };
    match route {
        Route::Post => match asked(&head.headers, body, site.deadlines.body).await {
            Ok(request) => ocsp(site, &request, None),
            Err(refusal) => refusal,
        },
        _ if head.method != Method::GET && head.method != Method::HEAD => only("GET, HEAD"),
        // what is no base64 is no request, and the responder says so
        Route::Get(text) => ocsp(site, &unescaped(text).unwrap_or_default(), Some(&head.headers)),
        Route::File(name) => file(site, name, &head.headers),
    }
}

fn file(site: &Site, name: &str, asked: &HeaderMap) -> Answer {
    match site.files.get(name) {
        Ok(Some(page)) => page.respond(asked, now()),
        Ok(None) => plain(StatusCode::NOT_FOUND, "there is nothing here\n"),
        Err(trouble) => {
            site.note(trouble);
            plain(StatusCode::INTERNAL_SERVER_ERROR, "this cannot be read now\n")
        }
    }
}

/// An answer of the responder. Caches may keep what was asked by GET and holds for a time (RFC 5019 5).
fn ocsp(site: &Site, request: &[u8], cacheable: Option<&HeaderMap>) -> Answer {
    let now = now();
    let reply = site.responder.respond(request, now);
    if let Some(trouble) = &reply.trouble {
        site.note(trouble.clone());
    }
    let body = Bytes::from_owner(reply.der);
    if let (Some(asked), Some(fresh)) = (cacheable, reply.fresh) {
        let age = Age::Between(fresh.this_update, fresh.next_update);
        return Page { content_type: OCSP_RESPONSE, tag: publish::tag(&body), body, age }.respond(asked, now);
    }
    let mut response = Response::new(Full::new(body));
    put(&mut response, CONTENT_TYPE, OCSP_RESPONSE);
    put(&mut response, CACHE_CONTROL, "no-store");
    response
}

const OCSP_RESPONSE: &str = "application/ocsp-response";

/// The body of a POST.
async fn asked(headers: &HeaderMap, body: Incoming, time: Duration) -> Result<Bytes, Answer> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content_type = content_type.split(';').next().unwrap_or_default().trim();
    if !content_type.eq_ignore_ascii_case("application/ocsp-request") {
        return Err(closing(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send application/ocsp-request\n"));
    }
    let too_large = || closing(StatusCode::PAYLOAD_TOO_LARGE, "no OCSP request has so many bytes\n");
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| usize::try_from(length).is_ok_and(|length| length > REQUEST_BYTES)) {
        return Err(too_large());
    }
    match tokio::time::timeout(time, Limited::new(body, REQUEST_BYTES).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(closing(StatusCode::BAD_REQUEST, "the request ended early\n")),
        Err(_) => Err(closing(StatusCode::REQUEST_TIMEOUT, "the request did not come in time\n")),
    }
}

/// RFC 6960 A.1: base64, escaped for a URL; some clients escape `/`, `+` and `=`, and some do not.
fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let value = digit()?.checked_mul(16)?.checked_add(digit()?)?;
        bytes.push(u8::try_from(value).ok()?);
    }
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    bytes.iter().all(is_base64).then(|| decode_base64(&bytes))
}

fn only(methods: &'static str) -> Answer {
    let mut response = closing(StatusCode::METHOD_NOT_ALLOWED, "not by this method\n");
    put(&mut response, ALLOW, methods);
    response
}

/// A refusal after which the connection ends: what else the client sends is not read.
fn closing(status: StatusCode, text: &'static str) -> Answer {
    let mut response = plain(status, text);
    put(&mut response, CONNECTION, "close");
    response
}

fn plain(status: StatusCode, text: &'static str) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    put(&mut response, CONTENT_TYPE, "text/plain");
    put(&mut response, CACHE_CONTROL, "no-store");
    response
}

fn put(response: &mut Answer, name: HeaderName, value: &'static str) {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
}
