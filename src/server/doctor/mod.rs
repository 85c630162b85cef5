//! What is wrong with a server, and what helps.
//!
//! Uses: config, accounts, store; pki, smimea for certificates. Never: sockets; a clock: what it judges was gathered by others, who also ask
//! the DNS for it ([`dns::Resolve`]).
//! Holds always: a finding says what, where and why, and what to type or to publish where something helps; its code stays what it is.

pub mod accounts;
pub mod clock;
pub mod disk;
pub mod dns;
pub mod files;
pub mod ports;
pub mod queue;
pub mod settings;
pub mod sntp;
mod spf;
pub mod store;
pub mod tls;

use std::sync::Arc;

pub use crate::smime::Severity;

use crate::server::config::Config;
use crate::server::outbound;
use crate::server::store::Store;

/// Something that somebody should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which kind of thing, for programs; one of [`CODES`].
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub concern: Concern,
    /// What, where, why.
    pub text: String,
    /// A command that can be typed, or a record that can be published.
    pub fix: Option<String>,
}

/// What a finding is about; it decides how `doctor` ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concern {
    /// Mail or its records are damaged.
    Integrity,
    /// A certificate is not one that others trust.
    Trust,
    /// A certificate or a list is out of its time.
    Expiry,
    /// Something is set otherwise than it should be: here, or in the DNS.
    Settings,
    /// The machine or the network does not do its part.
    Machine,
}

impl Finding {
    fn new(code: &'static str, severity: Severity, concern: Concern, text: impl Into<String>) -> Self {
        Self { code, severity, concern, text: text.into(), fix: None }
    }

    fn error(code: &'static str, concern: Concern, text: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, concern, text)
    }

    fn warning(code: &'static str, concern: Concern, text: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, concern, text)
    }

    fn info(code: &'static str, text: impl Into<String>) -> Self {
        Self::new(code, Severity::Info, Concern::Settings, text)
    }

    fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

/// Fetches the MTA-STS policy of a domain of ours as other servers do, within a runtime.
pub async fn policy_of(config: &Config, store: Arc<dyn Store>, domain: &str) -> Result<String, String> {
    outbound::policy_text(&config.hostname, &config.delivery, store, domain).await
}

/// Every code; `docs/operating.md` says what each means.
pub const CODES: &[&str] = &[
    "accounts-unreadable",
    "acme-failed",
    "alias-foreign",
    "alias-loop",
    "alias-nowhere",
    "alias-user",
    "ca-expired",
    "ca-expiring",
    "clock-behind",
    "clock-not-compared",
    "clock-wrong",
    "config-mistake",
    "crl-expired",
    "crl-expiring",
    "database-damaged",
    "disk-full",
    "disk-low",
    "disk-unreadable",
    "dkim-missing",
    "dkim-no-key",
    "dkim-other",
    "dmarc-invalid",
    "dmarc-missing",
    "dmarc-none",
    "dns-not-asked",
    "dns-unreachable",
    "domain-empty",
    "domain-none",
    "domain-not-public",
    "file-open",
    "file-owner",
    "host-no-address",
    "hostname-local",
    "listen-loopback",
    "listen-none",
    "message-missing",
    "message-changed",
    "mta-sts-host",
    "mta-sts-invalid",
    "mta-sts-missing",
    "mta-sts-policy",
    "mx-elsewhere",
    "mx-missing",
    "mx-no-address",
    "mx-null",
    "orphan-file",
    "pickup-bad",
    "pickup-waits",
    "port-banner",
    "port-closed",
    "port-other-certificate",
    "port-starttls",
    "postmaster-missing",
    "ptr-missing",
    "ptr-unconfirmed",
    "queue-held",
    "queue-old",
    "queue-unreadable",
    "root-missing",
    "running-as-root",
    "server-not-running",
    "server-sandbox",
    "server-system-calls",
    "spf-invalid",
    "spf-missing",
    "spf-not-us",
    "tls-chain",
    "tls-expired",
    "tls-expiring",
    "tls-name",
    "tls-unknown-issuer",
    "tls-unusable",
    "tlsa-other",
    "user-no-password",
    "warn-after-give-up",
];

/// Days in words.
fn days(seconds: i64) -> String {
    match seconds / 86_400 {
        1 => "1 day".to_owned(),
        0 => format!("{} hours", seconds / 3600),
        days => format!("{days} days"),
    }
}
