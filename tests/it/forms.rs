//! One message of each kind, in every form that it may take on its way: the verdict and the content are the same.
//!
//! OpenSSL makes the messages, and reads every form that it knows.

mod ber;
mod wrap;

use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::OnceLock;

use sealpost::asn1::{encode, oid};
use sealpost::crypto::key::PrivateKey;
use sealpost::crypto::random::OsRandom;
use sealpost::keys::Identity;
use sealpost::limits::Limits;
use sealpost::pki::{self, Certificate};
use sealpost::smime::{Code, Layer, Layers, Open, Opened, Outcome, Severity, Trust, Want};
use sealpost::time::Timestamp;

use crate::support;
use wrap::{Pairs, Wrapped};

/// What is signed, encrypted, compressed.
fn content() -> Vec<u8> {
    let lines: String = (0..60).map(|n| format!("Line {n} of the contract.\r\n")).collect();
    format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{lines}").into_bytes()
}

/// A kind of message.
struct Kind {
    name: &'static str,
    smime_type: &'static str,
    suffix: &'static str,
    der: Vec<u8>,
    /// How OpenSSL takes it off, beside what says the form.
    openssl: Option<Vec<String>>,
}

/// How OpenSSL signs, and how it verifies.
fn signing() -> (String, String) {
    let signer = format!("-signer {} -inkey {} -certfile {}", path("alice.pem"), path("alice.key"), path("issuing.pem"));
    (signer, format!("-verify -CAfile {} -attime 1780272000", path("root.pem")))
}

fn kinds() -> Option<Vec<Kind>> {
    if !support::peer("openssl") {
        return None;
    }
    let (signer, verify) = signing();
    let decrypt = format!("-decrypt -recip {} -inkey {}", path("bob.pem"), path("bob.key"));
    let cms = |line: &str, input: &[u8]| openssl(&format!("cms -outform DER -binary {line}"), input);
    let bob = path("bob.pem");
    let kind = |name, smime_type, der, openssl: Option<&str>| {
        let openssl = openssl.map(|line| line.split(' ').map(str::to_owned).collect());
        Kind { name, smime_type, suffix: "p7m", der, openssl }
    };
    let certificates = openssl(&format!("crl2pkcs7 -nocrl -certfile {} -outform DER", path("issuing.pem")), b"");
    let signed = cms(&format!("-sign -nodetach {signer}"), &content());
    let inside = wrap::messages(&signed, "signed-data", "p7m", Pairs::Some).swap_remove(0).bytes;
    Some(vec![
        kind("signed", "signed-data", signed, Some(&verify)),
        kind("enveloped", "enveloped-data", cms(&format!("-encrypt -aes256 {bob}"), &content()), Some(&decrypt)),
        kind("authEnveloped", "authEnveloped-data", cms(&format!("-encrypt -aes-256-gcm {bob}"), &content()), Some(&decrypt)),
        kind("compressed", "compressed-data", compressed(&inside), None),
        Kind { suffix: "p7c", ..kind("certs-only", "certs-only", certificates, None) },
    ])
}

/// What must be the same in every form.
#[derive(Debug, PartialEq)]
struct Seen {
    layers: Vec<String>,
    outcome: Outcome,
    errors: Vec<Code>,
    certificates: bool,
    content: Option<Vec<u8>>,
}

fn seen(opened: &Opened, content: Option<Vec<u8>>) -> Seen {
    let verdict = opened.verdict();
    let layer = |layer: &Layer| match layer {
        Layer::Signed(layer) => {
            let signers = layer.signers.iter();
            let signers: Vec<_> =
                signers.map(|s| format!("{} {} {:?} {:?}", s.subject, s.algorithm, s.signature, s.chain)).collect();
            format!("signed {signers:?}")
        }
        Layer::Encrypted(layer) => {
            let recipients: Vec<_> = layer.recipients.iter().map(|r| format!("{} {} {}", r.kind, r.algorithm, r.used)).collect();
            format!("{:?} {} {} {recipients:?}", layer.kind, layer.cipher, layer.authenticated)
        }
        Layer::Compressed => "compressed".to_owned(),
    };
    let errors = verdict.findings.iter().filter(|finding| finding.severity == Severity::Error);
    Seen {
        layers: verdict.layers.iter().map(layer).collect(),
        outcome: verdict.outcome(),
        errors: errors.map(|finding| finding.code).collect(),
        certificates: verdict.findings.iter().any(|finding| finding.code == Code::CertificatesOnly),
        content,
    }
}

fn in_memory(message: &[u8]) -> Seen {
    let opened = open().run(message, &mut OsRandom);
    let content = opened.released().map(|released| released.content().to_vec());
    seen(&opened, content)
}

/// From something that gives a few bytes at a time, as a pipe does.
fn streamed(message: &[u8]) -> Seen {
    let (mut spool, mut source) = (Vec::new(), Trickle { bytes: Cursor::new(message), turn: 0 });
    let opened =
        open().stream(&mut source, Layers::Every, Want::Content, &mut spool, &mut OsRandom).expect("memory does not fail");
    let content = opened.may_release().then_some(spool);
    seen(&opened, content)
}

struct Trickle<'a> {
    bytes: Cursor<&'a [u8]>,
    turn: usize,
}

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.turn = (self.turn + 1) % 7;
        let most = buffer.len().min(self.turn + 1);
        self.bytes.read(&mut buffer[..most])
    }
}

impl Seek for Trickle<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

#[test]
fn every_form_has_the_same_verdict_and_content() {
    let Some(kinds) = kinds() else { return };
    let (mut wrong, mut count) = (Vec::new(), 0);
    for kind in &kinds {
        let expected = in_memory(&kind.der);
        let is_bundle = kind.name == "certs-only";
        assert_eq!(expected.content, (!is_bundle).then(content), "{}: {:?}", kind.name, expected.errors);
        assert_eq!(expected.certificates, is_bundle);
        for style in ber::STYLES {
            let structure = ber::rewrite(&kind.der, style);
            let pairs = if style.name == "DER" { Pairs::All } else { Pairs::Some };
            let mut forms = wrap::bare(&structure);
            forms.extend(wrap::messages(&structure, kind.smime_type, kind.suffix, pairs));
            for Wrapped { form, bytes, .. } in forms {
                count += 1;
                for (how, found) in [("in memory", in_memory(&bytes)), ("in pieces", streamed(&bytes))] {
                    if found != expected {
                        wrong
                            .push(format!("{}, {}, {form}, {how}: {:?} {:?}", kind.name, style.name, found.errors, found.layers));
                    }
                }
            }
        }
    }
    eprintln!("{count} forms");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn openssl_reads_the_same_from_every_form_that_it_knows() {
    let Some(kinds) = kinds() else { return };
    let mut count = 0;
    for kind in &kinds {
        let Some(line) = &kind.openssl else { continue };
        for style in ber::STYLES {
            let structure = ber::rewrite(&kind.der, style);
            let forms =
                wrap::bare(&structure).into_iter().chain(wrap::messages(&structure, kind.smime_type, kind.suffix, Pairs::Some));
            for Wrapped { form, bytes, openssl } in forms {
                let Some(inform) = openssl else { continue };
                let mut args = vec!["cms", "-binary", "-inform", inform];
                args.extend(line.iter().map(String::as_str));
                let (code, out, talk) = support::run("openssl", &args, &bytes);
                assert!(code == 0 && out == content(), "{}, {}, {form}: {talk}", kind.name, style.name);
                count += 1;
            }
        }
    }
    eprintln!("{count} forms");
}

#[test]
fn every_form_of_a_detached_signature_has_the_same_verdict() {
    if !support::peer("openssl") {
        return;
    }
    let (signer, verify) = signing();
    let signature = openssl(&format!("cms -outform DER -binary -sign {signer}"), &content());
    let expected = in_memory(&wrap::clear_signed(&content(), &signature, Pairs::Some).remove(0).bytes);
    assert_eq!((expected.outcome, expected.content.as_deref()), (Outcome::Good, Some(&content()[..])), "{:?}", expected.errors);
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), content()).expect("written");
    let lines: Vec<u8> = content().into_iter().filter(|byte| *byte != b'\r').collect();
    let (mut wrong, mut count, mut theirs) = (Vec::new(), 0, 0);
    let mut compare = |style: ber::Style, form: &str, found: Seen| {
        count += 1;
        if found != expected {
            wrong.push(format!("{}, {form}: {:?} {:?}", style.name, found.errors, found.layers));
        }
    };
    // OpenSSL splits a multipart in lines, and signs and shows them with CRLF unless told otherwise
    let mut judge = |line: String, form: &str, input: &[u8]| {
        let args: Vec<&str> = line.split(' ').collect();
        let (code, out, talk) = support::run("openssl", &args, input);
        let out: Vec<u8> = out.into_iter().filter(|byte| *byte != b'\r').collect();
        assert!(code == 0 && out == lines, "{form}: {talk}");
        theirs += 1;
    };
    for style in ber::STYLES {
        let structure = ber::rewrite(&signature, style);
        let pairs = if style.name == "DER" { Pairs::All } else { Pairs::Some };
        for Wrapped { form, bytes, openssl } in wrap::clear_signed(&content(), &structure, pairs) {
            compare(style, &form, in_memory(&bytes));
            compare(style, &form, streamed(&bytes));
            if let Some(inform) = openssl {
                judge(format!("cms -inform {inform} {verify}"), &form, &bytes);
            }
        }
        for Wrapped { form, bytes, openssl } in wrap::signature_files(&structure) {
            let opened = open().verify_detached(&content(), &bytes);
            let content = opened.released().map(|released| released.content().to_vec());
            compare(style, &form, seen(&opened, content));
            if let Some(inform) = openssl {
                judge(format!("cms -inform {inform} -binary {verify} -content {}", file.path().display()), &form, &bytes);
            }
        }
    }
    eprintln!("{count} forms, {theirs} by OpenSSL, too");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

fn open() -> Open<'static> {
    static CAST: OnceLock<(Trust, Identity)> = OnceLock::new();
    let (trust, bob) = CAST.get_or_init(|| {
        let at = Timestamp::parse_rfc3339("2026-06-01T00:00:00Z").expect("a time");
        let trust = Trust::new(certificates("root.pem").into_iter().collect(), at);
        let key = std::fs::read(path("bob.key")).expect("a key");
        let key = PrivateKey::from_any(&key, None, &Limits::default()).expect("readable");
        let bob = Identity::new(key, certificates("bob.pem").remove(0), certificates("issuing.pem")).expect("they go together");
        (Trust { revocation: pki::Revocation::Off, ..trust }, bob)
    });
    Open::new(trust).identity(bob)
}

fn certificates(name: &str) -> Vec<Certificate> {
    pki::load::certificates(&std::fs::read(path(name)).expect("a certificate")).expect("readable")
}

fn path(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("certs").join(name).display().to_string()
}

fn openssl(line: &str, input: &[u8]) -> Vec<u8> {
    let args: Vec<&str> = line.split(' ').collect();
    let (code, out, talk) = support::run("openssl", &args, input);
    assert_eq!(code, 0, "{line}: {talk}");
    out
}

/// CompressedData in DER, whose zlib stores; Debian's OpenSSL has none.
fn compressed(content: &[u8]) -> Vec<u8> {
    let mut zlib = Vec::new();
    // zlib of bytes that are stored as they are (RFC 1950, RFC 1951 3.2.4)
    let length = u16::try_from(content.len()).expect("short");
    zlib.extend([0x78, 0x01, 0x01]);
    zlib.extend(length.to_le_bytes());
    zlib.extend((!length).to_le_bytes());
    zlib.extend(content);
    let (a, b) =
        content.iter().fold((1u32, 0u32), |(a, b), byte| ((a + u32::from(*byte)) % 65521, (b + a + u32::from(*byte)) % 65521));
    zlib.extend((b << 16 | a).to_be_bytes());
    let algorithm = encode::sequence(&[encode::oid(&oid::ZLIB_COMPRESS)]);
    let inner = encode::sequence(&[encode::oid(&oid::ID_DATA), encode::explicit(0, &encode::octet_string(&zlib))]);
    let data = encode::sequence(&[encode::integer_u64(0), algorithm, inner]);
    encode::sequence(&[encode::oid(&oid::ID_COMPRESSED_DATA), encode::explicit(0, &data)])
}
