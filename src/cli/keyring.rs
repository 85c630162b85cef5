//! The keys, certificates and trust that a command uses: from the home and from files.

use std::path::{Path, PathBuf};

use clap::Args;

use sealpost::crypto::{self, key::PrivateKey};
use sealpost::keys::token::Uri;
use sealpost::keys::{self, Home, Identity, Seen, Stored, Unlocked};
use sealpost::pki::{self, Certificate, Crl, Inquiry, Revocation, TrustAnchors, email, ocsp};
use sealpost::smime::{Accept, Clock, Finding, Input, Open, Opened, Outcome, Trust, Verdict, check_recipient};

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::online::OnlineArgs;
use crate::cli::passphrase::Passphrase;
use crate::cli::{fix, input, remembered, report, token};

/// A key of one's own in files.
#[derive(Debug, Clone, Args)]
pub(crate) struct OwnKeyArgs {
    /// The key and its certificates in one PKCS#12 file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["cert", "key"])]
    p12: Option<PathBuf>,
    /// The certificate (PEM or DER)
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The private key (PEM or DER; PKCS#8, PKCS#1, SEC1), or the PKCS#11 URI of one on a token
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The certificates between the certificate and the root
    #[arg(long, value_name = "FILE", requires = "cert")]
    chain: Option<PathBuf>,
}

impl OwnKeyArgs {
    /// Whether a key is named, with or without its certificate.
    pub(crate) fn names_a_key(&self) -> bool {
        self.key.is_some()
    }

    /// Every identity of `--p12`, those that may sign first, or the one of `--cert` and `--key`.
    pub(crate) fn identities(&self, context: &Context) -> Result<Vec<Identity>, Failure> {
        if let Some(path) = &self.p12 {
            return read_identities(context, &path.display().to_string(), &input::file(path, &context.limits)?);
        }
        let Some(cert) = &self.cert else { return self.token_identity(context) };
        let mut certificates = certificates(context, cert)?.into_iter();
        let own = certificates.next().ok_or_else(|| Failure::refused(format!("{} holds no certificate", cert.display())))?;
        let key = match self.token()? {
            // the token is asked when the key has work
            Some(uri) => context.tokens().key(&uri, own.public_key().map_err(Failure::refused)?),
            None => self.private_key(context)?.ok_or_else(|| Failure::usage("--cert needs --key"))?,
        };
        let mut chain: Vec<Certificate> = certificates.collect();
        if let Some(path) = &self.chain {
            chain.extend(self::certificates(context, path)?);
        }
        let identity = Identity::new(key, own, chain)
            .map_err(|e| Failure::usage(format!("{} does not go with the key – {e}", cert.display())))?;
        Ok(vec![identity])
    }

    /// The key of a token with the token's certificate, where it holds that.
    fn token_identity(&self, context: &Context) -> Result<Vec<Identity>, Failure> {
        let Some(uri) = self.token()? else { return Ok(Vec::new()) };
        let found = token::find(&context.tokens(), &uri)?;
        Ok(found.identity().into_iter().collect())
    }

    /// The URI of `--key`, where it is one.
    fn token(&self) -> Result<Option<Uri>, Failure> {
        self.key.as_deref().map_or(Ok(None), token::uri)
    }

    /// The private key of `--key`.
    fn private_key(&self, context: &Context) -> Result<Option<PrivateKey>, Failure> {
        let Some(path) = &self.key else { return Ok(None) };
        if let Some(uri) = self.token()? {
            return token::find(&context.tokens(), &uri).map(|found| Some(found.key));
        }
        let bytes = input::file(path, &context.limits)?;
        let name = path.display().to_string();
        read_key(context, &name, &bytes).map(Some)
    }
}

/// Reads a private key; asks for the passphrase where it is locked.
fn read_key(context: &Context, name: &str, bytes: &[u8]) -> Result<PrivateKey, Failure> {
    use sealpost::crypto::Error;
    let unreadable = |e: Error| match e {
        Error::WrongPassphrase => Failure::usage(format!("the passphrase of {name} is wrong")),
        other => Failure::refused(format!("{name} holds no private key that can be read – {other}")),
    };
    match PrivateKey::from_any(bytes, None, &context.limits) {
        Err(Error::PassphraseNeeded) => {
            let passphrase = unlocking(context, name)?;
            PrivateKey::from_any(bytes, Some(&passphrase), &context.limits).map_err(unreadable)
        }
        other => other.map_err(unreadable),
    }
}

/// Reads the identities of a PKCS#12 file or a PEM bundle; asks for the passphrase where it is locked.
pub(crate) fn read_identities(context: &Context, name: &str, bytes: &[u8]) -> Result<Vec<Identity>, Failure> {
    use sealpost::keys::Error;
    let unreadable = |e: Error| match e {
        Error::WrongPassphrase => Failure::usage(format!("the passphrase of {name} is wrong")),
        Error::Crypto(crypto::Error::Unsupported {
            what: "content cipher" | "password encryption" | "key derivation", ..
        }) => Failure::refused(format!("{name} holds no identity that can be read – {e}"))
            .hint("convert it with the program that made it, or with `openssl pkcs12`, to AES-256 or Triple DES"),
        other => Failure::refused(format!("{name} holds no identity that can be read – {other}")),
    };
    let loaded = match keys::load::file(bytes, None, &context.limits) {
        Err(Error::PassphraseNeeded) => {
            let passphrase = unlocking(context, name)?;
            keys::load::file(bytes, Some(&passphrase), &context.limits)
        }
        other => other,
    };
    let loaded = loaded.map_err(unreadable)?;
    loaded.unread.iter().for_each(|what| eprintln!("note: left out of {name}: {}", report::safe(what)));
    Ok(loaded.identities)
}

/// The passphrase of `name`, or the failure that tells how to give one.
pub(crate) fn unlocking(context: &Context, name: &str) -> Result<Passphrase, Failure> {
    context.passphrase.to_unlock(name)?.ok_or_else(|| {
        Failure::usage(format!("{name} is locked and no passphrase was given"))
            .hint("give it with --passphrase-file FILE or --passphrase-fd N")
    })
}

/// The identity of the home that speaks for this address.
pub(crate) fn identity(context: &Context, address: &str) -> Result<Identity, Failure> {
    let missing = || {
        Failure::usage(format!("the home {} has no key of {address}", context.home_path().display()))
            .hint(format!("make one with `sealpost id new {address}`, or bring one with `sealpost id import FILE`"))
    };
    let home = context.existing_home()?.ok_or_else(missing)?;
    let stored = home.find(address).map_err(Failure::io)?.ok_or_else(missing)?;
    unlock(context, &stored, &format!("the key of {address}"))
}

/// Unlocks an identity: with the passphrase of the options, else with what the keyring remembers, else with one from a prompt.
fn unlock(context: &Context, stored: &Stored, what: &str) -> Result<Identity, Failure> {
    if let Some(identity) = remembered::unlock(context, stored) {
        return Ok(identity);
    }
    let passphrase = if stored.locked { Some(unlocking(context, what)?) } else { None };
    stored.unlock(passphrase.as_ref()).map_err(|error| from_keys(&error, what.trim_start_matches("the key of ")))
}

/// Every identity of the home that speaks for this address and is not retired: the one to sign with first.
pub(crate) fn identities_of(context: &Context, address: &str) -> Result<Vec<Identity>, Failure> {
    let first = identity(context, address)?;
    let home = context.open_home()?;
    let mut identities = Vec::new();
    for stored in home.identities().map_err(Failure::io)? {
        let is_other = stored.certificate != *first.certificate();
        if stored.retired || !is_other || !email::find(&stored.certificate.addresses(), address) {
            continue;
        }
        identities.push(unlock(context, &stored, &format!("the key of {address}"))?);
    }
    identities.insert(0, first);
    Ok(identities)
}

/// What an error of the key store means for the command line.
pub(crate) fn from_keys(error: &keys::Error, what: &str) -> Failure {
    match error {
        keys::Error::WrongPassphrase => Failure::usage(format!("the passphrase of {what} is wrong")),
        keys::Error::Io { .. } => Failure::io(error),
        keys::Error::Crypto(error) => token::unavailable(error).unwrap_or_else(|| Failure::refused(error)),
        _ => Failure::refused(error),
    }
}

/// What verbs that read messages take: keys, trust, leniency.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReadArgs {
    #[command(flatten)]
    own: OwnKeyArgs,
    #[command(flatten)]
    trust: TrustArgs,
    /// Read the key-encryption key of a KEK recipient from FILE (raw bytes or hex)
    #[arg(long, value_name = "FILE")]
    kek: Option<PathBuf>,
    /// Excuse one finding: expired, untrusted, from-mismatch, weak-algorithm, revocation-unknown, only-compressed
    #[arg(long, value_name = "CODE")]
    accept: Vec<String>,
    /// Which clock may show that a certificate was valid when the signature was made: only now, a time-stamp, too, or when this home saw
    /// the signature first, too, which is the default without --at; with it, time-stamps alone are [default: first-seen]
    #[arg(long, value_name = "CLOCK", value_parser = Clock::ALL.map(Clock::name))]
    clock: Option<String>,
}

/// What decides trust.
#[derive(Debug, Clone, Args)]
pub(crate) struct TrustArgs {
    /// Trust the certificates in FILE, and only these
    #[arg(long = "trust", value_name = "FILE")]
    anchors: Vec<PathBuf>,
    /// Certificates that may stand between
    #[arg(long, value_name = "FILE")]
    intermediates: Vec<PathBuf>,
    /// Revocation lists and OCSP responses
    #[arg(long, value_name = "FILE")]
    crl: Vec<PathBuf>,
    /// What an unknown revocation means: nothing is asked, a warning, an error
    #[arg(long, value_name = "HOW", default_value = "soft", value_parser = ["off", "soft", "hard"])]
    revocation: String,
    #[command(flatten)]
    pub(crate) online: OnlineArgs,
}

impl TrustArgs {
    /// Trust from the files, else from the home.
    pub(crate) fn trust(&self, context: &Context, home: Option<&Home>) -> Result<Trust, Failure> {
        let mut anchors = TrustAnchors::new();
        let mut intermediates = Vec::new();
        let (mut crls, mut ocsp) = (Vec::new(), Vec::new());
        for path in &self.anchors {
            certificates(context, path)?.into_iter().for_each(|c| anchors.add(c));
        }
        for path in &self.intermediates {
            intermediates.extend(certificates(context, path)?);
        }
        for path in &self.crl {
            let (lists, responses) = read_revocation(context, path)?;
            crls.extend(lists);
            ocsp.extend(responses);
        }
        if let Some(home) = home {
            if self.anchors.is_empty() {
                home.trust_anchors().map_err(Failure::io)?.into_iter().for_each(|c| anchors.add(c));
            }
            intermediates.extend(home.intermediates().map_err(Failure::io)?);
            crls.extend(home.crls().map_err(Failure::io)?);
        }
        let revocation = match self.revocation.as_str() {
            "off" => Revocation::Off,
            "hard" => Revocation::Hard,
            _ => Revocation::Soft,
        };
        Ok(Trust { anchors, intermediates, crls, ocsp, revocation, at: context.at })
    }
}

/// Everything that opening a message uses.
pub(crate) struct Materials {
    trust: Trust,
    online: OnlineArgs,
    /// What came from the cache and the network, and what did not.
    pub(crate) told: Vec<Finding>,
    accept: Accept,
    identities: Vec<Identity>,
    /// The addresses of keys that are here and stay locked.
    locked: Vec<String>,
    bare_keys: Vec<PrivateKey>,
    known: Vec<Certificate>,
    password: Option<Passphrase>,
    kek: Option<Passphrase>,
    seen: Option<Seen>,
    clock: Clock,
}

impl Materials {
    /// Gets what a verdict lacks, from the home's cache and where the network may be asked; whether the message is to be opened again.
    pub(crate) fn complete(&mut self, context: &Context, verdict: &Verdict) -> Result<bool, Failure> {
        let inquiries: Vec<Inquiry> = verdict.inquiries().cloned().collect();
        let got = self.online.complete(context, &inquiries)?;
        let is_something = got.is_something();
        self.trust.add(got.had);
        self.told.extend(got.findings);
        Ok(is_something)
    }

    /// The opener with these materials.
    pub(crate) fn open<'a>(&'a self, context: &'a Context) -> Open<'a> {
        let mut open = Open::new(&self.trust)
            .limits(&context.limits)
            .accept(self.accept.clone())
            .known(&self.known)
            .locked(&self.locked)
            .clock(self.clock)
            .second_thread(true);
        for identity in &self.identities {
            open = open.identity(identity);
        }
        for key in &self.bare_keys {
            open = open.key(key);
        }
        if let Some(seen) = &self.seen {
            open = open.seen(seen);
        }
        if let Some(password) = &self.password {
            open = open.password(password);
        }
        if let Some(kek) = &self.kek {
            open = open.kek(kek);
        }
        open
    }

    /// Keeps in the home when signatures of good messages were seen first. A home that cannot be written makes no message bad.
    pub(crate) fn keep_seen(&self, context: &Context, opened: &Opened) {
        let Some(seen) = &self.seen else { return };
        if opened.verdict().outcome() != Outcome::Good {
            return;
        }
        let new = opened.verdict().signers().filter(|signer| signer.first_seen.is_none());
        let ids: Vec<_> = new.filter_map(|signer| signer.signature_id).collect();
        if let Err(error) = seen.record(&ids, context.now) {
            eprintln!("note: that the signature was seen cannot be kept in the home – {error}");
        }
    }
}

impl ReadArgs {
    /// Trust and known certificates, and the keys that this message may need.
    pub(crate) fn materials(&self, context: &Context, message: &mut dyn Input) -> Result<Materials, Failure> {
        let mut materials = self.materials_without_keys(context)?;
        if let Some(path) = &self.kek {
            materials.kek = Some(read_kek(&input::file(path, &context.limits)?, path)?);
        }
        materials.identities = self.own.identities(context)?;
        if !materials.identities.is_empty() {
            return Ok(materials);
        }
        if let Some(key) = self.own.private_key(context)? {
            materials.bare_keys.push(key);
            return Ok(materials);
        }
        let needs = sealpost::smime::needs(message, &context.limits).map_err(Failure::io)?;
        if needs.password {
            materials.password = context.passphrase.to_unlock("the message")?;
        }
        if needs.private_key
            && let Some(home) = context.existing_home()?
        {
            let unlocked = home_identities(context, &home, materials.password.is_some())?;
            (materials.identities, materials.locked) = (unlocked.identities, unlocked.still_locked);
        }
        Ok(materials)
    }

    /// Trust and known certificates.
    pub(crate) fn materials_without_keys(&self, context: &Context) -> Result<Materials, Failure> {
        let accept = Accept::from_codes(self.accept.iter().map(String::as_str)).map_err(|code| {
            Failure::usage(format!("--accept {code} is not a finding that may be excused"))
                .hint(format!("one of: {}", Accept::CODES.join(", ")))
        })?;
        let home = context.existing_home()?;
        let trust = self.trust.trust(context, home.as_ref())?;
        let known = match &home {
            Some(home) => home.known_certificates().map_err(Failure::io)?,
            None => Vec::new(),
        };
        // who names a moment wants to know what holds then, and not what this home knows besides
        let usual = if context.is_at_given { Clock::Timestamp } else { Clock::default() };
        let clock = self.clock.as_deref().and_then(Clock::from_name).unwrap_or(usual);
        let seen = home.map(|home| home.seen());
        let (online, told) = (self.trust.online.clone(), Vec::new());
        let (identities, bare_keys, locked) = (Vec::new(), Vec::new(), Vec::new());
        let (password, kek) = (None, None);
        Ok(Materials { trust, online, told, accept, identities, locked, bare_keys, known, password, kek, seen, clock })
    }
}

/// Every identity of the home that can be unlocked; locked ones ask for their passphrase once. Where the message has a password of its own,
/// that may be what was given, and it is not wrong because it opens no key.
fn home_identities(context: &Context, home: &Home, has_password: bool) -> Result<Unlocked, Failure> {
    let recalled = remembered::unlock_all(context, home)?;
    let is_recalled = |certificate: &Certificate| recalled.iter().any(|identity| identity.certificate() == certificate);
    let stored = home.identities().map_err(Failure::io)?;
    let mut passphrase: Option<Passphrase> = None;
    if stored.iter().any(|stored| stored.locked && !is_recalled(&stored.certificate)) {
        passphrase = context.passphrase.to_unlock("your keys")?;
    }
    let mut unlocked = home.unlock_all(passphrase.as_ref()).map_err(|e| from_keys(&e, "your keys"))?;
    let is_locked = |identity: &Identity| stored.iter().any(|one| one.locked && one.certificate == *identity.certificate());
    if passphrase.is_some() && unlocked.identities.iter().any(is_locked) {
        context.passphrase.opened_keys();
    }
    let own = |address: &String| recalled.iter().any(|identity| identity.addresses().first() == Some(address));
    unlocked.still_locked.retain(|address| !own(address));
    unlocked.identities.retain(|identity| !is_recalled(identity.certificate()));
    unlocked.identities.extend(recalled.iter().cloned());
    if let Some(address) = unlocked.still_locked.first() {
        if has_password && passphrase.is_some() {
            eprintln!(
                "note: the key of {} stays locked: what was given does not open it, and is tried as the password of the message",
                report::safe(address)
            );
            return Ok(unlocked);
        }
        if passphrase.is_some() && unlocked.identities.is_empty() {
            return Err(Failure::new(Exit::NoKey, format!("the passphrase of the key of {address} is wrong")));
        }
        eprintln!("note: the key of {address} stays locked; give its passphrase with --passphrase-file FILE");
    }
    Ok(unlocked)
}

/// The certificates of one file.
pub(crate) fn certificates(context: &Context, path: &Path) -> Result<Vec<Certificate>, Failure> {
    let bytes = input::file(path, &context.limits)?;
    // the trust stores of Java are PKCS#12
    let found = match keys::pkcs12::looks_like(&bytes) {
        true => bundled(context, &path.display().to_string(), &bytes)?,
        false => pki::load::certificates(&bytes)
            .map_err(|e| Failure::refused(format!("{} holds no certificate that can be read – {e}", path.display())))?,
    };
    if found.is_empty() {
        return Err(Failure::refused(format!("{} holds no certificate", path.display())));
    }
    Ok(found)
}

/// The certificate of the one person whom a file is about: it may hold those above him, and older ones of his.
pub(crate) fn owner(context: &Context, path: &Path) -> Result<Certificate, Failure> {
    let all = certificates(context, path)?;
    let is_ca = |certificate: &&Certificate| certificate.basic_constraints().is_some_and(|basic| basic.is_ca);
    let mut people: Vec<&Certificate> = all.iter().filter(|certificate| !is_ca(certificate)).collect();
    if people.is_empty() {
        // what people make for themselves is often marked as a CA's
        let vouches = |one: &Certificate| all.iter().any(|other| other != one && other.issuer().matches(one.subject()));
        people = all.iter().filter(|certificate| !vouches(certificate)).collect();
    }
    let rank = |certificate: &&&Certificate| {
        let is_valid = certificate.not_before() <= context.at && context.at <= certificate.not_after();
        (check_recipient(certificate).is_ok(), is_valid, certificate.not_before())
    };
    let best = people.iter().max_by_key(rank);
    let best = best.ok_or_else(|| {
        Failure::refused(format!("{} holds no certificate of a person, only those of authorities", path.display()))
    })?;
    let of_best = best.addresses();
    let is_same = |other: &&Certificate| {
        let addresses = other.addresses();
        other == best
            || of_best.iter().any(|address| email::find(&addresses, address))
            || ((of_best.is_empty() || addresses.is_empty()) && other.subject().matches(best.subject()))
    };
    if people.iter().all(is_same) {
        return Ok((*best).clone());
    }
    let name = |certificate: &&Certificate| certificate.addresses().into_iter().next().unwrap_or_else(|| certificate.to_string());
    let names: Vec<String> = people.iter().map(name).collect();
    Err(Failure::usage(format!("{} holds the certificates of several people: {}", path.display(), names.join(", ")))
        .hint("add them with `sealpost contact add FILE`, then name whom you mean with --to ADDR"))
}

/// The command that makes a key which signs and decrypts.
pub(crate) fn new_reader(address: &str) -> String {
    format!("sealpost id new {} --algorithm p256", fix::quoted(address))
}

/// The certificates of a PKCS#12 file; asks for its passphrase where it is locked.
fn bundled(context: &Context, name: &str, bytes: &[u8]) -> Result<Vec<Certificate>, Failure> {
    let read = |passphrase: Option<&Passphrase>| keys::pkcs12::read(bytes, passphrase, &context.limits);
    let content = match read(None) {
        Err(keys::Error::PassphraseNeeded) => read(Some(&unlocking(context, name)?)),
        other => other,
    };
    let content = content.map_err(|e| from_keys(&e, name))?;
    content.unread.iter().for_each(|what| eprintln!("note: left out of {name}: {}", report::safe(what)));
    Ok(content.certificates.into_iter().map(|held| held.value).collect())
}

fn read_revocation(context: &Context, path: &Path) -> Result<(Vec<Crl>, Vec<ocsp::Response>), Failure> {
    pki::load::revocation(input::file(path, &context.limits)?, &context.limits).map_err(|e| {
        Failure::refused(format!("{} holds no revocation list and no OCSP response that can be read – {e}", path.display()))
    })
}

/// A key file of raw bytes, or of hexadecimal digits where it holds nothing else.
fn read_kek(bytes: &[u8], path: &Path) -> Result<Passphrase, Failure> {
    // those of AES; 24 bytes are one of Triple DES, too
    let fits = |len: usize| matches!(len, 16 | 24 | 32);
    let text: Vec<u8> = bytes.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pairs = text.chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    let decoded: Option<Vec<u8>> = pairs.collect();
    match decoded {
        Some(key) if fits(key.len()) => Ok(Passphrase::new(key)),
        _ if fits(bytes.len()) => Ok(Passphrase::new(bytes.to_vec())),
        _ => Err(Failure::refused(format!("{} holds no key-encryption key – it has {} bytes", path.display(), bytes.len()))
            .hint("such a key has 16, 24 or 32 bytes, raw or as hexadecimal digits")),
    }
}

/// A certificate in the JSON output.
pub(crate) fn certificate_json(certificate: &Certificate) -> serde_json::Value {
    serde_json::json!({
        "subject": certificate.subject().to_string(),
        "issuer": certificate.issuer().to_string(),
        "serial": certificate.serial_hex(),
        "addresses": certificate.addresses(),
        "not_before": certificate.not_before().to_string(),
        "not_after": certificate.not_after().to_string(),
        "key": certificate.key_name(),
        "sha256": certificate.fingerprint_hex(),
    })
}

/// Lists certificates: JSON, or a line each.
pub(crate) fn list(context: &Context, verb: &str, certificates: &[Certificate]) -> Result<Exit, Failure> {
    if context.json {
        let all: Vec<_> = certificates.iter().map(certificate_json).collect();
        context.print_json(&serde_json::json!({ "schema": format!("sealpost.{verb}/1"), "certificates": all }))?;
        return Ok(Exit::Good);
    }
    // after adding, what was added has been said already
    if verb.ends_with(".add") {
        return Ok(Exit::Good);
    }
    for certificate in certificates {
        let who = if certificate.addresses().is_empty() { certificate.to_string() } else { certificate.addresses().join(", ") };
        let fingerprint = certificate.fingerprint_hex();
        let line = format!("{fingerprint}  {}  until {}\n", report::safe(&who), certificate.not_after());
        crate::cli::output::stdout(line.as_bytes())?;
    }
    Ok(Exit::Good)
}
