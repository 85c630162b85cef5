//! The messages that peers are to read: every signature, recipient and cipher that is written here, each with a label.

use sealpost::cms::{self, Content, Padding, SignedBuilder, SignerOptions};
use sealpost::crypto::algorithm::{ContentCipher, DigestAlgorithm, KeyTransport};
use sealpost::limits::Limits;
use sealpost::secret::Secret;

use super::batch::Reader;
use super::cast::{Person, cast};
use super::own::{CIPHERS, CONTENT, READERS, SIGNERS, builder, detached, encrypted, opaque, options};
use super::{decrypt, read_signed};

/// What is not possible here yet, whatever peer makes it: a part of the labels of its rows, and what is missing.
const NOT_YET: &[(&str, &str)] = &[];

pub(super) const PASSWORD: &str = "correct horse";

/// Holds that every row works, but for those that a part of the label excepts with a reason, and that those do not work.
pub(super) fn judge(rows: &[(String, Result<(), String>)], except: &[(&str, &str)]) {
    let excepted = |label: &str| {
        let label = label.to_lowercase();
        except.iter().chain(NOT_YET).find(|(part, _)| label.contains(&part.to_lowercase()))
    };
    let (mut failed, mut works, mut used) = (0, Vec::new(), Vec::new());
    for (label, outcome) in rows {
        match (outcome, excepted(label)) {
            (Err(why), None) => {
                eprintln!("FAILED: {label}: {why}");
                failed += 1;
            }
            (Ok(()), Some(exception)) => works.push((label, exception)),
            (Err(why), Some(exception)) => {
                eprintln!("EXCEPTED: {label}: {why}");
                used.push(exception);
            }
            (Ok(()), None) => {}
        }
    }
    assert_eq!(failed, 0, "so many of {} rows failed", rows.len());
    assert!(works.is_empty(), "these work now; take their exceptions out: {works:#?}");
    let unused: Vec<_> = except.iter().filter(|exception| !used.contains(exception)).collect();
    assert!(unused.is_empty(), "exceptions without a row: {unused:?}");
}

/// Bytes of every value and no line ends: more than one piece of every writer.
pub(super) fn long() -> Vec<u8> {
    (0..100_001_u32).map(|n| n.to_le_bytes()[0]).collect()
}

pub(super) fn kek() -> Secret<Vec<u8>> {
    Secret::new((0..32).collect())
}

pub(super) fn kek_hex() -> String {
    kek().expose().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A signed message of ours.
pub(super) struct Signed {
    pub(super) label: String,
    pub(super) message: Vec<u8>,
    pub(super) content: Vec<u8>,
    pub(super) detached: bool,
    pub(super) signers: usize,
}

impl Signed {
    fn new(label: &str, builder: &SignedBuilder<'_>, signers: usize) -> [Self; 2] {
        let make = |form: &str, message, detached| Self {
            label: format!("{label} {form}"),
            message,
            content: CONTENT.to_vec(),
            detached,
            signers,
        };
        [make("opaque", opaque(builder, CONTENT), false), make("detached", detached(builder, CONTENT), true)]
    }

    /// The message with one bit of its content changed: inside, or beside it.
    pub(super) fn changed(&self) -> (Vec<u8>, Option<Vec<u8>>) {
        if self.detached {
            let mut content = self.content.clone();
            content[0] ^= 1;
            return (self.message.clone(), Some(content));
        }
        (with_changed(&self.message, &self.content), None)
    }
}

/// A message with the first bit of the content inside changed.
pub(super) fn with_changed(message: &[u8], content: &[u8]) -> Vec<u8> {
    let start = &content[..content.len().min(16)];
    let at = message.windows(start.len()).position(|window| window == start).expect("the content is inside");
    let mut message = message.to_vec();
    message[at] ^= 1;
    message
}

/// Every key with every digest, PSS, and several signers; opaque and detached.
pub(super) fn signed() -> Vec<Signed> {
    use DigestAlgorithm as D;
    let mut rows = Vec::new();
    for name in SIGNERS {
        let person = cast().person(name);
        let digests = [D::Sha224, D::Sha256, D::Sha384, D::Sha512, D::Sha3_256, D::Sha3_384, D::Sha3_512];
        for digest in if name == "frank" { &digests[3..4] } else { &digests[..] } {
            rows.extend(Signed::new(&format!("{name} {}", digest.name()), &builder(person, *digest), 1));
        }
    }
    let (alice, carol, dave) = (cast().person("alice"), cast().person("carol"), cast().person("dave"));
    for digest in [D::Sha256, D::Sha384, D::Sha512] {
        let options = SignerOptions::for_key(&alice.key, digest, Padding::Pss).unwrap();
        let builder = SignedBuilder::new(&alice.certificate, &alice.key, options);
        rows.extend(Signed::new(&format!("alice pss {}", digest.name()), &builder, 1));
    }
    let several = builder(alice, D::Sha256).signer(&carol.certificate, &carol.key, options(carol, D::Sha384)).signer(
        &dave.certificate,
        &dave.key,
        options(dave, D::Sha512),
    );
    rows.extend(Signed::new("several signers", &several, 3));
    rows
}

/// An encrypted message of ours.
pub(super) struct Enveloped<'a> {
    pub(super) label: String,
    pub(super) message: Vec<u8>,
    pub(super) content: Vec<u8>,
    readers: Vec<(String, Reader<'a>)>,
}

impl<'a> Enveloped<'a> {
    /// Who is to read it, each with the label of the row.
    pub(super) fn readers(&self) -> impl Iterator<Item = (String, Reader<'a>)> + '_ {
        self.readers.iter().map(|(name, reader)| (format!("{} {name}", self.label), *reader))
    }
}

/// Every cipher with every kind of recipient, alone and together.
pub(super) fn enveloped() -> Vec<Enveloped<'static>> {
    use DigestAlgorithm as D;
    let mut rows = Vec::new();
    let mut add = |label: String, cipher, transport: &KeyTransport, people: &[&'static Person], content: &[u8]| {
        let message = encrypted(cipher, transport, people, content);
        let readers = people.iter().map(|person| (person.name.to_owned(), Reader::Person(person))).collect();
        rows.push(Enveloped { label, message, content: content.to_vec(), readers });
    };
    let everybody: Vec<&Person> = READERS.iter().map(|name| cast().person(name)).collect();
    let alice = cast().person("alice");
    for cipher in CIPHERS {
        let name = cipher.name();
        for person in &everybody {
            add(format!("{name} to"), cipher, &KeyTransport::RsaPkcs1, &[person], CONTENT);
        }
        add(format!("{name} empty to"), cipher, &KeyTransport::RsaPkcs1, &[alice], b"");
        add(format!("{name} long to"), cipher, &KeyTransport::RsaPkcs1, &[alice], &long());
        add(format!("{name} long to"), cipher, &KeyTransport::RsaPkcs1, &[cast().person("carol")], &long());
    }
    let transports = [
        ("sha1", D::Sha1, D::Sha1, &b""[..]),
        ("sha256", D::Sha256, D::Sha256, b""),
        ("sha384", D::Sha384, D::Sha384, b""),
        ("sha512", D::Sha512, D::Sha512, b""),
        ("sha512-mgf-sha1", D::Sha512, D::Sha1, b""),
        ("sha256-mgf-sha384", D::Sha256, D::Sha384, b""),
        ("sha256-label", D::Sha256, D::Sha256, b"label"),
    ];
    for (name, digest, mgf_digest, label) in transports {
        let transport = KeyTransport::RsaOaep { digest, mgf_digest, label: label.to_vec() };
        for cipher in [ContentCipher::Aes128Cbc, ContentCipher::Aes256Gcm] {
            add(format!("{} oaep-{name} to", cipher.name()), cipher, &transport, &[alice], CONTENT);
        }
    }
    let together = [alice, cast().person("bob"), cast().person("carol"), cast().person("dave"), cast().person("erin")];
    add("together cbc to".to_owned(), ContentCipher::Aes256Cbc, &KeyTransport::RsaPkcs1, &together, CONTENT);
    add("together gcm to".to_owned(), ContentCipher::Aes256Gcm, &KeyTransport::RsaPkcs1, &together, CONTENT);
    rows
}

/// What we say of a signed message of theirs: good with its content, and not good with other content.
pub(super) fn read(message: &[u8], is_detached: bool, content: &[u8], signers: usize) -> Result<(), String> {
    // not every message brings its certificates
    let known: Vec<_> = cast().everyone().collect();
    let (data, inside) = read_signed(message, is_detached.then_some(content)).map_err(|e| e.to_string())?;
    let checks = super::checks(&data, &known);
    if !checks.iter().all(|check| matches!(check, cms::SignatureCheck::Valid(_))) {
        return Err(format!("{checks:?}"));
    }
    if data.signers.len() != signers {
        return Err(format!("{} signers", data.signers.len()));
    }
    if data.has_content == is_detached || !(is_detached || inside == content) {
        return Err("other content".to_owned());
    }
    let mut other = content.to_vec();
    other[0] ^= 1;
    let changed = match is_detached {
        true => read_signed(message, Some(&other)),
        false => read_signed(&with_changed(message, content), None),
    };
    let (data, _) = changed.map_err(|e| e.to_string())?;
    // without signed attributes nobody can tell changed content from a changed signature
    match super::checks(&data, &known).iter().any(|check| matches!(check, cms::SignatureCheck::Valid(_))) {
        false => Ok(()),
        true => Err("changed content is good".to_owned()),
    }
}

/// What we say of an encrypted message of theirs: its content; nothing where the last byte was changed under a tag.
pub(super) fn open(message: &[u8], reader: Reader<'_>, content: &[u8]) -> Result<(), String> {
    let (password, kek) = (Secret::new(PASSWORD.as_bytes().to_vec()), kek());
    let keys = [reader.key(&password, &kek)?];
    let plain = decrypt(message, &keys).map_err(|e| e.to_string())?;
    if plain != content {
        return Err("other content".to_owned());
    }
    if super::read_enveloped(message).map_err(|e| e.to_string())?.is_authenticated() {
        let mut message = message.to_vec();
        // before the ends of indefinite lengths
        let last = message.iter().rposition(|byte| *byte != 0).expect("not all zero");
        message[last] ^= 1;
        if decrypt(&message, &keys).is_ok() {
            return Err("a changed tag is good".to_owned());
        }
    }
    Ok(())
}

/// Our CompressedData.
pub(super) fn compressed(mut content: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    cms::compress(&mut content, &mut message).unwrap();
    message
}

/// What we find in a CompressedData of theirs.
pub(super) fn expanded(message: &[u8]) -> Result<Vec<u8>, String> {
    let Content::Compressed(mut reader) = cms::open(message, &Limits::default()).map_err(|e| e.to_string())? else {
        return Err("no CompressedData".to_owned());
    };
    let (mut content, mut piece) = (Vec::new(), [0; 1000]);
    loop {
        match reader.read(&mut piece).map_err(|e| e.to_string())? {
            0 => break,
            read => content.extend(&piece[..read]),
        }
    }
    reader.finish().map_err(|e| e.to_string())?;
    Ok(content)
}
