//! Answers about the authority's certificates over OCSP (RFC 6960, 5019, 9654).
//!
//! Uses: what the authority knows of its certificates (`states`). Never: sockets, the authority's own keys when it answers.
//! Holds always: what an answer says is what the authority knows at that moment, whatever was signed before; of what was never given
//! out nothing good is said; what costs a signature is counted, and beyond some of them a second the client is told to come later.

mod delegate;
mod presigned;
mod request;
mod response;
mod states;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

pub(in crate::ca) use delegate::Delegate;
pub use presigned::Tally;
pub use request::Asked;
pub use states::{Folder, Known, States};

use crate::ca::records::Records;
use crate::ca::store;
use crate::ca::{Error, Issuer};
use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::random::Random;
use crate::keys::{Identity, files};
use crate::limits::Limits;
use crate::pki::Certificate;
use crate::pki::ocsp::{Refusal, Status};
use crate::time::Timestamp;
use presigned::Presigned;
use response::{IssuerHashes, Single};

/// The digests by which an issuer may be named; of others anyone can find a second.
const DIGESTS: [DigestAlgorithm; 4] =
    [DigestAlgorithm::Sha1, DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512];
/// Seconds for which an answer holds: a week, as a list. CA/B Forum S/MIME BR 4.9.10 allows ten days.
const VALIDITY: i64 = 7 * 86_400;
/// Seconds for which it holds that a certificate is not known: the 8 hours that BR 4.9.10 asks for at least.
const UNKNOWN_VALIDITY: i64 = 8 * 3600;
/// Signatures a second at most, for what was not signed before: some percent of one processor.
const SIGNATURES: u32 = 500;
/// Signatures a second beside these for what was revoked since the answers were signed: who asks about many at once, or about what was
/// never given out, must not keep that from others. It is kept, and not signed again.
const RESERVED: u32 = 100;
/// Answers that are kept which were signed when they were asked for. Each has some 1.5 KiB.
const KEPT: usize = 4_096;
/// Answers at most that are not right any more before all are looked at again: those who answer sign so many in two seconds, once.
const CHANGED: usize = 1_000;
/// The issuers that answer over OCSP.
pub(in crate::ca) const ISSUERS: [Issuer; 2] = [Issuer::Mail, Issuer::Servers];

/// What is done with a nonce (RFC 9654).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Nonces {
    /// It is left out, so that what was signed before can be given (RFC 5019 4, RFC 9654 2.1).
    #[default]
    Ignored,
    /// It is answered, with a signature for each request; beyond as many as are made in a second, it is left out where the answer was signed
    /// before.
    Answered,
}

/// From when until when an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// When this was known.
    pub this_update: Timestamp,
    /// When more will be known.
    pub next_update: Timestamp,
}

/// An answer as it is sent.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The encoded OCSPResponse.
    pub der: Arc<[u8]>,
    /// How long it holds; none where it tells nothing, and where it was made for one request alone.
    pub fresh: Option<Freshness>,
    /// What went wrong here, for those who keep the server.
    pub trouble: Option<String>,
}

impl Reply {
    fn refused(why: Refusal) -> Self {
        Self { der: response::refused(why).into(), fresh: None, trouble: None }
    }
}

/// Answers for an authority, with what was signed before and with the keys of its responders.
#[derive(Debug)]
pub struct Responder {
    counters: Vec<Counter>,
    states: Box<dyn States>,
    nonces: Nonces,
    random: Mutex<Box<dyn Random + Send>>,
    live: Mutex<Live>,
    limits: Limits,
}

impl std::fmt::Debug for dyn Random + Send {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Random")
    }
}

/// Where one issuer's questions are answered.
#[derive(Debug)]
struct Counter {
    by: Issuer,
    certificate: Certificate,
    issuer: IssuerHashes,
    delegate: Watched<Delegate>,
    presigned: Watched<Presigned>,
}

/// What was signed in the present second, and what is kept of it.
#[derive(Debug)]
struct Live {
    second: Timestamp,
    signed: u32,
    kept: HashMap<(usize, DigestAlgorithm, Vec<u8>), (Status, Reply)>,
}

impl Responder {
    /// Opens the responders of the authority in a folder; no passphrase is needed. `states` says what is known of its certificates.
    pub fn open(folder: &Path, states: Box<dyn States>, nonces: Nonces, random: Box<dyn Random + Send>) -> Result<Self, Error> {
        let counter = |by: &Issuer| -> Result<Counter, Error> {
            let certificate = store::read_certificate(&folder.join(format!("{}.pem", by.name())))?;
            let (delegate, presigned) = (Watched::new(delegate_file(folder, *by)), Watched::new(answers_file(folder, *by)));
            Ok(Counter { by: *by, issuer: IssuerHashes::new(&certificate)?, certificate, delegate, presigned })
        };
        let counters = ISSUERS.iter().map(counter).collect::<Result<_, _>>()?;
        let live = Live { second: Timestamp::from_unix(0), signed: 0, kept: HashMap::new() };
        let (random, live) = (Mutex::new(random), Mutex::new(live));
        Ok(Self { counters, states, nonces, random, live, limits: Limits::default() })
    }

    /// Until when the responders' certificates are good, the first that ends; none where one is missing.
    pub fn good_until(&self) -> Result<Option<Timestamp>, Error> {
        let ends = self.counters.iter().map(|counter| Ok(counter.delegate()?.map(|found| found.certificate().not_after())));
        Ok(ends.collect::<Result<Option<Vec<_>>, Error>>()?.and_then(|ends| ends.into_iter().min()))
    }

    /// Answers an encoded request.
    pub fn respond(&self, request: &[u8], at: Timestamp) -> Reply {
        let Ok(asked) = Asked::from_der(request, &self.limits) else { return Reply::refused(Refusal::MalformedRequest) };
        self.answer(&asked, at)
            .unwrap_or_else(|error| Reply { trouble: Some(error.to_string()), ..Reply::refused(Refusal::InternalError) })
    }

    fn answer(&self, asked: &Asked, at: Timestamp) -> Result<Reply, Error> {
        // who signs may speak for one issuer, so one answer cannot tell about certificates of two
        let is_asked = |counter: &Counter| asked.questions.iter().all(|question| counter.issuer.is_asked_by(question));
        let Some(which) = self.counters.iter().position(is_asked) else { return Ok(Reply::refused(Refusal::Unauthorized)) };
        let Some(counter) = self.counters.get(which) else { return Ok(Reply::refused(Refusal::Unauthorized)) };
        let nonce = asked.nonce.as_deref().filter(|_| self.nonces == Nonces::Answered);
        let mut about = Vec::with_capacity(asked.questions.len());
        for question in &asked.questions {
            let status = self.states.state(counter.by, &question.serial)?;
            about.push((question.digest.unwrap_or(DigestAlgorithm::Sha1), question.serial.clone(), status));
        }
        if nonce.is_some()
            && let Some(reply) = self.sign((which, counter), &about, nonce, at)?
        {
            return Ok(reply);
        }
        let late = || Reply::refused(Refusal::TryLater);
        let [(digest, serial, status)] = about.as_slice() else {
            let signed = if nonce.is_some() { None } else { self.sign((which, counter), &about, None, at)? };
            return Ok(signed.unwrap_or_else(late));
        };
        let before = || counter.signed_before(*digest, serial, *status, at);
        let kept = || self.kept(&(which, *digest, serial.clone()), *status, at);
        // what cannot be read of what was signed before is signed anew
        let (found, trouble) = match before() {
            Ok(found) => (found.or_else(kept), None),
            Err(error) => (kept(), Some(error.to_string())),
        };
        let reply = match found {
            Some(reply) => reply,
            None => self.sign((which, counter), &about, None, at)?.unwrap_or_else(late),
        };
        Ok(Reply { trouble: trouble.or(reply.trouble.clone()), ..reply })
    }

    /// None where too much was signed in this second.
    fn sign(
        &self,
        (which, counter): (usize, &Counter),
        about: &[(DigestAlgorithm, Vec<u8>, Status)],
        nonce: Option<&[u8]>,
        at: Timestamp,
    ) -> Result<Option<Reply>, Error> {
        let delegate = counter.delegate()?.filter(|delegate| delegate.certificate().is_valid_at(at));
        let Some(delegate) = delegate else {
            let trouble = "no responder's certificate is good now – renew them: `sealpost ca publish`".to_owned();
            return Ok(Some(Reply { trouble: Some(trouble), ..Reply::refused(Refusal::TryLater) }));
        };
        let is_news = nonce.is_none() && matches!(about, [(_, _, Status::Revoked { .. })]);
        if !self.may_sign(if is_news { SIGNATURES.saturating_add(RESERVED) } else { SIGNATURES }, at) {
            return Ok(None);
        }
        let holds = if about.iter().any(|(_, _, status)| *status == Status::Unknown) { UNKNOWN_VALIDITY } else { VALIDITY };
        let fresh = Freshness { this_update: at, next_update: at.plus_seconds(holds).min(delegate.certificate().not_after()) };
        let Freshness { this_update, next_update } = fresh;
        let single = |(digest, serial, status): &(DigestAlgorithm, Vec<u8>, Status)| Single {
            digest: *digest,
            serial: serial.clone(),
            status: *status,
            this_update,
            next_update,
        };
        let singles: Vec<Single> = about.iter().map(single).collect();
        let tbs = response::to_be_signed(&counter.issuer, delegate.key_id(), &singles, nonce, at);
        let signature = delegate.sign(&tbs, held(&self.random).as_mut())?;
        let der = response::signed(&tbs, &delegate::algorithm(), &signature, delegate.certificate());
        let reply = Reply { der: der.into(), fresh: nonce.is_none().then_some(fresh), trouble: None };
        if let ([(digest, serial, status)], None) = (about, nonce)
            && *status != Status::Unknown
        {
            let mut live = held(&self.live);
            if live.kept.len() >= KEPT {
                live.kept.clear();
            }
            live.kept.insert((which, *digest, serial.clone()), (*status, reply.clone()));
        }
        Ok(Some(reply))
    }

    fn kept(&self, key: &(usize, DigestAlgorithm, Vec<u8>), status: Status, at: Timestamp) -> Option<Reply> {
        let live = held(&self.live);
        let (known, reply) = live.kept.get(key)?;
        (*known == status && reply.fresh.is_some_and(|fresh| at < fresh.next_update)).then(|| reply.clone())
    }

    fn may_sign(&self, most: u32, at: Timestamp) -> bool {
        let mut live = held(&self.live);
        if live.second != at {
            (live.second, live.signed) = (at, 0);
        }
        if live.signed >= most {
            return false;
        }
        live.signed = live.signed.saturating_add(1);
        true
    }
}

impl Counter {
    fn delegate(&self) -> Result<Option<Arc<Delegate>>, Error> {
        self.delegate.get(|path| Delegate::read(path, &self.certificate))
    }

    /// What was signed before, where it says what is known now and still holds.
    fn signed_before(&self, digest: DigestAlgorithm, serial: &[u8], now: Status, at: Timestamp) -> Result<Option<Reply>, Error> {
        let Some(presigned) = self.presigned.get(Presigned::open)? else { return Ok(None) };
        let found = presigned.find(serial)?.filter(|record| record.status == now && at < record.fresh.next_update);
        let Some(record) = found else { return Ok(None) };
        let answer = record.answer(digest, &self.issuer, &presigned.responder);
        Ok(answer.map(|der| Reply { der: der.into(), fresh: Some(record.fresh), trouble: None }))
    }
}

/// A file that is read again when another takes its place.
#[derive(Debug)]
struct Watched<T> {
    path: PathBuf,
    seen: Mutex<(Option<Mark>, Option<Arc<T>>)>,
}

/// How a file looked: its length, and when it was written.
type Mark = (u64, SystemTime);

impl<T> Watched<T> {
    fn new(path: PathBuf) -> Self {
        Self { path, seen: Mutex::new((None, None)) }
    }

    fn get(&self, read: impl FnOnce(&Path) -> Result<Option<T>, Error>) -> Result<Option<Arc<T>>, Error> {
        let mark = std::fs::metadata(&self.path).and_then(|file| Ok((file.len(), file.modified()?))).ok();
        let mut seen = held(&self.seen);
        if mark.is_none() || seen.0 != mark {
            *seen = (None, None);
            let found = read(&self.path)?.map(Arc::new);
            *seen = (mark, found);
        }
        Ok(seen.1.clone())
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn delegate_file(folder: &Path, by: Issuer) -> PathBuf {
    folder.join("responder").join(format!("{}.pem", by.name()))
}

fn answers_file(folder: &Path, by: Issuer) -> PathBuf {
    folder.join("responder").join(format!("{}.answers", by.name()))
}

/// The responder of an issuer, made anew where it is time; and whether it was.
pub(in crate::ca) fn delegate_of(
    folder: &Path,
    (by, identity): (Issuer, &Identity),
    at: Timestamp,
    random: &mut dyn Random,
) -> Result<(Delegate, Age), Error> {
    // one that cannot be read is as good as none
    let found = Delegate::read(&delegate_file(folder, by), identity.certificate()).ok().flatten();
    match found.filter(|delegate| delegate.is_fresh(at)) {
        Some(delegate) => Ok((delegate, Age::Old)),
        None => Ok((Delegate::issue(identity, at, random)?, Age::New)),
    }
}

/// Whether something was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ca) enum Age {
    Old,
    New,
}

/// Keeps a new responder.
pub(in crate::ca) fn keep(folder: &Path, by: Issuer, delegate: &Delegate) -> Result<(), Error> {
    files::make_folder(&folder.join("responder"))?;
    delegate.write(&delegate_file(folder, by))
}

/// Signs the answers about all that an issuer gave out, as far as those of before do not stand.
pub(in crate::ca) fn sign_before(
    folder: &Path,
    (by, issuer, events): (Issuer, &Certificate, u64),
    delegate: &Delegate,
    states: &dyn States,
    at: Timestamp,
    random: &mut dyn Random,
) -> Result<Tally, Error> {
    let known = states.all(by)?;
    presigned::write(&answers_file(folder, by), (&IssuerHashes::new(issuer)?, delegate), (known, events), at, random)
}

/// How many answers were signed before, where they stand but for a few: their responder and they are good for long enough, and no more
/// changed since than those who answer can sign when they are asked.
pub(in crate::ca) fn standing(
    folder: &Path,
    (by, identity): (Issuer, &Identity),
    records: &Records,
    at: Timestamp,
) -> Result<Option<usize>, Error> {
    let delegate = Delegate::read(&delegate_file(folder, by), identity.certificate()).ok().flatten();
    let Some(delegate) = delegate.filter(|delegate| delegate.is_fresh(at)) else { return Ok(None) };
    let Some(presigned) = Presigned::open(&answers_file(folder, by)).ok().flatten() else { return Ok(None) };
    let Some(events) = presigned.stands(&delegate, at) else { return Ok(None) };
    let mut changed = 0_usize;
    for change in records.changes()? {
        let (_, change) = change?;
        changed = changed.saturating_add(usize::from(change.by == by && change.line >= events));
    }
    Ok((changed <= CHANGED).then(|| presigned.count()))
}
