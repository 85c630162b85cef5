//! Many certificates at once: signed on every processor, synced to disk once.

use std::num::NonZeroUsize;

use crate::ca::records::{Records, Transaction};
use crate::ca::store::Store;
use crate::ca::{Authority, Error, Issuer, MailProfile, Request, Uses, escrow};
use crate::crypto::algorithm::KeyAlgorithm;
use crate::crypto::key::{PrivateKey, PublicKey};
use crate::crypto::random::{OsRandom, Random};
use crate::pki::Certificate;
use crate::time::Timestamp;

/// One certificate of a batch.
#[derive(Debug, Clone)]
pub struct Order {
    /// What it shall say.
    pub profile: MailProfile,
    /// Whose key.
    pub key: OrderKey,
}

/// The key of a certificate of a batch.
#[derive(Debug, Clone)]
pub enum OrderKey {
    /// Someone holds it.
    Public(PublicKey),
    /// It is made with the certificate.
    New(KeyAlgorithm),
    /// Whoever asks for the certificate holds it; [`Store::check_requests`] of the same store has looked at the request.
    Request(Box<Request>),
}

/// One certificate that was issued in a batch.
#[derive(Debug, Clone)]
pub struct Made {
    /// The certificate.
    pub certificate: Certificate,
    /// Its key, where it was made with it.
    pub key: Option<PrivateKey>,
}

impl Store {
    /// Issues many certificates; the results are in the order of the orders. Those that are refused do not hold up the others; all
    /// that are not are on disk when this gives back.
    ///
    /// Keys and signatures are made on every processor where the randomness is the system's.
    pub fn issue_all(&self, orders: &[Order], at: Timestamp, random: &mut dyn Random) -> Result<Vec<Result<Made, Error>>, Error> {
        let authority = self.authority();
        let mut made = if random.is_system() {
            in_parallel(orders, |order| make(authority, order, at, &mut OsRandom))
        } else {
            orders.iter().map(|order| make(authority, order, at, random)).collect()
        };
        let has_escrow = escrow::exists(self.folder());
        let mut records = self.locked();
        let seen = records.events();
        let mut turn = Transaction::begin(&mut records, at)?;
        if turn.records().events() != seen {
            self.check_again(turn.records(), orders, &mut made, at)?;
        }
        for (order, made) in orders.iter().zip(&made) {
            let Ok(made) = made else { continue };
            let (issued, whom) = ((&made.certificate, Issuer::Mail), order.profile.addresses.join(","));
            match &made.key {
                Some(key) if order.profile.uses == Uses::Encrypt && has_escrow => {
                    let offset = escrow::put(self.folder(), key, &made.certificate, random)?;
                    turn.certificate_with(issued, &whom, &[("escrow", offset.to_string())])?;
                }
                _ => turn.certificate("issue", issued, &whom)?,
            }
        }
        turn.commit()?;
        Ok(made)
    }

    /// Others wrote since the requests were looked at: a key may be somebody's by now, or be known as compromised.
    fn check_again(
        &self,
        records: &Records,
        orders: &[Order],
        made: &mut [Result<Made, Error>],
        at: Timestamp,
    ) -> Result<(), Error> {
        let requests = orders.iter().zip(made).filter_map(|(order, made)| match &order.key {
            OrderKey::Request(request) if made.is_ok() => Some(((&order.profile, request.as_ref()), made)),
            _ => None,
        });
        let (asked, mut made): (Vec<_>, Vec<_>) = requests.unzip();
        if asked.is_empty() {
            return Ok(());
        }
        for (place, error) in self.refused(records, &asked, at)? {
            if let Some(made) = made.get_mut(place) {
                **made = Err(error);
            }
        }
        Ok(())
    }
}

fn make(authority: &Authority, order: &Order, at: Timestamp, random: &mut dyn Random) -> Result<Made, Error> {
    let profile = &order.profile;
    match &order.key {
        OrderKey::Public(public) => Ok(Made { certificate: authority.issue(profile, public, at, random)?, key: None }),
        OrderKey::Request(request) => Ok(Made { certificate: authority.issue_request(profile, request, at, random)?, key: None }),
        OrderKey::New(algorithm) => {
            let key = PrivateKey::generate(*algorithm, random)?;
            let certificate = authority.issue(profile, key.public_key(), at, random)?;
            Ok(Made { certificate, key: Some(key) })
        }
    }
}

/// Does the same with each of many, in a thread for each processor; the results are in their order.
fn in_parallel<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let share = all.len().div_ceil(threads).max(1);
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            all.chunks(share).map(|share| scope.spawn(move || share.iter().map(work).collect::<Vec<R>>())).collect();
        let joined = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        joined.flatten().collect()
    })
}
