//! Whether a message is from whom it says: SPF (RFC 7208), DKIM (RFC 6376, 8463), DMARC (RFC 7489) and ARC (RFC 8617), checked by mail-auth.
//!
//! mail-auth asks DNS through our resolver; before that it looks into a cache, which is where tests answer from a table.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use mail_auth::common::verify::VerifySignature;
use mail_auth::dmarc::Policy;
use mail_auth::dmarc::verify::DmarcParameters;
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{
    AuthenticatedMessage, DkimResult, DmarcResult, MX, MessageAuthenticator, Parameters, RecordSet, ResolverCache, SpfResult, Txt,
};

use crate::server::policy::access::Name;
use crate::server::policy::arc;
use crate::server::policy::refusal::Refusal;
use crate::server::policy::resolver::Resolver;
use crate::server::policy::results::Line;

/// What follows from what was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Check {
    /// Nothing is checked.
    #[default]
    Off,
    /// It is written into the message, and nothing is refused.
    Report,
    /// As well, what DMARC asks to reject is refused.
    Reject,
}

/// A message as it came.
#[derive(Debug, Clone, Copy)]
pub(in crate::server) struct Came<'a> {
    /// The client.
    pub(in crate::server) address: IpAddr,
    /// How it calls itself.
    pub(in crate::server) helo: &'a str,
    /// The sender of the envelope; empty for none.
    pub(in crate::server) sender: &'a str,
    /// The message, without the fields that this host puts before it.
    pub(in crate::server) message: &'a [u8],
    /// The name of this host.
    pub(in crate::server) host: &'a str,
    /// Whose seal counts.
    pub(in crate::server) sealers: &'a [Name],
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::server) struct Found {
    /// For Authentication-Results.
    pub(in crate::server) lines: Vec<Line>,
    /// What the domain of the author asks for where nothing speaks for it.
    pub(in crate::server) wish: Wish,
    /// The domain of the author.
    pub(in crate::server) author: String,
}

/// What the domain of the author wishes for a message that DMARC fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::server) enum Wish {
    /// Nothing: it passed, or there is no policy.
    #[default]
    Nothing,
    /// To be put aside.
    Quarantine,
    /// To be refused.
    Reject,
}

impl Found {
    /// Refuses where the domain of the author wishes it.
    pub(in crate::server) fn refusal(&self, check: Check) -> Option<Refusal> {
        let is_refused = check == Check::Reject && self.wish == Wish::Reject;
        is_refused.then(|| {
            Refusal::new(550, "5.7.26", format!("{} asks to refuse mail that nothing proves to be its own (DMARC)", self.author))
        })
    }
}

/// For all look-ups about one message.
const PATIENCE: Duration = Duration::from_secs(15);

/// Signatures that are checked: each costs look-ups and arithmetic, and a message has one or two (RFC 6376 6.1 lets a verifier limit them).
const SIGNATURES: usize = 8;

/// Checks messages.
#[derive(Clone)]
pub(in crate::server) struct Authenticator(MessageAuthenticator);

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authenticator")
    }
}

/// Answers that are known before DNS is asked.
pub(in crate::server::policy) trait Known:
    ResolverCache<Box<str>, Txt>
    + ResolverCache<Box<str>, RecordSet<MX>>
    + ResolverCache<Box<str>, RecordSet<Ipv4Addr>>
    + ResolverCache<Box<str>, RecordSet<Ipv6Addr>>
    + ResolverCache<IpAddr, RecordSet<Box<str>>>
    + Sync
{
}

/// None: the resolver keeps answers itself, for as long as they hold.
struct NoneKnown;

impl<K, V> ResolverCache<K, V> for NoneKnown {
    fn get<Q>(&self, _: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
        Q: std::hash::Hash + Eq + ?Sized,
    {
        None
    }
    fn remove<Q>(&self, _: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
        Q: std::hash::Hash + Eq + ?Sized,
    {
        None
    }
    fn insert(&self, _: K, _: V, _: std::time::Instant) {}
}

impl Known for NoneKnown {}

impl Authenticator {
    /// Asks through this resolver.
    pub(in crate::server) fn new(resolver: &Resolver) -> Self {
        Self(MessageAuthenticator(resolver.inner()))
    }

    /// Checks a message. Where DNS is too slow for all of it, nothing was found, and nothing follows.
    pub(in crate::server) async fn check(&self, came: Came<'_>) -> Found {
        let late = |method| Line { method, result: "temperror", reason: "DNS was too slow".to_owned(), properties: Vec::new() };
        match tokio::time::timeout(PATIENCE, self.check_with(came, &NoneKnown)).await {
            Ok(found) => found,
            Err(_) => Found { lines: vec![late("spf"), late("dkim"), late("dmarc")], ..Found::default() },
        }
    }

    pub(in crate::server::policy) async fn check_with<K: Known>(&self, came: Came<'_>, known: &K) -> Found {
        let mut found = Found::default();
        let address = came.address.to_canonical();
        // RFC 7208 2.4: without a sender it is the name of the client that is checked
        let (parameters, property, of) = match came.sender {
            "" => (SpfParameters::verify_ehlo(address, came.helo, came.host), "smtp.helo", came.helo),
            sender => (SpfParameters::verify_mail_from(address, came.helo, came.host, sender), "smtp.mailfrom", sender),
        };
        let spf = self.0.check_host(asking(parameters, known)).await;
        let result = spf_result(spf.result());
        found.lines.push(Line { method: "spf", result, reason: String::new(), properties: vec![(property, of.to_owned())] });
        let Some(mut message) = AuthenticatedMessage::parse(came.message) else {
            found.lines.push(Line { method: "dkim", result: "none", reason: String::new(), properties: Vec::new() });
            return found;
        };
        message.dkim_headers.truncate(SIGNATURES);
        message.errors.truncate(SIGNATURES);
        let dkim = self.0.verify_dkim(asking(&message, known)).await;
        if dkim.is_empty() {
            found.lines.push(Line { method: "dkim", result: "none", reason: String::new(), properties: Vec::new() });
        }
        for output in &dkim {
            let (result, reason) = dkim_result(output.result());
            let mut properties = Vec::new();
            if let Some(signature) = output.signature() {
                let begins: String = base64_start(&signature.b);
                properties.push(("header.d", signature.d.clone()));
                properties.push(("header.s", VerifySignature::selector(signature).to_owned()));
                properties.push(("header.b", begins));
            }
            found.lines.push(Line { method: "dkim", result, reason, properties });
        }
        let chain = self.0.verify_arc(asking(&message, known)).await;
        if !chain.sets().is_empty() || *chain.result() != DkimResult::None {
            let (result, reason) = arc::result(chain.result());
            found.lines.push(Line { method: "arc", result, reason, properties: vec![("smtp.remote-ip", address.to_string())] });
        }
        self.dmarc(&mut found, &message, &dkim, &spf, &came, known).await;
        // RFC 8617 7.2.1: it fails, and is taken all the same
        let failed = found.lines.last_mut().filter(|line| line.method == "dmarc" && line.result == "fail");
        if let Some((line, voucher)) = failed.zip(arc::voucher(&chain, came.sealers, &found.author)) {
            line.reason = voucher.to_string();
            found.wish = Wish::Nothing;
        }
        found
    }

    async fn dmarc<K: Known>(
        &self,
        found: &mut Found,
        message: &AuthenticatedMessage<'_>,
        dkim: &[mail_auth::DkimOutput<'_>],
        spf: &mail_auth::SpfOutput,
        came: &Came<'_>,
        known: &K,
    ) {
        let mut domains: Vec<String> =
            message.froms().iter().filter_map(|from| from.rsplit_once('@')).map(|(_, domain)| domain.to_lowercase()).collect();
        domains.dedup();
        let from = |domain: &str| vec![("header.from", domain.to_owned())];
        let domain = match domains.as_slice() {
            [one] => one.clone(),
            [] => String::new(),
            // RFC 7489 6.6.1: no policy can be chosen, and whoever writes so has a reason for it
            several => {
                let reason = "the author has several domains".to_owned();
                found.lines.push(Line { method: "dmarc", result: "permerror", reason, properties: from(&several.join(",")) });
                return;
            }
        };
        let sender_domain = came.sender.rsplit_once('@').map_or(came.helo, |(_, domain)| domain);
        let parameters = DmarcParameters {
            message,
            dkim_output: dkim,
            dkim2_output: None,
            rfc5321_mail_from_domain: sender_domain,
            spf_output: spf,
        };
        let output = self.0.verify_dmarc(asking(parameters, known)).await;
        let both = [output.spf_result(), output.dkim_result()];
        let is_unsure = both.iter().any(|result| matches!(result, DmarcResult::TempError(_)))
            || spf.result() == SpfResult::TempError
            || dkim.iter().any(|output| matches!(output.result(), DkimResult::TempError(_)));
        let result = match () {
            () if both.contains(&&DmarcResult::Pass) => "pass",
            () if both.iter().any(|result| matches!(result, DmarcResult::PermError(_))) => "permerror",
            () if output.dmarc_record().is_none() && !is_unsure => "none",
            // what cannot be known now may have passed (RFC 7489 6.6.2)
            () if is_unsure => "temperror",
            () => "fail",
        };
        let mut properties = from(&domain);
        if result == "fail" {
            let (wish, policy) = match output.policy() {
                Policy::Reject => (Wish::Reject, "reject"),
                Policy::Quarantine => (Wish::Quarantine, "quarantine"),
                Policy::None | Policy::Unspecified => (Wish::Nothing, "none"),
            };
            found.wish = wish;
            properties.push(("policy.published", policy.to_owned()));
        }
        found.lines.push(Line { method: "dmarc", result, reason: String::new(), properties });
        found.author = domain;
    }
}

fn asking<P, K: Known>(params: P, known: &K) -> Parameters<'_, P, K, K, K, K, K> {
    Parameters {
        params,
        cache_txt: Some(known),
        cache_mx: Some(known),
        cache_ptr: Some(known),
        cache_ipv4: Some(known),
        cache_ipv6: Some(known),
    }
}

fn spf_result(result: SpfResult) -> &'static str {
    match result {
        SpfResult::Pass => "pass",
        SpfResult::Fail => "fail",
        SpfResult::SoftFail => "softfail",
        SpfResult::Neutral => "neutral",
        SpfResult::TempError => "temperror",
        SpfResult::PermError => "permerror",
        SpfResult::None => "none",
    }
}

/// RFC 8601 2.7.1. mail-auth calls a body that was changed neutral: it is a signature that fails.
fn dkim_result(result: &DkimResult) -> (&'static str, String) {
    use mail_auth::Error;
    use mail_auth::dkim::DkimError;
    match result {
        DkimResult::Pass => ("pass", String::new()),
        DkimResult::None => ("none", String::new()),
        DkimResult::Neutral(error @ Error::Dkim(DkimError::FailedBodyHashMatch)) | DkimResult::Fail(error) => {
            ("fail", error.to_string())
        }
        DkimResult::Neutral(error) => ("neutral", error.to_string()),
        DkimResult::PermError(error) => ("permerror", error.to_string()),
        DkimResult::TempError(error) => ("temperror", error.to_string()),
    }
}

/// The first letters of a signature tell it from others of the same domain (RFC 6008).
fn base64_start(signature: &[u8]) -> String {
    let bytes = signature.get(..6).unwrap_or_default();
    base64_simd::STANDARD.encode_to_string(bytes)
}

#[cfg(test)]
mod tests;
