//! Requests of `openssl req`: their key is taken with proof that someone holds it, and what they ask for beyond the profile is refused.

use sealpost::asn1::{Cursor, pem};
use sealpost::ca::store::{Order, OrderKey, Store};
use sealpost::ca::{Error, MailProfile, Person, Request, RevocationReason, Shape, Uses};
use sealpost::crypto::algorithm::KeyAlgorithm;
use sealpost::crypto::random::OsRandom;
use sealpost::pki::Certificate;

use super::{Bench, at, openssl, profile, sealpost};
use crate::support;

/// Kinds of key, and ways to sign with them.
const KINDS: &[(&[&str], &[&str])] = &[
    (&["-newkey", "rsa:2048"], &[]),
    (&["-newkey", "rsa:2048"], &["-sha512"]),
    (&["-newkey", "rsa:2048"], &["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]),
    (&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], &[]),
    (&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"], &["-sha384"]),
    (&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"], &["-sha512"]),
    (&["-newkey", "ed25519"], &[]),
];

/// A request that asks for nothing but a certificate, as it says of whom.
fn modest(kind: &[&str], more: &[&str]) -> Vec<u8> {
    with(kind, &[&["-subj", "/CN=jane@a.example"], more].concat())
}

/// A request that wants to be an authority for another person.
fn request(kind: &[&str], more: &[&str]) -> Vec<u8> {
    let wants =
        ["-subj", "/CN=Mallory", "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "subjectAltName=email:eve@b.example"];
    with(kind, &[&wants, more].concat())
}

fn with(kind: &[&str], more: &[&str]) -> Vec<u8> {
    openssl(&[&["req", "-new", "-nodes", "-keyout", "/dev/null"][..], kind, more].concat(), b"").into_bytes()
}

fn issue(bench: &Bench, profile: &MailProfile, request: &[u8]) -> Result<Certificate, Error> {
    bench.store.issue_request(profile, &Request::read(request)?, at(), &mut OsRandom)
}

#[test]
fn takes_the_key_of_a_request() {
    if !support::peer("openssl") {
        return;
    }
    let bench = Bench::new(KeyAlgorithm::P384);
    for (kind, more) in KINDS {
        let request = modest(kind, more);
        let read = Request::read(&request).unwrap_or_else(|error| panic!("{kind:?} {more:?}: {error}"));
        let public = openssl(&["req", "-noout", "-pubkey"], &request);
        assert_eq!(pem::parse_all(public.as_bytes()).expect("PEM")[0].der, read.key().spki(), "{kind:?}");
        let der = pem::parse_all(&request).expect("PEM").remove(0).der;
        assert!(Request::read(&der).is_ok_and(|same| same.key() == read.key()), "DER");
        let certificate = issue(&bench, &profile("jane@a.example", Uses::Sign), &request).expect("issued");
        assert_eq!(certificate.public_key().expect("its key"), *read.key());
        let leaf = bench.write("leaf", &certificate);
        let (code, words) = bench.verify(&leaf, &["-untrusted", &bench.path("issuing"), "-purpose", "smimesign"]);
        assert_eq!(code, 0, "{kind:?}: {words}");
    }
}

#[test]
fn takes_a_request_that_asks_for_what_it_gets_or_for_less() {
    if !support::peer("openssl") {
        return;
    }
    let bench = Bench::new(KeyAlgorithm::P384);
    let jane = profile("jane@a.example", Uses::Sign).shape(Shape::Individual(Person::new("Jane", "Doe")));
    for wants in [
        &["-subj", "/"][..],
        &["-subj", "/CN=Jane Doe"],
        &["-subj", "/SN=doe/GN=JANE/CN=Jane Doe"],
        &["-subj", "/emailAddress=jane@a.example"],
        &["-subj", "/", "-addext", "subjectAltName=email:Jane@A.Example"],
        &["-subj", "/", "-addext", "keyUsage=digitalSignature", "-addext", "extendedKeyUsage=emailProtection"],
        &["-subj", "/", "-addext", "basicConstraints=CA:FALSE"],
    ] {
        let certificate = issue(&bench, &jane, &with(KINDS[3].0, wants)).unwrap_or_else(|error| panic!("{wants:?}: {error}"));
        assert_eq!(certificate.subject().to_string(), "CN=Jane Doe, GN=Jane, SN=Doe");
        assert_eq!(certificate.addresses(), ["jane@a.example"]);
    }
}

#[test]
fn refuses_what_a_request_asks_for_beyond_the_profile_and_says_all_of_it() {
    if !support::peer("openssl") {
        return;
    }
    let bench = Bench::new(KeyAlgorithm::P384);
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config");
    std::fs::write(&config, "[req]\ndistinguished_name=n\nattributes=a\nprompt=no\n[n]\nCN=jane@a.example\n[a]\nchallengePassword=secret1\nunstructuredName=x\n").expect("written");
    let config = config.display().to_string();
    let table: &[(&[&str], &[&str])] = &[
        (&["-subj", "/CN=Mallory"], &["the subject CN=Mallory"]),
        (&["-subj", "/O=Example Org/CN=jane@a.example"], &["the subject O=Example Org"]),
        (&["-subj", "/emailAddress=eve@a.example"], &["the subject emailAddress=eve@a.example"]),
        (&["-subj", "/", "-addext", "subjectAltName=email:jane@a.example,email:eve@b.example"], &["the name eve@b.example"]),
        (
            &["-subj", "/", "-addext", "subjectAltName=DNS:a.example,URI:http://a.example/"],
            &["the name a.example", "the name http://a.example/"],
        ),
        (&["-subj", "/", "-addext", "basicConstraints=critical,CA:TRUE"], &["to be an authority (basicConstraints)"]),
        (&["-subj", "/", "-addext", "basicConstraints=CA:FALSE,pathlen:0"], &["to be an authority (basicConstraints)"]),
        (
            &["-subj", "/", "-addext", "keyUsage=digitalSignature,keyCertSign,cRLSign"],
            &["the key usage keyCertSign", "the key usage cRLSign"],
        ),
        (&["-subj", "/", "-addext", "extendedKeyUsage=emailProtection,serverAuth"], &["the extended key usage serverAuth"]),
        (&["-subj", "/", "-addext", "extendedKeyUsage=anyExtendedKeyUsage"], &["the extended key usage anyExtendedKeyUsage"]),
        (&["-subj", "/", "-addext", "certificatePolicies=1.2.3.4"], &["the extension certificatePolicies"]),
        (&["-subj", "/", "-addext", "nameConstraints=permitted;email:a.example"], &["the extension nameConstraints"]),
        (&["-config", &config], &["the attribute unstructuredName", "the attribute challengePassword"]),
    ];
    for (wants, asked) in table {
        match issue(&bench, &profile("jane@a.example", Uses::Sign), &with(KINDS[3].0, wants)) {
            Err(Error::Beyond(mut said)) => {
                said.sort();
                let mut asked: Vec<String> = asked.iter().map(|one| (*one).to_owned()).collect();
                asked.sort();
                assert_eq!(said, asked, "{wants:?}");
            }
            other => panic!("{wants:?}: {other:?}"),
        }
    }
    let all = issue(&bench, &profile("jane@a.example", Uses::Dual), &request(KINDS[3].0, &[])).expect_err("refused").to_string();
    assert_eq!(
        all,
        "the request asks for what the certificate would not have – the subject CN=Mallory; to be an authority (basicConstraints); the \
         name eve@b.example"
    );
    assert!(bench.store.issued().expect("readable").is_empty());
}

#[test]
fn refuses_a_key_of_another_person_and_one_that_was_compromised() {
    if !support::peer("openssl") {
        return;
    }
    let bench = Bench::new(KeyAlgorithm::P384);
    let request = with(KINDS[3].0, &["-subj", "/"]);
    let first = issue(&bench, &profile("jane@a.example", Uses::Sign), &request).expect("issued");
    let other = issue(&bench, &profile("joe@a.example", Uses::Sign), &request).expect_err("hers").to_string();
    assert_eq!(other, format!("the key is that of jane@a.example, who has the certificate {}", first.serial_hex()));
    issue(&bench, &profile("jane@a.example", Uses::Sign), &request).expect("her own key again");
    bench.store.revoke(&first.serial_hex(), RevocationReason::KeyCompromise, at()).expect("revoked");
    let again = issue(&bench, &profile("jane@a.example", Uses::Sign), &request).expect_err("compromised").to_string();
    assert_eq!(again, format!("the key was compromised: the certificate {} was revoked for that", first.serial_hex()));
}

#[test]
fn refuses_a_key_with_a_small_exponent() {
    if !support::peer("openssl") {
        return;
    }
    let bench = Bench::new(KeyAlgorithm::P384);
    let request = with(&["-newkey", "rsa:2048", "-pkeyopt", "rsa_keygen_pubexp:3"], &["-subj", "/"]);
    let refused = issue(&bench, &profile("jane@a.example", Uses::Dual), &request).expect_err("weak").to_string();
    assert!(
        refused.contains("the RSA exponent is 3") && refused.contains("[pkix.key-exponent, NIST SP 800-89 5.3.3]"),
        "{refused}"
    );
}

#[test]
fn refuses_a_request_that_was_changed_anywhere() {
    if !support::peer("openssl") {
        return;
    }
    for (kind, more) in [KINDS[0], KINDS[3], KINDS[6]] {
        let der = pem::parse_all(&request(kind, more)).expect("PEM").remove(0).der;
        // all that is signed, and the end of the signature
        let signed = 4 + Cursor::new(&der).sequence().and_then(|mut fields| fields.any()).expect("its content").raw.len();
        for at in (0..signed).chain(der.len() - 32..der.len()) {
            let mut changed = der.clone();
            changed[at] ^= 1;
            assert!(Request::read(&changed).is_err(), "{kind:?}: byte {at}");
        }
        let name = der.windows(7).position(|window| window == b"Mallory").expect("its subject");
        let mut changed = der.clone();
        changed[name] = b'B';
        let error = Request::read(&changed).expect_err("another subject").to_string();
        assert_eq!(error, "the request is not signed with its own key");
    }
}

#[test]
fn refuses_a_request_for_the_key_of_another() {
    if !support::peer("openssl") {
        return;
    }
    // the signature of one over the key of the other
    let [mine, theirs] =
        [request(KINDS[3].0, &[]), request(KINDS[3].0, &[])].map(|r| pem::parse_all(&r).expect("PEM").remove(0).der);
    let public = |der: &[u8]| Request::read(der).expect("good").key().spki().to_vec();
    let (old, new) = (public(&mine), public(&theirs));
    let at = mine.windows(old.len()).position(|window| window == old).expect("its key");
    let mixed = [&mine[..at], &new, &mine[at + old.len()..]].concat();
    assert!(matches!(Request::read(&mixed), Err(Error::Refused(why)) if why.contains("its own key")));
}

#[test]
fn of_two_who_ask_for_one_key_at_the_same_time_one_gets_a_certificate() {
    if !support::peer("openssl") {
        return;
    }
    let bench = Bench::new(KeyAlgorithm::P384);
    for _ in 0..5 {
        let request = Request::read(&with(KINDS[3].0, &["-subj", "/"])).expect("a request");
        let (request, start) = (&request, &std::sync::Barrier::new(2));
        let stores = ["jane@a.example", "joe@a.example"].map(|who| (who, Store::open(&bench.ca(), None).expect("open")));
        let issued: Vec<Result<Certificate, Error>> = std::thread::scope(|scope| {
            let ask = |(who, store): (&'static str, Store)| {
                scope.spawn(move || {
                    start.wait();
                    store.issue_request(&profile(who, Uses::Sign), request, at(), &mut OsRandom)
                })
            };
            stores.map(ask).into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        let [refused] = issued.iter().filter_map(|one| one.as_ref().err()).collect::<Vec<_>>()[..] else { panic!("{issued:?}") };
        assert!(refused.to_string().starts_with("the key is that of "), "{refused}");
    }
}

#[test]
fn refuses_in_a_batch_a_key_that_another_process_certified_since_it_was_looked_at() {
    if !support::peer("openssl") {
        return;
    }
    let bench = Bench::new(KeyAlgorithm::P384);
    let request = Request::read(&with(KINDS[3].0, &["-subj", "/"])).expect("a request");
    let jane = profile("jane@a.example", Uses::Sign);
    let other = Store::open(&bench.ca(), None).expect("open");
    assert!(bench.store.check_requests(&[(&jane, &request)], at()).expect("read").is_empty());
    other.issue_request(&profile("joe@a.example", Uses::Sign), &request, at(), &mut OsRandom).expect("the first");
    let order = Order { profile: jane, key: OrderKey::Request(Box::new(request)) };
    let made = bench.store.issue_all(&[order], at(), &mut OsRandom).expect("written");
    let [Err(refused)] = made.as_slice() else { panic!("{made:?}") };
    assert!(refused.to_string().starts_with("the key is that of joe@a.example"), "{refused}");
    assert_eq!(bench.store.issued().expect("readable").len(), 1);
}

#[test]
fn refuses_a_key_that_is_too_short() {
    if !support::peer("openssl") {
        return;
    }
    let bench = Bench::new(KeyAlgorithm::P384);
    let request = modest(&["-newkey", "rsa:1024"], &[]);
    let refused = issue(&bench, &profile("jane@a.example", Uses::Dual), &request).expect_err("too short");
    assert_eq!(refused.to_string(), "an RSA key of 1024 bits is too short – at least 2048");
    assert!(bench.store.issued().expect("readable").is_empty());
}

#[test]
fn refuses_an_address_outside_of_the_domains_and_what_is_no_address() {
    let bench = Bench::new(KeyAlgorithm::P384);
    let key = super::key(KeyAlgorithm::P256);
    let issue = |address: &str| bench.store.issue(&profile(address, Uses::Dual), key.public_key(), at(), &mut OsRandom);
    for address in ["jane@c.example", "jane@a.example.c.example", "jane@xa.example", "jürgen@c.example"] {
        let error = issue(address).expect_err(address).to_string();
        assert!(error.contains("is outside of what") && error.contains("may vouch for"), "{address}: {error}");
    }
    for address in ["jane", "jane@", "@a.example", "jane@a.example\r\nx", "ja ne@a.example", "jane@a..example", "a@b@a.example"] {
        assert_eq!(issue(address).expect_err(address).to_string(), format!("{address} is not a mail address"));
    }
    assert!(bench.store.issued().expect("readable").is_empty());
    for address in ["jane@a.example", "Jane@A.Example", "jane@mail.a.example", "jane+x@b.example"] {
        issue(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    }
}

#[test]
fn the_program_refuses_a_changed_request_and_leaves_no_file() {
    if !support::peer("openssl") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let issue = |csr: &str, out: &str| sealpost(folder.path(), &["ca", "issue", "jane@a.example", "--csr", csr, "-o", out]);
    assert_eq!(sealpost(folder.path(), &["ca", "init", "--name", "Example Org", "--domain", "a.example"]).0, 0);
    let mut der = pem::parse_all(&modest(KINDS[3].0, &[])).expect("PEM").remove(0).der;
    std::fs::write(path("good"), &der).expect("written");
    std::fs::write(path("greedy"), request(KINDS[3].0, &[])).expect("written");
    let name = der.windows(4).position(|window| window == b"jane").expect("its subject");
    der[name] = b'B';
    std::fs::write(path("changed"), &der).expect("written");
    let (code, _, talk) = issue(&path("changed"), &path("out"));
    assert!(code == 8 && talk.contains("not signed with its own key"), "{code} {talk}");
    let (code, _, talk) = issue(&path("greedy"), &path("out"));
    assert!(code == 8 && talk.contains("the subject CN=Mallory; to be an authority"), "{code} {talk}");
    assert!(!std::fs::exists(path("out")).expect("readable"));
    assert_eq!(issue(&path("good"), &path("out")).0, 0);
    assert!(openssl(&["x509", "-in", &path("out"), "-noout", "-subject"], b"").contains("jane@a.example"));
}
