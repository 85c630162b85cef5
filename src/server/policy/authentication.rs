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
    ArcOutput, AuthenticatedMessage, DkimOutput, DkimResult, DmarcOutput, DmarcResult, DnsError, Error, MX, MessageAuthenticator,
    Parameters, RecordSet, ResolverCache, SpfOutput, SpfResult, Txt,
};

use crate::mime::address;
use crate::server::head::Head;
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

/// What the domain of the author wishes for a message that DMARC fails; the strictest last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
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

/// For the look-ups of one method about one message. Each has its own: who makes DNS slow for the names that he chose himself must not keep
/// the policy of the domain that he forges from being asked.
const PATIENCE: Duration = Duration::from_secs(5);
const LATE: &str = "DNS was too slow";

/// Signatures that are checked: each costs look-ups and arithmetic, and a message has one or two (RFC 6376 6.1 lets a verifier limit them).
const SIGNATURES: usize = 8;

/// Domains of authors that are asked for their policies: nobody writes for more.
const AUTHORS: usize = 4;

/// Checks messages.
#[derive(Clone)]
pub(in crate::server) struct Authenticator {
    asks: MessageAuthenticator,
    /// For the look-ups of one method.
    patience: Duration,
}

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
        Self { asks: MessageAuthenticator(resolver.inner()), patience: PATIENCE }
    }

    /// Checks a message. A method for which DNS is too slow has found nothing out.
    pub(in crate::server) async fn check(&self, came: Came<'_>) -> Found {
        self.check_with(came, &NoneKnown).await
    }

    pub(in crate::server::policy) async fn check_with<K: Known>(&self, came: Came<'_>, known: &K) -> Found {
        let mut found = Found::default();
        let address = came.address.to_canonical();
        // RFC 7208 2.4: without a sender it is the name of the client that is checked
        let (parameters, property, of) = match came.sender {
            "" => (SpfParameters::verify_ehlo(address, came.helo, came.host), "smtp.helo", came.helo),
            sender => (SpfParameters::verify_mail_from(address, came.helo, came.host, sender), "smtp.mailfrom", sender),
        };
        let spf = self.within(self.asks.check_host(asking(parameters, known)));
        let Some(mut message) = AuthenticatedMessage::parse(came.message) else {
            let none = Line { method: "dkim", result: "none", reason: String::new(), properties: Vec::new() };
            found.lines.extend([spf_line(spf.await.as_ref(), property, of), none]);
            return found;
        };
        message.dkim_headers.truncate(SIGNATURES);
        message.errors.truncate(SIGNATURES);
        let authors = authors(&message, came.message);
        // those that cannot speak for the author are looked at by themselves: whoever put them there could make the others wait
        let is_near = |domain: &str| authors.iter().any(|author| may_align(domain, author));
        let (near, far) = std::mem::take(&mut message.dkim_headers).into_iter().partition(|field| is_near(&field.header.d));
        let strangers = AuthenticatedMessage { dkim_headers: far, errors: Vec::new(), ..message.clone() };
        message.dkim_headers = near;
        let (near, far) = (self.signatures(&message, known), self.signatures(&strangers, known));
        let (spf, near, far, chain) = tokio::join!(spf, near, far, self.within(self.asks.verify_arc(asking(&message, known))));
        found.lines.push(spf_line(spf.as_ref(), property, of));
        let spf = spf.unwrap_or_else(|| SpfOutput::new(of.to_owned()).with_result(SpfResult::TempError));
        let dkim = [near, far].concat();
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
        let is_any = |chain: &ArcOutput<'_>| !chain.sets().is_empty() || *chain.result() != DkimResult::None;
        if chain.as_ref().is_none_or(is_any) {
            let (result, reason) =
                chain.as_ref().map_or_else(|| ("temperror", LATE.to_owned()), |chain| arc::result(chain.result()));
            found.lines.push(Line { method: "arc", result, reason, properties: vec![("smtp.remote-ip", address.to_string())] });
        }
        // RFC 7489 6.6.1: each of them is asked, and the strictest is heard
        for author in authors.iter().take(AUTHORS) {
            let (line, wish) = self.dmarc(author, &dkim, &spf, &came, known).await;
            found.lines.push(line);
            if wish > found.wish || found.author.is_empty() {
                (found.wish, found.author) = (wish, author.clone());
            }
        }
        let none = || Line { method: "dmarc", result: "none", reason: String::new(), properties: Vec::new() };
        match authors.as_slice() {
            [] => found.lines.push(Line { reason: "nobody is named as the author".to_owned(), ..none() }),
            // RFC 8617 7.2.1: it fails, and is taken all the same
            [author] => {
                let failed = found.lines.last_mut().filter(|line| line.result == "fail");
                let voucher = chain.as_ref().and_then(|chain| arc::voucher(chain, came.sealers, author));
                if let Some((line, voucher)) = failed.zip(voucher) {
                    line.reason = voucher.to_string();
                    found.wish = Wish::Nothing;
                }
            }
            many if many.len() > AUTHORS => {
                let reason = "the author has very many domains".to_owned();
                found.lines.push(Line { result: "permerror", reason, ..none() });
                found.wish = found.wish.max(Wish::Quarantine);
            }
            _ => {}
        }
        found
    }

    /// The answer, where it comes in time.
    async fn within<T>(&self, answer: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(self.patience, answer).await.ok()
    }

    /// What the signatures of a message are worth; where DNS is too slow, nothing is known of any.
    async fn signatures<'m, K: Known>(&self, message: &'m AuthenticatedMessage<'m>, known: &'m K) -> Vec<DkimOutput<'m>> {
        self.within(self.asks.verify_dkim(asking(message, known))).await.unwrap_or_else(|| {
            let late = || DkimOutput::temp_err(Error::Dns(DnsError::Resolver(LATE.to_owned())));
            message.dkim_headers.iter().map(|field| late().with_signature(&field.header)).collect()
        })
    }

    /// What DMARC says of one domain of the author, and what that domain wishes.
    async fn dmarc<K: Known>(
        &self,
        author: &str,
        dkim: &[DkimOutput<'_>],
        spf: &SpfOutput,
        came: &Came<'_>,
        known: &K,
    ) -> (Line, Wish) {
        let message = AuthenticatedMessage { from: vec![format!("author@{author}")], ..AuthenticatedMessage::default() };
        let is_pass = |output: &DmarcOutput| [output.spf_result(), output.dkim_result()].contains(&&DmarcResult::Pass);
        let is_near = |output: &&DkimOutput<'_>| output.signature().is_some_and(|signature| may_align(&signature.d, author));
        let dkim: Vec<DkimOutput<'_>> = dkim.iter().filter(is_near).cloned().collect();
        let of_sender = if may_align(came.domain(), author) { spf.result() } else { SpfResult::None };
        let judged = self.within(async {
            let output = self.judge(&message, (&dkim, &spf.clone().with_result(of_sender)), came, known).await;
            // what cannot be known now may have passed (RFC 7489 6.6.2), where it would speak for this domain at all
            let is_unknown = |output: &&DkimOutput<'_>| matches!(output.result(), DkimResult::TempError(_));
            let may_be = dkim.iter().filter(is_unknown).filter_map(DkimOutput::signature);
            let may_be: Vec<DkimOutput<'_>> = may_be.map(|signature| DkimOutput::pass().with_signature(signature)).collect();
            let is_open = !is_pass(&output) && (of_sender == SpfResult::TempError || !may_be.is_empty()) && {
                let result = if of_sender == SpfResult::TempError { SpfResult::Pass } else { SpfResult::None };
                is_pass(&self.judge(&message, (&may_be, &spf.clone().with_result(result)), came, known).await)
            };
            (output, is_open)
        });
        let mut line = Line {
            method: "dmarc",
            result: "temperror",
            reason: LATE.to_owned(),
            properties: vec![("header.from", author.to_owned())],
        };
        let Some((output, is_open)) = judged.await else { return (line, Wish::Nothing) };
        let both = [output.spf_result(), output.dkim_result()];
        line.reason = String::new();
        line.result = match () {
            () if is_pass(&output) => "pass",
            () if both.iter().any(|result| matches!(result, DmarcResult::PermError(_))) => "permerror",
            () if is_open || both.iter().any(|result| matches!(result, DmarcResult::TempError(_))) => "temperror",
            () if output.dmarc_record().is_none() => "none",
            () => "fail",
        };
        if line.result != "fail" {
            return (line, Wish::Nothing);
        }
        let (wish, policy) = match output.policy() {
            Policy::Reject => (Wish::Reject, "reject"),
            Policy::Quarantine => (Wish::Quarantine, "quarantine"),
            Policy::None | Policy::Unspecified => (Wish::Nothing, "none"),
        };
        line.properties.push(("policy.published", policy.to_owned()));
        (line, wish)
    }

    async fn judge<K: Known>(
        &self,
        message: &AuthenticatedMessage<'_>,
        (dkim_output, spf_output): (&[DkimOutput<'_>], &SpfOutput),
        came: &Came<'_>,
        known: &K,
    ) -> DmarcOutput {
        let parameters =
            DmarcParameters { message, dkim_output, dkim2_output: None, rfc5321_mail_from_domain: came.domain(), spf_output };
        self.asks.verify_dmarc(asking(parameters, known)).await
    }
}

impl Came<'_> {
    /// The domain of which SPF speaks.
    fn domain(&self) -> &str {
        self.sender.rsplit_once('@').map_or(self.helo, |(_, domain)| domain)
    }
}

/// Whether two domains can have an organizational domain in common, which has two labels at least. Others are not asked about: whoever holds them could
/// make the answer slow.
fn may_align(one: &str, other: &str) -> bool {
    let top = |name: &str| {
        let name = idna::domain_to_ascii(name).unwrap_or_else(|_| name.to_lowercase());
        name.trim_end_matches('.').rsplit('.').take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    top(one) == top(other)
}

/// The domains of the author, each once, whoever finds them: mail-auth and we read what is hardly an address in different ways, and so do
/// the programs that show it.
fn authors(message: &AuthenticatedMessage<'_>, bytes: &[u8]) -> Vec<String> {
    let normal = |domain: &str| domain.trim_end_matches('.').to_lowercase();
    let theirs = message.froms().iter().filter_map(|from| from.rsplit_once('@')).map(|(_, domain)| normal(domain));
    let head = Head::of(bytes, true);
    let fields = head.iter().flat_map(|head| head.values("from"));
    let ours = fields.flat_map(|value| address::parse(value).mailboxes).map(|mailbox| normal(&mailbox.domain));
    let mut domains: Vec<String> = Vec::new();
    for domain in theirs.chain(ours).filter(|domain| !domain.is_empty()) {
        if domains.len() <= AUTHORS && !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    domains
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

fn spf_line(found: Option<&SpfOutput>, property: &'static str, of: &str) -> Line {
    let (result, reason) = found.map_or(("temperror", LATE), |found| (spf_result(found.result()), ""));
    Line { method: "spf", result, reason: reason.to_owned(), properties: vec![(property, of.to_owned())] }
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
