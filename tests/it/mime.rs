//! Tests of `mime` against what others read and write: Python's `email`, and the indexes of the vectors.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use sealpost::crypto::algorithm::DigestAlgorithm;
use sealpost::crypto::digest;
use sealpost::limits::Limits;
use sealpost::mime::compose::Composer;
use sealpost::mime::{self, Defect, transfer};
use sealpost::time::Timestamp;

use crate::support;

/// Folder, and how many of its messages must be the same tree with the same bodies.
const FOLDERS: &[(&str, usize)] = &[
    ("covert-content-attacks", 16),
    ("gnutls-horde", 1),
    ("mime-is-broken", 250),
    ("mime-torture", 273),
    ("openssl-cms", 2),
    ("outlook-thunderbird-samples", 12),
    ("pkits", 224),
    ("rfc4134-examples", 3),
    ("rfc9788-header-protection", 5),
    ("thunderbird-smime", 77),
];

/// One entity as it is compared.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    path: String,
    essence: String,
    children: usize,
    /// Of the decoded body, where it is a leaf: all of it or its beginning.
    sha256: Option<String>,
}

#[test]
fn messages_are_the_trees_that_python_reads() {
    let Some(base) = support::vectors("") else { return };
    if !support::peer("python3") {
        return;
    }
    let files: BTreeSet<String> = eml_files(&base).into_iter().chain(indexed(&base).into_keys()).collect();
    let paths: Vec<_> = files.iter().map(|file| base.join(file)).collect();
    let found = python("trees", &json!(paths));
    let theirs = files.into_iter().zip(&paths).map(|(file, path)| {
        let rows = found[path.to_str().expect("UTF-8")].as_array().expect("rows").iter().map(row).collect();
        (file, rows)
    });
    compare(&base, &theirs.collect());
}

#[test]
fn messages_are_the_trees_that_their_indexes_state() {
    let Some(base) = support::vectors("") else { return };
    compare(&base, &indexed(&base));
}

/// Compares every tree with ours; what differs must stand in the table, and enough must agree.
fn compare(base: &Path, theirs: &BTreeMap<String, Vec<Row>>) {
    let explained: BTreeMap<String, &str> = DISAGREEMENTS
        .iter()
        .flat_map(|Disagreement { why, broken, torture }| {
            let broken = broken.iter().map(|number| format!("mime-is-broken/hide-content/{number:04}.eml"));
            broken.chain(torture.iter().map(|file| format!("mime-torture/{file}"))).map(|file| (file, *why))
        })
        .collect();
    let mut folders: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let (mut reasons, mut unexplained): (BTreeMap<&str, usize>, Vec<String>) = Default::default();
    for (file, theirs) in theirs {
        let folder = file.split('/').next().expect("a folder");
        let (good, all) = folders.entry(folder).or_default();
        *all += 1;
        let source = fs::read(base.join(file)).expect("readable");
        match difference(&ours(&source), theirs) {
            None => *good += 1,
            Some(what) => match explained.get(file) {
                Some(why) => *reasons.entry(why).or_default() += 1,
                None => unexplained.push(format!("{file}: {what}")),
            },
        }
    }
    folders.iter().for_each(|(folder, (good, all))| eprintln!("{folder}: {good} of {all}"));
    reasons.iter().for_each(|(why, count)| eprintln!("  {count} otherwise: {why}"));
    assert!(unexplained.is_empty(), "{}", unexplained.join("\n"));
    for (folder, (good, all)) in folders {
        let least = FOLDERS.iter().find(|(name, _)| *name == folder).map_or(all, |(_, least)| *least);
        assert!(good >= least, "{folder}: {good} of {all}, at least {least} before");
    }
}

fn difference(ours: &[Row], theirs: &[Row]) -> Option<String> {
    let tree = |rows: &[Row]| rows.iter().map(|row| format!("{} {} {}", row.path, row.essence, row.children)).collect();
    let (tree_ours, tree_theirs): (Vec<String>, Vec<String>) = (tree(ours), tree(theirs));
    if tree_ours != tree_theirs {
        return Some(format!("{tree_ours:?}, theirs {tree_theirs:?}"));
    }
    let differs = |(ours, theirs): &(&Row, &Row)| match (&ours.sha256, &theirs.sha256) {
        (Some(ours), Some(theirs)) => !ours.starts_with(theirs.as_str()),
        _ => false,
    };
    ours.iter().zip(theirs).find(differs).map(|(row, _)| format!("other body of part {}", row.path))
}

fn ours(source: &[u8]) -> Vec<Row> {
    let root = mime::parse(source, &Limits::default()).expect("within the limits");
    let row = |entity: &mime::Entity| Row {
        path: entity.path(),
        essence: entity.content_type().essence(),
        children: entity.children().len(),
        sha256: entity.children().is_empty().then(|| hex(&digest::of(DigestAlgorithm::Sha256, &entity.decoded_body(source)))),
    };
    root.walk().into_iter().map(row).collect()
}

fn row(value: &Value) -> Row {
    Row {
        path: value[0].as_str().expect("a path").to_owned(),
        essence: value[1].as_str().expect("a type").to_owned(),
        children: value[2].as_u64().and_then(|count| usize::try_from(count).ok()).expect("a count"),
        sha256: value[3].as_str().map(str::to_owned),
    }
}

/// The trees that the indexes of message collections state, for each file; their hashes are the first 16 digits.
fn indexed(base: &Path) -> BTreeMap<String, Vec<Row>> {
    let mut found = BTreeMap::new();
    for folder in ["mime-torture", "mime-is-broken"] {
        let Ok(bytes) = fs::read(base.join(folder).join("index.json")) else { continue };
        let index: Value = serde_json::from_slice(&bytes).expect("JSON");
        for entry in index["entries"].as_array().expect("entries") {
            let Some(parts) = entry["peer_python_email"]["parts"].as_array() else { continue };
            found.insert(format!("{folder}/{}", entry["file"].as_str().expect("a file")), stated(parts));
        }
    }
    found
}

/// The index states [path, type, length, sha256]; what stands below another message/* than a message is left out.
fn stated(parts: &[Value]) -> Vec<Row> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let is_opaque = |essence: &str| essence.starts_with("message/") && !matches!(essence, "message/rfc822" | "message/global");
    let opaque: Vec<String> = parts.iter().filter(|part| is_opaque(&text(&part[1]))).map(|part| text(&part[0])).collect();
    let is_below = |path: &str, above: &str| {
        path != "0" && (above == "0" && path != above || path.strip_prefix(above).is_some_and(|rest| rest.starts_with('.')))
    };
    let kept: Vec<&Value> = parts.iter().filter(|part| !opaque.iter().any(|above| is_below(&text(&part[0]), above))).collect();
    let children = |path: &str| {
        let is_child = |other: &str| match other.rsplit_once('.') {
            Some((above, _)) => above == path,
            None => path == "0" && other != "0",
        };
        kept.iter().filter(|part| is_child(&text(&part[0]))).count()
    };
    let row = |part: &&Value| Row {
        path: text(&part[0]),
        essence: text(&part[1]),
        children: children(&text(&part[0])),
        sha256: part[3].as_str().map(str::to_owned),
    };
    kept.iter().map(row).collect()
}

fn eml_files(base: &Path) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![base.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("readable") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "eml") {
                found.push(path.strip_prefix(base).expect("below").to_string_lossy().into_owned());
            }
        }
    }
    found
}

fn python(what: &str, input: &Value) -> Value {
    let (code, out, err) =
        support::run("python3", &["-c", include_str!("mime.py"), what], &serde_json::to_vec(input).expect("JSON"));
    assert_eq!(code, 0, "{err}");
    serde_json::from_slice(&out).expect("JSON")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn transfer_encodings_that_programs_read_differently_are_said() {
    let defects = |header: &str| {
        let source = format!("{header}\r\n\r\nQQ==\r\n");
        mime::parse(source.as_bytes(), &Limits::default()).expect("small").defects().to_vec()
    };
    let several = "Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: quoted-printable";
    assert_eq!(defects(several), [Defect::SeveralTransferEncodings]);
    assert_eq!(defects("Content-Transfer-Encoding: x-uuencode"), [Defect::UnknownTransferEncoding]);
    assert!(defects("Content-Transfer-Encoding: Base64").is_empty());
}

#[test]
fn composed_messages_are_what_python_shows() {
    if !support::peer("python3") {
        return;
    }
    let long = "a very long name of a file, with; signs = \"quoted\" and 'single' % 100 ".repeat(3) + ".txt";
    let names = ["报告 – 第一部分.pdf", "很长的文件名".repeat(20).leak(), "plain.txt", "a b.txt", long.trim_start(), "naïve.bin"];
    let bytes: Vec<u8> = (0..=255).cycle().take(5_000).collect();
    let subject = "你好,世界!".repeat(15) + " = ? =?utf-8?q?no?= end";
    let text = "Grüße\r\nFrom the start\r\n.\r\ntrailing \r\n".to_owned() + &"字".repeat(400) + "\r\n";
    let html = "<p>你好 = &amp; \"x\"</p>\r\n".repeat(20);
    let mut composer = Composer::new("\"Doe, Jäne (x)\" <jane@a.example>", Timestamp::from_unix(1_775_899_800), "1@a.example")
        .to("李雷 <lei@b.example>, Joe <joe@c.example>")
        .to("plain@d.example")
        .subject(&subject)
        .text(&text)
        .html(&html);
    for name in names {
        composer = composer.attach(name, "application/octet-stream", bytes.clone());
    }
    let message = composer.build();
    assert!(message.is_ascii());
    let seen = python("message", &json!(hex(&message)));
    assert_eq!(seen["defects"], json!([]));
    assert_eq!(seen["subject"], json!(subject));
    assert_eq!(seen["from"], json!([["Doe, Jäne (x)", "jane@a.example"]]));
    assert_eq!(seen["to"], json!([["李雷", "lei@b.example"], ["Joe", "joe@c.example"], ["", "plain@d.example"]]));
    assert_eq!(seen["date"].as_f64(), Some(1_775_899_800.0));
    let mut leaves = vec![
        json!(["text/plain", null, "utf-8", hex(text.as_bytes())]),
        json!(["text/html", null, "utf-8", hex(html.as_bytes())]),
    ];
    leaves.extend(names.map(|name| json!(["application/octet-stream", name, null, hex(&bytes)])));
    assert_eq!(seen["leaves"].as_array().expect("leaves").len(), leaves.len());
    for (seen, written) in seen["leaves"].as_array().expect("leaves").iter().zip(&leaves) {
        assert_eq!(seen, written);
    }
    // we read our own names, too
    let root = mime::parse(&message, &Limits::default()).expect("small");
    let ours: Vec<String> = root.walk().into_iter().filter_map(|entity| entity.file_name(&message)).collect();
    assert_eq!(ours, names);
}

#[test]
fn composed_text_is_in_the_charset_that_was_asked_where_it_can_hold_the_text() {
    if !support::peer("python3") {
        return;
    }
    let text = "Grüße, 你好\r\n";
    let composer = || Composer::new("jane@a.example", Timestamp::from_unix(0), "1@a.example").to("joe@b.example");
    for (asked, written) in [
        ("gb18030", "gb18030"),
        ("gbk", "utf-8"),
        ("big5", "utf-8"),
        ("iso-8859-1", "utf-8"),
        ("utf-16", "utf-8"),
        ("no such", "utf-8"),
    ] {
        let message = composer().text(text).html(text).charset(asked).build();
        assert!(message.is_ascii());
        let seen = python("message", &json!(hex(&message)));
        assert_eq!(seen["leaves"].as_array().expect("leaves").iter().map(|leaf| &leaf[2]).collect::<Vec<_>>(), [written; 2]);
        for shown in seen["texts"].as_array().expect("texts") {
            assert_eq!(shown.as_str().map(|shown| shown.trim_end()), Some(text.trim_end()), "{asked}");
        }
        assert_eq!(mime::view::view(&message).text.trim_end(), text.trim_end());
        assert_eq!(mime::view::view_plain(&message).text.trim_end(), text.trim_end());
    }
    let html = b"Content-Type: text/html\r\n\r\n<p>Gr&uuml;&szlig;e</p>\r\n";
    assert_eq!(mime::view::view(html).text.trim_end(), "Grüße");
    assert_eq!(mime::view::view_plain(html).text, "", "no text is made from HTML");
    let latin = composer().text("Grüße\n").charset("iso-8859-15").build();
    let seen = python("message", &json!(hex(&latin)));
    assert_eq!(seen["leaves"][0][2].as_str(), Some("iso-8859-15"), "{seen}");
}

#[test]
fn base64_and_quoted_printable_are_what_python_reads_and_writes() {
    if !support::peer("python3") {
        return;
    }
    let mut payloads: Vec<Vec<u8>> = (0..200).map(|len| (0..len).map(|i: u32| (i * 37 + 11) as u8).collect()).collect();
    payloads.push("Grüße = \r\n.\r\nFrom here \t\r\n字".repeat(50).into_bytes());
    payloads.push(b"a line \r\nwith blanks\t\r\nat its ends ".to_vec());
    payloads.push(("x".repeat(75) + "\r\n" + &"y".repeat(76) + "\r\n" + &"z".repeat(77) + " \r\n").into_bytes());
    let rows: Vec<[String; 3]> = payloads
        .iter()
        .map(|payload| {
            [payload.as_slice(), &transfer::encode_base64(payload), &transfer::encode_quoted_printable(payload)].map(hex)
        })
        .collect();
    let seen = python("codecs", &json!(rows));
    for (payload, seen) in payloads.iter().zip(seen.as_array().expect("rows")) {
        let [base64, quoted, decoded64, decoded_qp] = [0, 1, 2, 3].map(|at| unhex(seen[at].as_str().expect("hex")));
        assert_eq!(decoded64, *payload);
        assert_eq!(decoded_qp, *payload);
        assert_eq!(transfer::decode_base64(&base64), *payload);
        assert_eq!(transfer::decode_quoted_printable(&quoted), *payload, "{}", String::from_utf8_lossy(&quoted));
        // Python ends lines with LF
        let crlf = mime::canonical::to_crlf(&base64).into_owned();
        assert_eq!(transfer::encode_base64(payload), crlf);
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex");
    text.as_bytes().chunks(2).map(byte).collect()
}

/// Why Python and we read some messages differently.
struct Disagreement {
    why: &'static str,
    /// Those of mime-is-broken/hide-content, by number.
    broken: &'static [u16],
    /// Those of mime-torture.
    torture: &'static [&'static str],
}

const DISAGREEMENTS: &[Disagreement] = &[
    Disagreement {
        why: "a lone CR ends a line for Python, not here (RFC 5322 2.3)",
        broken: &[23, 52, 76, 82, 126, 133, 145, 158, 232, 254, 338],
        torture: &[],
    },
    Disagreement {
        why: "a byte order mark before a message is passed over here and said, as its author's own library does; RFC 5322 2.2 knows no such mark",
        broken: &[],
        torture: &["mimekit/feedback-report.txt"],
    },
    Disagreement {
        why: "a line that is no field ends the header section for Python; here it is passed over and said",
        broken: &[40, 49, 59, 65, 73, 78, 118, 147, 167, 184, 197, 210, 216, 230, 233, 285, 302, 307, 337, 349, 350, 364],
        torture: &[
            "cpython/msg_35.txt",
            "cpython/msg_47.txt",
            "mail-parser/malformed/007.eml",
            "mail-parser/malformed/019.eml",
            "mail-parser/thirdparty/015.eml",
            "mimekit/issue358.txt",
            "ruby-mail/plain_emails/raw_email_incorrect_header.eml",
            "ruby-mail/rfc2822/example13.eml",
        ],
    },
    Disagreement {
        why: "Python keeps folding, comments and what follows in the values of Content-Type and Content-Transfer-Encoding",
        broken: &[
            12, 33, 41, 42, 70, 89, 91, 94, 127, 131, 142, 154, 157, 161, 172, 208, 226, 243, 261, 275, 289, 312, 320, 322, 325,
            353, 357, 360,
        ],
        torture: &["mail-parser/thirdparty/003.eml", "mail-parser/thirdparty/012.eml"],
    },
    Disagreement {
        why: "a Content-Type that names no type is text/plain here; Python takes it as it stands",
        broken: &[26, 51, 148, 156, 202, 224, 234, 311],
        torture: &["mail-parser/malformed/017.eml"],
    },
    Disagreement {
        why: "the first = ends base64 (RFC 2045 6.8); Python passes over it where it does not fit",
        broken: &[3, 4, 6, 7, 10, 53, 54, 80, 117, 122, 125, 128, 146, 165, 242, 248, 286],
        torture: &[],
    },
    Disagreement {
        why: "Python gives up on base64 of a wrong length; here the whole bytes of it are read",
        broken: &[209, 343],
        torture: &[],
    },
    Disagreement {
        why: "blanks at the end of a quoted-printable line go, a = that begins no code stays (RFC 2045 6.7)",
        broken: &[106, 168, 195, 236, 245, 292],
        torture: &["jsmime/mime-torture", "ruby-mail/attachment_emails/attachment_message_rfc822_inline_image.eml"],
    },
    Disagreement {
        why: "uuencode is no transfer encoding of MIME; the body stays as it is, and that is said",
        broken: &[57, 140, 144, 215, 231, 296, 345, 346],
        torture: &[],
    },
    Disagreement {
        why: "a message that is itself encoded, which RFC 2046 5.2.1 forbids, is a leaf here",
        broken: &[84, 166],
        torture: &["jsmime/message-encoded", "mail-parser/rfc/008.eml"],
    },
    Disagreement {
        why: "of two boundary parameters the extended one counts here (as RFC 6266 has it), the first for Python",
        broken: &[97, 135, 244, 309],
        torture: &[],
    },
    Disagreement {
        why: "of two pieces of a boundary with one number the first counts here, and that is said; Python finds no boundary",
        broken: &[37, 211, 354],
        torture: &[],
    },
    Disagreement {
        why: "quotes in the wrong place, or an empty boundary, which ours is not",
        broken: &[62, 83, 96, 105, 113, 129, 294],
        torture: &[],
    },
    Disagreement {
        why: "Python drops the last line of a multipart that never begins or is never closed",
        broken: &[56, 88, 203, 299],
        torture: &[
            "cpython/msg_15.txt",
            "cpython/msg_42.txt",
            "mail-parser/malformed/001.eml",
            "mail-parser/malformed/003.eml",
            "mail-parser/malformed/006.eml",
            "mail-parser/malformed/008.eml",
            "mail-parser/malformed/009.eml",
            "mail-parser/malformed/012.eml",
            "mail-parser/malformed/016.eml",
            "mail-parser/thirdparty/005.eml",
            "mimekit/empty-multipart.txt",
            "ruby-mail/mime_emails/raw_email4.eml",
        ],
    },
    Disagreement {
        why: "between two delimiter lines in a row stands an empty part; Python takes them for one",
        broken: &[],
        torture: &["cpython/msg_37.txt", "mail-parser/malformed/000.eml"],
    },
];
