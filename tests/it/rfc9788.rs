//! The example messages of RFC 9788, Appendices C, D and E, all of them: what is verified, what is protected and hidden, what a reader sees, and
//! that what is composed is what the RFC composes.
//!
//! What they sign is `tests/rfc9788/messages.txt`; the RFC's own digests over it show that it is exact. Signatures and encryption are made
//! anew with the keys of RFC 9216, since the RFC's ciphertexts say nothing that this does not.

use std::path::Path;

use sealpost::cms::{EnvelopedBuilder, Padding, SignedBuilder, SignerOptions, To};
use sealpost::crypto::algorithm::{ContentCipher, DigestAlgorithm};
use sealpost::crypto::digest;
use sealpost::crypto::random::Seeded;
use sealpost::keys::{self, Identity};
use sealpost::limits::Limits;
use sealpost::mime::{self, transfer};
use sealpost::pki::{self, Certificate, ChainStatus, Revocation, TrustAnchors};
use sealpost::smime::{Code, Encrypt, FieldProtection, HeaderConfidentiality, Open, Opened, SignatureStatus, Trust};
use sealpost::time::Timestamp;

use crate::support;

const MESSAGES: &str = include_str!("../rfc9788/messages.txt");
const SHA256: DigestAlgorithm = DigestAlgorithm::Sha256;
/// Within the validity of RFC 9216's certificates, after the dates of the messages.
const AT: i64 = 1_650_499_200;

/// One example.
struct Example {
    section: &'static str,
    form: &'static str,
    scheme: &'static str,
    policy: &'static str,
    legacy: bool,
    digest: &'static str,
    /// The header section of the message, its last line break included.
    outer: String,
    /// What is signed: an entity.
    payload: Vec<u8>,
    /// What the composer called it: Subject, and the second line of each text; in Appendix C alone.
    name: String,
}

impl Example {
    fn has_protection(&self) -> bool {
        self.scheme != "none"
    }

    /// The fields whose value the policy changed outside (RFC 9788 3.2).
    fn hidden(&self) -> &'static [&'static str] {
        match self.policy {
            "shy" => &["Subject", "From", "To", "Date"],
            "baseline" => &["Subject"],
            // by what it answers (6.1)
            "no-confidentiality" => &["Subject"],
            _ => &[],
        }
    }
}

fn examples() -> Vec<Example> {
    let mut found = Vec::new();
    for text in MESSAGES.trim_end_matches('\n').split("\n@@ ").skip(1) {
        let (head, text) = text.split_once('\n').expect("a line");
        let [section, form, scheme, policy, legacy, digest] = head.split(' ').collect::<Vec<_>>()[..] else {
            panic!("six words: {head}")
        };
        let (outer, payload) = text.split_once("\n\n").expect("a header section");
        let name = payload.split_once("This is the\n").and_then(|(_, rest)| rest.split_once('\n')).unwrap_or_default().0;
        assert_eq!(name.is_empty(), !section.starts_with('C'), "{section}");
        // the message inside came with line feeds from whoever made the examples, and was signed so where it is opaque
        let payload = match (scheme, form) {
            ("wrapped", "opaque" | "sealed") => {
                let (first, rest) = payload.split_once("\n\n").expect("a header section");
                format!("{}\r\n\r\n{rest}\n", first.replace('\n', "\r\n"))
            }
            _ => format!("{payload}\n").replace('\n', "\r\n"),
        };
        found.push(Example {
            section,
            form,
            scheme,
            policy,
            legacy: legacy == "legacy",
            digest,
            outer: format!("{outer}\n").replace('\n', "\r\n"),
            payload: payload.into_bytes(),
            name: name.to_owned(),
        });
    }
    found
}

/// Those of Appendix C.
fn signed_examples() -> Vec<Example> {
    examples().into_iter().filter(|example| example.section.starts_with('C')).collect()
}

/// Alice, Bob and the authority of RFC 9216.
struct Cast {
    alice: Identity,
    bob: Identity,
    encrypts: Certificate,
    trust: Trust,
}

impl Cast {
    fn read(folder: &Path) -> Self {
        let read = |name: &str| std::fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let pair = |certificate: &str, key: &str| {
            let all = [read(&format!("{certificate}.crt.pem")), read(&format!("{key}.key.pem"))].concat();
            keys::load::identity(&all, None, &Limits::default()).expect("a pair")
        };
        let certificates = |name: &str| pki::load::certificates(&read(name)).expect("a certificate");
        let anchors: TrustAnchors = certificates("rsa-certification-authority-root-certificate.crt.pem").into_iter().collect();
        Self {
            alice: pair("alice-signature-verification-end-entity-certificate", "alice-signing-private-key-material"),
            bob: pair("bob-encryption-end-entity-certificate", "bob-decryption-private-key-material"),
            encrypts: certificates("alice-encryption-end-entity-certificate.crt.pem").remove(0),
            trust: Trust { revocation: Revocation::Off, ..Trust::new(anchors, Timestamp::from_unix(AT)) },
        }
    }

    /// The message as the RFC makes it.
    fn message(&self, example: &Example) -> Vec<u8> {
        let (outer, content) = (example.outer.as_bytes(), example.payload.as_slice());
        let options = SignerOptions::for_key(self.alice.private_key(), SHA256, Padding::Pkcs1).expect("a key that signs");
        let builder = SignedBuilder::new(self.alice.certificate(), self.alice.private_key(), options).certificate(&self.encrypts);
        let (mut signed, random) = (Vec::new(), &mut Seeded::new(example.section.as_bytes()));
        match example.form {
            "plain" => return [outer, b"\r\n", content].concat(),
            "detached" => {
                let signature = transfer::encode_base64(&builder.detached(&mut &*content, random).expect("signed"));
                let boundary = example.outer.split_once("boundary=\"").and_then(|(_, rest)| rest.split_once('"')).expect("one").0;
                let between = format!(
                    "\r\n--{boundary}\r\nContent-Transfer-Encoding: base64\r\n\
                     Content-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\n\r\n"
                );
                let (begin, end) = (format!("\r\n--{boundary}\r\n"), format!("\r\n--{boundary}--\r\n"));
                return [outer, begin.as_bytes(), content, between.as_bytes(), &signature, end.as_bytes()].concat();
            }
            _ => builder.opaque(&mut &*content, &mut signed, random).expect("signed"),
        }
        let signed = transfer::encode_base64(&signed);
        if example.form == "opaque" {
            return [outer, b"\r\n", &signed].concat();
        }
        let layer = "Content-Transfer-Encoding: base64\r\nContent-Type: application/pkcs7-mime; name=\"smime.p7m\";\r\n \
                     smime-type=\"signed-data\"\r\n\r\n";
        self.encrypted(example, &[layer.as_bytes(), &signed].concat())
    }

    /// An example with this content under its encryption.
    fn encrypted(&self, example: &Example, content: &[u8]) -> Vec<u8> {
        let mut encrypted = Vec::new();
        EnvelopedBuilder::new(ContentCipher::Aes128Cbc)
            .recipient(To::new(&self.encrypts))
            .recipient(To::new(self.bob.certificate()))
            .encrypt(&mut &*content, &mut encrypted, &mut Seeded::new(example.section.as_bytes()))
            .expect("encrypted");
        [example.outer.as_bytes(), b"\r\n", &transfer::encode_base64(&encrypted)].concat()
    }

    /// Opens what is encrypted and not signed.
    fn decrypt(&self, message: &[u8]) -> Opened {
        Open::new(&self.trust).identity(&self.bob).decrypt(message, &mut Seeded::new(b"decrypt"))
    }

    fn open(&self, message: &[u8]) -> Opened {
        Open::new(&self.trust).identity(&self.bob).run(message, &mut Seeded::new(b"open"))
    }
}

#[test]
fn what_the_examples_sign_is_what_the_rfc_signed() {
    let examples = signed_examples();
    let (mut seen, mut exact) = (0, 0);
    for example in &examples {
        let digest: String = digest::of(SHA256, &example.payload).iter().map(|byte| format!("{byte:02x}")).collect();
        if example.digest != "-" {
            assert_eq!(digest, example.digest, "{}", example.section);
            exact += 1;
        }
        seen += 1;
    }
    assert_eq!((seen, exact), (31, 20));
}

#[test]
fn every_example_is_read_as_the_rfc_says() {
    let Some(folder) = support::vectors("rfc9216-keys") else { return };
    let cast = Cast::read(&folder);
    for example in signed_examples() {
        let section = example.section;
        let opened = cast.open(&cast.message(&example));
        if example.form == "plain" {
            assert!(opened.verdict().has_error(Code::NotSigned) && opened.released().is_none(), "{section}");
            continue;
        }
        check_protection(&example, &opened);
        check_shown(&example, &opened);
    }
}

/// The cryptographic state of the message and of each of its header fields (RFC 9788 4.3).
fn check_protection(example: &Example, opened: &Opened) {
    let (section, verdict) = (example.section, opened.verdict());
    assert!(verdict.findings.is_empty(), "{section}: {:?}", verdict.findings);
    let signers: Vec<_> = verdict.signers().map(|s| (s.signature, s.chain, s.from_match, s.addresses.as_slice())).collect();
    let alice = ["alice@smime.example".to_owned()];
    assert_eq!(signers, [(SignatureStatus::Valid, ChainStatus::Trusted, Some(true), &alice[..])], "{section}");
    assert_eq!(verdict.is_encrypted(), example.form == "sealed", "{section}");
    let mut expected = Vec::new();
    if example.has_protection() {
        expected.extend(["Subject", "Message-ID", "From", "To", "Date", "User-Agent"]);
    }
    if example.has_protection() && example.outer.contains("In-Reply-To:") {
        expected.extend(["In-Reply-To", "References"]);
    }
    assert_eq!(verdict.headers.protected, expected, "{section}");
    assert_eq!(verdict.headers.hidden, example.hidden(), "{section}");
    for field in &verdict.headers.fields {
        let is_hidden = example.hidden().contains(&field.name.as_str());
        let state = if is_hidden { FieldProtection::SignedAndEncrypted } else { FieldProtection::SignedOnly };
        assert_eq!(field.state, state, "{section}: {}", field.name);
    }
}

/// The message that a reader gets: the protected fields, and no Legacy Display elements (RFC 9788 4.5).
fn check_shown(example: &Example, opened: &Opened) {
    let (section, name) = (example.section, example.name.as_str());
    let released = opened.released().unwrap_or_else(|| panic!("{section}: {:?}", opened.verdict().findings));
    let message = String::from_utf8(released.message()).expect("ASCII");
    let root = mime::parse(message.as_bytes(), &Limits::default()).expect("a message");
    let value = |name: &str| root.field(name).map(|field| field.unfolded(message.as_bytes())).unwrap_or_default();
    assert_eq!(value("subject"), name, "{section}");
    assert_eq!(value("message-id"), format!("<{name}@example>"), "{section}");
    assert_eq!(
        (value("from"), value("to")),
        ("Alice <alice@smime.example>".into(), "Bob <bob@smime.example>".into()),
        "{section}"
    );
    assert!(value("date").starts_with("Sat, 20 Feb 2021 1") && value("date").ends_with(":02 -0500"), "{section}");
    for gone in ["HP-Outer", "hp=", "hp-legacy-display", "legacy-display", "[...]", "&lt;", "message/rfc822"] {
        assert!(!message.contains(gone), "{section}: {gone}\n{message}");
    }
    let text = message.replace("\r\n", "\n");
    assert_eq!(text.matches(&format!("Subject: {name}\n")).count(), 1, "{section}: {text}");
    assert!(text.contains(&format!("\n\nThis is the\n{name}\nmessage.\n")), "{section}: {text}");
    let is_complex = name.contains("complex");
    assert_eq!(text.contains(&format!("<body>\n<p>This is the\n<b>{name}</b>\n")), is_complex, "{section}: {text}");
    assert_eq!(text.contains("\niVBORw0KGgo") && text.ends_with("--\n"), is_complex, "{section}: {text}");
    // what was signed had the elements, which only the reader leaves out
    let signed = String::from_utf8_lossy(&example.payload);
    assert_eq!(signed.contains("hp-legacy-display=\"1\""), example.legacy, "{section}");
}

/// The examples of Appendices D and E are encrypted by people who have no certificates here: they are read without signatures.
#[test]
fn the_worked_examples_are_shown_as_the_rfc_says() {
    let Some(folder) = support::vectors("rfc9216-keys") else { return };
    let cast = Cast::read(&folder);
    let worked: Vec<_> = examples().into_iter().filter(|example| !example.section.starts_with('C')).collect();
    assert_eq!(worked.len(), 4);
    for example in worked {
        let section = example.section;
        let opened = cast.decrypt(&cast.encrypted(&example, &example.payload));
        assert_eq!(opened.verdict().headers.hidden, example.hidden(), "{section}");
        let states = opened.verdict().headers.fields.iter().filter(|field| field.state == FieldProtection::EncryptedOnly);
        assert_eq!(states.map(|field| field.name.as_str()).collect::<Vec<_>>(), example.hidden(), "{section}");
        let shown = String::from_utf8(opened.released().expect("it is decrypted").message()).expect("ASCII");
        let (head, body) = shown.split_once("\r\n\r\n").expect("a body");
        let payload = String::from_utf8(example.payload.clone()).expect("ASCII");
        let written = payload.split_once("\r\n\r\n").expect("a body").1;
        let division = "<div class=\"header-protection-legacy-display\">\r\n<pre>Subject: Dinner plans</pre>\r\n</div>";
        let without = match section {
            "E.2" => written.replace(division, ""),
            _ => written.split_once("\r\n\r\n").expect("what is displayed").1.to_owned(),
        };
        assert_eq!(body, without, "{section}");
        let subject = payload.lines().find(|line| line.starts_with("Subject: ")).expect("a subject");
        assert!(
            head.lines().any(|line| line == subject) && !shown.contains("[...]") && !shown.contains("hp="),
            "{section}: {head}"
        );
    }
}

/// What the composer of each example had before him is what its reader sees; composed by us with the same policy it is what the RFC has.
#[test]
fn what_is_composed_is_what_the_rfc_composes() {
    let Some(folder) = support::vectors("rfc9216-keys") else { return };
    let cast = Cast::read(&folder);
    let mut composed = 0;
    // the answer of D.2.2 needs what it answers to hide its Subject
    let is_composed = |e: &Example| e.form == "sealed" && e.scheme == "hp" && e.section != "D.2.2";
    for example in examples().into_iter().filter(is_composed) {
        let section = example.section;
        let read = cast.decrypt(&cast.encrypted(&example, &example.payload));
        let letter = read.released().expect("it is decrypted").message();
        let policy = HeaderConfidentiality::NAMES.iter().find(|(name, _)| *name == example.policy).expect("a policy").1;
        let encrypted = Encrypt::new([cast.encrypts.clone(), cast.bob.certificate().clone()])
            .header_confidentiality(policy)
            .legacy_display(example.legacy)
            .run(&letter, &mut Seeded::new(section.as_bytes()))
            .unwrap_or_else(|error| panic!("{section}: {error}"));
        let opened = cast.decrypt(&encrypted);
        let ours = opened.released().expect("it is decrypted").content().to_vec();
        let fields = |message: &[u8], wanted: fn(&str) -> bool| -> Vec<(String, String)> {
            let root = mime::parse(message, &Limits::default()).expect("a message");
            let fields = root.fields().iter().filter(|field| wanted(&field.name));
            fields.map(|field| (field.name.clone(), field.unfolded(message))).collect()
        };
        let is_shown = |name: &str| !name.starts_with("content-") && name != "mime-version";
        assert_eq!(fields(&encrypted, is_shown), fields(example.outer.as_bytes(), is_shown), "{section}");
        assert_eq!(fields(&ours, is_shown), fields(&example.payload, is_shown), "{section}");
        let root = |message: &[u8]| mime::parse(message, &Limits::default()).expect("a message");
        let (one, other) = (root(&ours), root(&example.payload));
        let parameters = |entity: &mime::Entity| {
            let mut all = entity.content_type().parameters.clone();
            all.sort();
            (entity.content_type().essence(), all)
        };
        assert_eq!(parameters(&one), parameters(&other), "{section}");
        let text = |message: &[u8], entity: &mime::Entity| String::from_utf8_lossy(entity.body(message)).into_owned();
        let theirs = match section {
            // there the division is written without line breaks around its text
            "E.2" => text(&example.payload, &other)
                .replace("<pre>Subject: Dinner plans</pre>", "<pre>\r\nSubject: Dinner plans\r\n</pre>"),
            _ => text(&example.payload, &other),
        };
        assert_eq!(text(&ours, &one), theirs, "{section}");
        composed += 1;
    }
    assert_eq!(composed, 19);
}
