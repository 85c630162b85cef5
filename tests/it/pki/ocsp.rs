//! OCSP responses that OpenSSL makes to our requests, read and judged.

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

use sealpost::asn1::{Cursor, encode, oid};
use sealpost::crypto::algorithm::DigestAlgorithm;
use sealpost::crypto::random::{OsRandom, Seeded};
use sealpost::limits::Limits;
use sealpost::pki::ocsp::{CertId, Request, Response};
use sealpost::pki::revocation::Unusable;
use sealpost::pki::{self, Certificate, Judgement, Purpose, Revocation, RevocationStatus, TrustAnchors};
use sealpost::smime::{Open, Trust};
use sealpost::time::Timestamp;

use crate::support::{self, params};

/// An authority, two certificates of it, and who may answer for it.
struct Bench {
    folder: tempfile::TempDir,
    authority: Certificate,
    jane: Certificate,
    joe: Certificate,
}

/// How OpenSSL answers.
struct Answer<'a> {
    /// Whose key signs: a file's name.
    signer: &'a str,
    request: &'a Request,
    more: &'a [&'a str],
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
        let authority = |name: &str| {
            let mut root = params(name);
            root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().expect("a key");
            let certificate = root.self_signed(&key).expect("signed");
            write(&format!("{name}.pem"), &certificate.pem());
            write(&format!("{name}.key"), &key.serialize_pem());
            (Certificate::from_der(certificate.der()).expect("a certificate"), Issuer::new(root, key))
        };
        let (root, issuer) = authority("CA");
        let (_, stranger) = authority("stranger");
        let issue = |name: &str, params: CertificateParams, issuer: &Issuer<'_, KeyPair>| {
            let key = KeyPair::generate().expect("a key");
            let certificate = params.signed_by(&key, issuer).expect("signed");
            write(&format!("{name}.pem"), &certificate.pem());
            write(&format!("{name}.key"), &key.serialize_pem());
            Certificate::from_der(certificate.der()).expect("a certificate")
        };
        let jane = issue("jane", params("Jane"), &issuer);
        let joe = issue("joe", params("Joe"), &issuer);
        let mut delegate = params("Responder");
        delegate.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
        issue("checked", delegate.clone(), &issuer);
        delegate.custom_extensions = vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 5], vec![5, 0])];
        issue("delegate", delegate.clone(), &issuer);
        issue("foreign", delegate.clone(), &stranger);
        delegate.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
        issue("mail", delegate.clone(), &issuer);
        delegate.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
        delegate.not_after = rcgen::date_time_ymd(2021, 1, 1);
        issue("expired", delegate, &issuer);
        Self { folder, authority: root, jane, joe }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn request(&self, digest: DigestAlgorithm) -> Request {
        Request::new(CertId::new(&self.jane, &self.authority, digest).expect("an identifier"))
    }

    /// A response by OpenSSL, whose book has this line for Jane's certificate (none: it does not know it).
    fn answer(&self, book: &str, answer: &Answer<'_>) -> Response {
        let serial = self.jane.serial_hex().to_uppercase();
        let line = match book {
            "" => String::new(),
            "V" => format!("V\t450101000000Z\t\t{serial}\tunknown\t/CN=Jane\n"),
            revoked => format!("R\t450101000000Z\t{revoked}\t{serial}\tunknown\t/CN=Jane\n"),
        };
        fs::write(self.path("index"), line).expect("written");
        fs::write(self.path("request"), answer.request.to_der()).expect("written");
        let paths = ["index", "CA.pem", "request", "response"].map(|name| self.path(name));
        let (signer, key) = (self.path(&format!("{}.pem", answer.signer)), self.path(&format!("{}.key", answer.signer)));
        let [index, authority, request, response] = &paths;
        let files =
            ["-index", index, "-CA", authority, "-reqin", request, "-respout", response, "-rsigner", &signer, "-rkey", &key];
        let (code, out, talk) = support::run("openssl", &[&["ocsp"], &files[..], answer.more].concat(), b"");
        assert_eq!(code, 0, "{talk}{}", String::from_utf8_lossy(&out));
        Response::from_der(&fs::read(response).expect("a response"), &Limits::default()).expect("it is read")
    }

    fn judge(
        &self,
        leaf: &Certificate,
        response: &Response,
        at: Timestamp,
        revocation: Revocation,
    ) -> (RevocationStatus, String) {
        let verdict = pki::judge(&Judgement {
            leaf,
            pool: &[],
            anchors: &TrustAnchors::from_iter([self.authority.clone()]),
            crls: &[],
            ocsp: std::slice::from_ref(response),
            purpose: Purpose::Any,
            at,
            revocation,
            limits: &Limits::default(),
        });
        let reasons: Vec<String> = verdict.reasons.iter().map(|reason| reason.text.clone()).collect();
        (verdict.revocation, reasons.join("\n"))
    }

    /// What is known of Jane's certificate when the response is made.
    fn known(&self, response: &Response) -> (RevocationStatus, String) {
        let made = response.content().expect("it tells").produced_at();
        self.judge(&self.jane, response, made, Revocation::Hard)
    }
}

fn bench() -> Option<Bench> {
    support::peer("openssl").then(Bench::new)
}

const PLAIN: &[&str] = &["-ndays", "3"];

#[test]
fn openssl_answers_our_requests_and_its_answers_are_judged() {
    let Some(bench) = bench() else { return };
    for digest in [DigestAlgorithm::Sha1, DigestAlgorithm::Sha256] {
        let request = bench.request(digest);
        for signer in ["CA", "delegate"] {
            for more in [PLAIN, &["-ndays", "3", "-resp_key_id"], &[]] {
                let answer = Answer { signer, request: &request, more };
                let (found, words) = bench.known(&bench.answer("V", &answer));
                assert_eq!((found, words.as_str()), (RevocationStatus::Good, ""), "{signer} {more:?}");
                let (found, words) = bench.known(&bench.answer("240102000000Z,keyCompromise", &answer));
                assert_eq!(found, RevocationStatus::Revoked, "{words}");
                assert!(words.contains("was revoked on 2024-01-02T00:00:00Z – key compromise"), "{words}");
                let (found, words) = bench.known(&bench.answer("", &answer));
                assert_eq!(found, RevocationStatus::Unknown, "{words}");
                assert!(words.contains("the responder does not know this certificate"), "{words}");
            }
        }
    }
}

#[test]
fn refuses_a_responder_whom_the_issuer_did_not_tell_to_answer() {
    let Some(bench) = bench() else { return };
    let request = bench.request(DigestAlgorithm::Sha256);
    for (signer, expected) in [
        ("mail", "its certificate is not for OCSPSigning"),
        ("foreign", "another authority issued its certificate"),
        ("expired", "its certificate is not valid then"),
        ("stranger", "may not tell about this certificate"),
        ("checked", "whether the certificate of CN=Responder, who signed it, was revoked is not known"),
    ] {
        let response = bench.answer("V", &Answer { signer, request: &request, more: PLAIN });
        let (found, words) = bench.known(&response);
        assert_eq!(found, RevocationStatus::Unknown, "{signer}");
        assert!(words.contains(expected), "{signer}: {words}");
    }
    let without = bench.answer("V", &Answer { signer: "delegate", request: &request, more: &["-ndays", "3", "-resp_no_certs"] });
    let (_, words) = bench.known(&without);
    assert!(words.contains("no certificate of CN=Responder that is at hand has the key that signed it"), "{words}");
    // who asks softly takes the word of one whose certificate nobody tells about
    let checked = bench.answer("V", &Answer { signer: "checked", request: &request, more: PLAIN });
    let made = checked.content().expect("it tells").produced_at();
    assert_eq!(bench.judge(&bench.jane, &checked, made, Revocation::Soft).0, RevocationStatus::Good);
}

#[test]
fn refuses_a_response_of_another_time_and_of_another_certificate_and_a_forged_one() {
    let Some(bench) = bench() else { return };
    let request = bench.request(DigestAlgorithm::Sha1);
    let answer = |more| bench.answer("V", &Answer { signer: "CA", request: &request, more });
    let response = answer(PLAIN);
    let made = response.content().expect("it tells").produced_at();
    let judge = |response: &Response, days: i64| bench.judge(&bench.jane, response, made.plus_days(days), Revocation::Hard);
    assert_eq!(judge(&response, 2).0, RevocationStatus::Good);
    assert!(judge(&response, 4).1.contains("it is too old, a newer one was due on"));
    assert!(judge(&response, -1).1.contains("it was made on"));
    let endless = answer(&[]);
    assert!(judge(&endless, 2).1.contains("it is too old"), "it does not say when the next is due");
    let (found, words) = bench.judge(&bench.joe, &response, made, Revocation::Hard);
    assert_eq!(found, RevocationStatus::Unknown);
    assert!(words.contains("it is not about this certificate"), "{words}");
    let mut forged = response.der().to_vec();
    // the time of the answer, by a year
    let at = forged.windows(2).position(|pair| pair == [0x18, 15]).expect("a time");
    forged[at + 5] = forged[at + 5].wrapping_add(1);
    let forged = Response::from_der(&forged, &Limits::default()).expect("it is read");
    assert!(judge(&forged, 0).1.contains("has the key that signed it"), "{}", judge(&forged, 0).1);
    // a certificate that is on hold stays so until a later word
    let held = bench.answer("240102000000Z,certificateHold", &Answer { signer: "CA", request: &request, more: PLAIN });
    assert!(judge(&held, 0).1.contains("on hold"));
    assert_eq!(judge(&held, 30).0, RevocationStatus::Revoked, "a revocation stays true when the response is old");
}

#[test]
fn a_nonce_of_32_bytes_comes_back_or_the_response_is_for_another_request() {
    let Some(bench) = bench() else { return };
    let plain = bench.request(DigestAlgorithm::Sha256);
    let [first, second] = [b"one", b"two"].map(|seed| plain.clone().nonce(&mut Seeded::new(seed)));
    let answer = |request| bench.answer("V", &Answer { signer: "CA", request, more: PLAIN });
    let response = answer(&first);
    assert_eq!(response.content().expect("it tells").nonce().expect("a nonce").len(), 32);
    assert_eq!(response.check_nonce(&first), Ok(()));
    assert_eq!(response.check_nonce(&plain), Ok(()));
    assert_eq!(response.check_nonce(&second), Err(Unusable::NonceDiffers));
    assert_eq!(answer(&plain).check_nonce(&first), Err(Unusable::NonceMissing));
    assert_eq!(bench.known(&response).0, RevocationStatus::Good);
}

#[test]
fn a_responder_that_tells_nothing_says_why() {
    let Some(bench) = bench() else { return };
    for (status, expected) in [
        (1, "it could not read the request"),
        (2, "an error of its own"),
        (3, "it is to be asked later"),
        (5, "it wants a signed request"),
        (6, "it does not answer about this certificate"),
        (4, "a status that the standard does not have"),
    ] {
        let response = Response::from_der(&[0x30, 3, 10, 1, status], &Limits::default()).expect("it is read");
        let (found, words) = bench.judge(&bench.jane, &response, Timestamp::from_unix(1_780_272_000), Revocation::Hard);
        assert_eq!(found, RevocationStatus::Unknown);
        assert!(words.contains(&format!("the responder tells nothing: {expected}")), "{words}");
    }
    let error = Response::from_der(&[0x30, 3, 10, 1, 0], &Limits::default()).expect_err("refused").to_string();
    assert_eq!(error, "an OCSP response that tells nothing");
}

#[test]
fn answers_of_one_response_are_bounded_and_no_truncation_panics() {
    let Some(bench) = bench() else { return };
    let request = bench.request(DigestAlgorithm::Sha1);
    let response = bench.answer("V", &Answer { signer: "delegate", request: &request, more: PLAIN });
    let mut limits = Limits::default();
    limits.ocsp_answers = 0;
    let error = Response::from_der(response.der(), &limits).expect_err("refused").to_string();
    assert_eq!(error, "limit reached: ocsp answers – at most 0");
    for len in 0..response.der().len() {
        assert!(Response::from_der(&response.der()[..len], &Limits::default()).is_err(), "{len}");
    }
    let mut bytes = response.der().to_vec();
    for at in 0..bytes.len() {
        for mask in [0xff, 0x80, 1] {
            bytes[at] ^= mask;
            if let Ok(changed) = Response::from_der(&bytes, &Limits::default())
                && at % 16 == 0
                && changed.content().is_ok()
            {
                bench.known(&changed);
            }
            bytes[at] ^= mask;
        }
    }
}

#[test]
fn a_response_that_a_message_brings_counts() {
    let Some(bench) = bench() else { return };
    let request = bench.request(DigestAlgorithm::Sha1);
    fs::write(bench.path("text"), "Hello.\r\n").expect("written");
    let [text, certificate, key, out] = ["text", "jane.pem", "jane.key", "signed"].map(|name| bench.path(name));
    let files = ["-in", &text, "-signer", &certificate, "-inkey", &key, "-out", &out];
    let sign = [&["cms", "-sign", "-binary", "-nodetach", "-outform", "DER"], &files[..]].concat();
    assert_eq!(support::run("openssl", &sign, b"").0, 0);
    let signed = fs::read(&out).expect("a message");
    let known = |book: &str| {
        let response = bench.answer(book, &Answer { signer: "delegate", request: &request, more: PLAIN });
        let mut trust =
            Trust::new(TrustAnchors::from_iter([bench.authority.clone()]), response.content().expect("it tells").produced_at());
        trust.revocation = Revocation::Hard;
        let message = with_response(&signed, response.der());
        let opened = Open::new(&trust).run(message.as_slice(), &mut OsRandom);
        opened.verdict().signers().next().expect("a signer").revocation
    };
    assert_eq!(known("V"), RevocationStatus::Good);
    assert_eq!(known("240102000000Z,superseded"), RevocationStatus::Revoked);
    assert_eq!(known(""), RevocationStatus::Unknown);
}

/// A SignedData with a response beside its certificates (RFC 5940 3).
fn with_response(message: &[u8], response: &[u8]) -> Vec<u8> {
    let read = || -> Result<Vec<u8>, sealpost::asn1::Error> {
        let mut outer = Cursor::new(message).sequence()?;
        let kind = outer.any()?.raw.to_vec();
        let mut fields = outer.any()?.cursor()?.sequence()?;
        let mut parts: Vec<Vec<u8>> = Vec::new();
        for _ in 0..4 {
            parts.push(fields.any()?.raw.to_vec());
        }
        let other = [encode::oid(&oid::RI_OCSP_RESPONSE), response.to_vec()].concat();
        parts.push(encode::explicit(1, &encode::explicit(1, &other)));
        parts.push(fields.remaining().to_vec());
        Ok(encode::sequence(&[kind, encode::explicit(0, &encode::sequence(&parts))]))
    };
    read().expect("a message")
}

#[test]
fn openssl_finds_the_same_responders_trustworthy() {
    let Some(bench) = bench() else { return };
    let request = bench.request(DigestAlgorithm::Sha1);
    for (signer, is_good) in [("CA", true), ("delegate", true), ("mail", false), ("foreign", false), ("stranger", false)] {
        let response = bench.answer("V", &Answer { signer, request: &request, more: PLAIN });
        let paths = ["response", "CA.pem", "jane.pem"].map(|name| bench.path(name));
        let [file, authority, jane] = &paths;
        let args = ["ocsp", "-respin", file, "-issuer", authority, "-cert", jane, "-CAfile", authority];
        let (code, out, talk) = support::run("openssl", &args, b"");
        let words = format!("{}{talk}", String::from_utf8_lossy(&out));
        assert_eq!(code == 0 && words.contains("Response verify OK"), is_good, "{signer}: {words}");
        assert_eq!(bench.known(&response).0 == RevocationStatus::Good, is_good, "{signer}");
    }
}

#[test]
fn the_program_shows_a_response() {
    let Some(bench) = bench() else { return };
    let request = bench.request(DigestAlgorithm::Sha1);
    bench.answer("240102000000Z,superseded", &Answer { signer: "delegate", request: &request, more: PLAIN });
    let inspect = |more: &[&str]| {
        let path = bench.path("response");
        let args = [&["inspect", &path], more].concat();
        let (code, out, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &args, b"");
        assert_eq!(code, 0, "{talk}");
        String::from_utf8(out).expect("text")
    };
    let text = inspect(&[]);
    assert!(text.starts_with("kind: ocsp\nOCSP response of CN=Responder, made "), "{text}");
    let line = format!("serial {}: revoked on 2024-01-02T00:00:00Z – superseded", bench.jane.serial_hex());
    assert!(text.contains(&line), "{text}");
    let json: serde_json::Value = serde_json::from_str(&inspect(&["--json"])).expect("JSON");
    assert_eq!((&json["kind"], &json["certificates"][0]["subject"]), (&"ocsp".into(), &"CN=Responder".into()));
}
