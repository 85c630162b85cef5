//! Whether each listener answers as it should; who knocked is not of this room.

use std::net::SocketAddr;

use crate::pki::Certificate;
use crate::server::doctor::{Concern, Finding};
use crate::server::listen::Service;

/// What knocking at a port brought.
#[derive(Debug, Clone)]
pub struct Knocked {
    /// What is to be served there.
    pub service: Service,
    /// Where.
    pub address: SocketAddr,
    /// What came of it.
    pub answer: Answer,
}

/// What came of it.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Nobody took the connection.
    Closed(String),
    /// Somebody did who is no such server: what he said.
    Foreign(String),
    /// A server, and why there is no TLS with it.
    NoTls(String),
    /// A server with this certificate.
    Good(Box<Certificate>),
}

/// Judges what knocking brought; `own` is the certificate on disk.
pub fn judge(knocked: &[Knocked], own: Option<&Certificate>) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut is_other = false;
    for Knocked { service, address, answer } in knocked {
        let place = format!("{} on {address}", service.name());
        match answer {
            Answer::Closed(why) => found.push(
                Finding::error("port-closed", Concern::Machine, format!("{place} does not answer – {why}"))
                    .fix(format!("ss -ltnp 'sport = :{}'", address.port())),
            ),
            Answer::Foreign(said) => {
                let text = format!("{place} answers as another program would: {said}");
                found.push(
                    Finding::error("port-banner", Concern::Machine, text).fix(format!("ss -ltnp 'sport = :{}'", address.port())),
                );
            }
            Answer::NoTls(why) => {
                found.push(Finding::error("port-starttls", Concern::Trust, format!("{place}: TLS fails – {why}")));
            }
            Answer::Good(certificate) => is_other |= own.is_some_and(|own| own != certificate.as_ref()),
        }
    }
    if is_other {
        let text = "the running server shows another certificate than the one on disk";
        found.push(Finding::warning("port-other-certificate", Concern::Expiry, text).fix("sealpost reload"));
    }
    found
}

/// No server runs.
pub fn not_running() -> Finding {
    Finding::warning("server-not-running", Concern::Machine, "no server runs with this home: its ports were not tried")
        .fix("sealpost serve")
}

/// What a running server says of its rights: its user, and what closes the file system and system calls to it.
pub fn rights(user: &str, sandbox: &str, system_calls: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    if user == "root" {
        let text = "the server runs as root: name a user in the configuration, [process] user = \"sealpost\", and restart it";
        found.push(Finding::warning("running-as-root", Concern::Settings, text).fix("useradd --system --user-group sealpost"));
    }
    if sandbox != "landlock" {
        found.push(Finding::info("server-sandbox", format!("what closes the file system to the server: {sandbox}")));
    }
    if system_calls != "seccomp" {
        let text = format!("what closes system calls to the server that it never makes: {system_calls}");
        found.push(Finding::info("server-system-calls", text));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_somebody_elses_is_told_from_one_that_is_closed() {
        let knocked = |answer| Knocked { service: Service::Smtp, address: SocketAddr::from(([127, 0, 0, 1], 2525)), answer };
        let found = judge(
            &[
                knocked(Answer::Closed("connection refused".to_owned())),
                knocked(Answer::Foreign("SSH-2.0-OpenSSH".to_owned())),
                knocked(Answer::NoTls("it answers STARTTLS with 454".to_owned())),
            ],
            None,
        );
        let told: Vec<_> = found.iter().map(|finding| (finding.code, finding.concern)).collect();
        let wanted = [("port-closed", Concern::Machine), ("port-banner", Concern::Machine), ("port-starttls", Concern::Trust)];
        assert_eq!(told, wanted);
        assert_eq!(found.first().and_then(|finding| finding.fix.as_deref()), Some("ss -ltnp 'sport = :2525'"));
        assert_eq!(rights("sealpost", "landlock", "seccomp"), []);
        let codes: Vec<_> = rights("root", "off", "off").iter().map(|finding| finding.code).collect();
        assert_eq!(codes, ["running-as-root", "server-sandbox", "server-system-calls"]);
    }
}
