//! Whole mail, both ways: MIME messages of ours read by others, and theirs opened here.

use sealpost::crypto::algorithm::ContentCipher;
use sealpost::crypto::random::OsRandom;
use sealpost::keys::Identity;
use sealpost::pki::TrustAnchors;
use sealpost::smime::{CipherChoice, Encrypt, Form, Open, Opened, Outcome, Seal, Sign, Trust};
use sealpost::time::Timestamp;

use super::batch::{Batch, Peer, who};
use super::cast::{Person, cast};
use super::openssl::{self, Openssl};
use super::{bouncycastle, matrix, pyca};

/// What relays and clients like to touch, made so that they leave it alone: blanks at line ends, `From `, dots, bytes over 127.
const BODY: &str = "Content-Type: multipart/mixed; boundary=\"=_b\"\r\n\
    \r\n\
    --=_b\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Transfer-Encoding: quoted-printable\r\n\
    \r\n\
    Gr=C3=BC=C3=9Fe, trailing=20\r\n\
    =46rom here\r\n\
    =2E\r\n\
    ..dots\r\n\
    \r\n\
    --=_b\r\n\
    Content-Type: application/octet-stream\r\n\
    Content-Transfer-Encoding: base64\r\n\
    \r\n\
    AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4\r\n\
    \r\n\
    --=_b--\r\n";

/// What must come out again, byte for byte: all that follows the header of the entity.
fn inside() -> &'static str {
    BODY.split_once("\r\n\r\n").expect("a header").1
}

fn letter() -> Vec<u8> {
    format!("From: Alice <alice@a.example>\r\nTo: carol@a.example\r\nSubject: hello\r\nMIME-Version: 1.0\r\n{BODY}").into_bytes()
}

fn now() -> Timestamp {
    Timestamp::from_unix(1_750_000_000)
}

fn trust() -> Trust {
    Trust::new(TrustAnchors::from_iter([cast().authority.certificate.clone()]), now())
}

fn identity(person: &Person) -> Identity {
    Identity::new(person.key.clone(), person.certificate.clone(), Vec::new()).unwrap()
}

/// Whether the content is the letter's, whatever header fields stand above.
fn is_letter(found: &[u8]) -> Result<(), String> {
    if found.ends_with(inside().as_bytes()) { Ok(()) } else { Err(format!("other content: {}", String::from_utf8_lossy(found))) }
}

/// Signed mail of ours, in every form.
fn signed() -> Vec<(String, Vec<u8>)> {
    let mut rows = Vec::new();
    let alice = identity(cast().person("alice"));
    for (name, form) in [("clear", Form::Clear), ("opaque", Form::Opaque)] {
        let sign = Sign::new(&alice).form(form);
        rows.push((format!("{name} pkcs1"), sign.run(&letter(), now(), &mut OsRandom).unwrap()));
        rows.push((format!("{name} pss"), sign.pss().run(&letter(), now(), &mut OsRandom).unwrap()));
    }
    rows
}

/// Encrypted and sealed mail of ours, to alice and carol.
fn encrypted() -> Vec<(String, Vec<u8>, bool)> {
    let alice = identity(cast().person("alice"));
    let to = ["alice", "carol"].map(|name| cast().person(name).certificate.clone());
    let mut rows = Vec::new();
    for cipher in [ContentCipher::Aes128Cbc, ContentCipher::Aes256Cbc, ContentCipher::Aes256Gcm] {
        let encrypt = Encrypt::new(to.clone()).cipher(CipherChoice::Fixed(cipher));
        rows.push((format!("encrypted {}", cipher.name()), encrypt.run(&letter(), &mut OsRandom).unwrap(), false));
        for (name, form) in [("clear", Form::Clear), ("opaque", Form::Opaque)] {
            let seal = Seal::new(Sign::new(&alice).form(form), encrypt.clone());
            rows.push((format!("sealed {name} {}", cipher.name()), seal.run(&letter(), now(), &mut OsRandom).unwrap(), true));
        }
    }
    rows
}

/// The message with a letter of a signed clear text exchanged.
fn changed(message: &[u8]) -> Option<Vec<u8>> {
    let at = message.windows(6).position(|window| window == b"..dots")?;
    let mut message = message.to_vec();
    message[at + 2] = b'D';
    Some(message)
}

fn openssl_verifies(openssl: &Openssl, message: &[u8]) -> Result<(), String> {
    let args = ["-verify", "-CAfile", &cast().authority.certificate_file];
    is_letter(&openssl.mail(&args, message)?)?;
    match changed(message).map(|message| openssl.mail(&args, &message)) {
        Some(Ok(_)) => Err("took a changed message".to_owned()),
        _ => Ok(()),
    }
}

#[test]
fn openssl_reads_our_mail() {
    for openssl in openssl::all() {
        let mut outcomes: Vec<_> =
            signed().into_iter().map(|(label, message)| (label, openssl_verifies(&openssl, &message))).collect();
        for (label, message, is_signed) in encrypted() {
            for name in ["alice", "carol"] {
                let person = cast().person(name);
                let plain = openssl.mail(&["-decrypt", "-recip", &person.certificate_file, "-inkey", &person.key_file], &message);
                let outcome =
                    plain.and_then(|plain| if is_signed { openssl_verifies(&openssl, &plain) } else { is_letter(&plain) });
                outcomes.push((format!("{label} for {name}"), outcome));
            }
        }
        matrix::judge(&outcomes, &[]);
    }
}

#[test]
fn bouncy_castle_reads_our_mail() {
    let Some(peer) = bouncycastle::peer() else { return };
    let issuer = ("issuer", cast().authority.certificate_file.as_str());
    let mut batch = Batch::new();
    let mut rows = signed();
    for (label, message) in &rows {
        let file = batch.file(message);
        batch.add(label, "mail-verify", &[("in", &file), ("signers", "1"), issuer]);
    }
    let mut outcomes: Vec<(String, Result<(), String>)> = Vec::new();
    outcomes
        .extend(batch.run(&peer).into_iter().map(|(label, content)| (label, content.and_then(|content| is_letter(&content)))));

    // its mail knows no AuthEnvelopedData
    let mut batch = Batch::new();
    let kept: Vec<_> = encrypted().into_iter().filter(|(label, _, _)| label.ends_with("cbc")).collect();
    for (label, message, _) in &kept {
        let (file, reader) = (batch.file(message), who(cast().person("carol"), ""));
        batch.add(label, "mail-decrypt", &[("in", &file), ("reader", &reader)]);
    }
    rows.clear();
    for ((label, plain), (_, _, is_signed)) in batch.run(&peer).into_iter().zip(kept) {
        match plain {
            Ok(plain) if is_signed => rows.push((label, plain)),
            outcome => outcomes.push((label, outcome.and_then(|plain| is_letter(&plain)))),
        }
    }
    let mut batch = Batch::new();
    for (label, message) in &rows {
        let file = batch.file(message);
        batch.add(label, "mail-verify", &[("in", &file), ("signers", "1"), issuer]);
    }
    outcomes
        .extend(batch.run(&peer).into_iter().map(|(label, content)| (label, content.and_then(|content| is_letter(&content)))));
    matrix::judge(&outcomes, &[]);
}

/// What we say of a message of theirs: opened, of these layers, with the letter inside.
fn opened(message: &[u8], layers: &str) -> Result<(), String> {
    let (trust, alice) = (trust(), identity(cast().person("alice")));
    let opened: Opened = Open::new(&trust).identity(&alice).run(message, &mut OsRandom);
    let verdict = opened.verdict();
    let wanted = (layers.contains('s'), layers.contains('e'));
    if (verdict.is_signed(), verdict.is_encrypted()) != wanted {
        return Err(format!("other layers: {:?}", verdict.findings));
    }
    match opened.released() {
        Some(released) if opened.verdict().outcome() == Outcome::Good => is_letter(&released.message())?,
        _ => return Err(format!("{:?}", verdict.findings)),
    }
    // signed inside every encryption, by the sender, and trusted
    let is_signed_inside = layers.trim_end_matches('c').ends_with('s');
    if opened.into_verified().is_ok() != is_signed_inside {
        return Err("verified, or not, against what it is".to_owned());
    }
    let Some(message) = changed(message) else { return Ok(()) };
    match Open::new(&trust).identity(&alice).run(&message, &mut OsRandom).may_release() && wanted.0 {
        true => Err("a changed message is good".to_owned()),
        false => Ok(()),
    }
}

#[test]
fn opens_the_mail_of_openssl() {
    let (alice, carol) = (cast().person("alice"), cast().person("carol"));
    let header = ["-from", "alice@a.example", "-to", "carol@a.example", "-subject", "hello"];
    let signer = ["-sign", "-signer", &alice.certificate_file, "-inkey", &alice.key_file];
    for openssl in openssl::all() {
        let mut outcomes = Vec::new();
        let sign = |message: &[u8], form: &[&str]| openssl.mail(&[&signer[..], &header, form].concat(), message).unwrap();
        let encrypt = |message: &[u8], form: &[&str]| {
            let to = [alice.certificate_file.as_str(), &carol.certificate_file];
            openssl.mail(&[&["-encrypt"], form, &header, &to].concat(), message).unwrap()
        };
        for form in [&[][..], &["-nodetach"], &["-nodetach", "-stream"], &["-noattr"], &["-crlfeol"]] {
            outcomes.push((format!("signed {form:?}"), opened(&sign(BODY.as_bytes(), form), "s")));
        }
        for form in [&["-aes-128-cbc"][..], &["-aes-256-cbc", "-stream"], &["-aes-256-gcm"], &["-aes-256-cbc", "-crlfeol"]] {
            // a body with line ends of mail stays as it is only where it is taken for binary
            let form = [form, &["-binary"]].concat();
            outcomes.push((format!("encrypted {form:?}"), opened(&encrypt(BODY.as_bytes(), &form), "e")));
            for inner in [&["-crlfeol"][..], &["-nodetach"]] {
                let sealed = encrypt(&sign(BODY.as_bytes(), inner), &form);
                outcomes.push((format!("sealed {form:?} {inner:?}"), opened(&sealed, "es")));
                outcomes.push((format!("triple {form:?} {inner:?}"), opened(&sign(&sealed, inner), "ses")));
            }
        }
        if openssl.is_new() {
            let compress = |message: &[u8]| openssl.mail(&[&["-compress", "-binary"], &header[..]].concat(), message).unwrap();
            outcomes.push(("compressed, signed".to_owned(), opened(&sign(&compress(BODY.as_bytes()), &[]), "sc")));
            let signed = sign(BODY.as_bytes(), &["-crlfeol"]);
            outcomes.push(("signed, compressed".to_owned(), opened(&compress(&signed), "cs")));
            outcomes.push(("all".to_owned(), opened(&encrypt(&compress(&signed), &["-aes-256-gcm", "-binary"]), "ecs")));
        }
        matrix::judge(&outcomes, &[]);
    }
}

/// Mail that a peer makes of the body in one job each, then of that in the next.
fn made(peer: &Peer, jobs: &[(&str, Vec<(&str, &str)>)], message: &[u8]) -> Result<Vec<u8>, String> {
    let mut message = message.to_vec();
    for (verb, fields) in jobs {
        let mut batch = Batch::new();
        let file = batch.file(&message);
        batch.add("one", verb, &[&[("in", file.as_str())], &fields[..]].concat());
        message = batch.run(peer).remove(0).1?;
    }
    Ok(message)
}

#[test]
fn opens_the_mail_of_bouncy_castle() {
    let Some(peer) = bouncycastle::peer() else { return };
    let signer = who(cast().person("alice"), "SHA256withRSA");
    let sign = |form: &'static str| ("mail-sign", vec![("signer", signer.as_str()), ("form", form)]);
    let to = who(cast().person("alice"), "pkcs1");
    let encrypt = || ("mail-encrypt", vec![("recipient", to.as_str()), ("cipher", "AES256_CBC")]);
    let rows = [
        ("clear", vec![sign("detached")], "s"),
        ("opaque", vec![sign("opaque")], "s"),
        ("encrypted", vec![encrypt()], "e"),
        ("sealed", vec![sign("detached"), encrypt()], "es"),
        ("signed, compressed", vec![sign("opaque"), ("mail-compress", Vec::new())], "cs"),
    ];
    let outcomes = rows.map(|(label, jobs, layers)| {
        (label.to_owned(), made(&peer, &jobs, BODY.as_bytes()).and_then(|message| opened(&message, layers)))
    });
    matrix::judge(&outcomes, &[]);
}

#[test]
fn opens_the_mail_of_pyca() {
    let Some(peer) = pyca::peer("pyca.py") else { return };
    let alice = cast().person("alice");
    let (signer, pss) = (who(alice, "SHA256"), who(alice, "SHA512 pss"));
    let sign = |signer, option| ("mail-sign", vec![("signer", signer), ("option", option)]);
    let encrypt = || ("mail-encrypt", vec![("recipient", signer.as_str()), ("cipher", "AES256")]);
    // without its option for detached signatures it puts the content beside the signature and inside, which is refused
    let rows = [
        ("clear", vec![sign(signer.as_str(), "DetachedSignature")], "s"),
        ("clear pss", vec![sign(&pss, "DetachedSignature")], "s"),
        ("encrypted", vec![encrypt()], "e"),
        ("sealed", vec![sign(&signer, "DetachedSignature"), encrypt()], "es"),
    ];
    let outcomes = rows.map(|(label, jobs, layers)| {
        let message = made(&peer, &jobs, BODY.as_bytes());
        // it writes the entity alone
        let message = message.map(|entity| [b"From: alice@a.example\r\n", &entity[..]].concat());
        (label.to_owned(), message.and_then(|message| opened(&message, layers)))
    });
    matrix::judge(&outcomes, &[]);
}
