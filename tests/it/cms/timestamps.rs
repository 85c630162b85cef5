//! Time-stamps inside signatures, made by OpenSSL's authority at test time.

use std::path::Path;
use std::sync::OnceLock;

use sealpost::asn1::{Cursor, Tag, encode, oid};
use sealpost::cms::timestamp::{Info, Token};
use sealpost::cms::{Error, SignatureCheck, Signer};
use sealpost::crypto::algorithm::{DigestAlgorithm, Strength};
use sealpost::limits::Limits;
use sealpost::pki::{self, Certificate, ChainStatus, Judgement, Purpose, Revocation, TrustAnchors};
use sealpost::time::Timestamp;

use super::attributes::with_unsigned;
use super::cast::cast;
use super::own::{CONTENT, builder, detached};
use super::{checks, read_signed};
use crate::support;

/// An authority for time: its folder, with `tsa.pem`, `tsa.key` and `tsa.cnf`.
pub(super) struct Authority(tempfile::TempDir);

/// The configuration of an authority; `NAME` stands for its folder.
const CONFIG: &str = "
[tsa]
serial = NAME/serial
crypto_device = builtin
signer_cert = NAME/tsa.pem
certs = NAME/tsa.pem
signer_key = NAME/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha1, sha256, sha384, sha512
accuracy = secs:1, millisecs:500, microsecs:100
clock_precision_digits = 3
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = sha256
";

impl Authority {
    /// One whose certificate, signed by itself, has these extended key usages.
    pub(super) fn new(usage: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let usage = format!("extendedKeyUsage={usage}");
        let (cert, key) = (place("tsa.pem"), place("tsa.key"));
        let mut args = vec!["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3000"];
        args.extend(["-subj", "/O=Sealpost Tests/CN=time", "-addext", &usage, "-addext", "keyUsage=critical,digitalSignature"]);
        args.extend(["-addext", "basicConstraints=critical,CA:false", "-out", &cert, "-keyout", &key]);
        openssl(&args, b"");
        std::fs::write(place("serial"), "01\n").unwrap();
        std::fs::write(place("tsa.cnf"), CONFIG.replace("NAME", dir.path().to_str().unwrap())).unwrap();
        Self(dir)
    }

    fn certificate(&self) -> Certificate {
        let bytes = std::fs::read(self.0.path().join("tsa.pem")).unwrap();
        pki::load::certificates(&bytes).unwrap().remove(0)
    }

    pub(super) fn certificate_file(&self) -> String {
        self.0.path().join("tsa.pem").to_str().unwrap().to_owned()
    }

    /// A token over these bytes.
    fn stamp(&self, bytes: &[u8], more: &[&str]) -> Vec<u8> {
        let place = |name: &str| self.0.path().join(name).to_str().unwrap().to_owned();
        let (data, query, reply) = (place("data"), place("query"), place("reply"));
        std::fs::write(&data, bytes).unwrap();
        openssl(&[&["ts", "-query", "-data", &data, "-out", &query][..], more].concat(), b"");
        let config = place("tsa.cnf");
        let args = ["ts", "-reply", "-config", &config, "-section", "tsa", "-queryfile", &query, "-token_out", "-out", &reply];
        openssl(&args, b"");
        std::fs::read(Path::new(&reply)).unwrap()
    }
}

fn openssl(args: &[&str], input: &[u8]) -> Vec<u8> {
    let (code, stdout, stderr) = support::run("openssl", args, input);
    assert_eq!(code, 0, "openssl {args:?}: {stderr}");
    stdout
}

pub(super) fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::new("critical,timeStamping"))
}

/// One at a time: the authority counts its tokens in a file.
pub(super) fn stamp(bytes: &[u8], more: &[&str]) -> Vec<u8> {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    authority().stamp(bytes, more)
}

/// A message of alice whose signature bears these tokens, and her signer in it.
fn stamped(tokens: impl Fn(&[u8]) -> Vec<Vec<u8>>) -> Signer {
    let message = detached(&builder(cast().person("alice"), DigestAlgorithm::Sha256), CONTENT);
    let signature = read_signed(&message, Some(CONTENT)).unwrap().0.signers[0].signature().to_vec();
    let attribute = encode::sequence(&[encode::oid(&oid::TIME_STAMP_TOKEN), encode::tlv(Tag::SET, &tokens(&signature).concat())]);
    let (data, _) = read_signed(&with_unsigned(&message, &[attribute]), Some(CONTENT)).unwrap();
    assert_eq!(checks(&data, &[]), [SignatureCheck::Valid(Vec::new())]);
    data.signers[0].clone()
}

fn only_token(signer: &Signer) -> Token {
    let tokens: Vec<&[u8]> = signer.timestamp_tokens().collect();
    assert_eq!(tokens.len(), 1);
    Token::from_der(tokens[0], &Limits::default()).unwrap()
}

#[test]
fn the_token_of_openssl_proves_that_the_signature_was_there() {
    if !support::peer("openssl") {
        return;
    }
    for digest in ["-sha256", "-sha384", "-sha512"] {
        let signer = stamped(|signature| vec![stamp(signature, &[digest, "-cert"])]);
        let token = only_token(&signer);
        let stamp = token.verify(signer.signature(), &[]).unwrap();
        assert_eq!(stamp.certificate, authority().certificate());
        assert_eq!((stamp.strength, stamp.oddities), (Strength::Good, Vec::new()));
        let info = stamp.info;
        assert_eq!(info.policy.to_string(), "1.2.3.4.1");
        let accuracy = info.accuracy.unwrap();
        assert_eq!((accuracy.seconds, accuracy.millis, accuracy.micros, info.ordering), (1, 500, 100, true));
        assert!(info.nonce.is_some() && info.nanoseconds < 1_000_000_000 && info.nanoseconds.is_multiple_of(1_000_000));
        assert!(info.authority.unwrap().to_string().contains("time"));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert!(info.time.unix().abs_diff(i64::try_from(now).unwrap()) < 600);
    }
}

#[test]
fn a_token_over_something_else_or_changed_proves_nothing() {
    if !support::peer("openssl") {
        return;
    }
    let other = stamped(|_| vec![stamp(CONTENT, &["-sha256", "-cert"])]);
    let why = only_token(&other).verify(other.signature(), &[]).unwrap_err();
    assert!(why.contains("something else"), "{why}");
    // whoever has no certificate of the authority must bring one
    let bare = stamped(|signature| vec![stamp(signature, &["-sha256", "-no_nonce"])]);
    let token = only_token(&bare);
    assert!(token.info().nonce.is_none());
    assert!(token.verify(bare.signature(), &[]).unwrap_err().contains("not at hand"));
    assert!(token.verify(bare.signature(), &[cast().person("alice").certificate.clone()]).is_err());
    assert!(token.verify(bare.signature(), &[authority().certificate()]).is_ok());
    // a change anywhere is no token, or one that does not fit, or changes nothing that is said
    let good = stamped(|signature| vec![stamp(signature, &["-sha256", "-cert"])]);
    let bytes = good.timestamp_tokens().next().unwrap().to_vec();
    let original = only_token(&good).info().clone();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x01;
        if let Ok(token) = Token::from_der(&changed, &Limits::default())
            && let Ok(stamp) = token.verify(good.signature(), &[])
        {
            assert_eq!(stamp.info, original, "at {at}");
        }
        assert!(Token::from_der(&bytes[..at], &Limits::default()).is_err(), "cut at {at}");
    }
}

#[test]
fn what_is_no_token_is_refused() {
    let alice = cast().person("alice");
    let signed = detached(&builder(alice, DigestAlgorithm::Sha256), CONTENT);
    let refused = |bytes: &[u8]| Token::from_der(bytes, &Limits::default()).unwrap_err().to_string();
    assert!(refused(&signed).contains("something else"), "{}", refused(&signed));
    let bundle = sealpost::cms::certificates_only(&[]);
    assert!(refused(&bundle).contains("something else"));
    assert!(!refused(&encode::null()).is_empty());
    if !support::peer("openssl") {
        return;
    }
    // with a second signer it is none (RFC 3161 2.4.2)
    let token = stamp(CONTENT, &["-sha256", "-cert"]);
    let mut outer = Cursor::new(&token).sequence().unwrap();
    let kind = outer.any().unwrap().raw.to_vec();
    let mut fields = outer.explicit(0).unwrap().unwrap().sequence().unwrap();
    let mut parts = Vec::new();
    while !fields.is_empty() {
        parts.push(fields.any().unwrap().raw.to_vec());
    }
    let infos = parts.pop().unwrap();
    let content = Cursor::new(&infos).any().unwrap().content;
    for infos in [content.repeat(2), Vec::new()] {
        let mut parts = parts.clone();
        parts.push(encode::tlv(Tag::SET, &infos));
        let changed = encode::sequence(&[kind.clone(), encode::explicit(0, &encode::sequence(&parts))]);
        assert!(refused(&changed).contains("one signer"), "{}", refused(&changed));
    }
}

#[test]
fn several_tokens_are_each_on_their_own() {
    if !support::peer("openssl") {
        return;
    }
    let signer =
        stamped(|signature| vec![stamp(CONTENT, &["-sha256", "-cert"]), encode::null(), stamp(signature, &["-sha256", "-cert"])]);
    let outcomes: Vec<bool> = signer
        .timestamp_tokens()
        .map(|token| Token::from_der(token, &Limits::default()).is_ok_and(|token| token.verify(signer.signature(), &[]).is_ok()))
        .collect();
    assert_eq!(outcomes, [false, false, true]);
}

#[test]
fn every_field_of_the_information_is_read_and_no_other() {
    let imprint = encode::sequence(&[DigestAlgorithm::Sha256.identifier().to_der(), encode::octet_string(&[7; 32])]);
    let time = |text: &str| encode::tlv(Tag::GENERALIZED_TIME, text.as_bytes());
    let head = |time: Vec<u8>| {
        vec![encode::integer_u64(1), encode::oid(&oid::ANY_POLICY), imprint.clone(), encode::integer_u64(5), time]
    };
    let extension = |critical: &[u8]| {
        let one = encode::sequence(&[encode::oid(&oid::ID_DATA), critical.to_vec(), encode::octet_string(b"")]);
        encode::implicit(1, &encode::sequence(&[one]))
    };
    let read = |parts: Vec<Vec<u8>>| Info::from_der(&encode::sequence(&parts));
    for (text, nanoseconds) in [("20240229120000Z", 0), ("20240229120000.5Z", 500_000_000), ("20240229120000.0000000019Z", 1)] {
        let info = read(head(time(text))).unwrap();
        assert_eq!((info.time.to_string().as_str(), info.nanoseconds), ("2024-02-29T12:00:00Z", nanoseconds));
        assert_eq!((info.accuracy, info.ordering, info.nonce, info.authority), (None, false, None, None));
    }
    let good = time("20240229120000Z");
    let full = [encode::sequence(&[encode::tlv(Tag::context(0), &[1, 0xf4])]), encode::boolean(true), encode::integer_u64(9)];
    let name = encode::explicit(0, &encode::tlv(Tag::context(1), b"time@a.example"));
    let info = read([head(good.clone()), full.to_vec(), vec![name, extension(b"")]].concat()).unwrap();
    assert_eq!(info.accuracy.map(|a| (a.seconds, a.millis, a.micros)), Some((0, 500, 0)));
    assert_eq!(
        (info.ordering, info.nonce.as_deref(), info.authority.unwrap().to_string()),
        (true, Some(&[9][..]), "time@a.example".to_owned())
    );
    let critical = read([head(good.clone()), vec![extension(&encode::boolean(true))]].concat());
    assert!(matches!(critical, Err(Error::Unsupported(what)) if what.contains("critical extension")));
    let mut later = head(good.clone());
    later[0] = encode::integer_u64(2);
    assert!(matches!(read(later), Err(Error::Unsupported(_))));
    assert!(read([head(good), vec![encode::null()]].concat()).is_err());
    for broken in [time("20240230120000Z"), time(""), encode::tlv(Tag::UTC_TIME, b"240229120000Z"), encode::null()] {
        assert!(read(head(broken)).is_err());
    }
}

#[test]
fn an_authority_for_time_has_a_key_for_nothing_else() {
    if !support::peer("openssl") {
        return;
    }
    let judged = |certificate: &Certificate, purpose| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let anchors: TrustAnchors = [certificate.clone()].into_iter().collect();
        let verdict = pki::judge(&Judgement {
            leaf: certificate,
            pool: &[],
            anchors: &anchors,
            crls: &[],
            ocsp: &[],
            purpose,
            at: Timestamp::from_unix(i64::try_from(now).unwrap()),
            revocation: Revocation::Off,
            limits: &Limits::default(),
        });
        (verdict.status, verdict.reasons.into_iter().map(|reason| reason.text).collect::<Vec<_>>())
    };
    let good = authority().certificate();
    assert_eq!(judged(&good, Purpose::TimeStamping), (ChainStatus::Trusted, Vec::new()));
    assert_eq!(judged(&good, Purpose::MailSign).0, ChainStatus::Unsuitable);
    for usage in
        ["timeStamping", "critical,timeStamping,emailProtection", "critical,emailProtection", "critical,anyExtendedKeyUsage"]
    {
        let (status, reasons) = judged(&Authority::new(usage).certificate(), Purpose::TimeStamping);
        assert_eq!(status, ChainStatus::Unsuitable, "{usage}");
        assert!(reasons.iter().any(|reason| reason.contains("not for time-stamps alone")), "{usage}: {reasons:?}");
    }
    let (status, _) = judged(&cast().person("alice").certificate, Purpose::TimeStamping);
    assert_eq!(status, ChainStatus::Unsuitable);
}
