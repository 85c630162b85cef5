//! Looks for what questions lack, round after round: what comes may show what else is missing.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use sealpost::asn1::pem;
use sealpost::http::{Answer, Url};
use sealpost::keys::cache::{Cache, Kept, Kind};
use sealpost::limits::{Budget, LimitReached};
use sealpost::mime::transfer::encode_base64;
use sealpost::pki::ocsp::{Request, Response};
use sealpost::pki::{self, Certificate, ChainStatus, Crl, Had, Inquiry, Name, Wanted, What};
use sealpost::smime::{Code, Finding};
use sealpost::time::Timestamp;

use crate::cli::context::Context;
use crate::cli::online::Got;
use crate::cli::online::client::{Ask, Client, Failed};

/// Bytes of an encoded request that still go into a URL, where caches on the way may answer (RFC 5019 5, RFC 6960 A.1).
const IN_URL: usize = 255;

/// Characters of a place that are shown. 300: two lines and a half; certificates are free to hold a megabyte.
const SHOWN: usize = 300;

/// Seconds by which the clock of a responder may be ahead. 300: what OpenSSL allows.
const SKEW: i64 = 300;

/// Why an issuer is not asked for.
const WITHHELD: &str = "the missing issuer is not asked for – its place stands in a message that was decrypted without a tag, and whoever \
    changed that on the way could be told what is in it";

/// One search, for one command.
pub(super) struct Search<'c> {
    context: &'c Context,
    cache: Option<Cache>,
    client: Option<Client<'c>>,
    issuer_urls: Budget,
    /// What asking again may still try.
    checks: &'c RefCell<Budget>,
    /// How far each thing was looked for.
    looked: HashMap<Sought, Looked>,
    /// URLs that were asked, whatever for.
    asked: HashSet<(Class, String)>,
    got: Got,
    /// Those who stand in a path to an anchor that holds.
    authorities: Vec<Certificate>,
    /// What was fetched in this round, and is kept where it turns out to be of use.
    fetched: Vec<Fetched>,
    /// What could not be had, by what it was for.
    failures: Vec<(Vec<u8>, Class, String)>,
}

/// What was fetched for something, from a place.
struct Fetched {
    wanted: Wanted,
    place: String,
    content: Content,
}

/// What is sought: of which certificate, which of its places.
type Sought = (Vec<u8>, Class, Vec<String>);

/// What a wanted thing is for: of one certificate one of each is looked for at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Class {
    Issuer,
    Response,
    List,
    Delta,
}

impl Class {
    fn of(what: &What) -> Self {
        match what {
            What::Issuer => Self::Issuer,
            What::Response(_) => Self::Response,
            What::List => Self::List,
            What::Delta => Self::Delta,
        }
    }

    /// What it answers: lists and responses answer the same.
    fn answers(self) -> Self {
        if self == Self::Response { Self::List } else { self }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Issuer => "the issuer's certificate",
            Self::Response => "the OCSP response",
            Self::List => "the revocation list",
            Self::Delta => "the delta revocation list",
        }
    }

    const fn kind(self) -> Kind {
        match self {
            Self::Issuer => Kind::Issuer,
            Self::Response => Kind::Response,
            Self::List | Self::Delta => Kind::List,
        }
    }
}

/// How far a thing was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looked {
    InCache,
    Everywhere,
}

/// Why a place gave nothing of use.
enum Why {
    /// A bound of the command was reached: no other place is asked.
    Limit(LimitReached),
    /// For what it is or did itself.
    Other(String),
}

impl From<Failed> for Why {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Limit(limit) => Self::Limit(limit),
            other => Self::Other(other.to_string()),
        }
    }
}

/// What a file turned out to hold.
#[derive(Clone)]
enum Content {
    Issuers(Vec<Certificate>),
    Lists(Vec<Crl>),
    Response(Box<Response>),
}

impl<'c> Search<'c> {
    pub(super) fn new(
        context: &'c Context,
        cache: Option<Cache>,
        client: Option<Client<'c>>,
        checks: &'c RefCell<Budget>,
    ) -> Self {
        let issuer_urls = Budget::new("fetched issuer urls", context.limits.fetched_issuer_urls);
        let (looked, asked, got) = (HashMap::new(), HashSet::new(), Got::default());
        Self {
            context,
            cache,
            client,
            issuer_urls,
            checks,
            looked,
            asked,
            got,
            authorities: Vec::new(),
            fetched: Vec::new(),
            failures: Vec::new(),
        }
    }

    pub(super) fn run(mut self, inquiries: &[Inquiry]) -> Got {
        let mut rounds = Budget::new("fetch rounds", self.context.limits.fetch_rounds);
        let mut wanted = self.wanted(inquiries);
        loop {
            if let Err(limit) = rounds.spend(1u64) {
                self.got.findings.push(Finding::warning(Code::NotFetched, limit.to_string()));
                break;
            }
            if self.checks.borrow().is_spent() {
                break;
            }
            let is_something_new = self.round(&wanted);
            wanted = self.wanted(inquiries);
            let fetched = std::mem::take(&mut self.fetched);
            // who was not asked again does not say what is of use
            if self.checks.borrow().is_spent() {
                break;
            }
            for fetched in fetched {
                self.keep_if_of_use(fetched, &wanted);
            }
            if !is_something_new {
                break;
            }
        }
        // what another place gave in the end is no news
        for (about, class, text) in std::mem::take(&mut self.failures) {
            let told = if is_lacking(&wanted, &about, class) { Finding::warning } else { Finding::info };
            self.got.findings.push(told(Code::NotFetched, text));
        }
        if self.client.is_some() && inquiries.iter().any(|inquiry| inquiry.withholds(&self.got.had)) {
            self.got.findings.push(Finding::warning(Code::NotFetched, WITHHELD).fix("--intermediates FILE"));
        }
        if let Some(cache) = self.cache.filter(|_| self.client.is_some()) {
            cache.tidy(self.context.now, &self.context.limits);
        }
        self.got
    }

    /// What helped is kept, in place of what was there. What did not may be anybody's: it takes no place, lest a forgery with a late date
    /// be taken for the newer one. Of two lists in one round either may have helped: what has the name of an authority of a path to an anchor
    /// must have its signature, and is then kept at once.
    fn keep_if_of_use(&mut self, fetched: Fetched, still: &[Wanted]) {
        let Fetched { wanted, place, content } = fetched;
        let class = Class::of(&wanted.what);
        let helped = || !is_lacking(still, &wanted.about.fingerprint(), class);
        let is_of_use = match &content {
            Content::Lists(lists) => lists.iter().all(|list| self.is_signed(list).unwrap_or_else(helped)),
            _ => helped(),
        };
        if is_of_use {
            self.keep(&wanted, &place, &content);
        }
    }

    /// Whether an authority of a path to an anchor signed a list that has its name; none where no such authority has this name.
    fn is_signed(&self, list: &Crl) -> Option<bool> {
        let mut of_name = self.authorities.iter().filter(|authority| authority.subject() == list.issuer()).peekable();
        of_name.peek()?;
        Some(of_name.any(|authority| authority.public_key().is_ok_and(|key| list.verify_signature(&key).is_ok())))
    }

    fn wanted(&mut self, inquiries: &[Inquiry]) -> Vec<Wanted> {
        let mut all: Vec<Wanted> = Vec::new();
        for inquiry in inquiries {
            let verdict = inquiry.ask(&self.got.had);
            let ended = self.checks.borrow_mut().spend(verdict.tried);
            if matches!(verdict.status, ChainStatus::Trusted | ChainStatus::Revoked) {
                for above in verdict.path.into_iter().skip(1) {
                    if !self.authorities.contains(&above) {
                        self.authorities.push(above);
                    }
                }
            }
            for one in verdict.wanted {
                if !all.contains(&one) {
                    all.push(one);
                }
            }
            if let Err(limit) = ended {
                self.got.findings.push(Finding::warning(Code::NotFetched, limit.to_string()));
                break;
            }
        }
        all
    }

    /// Looks for the first of each certificate that may still be found; whether anything came.
    fn round(&mut self, wanted: &[Wanted]) -> bool {
        let mut served: HashSet<(Vec<u8>, Class)> = HashSet::new();
        for one in wanted {
            let place = (one.about.fingerprint(), Class::of(&one.what).answers());
            if !served.contains(&place) && self.serve(one) {
                served.insert(place);
            }
        }
        !served.is_empty()
    }

    /// Looks for one thing, first in the cache; whether something new came.
    fn serve(&mut self, wanted: &Wanted) -> bool {
        let class = Class::of(&wanted.what);
        let sought = (wanted.about.fingerprint(), class, wanted.places.clone());
        match self.looked.get(&sought) {
            None => {
                let mut fresh = self.kept(wanted);
                fresh.retain(|kept| kept.is_fresh(self.context.now));
                // what changed since is not asked again so soon
                let is_end = class == Class::Delta && !fresh.is_empty();
                self.looked.insert(sought.clone(), if is_end { Looked::Everywhere } else { Looked::InCache });
                if self.take_kept(class, fresh) || is_end {
                    return true;
                }
            }
            Some(Looked::InCache) => {}
            Some(Looked::Everywhere) => return false,
        }
        // where it turns out to be of no use, the next place is asked the next time
        if self.fetch(wanted) {
            return true;
        }
        self.looked.insert(sought, Looked::Everywhere);
        // what is old still tells of those revoked then
        let kept = self.kept(wanted);
        self.take_kept(class, kept)
    }

    /// What the cache has of it.
    fn kept(&self, wanted: &Wanted) -> Vec<Kept> {
        let Some(cache) = &self.cache else { return Vec::new() };
        match &wanted.what {
            What::Response(request) => cache.get(Kind::Response, &name_of(request)).into_iter().collect(),
            What::List if wanted.places.is_empty() => cache.lists_of(wanted.about.issuer(), &self.context.limits),
            what => wanted.places.iter().filter_map(|place| cache.get(Class::of(what).kind(), place)).collect(),
        }
    }

    fn take_kept(&mut self, class: Class, kept: Vec<Kept>) -> bool {
        let mut is_new = false;
        for Kept { bytes, fetched, name, .. } in kept {
            let from = if class == Class::Response { String::new() } else { format!(" from {name}") };
            let Ok(content) = self.read(class, bytes) else { continue };
            is_new |= self.take_known(class, content, &format!("{fetched}{from}"));
        }
        is_new
    }

    /// Has at hand what the cache held; whether it was not before.
    fn take_known(&mut self, class: Class, content: Content, fetched: &str) -> bool {
        let is_new = self.take(content);
        if is_new {
            let text = format!("{} is from the home's cache – fetched on {fetched}", class.name());
            self.got.findings.push(Finding::info(Code::Fetched, text));
        }
        is_new
    }

    /// Asks the places one after another, until one gives something.
    fn fetch(&mut self, wanted: &Wanted) -> bool {
        if self.client.is_none() {
            return false;
        }
        let class = Class::of(&wanted.what);
        for place in &wanted.places {
            if !self.asked.insert((class, place_of(wanted, place))) {
                continue;
            }
            match self.fetch_from(wanted, place) {
                Ok(content) => {
                    if let Some((known, fetched)) = self.newer(wanted, place, &content) {
                        let text =
                            format!("{} of {} that came from {place} is older than one known", class.name(), about(wanted));
                        self.failures.push((wanted.about.fingerprint(), class, text));
                        // where what is kept turns out to be a forgery with a late date, what came still counts; the later word of two that were
                        // signed wins
                        let is_new = self.take(content);
                        return is_new | self.take_known(class, known, &format!("{fetched} from {place}"));
                    }
                    let size = content.bytes().len();
                    let fetched = Fetched { wanted: wanted.clone(), place: place.clone(), content: content.clone() };
                    self.fetched.push(fetched);
                    if self.take(content) {
                        let text = format!("{} of {} was fetched from {place} – {size} bytes", class.name(), about(wanted));
                        self.got.findings.push(Finding::info(Code::Fetched, text));
                        return true;
                    }
                }
                Err(Why::Limit(limit)) => {
                    let told = Finding::warning(Code::NotFetched, limit.to_string());
                    if !self.got.findings.contains(&told) {
                        self.got.findings.push(told);
                    }
                    return false;
                }
                Err(Why::Other(why)) => {
                    let (name, about, place) = (class.name(), about(wanted), shown(place));
                    let text = format!("{name} of {about} could not be had from {place} – {why}");
                    self.failures.push((wanted.about.fingerprint(), class, text));
                }
            }
        }
        false
    }

    /// What the cache has and when it was fetched, where it is a later list of the same issuer, or a later answer about the same certificate:
    /// whoever gives an old one again may do so for what it does not say.
    fn newer(&self, wanted: &Wanted, place: &str, content: &Content) -> Option<(Content, Timestamp)> {
        let cache = self.cache.as_ref()?;
        match (content, &wanted.what) {
            (Content::Lists(lists), _) => {
                let (list, kept) = (lists.first()?, cache.get(Kind::List, place)?);
                let known = pki::load::crls(kept.bytes).ok()?;
                let is_later = |known: &Crl| known.issuer() == list.issuer() && known.this_update() > list.this_update();
                known.first().is_some_and(is_later).then_some((Content::Lists(known), kept.fetched))
            }
            (Content::Response(response), What::Response(request)) => {
                let kept = cache.get(Kind::Response, &name_of(request))?;
                let known = Response::from_der(&kept.bytes, &self.context.limits).ok()?;
                let (old, new) = (made(&known, request)?, made(response, request)?);
                // a date that has not come is no later answer: its maker's clock is wrong
                let is_later = old > new && old.0 <= self.context.now.plus_seconds(SKEW);
                is_later.then(|| (Content::Response(Box::new(known)), kept.fetched))
            }
            _ => None,
        }
    }

    fn fetch_from(&mut self, wanted: &Wanted, place: &str) -> Result<Content, Why> {
        let class = Class::of(&wanted.what);
        let url = Url::parse(place).map_err(|e| Why::Other(e.to_string()))?;
        if class == Class::Issuer {
            self.issuer_urls.spend(1u64).map_err(Why::Limit)?;
        }
        let limits = &self.context.limits;
        let Some(client) = &mut self.client else { return Err(Why::Other("nobody may be asked".to_owned())) };
        if let What::Response(request) = &wanted.what {
            return ask_responder(client, &url, request, limits);
        }
        let most = if class == Class::Issuer { limits.fetched_issuer_bytes } else { limits.fetched_list_bytes };
        let Answer { media_type, body, .. } = client.ask(&url, Ask::Get, most)?;
        // these very bytes: a large list is in memory once
        self.read(class, body).map_err(|why| Why::Other(unreadable(&media_type, &why)))
    }

    fn read(&self, class: Class, bytes: Vec<u8>) -> Result<Content, String> {
        let limits = &self.context.limits;
        match class {
            Class::Issuer => {
                let mut found = pki::load::certificates(&bytes).map_err(|e| e.to_string())?;
                found.truncate(limits.fetched_issuers);
                if found.is_empty() { Err("it holds no certificate".to_owned()) } else { Ok(Content::Issuers(found)) }
            }
            Class::List | Class::Delta => {
                let found = pki::load::crls(bytes).map_err(|e| e.to_string())?;
                if found.is_empty() { Err("it holds no revocation list".to_owned()) } else { Ok(Content::Lists(found)) }
            }
            Class::Response => {
                let response = Response::from_der(&bytes, limits).map_err(|e| e.to_string())?;
                Ok(Content::Response(Box::new(response)))
            }
        }
    }

    /// Has it at hand; whether it was not before.
    fn take(&mut self, content: Content) -> bool {
        let Had { issuers, lists, responses } = &mut self.got.had;
        let before = (issuers.len(), lists.len(), responses.len());
        match content {
            Content::Issuers(found) => found.into_iter().for_each(|one| {
                if !issuers.contains(&one) {
                    issuers.push(one);
                }
            }),
            Content::Lists(found) => found.into_iter().for_each(|one| {
                if !lists.iter().any(|known| known.der() == one.der()) {
                    lists.push(one);
                }
            }),
            Content::Response(one) => {
                if !responses.iter().any(|known| known.der() == one.der()) {
                    responses.push(*one);
                }
            }
        }
        before != (issuers.len(), lists.len(), responses.len())
    }

    /// Keeps in the cache what may be of use again. A cache that cannot be written is no reason to stop.
    fn keep(&mut self, wanted: &Wanted, place: &str, content: &Content) {
        let bytes = content.bytes();
        let Some(cache) = &self.cache else { return };
        let now = self.context.now;
        let (kind, name, issuer, next): (Kind, String, Option<&Name>, Option<Timestamp>) = match (content, &wanted.what) {
            (Content::Response(response), What::Response(request)) => {
                let answer =
                    response.content().ok().and_then(|basic| basic.answers().iter().find(|answer| answer.id == *request.id()));
                // a refusal, or what was said of others, answers nothing the next time
                let Some(answer) = answer else { return };
                (Kind::Response, name_of(request), None, answer.next_update)
            }
            (Content::Lists(lists), _) => {
                let next = lists.iter().filter_map(Crl::next_update).min();
                (Kind::List, place.to_owned(), lists.first().map(Crl::issuer), next)
            }
            (Content::Issuers(_), _) => (Kind::Issuer, place.to_owned(), None, None),
            (Content::Response(_), _) => return,
        };
        if let Err(error) = cache.put(kind, &name, issuer, &bytes, (now, next)) {
            let text = format!("{} was not kept in the home's cache – {error}", Class::of(&wanted.what).name());
            self.got.findings.push(Finding::info(Code::Fetched, text));
        }
    }
}

impl Content {
    /// It in a form that is read again: as it came where it is one thing, which is so of large ones, else as PEM.
    fn bytes(&self) -> Cow<'_, [u8]> {
        let together = |label: &str, all: &mut dyn Iterator<Item = &[u8]>| {
            Cow::Owned(all.map(|der| pem::encode(label, der)).collect::<String>().into_bytes())
        };
        match self {
            Self::Response(response) => Cow::Borrowed(response.der()),
            Self::Lists(lists) => match lists.as_slice() {
                [one] => Cow::Borrowed(one.der()),
                all => together("X509 CRL", &mut all.iter().map(Crl::der)),
            },
            Self::Issuers(issuers) => match issuers.as_slice() {
                [one] => Cow::Borrowed(one.der()),
                all => together("CERTIFICATE", &mut all.iter().map(Certificate::der)),
            },
        }
    }
}

/// When what a response says of the certificate was so, and when the response was made.
fn made(response: &Response, request: &Request) -> Option<(Timestamp, Timestamp)> {
    let basic = response.content().ok()?;
    let answer = basic.answers().iter().find(|answer| answer.id == *request.id())?;
    Some((answer.this_update, basic.produced_at()))
}

/// Asks a responder: in the URL where that is short enough, which caches on the way may answer; else, and where that fails, in a body.
fn ask_responder(
    client: &mut Client<'_>,
    url: &Url,
    request: &Request,
    limits: &sealpost::limits::Limits,
) -> Result<Content, Why> {
    let der = request.to_der();
    let most = limits.fetched_response_bytes;
    let read = |answer: Answer| match Response::from_der(&answer.body, limits) {
        Ok(response) => Ok(Content::Response(Box::new(response))),
        Err(error) => Err(Why::Other(unreadable(&answer.media_type, &error.to_string()))),
    };
    let encoded: String = String::from_utf8_lossy(&encode_base64(&der)).split_whitespace().collect();
    let in_url = url.below(&encoded);
    if in_url.target().len().saturating_sub(url.target().len()) < IN_URL {
        match client.ask(&in_url, Ask::Get, most) {
            Ok(answer) => {
                if let Ok(found) = read(answer) {
                    return Ok(found);
                }
            }
            // it is there, and does not know this form
            Err(Failed::Status(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let answer = client.ask(url, Ask::Post("application/ocsp-request", &der), most)?;
    read(answer)
}

/// Why what came is nothing of use. What a server calls it is a hint only: many lists come as text, and many error pages with status 200.
fn unreadable(media_type: &str, why: &str) -> String {
    match media_type {
        "text/html" | "application/xhtml+xml" => "the server gives a web page instead".to_owned(),
        "" => format!("what came cannot be read: {why}"),
        other => format!("what came, {other}, cannot be read: {why}"),
    }
}

/// Whether something of this kind is wanted for a certificate.
fn is_lacking(wanted: &[Wanted], about: &[u8], class: Class) -> bool {
    wanted.iter().any(|one| one.about.fingerprint() == about && Class::of(&one.what).answers() == class.answers())
}

/// The name of a response in the cache: the certificate that was asked about.
fn name_of(request: &Request) -> String {
    let der = request.to_der();
    String::from_utf8_lossy(&encode_base64(&der)).split_whitespace().collect()
}

/// A place as far as it differs by what is asked of it: a responder is asked about each certificate.
fn place_of(wanted: &Wanted, place: &str) -> String {
    match &wanted.what {
        What::Response(request) => format!("{place} {}", name_of(request)),
        _ => place.to_owned(),
    }
}

/// A place as far as a person reads it: one that is asked is shorter.
fn shown(place: &str) -> String {
    match place.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", place.get(..end).unwrap_or_default()),
        None => place.to_owned(),
    }
}

/// Whose list, response or certificate it is, in words.
fn about(wanted: &Wanted) -> String {
    match wanted.what {
        What::Issuer | What::List | What::Delta => wanted.about.issuer().to_string(),
        What::Response(_) => wanted.about.to_string(),
    }
}
