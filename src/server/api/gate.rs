//! Who may ask: bearers of tokens. Addresses from which bad ones come are answered the less, the more come.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use crate::secret::Secret;
use crate::server::api::problem::Problem;
use crate::server::manage::{Manage, Unknown};
use crate::server::policy;
use crate::server::store::{Scope, Token};
use crate::server::trace::Tracer;
use crate::time::Timestamp;

/// Bad tokens of one address in a minute before it hears that they are too many. A good one is let in all the same: who guesses at one behind
/// the same address must not keep its bearer out, and 256 bits are not guessed.
const BAD: u32 = 10;
/// Seconds for which they are counted.
const WHILE: i64 = 60;
/// Addresses that are remembered.
const REMEMBERED: usize = 10_000;

/// Counts bad tokens.
#[derive(Debug, Default)]
pub(in crate::server::api) struct Gate(Mutex<HashMap<IpAddr, (Timestamp, u32)>>);

/// What is done with a bad token.
#[derive(Debug, PartialEq, Eq)]
enum Patience {
    Left,
    Lost,
}

impl Gate {
    /// The token of a request that may ask. Reads the store.
    pub(in crate::server::api) fn admit(
        &self,
        (manage, tracer): (&Manage, &Tracer),
        bearer: Option<&Secret<String>>,
        peer: IpAddr,
        now: Timestamp,
    ) -> Result<Token, Problem> {
        let Some(secret) = bearer else { return Err(Problem::no_token()) };
        let why = match manage.bearer(secret.expose(), now) {
            Ok(Ok(token)) => return Ok(token),
            Ok(Err(Unknown::None)) => "is not known".to_owned(),
            Ok(Err(Unknown::Expired(name))) => format!("has expired: {name}"),
            Err(error) => return Err(error.into()),
        };
        match self.bad(peer, now) {
            Patience::Left => {
                tracer.warn(now, &format!("admin API: a token from {peer} {why}"));
                Err(Problem::bad_token())
            }
            Patience::Lost => Err(Problem::too_many_bad_tokens()),
        }
    }

    fn bad(&self, peer: IpAddr, now: Timestamp) -> Patience {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |since: Timestamp| !(0..WHILE).contains(&now.unix().saturating_sub(since.unix()));
        if counts.len() >= REMEMBERED {
            counts.retain(|_, (since, _)| !is_over(*since));
        }
        let peer = policy::peer(peer);
        // more at once than can be remembered: strangers are not told apart any more
        if counts.len() >= REMEMBERED && !counts.contains_key(&peer) {
            return Patience::Lost;
        }
        let (since, count) = counts.entry(peer).or_insert((now, 0));
        if is_over(*since) {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        if *count <= BAD { Patience::Left } else { Patience::Lost }
    }
}

/// The token in the field Authorization (RFC 6750 2.1). It is taken nowhere else: URLs are written into logs.
pub(in crate::server::api) fn bearer(headers: &HeaderMap) -> Option<Secret<String>> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| Secret::new(token.trim().to_owned()))
}

/// Whether this token may do that.
pub(in crate::server::api) fn may(token: &Token, needed: Scope) -> bool {
    token.scope == Scope::Admin || needed == Scope::Read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_tokens_wear_out_patience_for_a_minute_and_for_one_network() {
        let gate = Gate::default();
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let bad = |from: &str, at| gate.bad(address(from), Timestamp::from_unix(at));
        assert!((0..BAD).all(|_| bad("192.0.2.1", 1000) == Patience::Left));
        assert_eq!(bad("192.0.2.1", 1059), Patience::Lost);
        assert_eq!(bad("192.0.2.2", 1059), Patience::Left);
        assert_eq!(bad("192.0.2.1", 1060), Patience::Left);
        assert!((0..BAD).all(|n| bad(&format!("2001:db8::{n:x}"), 1000) == Patience::Left));
        assert_eq!(bad("2001:db8::ffff", 1000), Patience::Lost, "a customer has all of his network");
        assert_eq!(bad("192.0.2.1", 900), Patience::Left, "a clock that was set back locks nobody out");
    }

    #[test]
    fn strangers_do_not_fill_the_memory() {
        let gate = Gate::default();
        for n in 0..REMEMBERED + 5 {
            let n = u32::try_from(n).expect("small");
            gate.bad(IpAddr::V4(n.into()), Timestamp::from_unix(1000));
        }
        assert_eq!(gate.0.lock().expect("no panic").len(), REMEMBERED);
    }
}
