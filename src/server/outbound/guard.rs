//! What TLS is asked of a server: by the configuration, by DANE, by MTA-STS, by the message (REQUIRETLS).

use std::sync::Arc;

use crate::proto::smtp::client::RequireTls;
use crate::server::config::{Delivery, MtaSts, Route, TlsPolicy};
use crate::server::outbound::dnssec::{self, Proven, Tlsa, Word};
use crate::server::outbound::find::{Found, Servers};
use crate::server::outbound::sts::{Failed, Mode, Policies, Policy};
use crate::server::outbound::tls::Tls;
use crate::server::store::Store;

/// What is asked of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server::outbound) enum Guard {
    /// No TLS.
    Without,
    /// TLS where it is offered, with whoever it is.
    Opportunistic,
    /// The same, and it is told what would have been wrong (RFC 8461 5: a policy that is being tested).
    Watched,
    /// TLS, with whoever it is.
    Encrypted,
    /// TLS, with a certificate of an authority for the server's name.
    Verified,
    /// TLS, with a certificate that one of these is about.
    Dane(dnssec::Found),
}

/// What is known of a domain before its servers are asked.
#[derive(Debug)]
pub(in crate::server::outbound) struct Wishes {
    configured: TlsPolicy,
    required: RequireTls,
    /// The names of the servers, where DNSSEC proves them; why that cannot be known.
    proven: Word<Vec<(u16, String)>>,
    policy: Option<Policy>,
    /// Why a policy that there is could not be had (RFC 8460 4.3).
    pub(in crate::server::outbound) policy_failed: Option<Failed>,
    /// Whether the names are those of the configuration.
    is_route: bool,
}

impl Wishes {
    /// The MX records that are proven to be the domain's.
    pub(in crate::server::outbound) fn records(&self) -> Option<&[(u16, String)]> {
        match &self.proven {
            Word::Secure(records) => Some(records),
            Word::Insecure | Word::Unknown(_) => None,
        }
    }

    /// What a search came to, where it may be believed: what is forged, or cannot be known, refuses nobody.
    pub(in crate::server::outbound) fn believed(&self, found: Found) -> Found {
        match (&self.proven, found) {
            (Word::Unknown(why), Found::Never(_)) => Found::Later(format!("4.4.3 {why}")),
            (_, found) => found,
        }
    }
}

/// Finds out.
#[derive(Debug)]
pub(in crate::server::outbound) struct Guards {
    delivery: Delivery,
    proven: Proven,
    policies: Policies,
}

impl Guards {
    pub(in crate::server::outbound) fn new(
        delivery: &Delivery,
        servers: Servers,
        store: Arc<dyn Store>,
        tls: Arc<Tls>,
    ) -> Result<Self, String> {
        let policies = Policies::new(servers, store, tls, delivery.policy_port);
        Ok(Self { delivery: delivery.clone(), proven: Proven::new(delivery)?, policies })
    }

    /// What a domain wishes. A server of the configuration is asked for nothing but what the configuration says.
    pub(in crate::server::outbound) async fn wishes(&self, domain: &str, route: Option<&Route>, required: RequireTls) -> Wishes {
        let is_route = route.is_some();
        let configured = match self.delivery.tls_policy(domain) {
            // a password goes to whom it is meant for, and to nobody else, unless somebody wants it otherwise
            TlsPolicy::Opportunistic if route.is_some_and(|route| route.login.is_some()) => TlsPolicy::Required,
            configured => configured,
        };
        let mut wishes = Wishes { configured, required, proven: Word::Insecure, policy: None, policy_failed: None, is_route };
        if is_route || configured == TlsPolicy::Without || domain.starts_with('[') {
            return wishes;
        }
        let Ok(domain) = idna::domain_to_ascii(domain) else { return wishes };
        if self.proven.is_on().await {
            wishes.proven = self.proven.mx(&domain).await;
        }
        if self.delivery.mta_sts == MtaSts::On {
            match self.policies.of(&domain).await {
                Ok(policy) => wishes.policy = policy.filter(|policy| policy.mode != Mode::None),
                Err(failed) => wishes.policy_failed = Some(failed),
            }
        }
        wishes
    }

    /// What is asked of one of its servers; the error says why it is not to be asked now.
    pub(in crate::server::outbound) async fn of(&self, wishes: &Wishes, host: &str, port: u16) -> Result<Asked, Refused> {
        let required = wishes.required == RequireTls::Yes;
        if wishes.configured == TlsPolicy::Without {
            return match required {
                true => Err(Refused::Never("5.7.30 the message requires TLS, and none is used with this server".to_owned())),
                false => Ok(Asked::of(Guard::Without)),
            };
        }
        // RFC 8689 5: what the domain asks for does not stand in the way of this message; what our own configuration asks for does
        if wishes.required == RequireTls::Waived {
            return Ok(Asked::of(match wishes.configured {
                TlsPolicy::Required => Guard::Verified,
                TlsPolicy::Encrypted => Guard::Encrypted,
                TlsPolicy::Opportunistic | TlsPolicy::Without => Guard::Opportunistic,
            }));
        }
        let tlsa = match &wishes.proven {
            Word::Secure(_) => self.proven.tlsa(host, port).await,
            Word::Insecure => Tlsa::None,
            // RFC 7672 2.1: what cannot be known now is no reason to do without
            Word::Unknown(why) => Tlsa::Unknown(why.clone()),
        };
        match tlsa {
            Tlsa::Records(found) => {
                let basis = Basis { kind: "tlsa", wording: found.wording.clone() };
                return Ok(Asked { guard: Guard::Dane(found), basis, wrong: None });
            }
            Tlsa::Unknown(why) => {
                return Err(Refused::Later(why, "dnssec-invalid", Basis { kind: "tlsa", wording: String::new() }));
            }
            Tlsa::Unusable(wording) if wishes.configured != TlsPolicy::Required && !required => {
                return Ok(Asked { guard: Guard::Encrypted, basis: Basis { kind: "tlsa", wording }, wrong: None });
            }
            Tlsa::Unusable(_) | Tlsa::None => {}
        }
        let is_named = wishes.policy.as_ref().is_some_and(|policy| policy.names(host));
        let is_enforced = wishes.policy.as_ref().is_some_and(|policy| policy.mode == Mode::Enforce);
        let is_tested = wishes.policy.as_ref().is_some_and(|policy| policy.mode == Mode::Testing);
        let basis =
            wishes.policy.as_ref().map(|policy| Basis { kind: "sts", wording: policy.wording.clone() }).unwrap_or_default();
        if is_enforced && !is_named {
            let why = format!("{host} is none of the servers that the policy of the domain names (MTA-STS)");
            return Err(Refused::Later(why, "validation-failure", basis));
        }
        // RFC 8689 4.2.1: a name that anybody on the way could have given is verified in vain
        let is_known = is_named || wishes.is_route || matches!(wishes.proven, Word::Secure(_));
        if required && !is_known {
            let why = "5.7.30 the message requires TLS, and the domain names its servers neither under DNSSEC nor by a policy (MTA-STS)";
            return Err(Refused::Never(why.to_owned()));
        }
        let is_verified = is_enforced || required || wishes.configured == TlsPolicy::Required;
        let guard = match wishes.configured {
            _ if is_verified => Guard::Verified,
            TlsPolicy::Encrypted => Guard::Encrypted,
            _ if is_tested => Guard::Watched,
            _ => Guard::Opportunistic,
        };
        let wrong = Some("validation-failure").filter(|_| is_tested && !is_named);
        Ok(Asked { guard, basis, wrong })
    }
}

/// By which policy something is asked (RFC 8460 4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server::outbound) struct Basis {
    pub(in crate::server::outbound) kind: &'static str,
    /// Its lines.
    pub(in crate::server::outbound) wording: String,
}

impl Default for Basis {
    fn default() -> Self {
        Self { kind: "no-policy-found", wording: String::new() }
    }
}

/// What is asked of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server::outbound) struct Asked {
    pub(in crate::server::outbound) guard: Guard,
    pub(in crate::server::outbound) basis: Basis,
    /// What is wrong with the server already, where that is told and nothing more.
    pub(in crate::server::outbound) wrong: Option<&'static str>,
}

impl Asked {
    /// What no policy asks for.
    fn of(guard: Guard) -> Self {
        Self { guard, basis: Basis::default(), wrong: None }
    }
}

/// Why a server is not asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server::outbound) enum Refused {
    /// Not now; what is told of it, and by which policy (RFC 8460 4.3).
    Later(String, &'static str, Basis),
    /// Not with this message.
    Never(String),
}

impl Guard {
    /// Whether mail that requires TLS may go there.
    pub(in crate::server::outbound) fn is_verified(&self) -> bool {
        matches!(self, Self::Verified | Self::Dane(_))
    }
}
