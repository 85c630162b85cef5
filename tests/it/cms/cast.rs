//! The people of these tests: an authority and one person for each kind of key, the same in every run.

use std::path::PathBuf;
use std::sync::OnceLock;

use sealpost::asn1::{Cursor, Oid, Tag, encode, oid, pem};
use sealpost::cms::Key;
use sealpost::crypto::algorithm::{DigestAlgorithm, KeyAlgorithm, SignatureAlgorithm};
use sealpost::crypto::digest;
use sealpost::crypto::key::{PrivateKey, PublicKey};
use sealpost::crypto::random::Seeded;
use sealpost::crypto::signature::{self, Input};
use sealpost::pki::{Certificate, Name};
use sealpost::time::Timestamp;

use crate::support;

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

    /// All their certificates.
    pub(super) fn everyone(&self) -> impl Iterator<Item = &Certificate> {
        let people = self.people.iter().map(|person| &person.certificate);
        people.chain(self.others().iter().map(|other| &other.certificate))
    }

    /// People with keys that are read here and not made; the same in every run, made once.
    pub(super) fn others(&self) -> &'static [Other] {
        static OTHERS: OnceLock<Vec<Other>> = OnceLock::new();
        OTHERS.get_or_init(|| {
            let oid = |content: &[u8]| Oid::from_bytes(content).unwrap();
            let brainpool = |last| Some(oid(&[0x2b, 0x24, 3, 3, 2, 8, 1, 1, last]));
            let kinds = [
                ("ed448", oid(&[0x2b, 0x65, 0x71]), None, 57),
                ("x448", oid(&[0x2b, 0x65, 0x6f]), None, 56),
                ("brainpool256", oid::EC_PUBLIC_KEY, brainpool(7), 32),
                ("brainpool384", oid::EC_PUBLIC_KEY, brainpool(11), 48),
            ];
            let with_serial = kinds.into_iter().zip(100..);
            with_serial.map(|((name, kind, curve, len), serial)| self.other(name, kind, curve, len, serial)).collect()
        })
    }

    fn other(&self, name: &'static str, kind: Oid, curve: Option<Oid>, len: usize, serial: u64) -> Other {
        let openssl = |args: &[&str], input: &[u8]| {
            let (code, stdout, stderr) = support::run("openssl", args, input);
            assert_eq!(code, 0, "openssl {args:?}: {stderr}");
            stdout
        };
        // the name, hashed, is the private number; below 2^248 it is below the order of every curve
        let mut secret = digest::of(DigestAlgorithm::Sha512, name.as_bytes()).repeat(2)[..len].to_vec();
        secret[0] = 0;
        let secret = encode::octet_string(&secret);
        let inner = if curve.is_some() { encode::sequence(&[encode::integer_u64(1), secret]) } else { secret };
        let curve = curve.map(|curve| encode::oid(&curve)).unwrap_or_default();
        let algorithm = encode::sequence(&[encode::oid(&kind), curve]);
        let bare = encode::sequence(&[encode::integer_u64(0), algorithm, encode::octet_string(&inner)]);
        let key_der = openssl(&["pkcs8", "-topk8", "-nocrypt", "-inform", "DER", "-outform", "DER"], &bare);
        let spki = openssl(&["pkey", "-inform", "DER", "-pubout", "-outform", "DER"], &key_der);
        let usage: &[u32] = match name {
            "ed448" => &[0],
            "x448" => &[4],
            _ => &[0, 4],
        };
        let by = (self.authority.certificate.subject(), &self.authority.key);
        let certificate = certified(name, &spki, usage, by, serial);
        Other {
            name,
            key: PrivateKey::from_pkcs8(&key_der).map_err(|e| e.to_string()),
            certificate_file: write(name, "pem", &pem::encode("CERTIFICATE", certificate.der())),
            key_file: write(name, "key", &pem::encode("PRIVATE KEY", &key_der)),
            certificate,
        }
    }
}

/// Someone with a key of a kind that is not made here: OpenSSL made it.
pub(super) struct Other {
    pub(super) name: &'static str,
    pub(super) certificate: Certificate,
    pub(super) key: Result<PrivateKey, String>,
    pub(super) certificate_file: String,
    pub(super) key_file: String,
}

impl Other {
    /// `CERTIFICATE|KEY|how`, as jobs of peers name signers, recipients and readers.
    pub(super) fn who(&self, how: &str) -> String {
        format!("{}|{}|{how}", self.certificate_file, self.key_file)
    }

    /// The key to try, if this kind is known here.
    pub(super) fn key(&self) -> Result<Key<'_>, String> {
        let key = self.key.as_ref().map_err(Clone::clone)?;
        Ok(Key::Private { certificate: Some(&self.certificate), key })
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
    Person {
        name,
        address: format!("{name}@a.example"),
        certificate_file: write(name, "pem", &pem::encode("CERTIFICATE", certificate.der())),
        key_file: write(name, "key", &pem::encode("PRIVATE KEY", key.to_pkcs8().expect("it may leave").expose())),
        certificate,
        key,
    }
}

fn write(name: &str, suffix: &str, pem: &str) -> String {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cms-cast");
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join(format!("{name}.{suffix}"));
    // another run may read the same file now
    let beside = dir.join(format!("{name}.{suffix}.{}", std::process::id()));
    std::fs::write(&beside, pem).unwrap();
    std::fs::rename(&beside, &path).unwrap();
    path.to_str().unwrap().to_owned()
}

fn name(who: &str) -> Name {
    Name::from_attributes(&[(oid::ORGANIZATION, "Sealpost Tests"), (oid::COMMON_NAME, who)])
}

fn certificate(who: &str, key: &PublicKey, by: (&Name, &PrivateKey), serial: u64) -> Certificate {
    let usage: &[u32] = match key.algorithm() {
        KeyAlgorithm::Rsa(_) => &[0, 2],
        KeyAlgorithm::Ed25519 => &[0],
        KeyAlgorithm::X25519 => &[4],
        _ => &[0, 4],
    };
    certified(who, key.spki(), usage, by, serial)
}

fn certified(who: &str, spki: &[u8], usage: &[u32], (issuer, issuer_key): (&Name, &PrivateKey), serial: u64) -> Certificate {
    let is_authority = who == "authority";
    let key_id = |bits: &[u8]| encode::octet_string(&digest::of(DigestAlgorithm::Sha1, bits));
    let mut fields = Cursor::new(spki).sequence().unwrap();
    fields.any().unwrap();
    let (_, bits) = fields.expect(Tag::BIT_STRING).unwrap().bits().unwrap();
    let extension = |oid, critical: bool, value: Vec<u8>| {
        let critical = if critical { encode::boolean(true) } else { Vec::new() };
        encode::sequence(&[encode::oid(&oid), critical, encode::octet_string(&value)])
    };
    let issuer_id = digest::of(DigestAlgorithm::Sha1, issuer_key.public_key().key_bits());
    let authority_id = encode::tlv(Tag::context(0), &issuer_id);
    let mut extensions = vec![
        extension(oid::SUBJECT_KEY_IDENTIFIER, false, key_id(&bits)),
        extension(oid::AUTHORITY_KEY_IDENTIFIER, false, encode::sequence(&[authority_id])),
    ];
    if is_authority {
        extensions.push(extension(oid::BASIC_CONSTRAINTS, true, encode::sequence(&[encode::boolean(true)])));
        extensions.push(extension(oid::KEY_USAGE, true, encode::named_bits(&[5, 6])));
    } else {
        let address = encode::tlv(Tag::context(1), format!("{who}@a.example").as_bytes());
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
        spki.to_vec(),
        encode::explicit(3, &encode::sequence(&extensions)),
    ]);
    let signature = signature::sign(issuer_key, algorithm, Input::Message(&tbs), &mut Seeded::new(b"issue")).unwrap();
    let der = encode::sequence(&[tbs, algorithm.identifier().to_der(), encode::bit_string(&signature)]);
    Certificate::from_der(&der).unwrap()
}
