//! OpenSSL reads what we write, and we read what it writes: Debian's, and version 4.

use super::batch::Reader;
use super::cast::{Other, Person, cast};
use super::matrix::{self, Enveloped, PASSWORD, Signed, kek_hex, long};
use super::own::CONTENT;
use crate::support;

/// One OpenSSL.
pub(super) struct Openssl {
    program: String,
    version: Version,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    /// 3.0, Debian's.
    Old,
    /// 4.
    New,
}

/// Those that are at hand.
pub(super) fn all() -> Vec<Openssl> {
    let old = support::peer("openssl").then(|| Openssl { program: "openssl".to_owned(), version: Version::Old });
    let new = support::named_peer("SEALPOST_OPENSSL4").map(|program| Openssl { program, version: Version::New });
    old.into_iter().chain(new).collect()
}

impl Openssl {
    /// Works on bare structures, and leaves line ends alone.
    fn cms(&self, args: &[&str], input: &[u8]) -> Result<Vec<u8>, String> {
        self.mail(&[&["-binary"], args].concat(), input)
    }

    /// Works on MIME messages, with the line ends of mail.
    pub(super) fn mail(&self, args: &[&str], input: &[u8]) -> Result<Vec<u8>, String> {
        // the ciphers that its version 3 calls legacy, too
        let always = ["cms", "-provider", "default", "-provider", "legacy"];
        let (code, stdout, stderr) = support::run(&self.program, &[&always, args].concat(), input);
        let why = || stderr.lines().take(3).collect::<Vec<_>>().join("; ");
        if code == 0 { Ok(stdout) } else { Err(format!("openssl {args:?}: {}", why())) }
    }

    /// What only the new one can, for rows that the old one is not to be asked.
    pub(super) fn is_new(&self) -> bool {
        self.version == Version::New
    }

    /// Exceptions for the old one.
    fn old<'a>(&self, except: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        if self.is_new() { Vec::new() } else { except.to_vec() }
    }

    fn verify(&self, row: &Signed) -> Result<(), String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("content");
        let verify = |message: &[u8], content: Option<&[u8]>| {
            let mut args = vec!["-verify", "-inform", "DER", "-CAfile", &cast().authority.certificate_file];
            if let Some(content) = content {
                std::fs::write(&file, content).unwrap();
                args.extend(["-content", file.to_str().unwrap()]);
            }
            self.cms(&args, message)
        };
        if verify(&row.message, row.detached.then_some(&row.content))? != row.content {
            return Err("other content".to_owned());
        }
        let (message, content) = row.changed();
        match verify(&message, content.as_deref()) {
            Ok(_) => Err("took changed content".to_owned()),
            Err(_) => Ok(()),
        }
    }

    fn decrypt(&self, row: &Enveloped<'_>, reader: Reader<'_>) -> Result<(), String> {
        let kek = kek_hex();
        let args = match reader {
            Reader::Person(person) => ["-recip", &person.certificate_file, "-inkey", &person.key_file].to_vec(),
            Reader::Other(other) => ["-recip", &other.certificate_file, "-inkey", &other.key_file].to_vec(),
            Reader::Password => ["-pwri_password", PASSWORD].to_vec(),
            Reader::Kek => ["-secretkey", &kek, "-secretkeyid", "0102"].to_vec(),
        };
        let plain = self.cms(&[&["-decrypt", "-inform", "DER"], &args[..]].concat(), &row.message)?;
        if plain == row.content { Ok(()) } else { Err("other content".to_owned()) }
    }
}

#[test]
fn openssl_verifies_what_is_signed_here() {
    for openssl in all() {
        let outcomes: Vec<_> = matrix::signed().iter().map(|row| (row.label.clone(), openssl.verify(row))).collect();
        matrix::judge(&outcomes, &openssl.old(&[("frank", "it has no Ed25519 in CMS")]));
    }
}

#[test]
fn openssl_decrypts_what_is_encrypted_here() {
    for openssl in all() {
        let rows = matrix::enveloped();
        let readers = rows.iter().flat_map(|row| row.readers().map(move |(label, reader)| (row, label, reader)));
        let outcomes: Vec<_> = readers.map(|(row, label, reader)| (label, openssl.decrypt(row, reader))).collect();
        let except = [
            ("to grace", "it agrees on keys of curves with X and Y alone"),
            ("chacha20", "it knows AES-GCM alone of those with a tag"),
        ];
        matrix::judge(&outcomes, &except);
    }
}

#[test]
fn openssl_reads_our_bundle_of_certificates() {
    let certificates = [cast().authority.certificate.clone(), cast().person("alice").certificate.clone()];
    let bundle = sealpost::cms::certificates_only(&certificates);
    for openssl in all() {
        let args = ["pkcs7", "-inform", "DER", "-print_certs", "-noout"];
        let (code, listed, error) = support::run(&openssl.program, &args, &bundle);
        assert_eq!(code, 0, "{error}");
        assert_eq!(String::from_utf8(listed).unwrap().matches("subject=").count(), 2);
    }
}

const FORMS: [&[&str]; 8] = [
    &[],
    &["-keyid"],
    &["-nosmimecap"],
    &["-noattr"],
    &["-cades"],
    &["-nocerts"],
    &["-econtent_type", "1.2.840.113549.1.9.16.1.2"],
    &["-receipt_request_all", "-receipt_request_to", "alice@a.example"],
];

fn key_of(person: &Person) -> [&str; 4] {
    ["-signer", &person.certificate_file, "-inkey", &person.key_file]
}

fn key_of_other(other: &Other) -> [&str; 4] {
    ["-signer", &other.certificate_file, "-inkey", &other.key_file]
}

#[test]
fn reads_what_openssl_signs() {
    for openssl in all() {
        let (mut outcomes, mut streams) = (Vec::new(), Vec::new());
        let mut row = |label: String, args: &[&str]| {
            for (form, more) in [("detached", &[][..]), ("opaque", &["-nodetach"])] {
                let args = [&["-sign", "-outform", "DER"], args, more].concat();
                let message = openssl.cms(&args, CONTENT);
                let read = message.and_then(|message| matrix::read(&message, form == "detached", CONTENT, 1));
                outcomes.push((format!("{label} {form}"), read));
            }
        };
        for name in ["alice", "carol", "dave", "erin"] {
            let key = key_of(cast().person(name));
            for digest in ["sha1", "sha224", "sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"] {
                row(format!("{name} {digest}"), &[&key[..], &["-md", digest]].concat());
            }
            for form in FORMS {
                row(format!("{name} {form:?}"), &[&key[..], form].concat());
            }
            let args = [&["-sign", "-outform", "DER", "-nodetach", "-stream"], &key[..]].concat();
            let streamed = openssl.cms(&args, CONTENT).and_then(|message| matrix::read(&message, false, CONTENT, 1));
            streams.push((format!("{name} streamed"), streamed));
        }
        let alice = key_of(cast().person("alice"));
        // it makes no PSS with SHA-3
        for digest in ["sha1", "sha224", "sha256", "sha384", "sha512"] {
            for salt in ["digest", "max", "20", "0"] {
                let salt = format!("rsa_pss_saltlen:{salt}");
                let pss = ["-md", digest, "-keyopt", "rsa_padding_mode:pss", "-keyopt", &salt];
                row(format!("pss {digest} {salt}"), &[&alice[..], &pss].concat());
            }
        }
        let mixed = ["-md", "sha512", "-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_mgf1_md:sha256"];
        row("pss mixed".to_owned(), &[&alice[..], &mixed].concat());
        for other in cast().others().iter().filter(|other| other.name.starts_with("brainpool")) {
            row(other.name.to_owned(), &key_of_other(other));
        }
        if openssl.is_new() {
            // it makes no Ed25519 without attributes, and no Ed448
            let frank = key_of(cast().person("frank"));
            row("ed25519".to_owned(), &[&frank[..], &["-md", "sha512"]].concat());
            for digest in ["sha256", "sha3-512"] {
                row(format!("ed25519 with {digest}"), &[&frank[..], &["-md", digest]].concat());
            }
            row("no time".to_owned(), &[&alice[..], &["-no_signing_time"]].concat());
        }
        outcomes.append(&mut streams);
        let except = [
            ("carol sha3-", "its ECDSA has no SHA-3"),
            ("dave sha3-", "its ECDSA has no SHA-3"),
            ("erin sha3-", "its ECDSA has no SHA-3"),
        ];
        matrix::judge(&outcomes, &openssl.old(&except));
    }
}

#[test]
fn openssl_expands_what_is_compressed_here_and_we_what_it_compresses() {
    // Debian's has no zlib
    for openssl in all().into_iter().filter(Openssl::is_new) {
        for content in [&b""[..], CONTENT, &long()] {
            let plain = openssl.cms(&["-uncompress", "-inform", "DER"], &matrix::compressed(content)).unwrap();
            assert!(plain == content);
            for form in [&[][..], &["-stream"]] {
                // of nothing it streams nothing, and fails
                if content.is_empty() && !form.is_empty() {
                    continue;
                }
                let message = openssl.cms(&[&["-compress", "-outform", "DER"], form].concat(), content).unwrap();
                assert!(matrix::expanded(&message).unwrap() == content);
            }
        }
    }
}

#[test]
fn reads_several_signers_of_openssl() {
    let (alice, carol, dave) = (key_of(cast().person("alice")), key_of(cast().person("carol")), key_of(cast().person("dave")));
    for openssl in all() {
        for (form, is_detached) in [(&[][..], true), (&["-nodetach"], false)] {
            let args = [&["-sign", "-outform", "DER"][..], &alice, &carol, form].concat();
            let two = openssl.cms(&args, CONTENT).unwrap();
            matrix::read(&two, is_detached, CONTENT, 2).unwrap();
            if !is_detached {
                let args = [&["-resign", "-inform", "DER", "-outform", "DER"][..], &dave, form].concat();
                let three = openssl.cms(&args, &two).unwrap();
                matrix::read(&three, is_detached, CONTENT, 3).unwrap();
            }
        }
    }
}

#[test]
fn reads_receipts_of_openssl() {
    let (alice, carol) = (cast().person("alice"), cast().person("carol"));
    let dir = tempfile::tempdir().unwrap();
    for openssl in all() {
        let wanted = ["-receipt_request_all", "-receipt_request_to", "alice@a.example", "-nodetach"];
        let message = openssl.cms(&[&["-sign", "-outform", "DER"][..], &key_of(alice), &wanted].concat(), CONTENT).unwrap();
        let receipt = openssl
            .cms(&[&["-sign_receipt", "-inform", "DER", "-outform", "DER"][..], &key_of(carol)].concat(), &message)
            .unwrap();
        // a signed message of its own, of another type than data
        let (data, inside) = super::read_signed(&receipt, None).unwrap();
        assert!(super::is_good(&data), "{:?}", super::checks(&data, &[]));
        assert!(!inside.is_empty() && data.content_type != sealpost::asn1::oid::ID_DATA);
        let file = dir.path().join("receipt");
        std::fs::write(&file, &receipt).unwrap();
        let args = ["-verify_receipt", file.to_str().unwrap(), "-rctform", "DER", "-inform", "DER"];
        openssl.cms(&[&args[..], &["-CAfile", &cast().authority.certificate_file]].concat(), &message).unwrap();
    }
}

#[test]
fn reads_what_openssl_encrypts() {
    let everybody = ["bob", "alice", "carol", "dave", "erin"];
    for openssl in all() {
        let mut outcomes = Vec::new();
        for cipher in ["-aes-128-cbc", "-aes-192-cbc", "-aes-256-cbc", "-des3", "-aes-128-gcm", "-aes-192-gcm", "-aes-256-gcm"] {
            for form in [&[][..], &["-stream"], &["-keyid"]] {
                for names in [&["alice"][..], &["carol"], &["dave"], &["erin"], &everybody] {
                    let mut args = vec!["-encrypt", "-outform", "DER", cipher];
                    args.extend(form);
                    args.extend(names.iter().map(|name| cast().person(name).certificate_file.as_str()));
                    let message = openssl.cms(&args, &long());
                    for name in names {
                        let reader = Reader::Person(cast().person(name));
                        let opened = message.clone().and_then(|message| matrix::open(&message, reader, &long()));
                        outcomes.push((format!("{cipher} {form:?} {name} of {}", names.len()), opened));
                    }
                }
            }
        }
        for cipher in ["-rc2-40-cbc", "-rc2-64-cbc", "-rc2-cbc", "-des"] {
            let alice = cast().person("alice");
            let message = openssl.cms(&["-encrypt", "-outform", "DER", cipher, &alice.certificate_file], CONTENT);
            let opened = message.and_then(|message| matrix::open(&message, Reader::Person(alice), CONTENT));
            outcomes.push((format!("old {cipher}"), opened));
        }
        matrix::judge(&outcomes, &[]);
    }
}

#[test]
fn reads_every_form_of_recipient_that_openssl_writes() {
    let (alice, carol) = (cast().person("alice"), cast().person("carol"));
    for openssl in all() {
        let mut outcomes = Vec::new();
        let mut row = |label: String, cipher: &str, args: &[&str], reader: Reader<'_>| {
            let message = openssl.cms(&[&["-encrypt", "-outform", "DER", cipher][..], args].concat(), CONTENT);
            outcomes.push((format!("{cipher} {label}"), message.and_then(|message| matrix::open(&message, reader, CONTENT))));
        };
        for cipher in ["-aes-128-cbc", "-aes-256-gcm"] {
            let oaep = ["-recip", &alice.certificate_file, "-keyopt", "rsa_padding_mode:oaep"];
            row("oaep".to_owned(), cipher, &oaep, Reader::Person(alice));
            for digest in ["sha1", "sha224", "sha256", "sha384", "sha512"] {
                for mgf in ["sha1", "sha256", "sha512"] {
                    let (digest, mgf) = (format!("rsa_oaep_md:{digest}"), format!("rsa_mgf1_md:{mgf}"));
                    let args = [&oaep[..], &["-keyopt", &digest, "-keyopt", &mgf]].concat();
                    row(format!("oaep {digest} {mgf}"), cipher, &args, Reader::Person(alice));
                }
            }
            for digest in ["sha512-224", "sha512-256"] {
                let digest = format!("rsa_oaep_md:{digest}");
                for mgf in [&[][..], &["-keyopt", "rsa_mgf1_md:sha1"]] {
                    let args = [&oaep[..], &["-keyopt", &digest], mgf].concat();
                    row(format!("oaep {digest} {mgf:?}"), cipher, &args, Reader::Person(alice));
                }
            }
            row(
                "oaep label".to_owned(),
                cipher,
                &[&oaep[..], &["-keyopt", "rsa_oaep_label:736561"]].concat(),
                Reader::Person(alice),
            );
            for name in ["carol", "dave", "erin"] {
                let person = cast().person(name);
                for scheme in ["0", "1"] {
                    for digest in ["sha1", "sha224", "sha256", "sha384", "sha512"] {
                        let (digest, scheme) = (format!("ecdh_kdf_md:{digest}"), format!("ecdh_cofactor_mode:{scheme}"));
                        let args = ["-recip", &person.certificate_file, "-keyopt", &digest, "-keyopt", &scheme];
                        row(format!("{name} {digest} {scheme}"), cipher, &args, Reader::Person(person));
                    }
                }
            }
            for wrap in ["-aes128-wrap", "-aes192-wrap", "-aes256-wrap"] {
                row(wrap.to_owned(), cipher, &[wrap, "-recip", &carol.certificate_file], Reader::Person(carol));
            }
            for other in cast().others().iter().filter(|other| other.name.starts_with("brainpool")) {
                row(other.name.to_owned(), cipher, &["-recip", &other.certificate_file], Reader::Other(other));
            }
            row("kek".to_owned(), cipher, &["-secretkey", &kek_hex(), "-secretkeyid", "0102"], Reader::Kek);
            row("password".to_owned(), cipher, &["-pwri_password", PASSWORD], Reader::Password);
        }
        for cipher in ["-des3", "-aes-128-cbc", "-aes-192-cbc", "-aes-256-cbc"] {
            row("3des wrap".to_owned(), cipher, &["-des3-wrap", "-recip", &carol.certificate_file], Reader::Person(carol));
        }
        matrix::judge(&outcomes, &[("-aes-256-gcm password", "it wraps a password's key with the cipher of the content")]);
    }
}
