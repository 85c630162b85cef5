//! Tells other domains each day how TLS went with their servers (RFC 8460).
//!
//! Uses: the store (what was counted), outbound (where a domain wants to hear it, HTTPS), accounts (a place may be ours).
//! Holds always: a report goes to the places that the domain itself names, and to nobody else; of a message it says nothing; a day of a domain
//! is settled once, and where nobody can be asked now it is asked again.

mod report;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::proto::smtp::client::{RequireTls, Terms};
use crate::server::accounts::Accounts;
use crate::server::drive::now;
use crate::server::filter;
use crate::server::outbound::{Outbound, Place};
use crate::server::policy::Own;
use crate::server::store::{Delivery, Error, TlsResult};
use crate::server::trace::Tracer;
use crate::time::Timestamp;

use report::Report;

/// Sends reports.
#[derive(Clone)]
pub(in crate::server) struct Reports {
    hostname: String,
    accounts: Accounts,
    outbound: Arc<Outbound>,
    tracer: Tracer,
    /// Told when the queue has something new.
    wake: Arc<Notify>,
    /// Signs them: a report that nobody signed may be ignored (RFC 8460 3).
    own: Own,
}

impl std::fmt::Debug for Reports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reports({})", self.hostname)
    }
}

/// How often it is looked whether a day is over.
const POLL: Duration = Duration::from_secs(600);
/// RFC 8460 4.1: up to four hours after midnight, by lot, so that not all the world reports at once.
const SPREAD: i64 = 4 * 3600;
/// Days that are reported later, where nothing could be sent before.
const LATER: i64 = 3;
const DAY: i64 = 86_400;

impl Reports {
    /// Reports of this host.
    pub(in crate::server) fn new(
        hostname: &str,
        accounts: Accounts,
        outbound: Arc<Outbound>,
        (tracer, wake): (Tracer, Arc<Notify>),
        own: Own,
    ) -> Self {
        Self { hostname: hostname.to_owned(), accounts, outbound, tracer, wake, own }
    }

    /// Sends the reports of each day some time after its end, until the server stops.
    pub(in crate::server) async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut byte = [0; 1];
        crate::keys::files::random_name(&mut byte);
        let after = SPREAD / 256 * i64::from(byte.first().copied().unwrap_or_default());
        loop {
            let now = now();
            if now.unix().rem_euclid(DAY) >= after {
                for line in self.send(now).await {
                    self.tracer.note(now, &line);
                }
            }
            tokio::select! {
                _ = stop.wait_for(|stops| *stops) => return,
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// Sends what is due of the last days; gives a line for each domain.
    pub(in crate::server) async fn send(&self, now: Timestamp) -> Vec<String> {
        let today = now.unix().div_euclid(DAY);
        let mut told = Vec::new();
        for day in (today.saturating_sub(LATER)..today).rev() {
            let store = Arc::clone(self.accounts.store());
            match blocking(move || store.unreported(day)).await {
                Ok(domains) => {
                    for domain in domains {
                        told.push(match self.settle(day, &domain, now).await {
                            Ok(what) => format!("{domain}: {what}"),
                            Err(why) => format!("{domain}: its report waits – {why}"),
                        });
                    }
                }
                Err(error) => told.push(format!("how TLS went cannot be read – {error}")),
            }
        }
        told
    }

    /// One domain's report of a day.
    async fn settle(&self, day: i64, domain: &str, now: Timestamp) -> Result<String, String> {
        let places = self.outbound.report_places(domain).await?;
        let told = match places.is_empty() {
            true => "it wants no report".to_owned(),
            false => self.report(day, domain, &places, now).await?,
        };
        let (store, name) = (Arc::clone(self.accounts.store()), domain.to_owned());
        blocking(move || store.reported(day, &name)).await.map_err(|error| error.to_string())?;
        Ok(told)
    }

    /// To every place; an error where none has it now.
    async fn report(&self, day: i64, domain: &str, places: &[Place], now: Timestamp) -> Result<String, String> {
        let store = Arc::clone(self.accounts.store());
        let results = blocking(move || store.tls_results(day)).await.map_err(|error| error.to_string())?;
        let of_it: Vec<(TlsResult, u64)> = results.into_iter().filter(|(one, _)| one.domain == domain).collect();
        let report = Report::new(&self.hostname, (day, domain), &of_it);
        let (mut has_it, mut failed) = (Vec::new(), Vec::new());
        for place in places {
            let (name, sent) = match place {
                Place::Https(url) => (url, self.outbound.post(url, &report.gzip()).await),
                Place::Mail(address) => (address, self.mail(&report, address, now).await.map_err(|error| error.to_string())),
            };
            match sent {
                Ok(()) => has_it.push(name.clone()),
                Err(why) => failed.push(format!("{name} – {why}")),
            }
        }
        match has_it.is_empty() {
            true => Err(failed.join(", ")),
            false => Ok(format!("its report goes to {}", [has_it, failed].concat().join(", "))),
        }
    }

    async fn mail(&self, report: &Report, address: &str, now: Timestamp) -> Result<(), Error> {
        let message = self.own.signed(report.mail(address, now), now, &self.tracer);
        let (accounts, address) = (self.accounts.clone(), address.to_owned());
        let deliver = move || {
            let places = filter::places(&accounts, &address)?;
            // RFC 8460 3: a report that TLS fails arrives although TLS fails
            let terms = Terms { tls: RequireTls::Waived, ..Terms::default() };
            accounts.store().deliver(Delivery::from_nobody(message, places, terms, now))
        };
        blocking(deliver).await?;
        self.wake.notify_one();
        Ok(())
    }
}

/// Asks the store without holding up the others.
async fn blocking<T: Send + 'static>(ask: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(ask).await.unwrap_or_else(|error| Err(Error::Broken(error.to_string())))
}
