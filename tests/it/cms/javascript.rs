//! JavaScript libraries read what we write, and we read what they write: node-forge, PKI.js.

use super::batch::{Batch, Peer, Reader, decrypts, verifies, who};
use super::cast::{Person, cast};
use super::matrix::{self, PASSWORD, kek_hex};
use super::own::CONTENT;
use crate::support;

fn peer(script: &str) -> Option<Peer> {
    if !support::peer("node") {
        return None;
    }
    support::named_peer("SEALPOST_NODE_MODULES")?;
    let script = format!("{}/tests/peers/{script}", env!("CARGO_MANIFEST_DIR"));
    Some(Peer { program: "node".to_owned(), args: vec![script] })
}

/// What they wrote, judged.
fn judge_signed(peer: &Peer, batch: Batch, expected: &[(bool, usize)], except: &[(&str, &str)]) {
    let outcomes = batch.run(peer).into_iter().zip(expected).map(|((label, outcome), (is_detached, signers))| {
        (label, outcome.and_then(|message| matrix::read(&message, *is_detached, CONTENT, *signers)))
    });
    matrix::judge(&outcomes.collect::<Vec<_>>(), except);
}

fn judge_enveloped(peer: &Peer, batch: Batch, expected: &[Reader<'_>], except: &[(&str, &str)]) {
    let outcomes = batch
        .run(peer)
        .into_iter()
        .zip(expected)
        .map(|((label, outcome), reader)| (label, outcome.and_then(|message| matrix::open(&message, *reader, CONTENT))));
    matrix::judge(&outcomes.collect::<Vec<_>>(), except);
}

#[test]
fn forge_verifies_what_is_signed_here() {
    let Some(peer) = peer("forge.cjs") else { return };
    let rows: Vec<_> = matrix::signed().into_iter().filter(|row| row.label.starts_with("alice sha")).collect();
    let except = [("alice sha224", "it has no SHA-224"), ("alice sha3-", "it has no SHA-3")];
    verifies(&peer, &rows, &cast().authority.certificate_file, &except);
}

#[test]
fn forge_decrypts_what_is_encrypted_here() {
    let Some(peer) = peer("forge.cjs") else { return };
    let rows: Vec<_> =
        matrix::enveloped().into_iter().filter(|row| row.label.contains("-cbc") || row.label.contains("cbc ")).collect();
    let cannot = ["to carol", "to dave", "to erin", "to grace", "oaep"].map(|part| (part, "it has RSA v1.5 alone"));
    let mixed = ("together", "it stops at a recipient of another kind");
    decrypts(&peer, &rows, &[&cannot[..], &[mixed]].concat());
}

#[test]
fn reads_what_forge_signs_and_encrypts() {
    let Some(peer) = peer("forge.cjs") else { return };
    let mut batch = Batch::new();
    let content = batch.file(CONTENT);
    let mut expected = Vec::new();
    for form in ["opaque", "detached"] {
        for digest in ["sha1", "sha256", "sha384", "sha512"] {
            let alice = who(cast().person("alice"), digest);
            for more in [&[][..], &[("direct", "")]] {
                let fields = [&[("in", content.as_str()), ("form", form), ("signer", &alice)], more].concat();
                batch.add(format!("{digest} {form} {more:?}"), "sign", &fields);
                expected.push((form == "detached", 1));
            }
        }
        let (alice, bob) = (who(cast().person("alice"), "sha256"), who(cast().person("bob"), "sha512"));
        let fields = [("in", content.as_str()), ("form", form), ("signer", &alice), ("signer", &bob)];
        batch.add(format!("several {form}"), "sign", &fields);
        expected.push((form == "detached", 2));
    }
    judge_signed(&peer, batch, &expected, &[]);

    let mut batch = Batch::new();
    let content = batch.file(CONTENT);
    let (alice, bob) = (cast().person("alice"), cast().person("bob"));
    let mut expected = Vec::new();
    for cipher in ["aes128-CBC", "aes192-CBC", "aes256-CBC", "des-EDE3-CBC"] {
        for reader in [alice, bob] {
            let both = [who(alice, ""), who(bob, "")];
            let fields = [("in", content.as_str()), ("cipher", cipher), ("recipient", &both[0]), ("recipient", &both[1])];
            batch.add(cipher, "encrypt", &fields);
            expected.push(Reader::Person(reader));
        }
    }
    judge_enveloped(&peer, batch, &expected, &[]);
}

#[test]
fn pkijs_verifies_what_is_signed_here() {
    let Some(peer) = peer("pkijs.cjs") else { return };
    let except = ["sha224", "sha3-", "frank"].map(|part| (part, "Web Crypto has no SHA-224, no SHA-3, and lately only Ed25519"));
    verifies(&peer, &matrix::signed(), &cast().authority.certificate_file, &except);
}

#[test]
fn pkijs_decrypts_what_is_encrypted_here() {
    let Some(peer) = peer("pkijs.cjs") else { return };
    // it has no AuthEnvelopedData
    let rows: Vec<_> = matrix::enveloped().into_iter().filter(|row| row.label.contains("-cbc")).collect();
    let rsa = ["cbc to alice", "cbc empty", "long to alice"].map(|part| (part, "Web Crypto has no RSA v1.5"));
    let ukm = ["to carol", "to dave", "to erin"]
        .map(|part| (part, "without keying material it derives another key than RFC 5753 says"));
    let more = [
        ("-mgf-", "Web Crypto's OAEP has one digest"),
        ("-label", "it takes no label from the message"),
        ("to grace", "it has no X25519"),
    ];
    decrypts(&peer, &rows, &[&rsa[..], &ukm, &more].concat());
}

#[test]
fn reads_what_pkijs_signs() {
    let Some(peer) = peer("pkijs.cjs") else { return };
    let mut batch = Batch::new();
    let content = batch.file(CONTENT);
    let mut expected = Vec::new();
    for form in ["opaque", "detached"] {
        for hash in ["SHA-1", "SHA-256", "SHA-384", "SHA-512"] {
            let kinds = [
                ("alice", "RSASSA-PKCS1-v1_5"),
                ("alice", "RSA-PSS"),
                ("carol", "ECDSA P-256"),
                ("dave", "ECDSA P-384"),
                ("erin", "ECDSA P-521"),
            ];
            for (name, words) in kinds {
                for more in [&[][..], &[("direct", "")]] {
                    let signer = who(cast().person(name), &format!("{words},{hash}"));
                    let fields = [&[("in", content.as_str()), ("form", form), ("signer", &signer)], more].concat();
                    batch.add(format!("{words} {hash} {form} {more:?}"), "sign", &fields);
                    expected.push((form == "detached", 1));
                }
            }
        }
        let several = [who(cast().person("alice"), "RSA-PSS,SHA-256"), who(cast().person("carol"), "ECDSA P-256,SHA-512")];
        let fields = [("in", content.as_str()), ("form", form), ("signer", &several[0]), ("signer", &several[1])];
        batch.add(format!("several {form}"), "sign", &fields);
        expected.push((form == "detached", 2));
    }
    judge_signed(&peer, batch, &expected, &[]);
}

#[test]
fn reads_what_pkijs_encrypts() {
    let Some(peer) = peer("pkijs.cjs") else { return };
    let mut batch = Batch::new();
    let content = batch.file(CONTENT);
    let mut expected = Vec::new();
    let mut add = |label: &str, cipher: &str, (name, value): (&str, String), reader: Reader<'static>| {
        batch.add(format!("{cipher} {label}"), "encrypt", &[("in", &content), ("cipher", cipher), (name, &value)]);
        expected.push(reader);
    };
    let alice: &'static Person = cast().person("alice");
    for cipher in ["AES-CBC 128", "AES-CBC 192", "AES-CBC 256", "AES-GCM 256"] {
        for hash in ["SHA-1", "SHA-256", "SHA-384", "SHA-512"] {
            add(&format!("oaep {hash}"), cipher, ("recipient", who(alice, &format!("oaep {hash}"))), Reader::Person(alice));
            if cipher.starts_with("AES-GCM") {
                continue;
            }
            for name in ["carol", "dave", "erin"] {
                let person = cast().person(name);
                for length in ["128", "192", "256"] {
                    let how = format!("ecdh {hash} {length}");
                    add(&format!("{name} {how}"), cipher, ("recipient", who(person, &how)), Reader::Person(person));
                }
            }
        }
        add("password", cipher, ("password", PASSWORD.to_owned()), Reader::Password);
        add("kek", cipher, ("kek", kek_hex()), Reader::Kek);
    }
    let except = [("AES-GCM", "it puts this cipher into EnvelopedData, which carries no tag: RFC 5084 1 forbids it")];
    judge_enveloped(&peer, batch, &expected, &except);
}
