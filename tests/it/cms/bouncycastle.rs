//! Bouncy Castle reads what we write, and we read what it writes (Debian's, version 1.72).

use sealpost::cms::timestamp::Token;
use sealpost::cms::{Content, SignatureCheck};
use sealpost::limits::Limits;

use super::batch::{Batch, Peer, Reader, decrypts, verifies, who};
use super::cast::{Person, cast};
use super::matrix::{self, PASSWORD, kek_hex};
use super::own::CONTENT;
use super::read_signed;
use crate::support;

/// Its jars where Debian puts them, and a compiler for the program beside them.
pub(super) fn peer() -> Option<Peer> {
    const JARS: [&str; 5] = ["bcmail", "bcpkix", "bcprov", "bcutil", "javax.mail"];
    if !support::peer("javac") {
        return None;
    }
    let jars = JARS.map(|name| format!("/usr/share/java/{name}.jar"));
    if let Some(missing) = jars.iter().find(|jar| !std::path::Path::new(jar).exists()) {
        support::skip(&format!("{missing} is not installed"));
        return None;
    }
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/BouncyCastle.java");
    let args = ["-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", &jars.join(":"), source];
    Some(Peer { program: "java".to_owned(), args: args.map(str::to_owned).to_vec() })
}

#[test]
fn bouncy_castle_verifies_what_is_signed_here() {
    let Some(peer) = peer() else { return };
    verifies(&peer, &matrix::signed(), &cast().authority.certificate_file, &[]);
}

#[test]
fn bouncy_castle_decrypts_what_is_encrypted_here() {
    let Some(peer) = peer() else { return };
    decrypts(&peer, &matrix::enveloped(), &[("to grace", "this version agrees on keys of curves with X and Y alone")]);
}

#[test]
fn reads_what_bouncy_castle_signs() {
    let Some(peer) = peer() else { return };
    let mut batch = Batch::new();
    let content = batch.file(CONTENT);
    let mut expected = Vec::new();
    let mut add = |label: String, signers: &[String], form: &str, more: &[(&str, &str)]| {
        let mut fields = vec![("in", content.as_str()), ("form", form)];
        fields.extend(signers.iter().map(|signer| ("signer", signer.as_str())));
        fields.extend(more);
        batch.add(format!("{label} {form}"), "sign", &fields);
        expected.push((form == "detached", signers.len()));
    };
    let rsa = ["SHA1", "SHA224", "SHA256", "SHA384", "SHA512", "SHA3-256", "SHA3-384", "SHA3-512"];
    let signer = |name: &str, how: &str| who(cast().person(name), how);
    for form in ["opaque", "detached"] {
        for digest in rsa {
            for how in [format!("{digest}withRSA"), format!("{digest}withRSAandMGF1")] {
                add(format!("alice {how}"), &[signer("alice", &how)], form, &[]);
                add(format!("alice {how} direct"), &[signer("alice", &how)], form, &[("direct", "")]);
            }
            for name in ["carol", "dave", "erin"] {
                let how = format!("{digest}withECDSA");
                add(format!("{name} {how}"), &[signer(name, &how)], form, &[]);
                add(format!("{name} {how} direct"), &[signer(name, &how)], form, &[("direct", "")]);
            }
        }
        add("frank Ed25519".to_owned(), &[signer("frank", "Ed25519")], form, &[]);
        add("frank Ed25519 direct".to_owned(), &[signer("frank", "Ed25519")], form, &[("direct", "")]);
        for other in cast().others() {
            let hows: &[&str] = match other.name {
                "ed448" => &["Ed448"],
                "x448" => continue,
                _ => &["SHA256withECDSA", "SHA384withECDSA", "SHA512withECDSA"],
            };
            for how in hows {
                add(format!("{} {how}", other.name), &[other.who(how)], form, &[]);
            }
        }
        let alice = [signer("alice", "SHA256withRSA")];
        add("keyid".to_owned(), &alice, form, &[("keyid", "")]);
        add("streamed".to_owned(), &alice, form, &[("streamed", "")]);
        add("another type".to_owned(), &alice, form, &[("type", "1.2.840.113549.1.9.16.1.2")]);
        add("counter".to_owned(), &alice, form, &[("counter", &signer("carol", "SHA256withECDSA"))]);
        add("timestamp".to_owned(), &alice, form, &[("timestamp", &who(&cast().authority, ""))]);
        let several =
            [signer("alice", "SHA256withRSAandMGF1"), signer("carol", "SHA384withECDSA"), signer("dave", "SHA512withECDSA")];
        add("several".to_owned(), &several, form, &[]);
    }
    let outcomes = batch.run(&peer).into_iter().zip(expected).map(|((label, outcome), (is_detached, signers))| {
        (label, outcome.and_then(|message| matrix::read(&message, is_detached, CONTENT, signers)))
    });
    matrix::judge(&outcomes.collect::<Vec<_>>(), &[]);
}

#[test]
fn what_bouncy_castle_puts_beside_a_signature_fits_it() {
    let Some(peer) = peer() else { return };
    let mut batch = Batch::new();
    let content = batch.file(CONTENT);
    let alice = who(cast().person("alice"), "SHA256withRSA");
    let counters = ["carol", "dave"].map(|name| who(cast().person(name), "SHA256withECDSA"));
    let authority = who(&cast().authority, "");
    let head = [("in", content.as_str()), ("form", "opaque"), ("signer", alice.as_str())];
    batch.add("counter", "sign", &[&head[..], &[("counter", counters[0].as_str()), ("counter", &counters[1])]].concat());
    batch.add("timestamp", "sign", &[&head[..], &[("timestamp", authority.as_str())]].concat());
    let mut messages = batch.run(&peer).into_iter().map(|(_, outcome)| read_signed(&outcome.unwrap(), None).unwrap().0);
    let (data, stamped) = (messages.next().unwrap(), messages.next().unwrap());
    let signer = &data.signers[0];
    let counters = signer.counter_signatures(&Limits::default()).unwrap();
    assert_eq!(counters.len(), 2);
    for counter in counters {
        let certificate = data.certificates.iter().find(|certificate| counter.signer.id.names(certificate)).unwrap();
        assert_eq!(counter.verify(certificate), SignatureCheck::Valid(Vec::new()));
    }
    let signer = &stamped.signers[0];
    let tokens: Vec<Token> = signer.timestamp_tokens().map(|t| Token::from_der(t, &Limits::default()).unwrap()).collect();
    assert_eq!(tokens.len(), 1);
    assert_eq!(tokens[0].verify(signer.signature(), &[]).unwrap().oddities, Vec::<String>::new());
}

#[test]
fn bouncy_castle_expands_what_is_compressed_here_and_we_what_it_compresses() {
    let Some(peer) = peer() else { return };
    let large: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let contents = [b"", CONTENT, &large];
    let mut batch = Batch::new();
    for content in contents {
        let mut ours = Vec::new();
        sealpost::cms::compress(&mut &content[..], &mut ours).unwrap();
        let (ours, plain) = (batch.file(&ours), batch.file(content));
        batch.add("expand", "expand", &[("in", &ours)]);
        batch.add("compress", "compress", &[("in", &plain)]);
    }
    for (pair, content) in batch.run(&peer).chunks(2).zip(contents) {
        assert!(pair[0].1.as_ref().unwrap() == content);
        let theirs = pair[1].1.as_ref().unwrap();
        let Ok(Content::Compressed(mut reader)) = sealpost::cms::open(&theirs[..], &Limits::default()) else {
            panic!("compressed")
        };
        let (mut all, mut piece) = (Vec::new(), [0; 4096]);
        while let given @ 1.. = reader.read(&mut piece).unwrap() {
            all.extend_from_slice(&piece[..given]);
        }
        assert!(all == content && !reader.finish().unwrap().has_trailing);
    }
}

#[test]
fn reads_what_bouncy_castle_encrypts() {
    let Some(peer) = peer() else { return };
    let mut batch = Batch::new();
    let content = batch.file(CONTENT);
    let mut expected = Vec::new();
    fn fields<'a>(fixed: [(&'a str, &'a str); 3], more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        [&fixed[..], more].concat()
    }
    let mut add = |label: &str, cipher: &str, to: (&str, &str), reader: Reader<'static>, more: &[(&str, &str)]| {
        let fields = fields([("in", content.as_str()), ("cipher", cipher), to], more);
        batch.add(format!("{cipher} {label}"), "encrypt", &fields);
        expected.push(reader);
    };
    let alice: &'static Person = cast().person("alice");
    let to_alice = |how: &str| who(alice, how);
    let ciphers = [
        "AES128_CBC",
        "AES192_CBC",
        "AES256_CBC",
        "AES128_GCM",
        "AES192_GCM",
        "AES256_GCM",
        "AES128_CCM",
        "AES192_CCM",
        "AES256_CCM",
        "CHACHA20_POLY1305",
        "DES_EDE3_CBC",
        "RC2_CBC",
    ];
    for cipher in ciphers {
        add("pkcs1", cipher, ("recipient", &to_alice("pkcs1")), Reader::Person(alice), &[]);
        add("pkcs1 keyid", cipher, ("recipient", &to_alice("pkcs1")), Reader::Person(alice), &[("keyid", "")]);
        add("attributes", cipher, ("recipient", &to_alice("pkcs1")), Reader::Person(alice), &[("attributes", "")]);
        for prf in ["HMacSHA1", "HMacSHA224", "HMacSHA256", "HMacSHA384", "HMacSHA512"] {
            add(&format!("password {prf}"), cipher, ("password", PASSWORD), Reader::Password, &[("prf", prf)]);
        }
        add("kek", cipher, ("kek", &kek_hex()), Reader::Kek, &[]);
    }
    add("streamed", "AES256_CBC", ("recipient", &to_alice("pkcs1")), Reader::Person(alice), &[("streamed", "")]);
    for cipher in ["AES128_CBC", "AES256_GCM"] {
        for digest in ["SHA-1", "SHA-224", "SHA-256", "SHA-384", "SHA-512"] {
            for mgf in ["SHA-1", "SHA-256", "SHA-512"] {
                let how = format!("oaep {digest} {mgf}");
                add(&how, cipher, ("recipient", &to_alice(&how)), Reader::Person(alice), &[]);
            }
        }
        add("oaep label", cipher, ("recipient", &to_alice("oaep SHA-256 SHA-256 label")), Reader::Person(alice), &[]);
        for other in cast().others().iter().filter(|other| other.name.starts_with("brainpool")) {
            let how = other.who("ECDH_SHA256KDF AES256_WRAP");
            add(other.name, cipher, ("recipient", &how), Reader::Other(other), &[]);
        }
        for name in ["carol", "dave", "erin"] {
            let person = cast().person(name);
            for scheme in ["ECDH", "ECCDH"] {
                for digest in ["SHA1", "SHA224", "SHA256", "SHA384", "SHA512"] {
                    let how = format!("{scheme}_{digest}KDF AES256_WRAP");
                    add(&format!("{name} {how}"), cipher, ("recipient", &who(person, &how)), Reader::Person(person), &[]);
                }
            }
            for wrap in ["AES128_WRAP", "AES192_WRAP"] {
                let how = format!("ECDH_SHA256KDF {wrap}");
                add(&format!("{name} {how}"), cipher, ("recipient", &who(person, &how)), Reader::Person(person), &[]);
            }
            let how = who(person, "ECDH_SHA256KDF AES256_WRAP");
            add(&format!("{name} ukm"), cipher, ("recipient", &how), Reader::Person(person), &[("ukm", "00112233445566778899")]);
            add(&format!("{name} keyid"), cipher, ("recipient", &how), Reader::Person(person), &[("keyid", "")]);
        }
    }
    for name in ["carol", "dave", "erin"] {
        let person = cast().person(name);
        let how = who(person, "ECDH_SHA256KDF DES_EDE3_WRAP");
        add(&format!("{name} 3des wrap"), "DES_EDE3_CBC", ("recipient", &how), Reader::Person(person), &[]);
    }
    let outcomes = batch.run(&peer).into_iter().zip(expected);
    let outcomes =
        outcomes.map(|((label, outcome), reader)| (label, outcome.and_then(|message| matrix::open(&message, reader, CONTENT))));
    let except = [("chacha20_poly1305", "it puts this cipher into EnvelopedData, which carries no tag: RFC 8103 1 forbids it")];
    matrix::judge(&outcomes.collect::<Vec<_>>(), &except);
}

#[test]
fn bouncy_castle_reads_our_bundle_of_certificates_and_we_read_its() {
    let Some(peer) = peer() else { return };
    let certificates = [cast().authority.certificate.clone(), cast().person("frank").certificate.clone()];
    let mut batch = Batch::new();
    let bundle = batch.file(&sealpost::cms::certificates_only(&certificates));
    batch.add("ours", "verify", &[("in", &bundle), ("signers", "0")]);
    let files =
        [("certificate", cast().authority.certificate_file.as_str()), ("certificate", &cast().person("frank").certificate_file)];
    batch.add("theirs", "certificates", &files);
    let outcomes = batch.run(&peer);
    let sorted = |mut ders: Vec<Vec<u8>>| {
        ders.sort();
        ders
    };
    let expected = sorted(certificates.iter().map(|certificate| certificate.der().to_vec()).collect());
    let listed = outcomes[0].1.clone().unwrap();
    assert!(listed == expected.concat() || listed == [expected[1].clone(), expected[0].clone()].concat());
    let (data, _) = read_signed(outcomes[1].1.as_ref().unwrap(), None).unwrap();
    assert_eq!(sorted(data.certificates.iter().map(|certificate| certificate.der().to_vec()).collect()), expected);
    assert!(data.signers.is_empty() && !data.has_content);
}
