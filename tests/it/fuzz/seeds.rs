//! The seeds of the fuzz targets: what they are, and how they are made.

use std::fs;
use std::path::{Path, PathBuf};

use sealpost::asn1::{self, encode, oid, pem};
use sealpost::cms::{self, Padding, SignedBuilder, SignerOptions};
use sealpost::crypto::algorithm::{ContentCipher, DigestAlgorithm};
use sealpost::crypto::kdf::{self, Pkcs12Purpose};
use sealpost::crypto::key::PrivateKey;
use sealpost::crypto::mac;
use sealpost::crypto::pbe::{self, Scheme};
use sealpost::crypto::random::Seeded;
use sealpost::limits::Limits;
use sealpost::secret::Secret;
use sealpost::smime::{CipherChoice, Encrypt, Form, Outcome, Seal, Sign};
use sealpost::{keys, mime, smime};

use super::targets;
use super::targets::cast::{Cast, NOW};
use crate::support;

/// The seeds of a folder below `fuzz/seeds`, by name.
pub(crate) fn of(folder: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(root().join(folder)).expect("a folder of seeds").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = entries.collect();
    files.sort();
    let named =
        |path: PathBuf| (path.file_name().expect("a name").to_string_lossy().into_owned(), fs::read(path).expect("a file"));
    files.into_iter().map(named).collect()
}

/// Every seed.
pub(crate) fn all() -> Vec<Vec<u8>> {
    ["asn1", "cms", "http", "keys", "ldap", "milter", "mime", "ocsp", "open", "pki", "requests", "sieve"]
        .iter()
        .flat_map(|folder| of(folder))
        .map(|(_, bytes)| bytes)
        .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds")
}

const LETTER: &str = "From: Carol <carol@example.org>\r\nTo: bob@example.org\r\nSubject: =?utf-8?Q?caf=C3=A9?=\r\nDate: Mon, 1 Jun 2026 \
    00:00:00 +0000\r\nMessage-ID: <1@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello.\r\n";

const PARTS: &str = "From: a@example.com, \"B, c\" <b@example.com>\r\nTo: group: x@example.com, y@example.com;\r\nSubject: \
    =?utf-8?B?w6k=?=\r\n folded\r\nContent-Type: multipart/mixed; boundary=\"b c\" ; x*0=a; x*1*=%20b\r\n\r\npreamble\r\n--b c\r\n\r\ntext\r\n--b \
    c\r\nContent-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nSubject: inner\n\nbody\r\n--d\r\nContent-Type: text/plain\r\n\r\nx\r\n--d--\r\n--b \
    c  \r\nContent-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>=E9=\r\n \r\n--b c\r\nContent-Type: \
    application/octet-stream; name*=utf-8''%c3%a9.bin\r\nContent-Disposition: attachment; filename=\"a.p7m\"\r\nContent-Transfer-Encoding: \
    base64\r\n\r\nMAA=\r\n--b c\r\nContent-Type: message/rfc822\r\n\r\nFrom: a\r\n\r\nlast--b c\r\n--b c--\r\nepilogue\r\n";

/// A URL, a filter, and a server that lets in, finds one certificate and names another server.
fn ldap_talk(cast: &Cast) -> Vec<u8> {
    let application =
        |number, content: &[u8]| encode::tlv(asn1::Tag { class: asn1::Class::Application, constructed: true, number }, content);
    let message = |id, operation: Vec<u8>| encode::sequence(&[encode::integer_u64(id), operation]);
    let text = |text: &[u8]| encode::octet_string(text);
    let good = [encode::enumerated(0), text(b""), text(b"")].concat();
    let values = encode::set_of(vec![text(cast.carol.certificate().der())]);
    let attribute = encode::sequence(&[text(b"userCertificate;binary"), values]);
    let entry = [text(b"cn=carol,dc=example"), encode::sequence(&[attribute])].concat();
    let answers = [
        message(1, application(1, &good)),
        message(2, application(4, &entry)),
        message(2, application(19, &text(b"ldap://other.example/"))),
        message(2, application(5, &good)),
    ];
    [b"ldaps://[::1]:636/dc=example?mail?sub?(cn=a)\n(&(|(mail=a*)(!(cn=b\\2a)))(sn=*))\n".to_vec(), answers.concat()].concat()
}

/// What servers say: to who sends a message, and to who fetches some.
const SMTP_REPLIES: &str = "220 b\r\n250-b\r\n250-PIPELINING\r\n250-SIZE 100\r\n250-DSN\r\n250-CHUNKING\r\n250 AUTH SCRAM-SHA-256 PLAIN LOGIN\r\n334 \
    cj1hYmNkZWYscz1XMjJaYUowU05ZN3NvRXNVRWpiNmdRPT0saT00MDk2\r\n235 ok\r\n250 ok\r\n250 ok\r\n550 5.1.1 no\r\n354 go\r\n250 2.0.0 taken\r\n221 bye\r\n";
const STARTTLS_REPLIES: &str = "220-b\r\n220 b\r\n250-b\r\n250 STARTTLS\r\n220 go\r\n250-b\r\n250 AUTH PLAIN\r\n235 ok\r\n250 ok\r\n450 later\r\n250 \
    ok\r\n354 go\r\n421 4.3.2 the server stops\r\n";
const POP3_REPLIES: &str = "+OK b\r\n+OK\r\nSASL PLAIN\r\nUSER\r\nUIDL\r\nSTLS\r\n.\r\n+OK\r\n+OK\r\nSASL PLAIN\r\n.\r\n+OK\r\n+OK\r\n1 m1\r\n2 \
    mmm22\r\n3 333\r\n.\r\n+OK\r\n1 20\r\n2 5000\r\n3 9\r\n.\r\n+OK\r\nSubject: x\r\n\r\n..dot\r\n.\r\n+OK\r\n+OK\r\n+OK bye\r\n";
const TRACE: &str = "1\t1780272000\tsmtp\t127.0.0.1:9\t\tC\tEHLO x\n1\t1780272000\tpop3\t[::1]:9\tjane@a.example\tS\t+OK\tx\n0\t1\tnote\t\t\t-\t(5 lines \
    were missed)\npid\t5\nerror\tunknown question\n";

/// What the client says in a transcript of a session.
#[cfg(feature = "server")]
fn said(transcript: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(transcript);
    let text = fs::read_to_string(path).expect("a transcript");
    let lines = text.lines().filter_map(|line| line.strip_prefix("C: "));
    lines.flat_map(|line| [crate::proto::unescape(line), b"\r\n".to_vec()].concat()).collect()
}

/// Sessions, from their transcripts.
#[cfg(feature = "server")]
const SESSIONS: [&str; 14] = [
    "smtp/bdat.txt",
    "smtp/bdat-smuggling.txt",
    "smtp/binary.txt",
    "smtp/dots.txt",
    "smtp/dsn.txt",
    "smtp/login.txt",
    "smtp/scram.txt",
    "smtp/smuggling.txt",
    "smtp/starttls-state.txt",
    "smtp/submission.txt",
    "pop3/sasl.txt",
    "pop3/scram.txt",
    "pop3/session.txt",
    "pop3/utf8.txt",
];

/// Makes every seed anew: path and bytes.
fn make() -> Vec<(&'static str, Vec<u8>)> {
    let cast = Cast::load();
    let random = &mut Seeded::new(b"seeds");
    let letter = LETTER.as_bytes();
    let carols = [cast.carol.certificate().clone()];
    let both = [cast.bob.certificate().clone(), cast.carol.certificate().clone()];
    let gcm = || CipherChoice::Fixed(ContentCipher::Aes128Gcm);
    let clear = Sign::new(&cast.carol).run(letter, NOW, random).expect("signed");
    let opaque = Sign::new(&cast.carol).form(Form::Opaque).run(letter, NOW, random).expect("signed");
    let sealed = Seal::new(Sign::new(&cast.carol), Encrypt::new(&carols)).run(letter, NOW, random).expect("sealed");
    let inner = Seal::new(Sign::new(&cast.carol), Encrypt::new(&both).cipher(gcm()));
    let sealed_gcm = inner.run(letter, NOW, random).expect("sealed");
    let triple = Sign::new(&cast.carol).form(Form::Opaque).run(&sealed, NOW, random).expect("signed");
    let mut zipped = Vec::new();
    cms::compress(&mut clear.as_slice(), &mut zipped).expect("compressed");
    let head = "From: carol@example.org\r\nContent-Type: application/pkcs7-mime; smime-type=compressed-data\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    let compressed = [head.as_bytes(), &mime::transfer::encode_base64(&zipped)].concat();
    let options = SignerOptions::for_key(cast.carol.private_key(), DigestAlgorithm::Sha256, Padding::Pkcs1).expect("a key");
    let signature = SignedBuilder::new(cast.carol.certificate(), cast.carol.private_key(), options);
    let signature = signature.detached(&mut &b"some content\n"[..], random).expect("signed");
    let body = |message: &[u8]| mime::parse(message, &Limits::default()).expect("a message").decoded_body(message);
    let changed = String::from_utf8(clear.clone()).expect("ASCII").replace("Hello.", "Hello. \r\n-- \r\nlist").into_bytes();
    let ber = b"\x30\x80\x06\x03\x2a\x03\x04\xa0\x80\x24\x80\x04\x02ab\x24\x03\x04\x01c\0\0\0\0\x17\x0d260601000000Z\x03\x02\x01\x02\0\0";
    let [request, good, revoked] = ocsp(random);
    #[cfg(feature = "server")]
    let sessions: Vec<_> = SESSIONS.map(|name| (name, said(name))).into();
    #[cfg(not(feature = "server"))]
    let sessions = Vec::new();
    let others = vec![
        ("clients/smtp.txt", SMTP_REPLIES.into()),
        ("clients/starttls.txt", STARTTLS_REPLIES.into()),
        ("clients/pop3.txt", POP3_REPLIES.into()),
        ("admin/trace.txt", TRACE.into()),
        ("requests/asked.der", asked()),
        ("requests/signed.der", targets::requests::signed(&cast, &asked())),
        ("ocsp/request.der", request),
        ("ocsp/good.der", good),
        ("ocsp/revoked.der", revoked),
        ("asn1/ber.bin", ber.to_vec()),
        ("asn1/certificate.der", cast.carol.certificate().der().to_vec()),
        ("cms/signed.der", body(&opaque)),
        ("cms/enveloped.der", body(&sealed)),
        ("cms/auth-enveloped.der", body(&sealed_gcm)),
        ("cms/compressed.der", zipped),
        ("cms/certificates.der", cms::certificates_only(&carols)),
        ("cms/signature.der", signature),
        ("keys/aes.p12", key_file(&cast, Scheme::Aes256)),
        ("keys/triple-des.p12", key_file(&cast, Scheme::TripleDes)),
        ("keys/locked.der", locked_key(&cast, Scheme::Aes256)),
        ("keys/key.der", cast.carol.private_key().to_pkcs8().expect("it may leave").expose().clone()),
        ("keys/traditional.pem", openssl(&["pkey", "-traditional", "-aes128", "-passout", "pass:secret"], &cast)),
        ("keys/scrypt.pem", openssl(&["pkcs8", "-topk8", "-scrypt", "-scrypt_N", "16", "-passout", "pass:secret"], &cast)),
        ("keys/rc2.pem", openssl(&["pkcs8", "-topk8", "-v1", "PBE-SHA1-RC2-40", "-iter", "9", "-passout", "pass:secret"], &cast)),
        ("http/chunked", CHUNKED.to_vec()),
        ("http/sent-on", SENT_ON.to_vec()),
        ("ldap/found", ldap_talk(&cast)),
        ("pki/chain.der", chain(&["carol.pem", "issuing.pem", "root.pem", "issuing.crl"])),
        ("pki/revoked.der", chain(&["revoked.pem", "issuing.pem", "issuing.crl"])),
        ("pki/places.der", crate::online::world::chain_with_places()),
        ("pki/chain.pem", ["carol.pem", "issuing.pem", "issuing.crl"].map(cast_file).concat()),
        ("mime/parts.eml", PARTS.as_bytes().to_vec()),
        ("mime/letter.eml", letter.to_vec()),
        ("open/clear.eml", clear),
        ("open/changed.eml", changed),
        ("open/opaque.eml", opaque),
        ("open/sealed.eml", sealed),
        ("open/sealed-gcm.eml", sealed_gcm),
        ("open/triple.eml", triple),
        ("open/compressed.eml", compressed),
    ];
    [sessions, others].concat()
}

const CHUNKED: &[u8] =
    b"http://Ca.Example:8080/a list.crl?x=y#z\nHTTP/1.1 200 OK\r\nContent-Type: application/pkix-crl; x=y\r\nTransfer-Encoding: \
    chunked\r\n\r\n5;a=b\r\nhello\r\nA\r\n, you ther\r\n0\r\nT: t\r\n\r\n";

const SENT_ON: &[u8] = b"http://[2001:db8::1]/a/b\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 302 Found\r\nLocation: ../c?d\r\nContent-Length: 2\r\n\r\nab";

fn cast_file(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("certs").join(name)).expect("of the cast")
}

/// Files of the cast in DER, one after another.
fn chain(names: &[&str]) -> Vec<u8> {
    names.iter().flat_map(|name| pem::parse_all(&cast_file(name)).expect("PEM")).flat_map(|block| block.der).collect()
}

/// The attributes of a certificate request: what it may ask for, and words that ask for nothing.
fn asked() -> Vec<u8> {
    let extension = |oid, value: &[u8]| encode::sequence(&[encode::oid(&oid), encode::octet_string(value)]);
    let address = encode::implicit(1, &encode::ia5("carol@example.org"));
    let extensions = encode::sequence(&[
        extension(oid::SUBJECT_ALT_NAME, &encode::sequence(&[address])),
        extension(oid::KEY_USAGE, &encode::named_bits(&[0])),
        extension(oid::EXTENDED_KEY_USAGE, &encode::sequence(&[encode::oid(&oid::EMAIL_PROTECTION)])),
    ]);
    let attribute = |oid, value| encode::sequence(&[encode::oid(&oid), encode::set_of(vec![value])]);
    let version = attribute(oid::MS_OS_VERSION, encode::ia5("10.0"));
    encode::implicit(0, &encode::set_of(vec![attribute(oid::EXTENSION_REQUEST, extensions), version]))
}

/// A request with a nonce, and what an authority answers before and after a revocation.
fn ocsp(random: &mut Seeded) -> [Vec<u8>; 3] {
    use sealpost::ca::responder::{Folder, Nonces, Responder};
    use sealpost::ca::{RevocationReason, ServerProfile, store::Store};
    use sealpost::crypto::algorithm::KeyAlgorithm::P256;
    use sealpost::pki::ocsp::{CertId, Request};
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::create(folder.path(), ("Seeds", &[]), P256, None, NOW, random).expect("an authority");
    let profile = ServerProfile { hosts: vec!["a.example".to_owned()], days: 90 };
    let server = store.new_server(&profile, P256, NOW, random).expect("issued");
    let id = CertId::new(server.certificate(), store.authority().servers(), DigestAlgorithm::Sha256).expect("an identifier");
    let request = Request::new(id).nonce(random).to_der();
    store.publish(&[], &Folder::new(folder.path()), NOW, random).expect("published");
    let states = Box::new(Folder::new(folder.path()));
    let responder = Responder::open(folder.path(), states, Nonces::Answered, Box::new(Seeded::new(b"answers"))).expect("opened");
    let answer = || responder.respond(&request, NOW).der.to_vec();
    let good = answer();
    store.revoke(&server.certificate().serial_hex(), RevocationReason::Superseded, NOW).expect("revoked");
    let revoked = answer();
    [request, good, revoked]
}

/// Few rounds: a run is for the reader.
const ROUNDS: u64 = 10;

fn passphrase() -> Secret<Vec<u8>> {
    Secret::new(b"secret".to_vec())
}

fn locked_key(cast: &Cast, scheme: Scheme) -> Vec<u8> {
    let random = &mut Seeded::new(b"a key");
    cast.carol.private_key().to_encrypted_pkcs8_by(scheme, ROUNDS, &passphrase(), random).expect("locked")
}

/// Carol's key and certificate with an authentication code, of few rounds.
fn key_file(cast: &Cast, scheme: Scheme) -> Vec<u8> {
    let bag =
        |kind, value: &[u8], more: &[u8]| encode::sequence(&[encode::oid(&kind), encode::explicit(0, value), more.to_vec()]);
    let attribute = encode::sequence(&[encode::oid(&oid::LOCAL_KEY_ID), encode::set_of(vec![encode::octet_string(b"1")])]);
    let key = bag(oid::SHROUDED_KEY_BAG, &locked_key(cast, scheme), &encode::set_of(vec![attribute]));
    let der = encode::octet_string(cast.carol.certificate().der());
    let certificate = bag(oid::CERT_BAG, &bag(oid::X509_CERTIFICATE, &der, &[]), &[]);
    let info = |content: &[u8]| bag(oid::ID_DATA, &encode::octet_string(content), &[]);
    let safe = encode::sequence(&[info(&encode::sequence(&[key, certificate]))]);
    let password = pbe::bmp(&passphrase());
    let code = kdf::pkcs12(DigestAlgorithm::Sha256, password.expose(), b"salt", Pkcs12Purpose::Mac, ROUNDS, 32);
    let code = mac::hmac(DigestAlgorithm::Sha256, code.expose(), &safe);
    let digest = DigestAlgorithm::Sha256.identifier_with_null().to_der();
    let digest_info = encode::sequence(&[digest, encode::octet_string(&code)]);
    let mac_data = encode::sequence(&[digest_info, encode::octet_string(b"salt"), encode::integer_u64(ROUNDS)]);
    encode::sequence(&[encode::integer_u64(3), info(&safe), mac_data])
}

/// What OpenSSL makes of Carol's key, with its provider of old algorithms.
fn openssl(args: &[&str], cast: &Cast) -> Vec<u8> {
    let legacy = ["-provider", "default", "-provider", "legacy"];
    let key = pem::encode("PRIVATE KEY", cast.carol.private_key().to_pkcs8().expect("it may leave").expose());
    let (code, out, talk) = support::run("openssl", &[args, &legacy].concat(), key.as_bytes());
    assert_eq!(code, 0, "{talk}");
    out
}

#[test]
fn seeds_of_key_files_hold_carols_key() {
    let cast = Cast::load();
    for (name, file) in of("keys") {
        let limits = Limits::default();
        let key = match name.ends_with(".p12") {
            true => keys::load::identity(&file, Some(&passphrase()), &limits).expect("read").private_key().clone(),
            false => PrivateKey::from_any(&file, Some(&passphrase()), &limits).expect("read"),
        };
        assert_eq!(key.public_key(), cast.carol.private_key().public_key(), "{name}");
    }
}

#[test]
fn seeds_open_as_they_should() {
    let cast = Cast::load();
    for (name, message) in of("open") {
        let open = smime::Open::new(&cast.trust).known(&cast.known).identity(&cast.carol);
        let outcome = open.run(&message, &mut Seeded::new(b"seeds")).verdict().outcome();
        assert_eq!(outcome == Outcome::Good, name != "changed.eml", "{name} – {outcome:?}");
    }
}

#[test]
#[ignore = "writes fuzz/seeds anew; what is signed is another each time"]
fn seeds_are_written() {
    // SEALPOST_SEEDS=keys writes one folder of them
    let wanted = std::env::var("SEALPOST_SEEDS").unwrap_or_default();
    for (path, bytes) in make().into_iter().filter(|(path, _)| path.starts_with(&wanted)) {
        let path = root().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, bytes).expect("written");
    }
}
