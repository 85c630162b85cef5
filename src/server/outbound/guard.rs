//! What TLS is asked of a server: by the configuration, by DANE, by MTA-STS, by the message (REQUIRETLS).

use std::sync::Arc;

use crate::keys::directory::smimea::Record;
use crate::proto::smtp::client::RequireTls;
use crate::server::config::{Delivery, MtaSts, TlsPolicy};
use crate::server::outbound::dnssec::{Proven, Tlsa, Word};
use crate::server::outbound::find::Servers;
use crate::server::outbound::sts::{Mode, Policies, Policy};
use crate::server::outbound::tls::Tls;
use crate::server::store::Store;

/// What is asked of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server::outbound) enum Guard {
    /// No TLS.
    Without,
    /// TLS where it is offered, with whoever it is.
    Opportunistic,
    /// TLS, with whoever it is.
    Encrypted,
    /// TLS, with a certificate of an authority for the server's name.
    Verified,
    /// TLS, with a certificate that one of these is about.
    Dane(Vec<Record>),
}

/// What is known of a domain before its servers are asked.
#[derive(Debug)]
pub(in crate::server::outbound) struct Wishes {
    configured: TlsPolicy,
    required: RequireTls,
    /// Whether the names of the servers are proven by DNSSEC; why that cannot be known.
    proven: Word<()>,
    policy: Option<Policy>,
    /// Why a policy that there is could not be had (RFC 8460 4.3).
    pub(in crate::server::outbound) policy_failed: Option<String>,
    /// Whether the names are those of the configuration.
    is_route: bool,
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
    pub(in crate::server::outbound) async fn wishes(&self, domain: &str, is_route: bool, required: RequireTls) -> Wishes {
        let configured = self.delivery.tls_policy(domain);
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
                Err(why) => wishes.policy_failed = Some(why),
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
                false => Ok(Asked { guard: Guard::Without, policy: "no-policy-found" }),
            };
        }
        let tlsa = match &wishes.proven {
            Word::Secure(()) => self.proven.tlsa(host, port).await,
            Word::Insecure => Tlsa::None,
            // RFC 7672 2.1: what cannot be known now is no reason to do without
            Word::Unknown(why) => Tlsa::Unknown(why.clone()),
        };
        match tlsa {
            Tlsa::Records(records) => return Ok(Asked { guard: Guard::Dane(records), policy: "tlsa" }),
            Tlsa::Unknown(why) => return Err(Refused::Later(why, "dnssec-invalid", "tlsa")),
            Tlsa::Unusable if wishes.configured != TlsPolicy::Required && !required => {
                return Ok(Asked { guard: Guard::Encrypted, policy: "tlsa" });
            }
            Tlsa::Unusable | Tlsa::None => {}
        }
        let is_named = wishes.policy.as_ref().is_some_and(|policy| policy.names(host));
        let is_enforced = wishes.policy.as_ref().is_some_and(|policy| policy.mode == Mode::Enforce);
        let policy = if wishes.policy.is_some() { "sts" } else { "no-policy-found" };
        if is_enforced && !is_named {
            let why = format!("{host} is none of the servers that the policy of the domain names (MTA-STS)");
            return Err(Refused::Later(why, "validation-failure", policy));
        }
        // RFC 8689 4.2.1: a name that anybody on the way could have given is verified in vain
        let is_known = is_named || wishes.is_route || matches!(wishes.proven, Word::Secure(()));
        if required && !is_known {
            let why = "5.7.30 the message requires TLS, and the domain names its servers neither under DNSSEC nor by a policy (MTA-STS)";
            return Err(Refused::Never(why.to_owned()));
        }
        let is_verified = is_enforced || required || wishes.configured == TlsPolicy::Required;
        Ok(Asked { guard: if is_verified { Guard::Verified } else { Guard::Opportunistic }, policy })
    }
}

/// What is asked of a server, and by which policy (RFC 8460 4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server::outbound) struct Asked {
    pub(in crate::server::outbound) guard: Guard,
    pub(in crate::server::outbound) policy: &'static str,
}

/// Why a server is not asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server::outbound) enum Refused {
    /// Not now; what is told of it, and by which policy (RFC 8460 4.3).
    Later(String, &'static str, &'static str),
    /// Not with this message.
    Never(String),
}

impl Guard {
    /// Whether mail that requires TLS may go there.
    pub(in crate::server::outbound) fn is_verified(&self) -> bool {
        matches!(self, Self::Verified | Self::Dane(_))
    }
}
