//! The people of these tests: an authority and one person for each kind of key, the same in every run.

use std::path::PathBuf;
use std::sync::OnceLock;

use sealpost::asn1::{Tag, encode, oid, pem};
use sealpost::crypto::algorithm::{DigestAlgorithm, KeyAlgorithm, SignatureAlgorithm};
use sealpost::crypto::digest;
use sealpost::crypto::key::{PrivateKey, PublicKey};
use sealpost::crypto::random::Seeded;
use sealpost::crypto::signature::{self, Input};
use sealpost::pki::{Certificate, Name};
use sealpost::time::Timestamp;

/// Someone with a key and a certificate, in memory and in files.
pub(super) struct Person {
    pub(super) name: &'static str,
    pub(super) address: String,
    pub(super) certificate: Certificate,
    pub(super) key: PrivateKey,
    pub(super) certificate_file: String,
    pub(super) key_file: String,
}

pub(super) struct Cast {
    pub(super) authority: Person,
    people: Vec<Person>,
}

impl Cast {
    pub(super) fn person(&self, name: &str) -> &Person {
        self.people.iter().find(|person| person.name == name).expect("one of the cast")
    }
}

/// The cast, made once.
pub(super) fn cast() -> &'static Cast {
    static CAST: OnceLock<Cast> = OnceLock::new();
    CAST.get_or_init(|| {
        let root_key = PrivateKey::generate(KeyAlgorithm::Rsa(2048), &mut Seeded::new(b"authority")).unwrap();
        let root_name = name("authority");
        let by = (&root_name, &root_key);
        let root = certificate("authority", root_key.public_key(), by, 1);
        let kinds = [
            ("alice", KeyAlgorithm::Rsa(2048)),
            ("bob", KeyAlgorithm::Rsa(2048)),
            ("carol", KeyAlgorithm::P256),
            ("dave", KeyAlgorithm::P384),
            ("erin", KeyAlgorithm::P521),
            ("frank", KeyAlgorithm::Ed25519),
            ("grace", KeyAlgorithm::X25519),
        ];
        let people = kinds.into_iter().zip(2..).map(|((who, kind), serial)| {
            let key = PrivateKey::generate(kind, &mut Seeded::new(who.as_bytes())).unwrap();
            let certificate = certificate(who, key.public_key(), by, serial);
            person(who, certificate, key)
        });
        Cast { people: people.collect(), authority: person("authority", root, root_key) }
    })
}

fn person(name: &'static str, certificate: Certificate, key: PrivateKey) -> Person {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cms-cast");
    std::fs::create_dir_all(&dir).unwrap();
    let write = |suffix: &str, label: &str, der: &[u8]| {
        let path = dir.join(format!("{name}.{suffix}"));
        // another run may read the same file now
        let beside = dir.join(format!("{name}.{suffix}.{}", std::process::id()));
        std::fs::write(&beside, pem::encode(label, der)).unwrap();
        std::fs::rename(&beside, &path).unwrap();
        path.to_str().unwrap().to_owned()
    };
    Person {
        name,
        address: format!("{name}@a.example"),
        certificate_file: write("pem", "CERTIFICATE", certificate.der()),
        key_file: write("key", "PRIVATE KEY", key.to_pkcs8().expose()),
        certificate,
        key,
    }
}

fn name(who: &str) -> Name {
    Name::from_attributes(&[(oid::ORGANIZATION, "Sealpost Tests"), (oid::COMMON_NAME, who)])
}

fn certificate(who: &str, key: &PublicKey, (issuer, issuer_key): (&Name, &PrivateKey), serial: u64) -> Certificate {
    let is_authority = who == "authority";
    let key_id = |key: &PublicKey| digest::of(DigestAlgorithm::Sha1, key.key_bits());
    let extension = |oid, critical: bool, value: Vec<u8>| {
        let critical = if critical { encode::boolean(true) } else { Vec::new() };
        encode::sequence(&[encode::oid(&oid), critical, encode::octet_string(&value)])
    };
    let authority_id = encode::tlv(Tag::context(0), &key_id(issuer_key.public_key()));
    let mut extensions = vec![
        extension(oid::SUBJECT_KEY_IDENTIFIER, false, encode::octet_string(&key_id(key))),
        extension(oid::AUTHORITY_KEY_IDENTIFIER, false, encode::sequence(&[authority_id])),
    ];
    if is_authority {
        extensions.push(extension(oid::BASIC_CONSTRAINTS, true, encode::sequence(&[encode::boolean(true)])));
        extensions.push(extension(oid::KEY_USAGE, true, encode::named_bits(&[5, 6])));
    } else {
        let address = encode::tlv(Tag::context(1), format!("{who}@a.example").as_bytes());
        let usage: &[u32] = match key.algorithm() {
            KeyAlgorithm::Rsa(_) => &[0, 2],
            KeyAlgorithm::Ed25519 => &[0],
            KeyAlgorithm::X25519 => &[4],
            _ => &[0, 4],
        };
        extensions.push(extension(oid::KEY_USAGE, true, encode::named_bits(usage)));
        extensions.push(extension(oid::EXTENDED_KEY_USAGE, false, encode::sequence(&[encode::oid(&oid::EMAIL_PROTECTION)])));
        extensions.push(extension(oid::SUBJECT_ALT_NAME, false, encode::sequence(&[address])));
    }
    let algorithm = SignatureAlgorithm::RsaPkcs1(DigestAlgorithm::Sha256);
    let time = |seconds| encode::time(Timestamp::from_unix(seconds));
    let tbs = encode::sequence(&[
        encode::explicit(0, &encode::integer_u64(2)),
        encode::integer_u64(serial),
        algorithm.identifier().to_der(),
        issuer.der().to_vec(),
        // 2020 to 2049
        encode::sequence(&[time(1_577_836_800), time(2_493_072_000)]),
        name(who).der().to_vec(),
        key.spki().to_vec(),
        encode::explicit(3, &encode::sequence(&extensions)),
    ]);
    let signature = signature::sign(issuer_key, algorithm, Input::Message(&tbs), &mut Seeded::new(b"issue")).unwrap();
    let der = encode::sequence(&[tbs, algorithm.identifier().to_der(), encode::bit_string(&signature)]);
    Certificate::from_der(&der).unwrap()
}
