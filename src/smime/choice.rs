//! Which algorithms a message gets: what every recipient is known to read, and else what everyone reads.

use crate::cms::Capabilities;
use crate::crypto::algorithm::{ContentCipher, DigestAlgorithm, KeyAgreement, KeyAlgorithm, KeyTransport};
use crate::pki::{Certificate, Usage};
use crate::smime::Error;

/// Someone to encrypt to: his certificate, and what he is known to read.
#[derive(Debug, Clone)]
pub struct Recipient {
    certificate: Certificate,
    capabilities: Option<Capabilities>,
    is_writer: bool,
}

impl Recipient {
    /// The owner of this certificate; what he reads is known from the certificate where it says so (RFC 4262).
    pub fn new(certificate: Certificate) -> Self {
        Self { certificate, capabilities: None, is_writer: false }
    }

    /// It is who writes, for his own copy: where nothing is said of the ciphers that he reads, he has no say in [`CipherChoice::Auto`].
    /// His key goes with him as anybody's: what he wrote he may read with another program.
    #[must_use]
    pub fn writer(mut self) -> Self {
        self.is_writer = true;
        self
    }

    /// What he reads, learnt from a message of his that verified (RFC 8551 2.5.2); it is newer than what his certificate says.
    #[must_use]
    pub fn capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = Some(capabilities);
        self
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// His address, or his name where the certificate has none.
    pub fn name(&self) -> String {
        self.certificate.addresses().into_iter().next().unwrap_or_else(|| self.certificate.to_string())
    }

    /// What he is known to read; `None` where he never said anything.
    fn known(&self) -> Option<Capabilities> {
        let said = |capabilities: &Capabilities| !capabilities.0.is_empty();
        let of_certificate = || self.certificate.smime_capabilities().and_then(|bytes| Capabilities::from_der(bytes).ok());
        self.capabilities.clone().filter(said).or_else(|| of_certificate().filter(said))
    }
}

impl From<Certificate> for Recipient {
    fn from(certificate: Certificate) -> Self {
        Self::new(certificate)
    }
}

impl From<&Self> for Recipient {
    fn from(recipient: &Self) -> Self {
        recipient.clone()
    }
}

impl From<&Certificate> for Recipient {
    fn from(certificate: &Certificate) -> Self {
        Self::new(certificate.clone())
    }
}

/// The content cipher: chosen, or given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CipherChoice {
    /// The best that every recipient is known to read: AES-GCM where all say so, else AES-256-CBC, which everyone reads; AES-128 where
    /// one says that he reads nothing longer.
    #[default]
    Auto,
    /// This one.
    Fixed(ContentCipher),
}

/// How RSA recipients get the key: chosen, or given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TransportChoice {
    /// OAEP to each recipient who is known to read it, and PKCS#1 v1.5, which everyone reads, to the others.
    #[default]
    Auto,
    /// OAEP with SHA-256.
    Oaep,
    /// PKCS#1 v1.5.
    Pkcs1,
}

/// What was chosen, and why.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The content cipher.
    pub cipher: ContentCipher,
    /// Why this one, for people.
    pub why: String,
    /// The recipients who are not known to read a better one.
    pub limited_by: Vec<String>,
    /// How each recipient gets the key, in their order.
    pub ways: Vec<Way>,
    /// Why each gets it so, in the same order.
    pub because: Vec<Because>,
}

/// Why a recipient gets the content key as he does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// It was asked for.
    Asked,
    /// It was asked for, and he is not known to read it.
    AskedUnknown,
    /// His certificate or a message of his says that he reads it.
    Known,
    /// He is not known to read OAEP; PKCS#1 v1.5 everyone reads.
    NoOaep,
    /// He says nothing of it, and it is as strong as his key (RFC 5753 7.1.1).
    OfKey,
}

impl Because {
    /// In words that follow the name of the algorithm.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Asked => "as asked",
            Self::AskedUnknown => "as asked; not known to be read",
            Self::Known => "known to be read",
            Self::NoOaep => "not known to read OAEP",
            Self::OfKey => "as strong as the key",
        }
    }
}

/// How a recipient gets the content key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// It is encrypted to his RSA key.
    Transport(KeyTransport),
    /// It is wrapped under a key that his EC or X25519 key agrees on.
    Agreement(KeyAgreement),
}

impl Way {
    /// The name of the algorithm, as `rsa-oaep-sha256`.
    pub fn name(&self) -> String {
        match self {
            Self::Transport(transport) => transport.name(),
            Self::Agreement(agreement) => agreement.name(),
        }
    }
}

impl Chosen {
    /// The choice in a sentence.
    pub fn reason(&self) -> String {
        let count = self.ways.len();
        let plural = if count == 1 { "" } else { "s" };
        format!("encrypting to {count} certificate{plural} with {} – {}", self.cipher.name(), self.why)
    }

    /// How the key goes to whom and why, a sentence for each way; `names` are those of the recipients, in their order.
    pub fn key_reasons(&self, names: &[String]) -> Vec<String> {
        let mut groups: Vec<(&Way, Because, Vec<&str>)> = Vec::new();
        for ((way, because), name) in self.ways.iter().zip(&self.because).zip(names) {
            match groups.iter_mut().find(|(known, why, _)| (*known, *why) == (way, *because)) {
                Some((.., names)) => names.push(name),
                None => groups.push((way, *because, vec![name])),
            }
        }
        let sentence = |(way, because, names): (&Way, Because, Vec<&str>)| {
            format!("the key for {} with {} – {}", listed(&names), way.name(), because.text())
        };
        groups.into_iter().map(sentence).collect()
    }
}

/// Chooses for these recipients.
pub fn choose(recipients: &[Recipient], cipher: CipherChoice, transport: TransportChoice) -> Chosen {
    let known: Vec<(String, Option<Capabilities>)> = recipients.iter().map(|r| (r.name(), r.known())).collect();
    let (cipher, why, limited_by) = match cipher {
        CipherChoice::Fixed(cipher) => {
            let unknown = names(&known, |known| !known.is_some_and(|known| reads(known, cipher)));
            let why = if unknown.is_empty() || cipher == ContentCipher::Aes256Cbc {
                "as asked".to_owned()
            } else {
                format!("as asked; {} not known to read it", are(&unknown))
            };
            (cipher, why, Vec::new())
        }
        CipherChoice::Auto => best_cipher(recipients, &known),
    };
    let ways = recipients.iter().zip(&known).map(|(recipient, (_, known))| way(recipient, known.as_ref(), cipher, transport));
    let (ways, because) = ways.unzip();
    Chosen { cipher, why, limited_by, ways, because }
}

/// The best cipher of all: who reads GCM reads CBC, and who reads a long key reads a short one, for no program has one without the other.
fn best_cipher(recipients: &[Recipient], known: &[(String, Option<Capabilities>)]) -> (ContentCipher, String, Vec<String>) {
    let has_no_say = |recipient: &Recipient, known: Option<&Capabilities>| {
        recipient.is_writer && !known.is_some_and(Capabilities::names_ciphers)
    };
    let split =
        recipients.iter().zip(known).partition::<Vec<_>, _>(|(recipient, (_, known))| has_no_say(recipient, known.as_ref()));
    let (mut passed_over, heard) = split;
    // who writes to himself alone is a recipient like any other
    let heard = if heard.is_empty() { std::mem::take(&mut passed_over) } else { heard };
    let known: Vec<(String, Option<Capabilities>)> = heard.into_iter().map(|(_, known)| known.clone()).collect();
    let known = known.as_slice();
    let without_gcm = names(known, |known| !known.is_some_and(reads_gcm));
    // RFC 8551 2.7.1: what was said counts, but less than AES-128 is never used; who named no cipher at all said nothing of them
    let is_short = |known: &Capabilities| known.names_ciphers() && !LONG.iter().any(|cipher| reads(known, *cipher));
    let without_long = names(known, |known| known.is_some_and(is_short));
    let (is_gcm, is_long) = (without_gcm.is_empty() && !known.is_empty(), without_long.is_empty());
    let cipher = match (is_gcm, is_long) {
        (true, true) => ContentCipher::Aes256Gcm,
        (true, false) => ContentCipher::Aes128Gcm,
        (false, true) => ContentCipher::Aes256Cbc,
        (false, false) => ContentCipher::Aes128Cbc,
    };
    let mut why = Vec::new();
    if !is_gcm && !known.is_empty() {
        why.push(format!("{} not known to read AES-GCM", are(&without_gcm)));
    }
    if !is_long {
        why.push(format!("{} not said to read AES-256", are(&without_long)));
    }
    if why.is_empty() {
        why.push(match passed_over.first() {
            Some((_, (writer, _))) => format!("every recipient but {writer}, who writes, is known to read it"),
            None => "every recipient is known to read it".to_owned(),
        });
    }
    let mut limited_by = without_gcm;
    limited_by.extend(without_long.into_iter().filter(|name| !limited_by.contains(name)).collect::<Vec<_>>());
    (cipher, why.join("; "), limited_by)
}

const LONG: [ContentCipher; 2] = [ContentCipher::Aes256Gcm, ContentCipher::Aes256Cbc];

fn reads(known: &Capabilities, cipher: ContentCipher) -> bool {
    known.has(&cipher.oid())
}

fn reads_gcm(known: &Capabilities) -> bool {
    reads(known, ContentCipher::Aes256Gcm) || reads(known, ContentCipher::Aes128Gcm)
}

fn names(known: &[(String, Option<Capabilities>)], is_one: impl Fn(Option<&Capabilities>) -> bool) -> Vec<String> {
    known.iter().filter(|(_, known)| is_one(known.as_ref())).map(|(name, _)| name.clone()).collect()
}

/// `a is`, `a and b are`, `a, b and 3 more are`.
fn are(names: &[String]) -> String {
    format!("{} {}", listed(names), if names.len() > 1 { "are" } else { "is" })
}

/// `a`, `a and b`, `a, b and 3 more`.
fn listed(names: &[impl AsRef<str>]) -> String {
    match names {
        [one] => one.as_ref().to_owned(),
        [one, two] => format!("{} and {}", one.as_ref(), two.as_ref()),
        [one, two, rest @ ..] => format!("{}, {} and {} more", one.as_ref(), two.as_ref(), rest.len()),
        [] => "nobody".to_owned(),
    }
}

/// How one recipient gets the key, and why so.
fn way(recipient: &Recipient, known: Option<&Capabilities>, cipher: ContentCipher, transport: TransportChoice) -> (Way, Because) {
    // a key that cannot be read is refused where the message is written
    let algorithm = recipient.certificate.public_key().map(|key| key.algorithm());
    match algorithm {
        Ok(algorithm) if algorithm.agrees() => {
            let (agreement, because) = agreement(algorithm, known, cipher);
            (Way::Agreement(agreement), because)
        }
        _ => {
            let (transport, because) = transported(known, transport);
            (Way::Transport(transport), because)
        }
    }
}

/// The key transport to one recipient.
fn transported(known: Option<&Capabilities>, transport: TransportChoice) -> (KeyTransport, Because) {
    let asked = KeyTransport::oaep(DigestAlgorithm::Sha256);
    match transport {
        TransportChoice::Oaep if known.is_some_and(|known| known.oaep().contains(&asked)) => (asked, Because::Asked),
        TransportChoice::Oaep => (asked, Because::AskedUnknown),
        TransportChoice::Pkcs1 => (KeyTransport::RsaPkcs1, Because::Asked),
        TransportChoice::Auto => match known.and_then(oaep) {
            Some(oaep) => (oaep, Because::Known),
            None => (KeyTransport::RsaPkcs1, Because::NoOaep),
        },
    }
}

/// The OAEP that a recipient reads; SHA-256 where he has the choice.
fn oaep(known: &Capabilities) -> Option<KeyTransport> {
    let read = known.oaep();
    let preferred = KeyTransport::oaep(DigestAlgorithm::Sha256);
    if read.contains(&preferred) { Some(preferred) } else { read.into_iter().next() }
}

/// The key agreement that a recipient reads: as strong as his key where he leaves it open (RFC 5753 7.1.1), else the one he names.
fn agreement(algorithm: KeyAlgorithm, known: Option<&Capabilities>, cipher: ContentCipher) -> (KeyAgreement, Because) {
    let usual = KeyAgreement::usual(algorithm, cipher.key_len());
    let read = known.map(Capabilities::agreements).unwrap_or_default();
    let distance = |read: &KeyAgreement| {
        let digest = usize::abs_diff(read.kdf_digest.output_len(), usual.kdf_digest.output_len());
        (read.kdf_digest != usual.kdf_digest, digest, usize::abs_diff(read.wrap.key_len(), usual.wrap.key_len()))
    };
    let said = read.into_iter().min_by_key(distance);
    said.map_or((usual, Because::OfKey), |said| (said, Because::Known))
}

/// Refuses a certificate whose key cannot or must not be encrypted to (RFC 8550 4.4.2).
pub fn check_recipient(certificate: &Certificate) -> Result<(), Error> {
    let refuse = |reason: &str| Error::Recipient { subject: certificate.to_string(), reason: reason.to_owned() };
    let key = certificate.public_key().map_err(|error| refuse(&error.to_string()))?;
    if !key.encrypts() {
        return Err(refuse(if key.is_pss() { "its key is for RSASSA-PSS signatures alone" } else { "its key can only sign" }));
    }
    if key.algorithm().is_read_only() {
        return Err(refuse(&format!("messages for keys of the kind {} are read here and not written", key.algorithm())));
    }
    let wanted = if key.algorithm().is_rsa() { Usage::KeyEncipherment } else { Usage::KeyAgreement };
    if certificate.key_usage().is_some_and(|usage| !usage.allows(wanted)) {
        return Err(refuse("its key usage does not allow encryption"));
    }
    Ok(())
}
