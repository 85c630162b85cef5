//! `explain`: what a relay (`relay.py`, in another language) did to a signed message is found, and the words of nobody are explained
//! away.

use std::path::PathBuf;

use sealpost::crypto::random::OsRandom;
use sealpost::smime::{Change, Code, Encrypt, Explained, Open, Outcome, Severity};

use super::stage::*;
use crate::support;

/// Clear-signed by alice: `fields` over `body`.
fn signed(fields: &str, body: &str) -> String {
    message(FROM_ALICE, &clear_signed(&format!("{fields}\r\n\r\n{body}"), &stage().alice))
}

/// Signed bytes that are no text.
fn signed_bytes(entity: &[u8]) -> Vec<u8> {
    let signature = part(P7S, &detached(entity, &stage().alice));
    let (head, tail) =
        multipart(SIGNED, "sig", &["@", &signature]).split_once('@').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("a mark");
    [message(FROM_ALICE, &head).into_bytes(), entity.to_vec(), tail.into_bytes()].concat()
}

fn relayed(message: &[u8], by: &[&str]) -> Vec<u8> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/attacks/relay.py").display().to_string();
    let args: Vec<&str> = std::iter::once(script.as_str()).chain(by.iter().copied()).collect();
    let (code, out, talk) = support::run("python3", &args, message);
    assert_eq!(code, 0, "{by:?}: {talk}");
    out
}

fn explain(message: &[u8]) -> Explained {
    Open::new(&stage().trust).identity(&stage().bob).explain(message, &mut OsRandom)
}

fn changes(explained: &Explained) -> Vec<Change> {
    explained.explanations.iter().filter_map(|explanation| explanation.change).collect()
}

const TEXT: &str = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit";
const BODY: &str = "Lunch at noon for 100 \u{20ac}.\r\nBring Gr\u{fc}\u{df}e.\r\n\r\nFrom here it is near.\r\n.hidden\r\n\tTab and blank \r\n-- \r\nAlice\r\n";
const LATIN: &str = "Lunch at noon for 100.\r\nBring Gr\u{fc}\u{df}e = all.\r\n";
const ASCII: &str = "Lunch at noon for 100.\r\nBring friends.\r\n";

fn base64_letter() -> String {
    let body = String::from_utf8(sealpost::mime::transfer::encode_base64(BODY.repeat(5).as_bytes())).expect("ASCII");
    signed("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64", &body)
}

fn quoted_letter(width: usize) -> String {
    // broken at another place than other programs do
    let text = "Lunch=20at noon for 100 =E2=82=AC. ".to_owned() + &"very long line ".repeat(20);
    let lines: Vec<&str> = (0..text.len()).step_by(width).map(|at| &text[at..text.len().min(at + width)]).collect();
    signed(
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable",
        &(lines.join("=\r\n") + "\r\n"),
    )
}

fn plain_quoted_letter() -> String {
    let body = "Lunch at noon =3D 100 =E2=82=AC.\r\nBring Gr=C3=BC=C3=9Fe.\r\n";
    signed("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable", body)
}

fn parted_letter() -> String {
    let first = format!("{TEXT}\r\n\r\n{BODY}");
    let html = "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<p>Gr\u{fc}\u{df}e</p>\r\n";
    let image = "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n";
    let entity = multipart("mixed", "in", &[&first, html, image]);
    message(FROM_ALICE, &clear_signed(entity.trim_end(), &stage().alice))
}

fn disposed_letter() -> String {
    signed(
        "Content-Type: text/plain;\r\n charset=\"utf-8\"\r\nContent-Disposition: inline\r\nContent-Transfer-Encoding: 7bit",
        ASCII,
    )
}

#[test]
fn each_change_that_relays_make_is_found() {
    if !support::peer("python3") {
        return;
    }
    let text = signed(TEXT, BODY).into_bytes();
    let ascii = signed("Content-Type: text/plain; charset=us-ascii", ASCII).into_bytes();
    let latin = signed("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit", LATIN).into_bytes();
    let old = [
        b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n".as_slice(),
        b"Lunch at noon.\r\nBring Gr\xfc\xdfe.\r\n",
    ]
    .concat();
    let old = signed_bytes(&old);
    let long = signed("Content-Type: text/plain", &format!("{}\r\nend\r\n", "0123456789".repeat(150))).into_bytes();
    let lf = signed_bytes(b"Content-Type: text/plain\n\nLunch\nat noon\n");
    let quoted_from = signed("Content-Type: text/plain", ">From here\r\nit is near\r\n").into_bytes();
    let odd_case = signed("Content-type: text/plain; charset=us-ascii", ASCII).into_bytes();
    let (base64, quoted, long_quoted) =
        (base64_letter().into_bytes(), plain_quoted_letter().into_bytes(), quoted_letter(60).into_bytes());
    let (parted, disposed) = (parted_letter().into_bytes(), disposed_letter().into_bytes());
    for letter in
        [&text, &ascii, &latin, &old, &long, &base64, &quoted, &long_quoted, &parted, &disposed, &odd_case, &quoted_from]
    {
        check("as sent", &open(letter), Expect::Good).expect("good");
        assert!(explain(letter).explanations.is_empty());
    }
    let cases: Vec<(&Vec<u8>, &[&str], &[Change])> = vec![
        (&text, &["doubled-cr"], &[Change::LineEnds]),
        (&text, &["lost-lf"], &[Change::LineEnds]),
        (&ascii, &["doubled-lines"], &[Change::LineEnds]),
        (&lf, &["lf-to-crlf"], &[Change::LineEnds]),
        (&text, &["dots-doubled"], &[Change::Dots]),
        (&text, &["dots-lost"], &[Change::Dots]),
        (&ascii, &["pad"], &[Change::TrailingBlanks]),
        (&ascii, &["break-added"], &[Change::FinalLineBreak]),
        (&ascii, &["breaks-added"], &[Change::FinalLineBreak]),
        (&ascii, &["break-lost"], &[Change::FinalLineBreak]),
        (&text, &["from"], &[Change::FromQuoting]),
        (&quoted_from, &["unfrom"], &[Change::FromQuoting]),
        (&long, &["broken"], &[Change::LongLines]),
        (&long, &["sendmail-broken"], &[Change::LongLines]),
        (&text, &["qp"], &[Change::TransferEncoding]),
        (&text, &["base64"], &[Change::TransferEncoding]),
        // the field is all that changed
        (&ascii, &["qp"], &[Change::FieldAdded]),
        (&ascii, &["base64"], &[Change::TransferEncoding]),
        (&base64, &["base64-64"], &[Change::TransferEncoding]),
        (&base64, &["base64-72"], &[Change::TransferEncoding]),
        (&base64, &["8bit"], &[Change::TransferEncoding]),
        (&base64, &["qp"], &[Change::TransferEncoding]),
        (&quoted, &["8bit"], &[Change::TransferEncoding]),
        (&quoted, &["base64"], &[Change::TransferEncoding]),
        (&parted, &["first-qp"], &[Change::TransferEncoding]),
        (&parted, &["texts-qp"], &[Change::TransferEncoding]),
        (&latin, &["latin1"], &[Change::Charset]),
        (&old, &["utf8"], &[Change::Charset]),
        (&latin, &["latin1", "qp"], &[Change::Charset]),
        (&old, &["utf8", "base64"], &[Change::Charset]),
        (&text, &["footer"], &[Change::LinesAdded]),
        (&text, &["banner"], &[Change::LinesAdded]),
        (&base64, &["footer"], &[Change::LinesAdded]),
        (&base64, &["footer-inside"], &[Change::LinesAdded]),
        (&quoted, &["footer-inside"], &[Change::LinesAdded]),
        (&parted, &["part"], &[Change::PartAdded]),
        (&text, &["scanned"], &[Change::FieldAdded]),
        (&text, &["disposition"], &[Change::FieldAdded]),
        (&disposed, &["no-disposition"], &[Change::FieldRemoved]),
        (&disposed, &["reordered"], &[Change::FieldOrder]),
        (&disposed, &["unfolded"], &[Change::FieldFolding]),
        (&disposed, &["tabs"], &[Change::FieldFolding]),
        (&text, &["folded"], &[Change::FieldFolding]),
        (&text, &["lower"], &[Change::FieldSpelling]),
        (&odd_case, &["canonical-case"], &[Change::FieldSpelling]),
        (&disposed, &["unquoted"], &[Change::FieldSpelling]),
        (&text, &["charset-case"], &[Change::FieldSpelling]),
        // two at once
        (&parted, &["email"], &[Change::FieldSpelling, Change::FinalLineBreak]),
        (&text, &["email", "footer"], &[Change::FieldSpelling, Change::LinesAdded]),
        (&text, &["autoconverted"], &[Change::FieldAdded, Change::TransferEncoding]),
        (&text, &["qp", "scanned"], &[Change::FieldAdded, Change::TransferEncoding]),
        (&text, &["scanned", "footer"], &[Change::FieldAdded, Change::LinesAdded]),
        (&text, &["from", "footer"], &[Change::FromQuoting, Change::LinesAdded]),
        (&ascii, &["pad", "scanned"], &[Change::TrailingBlanks, Change::FieldAdded]),
        (&ascii, &["scanned", "disposition"], &[Change::FieldAdded, Change::FieldAdded]),
        (&text, &["base64", "breaks-added"], &[Change::TransferEncoding]),
        (&disposed, &["unfolded", "scanned"], &[Change::FieldAdded, Change::FieldFolding]),
        (&parted, &["part", "first-qp"], &[Change::PartAdded, Change::TransferEncoding]),
        (&latin, &["latin1", "scanned"], &[Change::FieldAdded, Change::Charset]),
    ];
    let mut failed = Vec::new();
    for (letter, by, expected) in cases {
        let received = relayed(letter, by);
        let explained = explain(&received);
        assert_eq!(explained.verdict.outcome(), Outcome::Bad, "{by:?} {:?}", explained.verdict.findings);
        let found = changes(&explained);
        let sorted = |changes: &[Change]| {
            let mut names: Vec<&str> = changes.iter().map(|change| change.name()).collect();
            names.sort_unstable();
            names
        };
        if sorted(&found) != sorted(expected) {
            failed.push(format!("{by:?}: {found:?}, expected {expected:?}"));
        }
        assert!(open(&received).released().is_none(), "{by:?}");
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn a_change_of_words_is_not_explained_away() {
    if !support::peer("python3") {
        return;
    }
    let text = signed(TEXT, BODY).into_bytes();
    for by in [
        vec!["word"],
        vec!["digit"],
        vec!["line-lost"],
        vec!["line-moved"],
        vec!["not"],
        vec!["letter-case"],
        vec!["word", "qp"],
        vec!["digit", "footer"],
    ] {
        let explained = explain(&relayed(&text, &by));
        assert_eq!(explained.verdict.outcome(), Outcome::Bad, "{by:?}");
        assert!(changes(&explained).is_empty(), "{by:?}: {:?}", explained.explanations);
        assert!(
            explained.explanations.iter().any(|e| e.finding == Code::ContentChanged && e.text.contains("no change")),
            "{by:?}"
        );
    }
}

/// Plain text as programs write it for `format=flowed`, with a signature.
fn flowed_letter() -> String {
    let body =
        "Lunch at noon for 100, as \r\nwe said, and then \r\nto the river.\r\n\r\nBring friends, \r\nmany.\r\n-- \r\nAlice\r\n";
    signed("Content-Type: text/plain; charset=us-ascii; format=flowed", body)
}

/// Lines of which each has other blanks at its end, or none.
fn ragged_letter() -> String {
    signed("Content-Type: text/plain; charset=us-ascii", "Lunch  \r\nat noon\r\nfor 100 \r\n\r\nBring\t\r\nfriends\r\n")
}

/// Of many lines, which two or three end in a blank has no reason.
fn long_letter(blanks: &[usize]) -> String {
    let line = |at: usize| format!("{at} lunch at noon for 100{}\r\n", if blanks.contains(&at) { " " } else { "" });
    signed("Content-Type: text/plain; charset=us-ascii", &(0..30).map(line).collect::<String>())
}

fn alternative_letter() -> String {
    let plain = format!("{TEXT}\r\n\r\n{BODY}");
    let html = "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<html><body><p>Gr\u{fc}\u{df}e</p></body></html>\r\n";
    let entity = multipart("alternative", "in", &[&plain, html]);
    message(FROM_ALICE, &clear_signed(entity.trim_end(), &stage().alice))
}

/// What is found, by the words for programs, in the order of the alphabet.
fn found(letter: &str, by: &[&str]) -> String {
    // what was signed with LF is not what `open` hashes
    if !by.contains(&"lf-to-crlf") {
        check("as sent", &open(letter), Expect::Good).expect("good");
    }
    let received = relayed(letter.as_bytes(), by);
    let explained = explain(&received);
    assert_eq!(explained.verdict.outcome(), Outcome::Bad, "{by:?} {:?}", explained.verdict.findings);
    assert!(open(&received).released().is_none(), "{by:?}");
    let mut names: Vec<&str> = changes(&explained).iter().map(|change| change.name()).collect();
    names.sort_unstable();
    names.join(" ")
}

fn all_found(cases: &[(&str, &[&str], &str)]) {
    if !support::peer("python3") {
        return;
    }
    let wrong = |(letter, by, expected): &(&str, &[&str], &str)| {
        let found = found(letter, by);
        (found != *expected).then(|| format!("{by:?}: `{found}`, expected `{expected}`"))
    };
    let failed: Vec<String> = cases.iter().filter_map(wrong).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn blanks_that_were_stripped_are_found() {
    let (flowed, ragged) = (flowed_letter(), ragged_letter());
    let one = signed("Content-Type: text/plain", "Lunch \r\nat noon\r\n");
    let quoted = signed("Content-Type: text/plain", "> Lunch\r\n> \r\n> at noon\r\n> \r\n> for 100\r\nyes\r\n");
    let unlike = signed(TEXT, BODY);
    let odd = signed("Content-type: text/plain; charset=us-ascii", "From here \r\nLunch  \r\nat noon\r\n");
    all_found(&[
        (&flowed, &["strip-blanks"], "trailing-blanks"),
        (&ragged, &["strip-blanks"], "trailing-blanks"),
        (&quoted, &["strip-blanks"], "trailing-blanks"),
        (&unlike, &["strip-blanks"], "trailing-blanks"),
        (&long_letter(&[4, 17]), &["strip-blanks"], "trailing-blanks"),
        (&long_letter(&[4, 17, 18]), &["strip-blanks"], "trailing-blanks"),
        (&long_letter(&[4, 5, 6, 7, 8, 9]), &["strip-blanks"], "trailing-blanks"),
        (&one, &["strip-blanks", "plain-footer-line"], "lines-added trailing-blanks"),
        (&ragged, &["strip-blanks", "plain-footer-line"], "lines-added trailing-blanks"),
        (&flowed, &["strip-blanks", "footer"], "lines-added trailing-blanks"),
        // the field is all that is changed besides
        (&flowed, &["strip-blanks", "qp"], "field-added trailing-blanks"),
        (&flowed, &["strip-blanks", "base64"], "trailing-blanks transfer-encoding"),
        (&flowed, &["strip-blanks", "scanned"], "field-added trailing-blanks"),
        (&unlike, &["strip-blanks", "qp"], "trailing-blanks transfer-encoding"),
        (&unlike, &["strip-blanks", "scanned"], "field-added trailing-blanks"),
        (&unlike, &["strip-blanks", "from"], "from-quoting trailing-blanks"),
        (&odd, &["strip-blanks", "from"], "from-quoting trailing-blanks"),
        (&odd, &["strip-blanks", "canonical-case"], "field-spelling trailing-blanks"),
    ]);
}

#[test]
fn lines_around_parts_and_in_two_texts_are_found() {
    let (parted, alternative) = (parted_letter(), alternative_letter());
    all_found(&[
        (&parted, &["epilogue"], "lines-added"),
        (&parted, &["preamble"], "lines-added"),
        (&parted, &["wrapped"], "part-added"),
        (&parted, &["epilogue", "scanned"], "field-added lines-added"),
        (&parted, &["first-qp", "epilogue"], "lines-added transfer-encoding"),
        (&alternative, &["both"], "lines-added lines-added"),
    ]);
}

#[test]
fn lines_beside_another_encoding_charset_or_line_end_are_found() {
    let ascii = signed("Content-Type: text/plain; charset=us-ascii", ASCII);
    let labelled = signed("Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit", ASCII);
    let latin = signed(TEXT, LATIN);
    let lf = String::from_utf8(signed_bytes(b"Content-Type: text/plain\n\nLunch\nat noon\n")).expect("ASCII");
    let disposed = disposed_letter();
    all_found(&[
        (&ascii, &["base64", "footer-inside"], "lines-added transfer-encoding"),
        (&labelled, &["base64", "footer-inside"], "lines-added transfer-encoding"),
        (&labelled, &["qp", "footer-inside"], "lines-added transfer-encoding"),
        (&ascii, &["base64", "footer"], "lines-added transfer-encoding"),
        (&ascii, &["utf8-label", "plain-footer-line"], "charset lines-added"),
        (&latin, &["latin1", "plain-footer-line"], "charset lines-added"),
        (&lf, &["lf-to-crlf", "plain-footer-line"], "line-ends lines-added"),
        (&disposed, &["no-disposition", "plain-footer-line"], "field-removed lines-added"),
    ]);
}

#[test]
fn a_charset_that_is_written_otherwise_is_called_so() {
    let (plain, disposed) = (signed(TEXT, BODY), disposed_letter());
    all_found(&[
        (&plain, &["requoted"], "field-spelling"),
        (&disposed, &["requoted"], "field-spelling"),
        (&disposed, &["unrequoted"], "field-spelling"),
        (&plain, &["requoted", "qp"], "field-spelling transfer-encoding"),
        (&plain, &["requoted", "footer"], "field-spelling lines-added"),
    ]);
}

#[test]
fn words_that_were_changed_beside_it_are_not_explained_away() {
    let (flowed, parted, labelled) = (
        flowed_letter(),
        parted_letter(),
        signed("Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit", ASCII),
    );
    let lf = String::from_utf8(signed_bytes(b"Content-Type: text/plain\n\nLunch\nat noon\n")).expect("ASCII");
    all_found(&[
        (&flowed, &["word", "strip-blanks"], ""),
        (&flowed, &["digit", "strip-blanks", "footer"], ""),
        (&ragged_letter(), &["word", "strip-blanks"], ""),
        (&parted, &["digit", "epilogue"], ""),
        (&labelled, &["digit", "base64", "footer-inside"], ""),
        (&labelled, &["word", "utf8-label", "footer"], ""),
        (&lf, &["word", "lf-to-crlf", "footer"], ""),
        (&signed(TEXT, BODY), &["not", "requoted"], ""),
    ]);
}

#[test]
fn what_was_added_is_shown_as_nobodys_words() {
    if !support::peer("python3") {
        return;
    }
    let explained = explain(&relayed(signed(TEXT, BODY).as_bytes(), &["footer"]));
    let added = explained.explanations.iter().find(|e| e.change == Some(Change::LinesAdded)).expect("found");
    assert!(added.text.contains("which nobody signed") && added.text.contains("list mailing list"), "{}", added.text);
    assert_eq!(added.place.as_deref(), Some("part 1"));
    let last = explained.explanations.last().expect("some");
    assert_eq!(last.fix.as_deref(), Some("sealpost sign --opaque MSG"));
}

#[test]
fn a_forged_signature_is_not_a_relays_work() {
    let entity = format!("{TEXT}\r\n\r\n{BODY}");
    let signature = Forged::detached(entity.as_bytes(), &stage().alice).signer(|s| s.signature = Some(vec![7; 256]));
    let explained = explain(signature.beside(&entity.replace("noon", "nine")).as_bytes());
    assert!(explained.verdict.has_error(Code::SignatureInvalid));
    assert!(changes(&explained).is_empty());
}

#[test]
fn signatures_without_attributes_are_explained_too() {
    if !support::peer("python3") {
        return;
    }
    let entity = format!("{TEXT}\r\n\r\n{BODY}");
    let signature = Forged::detached(entity.as_bytes(), &stage().alice).signer(|s| s.attributes = None);
    let message = signature.beside(&entity);
    check("as sent", &open(&message), Expect::Good).expect("good");
    for (by, expected) in [("scanned", Change::FieldAdded), ("qp", Change::TransferEncoding), ("from", Change::FromQuoting)] {
        assert_eq!(changes(&explain(&relayed(message.as_bytes(), &[by]))), [expected], "{by}");
    }
}

#[test]
fn a_file_beside_its_signature_is_explained() {
    let file = b"first line\nsecond line\n";
    let signature = detached(file, &stage().alice);
    let open = Open::new(&stage().trust);
    let explained = open.explain_detached(b"first line\nsecond line", &signature);
    assert!(changes(&explained).contains(&Change::FinalLineBreak), "{:?}", explained.explanations);
    let explained = open.explain_detached(b"first line\nsecond word\n", &signature);
    assert!(changes(&explained).is_empty());
}

#[test]
fn every_error_has_words_and_a_bad_message_stays_bad() {
    let to_carol = Encrypt::new(std::slice::from_ref(stage().alice.certificate()));
    let letter = format!("{FROM_ALICE}\r\nSubject: x\r\n\r\n{SAID}\r\n");
    let for_alice = to_carol.run(letter.as_bytes(), &mut OsRandom).expect("encrypted");
    for (name, message, code) in [
        ("for somebody else", for_alice, Code::NoKey),
        ("unsigned", letter.into_bytes(), Code::NotSigned),
        ("nobody trusts", message(FROM_ALICE, &clear_signed(ENTITY, &stage().stranger)).into_bytes(), Code::Untrusted),
        (
            "another author",
            message("From: boss@example.com", &clear_signed(ENTITY, &stage().alice)).into_bytes(),
            Code::FromMismatch,
        ),
        ("not a structure", message(FROM_ALICE, &part(P7M, b"x")).into_bytes(), Code::Malformed),
    ] {
        let explained = explain(&message);
        assert_eq!(explained.verdict.outcome(), code.outcome(), "{name}");
        for finding in explained.verdict.findings.iter().filter(|finding| finding.severity == Severity::Error) {
            assert!(
                explained.explanations.iter().any(|e| e.finding == finding.code && e.text.len() > finding.text.len()),
                "{name}"
            );
        }
        let all = explained.explanations.iter().map(|e| e.text.as_str()).collect::<Vec<_>>().join("\n");
        match code {
            Code::NoKey => assert!(all.contains("alice@example.com") || all.contains("it is encrypted to serial"), "{all}"),
            Code::Untrusted => assert!(all.contains("is not here") || all.contains("none of these is trusted"), "{all}"),
            _ => {}
        }
        if code == Code::NoKey {
            assert!(all.contains("a key is here of bob@example.org"), "{all}");
            assert!(explained.explanations.iter().any(|e| e.fix.as_deref() == Some("sealpost id import FILE")));
        }
    }
}

#[test]
fn every_change_is_documented() {
    let page =
        std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/findings.md")).expect("the page exists");
    for change in Change::all() {
        assert!(page.contains(&format!("| `{}`", change.name())), "docs/findings.md does not explain {}", change.name());
    }
}
