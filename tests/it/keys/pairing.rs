//! Which certificate goes with which key of a file, what stands above it, and what is left out.

use sealpost::asn1::{Oid, Tag, encode, oid};
use sealpost::ca::{Authority, MailProfile};
use sealpost::crypto::algorithm::KeyAlgorithm;
use sealpost::crypto::key::PrivateKey;
use sealpost::crypto::random::Seeded;
use sealpost::keys::load::{self, Loaded};
use sealpost::keys::{Error, pkcs12};
use sealpost::limits::Limits;
use sealpost::pki::Certificate;
use sealpost::time::Timestamp;

use crate::support;

/// A bag of this kind, with a localKeyId and a name where they are given.
fn bag(kind: Oid, value: &[u8], id: Option<&[u8]>, name: Option<&str>) -> Vec<u8> {
    let attribute = |kind: Oid, value: Vec<u8>| encode::sequence(&[encode::oid(&kind), encode::set_of(vec![value])]);
    let bmp = |text: &str| encode::tlv(Tag::BMP_STRING, &text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>());
    let mut attributes = Vec::new();
    attributes.extend(id.map(|id| attribute(oid::LOCAL_KEY_ID, encode::octet_string(id))));
    attributes.extend(name.map(|name| attribute(oid::FRIENDLY_NAME, bmp(name))));
    encode::sequence(&[encode::oid(&kind), encode::explicit(0, value), encode::set_of(attributes)])
}

fn key_bag(key: &PrivateKey, id: Option<&[u8]>) -> Vec<u8> {
    bag(oid::KEY_BAG, key.to_pkcs8().expect("it may leave").expose(), id, Some("a key"))
}

fn certificate_bag(certificate: &Certificate, id: Option<&[u8]>) -> Vec<u8> {
    let der = encode::explicit(0, &encode::octet_string(certificate.der()));
    bag(oid::CERT_BAG, &encode::sequence(&[encode::oid(&oid::X509_CERTIFICATE), der]), id, None)
}

/// A file without code and passphrase that holds these bags.
fn file(bags: &[Vec<u8>]) -> Vec<u8> {
    let info =
        |content: &[u8]| encode::sequence(&[encode::oid(&oid::ID_DATA), encode::explicit(0, &encode::octet_string(content))]);
    encode::sequence(&[encode::integer_u64(3), info(&encode::sequence(&[info(&encode::sequence(bags))]))])
}

fn read(bags: &[Vec<u8>]) -> Result<Loaded, Error> {
    load::file(&file(bags), None, &Limits::default())
}

/// An authority with its root, and what it certifies.
struct Cast {
    authority: Authority,
    root: Certificate,
    random: Seeded,
}

impl Cast {
    fn new() -> Self {
        let mut random = Seeded::new(b"pairing");
        let (authority, _) = Authority::create("Pairing", &["a.example"], KeyAlgorithm::P256, at(0), &mut random).expect("made");
        let root = authority.root().clone();
        Self { authority, root, random }
    }

    fn key(&mut self) -> PrivateKey {
        PrivateKey::generate(KeyAlgorithm::P256, &mut self.random).expect("a key")
    }

    /// A certificate of a key from this day on.
    fn certify(&mut self, key: &PrivateKey, day: i64) -> Certificate {
        let profile = MailProfile::new("jane@a.example").days(30);
        self.authority.issue(&profile, key.public_key(), at(day), &mut self.random).expect("issued")
    }
}

fn at(day: i64) -> Timestamp {
    Timestamp::parse_rfc3339("2026-06-01T00:00:00Z").expect("a time").plus_days(day)
}

#[test]
fn a_key_with_two_certificates_is_two_identities_the_named_one_first() {
    let mut cast = Cast::new();
    let key = cast.key();
    let (old, new) = (cast.certify(&key, 0), cast.certify(&key, 20));
    for (named, first) in [(None, &new), (Some(&old), &old), (Some(&new), &new)] {
        let id = |certificate: &Certificate| named.filter(|named| *named == certificate).map(|_| &b"id"[..]);
        let bags = [certificate_bag(&old, id(&old)), certificate_bag(&new, id(&new)), key_bag(&key, Some(b"id"))];
        let read = read(&bags).expect("read").identities;
        assert_eq!(read.len(), 2, "mail to the old one names the old one");
        assert_eq!(read[0].certificate(), first);
        assert!(read.iter().all(|identity| identity.chain().is_empty()), "neither is above the other");
    }
}

#[test]
fn an_identifier_that_names_the_certificate_of_another_key_pairs_nothing() {
    let mut cast = Cast::new();
    let (key, other) = (cast.key(), cast.key());
    let (own, foreign) = (cast.certify(&key, 0), cast.certify(&other, 0));
    let bags = [certificate_bag(&foreign, Some(b"id")), certificate_bag(&own, None), key_bag(&key, Some(b"id"))];
    let read = read(&bags).expect("read");
    assert_eq!(read.identities.len(), 1);
    assert_eq!(read.identities[0].certificate(), &own);
}

#[test]
fn the_chain_goes_up_whatever_the_order_of_the_file() {
    let mut cast = Cast::new();
    let key = cast.key();
    let own = cast.certify(&key, 0);
    let (issuing, root) = (cast.authority.issuing().clone(), cast.root.clone());
    let stranger = Cast::new().authority.servers().clone();
    for order in [[&root, &issuing, &own], [&own, &root, &issuing], [&issuing, &own, &root]] {
        let mut bags: Vec<Vec<u8>> = order.iter().map(|certificate| certificate_bag(certificate, None)).collect();
        bags.insert(0, certificate_bag(&stranger, None));
        // Java writes the chain once for each key
        bags.push(certificate_bag(&issuing, None));
        bags.push(key_bag(&key, None));
        let read = read(&bags).expect("read").identities;
        assert_eq!(read[0].chain(), [issuing.clone(), root.clone(), stranger.clone()], "authorities of other chains last");
    }
}

#[test]
fn a_file_without_keys_says_that_it_holds_certificates() {
    let mut cast = Cast::new();
    let key = cast.key();
    let bags = [certificate_bag(&cast.certify(&key, 0), None)];
    assert_eq!(pkcs12::read(&file(&bags), None, &Limits::default()).expect("read").certificates.len(), 1);
    assert_eq!(read(&bags).expect_err("no key").to_string(), "the file holds no private key, only certificates");
    assert_eq!(read(&[]).expect_err("nothing").to_string(), "the file holds no private key");
    assert_eq!(
        read(&[key_bag(&key, None)]).expect_err("no certificate").to_string(),
        "the file holds no certificate of its private key"
    );
}

#[test]
fn what_is_left_out_is_said() {
    let mut cast = Cast::new();
    let (key, alone) = (cast.key(), cast.key());
    let own = cast.certify(&key, 0);
    let broken = encode::sequence(&[encode::oid(&oid::X509_CERTIFICATE), encode::explicit(0, &encode::octet_string(b"0"))]);
    let sdsi = encode::sequence(&[encode::oid(&oid::SECRET_BAG), encode::explicit(0, &encode::null())]);
    let pkcs8 =
        encode::sequence(&[encode::integer_u64(0), encode::sequence(&[encode::oid(&oid::DSA)]), encode::octet_string(b"")]);
    let bags = [
        key_bag(&key, None),
        key_bag(&alone, None),
        bag(oid::KEY_BAG, &pkcs8, None, None),
        certificate_bag(&own, None),
        bag(oid::CERT_BAG, &broken, None, None),
        bag(oid::CERT_BAG, &sdsi, None, None),
        bag(oid::SECRET_BAG, &encode::null(), None, None),
        bag(oid::CRL_BAG, &encode::null(), None, None),
    ];
    let read = read(&bags).expect("read");
    assert_eq!(read.identities.len(), 1);
    let starts = [
        "a private key cannot be read – unsupported private key – dsa",
        "a certificate cannot be read – ",
        "a certificate of the type secretBag is not read",
        "a bag of the type secretBag is not read",
        "a bag of the type crlBag is not read",
        "a private key (p256) has no certificate in the file",
    ];
    assert_eq!(read.unread.len(), starts.len(), "{:#?}", read.unread);
    for (said, start) in read.unread.iter().zip(starts) {
        assert!(said.starts_with(start), "{said}");
    }
}

#[test]
fn names_and_identifiers_are_kept() {
    let mut cast = Cast::new();
    let key = cast.key();
    let content = pkcs12::read(&file(&[key_bag(&key, Some(b"\x01\x02"))]), None, &Limits::default()).expect("read");
    assert_eq!(content.keys[0].name.as_deref(), Some("a key"));
    assert_eq!(content.keys[0].local_key_id.as_deref(), Some(&[1, 2][..]));
}

#[test]
fn the_things_of_one_file_are_bounded() {
    let mut cast = Cast::new();
    let key = cast.key();
    let bags = vec![certificate_bag(&cast.certify(&key, 0), None); 513];
    let error = pkcs12::read(&file(&bags), None, &Limits::default()).expect_err("too many").to_string();
    assert_eq!(error, "limit reached: key file entries – at most 512");
}

#[test]
fn a_trust_store_of_java_is_read() {
    if !support::peer("keytool") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("store").display().to_string();
    for (alias, certificate) in [("root", "root.pem"), ("issuing", "issuing.pem")] {
        let import = ["-importcert", "-noprompt", "-alias", alias, "-file", &super::certs(certificate)];
        let (code, _, talk) = support::run(
            "keytool",
            &[&import[..], &["-keystore", &store, "-storetype", "PKCS12", "-storepass", "secret"]].concat(),
            b"",
        );
        assert_eq!(code, 0, "{talk}");
    }
    let bytes = std::fs::read(&store).expect("written");
    let content = pkcs12::read(&bytes, Some(&super::secret("secret")), &Limits::default()).expect("read");
    let names: Vec<_> = content.certificates.iter().filter_map(|held| held.name.as_deref()).collect();
    assert_eq!(names, ["root", "issuing"]);
    let home = folder.path().join("home").display().to_string();
    let passphrase = folder.path().join("passphrase").display().to_string();
    std::fs::write(&passphrase, "secret\n").expect("written");
    let args = ["--batch", "--home", &home, "--passphrase-file", &passphrase, "trust", "add", &store];
    let (code, _, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &args, b"");
    assert!(code == 0 && talk.matches("trusted: ").count() == 2, "{talk}");
    let error = load::file(&bytes, Some(&super::secret("secret")), &Limits::default()).expect_err("no key").to_string();
    assert_eq!(error, "the file holds no private key, only certificates");
}
