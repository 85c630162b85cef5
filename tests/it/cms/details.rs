//! What stands beside a signature, as `verify` and `inspect` tell it.

use sealpost::asn1::{Tag, encode, oid};
use sealpost::crypto::algorithm::DigestAlgorithm;
use serde_json::{Value, json};

use super::attributes::{counter, with_unsigned};
use super::cast::cast;
use super::own::{CONTENT, builder, opaque};
use super::read_signed;
use super::timestamps::stamp;
use crate::support;

/// A folder with a message of alice that has these unsigned attributes, and the certificates that are trusted.
struct Stage(tempfile::TempDir);

impl Stage {
    fn new(attributes: impl Fn(&[u8]) -> Vec<Vec<u8>>, trusted: &[String]) -> Self {
        let message = opaque(&builder(cast().person("alice"), DigestAlgorithm::Sha256), CONTENT);
        let signature = read_signed(&message, None).unwrap().0.signers[0].signature().to_vec();
        Self::of(&with_unsigned(&message, &attributes(&signature)), trusted)
    }

    fn of(message: &[u8], trusted: &[String]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("message.p7m"), message).unwrap();
        let anchors: Vec<String> = trusted.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
        std::fs::write(dir.path().join("trust.pem"), anchors.concat()).unwrap();
        Self(dir)
    }

    fn run(&self, args: &[&str]) -> (i32, Vec<u8>, String) {
        let place = |name: &str| self.0.path().join(name).to_str().unwrap().to_owned();
        let mut all = vec!["--home".to_owned(), place("home")];
        all.extend(args.iter().map(|arg| if arg.contains('.') { place(arg) } else { (*arg).to_owned() }));
        support::run(env!("CARGO_BIN_EXE_sealpost"), &all.iter().map(String::as_str).collect::<Vec<_>>(), b"")
    }

    fn verified(&self) -> (i32, Value) {
        let (code, out, error) =
            self.run(&["verify", "message.p7m", "--trust", "trust.pem", "--json", "-o", "content.out", "--force"]);
        (code, serde_json::from_slice(&out).unwrap_or_else(|_| panic!("{error}")))
    }

    fn words(&self) -> String {
        let (_, _, error) = self.run(&["verify", "message.p7m", "--trust", "trust.pem", "-o", "content.out", "--force"]);
        error
    }

    fn inspected(&self) -> (Value, String) {
        let (code, out, error) = self.run(&["inspect", "message.p7m", "--json"]);
        assert_eq!(code, 0, "{error}");
        let (_, words, _) = self.run(&["inspect", "message.p7m"]);
        (serde_json::from_slice(&out).unwrap(), String::from_utf8(words).unwrap())
    }
}

fn root() -> String {
    cast().authority.certificate_file.clone()
}

fn attribute(oid: sealpost::asn1::Oid, value: &[u8]) -> Vec<u8> {
    encode::sequence(&[encode::oid(&oid), encode::tlv(Tag::SET, value)])
}

fn findings(verdict: &Value) -> Vec<(&str, &str)> {
    verdict["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| (f["code"].as_str().unwrap(), f["severity"].as_str().unwrap()))
        .collect()
}

#[test]
fn a_time_is_proven_by_a_trusted_authority_for_time_alone() {
    if !support::peer("openssl") {
        return;
    }
    let authority = super::timestamps::authority();
    let beside = |signature: &[u8]| vec![attribute(oid::TIME_STAMP_TOKEN, &stamp(signature, &["-sha256", "-cert"]))];
    let stage = Stage::new(beside, &[root(), authority.certificate_file()]);
    let (code, verdict) = stage.verified();
    let signer = &verdict["layers"][0]["signers"][0];
    assert_eq!(code, 0, "{verdict}");
    assert!(signer["time"]["proven"].as_str().is_some_and(|time| time.starts_with("20")), "{signer}");
    assert_eq!(signer["timestamps"][0]["time"], signer["time"]["proven"]);
    assert_eq!((&signer["timestamps"][0]["valid"], &signer["timestamps"][0]["problem"]), (&json!(true), &json!(null)));
    assert!(stage.words().contains("as proven by"), "{}", stage.words());
    let (inspection, words) = stage.inspected();
    let signer = &inspection["layers"][0]["signers"][0];
    assert_eq!((&signer["time"]["proven"], &signer["timestamps"][0]["valid"]), (&json!(null), &json!(null)));
    assert!(signer["timestamps"][0]["time"].is_string() && words.contains("time-stamp of 20"), "{words}");
    // an authority that nobody trusts proves nothing, and does the signature no harm
    let (code, verdict) = Stage::new(beside, &[root()]).verified();
    let signer = &verdict["layers"][0]["signers"][0];
    assert_eq!((code, &signer["time"]["proven"], &signer["timestamps"][0]["valid"]), (0, &json!(null), &json!(false)));
    assert!(signer["timestamps"][0]["problem"].as_str().is_some_and(|why| !why.is_empty()));
    // neither does somebody whose key is for mail, however trusted
    let by_bob = |signature: &[u8]| vec![attribute(oid::TIME_STAMP_TOKEN, &token_of("bob", signature))];
    let (code, verdict) = Stage::new(by_bob, &[root()]).verified();
    let signer = &verdict["layers"][0]["signers"][0];
    assert_eq!((code, &signer["time"]["proven"], &signer["timestamps"][0]["valid"]), (0, &json!(null), &json!(false)));
    let problem = signer["timestamps"][0]["problem"].as_str().unwrap();
    assert!(problem.contains("not for timeStamping"), "{problem}");
}

/// A time-stamp token that somebody of the cast signed, with OpenSSL.
fn token_of(name: &str, signature: &[u8]) -> Vec<u8> {
    let sum = sealpost::crypto::digest::of(DigestAlgorithm::Sha256, signature);
    let info = encode::sequence(&[
        encode::integer_u64(1),
        encode::oid(&oid::ANY_POLICY),
        encode::sequence(&[DigestAlgorithm::Sha256.identifier().to_der(), encode::octet_string(&sum)]),
        encode::integer_u64(1),
        encode::generalized_time(sealpost::time::Timestamp::from_unix(1_700_000_000)),
    ]);
    let person = cast().person(name);
    let mut args = vec!["cms", "-sign", "-binary", "-nodetach", "-cades", "-outform", "DER"];
    args.extend(["-econtent_type", "1.2.840.113549.1.9.16.1.4", "-signer", &person.certificate_file, "-inkey", &person.key_file]);
    let (code, token, error) = support::run("openssl", &args, &info);
    assert_eq!(code, 0, "{error}");
    token
}

#[test]
fn a_time_stamp_of_something_else_is_a_warning() {
    if !support::peer("openssl") {
        return;
    }
    let other = |_: &[u8]| vec![attribute(oid::TIME_STAMP_TOKEN, &stamp(b"something else", &["-sha256", "-cert"]))];
    let stage = Stage::new(other, &[root(), super::timestamps::authority().certificate_file()]);
    let (code, verdict) = stage.verified();
    assert_eq!((code, &verdict["layers"][0]["signers"][0]["time"]["proven"]), (0, &json!(null)));
    assert!(findings(&verdict).contains(&("timestamp-invalid", "warning")), "{verdict}");
    assert!(stage.words().contains("proves nothing"), "{}", stage.words());
}

#[test]
fn countersigners_are_named_with_what_their_signature_is_worth() {
    let carol = cast().person("carol");
    let certificates = [root()];
    let good = Stage::new(|signature| vec![attribute(oid::COUNTER_SIGNATURE, &counter(carol, signature, None))], &certificates);
    // carol's certificate is nowhere
    let (code, verdict) = good.verified();
    let one = &verdict["layers"][0]["signers"][0]["countersigners"][0];
    assert_eq!((code, &one["signature"]), (0, &json!("invalid")), "{verdict}");
    assert!(findings(&verdict).contains(&("countersignature-invalid", "warning")), "{verdict}");
    std::fs::copy(&carol.certificate_file, good.0.path().join("carol.pem")).unwrap();
    let args = [
        "verify",
        "message.p7m",
        "--trust",
        "trust.pem",
        "--intermediates",
        "carol.pem",
        "--json",
        "-o",
        "content.out",
        "--force",
    ];
    let (code, out, error) = good.run(&args);
    assert_eq!(code, 0, "{error}");
    let verdict: Value = serde_json::from_slice(&out).unwrap();
    let one = &verdict["layers"][0]["signers"][0]["countersigners"][0];
    assert_eq!(
        (&one["signature"], &one["chain"]["status"], &one["addresses"][0]),
        (&json!("valid"), &json!("trusted"), &json!("carol@a.example"))
    );
    assert!(
        verdict["findings"].as_array().unwrap().iter().all(|finding| finding["code"] != "countersignature-invalid"),
        "{verdict}"
    );
    let (inspection, words) = good.inspected();
    assert_eq!(inspection["layers"][0]["signers"][0]["countersigners"][0]["signature"], json!(null));
    assert!(words.contains("countersigned by"), "{words}");
}

#[test]
fn receipts_and_what_the_signers_program_can_read_are_shown() {
    if !support::peer("openssl") {
        return;
    }
    let alice = cast().person("alice");
    let mut args = vec!["cms", "-sign", "-binary", "-outform", "DER", "-nodetach", "-receipt_request_from", "bob@a.example"];
    args.extend(["-receipt_request_to", "alice@a.example", "-signer", &alice.certificate_file, "-inkey", &alice.key_file]);
    let (code, message, error) = support::run("openssl", &args, CONTENT);
    assert_eq!(code, 0, "{error}");
    let stage = Stage::of(&message, &[root()]);
    let (code, verdict) = stage.verified();
    let signer = &verdict["layers"][0]["signers"][0];
    let request = &signer["receipt_request"];
    assert_eq!(
        (code, &request["from"], &request["list"], &request["to"]),
        (0, &json!("list"), &json!(["bob@a.example"]), &json!(["alice@a.example"]))
    );
    assert_eq!(signer["capabilities"][0], "aes256-cbc");
    assert!(signer["capabilities"].as_array().unwrap().iter().any(|name| name == "rc2-cbc-128"), "{signer}");
    assert!(stage.words().contains("asks for receipts from bob@a.example, to alice@a.example"));
    let (_, words) = stage.inspected();
    assert!(words.contains("asks for receipts") && words.contains("can read aes256-cbc"), "{words}");
}

#[test]
fn labels_are_shown_as_the_signer_wrote_them() {
    let Some(folder) = support::vectors("rfc4134-examples") else { return };
    let stage = Stage::of(&std::fs::read(folder.join("4.10.bin")).unwrap(), &[]);
    let (inspection, words) = stage.inspected();
    let signer = &inspection["layers"][0]["signers"][0];
    let label = &signer["security_label"];
    assert_eq!((&label["policy"], &label["classification"]), (&json!("1.2.3.4.5.6.7.8"), &json!("unclassified")));
    assert_eq!(label["privacy_mark"], "THIS IS A PRIVACY MARK TEST");
    assert_eq!(signer["equivalent_labels"].as_array().unwrap().len(), 2);
    assert_eq!(signer["content_hints"]["description"], "Content Hints Description Buffer");
    assert_eq!(signer["mailing_lists"][0]["time"], "1999-03-11T10:44:33Z");
    assert!(signer["encryption_key_preference"].as_str().unwrap().contains("Daisy RSA"));
    for line in [
        "security label: unclassified",
        "equivalent label: ",
        "says of the content: ",
        "came through the list",
        "wants mail encrypted to",
    ] {
        assert!(words.contains(line), "{line}: {words}");
    }
}
