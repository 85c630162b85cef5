//! Python's `cryptography` reads what we write, and we read what it writes: its PKCS #7, and what is put together from its primitives.

use super::batch::{Batch, Peer, Reader, decrypts, who};
use super::cast::{Person, cast};
use super::matrix::{self, long};
use super::own::CONTENT;
use crate::support;

pub(super) fn peer(script: &str) -> Option<Peer> {
    let program = support::named_peer("SEALPOST_PYTHON")?;
    Some(Peer { program, args: vec!["-B".to_owned(), format!("{}/tests/peers/{script}", env!("CARGO_MANIFEST_DIR"))] })
}

#[test]
fn reads_what_pyca_signs() {
    let Some(peer) = peer("pyca.py") else { return };
    let mut batch = Batch::new();
    let content = batch.file(CONTENT);
    let mut expected = Vec::new();
    let mut add = |label: String, signers: &[String], option: &str| {
        let mut fields = vec![("in", content.as_str())];
        fields.extend(signers.iter().map(|signer| ("signer", signer.as_str())));
        fields.extend((!option.is_empty()).then_some(("option", option)));
        batch.add(format!("{label} {option}"), "sign", &fields);
        expected.push((option == "DetachedSignature", signers.len()));
    };
    for option in ["", "DetachedSignature", "NoAttributes", "NoCapabilities", "NoCerts"] {
        for digest in ["SHA224", "SHA256", "SHA384", "SHA512"] {
            for name in ["alice", "carol", "dave", "erin"] {
                add(format!("{name} {digest}"), &[who(cast().person(name), digest)], option);
            }
            let pss = format!("{digest} pss");
            add(format!("alice {pss}"), &[who(cast().person("alice"), &pss)], option);
        }
        let several = [who(cast().person("alice"), "SHA256"), who(cast().person("carol"), "SHA512")];
        add("several".to_owned(), &several, option);
    }
    let outcomes = batch.run(&peer).into_iter().zip(expected).map(|((label, outcome), (is_detached, signers))| {
        (label, outcome.and_then(|message| matrix::read(&message, is_detached, CONTENT, signers)))
    });
    matrix::judge(&outcomes.collect::<Vec<_>>(), &[]);
}

#[test]
fn reads_what_pyca_encrypts() {
    let Some(peer) = peer("pyca.py") else { return };
    let (alice, bob) = (cast().person("alice"), cast().person("bob"));
    let mut batch = Batch::new();
    for content in [CONTENT, &long()] {
        for cipher in ["AES128", "AES256"] {
            let both = [who(alice, ""), who(bob, "")];
            let fields = [("in", &*batch.file(content)), ("cipher", cipher), ("recipient", &both[0]), ("recipient", &both[1])];
            batch.add(cipher, "encrypt", &fields);
        }
    }
    let contents = [CONTENT.to_vec(), CONTENT.to_vec(), long(), long()];
    for ((label, message), content) in batch.run(&peer).into_iter().zip(contents) {
        for reader in [alice, bob] {
            matrix::open(message.as_ref().unwrap(), Reader::Person(reader), &content).unwrap_or_else(|e| panic!("{label}: {e}"));
        }
    }
}

#[test]
fn pyca_decrypts_what_is_encrypted_here() {
    let Some(peer) = peer("pyca.py") else { return };
    if !support::peer("openssl") {
        return;
    }
    // it reads RSA v1.5 and AES-CBC with 128 and 256 bits; in DER alone, so OpenSSL writes our BER anew
    let names = ["aes-128-cbc to alice", "aes-256-cbc to alice", "cbc empty to alice"];
    let mut rows: Vec<_> = matrix::enveloped();
    rows.retain(|row| row.readers().any(|(label, _)| names.iter().any(|name| label.ends_with(name)) && !label.contains("192")));
    assert_eq!(rows.len(), 4);
    for row in &mut rows {
        let (code, der, error) = support::run("openssl", &["cms", "-cmsout", "-inform", "DER", "-outform", "DER"], &row.message);
        assert_eq!(code, 0, "{error}");
        row.message = der;
    }
    decrypts(&peer, &rows, &[]);
}

#[test]
fn pyca_reads_our_bundle_of_certificates_and_we_read_its() {
    let Some(peer) = peer("pyca.py") else { return };
    let people = [&cast().authority, cast().person("frank")];
    let certificates = people.map(|person| person.certificate.clone());
    let mut batch = Batch::new();
    let bundle = batch.file(&sealpost::cms::certificates_only(&certificates));
    batch.add("ours", "verify", &[("in", &bundle)]);
    batch.add("theirs", "certificates", &people.map(|person| ("certificate", person.certificate_file.as_str())));
    let outcomes = batch.run(&peer);
    let (listed, theirs) = (outcomes[0].1.as_ref().unwrap(), outcomes[1].1.as_ref().unwrap());
    let (data, _) = super::read_signed(theirs, None).unwrap();
    assert_eq!(data.certificates.len(), 2);
    for certificate in certificates {
        assert!(listed.windows(certificate.der().len()).any(|window| window == certificate.der()));
        assert!(data.certificates.contains(&certificate));
    }
}

#[test]
fn primitives_put_together_by_the_rfcs_decrypt_what_is_encrypted_here() {
    let Some(peer) = peer("rfc.py") else { return };
    let rows: Vec<_> = matrix::enveloped().into_iter().filter(|row| !row.label.contains("oaep")).collect();
    decrypts(&peer, &rows, &[]);
}

#[test]
fn reads_what_is_put_together_by_the_rfcs() {
    let Some(peer) = peer("rfc.py") else { return };
    let mut batch = Batch::new();
    let content = batch.file(CONTENT);
    let mut expected = Vec::new();
    let mut add = |label: String, cipher: &str, to: &str, reader: Reader<'static>, more: &[(&str, &str)]| {
        let mut fields = vec![("in", content.as_str()), ("cipher", cipher), ("recipient", to)];
        fields.extend_from_slice(more);
        let label = format!("_{} {label} {more:?}", cipher.split_once('-').expect("cipher and mode").1);
        batch.add(label, "encrypt", &fields);
        expected.push(reader);
    };
    let alice: &'static Person = cast().person("alice");
    for cipher in ["aes128", "aes192", "aes256"].iter().flat_map(|key| ["cbc", "gcm", "ccm"].map(|mode| format!("{key}-{mode}")))
    {
        add("rsa".to_owned(), &cipher, &who(alice, "pkcs1"), Reader::Person(alice), &[]);
        if !cipher.ends_with("cbc") {
            add("rsa".to_owned(), &cipher, &who(alice, "pkcs1"), Reader::Person(alice), &[("attributes", "")]);
        }
    }
    for tag in ["12", "14"] {
        add("tag".to_owned(), "aes256-ccm", &who(alice, "pkcs1"), Reader::Person(alice), &[("tag", tag)]);
    }
    for more in [&[][..], &[("attributes", "")]] {
        add("rsa".to_owned(), "chacha20-poly1305", &who(alice, "pkcs1"), Reader::Person(alice), more);
    }
    let kdfs =
        ["x963 sha1", "x963 sha224", "x963 sha256", "x963 sha384", "x963 sha512", "hkdf sha256", "hkdf sha384", "hkdf sha512"];
    for kdf in kdfs {
        for wrap in ["128", "192", "256"] {
            let how = format!("{kdf} {wrap}");
            for more in [&[][..], &[("ukm", "0011223344")]] {
                for name in ["carol", "grace"] {
                    let person = cast().person(name);
                    add(format!("{name} {how}"), "aes256-cbc", &who(person, &how), Reader::Person(person), more);
                }
                for other in cast().others().iter().filter(|other| other.name != "ed448") {
                    add(format!("{} {how}", other.name), "aes256-gcm", &other.who(&how), Reader::Other(other), more);
                }
            }
        }
    }
    let outcomes = batch.run(&peer).into_iter().zip(expected);
    let outcomes =
        outcomes.map(|((label, outcome), reader)| (label, outcome.and_then(|message| matrix::open(&message, reader, CONTENT))));
    matrix::judge(&outcomes.collect::<Vec<_>>(), &[]);
}

#[test]
fn reads_what_is_signed_by_the_rfcs() {
    let Some(peer) = peer("rfc.py") else { return };
    let mut batch = Batch::new();
    let content = batch.file(CONTENT);
    let ed448 = cast().others().iter().find(|other| other.name == "ed448").expect("one of the others");
    let alice = cast().person("alice");
    let mut forms = Vec::new();
    for form in ["opaque", "detached"] {
        for direct in [&[][..], &[("direct", "")]] {
            let signers = [
                ("ed25519", who(cast().person("frank"), "eddsa")),
                ("ed448", ed448.who("eddsa")),
                ("pss same", who(alice, "pss sha256 sha256 32")),
                ("pss mixed", who(alice, "pss sha256 sha512 20")),
                ("pss mixed", who(alice, "pss sha512 sha256 64")),
            ];
            for (label, signer) in signers {
                let mut fields = vec![("in", content.as_str()), ("form", form), ("signer", &signer)];
                fields.extend_from_slice(direct);
                batch.add(format!("{label} {form} {direct:?}"), "sign", &fields);
                forms.push(form == "detached");
            }
        }
    }
    let outcomes = batch.run(&peer).into_iter().zip(forms).map(|((label, outcome), is_detached)| {
        (label, outcome.and_then(|message| matrix::read(&message, is_detached, CONTENT, 1)))
    });
    matrix::judge(&outcomes.collect::<Vec<_>>(), &[]);
}
