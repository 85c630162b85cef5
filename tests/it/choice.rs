//! Which algorithms a message gets, who reads which copy of it, and what is learnt of people from their messages.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use sealpost::asn1::{Oid, oid};
use sealpost::cms::{Capabilities, Capability, Content, RecipientKind};
use sealpost::crypto::algorithm::{
    AlgorithmIdentifier, ContentCipher, DigestAlgorithm, KeyAgreement, KeyTransport, KeyWrap, Scheme,
};
use sealpost::keys::Home;
use sealpost::limits::Limits;
use sealpost::mime;
use sealpost::pki::{self, Certificate};
use sealpost::smime::{Because, CipherChoice, Recipient, TransportChoice, Way, choose};
use sealpost::time::Timestamp;

use crate::support;

fn certs(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("certs").join(name).display().to_string()
}

fn certificate(path: &str) -> Certificate {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    pki::load::certificates(&bytes).expect("certificates").remove(0)
}

fn openssl(args: &[&str]) -> Vec<u8> {
    let (code, out, talk) = support::run("openssl", args, b"");
    assert_eq!(code, 0, "openssl {args:?}: {talk}");
    out
}

/// Certificates of OpenSSL, which say nothing of what their owners read: one for each kind of key.
fn silent(folder: &Path) -> Vec<Certificate> {
    let kinds = [("rsa:2048", ""), ("ec", "P-256"), ("ec", "P-384"), ("ec", "P-521")];
    let made = kinds.into_iter().zip(1..).map(|((kind, curve), number)| {
        let file = |end: &str| folder.join(format!("{number}.{end}")).display().to_string();
        let (cert, key, subject) = (file("pem"), file("key"), format!("/CN=person {number}"));
        let name = format!("subjectAltName=email:p{number}@example.org");
        let mut args = vec!["req", "-x509", "-nodes", "-subj", &subject, "-addext", &name, "-keyout", &key, "-out", &cert];
        let curve = format!("ec_paramgen_curve:{curve}");
        args.extend(["-newkey", kind]);
        if kind == "ec" {
            args.extend(["-pkeyopt", &curve]);
        }
        openssl(&args);
        certificate(&cert)
    });
    made.collect()
}

fn said(oids: &[Oid]) -> Capabilities {
    Capabilities(oids.iter().map(|oid| Capability { oid: *oid, parameters: None }).collect())
}

fn of(identifier: AlgorithmIdentifier) -> Capability {
    Capability { oid: identifier.oid, parameters: identifier.parameters }
}

/// What each recipient says, the cipher, who limits it, and words of the reason.
type Row<'a> = (&'a [Option<&'a [Oid]>], &'a str, &'a [u32], &'a str);

const RSA: KeyTransport = KeyTransport::RsaPkcs1;

#[test]
fn the_cipher_is_the_best_that_every_recipient_is_known_to_read() {
    if !support::peer("openssl") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let people = silent(folder.path());
    let (gcm, cbc) = ([oid::AES256_GCM, oid::AES256_CBC], [oid::AES256_CBC, oid::AES128_CBC, oid::DES_EDE3_CBC]);
    let short_gcm = [oid::AES128_GCM, oid::AES128_CBC];
    let (short, old) = ([oid::AES128_CBC, oid::DES_EDE3_CBC], [oid::DES_EDE3_CBC, oid::RC2_CBC]);
    let table: &[Row<'_>] = &[
        (&[None, None], "aes-256-cbc", &[1, 2], "p1@example.org and p2@example.org are not known to read AES-GCM"),
        (&[Some(&gcm), Some(&gcm)], "aes-256-gcm", &[], "every recipient is known to read it"),
        (&[Some(&gcm), None], "aes-256-cbc", &[2], "p2@example.org is not known to read AES-GCM"),
        (&[Some(&gcm), Some(&cbc)], "aes-256-cbc", &[2], "p2@example.org is not known to read AES-GCM"),
        (&[Some(&gcm), Some(&short_gcm)], "aes-128-gcm", &[2], "p2@example.org is not said to read AES-256"),
        (&[Some(&short), None], "aes-128-cbc", &[1, 2], "p1@example.org is not said to read AES-256"),
        // never less than AES-128, whatever somebody says
        (&[Some(&old)], "aes-128-cbc", &[1], "p1@example.org is not known to read AES-GCM"),
        // an empty list says nothing
        (&[Some(&[])], "aes-256-cbc", &[1], "p1@example.org is not known to read AES-GCM"),
        (&[None, None, None, None], "aes-256-cbc", &[1, 2, 3, 4], "p1@example.org, p2@example.org and 2 more are not known"),
    ];
    for (known, cipher, limiting, why) in table {
        let recipients: Vec<Recipient> = people
            .iter()
            .zip(known.iter())
            .map(|(certificate, known)| {
                let recipient = Recipient::from(certificate);
                known.map_or(recipient.clone(), |known| recipient.capabilities(said(known)))
            })
            .collect();
        let chosen = choose(&recipients, CipherChoice::Auto, TransportChoice::Auto);
        let names: Vec<String> = limiting.iter().map(|number| format!("p{number}@example.org")).collect();
        assert_eq!((chosen.cipher.name().as_str(), &chosen.limited_by), (*cipher, &names), "{why}");
        assert!(chosen.reason().contains(why), "{}", chosen.reason());
    }
    // what is asked for is done, and said to be more than is known
    let asked =
        choose(&[Recipient::from(&people[0])], CipherChoice::Fixed(ContentCipher::ChaCha20Poly1305), TransportChoice::Auto);
    assert_eq!(asked.cipher, ContentCipher::ChaCha20Poly1305);
    assert!(asked.why.contains("as asked; p1@example.org is not known to read it"), "{}", asked.why);
    assert_eq!(asked.ways, [Way::Transport(RSA)]);
}

#[test]
fn who_writes_limits_no_cipher_by_silence_and_gets_the_key_as_anybody() {
    if !support::peer("openssl") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let people = silent(folder.path());
    let writer = Recipient::from(&people[0]).writer();
    let reader = Recipient::from(&people[1]).capabilities(said(&[oid::AES256_GCM]));
    let (gcm, cbc) = (ContentCipher::Aes256Gcm, ContentCipher::Aes256Cbc);
    let of = |writer: &Recipient, others: &[&Recipient]| {
        let all: Vec<Recipient> = others.iter().copied().chain([writer]).cloned().collect();
        let chosen = choose(&all, CipherChoice::Auto, TransportChoice::Auto);
        let last = chosen.ways.len() - 1;
        (chosen.cipher, chosen.why, chosen.ways[last].clone(), chosen.because[last])
    };
    let (cipher, why, way, because) = of(&writer, &[&reader]);
    assert_eq!((cipher, way, because), (gcm, Way::Transport(RSA), Because::NoOaep));
    assert_eq!(why, "every recipient but p1@example.org, who writes, is known to read it");
    // what he said counts
    let older = writer.clone().capabilities(said(&[oid::AES256_CBC]));
    assert_eq!(of(&older, &[&reader]).0, cbc);
    let newer = writer.clone().capabilities(said(&[oid::AES256_GCM, oid::RSA_OAEP]));
    let (cipher, why, way, because) = of(&newer, &[&reader]);
    let oaep = Way::Transport(KeyTransport::oaep(DigestAlgorithm::Sha256));
    assert_eq!((cipher, why.as_str(), way, because), (gcm, "every recipient is known to read it", oaep, Because::Known));
    // nor does he raise what others read, and alone he is one of them
    assert_eq!(of(&writer, &[&Recipient::from(&people[1])]).0, cbc);
    let (cipher, why, ..) = of(&writer, &[]);
    assert_eq!((cipher, why.as_str()), (cbc, "p1@example.org is not known to read AES-GCM"));
}

#[test]
fn each_recipient_gets_the_key_as_he_reads_it() {
    if !support::peer("openssl") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let people = silent(folder.path());
    let oaep = |digest| KeyTransport::oaep(digest);
    let agreement = |kdf_digest, wrap| KeyAgreement { scheme: Scheme::Standard, kdf_digest, wrap };
    use DigestAlgorithm::{Sha1, Sha256, Sha384, Sha512};
    let way = |person: usize, known: Option<Capabilities>, transport| {
        let recipient = Recipient::from(&people[person]);
        let recipient = known.map_or(recipient.clone(), |known| recipient.capabilities(known));
        // another one, who says something else, changes nothing
        choose(&[recipient, Recipient::from(&people[0])], CipherChoice::Auto, transport).ways.remove(0)
    };
    let auto = TransportChoice::Auto;
    let why = |person: usize, known: Option<Capabilities>, transport| {
        let recipient = Recipient::from(&people[person]);
        let recipient = known.map_or(recipient.clone(), |known| recipient.capabilities(known));
        choose(&[recipient], CipherChoice::Auto, transport).because
    };
    let (reads_oaep, agrees) = (said(&[oid::RSA_OAEP]), Capabilities(vec![of(agreement(Sha1, KeyWrap::Aes256).identifier())]));
    for (person, known, transport, because) in [
        (0, None, auto, Because::NoOaep),
        (0, Some(reads_oaep.clone()), auto, Because::Known),
        (0, Some(reads_oaep), TransportChoice::Oaep, Because::Asked),
        (0, None, TransportChoice::Oaep, Because::AskedUnknown),
        (0, None, TransportChoice::Pkcs1, Because::Asked),
        (1, None, TransportChoice::Oaep, Because::OfKey),
        (1, Some(agrees), auto, Because::Known),
    ] {
        assert_eq!(why(person, known, transport), [because], "{person}");
    }
    assert_eq!(way(0, None, auto), Way::Transport(RSA));
    assert_eq!(way(0, Some(said(&[oid::AES256_GCM])), auto), Way::Transport(RSA));
    assert_eq!(way(0, Some(said(&[oid::RSA_OAEP])), auto), Way::Transport(oaep(Sha256)));
    let sha1 = Capabilities(vec![of(oaep(Sha1).identifier())]);
    assert_eq!(way(0, Some(sha1.clone()), auto), Way::Transport(oaep(Sha1)));
    let several = Capabilities([Sha512, Sha1, Sha256].map(|digest| of(oaep(digest).identifier())).to_vec());
    assert_eq!(way(0, Some(several), auto), Way::Transport(oaep(Sha256)));
    assert_eq!(way(0, Some(sha1), TransportChoice::Pkcs1), Way::Transport(RSA));
    assert_eq!(way(0, None, TransportChoice::Oaep), Way::Transport(oaep(Sha256)));
    for (person, digest) in [(1, Sha256), (2, Sha384), (3, Sha512)] {
        assert_eq!(way(person, None, auto), Way::Agreement(agreement(digest, KeyWrap::Aes256)));
        // Outlook's list
        let outlook = Capabilities(vec![
            of(agreement(Sha1, KeyWrap::Aes128).identifier()),
            of(agreement(Sha1, KeyWrap::Aes256).identifier()),
        ]);
        assert_eq!(way(person, Some(outlook), auto), Way::Agreement(agreement(Sha1, KeyWrap::Aes256)));
        let both = Capabilities(vec![
            of(agreement(Sha1, KeyWrap::Aes256).identifier()),
            of(agreement(digest, KeyWrap::Aes128).identifier()),
        ]);
        assert_eq!(way(person, Some(both), auto), Way::Agreement(agreement(digest, KeyWrap::Aes128)));
    }
}

#[test]
fn newer_words_replace_older_ones_and_words_without_a_time_replace_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = Home::create(folder.path()).expect("a home");
    let bob = certificate(&certs("bob.pem"));
    let time = Timestamp::from_unix;
    let (old, new) = (said(&[oid::AES128_CBC]).to_der(), said(&[oid::AES256_GCM]).to_der());
    let now = time(1_000_000);
    let learn = |said: Option<i64>, what: &[u8]| home.learn(&bob, said.map(time), what, now).expect("written");
    let known = || home.learnt(&bob).expect("readable").map(|said| (said.time.unix(), said.capabilities));
    assert_eq!(known(), None);
    assert!(learn(None, &old));
    assert!(!learn(None, &new), "neither has a time");
    assert!(learn(Some(500_000), &old) && !learn(Some(400_000), &new) && !learn(None, &new));
    assert_eq!(known(), Some((500_000, old.clone())));
    assert!(learn(Some(500_001), &new));
    // a clock that is ahead does not keep later words away
    assert!(learn(Some(9_000_000), &old));
    assert_eq!(known(), Some((1_000_000, old)));
    assert!(home.learn(&bob, Some(time(1_000_001)), &new, time(1_000_002)).expect("written"));
    home.add_contact(&bob).expect("added");
    assert_eq!(home.remove_contact("BOB@example.org").expect("removed"), std::slice::from_ref(&bob));
    assert!(home.contacts().expect("readable").is_empty() && known().is_none());
}

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        fs::write(self.path(name), bytes).expect("written");
        self.path(name)
    }

    fn run(&self, line: &str) -> (i32, Vec<u8>, String) {
        let home = self.path("home");
        let at = ["--home", &home, "--batch", "--at", "2026-06-01T00:00:00Z"];
        let args: Vec<&str> = at.into_iter().chain(line.split_whitespace()).collect();
        support::run(env!("CARGO_BIN_EXE_sealpost"), &args, b"")
    }

    fn ok(&self, line: &str) -> (Vec<u8>, String) {
        let (code, out, talk) = self.run(line);
        assert_eq!(code, 0, "{line}\n{talk}");
        (out, talk)
    }

    fn json(&self, line: &str) -> Value {
        serde_json::from_slice(&self.ok(&format!("--json {line}")).0).expect("one JSON object")
    }

    fn trusting() -> Self {
        let bench = Self::new();
        bench.ok(&format!("trust add {}", certs("root.pem")));
        bench
    }

    /// What the recipients of an encrypted message are: the serial numbers of their certificates.
    fn readers(&self, file: &str) -> Vec<String> {
        let source = fs::read(file).expect("written");
        let root = mime::parse(&source, &Limits::default()).expect("a message");
        let body = root.decoded_body(&source);
        let Ok(Content::Enveloped(reader)) = sealpost::cms::open(body.as_slice(), &Limits::default()) else {
            panic!("{file} is not encrypted")
        };
        reader.recipients().iter().map(|recipient| recipient.id.to_string()).collect()
    }
}

fn reads(readers: &[String], who: &str) -> bool {
    let serial = certificate(&certs(&format!("{who}.pem"))).serial_hex();
    readers.iter().any(|reader| reader.contains(&serial))
}

#[test]
fn what_a_verified_message_says_decides_the_next_cipher() {
    if !support::peer("openssl") {
        return;
    }
    let bench = Bench::trusting();
    let letter = bench.write("letter", "From: bob@example.org\r\nTo: alice@example.com\r\nSubject: x\r\n\r\nHi.\r\n");
    let out = bench.path("sealed");
    let to_bob = format!("encrypt --to bob@example.org {letter} -o {out} --force");
    bench.ok(&format!("contact add {}", certs("bob.pem")));
    assert_eq!(bench.json(&to_bob)["cipher"], "aes-256-gcm", "his certificate says so");
    // OpenSSL's list has no GCM; what a message says is newer than a certificate
    let (content, signed) = (bench.write("content", "Content-Type: text/plain\r\n\r\nHi.\r\n"), bench.path("signed"));
    let sign = |more: &[&str]| {
        let (bob, key, chain) = (certs("bob.pem"), certs("bob.key"), certs("issuing.pem"));
        let args =
            ["cms", "-sign", "-in", &content, "-signer", &bob, "-inkey", &key, "-certfile", &chain, "-from", "bob@example.org"];
        openssl(&[&args[..], more, &["-out", &signed]].concat());
    };
    sign(&[]);
    let (_, talk) = bench.ok(&format!("contact add {signed}"));
    assert!(talk.contains("reads: aes256-cbc"), "{talk}");
    let chosen = bench.json(&to_bob);
    assert_eq!(chosen["cipher"], "aes-256-cbc");
    assert_eq!(chosen["limited_by"], serde_json::json!(["bob@example.org"]));
    assert_eq!(chosen["recipients"][0]["algorithm"], "rsa-pkcs1");
    assert_eq!(chosen["recipients"][0]["why"], "not known to read OAEP");
    assert!(chosen["why"].as_str().expect("a reason").contains("bob@example.org is not known to read AES-GCM"));
    let (_, talk) = bench.ok(&to_bob);
    assert!(talk.contains("aes-256-cbc – bob@example.org is not known to read AES-GCM"), "{talk}");
    assert!(talk.contains("the key for bob@example.org with rsa-pkcs1 – not known to read OAEP"), "{talk}");
    // a message that does not verify teaches nothing
    sign(&["-nosmimecap"]);
    let changed = String::from_utf8(fs::read(&signed).expect("signed")).expect("ASCII").replacen("Hi.", "Ho.", 1);
    let (code, _, talk) = bench.run(&format!("contact add {}", bench.write("changed", changed)));
    assert!(code == 1 && talk.contains("nothing was added"), "{talk}");
    // nor does one where a finding was excused
    let mallory = bench.write(
        "mallory",
        String::from_utf8(fs::read(&signed).expect("signed")).expect("ASCII").replacen("From: bob", "From: eve", 1),
    );
    let (code, _, talk) = bench.run(&format!("contact add --accept from-mismatch {mallory}"));
    assert!(code == 8 && talk.contains("nothing was added"), "{code} {talk}");
    bench.ok("contact remove bob@example.org");
    assert_eq!(bench.run("contact remove bob@example.org").0, 2);
    assert_eq!(bench.run(&to_bob).0, 3);
}

#[test]
fn what_is_signed_inside_an_encryption_makes_a_contact_too() {
    let bench = Bench::trusting();
    let letter = bench.write("letter", "From: alice@example.com\r\nTo: bob@example.org\r\nSubject: x\r\n\r\nHi.\r\n");
    let sealed = bench.path("sealed");
    bench.ok(&format!(
        "seal --cert {} --key {} --chain {} --to-cert {} {letter} -o {sealed}",
        certs("alice.pem"),
        certs("alice.key"),
        certs("issuing.pem"),
        certs("bob.pem")
    ));
    let (_, talk) = bench.ok(&format!("contact add --cert {} --key {} {sealed}", certs("bob.pem"), certs("bob.key")));
    assert!(talk.contains("contact: alice@example.com") && talk.contains("reads: aes256-gcm"), "{talk}");
}

#[test]
fn mail_goes_to_the_certificate_that_a_signer_prefers() {
    if !["cmsutil", "certutil", "pk12util", "openssl"].into_iter().all(support::peer) {
        return;
    }
    let bench = Bench::new();
    bench.ok("ca init --name Test --domain example.com");
    let certificate_of = |name: &str, usage: &str| {
        let (cert, bundle) = (bench.path(&format!("{name}.pem")), bench.path(&format!("{name}.p12")));
        let pass = bench.write("pass", "secret");
        let line = format!(
            "ca issue erin@example.com --name {name} --algorithm rsa2048 --usage {usage} -o {cert} --p12 {bundle} --for modern --passphrase-file {pass}"
        );
        bench.ok(&line);
        (certificate(&cert), bundle)
    };
    let (signing, signing_bundle) = certificate_of("signing", "sign");
    let (reading, reading_bundle) = certificate_of("reading", "encrypt");
    let database = format!("sql:{}", bench.folder.path().display());
    let nss = |program: &str, args: &[&str]| {
        let (code, out, talk) = support::run(program, args, b"");
        assert_eq!(code, 0, "{program} {args:?}: {talk}{}", String::from_utf8_lossy(&out));
    };
    nss("certutil", &["-N", "-d", &database, "--empty-password"]);
    for (name, bundle) in [("signing", &signing_bundle), ("reading", &reading_bundle)] {
        // NSS takes the name of the key from the bundle
        let (pem, named) = (bench.path("both.pem"), bench.path("named.p12"));
        openssl(&["pkcs12", "-in", bundle, "-passin", "pass:secret", "-nodes", "-out", &pem]);
        openssl(&["pkcs12", "-export", "-in", &pem, "-name", name, "-passout", "pass:", "-out", &named]);
        nss("pk12util", &["-i", &named, "-d", &database, "-W", ""]);
    }
    let (root, _) = bench.ok("ca export root");
    let root = bench.write("root.pem", root);
    nss("certutil", &["-A", "-d", &database, "-n", "root", "-t", ",C,", "-a", "-i", &root]);
    let content = bench.write("content", "Content-Type: text/plain\r\n\r\nHi.\r\n");
    let der = bench.path("der");
    nss("cmsutil", &["-S", "-d", &database, "-N", "signing", "-Y", "reading", "-P", "-G", "-i", &content, "-o", &der]);
    let base64 = String::from_utf8(mime::transfer::encode_base64(&fs::read(&der).expect("signed"))).expect("ASCII");
    let message = bench.write(
        "signed",
        format!("From: erin@example.com\r\nContent-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: base64\r\n\r\n{base64}"),
    );
    // these certificates are younger than the moment at which the others are judged
    let now = |line: &str| {
        let home = bench.path("home");
        let args: Vec<&str> = ["--home", &home, "--batch"].into_iter().chain(line.split_whitespace()).collect();
        let (code, out, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &args, b"");
        assert_eq!(code, 0, "{line}\n{talk}");
        (out, talk)
    };
    now(&format!("trust add {root}"));
    let (_, talk) = now(&format!("contact add {message}"));
    for certificate in [&signing, &reading] {
        assert!(talk.contains(&certificate.fingerprint_hex()), "{talk}");
    }
    let (letter, out) = (bench.write("letter", "To: erin@example.com\r\n\r\nHi.\r\n"), bench.path("out"));
    let (_, talk) = now(&format!("encrypt {letter} -o {out}"));
    assert!(talk.contains("erin@example.com is not known to read AES-GCM"), "{talk}");
    assert!(bench.readers(&out).iter().all(|reader| reader.contains(&reading.serial_hex())));
}

#[test]
fn who_signs_with_a_key_that_only_signs_says_where_mail_to_him_goes() {
    if !support::peer("openssl") {
        return;
    }
    let (erin, frank) = (Bench::new(), Bench::new());
    // these certificates are younger than the moment at which the others are judged
    let now = |bench: &Bench, line: &str| {
        let home = bench.path("home");
        let args: Vec<&str> = ["--home", &home, "--batch"].into_iter().chain(line.split_whitespace()).collect();
        let (code, out, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &args, b"");
        assert_eq!(code, 0, "{line}\n{talk}");
        (out, talk)
    };
    now(&erin, "ca init --name Test --domain example.com");
    let (root, _) = now(&erin, "ca export root");
    let root = frank.write("root.pem", root);
    now(&frank, &format!("trust add {root}"));
    let pass = erin.write("pass", "secret");
    let locked = format!("--passphrase-file {pass}");
    let issued = [("signing", "sign"), ("reading", "encrypt"), ("dana", "dual")].map(|(name, usage)| {
        let (cert, bundle) = (erin.path(&format!("{name}.pem")), erin.path(&format!("{name}.p12")));
        let who = if usage == "dual" { "dana" } else { "erin" };
        now(
            &erin,
            &format!(
                "ca issue {who}@example.com --algorithm p256 --usage {usage} -o {cert} --p12 {bundle} --for modern {locked}"
            ),
        );
        now(&erin, &format!("id import {bundle} {locked}"));
        certificate(&cert)
    });
    let letter = erin.write("letter", "From: erin@example.com\r\nTo: frank@example.com\r\nSubject: x\r\n\r\nHi.\r\n");
    let signed = erin.path("signed");
    let printed = || {
        let text = openssl(&["cms", "-verify", "-in", &signed, "-CAfile", &root, "-noout", "-cmsout", "-print"]);
        String::from_utf8_lossy(&text).into_owned()
    };
    now(&erin, &format!("sign {locked} {letter} -o {signed}"));
    let text = printed();
    assert!(text.contains("id-smime-aa-encrypKeyPref"), "{text}");
    now(&frank, &format!("contact add {signed}"));
    let (reply, out) = (frank.write("reply", "To: erin@example.com\r\n\r\nHi.\r\n"), frank.path("out"));
    now(&frank, &format!("encrypt {reply} -o {out}"));
    assert!(frank.readers(&out).iter().all(|reader| reader.contains(&issued[1].serial_hex())));
    let (clear, _) = now(&erin, &format!("open {locked} {out}"));
    assert!(String::from_utf8_lossy(&clear).contains("Hi."));
    // one certificate for both says so without a word
    let letter = erin.write("letter", "From: dana@example.com\r\nTo: frank@example.com\r\n\r\nHi.\r\n");
    now(&erin, &format!("sign {locked} {letter} -o {signed} --force"));
    assert!(!printed().contains("encrypKeyPref"));
}

#[test]
fn a_file_with_two_keys_signs_with_one_and_names_the_other_for_mail() {
    let Some(vectors) = support::vectors("rfc9216-keys") else { return };
    if !support::peer("openssl") {
        return;
    }
    let bench = Bench::new();
    let bundle = vectors.join("pkcs-12-object-for-alice.p12").display().to_string();
    let keys = format!("--p12 {bundle} --passphrase-file {}", bench.write("pass", "alice"));
    let letter = bench.write("letter", "From: alice@smime.example\r\nTo: bob@smime.example\r\n\r\nHi.\r\n");
    let signed = bench.path("signed");
    bench.ok(&format!("sign {keys} {letter} -o {signed}"));
    let args =
        ["cms", "-verify", "-noverify", "-in", &signed, "-certsout", &bench.path("certificates"), "-out", &bench.path("content")];
    openssl(&args);
    let sent = pki::load::certificates(&fs::read(bench.path("certificates")).expect("written")).expect("certificates");
    let reading =
        sent.iter().find(|certificate| sealpost::smime::check_recipient(certificate).is_ok()).expect("one that encrypts");
    let root =
        bench.write("root.pem", fs::read(vectors.join("rsa-certification-authority-root-certificate.crt.pem")).expect("a root"));
    let told = bench.json(&format!("verify --trust {root} --revocation off {signed} -o {}", bench.path("out")));
    let named = &told["layers"][0]["signers"][0]["encryption_key_preference"];
    assert!(named.as_str().is_some_and(|named| named.contains(&reading.serial_hex())), "{told}");
}

#[test]
fn a_sender_reads_with_the_key_that_he_has_here() {
    let bench = Bench::trusting();
    let own = ["alice.pem", "alice.key", "issuing.pem"].map(|name| fs::read(certs(name)).expect("a file"));
    bench.ok(&format!("id import {}", bench.write("alice-all.pem", own.concat())));
    for who in ["bob", "carol"] {
        bench.ok(&format!("contact add {}", certs(&format!("{who}.pem"))));
    }
    // a newer certificate of the same address, for a key that is elsewhere
    let mut phone = rcgen::CertificateParams::default();
    phone.subject_alt_names = vec![rcgen::SanType::Rfc822Name("alice@example.com".try_into().expect("ASCII"))];
    (phone.not_before, phone.not_after) = (rcgen::date_time_ymd(2026, 3, 1), rcgen::date_time_ymd(2036, 3, 1));
    let phone = phone.self_signed(&rcgen::KeyPair::generate().expect("a key")).expect("a certificate");
    bench.ok(&format!("contact add {}", bench.write("phone.pem", phone.pem())));
    let letter = bench.write("letter", "From: alice@example.com\r\nTo: bob@example.org\r\nBcc: carol@example.org\r\n\r\nHi.\r\n");
    for verb in ["encrypt", "seal"] {
        let (file, copy) = (bench.path(&format!("{verb}.eml")), bench.path(&format!("{verb}.bcc-1.eml")));
        let told = bench.json(&format!("{verb} {letter} -o {file}"));
        assert_eq!(told["sender_reads"], true);
        for message in [file, copy] {
            assert!(reads(&bench.readers(&message), "alice"), "{verb}: {message}");
            let (clear, _) = bench.ok(&format!("open {message}"));
            assert!(String::from_utf8_lossy(&clear).contains("Hi."), "{verb}: {message}");
        }
    }
}

const SECRET: &str = "From: alice@example.com\r\nTo: bob@example.org\r\nBcc: Carol <carol@example.org>,\r\n mallory@example.net, bob@example.org\r\nSubject: The contract\r\n\r\nHi.\r\n";

#[test]
fn those_in_bcc_get_copies_of_their_own_that_the_others_do_not_betray() {
    let bench = Bench::trusting();
    for who in ["alice", "bob", "carol", "mallory"] {
        bench.ok(&format!("contact add {}", certs(&format!("{who}.pem"))));
    }
    let letter = bench.write("letter", SECRET);
    let signer = format!("--cert {} --key {} --chain {}", certs("alice.pem"), certs("alice.key"), certs("issuing.pem"));
    for verb in ["encrypt".to_owned(), format!("seal {signer}")] {
        let (code, out, talk) = bench.run(&format!("{verb} {letter}"));
        assert!(code == 2 && out.is_empty() && talk.contains("-o FILE"), "{talk}");
        let file = bench.path("sealed.eml");
        let told = bench.json(&format!("{verb} {letter} -o {file} --force"));
        assert_eq!(told["sender_reads"], true);
        let copies = told["copies"].as_array().expect("copies");
        let hidden: Vec<&str> = copies.iter().filter_map(|copy| copy["bcc"].as_str()).collect();
        assert_eq!(hidden.len(), 2);
        assert!(hidden.contains(&"carol@example.org") && hidden.contains(&"mallory@example.net"), "bob is seen anyway");
        let main = bench.readers(&file);
        assert!(main.len() == 2 && reads(&main, "alice") && reads(&main, "bob"), "{main:?}");
        for (name, who, key) in [("sealed.bcc-1.eml", "carol", "carol.key"), ("sealed.bcc-2.eml", "mallory", "mallory.key")] {
            let copy = bench.path(name);
            let readers = bench.readers(&copy);
            assert!(readers.len() == 2 && reads(&readers, who) && reads(&readers, "alice"), "{readers:?}");
            let (clear, _) = bench.ok(&format!("open --cert {} --key {} {copy}", certs(&format!("{who}.pem")), certs(key)));
            let text = String::from_utf8(clear).expect("ASCII");
            assert!(text.contains("Subject: The contract") && text.contains("To: bob@example.org"), "{text}");
            // the mark says that it is a copy, and not for whom
            assert!(
                fs::read_to_string(&copy).expect("ASCII").starts_with("X-Sealpost-Copy: bcc\r\nFrom: alice@")
                    && !text.contains("X-Sealpost")
            );
            for other in ["carol@", "mallory@", "Bcc:"] {
                let outside = fs::read_to_string(&copy).expect("ASCII");
                assert!(!text.contains(other) && !outside.contains(other), "{name}: {other}");
            }
        }
        assert!(!fs::read_to_string(&file).expect("ASCII").contains("carol@"));
    }
    // no copy stays where one cannot be written
    fs::remove_file(bench.path("sealed.bcc-1.eml")).expect("removed");
    let (code, _, _) = bench.run(&format!("encrypt {letter} -o {}", bench.path("sealed.eml")));
    assert!(code == 9 && !Path::new(&bench.path("sealed.bcc-1.eml")).exists());
}

#[test]
fn bcc_can_be_given_and_a_sender_who_cannot_read_is_told() {
    let bench = Bench::trusting();
    for who in ["bob", "carol"] {
        bench.ok(&format!("contact add {}", certs(&format!("{who}.pem"))));
    }
    let letter = bench.write("letter", "From: alice@example.com\r\nTo: nobody@example.org\r\nBcc: x@example.org\r\n\r\nHi.\r\n");
    let file = bench.path("out");
    let (_, talk) = bench.ok(&format!("encrypt --to bob@example.org --bcc carol@example.org {letter} -o {file}"));
    assert!(talk.contains("you will not be able to read this message") && talk.contains("sealpost id import"), "{talk}");
    assert!(talk.contains("sealpost id new alice@example.com") && talk.contains("sealpost contact add FILE"), "{talk}");
    assert!(talk.contains(&format!("sealpost send {file}.bcc-1 --to carol@example.org")), "{talk}");
    assert!(bench.readers(&file).len() == 1 && reads(&bench.readers(&format!("{file}.bcc-1")), "carol"));
    let (code, _, _) = bench.run(&format!("encrypt --to bob@example.org --bcc x@example.org {letter} -o {file}2"));
    assert!(code == 3 && !Path::new(&format!("{file}2")).exists());
}

#[test]
fn recipients_of_every_kind_read_what_was_chosen_for_each() {
    if !support::peer("openssl") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let people = silent(folder.path());
    let outlook = KeyAgreement { scheme: Scheme::Standard, kdf_digest: DigestAlgorithm::Sha1, wrap: KeyWrap::Aes128 };
    let recipients: Vec<Recipient> = people
        .iter()
        .zip(0..)
        .map(|(certificate, number)| match number {
            0 => Recipient::from(certificate).capabilities(said(&[oid::AES256_CBC, oid::RSA_OAEP])),
            1 => Recipient::from(certificate).capabilities(Capabilities(vec![of(outlook.identifier())])),
            _ => Recipient::from(certificate),
        })
        .collect();
    let letter = b"To: all\r\n\r\nHi.\r\n";
    let mut random = sealpost::crypto::random::Seeded::new(b"all");
    let sealed = sealpost::smime::Encrypt::new(&recipients).run(letter, &mut random).expect("encrypted");
    let file = folder.path().join("sealed");
    fs::write(&file, &sealed).expect("written");
    let root = mime::parse(&sealed, &Limits::default()).expect("a message");
    let body = root.decoded_body(&sealed);
    let Ok(Content::Enveloped(reader)) = sealpost::cms::open(body.as_slice(), &Limits::default()) else {
        panic!("not encrypted")
    };
    let names: Vec<String> = reader.recipients().iter().map(|recipient| recipient.algorithm_name()).collect();
    assert_eq!(
        names,
        ["rsa-oaep-sha256", "ecdh-std-sha1-aes128-wrap", "ecdh-std-sha384-aes256-wrap", "ecdh-std-sha512-aes256-wrap"]
    );
    assert!(reader.recipients().iter().skip(1).all(|recipient| matches!(recipient.kind, RecipientKind::Agreement(_))));
    for number in 1..=4 {
        let name = |end: &str| folder.path().join(format!("{number}.{end}")).display().to_string();
        let clear =
            openssl(&["cms", "-decrypt", "-in", &file.display().to_string(), "-recip", &name("pem"), "-inkey", &name("key")]);
        assert!(String::from_utf8_lossy(&clear).ends_with("Hi.\r\n"), "{number}");
    }
}
