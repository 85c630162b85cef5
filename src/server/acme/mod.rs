//! The server's certificate from an authority that speaks ACME (RFC 8555): ordered, put in place, renewed.
//!
//! Uses: config, reload, trace; pki and keys (files). The only room that names `instant-acme`.
//! Holds always: the certificate in use stays until another one is on disk whole, with its key; who fails waits longer each time.

mod answer;
mod order;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::keys::files;
use crate::pki::{self, Certificate};
use crate::server::acme::answer::Challenges;
use crate::server::config::Acme;
use crate::server::drive::now;
use crate::server::reload::Reloader;
use crate::server::trace::Tracer;
use crate::time::Timestamp;

/// Seconds after the first failure; doubled with each. Authorities allow five failures an hour for one name.
const FIRST: u64 = 900;
/// A day: what fails for long is seen by people.
const LONGEST: u64 = 86_400;
/// Seconds of one sleep: clocks are set, and machines are put to sleep.
const NAP: u64 = 3600;

/// Keeps the certificate until the server stops.
pub(in crate::server) struct Keeper {
    pub(in crate::server) acme: Acme,
    pub(in crate::server) data: std::path::PathBuf,
    pub(in crate::server) reloader: Arc<Reloader>,
    pub(in crate::server) tracer: Tracer,
}

impl Keeper {
    /// Answers challenges on this socket, and orders a certificate whenever it is time.
    pub(in crate::server) async fn run(self, listener: TcpListener, mut stop: watch::Receiver<bool>) {
        let (challenges, stopping) = (Challenges::default(), stop.clone());
        tokio::select! {
            _ = stop.wait_for(|stops| *stops) => {}
            () = challenges.serve(listener, stopping) => {}
            () = self.renew(&challenges) => {}
        }
    }

    async fn renew(&self, challenges: &Challenges) {
        let mut wait = FIRST;
        loop {
            let due = due(&Acme::certificate(&self.data), &self.acme.domains);
            let left = due.map_or(0, |due| due.unix().saturating_sub(now().unix()));
            if let Ok(left @ 1..) = u64::try_from(left) {
                tokio::time::sleep(Duration::from_secs(left.min(NAP))).await;
                continue;
            }
            match self.once(challenges).await {
                Ok(()) => {
                    wait = FIRST;
                    self.tracer.note(now(), &format!("ACME: a certificate for {} is in place", self.acme.domains.join(", ")));
                    // what came of it is noted there
                    let _ = self.reloader.reload().await;
                }
                Err(why) => {
                    let text =
                        format!("no certificate from {}, tried again in {} minutes – {why}", self.acme.directory, wait / 60);
                    self.tracer.note(now(), &format!("ACME: {text}"));
                    // where it cannot be written, the note stands alone
                    let _ = files::write(&Acme::failure(&self.data), format!("{} {text}\n", now()).as_bytes());
                    let mut lot = [0; 1];
                    files::random_name(&mut lot);
                    let [lot] = lot;
                    // up to a quarter more: servers that failed together do not come back together
                    let more = wait.saturating_mul(u64::from(lot)) / 1024;
                    tokio::time::sleep(Duration::from_secs(wait.saturating_add(more))).await;
                    wait = wait.saturating_mul(2).min(LONGEST);
                }
            }
        }
    }

    async fn once(&self, challenges: &Challenges) -> Result<(), String> {
        let told = |error: crate::keys::Error| error.to_string();
        files::make_folder(&self.data.join("acme")).map_err(told)?;
        let ordered = order::certificate(&self.acme, &self.data, challenges).await;
        challenges.forget();
        let (chain, key) = ordered?;
        files::write_parts(&Acme::certificate(&self.data), &[chain.as_bytes(), b"\n", key.expose()]).map_err(told)?;
        match std::fs::remove_file(Acme::failure(&self.data)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.to_string()),
            _ => Ok(()),
        }
    }
}

/// When another certificate is ordered; `None` where there is none that is for all these names.
fn due(file: &Path, domains: &[String]) -> Option<Timestamp> {
    let own = pki::load::certificates(&std::fs::read(file).ok()?).ok()?.into_iter().next()?;
    let names = own.dns_names();
    let is_named = |domain: &String| names.iter().any(|name| name.eq_ignore_ascii_case(domain));
    domains.iter().all(is_named).then(|| renewal(&own))
}

/// At two thirds of its life, and up to a twenty-fourth later, by a lot that the certificate itself is: the same after each start.
fn renewal(certificate: &Certificate) -> Timestamp {
    let life = certificate.not_after().unix().saturating_sub(certificate.not_before().unix());
    let lot = certificate.fingerprint().first().copied().map_or(0, i64::from);
    certificate.not_before().plus_seconds((life / 3).saturating_mul(2).saturating_add((life / 24).saturating_mul(lot) / 256))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_at_two_thirds_of_its_life() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("certs/alice.pem");
        let own = pki::load::certificates(&std::fs::read(&path).expect("read")).expect("one").swap_remove(0);
        let life = own.not_after().unix() - own.not_before().unix();
        let at = renewal(&own).unix() - own.not_before().unix();
        assert!((life / 3 * 2..life / 3 * 2 + life / 24).contains(&at), "{at} of {life}");
        assert_eq!(due(&path, &["mail.a.example".to_owned()]), None, "it is for another name");
        assert_eq!(due(Path::new("/none"), &[]), None);
        assert_eq!(due(&path, &[]), Some(renewal(&own)));
    }
}
