//! What a cache is told, and what it tells (RFC 9110 13, RFC 9111, RFC 5019 6).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use hyper::{Response, StatusCode};

use crate::time::Timestamp;

/// Seconds for which caches keep what changes: an hour, so that a revocation is seen by then. RFC 5019 6.1 only bounds it by nextUpdate.
const SHORT: i64 = 3_600;
/// Seconds for which caches keep a certificate: a day. It changes when the authority is renewed.
const LONG: i64 = 86_400;

/// Something that is served.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) content_type: &'static str,
    pub(super) body: Bytes,
    pub(super) tag: String,
    pub(super) age: Age,
}

/// How long a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// Since a moment, and until another takes its place.
    Since(Timestamp),
    /// From a moment until another.
    Between(Timestamp, Timestamp),
}

impl Page {
    /// The page, or that the cache has it already.
    pub(super) fn respond(&self, asked: &HeaderMap, now: Timestamp) -> Response<Full<Bytes>> {
        let (since, until, longest) = match self.age {
            Age::Since(since) => (since, None, LONG),
            Age::Between(since, until) => (since, Some(until), SHORT),
        };
        let left = until.map_or(longest, |until| until.unix().saturating_sub(now.unix()).clamp(0, longest));
        let is_held = is_held(asked, &self.tag, since);
        let mut response = Response::new(Full::new(if is_held { Bytes::new() } else { self.body.clone() }));
        let headers = response.headers_mut();
        let mut put = |name, text: &str| {
            // digits, letters and a date
            if let Ok(value) = HeaderValue::from_str(text) {
                headers.insert(name, value);
            }
        };
        put(ETAG, &format!("\"{}\"", self.tag));
        put(LAST_MODIFIED, &date(since));
        put(CACHE_CONTROL, &format!("max-age={left}, public, no-transform, must-revalidate"));
        if let Some(until) = until {
            put(EXPIRES, &date(until));
        }
        if is_held {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            put(CONTENT_TYPE, self.content_type);
        }
        response
    }
}

/// Whether the cache has the page: by its tag, and by its date only where no tag is sent (RFC 9110 13.2.2).
fn is_held(asked: &HeaderMap, tag: &str, since: Timestamp) -> bool {
    let mut tags = asked.get_all(IF_NONE_MATCH).iter().peekable();
    if tags.peek().is_some() {
        let fits = |one: &str| {
            let one = one.trim();
            one == "*" || one.strip_prefix("W/").unwrap_or(one).trim_matches('"') == tag
        };
        return tags.filter_map(|value| value.to_str().ok()).any(|list| list.split(',').any(fits));
    }
    let date = asked.get(IF_MODIFIED_SINCE).and_then(|value| value.to_str().ok());
    let date = date.and_then(|text| httpdate::parse_http_date(text).ok());
    date.is_some_and(|date| {
        date.duration_since(UNIX_EPOCH).is_ok_and(|date| i64::try_from(date.as_secs()).is_ok_and(|d| since.unix() <= d))
    })
}

fn date(time: Timestamp) -> String {
    let since = Duration::from_secs(u64::try_from(time.unix()).unwrap_or(0));
    httpdate::fmt_http_date(UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH))
}
