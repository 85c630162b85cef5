//! What the attacks share: the cast of `certs/`, messages made by hand, and one way to look at a verdict.

use std::path::PathBuf;
use std::sync::OnceLock;

use sealpost::asn1::{Oid, Tag, encode, oid};
use sealpost::cms::{Attribute, Padding, SignedBuilder, SignerOptions};
use sealpost::crypto::algorithm::{DigestAlgorithm, SignatureAlgorithm};
use sealpost::crypto::digest;
use sealpost::crypto::key::PrivateKey;
use sealpost::crypto::random::{OsRandom, Seeded};
use sealpost::crypto::signature::{self, Input};
use sealpost::keys::Identity;
use sealpost::limits::Limits;
use sealpost::mime::transfer;
use sealpost::pki::{self, Certificate, TrustAnchors};
use sealpost::smime::{Code, Open, Opened, Outcome, Severity, Trust};
use sealpost::time::Timestamp;

pub(super) const SHA256: DigestAlgorithm = DigestAlgorithm::Sha256;
/// What an attacker wants to be taken for the victim's words.
pub(super) const EVIL: &str = "Pay the attacker.";
/// What the victim said.
pub(super) const SAID: &str = "Lunch at noon.";
/// The part that the victim signed.
pub(super) const ENTITY: &str = "Content-Type: text/plain; charset=utf-8\r\n\r\nLunch at noon.\r\n";

/// The people of `certs/` and the trust in their root.
pub(super) struct Stage {
    pub(super) trust: Trust,
    pub(super) alice: Identity,
    pub(super) mallory: Identity,
    pub(super) stranger: Identity,
    pub(super) bob: Identity,
    pub(super) root: Identity,
}

pub(super) fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(|| {
        let anchors: TrustAnchors = certificates("root.pem").into_iter().collect();
        let at = Timestamp::parse_rfc3339("2026-06-01T00:00:00Z").expect("a time");
        Stage {
            trust: Trust { revocation: pki::Revocation::Off, ..Trust::new(anchors, at) },
            alice: person("alice", "issuing"),
            mallory: person("mallory", "issuing"),
            stranger: person("stranger", "stranger-issuing"),
            bob: person("bob", "issuing"),
            root: person("root", "root"),
        }
    })
}

pub(super) fn path(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("certs").join(name).display().to_string()
}

fn certificates(name: &str) -> Vec<Certificate> {
    pki::load::certificates(&std::fs::read(path(name)).expect("a certificate")).expect("readable")
}

pub(super) fn person(who: &str, issuer: &str) -> Identity {
    let key = std::fs::read(path(&format!("{who}.key"))).expect("a key");
    let key = PrivateKey::from_any(&key, None, &Limits::default()).expect("readable");
    let certificate = certificates(&format!("{who}.pem")).remove(0);
    Identity::new(key, certificate, certificates(&format!("{issuer}.pem"))).expect("they go together")
}

/// Someone with a certificate for these addresses, from the trusted root itself.
pub(super) fn certified(who: &str, alternative_names: &[Vec<u8>]) -> Identity {
    let root = &stage().root;
    let key = PrivateKey::generate(sealpost::crypto::algorithm::KeyAlgorithm::P256, &mut Seeded::new(who.as_bytes()));
    let key = key.expect("a key");
    let algorithm = SignatureAlgorithm::Ecdsa(SHA256);
    let time = |text| encode::time(Timestamp::parse_rfc3339(text).expect("a time"));
    let extension = |oid: Oid, value: Vec<u8>| encode::sequence(&[encode::oid(&oid), encode::octet_string(&value)]);
    let extensions = [
        extension(oid::KEY_USAGE, encode::named_bits(&[0])),
        extension(oid::EXTENDED_KEY_USAGE, encode::sequence(&[encode::oid(&oid::EMAIL_PROTECTION)])),
        extension(oid::SUBJECT_ALT_NAME, encode::sequence(alternative_names)),
    ];
    let subject = pki::Name::from_attributes(&[(oid::COMMON_NAME, who)]);
    let tbs = encode::sequence(&[
        encode::explicit(0, &encode::integer_u64(2)),
        encode::integer(&digest::of(SHA256, who.as_bytes())[..8]),
        algorithm.identifier().to_der(),
        root.certificate().subject().der().to_vec(),
        encode::sequence(&[time("2026-01-01T00:00:00Z"), time("2027-01-01T00:00:00Z")]),
        subject.der().to_vec(),
        key.public_key().spki().to_vec(),
        encode::explicit(3, &encode::sequence(&extensions)),
    ]);
    let signed = signature::sign(root.private_key(), algorithm, Input::Message(&tbs), &mut Seeded::new(b"root")).expect("signed");
    let der = encode::sequence(&[tbs, algorithm.identifier().to_der(), encode::bit_string(&signed)]);
    let certificate = Certificate::from_der(&der).expect("a certificate");
    Identity::new(key, certificate, Vec::new()).expect("they go together")
}

/// An rfc822Name of a certificate.
pub(super) fn rfc822(address: &str) -> Vec<u8> {
    encode::tlv(Tag::context(1), address.as_bytes())
}

fn builder(by: &Identity) -> SignedBuilder<'_> {
    let options = SignerOptions::for_key(by.private_key(), SHA256, Padding::Pkcs1).expect("a signing key");
    let builder = SignedBuilder::new(by.certificate(), by.private_key(), options);
    by.chain().iter().fold(builder, SignedBuilder::certificate)
}

/// The signature part's structure over an entity.
pub(super) fn detached(entity: &[u8], by: &Identity) -> Vec<u8> {
    builder(by).detached(&mut &*entity, &mut Seeded::new(b"sign")).expect("signed")
}

/// The structure that holds an entity and its signature.
pub(super) fn enclosed(entity: &[u8], by: &Identity) -> Vec<u8> {
    let mut out = Vec::new();
    builder(by).opaque(&mut &*entity, &mut out, &mut Seeded::new(b"sign")).expect("signed");
    out
}

/// A structure as a MIME part without boundary: `application/pkcs7-mime` or the signature part.
pub(super) fn part(content_type: &str, structure: &[u8]) -> String {
    let body = String::from_utf8(transfer::encode_base64(structure)).expect("ASCII");
    format!("Content-Type: {content_type}\r\nContent-Transfer-Encoding: base64\r\n\r\n{body}")
}

pub(super) const P7S: &str = "application/pkcs7-signature; name=smime.p7s";
pub(super) const P7M: &str = "application/pkcs7-mime; smime-type=signed-data; name=smime.p7m";
pub(super) const ZIPPED: &str = "application/pkcs7-mime; smime-type=compressed-data; name=smime.p7z";
pub(super) const ENVELOPED: &str = "application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m";

/// A multipart entity.
pub(super) fn multipart(subtype: &str, boundary: &str, parts: &[&str]) -> String {
    let mut out = format!("Content-Type: multipart/{subtype}; boundary=\"{boundary}\"\r\n\r\n");
    for part in parts {
        out.push_str(&format!("--{boundary}\r\n{part}\r\n"));
    }
    out + &format!("--{boundary}--\r\n")
}

pub(super) const SIGNED: &str = "signed; micalg=sha-256; protocol=\"application/pkcs7-signature\"";

/// A clear-signed entity: multipart/signed over `entity`.
pub(super) fn clear_signed(entity: &str, by: &Identity) -> String {
    multipart(SIGNED, "sig", &[entity, &part(P7S, &detached(entity.as_bytes(), by))])
}

/// An opaque-signed entity.
pub(super) fn opaque_signed(entity: &str, by: &Identity) -> String {
    part(P7M, &enclosed(entity.as_bytes(), by))
}

/// A compressed entity.
pub(super) fn compressed(entity: &str) -> String {
    let mut out = Vec::new();
    sealpost::cms::compress(&mut entity.as_bytes(), &mut out).expect("compressed");
    part(ZIPPED, &out)
}

/// A message of alice's: these fields over an entity.
pub(super) fn message(fields: &str, entity: &str) -> String {
    format!("{fields}\r\nTo: bob@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\n{entity}")
}

pub(super) const FROM_ALICE: &str = "From: Alice <alice@example.com>";

/// Opens a message as bob.
pub(super) fn open(message: impl AsRef<[u8]>) -> Opened {
    Open::new(&stage().trust).identity(&stage().bob).run(message.as_ref(), &mut OsRandom)
}

/// What one message must come to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expect {
    /// All good, with nothing to say.
    Good,
    /// Released, with this warning.
    Warned(Code),
    /// Refused, the most severe finding being this one.
    Refused(Code),
}

/// Whether the verdict is as expected, and what the victim did not say is not released as his.
pub(super) fn check(name: &str, opened: &Opened, expect: Expect) -> Result<(), String> {
    let verdict = opened.verdict();
    let findings: Vec<String> = verdict.findings.iter().map(|f| format!("{:?} {f}", f.severity)).collect();
    let has = |code: Code, severity| verdict.findings.iter().any(|f| f.code == code && f.severity == severity);
    let is_met = match expect {
        Expect::Good => verdict.outcome() == Outcome::Good && !verdict.findings.iter().any(|f| f.severity == Severity::Warning),
        Expect::Warned(code) => verdict.outcome() == Outcome::Good && has(code, Severity::Warning),
        Expect::Refused(code) => verdict.outcome() == code.outcome() && has(code, Severity::Error),
    };
    if !is_met {
        return Err(format!("{name}: expected {expect:?}, got {:?} – {findings:#?}", verdict.outcome()));
    }
    match opened.released() {
        Some(_) if verdict.outcome() != Outcome::Good => Err(format!("{name}: released in spite of {findings:?}")),
        None if verdict.outcome() == Outcome::Good => Err(format!("{name}: good and nothing released")),
        Some(released) => {
            let shown = [released.content(), &released.message()].concat();
            let is_evil = memchr::memmem::find(&shown, EVIL.as_bytes()).is_some();
            if is_evil { Err(format!("{name}: what nobody signed is released – {findings:?}")) } else { Ok(()) }
        }
        None => Ok(()),
    }
}

/// Checks a table of messages; says every one that fails.
pub(super) fn check_all<M: AsRef<[u8]>>(cases: impl IntoIterator<Item = (impl AsRef<str>, M, Expect)>) {
    let cases = cases.into_iter();
    let failed: Vec<String> =
        cases.filter_map(|(name, message, expect)| check(name.as_ref(), &open(message), expect).err()).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// A SignedData to be bent.
#[derive(Clone)]
pub(super) struct Forged<'a> {
    pub(super) version: u64,
    pub(super) declared: Vec<DigestAlgorithm>,
    pub(super) content_type: Oid,
    pub(super) content: Option<Vec<u8>>,
    pub(super) certificates: Vec<Vec<u8>>,
    pub(super) crls: Vec<Vec<u8>>,
    pub(super) signers: Vec<ForgedSigner<'a>>,
    pub(super) trailing: Vec<u8>,
}

/// One signer, to be bent.
#[derive(Clone)]
pub(super) struct ForgedSigner<'a> {
    pub(super) version: u64,
    pub(super) by: &'a Identity,
    pub(super) id: Vec<u8>,
    pub(super) digest: DigestAlgorithm,
    pub(super) attributes: Option<Vec<Vec<u8>>>,
    /// What is signed where there are no attributes.
    pub(super) content: Vec<u8>,
    /// The signature where it shall not be computed.
    pub(super) signature: Option<Vec<u8>>,
    pub(super) unsigned: Option<Vec<u8>>,
}

impl<'a> Forged<'a> {
    /// A good one over content that it holds.
    pub(super) fn opaque(content: &[u8], by: &'a Identity) -> Self {
        Self {
            version: 1,
            declared: vec![SHA256],
            content_type: oid::ID_DATA,
            content: Some(content.to_vec()),
            certificates: std::iter::once(by.certificate()).chain(by.chain()).map(|c| c.der().to_vec()).collect(),
            crls: Vec::new(),
            signers: vec![ForgedSigner::new(content, by)],
            trailing: Vec::new(),
        }
    }

    /// A good one over content beside it.
    pub(super) fn detached(content: &[u8], by: &'a Identity) -> Self {
        Self { content: None, ..Self::opaque(content, by) }
    }

    /// Changes the first signer.
    pub(super) fn signer(mut self, change: impl FnOnce(&mut ForgedSigner<'a>)) -> Self {
        change(&mut self.signers[0]);
        self
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(super) fn der(&self) -> Vec<u8> {
        let mut inner = vec![encode::oid(&self.content_type)];
        inner.extend(self.content.as_ref().map(|content| encode::explicit(0, &encode::octet_string(content))));
        let mut fields = vec![
            encode::integer_u64(self.version),
            encode::set_of(self.declared.iter().map(|digest| digest.identifier().to_der()).collect()),
            encode::sequence(&inner),
            encode::implicit(0, &encode::tlv(Tag::SET, &self.certificates.concat())),
        ];
        if !self.crls.is_empty() {
            fields.push(encode::implicit(1, &encode::tlv(Tag::SET, &self.crls.concat())));
        }
        fields.push(encode::set_of(self.signers.iter().map(ForgedSigner::der).collect()));
        let signed = encode::sequence(&fields);
        let mut der = encode::sequence(&[encode::oid(&oid::ID_SIGNED_DATA), encode::explicit(0, &signed)]);
        der.extend_from_slice(&self.trailing);
        der
    }

    /// As an opaque message of alice's.
    pub(super) fn message(&self) -> String {
        message(FROM_ALICE, &part(P7M, &self.der()))
    }

    /// As the signature over `entity` in a message of alice's.
    pub(super) fn beside(&self, entity: &str) -> String {
        message(FROM_ALICE, &multipart(SIGNED, "sig", &[entity, &part(P7S, &self.der())]))
    }
}

impl<'a> ForgedSigner<'a> {
    pub(super) fn new(content: &[u8], by: &'a Identity) -> Self {
        Self {
            version: 1,
            by,
            id: issuer_serial(by.certificate()),
            digest: SHA256,
            attributes: Some(vec![content_type(oid::ID_DATA), message_digest(content)]),
            content: content.to_vec(),
            signature: None,
            unsigned: None,
        }
    }

    fn der(&self) -> Vec<u8> {
        let algorithm = SignatureAlgorithm::default_for(self.by.private_key().algorithm(), SHA256).expect("a signing key");
        let set = self.attributes.as_ref().map(|attributes| encode::set_of(attributes.clone()));
        let signed = set.as_deref().unwrap_or(&self.content);
        let signature = self.signature.clone().unwrap_or_else(|| {
            let made = signature::sign(self.by.private_key(), algorithm, Input::Message(signed), &mut Seeded::new(b"forge"));
            made.expect("signed")
        });
        let mut fields = vec![encode::integer_u64(self.version), self.id.clone(), self.digest.identifier().to_der()];
        fields.extend(set.as_ref().map(|set| encode::implicit(0, set)));
        fields.push(algorithm.identifier().to_der());
        fields.push(encode::octet_string(&signature));
        fields.extend(self.unsigned.as_ref().map(|one| encode::implicit(1, &encode::set_of(vec![one.clone()]))));
        encode::sequence(&fields)
    }
}

pub(super) fn issuer_serial(certificate: &Certificate) -> Vec<u8> {
    encode::sequence(&[certificate.issuer().der().to_vec(), encode::tlv(Tag::INTEGER, certificate.serial())])
}

pub(super) fn attribute(oid: Oid, value: Vec<u8>) -> Vec<u8> {
    Attribute::new(oid, value).to_der()
}

pub(super) fn content_type(oid: Oid) -> Vec<u8> {
    attribute(oid::CONTENT_TYPE, encode::oid(&oid))
}

pub(super) fn message_digest(content: &[u8]) -> Vec<u8> {
    attribute(oid::MESSAGE_DIGEST, encode::octet_string(&digest::of(SHA256, content)))
}
