//! Whether the configuration says what somebody can want.

use crate::server::config::{Config, Mistake};
use crate::server::doctor::{Concern, Finding};
use crate::server::listen::Service;

/// The mistakes of a file that cannot be used.
pub fn mistakes(file: &str, mistakes: &[Mistake]) -> Vec<Finding> {
    let found = |mistake: &Mistake| {
        Finding::error("config-mistake", Concern::Settings, format!("{file}: {mistake}")).fix("sealpost serve --check")
    };
    mistakes.iter().map(found).collect()
}

/// Why the authority gave no certificate last time, where it did not.
pub fn acme(failure: Option<&str>) -> Option<Finding> {
    let text = failure?.trim();
    Some(Finding::warning("acme-failed", Concern::Expiry, format!("the certificate was not renewed: {text}")))
}

/// What is odd in a configuration that can be used.
pub fn judge(config: &Config) -> Vec<Finding> {
    let (mut found, listens) = (Vec::new(), config.listens());
    if listens.is_empty() {
        found.push(Finding::error("listen-none", Concern::Settings, "the section [listen] names no address: nothing is served"));
    } else if is_private(config) {
        found.push(Finding::info(
            "listen-loopback",
            "only this machine reaches the server: every address in [listen] is a loopback one",
        ));
    } else if !listens.iter().any(|(service, _)| *service == Service::Smtp) {
        found.push(Finding::info("listen-none", "[listen] has no smtp: no mail comes in from other servers"));
    }
    let is_local = !config.hostname.contains('.') || config.hostname.ends_with(".localdomain");
    if is_local && !is_private(config) {
        found.push(Finding::warning(
            "hostname-local",
            Concern::Settings,
            format!(
                "hostname = \"{}\" is no name by which others can look this host up, and many refuse such (RFC 5321 4.1.1.1)",
                config.hostname
            ),
        ));
    }
    if config.delivery.warn_hours >= config.delivery.give_up_hours {
        let (warn, give_up) = (config.delivery.warn_hours, config.delivery.give_up_hours);
        found.push(Finding::warning(
            "warn-after-give-up",
            Concern::Settings,
            format!("delivery.warn_hours = {warn} is not before give_up_hours = {give_up}: no sender hears that his mail waits"),
        ));
    }
    found
}

/// Whether only this machine reaches the server.
pub fn is_private(config: &Config) -> bool {
    config.listens().iter().all(|(_, address)| address.ip().is_loopback())
}
