//! Signed mail survives relays: messages of every kind, put through what gateways, mailboxes and list managers do to them.

use std::fs;
use std::path::{Path, PathBuf};

use sealpost::crypto::random::Seeded;
use sealpost::keys::{self, Identity};
use sealpost::limits::Limits;
use sealpost::mime::{self, Entity};
use sealpost::pki::{self, Revocation, TrustAnchors};
use sealpost::smime::{Form, Open, Sign, Trust};
use sealpost::time::Timestamp;

use crate::support;

const NOW: i64 = 1_780_000_000;

fn certs(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("certs").join(name)
}

fn alice() -> Identity {
    let read = |name: &str| fs::read(certs(name)).expect("one of the cast");
    let all = [read("alice.pem"), read("alice.key"), read("issuing.pem")].concat();
    keys::load::identity(&all, None, &Limits::default()).expect("an identity")
}

fn trust() -> Trust {
    let root = fs::read(certs("root.pem")).expect("a root");
    let anchors: TrustAnchors = pki::load::certificates(&root).expect("a root").into_iter().collect();
    Trust { revocation: Revocation::Off, ..Trust::new(anchors, Timestamp::from_unix(NOW)) }
}

/// Messages that relays are known to change.
pub(crate) fn letters(from: &str, to: &str) -> Vec<(&'static str, Vec<u8>)> {
    let head = format!("From: {from}\r\nTo: {to}\r\nSubject: relayed\r\nMIME-Version: 1.0\r\n");
    let utf8 = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n";
    let long = "0123456789".repeat(200);
    let binary: Vec<u8> = (0..=255_u8).cycle().take(2000).collect();
    let bodies: Vec<(&'static str, Vec<u8>)> = vec![
        ("plain", b"Content-Type: text/plain\r\n\r\nHello.\r\n".to_vec()),
        ("8bit", format!("{utf8}Gr\u{fc}\u{df}e, \u{4f60}\u{597d}\r\n").into_bytes()),
        ("latin-1", b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xfc\xdfe\r\n".to_vec()),
        ("long lines", format!("Content-Type: text/plain\r\n\r\n{long}\r\n{} {long}\r\n", long.replace('5', " ")).into_bytes()),
        ("trailing blanks", b"Content-Type: text/plain; format=flowed\r\n\r\none \r\ntwo\t\r\n-- \r\n \r\n\r\n".to_vec()),
        ("from lines", b"Content-Type: text/plain\r\n\r\nFrom here on\r\n>From there\r\nFrom: x\r\n".to_vec()),
        ("lone dots", b"Content-Type: text/plain\r\n\r\n.\r\n..\r\n.x\r\n...\r\n.\r\n".to_vec()),
        ("no end", b"Content-Type: text/plain\r\n\r\nno line break at the end".to_vec()),
        ("empty", b"Content-Type: text/plain\r\n\r\n".to_vec()),
        ("empty lines", b"Content-Type: text/plain\r\n\r\n\r\n\r\nx\r\n\r\n\r\n\r\n".to_vec()),
        ("bare line feeds", b"Content-Type: text/plain\n\none\ntwo\r\nthree\n".to_vec()),
        ("bare returns", b"Content-Type: text/plain\r\n\r\none\rtwo\r\nthree\r\r\nfour\r".to_vec()),
        ("control characters", b"Content-Type: text/plain\r\n\r\na\x00b\x07\x0c\x1b[31m\x7f\r\n".to_vec()),
        ("no type", b"\r\nHello.\r\n".to_vec()),
        ("8bit header in a part", "Content-Type: multipart/mixed; boundary=\"x\"\r\n\r\n--x\r\nContent-Type: text/plain; name=\"\u{fc}.txt\"\r\n\
            Content-Description: Gr\u{fc}\u{df}e\r\n\r\nHi.\r\n--x--\r\n".as_bytes().to_vec()),
        ("long header in a part", format!("Content-Type: multipart/mixed; boundary=\"x\"\r\n\r\n--x\r\nContent-Type: text/plain; \
            name=\"{}\"\r\nContent-Description: {} \r\n\r\nHi.\r\n--x--\r\n", "a b ".repeat(50), "word ".repeat(300)).into_bytes()),
        ("nested", format!("Content-Type: multipart/mixed; boundary=a\r\n\r\npreamble \r\nFrom me, \u{fc}\r\n--a  \r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n\
            --b\r\n{utf8}\u{fc}\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>x </p> \r\n--b--\r\n\r\n--a\r\nContent-Type: message/rfc822\r\n\r\n\
            Subject: \u{fc}\r\n{utf8}From inside \u{fc}\r\n--a--\r\nepilogue \u{fc} \r\n").into_bytes()),
        ("binary", [b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: application/octet-stream\r\n\
            Content-Transfer-Encoding: binary\r\n\r\n".as_slice(), &binary, b"\r\n--a--\r\n"].concat()),
        ("attached text", b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: text/x-diff\r\nContent-Disposition: attachment\r\n\r\n\
            - a \r\n+ b\r\n--a--\r\n".to_vec()),
        ("base64 with odd lines", b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA \r\nBB\r\nBB\r\n\r\n".to_vec()),
        ("quoted-printable", b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=\r\n=C3=9Fe=20\r\nFrom x\r\n".to_vec()),
    ];
    bodies.into_iter().map(|(name, body)| (name, [head.as_bytes(), &body].concat())).collect()
}

/// What the leaves hold, decoded: it must be what was given.
fn leaves(root: &Entity, source: &[u8]) -> Vec<(String, Vec<u8>)> {
    let leaves = root.walk().into_iter().filter(|entity| entity.children().is_empty());
    let content = |leaf: &Entity| {
        let bytes = leaf.decoded_body(source);
        // the line ends of text are not content, and its last line may get an end; of anything else each byte counts
        if leaf.content_type().kind == "text" { trimmed(&bytes) } else { bytes }
    };
    leaves.map(|leaf| (leaf.content_type().essence(), content(leaf))).collect()
}

fn trimmed(bytes: &[u8]) -> Vec<u8> {
    let mut out = mime::canonical::to_crlf(bytes).into_owned();
    while out.ends_with(b"\r\n") {
        out.truncate(out.len() - 2);
    }
    out
}

fn lines(message: &[u8], change: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        let content = line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
        out.extend(change(content));
        if line.ends_with(b"\n") {
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

/// What happens to mail on its way.
type Relay = (&'static str, fn(&[u8]) -> Vec<u8>);

const RELAYS: &[Relay] = &[
    ("nothing", <[u8]>::to_vec),
    ("line feeds alone, as in a mailbox", |message| message.iter().copied().filter(|byte| *byte != b'\r').collect()),
    ("blanks at line ends cut", |message| lines(message, |line| line.trim_ascii_end().to_vec())),
    ("From lines quoted, as in an mbox", |message| {
        lines(message, |line| if line.starts_with(b"From ") { [b">", line].concat() } else { line.to_vec() })
    }),
    ("seven bits", |message| message.iter().map(|byte| byte & 0x7f).collect()),
    ("lines broken at 998", |message| lines(message, |line| line.chunks(998).collect::<Vec<_>>().join(&b"\r\n"[..]))),
    ("control characters dropped", |message| {
        message.iter().copied().filter(|byte| !byte.is_ascii_control() || matches!(byte, b'\r' | b'\n' | b'\t')).collect()
    }),
    ("lone returns as line ends", |message| {
        let text = String::from_utf8_lossy(message).replace("\r\n", "\n").replace('\r', "\n");
        text.replace('\n', "\r\n").into_bytes()
    }),
    ("an end at a lone dot", |message| {
        let end = message.windows(5).position(|five| five == b"\r\n.\r\n").map_or(message.len(), |at| at + 2);
        message[..end].to_vec()
    }),
    ("empty lines at the end cut", |message| [message.trim_ascii_end(), b"\r\n"].concat()),
    ("a footer of a list", |message| [message, b"\r\n-- \r\nlist footer\r\n"].concat()),
    ("other fields in front", |message| [b"Received: from a.example\r\n\tby b.example\r\nX-Scanned: yes\r\n", message].concat()),
];

fn signed(letter: &[u8], form: Form) -> Vec<u8> {
    let alice = alice();
    Sign::new(&alice).form(form).run(letter, Timestamp::from_unix(NOW), &mut Seeded::new(b"relay")).expect("signed")
}

/// Verifies, and gives what was signed.
fn verified(message: &[u8], what: &str) -> Vec<u8> {
    let trust = trust();
    let opened = Open::new(&trust).verify(message);
    let findings: Vec<String> = opened.verdict().findings.iter().map(ToString::to_string).collect();
    opened.released().unwrap_or_else(|| panic!("{what}: {findings:?}")).content().to_vec()
}

#[test]
fn every_kind_of_message_stays_valid_whatever_relays_do() {
    let mut broken = Vec::new();
    for (name, letter) in letters("alice@example.com", "bob@example.org") {
        for form in [Form::Clear, Form::Opaque] {
            let message = signed(&letter, form);
            for (relay, change) in RELAYS {
                let trust = trust();
                let opened = Open::new(&trust).verify(&change(&message));
                if opened.released().is_none() {
                    broken.push(format!("{name} ({form:?}) after {relay}: {:?}", opened.verdict().findings));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn what_is_signed_holds_what_was_given() {
    for (name, letter) in letters("alice@example.com", "bob@example.org") {
        let limits = Limits::default();
        let given = leaves(&mime::parse(&letter, &limits).expect("a message"), &letter);
        let content = verified(&signed(&letter, Form::Clear), name);
        let root = mime::parse(&content, &limits).expect("a message");
        assert!(root.walk().iter().all(|entity| entity.defects().is_empty()), "{name}");
        assert_eq!(leaves(&root, &content), given, "{name}: {}", String::from_utf8_lossy(&content));
        assert!(mime::canonical::is_safe(&content), "{name}: {}", String::from_utf8_lossy(&content));
    }
}

#[test]
fn openssl_verifies_what_was_relayed() {
    if !support::peer("openssl") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (file, root, out) = (folder.path().join("message"), certs("root.pem"), folder.path().join("out"));
    let path = |path: &Path| path.display().to_string();
    for (name, letter) in letters("alice@example.com", "bob@example.org") {
        let message = signed(&letter, Form::Clear);
        for (relay, change) in RELAYS {
            fs::write(&file, change(&message)).expect("written");
            let args = [
                "cms",
                "-verify",
                "-in",
                &path(&file),
                "-CAfile",
                &path(&root),
                "-out",
                &path(&out),
                "-attime",
                &NOW.to_string(),
            ];
            let (code, _, talk) = support::run("openssl", &args, b"");
            assert_eq!(code, 0, "{name} after {relay}: {talk}");
        }
    }
}

/// What list managers do: Python's library reads the message and writes it again, by each of its policies.
const PYTHON: &str = "
import sys, email, email.policy, email.generator, mailbox, io
for name in sys.argv[1:]:
    data = open(name, 'rb').read()
    for number, policy in enumerate([email.policy.compat32, email.policy.compat32.clone(linesep='\\r\\n'), email.policy.SMTP, email.policy.default]):
        message = email.message_from_bytes(data, policy=policy)
        message['X-List'] = 'a list'
        out = io.BytesIO()
        email.generator.BytesGenerator(out, mangle_from_=True, policy=policy).flatten(message, linesep='\\r\\n')
        open(name + '.' + str(number), 'wb').write(out.getvalue())
    box = mailbox.mbox(name + '.mbox')
    box.add(data)
    box.flush()
    open(name + '.4', 'wb').write(box.get_bytes(0))
";

#[test]
fn what_python_reads_and_writes_again_stays_valid() {
    if !support::peer("python3") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let letters = letters("alice@example.com", "bob@example.org");
    let files: Vec<String> = letters
        .iter()
        .zip(0..)
        .map(|((_, letter), number)| {
            let file = folder.path().join(format!("{number}.eml"));
            fs::write(&file, signed(letter, Form::Clear)).expect("written");
            file.display().to_string()
        })
        .collect();
    let args: Vec<&str> = ["-c", PYTHON].into_iter().chain(files.iter().map(String::as_str)).collect();
    let (code, _, talk) = support::run("python3", &args, b"");
    assert_eq!(code, 0, "{talk}");
    let mut broken = Vec::new();
    for ((name, _), file) in letters.iter().zip(&files) {
        for number in 0..5 {
            let message = fs::read(format!("{file}.{number}")).expect("written");
            let trust = trust();
            let opened = Open::new(&trust).verify(&message);
            if opened.released().is_none() {
                broken.push(format!("{name} by policy {number}: {:?}", opened.verdict().findings));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
