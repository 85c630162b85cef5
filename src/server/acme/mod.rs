//! The server's certificate from an authority that speaks ACME (RFC 8555): ordered, put in place, renewed.
//!
//! Uses: config, reload, trace; pki and keys (files). The only room that names `instant-acme`.
//! Holds always: the certificate in use stays until another one is on disk whole, with its key; who fails waits longer each time.

mod answer;
mod order;
mod schedule;

use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::keys::files;
use crate::pki::{self, Certificate};
use crate::server::acme::answer::Challenges;
use crate::server::acme::schedule::{Next, Schedule};
use crate::server::config::Acme;
use crate::server::drive::now;
use crate::server::reload::Reloader;
use crate::server::trace::Tracer;
use crate::time::Timestamp;

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
        let mut schedule = Schedule::new();
        loop {
            let own = own(&Acme::certificate(&self.data));
            let due = own.as_ref().and_then(|own| due(own, &self.acme.domains));
            if let Next::Nap(wait) = schedule::next(due, now()) {
                tokio::time::sleep(wait).await;
                continue;
            }
            match self.once(challenges).await {
                Ok(()) => {
                    schedule.succeeded();
                    self.tracer.note(now(), &format!("ACME: a certificate for {} is in place", self.acme.domains.join(", ")));
                    // what came of it is noted there
                    let _ = self.reloader.reload().await;
                }
                Err(why) => {
                    let mut lot = [0; 1];
                    files::random_name(&mut lot);
                    let [lot] = lot;
                    let wait = schedule.failed(lot);
                    let (from, minutes) = (&self.acme.directory, wait.as_secs() / 60);
                    let stays =
                        own.map_or_else(String::new, |own| format!("the one of before stays, until {}; ", own.not_after()));
                    let text = format!("no certificate from {from}, {stays}tried again in {minutes} minutes – {why}");
                    self.tracer.warn(now(), &format!("ACME: {text}"));
                    // where it cannot be written, the note stands alone
                    let _ = files::write(&Acme::failure(&self.data), format!("{} {text}\n", now()).as_bytes());
                    tokio::time::sleep(wait).await;
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

/// The certificate that an authority gave, where there is one.
fn own(file: &Path) -> Option<Certificate> {
    pki::load::certificates(&std::fs::read(file).ok()?).ok()?.into_iter().next()
}

/// When another certificate is ordered; `None` where this one is not for all these names.
fn due(own: &Certificate, domains: &[String]) -> Option<Timestamp> {
    let names = own.dns_names();
    let is_named = |domain: &String| names.iter().any(|name| name.eq_ignore_ascii_case(domain));
    domains.iter().all(is_named).then(|| schedule::renewal(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_at_two_thirds_of_its_life() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("certs/alice.pem");
        let own = own(&path).expect("one");
        let life = own.not_after().unix() - own.not_before().unix();
        let renewal = schedule::renewal(&own);
        let at = renewal.unix() - own.not_before().unix();
        assert!((life / 3 * 2..life / 3 * 2 + life / 24).contains(&at), "{at} of {life}");
        assert_eq!(due(&own, &["mail.a.example".to_owned()]), None, "it is for another name");
        assert_eq!(due(&own, &[]), Some(renewal));
        assert!(super::own(Path::new("/none")).is_none());
    }
}
