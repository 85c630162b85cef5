//! pkilint, the linter of a public authority, finds neither error nor warning in anything that the authority makes.

use std::path::Path;

use sealpost::asn1::pem;
use sealpost::ca::responder::{Folder, Nonces, Responder};
use sealpost::ca::store::{Store, read_certificate};
use sealpost::ca::{
    MailProfile, Organization, Person, Request as CertificateRequest, RevocationReason, ServerProfile, Shape, Uses,
};
use sealpost::crypto::algorithm::{DigestAlgorithm, KeyAlgorithm};
use sealpost::crypto::random::OsRandom;
use sealpost::lint::{self, Against, Severity};
use sealpost::pki::ocsp::{CertId, Request};
use sealpost::pki::{self, Certificate};

use super::{PEOPLE, at, key, openssl, sealpost};
use crate::support;

/// What stays to be said of a private authority, each with the reason.
const NOTICES: &[(&str, &str)] = &[
    // the identifiers of keys are SHA-1 of them, as RFC 5280 4.2.1.2 has it; it is said of every certificate
    ("INFO", "pkix.subject_key_identifier_method_1_identified"),
    // OCSP responses are signed by a responder of its own, so that the CAs' keys can stay shut away
    ("NOTICE", "cabf.ca_certificate_no_digital_signature_bit"),
    // fetchmail refuses a server's certificate without a common name, though nobody else reads it
    ("WARNING", "cabf.serverauth.dv.common_name_attribute_present"),
    // NSS takes no RSA key of a server without keyEncipherment; the program makes ECDSA keys for servers
    ("WARNING", "cabf.serverauth.subscriber_rsa_digitalsignature_and_keyencipherment_present"),
];

/// The linters for each kind of file: `smime`, `pkix`, `serverauth` for certificates; `crl` and `arl` for lists, `ocsp` for responses.
struct Files(Vec<(&'static str, String)>);

impl Files {
    fn add(&mut self, linters: &[&'static str], path: &str) {
        self.0.extend(linters.iter().map(|linter| (*linter, path.to_owned())));
    }

    fn certificate(&mut self, folder: &Path, linters: &[&'static str], certificate: &Certificate) {
        let path = folder.join(format!("{}.pem", certificate.fingerprint_hex()));
        std::fs::write(&path, pem::encode("CERTIFICATE", certificate.der())).expect("written");
        self.add(linters, &path.display().to_string());
        let errors: Vec<_> = lint::certificate(certificate, &Against::standards())
            .into_iter()
            .filter(|finding| finding.severity > Severity::Notice && finding.code != "cabf.server.common-name-there")
            .collect();
        assert!(errors.is_empty(), "{certificate}: {errors:?}");
    }

    fn bytes(&mut self, folder: &Path, name: &str, linters: &[&'static str], bytes: &[u8]) {
        let path = folder.join(name);
        std::fs::write(&path, bytes).expect("written");
        self.add(linters, &path.display().to_string());
    }
}

/// One finding of pkilint: the file, the linter, how grave it is, its code, and words.
pub(crate) struct Said {
    pub(crate) path: String,
    pub(crate) severity: String,
    pub(crate) code: String,
    pub(crate) text: String,
}

/// What pkilint says; `None` where it is not there.
pub(crate) fn pkilint(files: &[(&str, String)]) -> Option<Vec<Said>> {
    let python = support::named_peer("SEALPOST_PYTHON")?;
    let script = format!("{}/tests/peers/lint.py", env!("CARGO_MANIFEST_DIR"));
    let input: String = files.iter().map(|(linter, path)| format!("{linter}\t{path}\n")).collect();
    let (code, out, talk) = support::run(&python, &["-B", &script], input.as_bytes());
    if talk.contains("No module named 'pkilint'") {
        support::skip("SEALPOST_PYTHON has no pkilint");
        return None;
    }
    assert_eq!(code, 0, "{talk}");
    let out = String::from_utf8(out).expect("text");
    assert!(out.ends_with(&format!("done {}\n", files.len())), "{out}");
    let said = |line: &str| {
        let mut fields = line.split('\t').map(str::to_owned);
        let mut next = || fields.next().unwrap_or_default();
        let (path, linter) = (next(), next());
        let (severity, code) = (next(), next());
        Said { path, severity, code, text: format!("{linter}: {}", next()) }
    };
    Some(out.lines().filter(|line| !line.starts_with("done ")).map(said).collect())
}

fn example() -> Organization {
    Organization::new("Example & Söhne").identifier("NTRGB-12345678").country("GB")
}

fn shapes() -> [Shape; 6] {
    [
        Shape::Mailbox,
        Shape::Organization(example()),
        Shape::Sponsor(example(), Person::new("Jürgen", "Doe").title("Clerk")),
        Shape::Sponsor(example(), Person::pseudonym("Front Desk")),
        Shape::Individual(Person::new("Jane", "Doe").country("FR")),
        Shape::Individual(Person::called("Suharto")),
    ]
}

/// Everything that an authority with this kind of key makes.
fn everything(folder: &Path, algorithm: KeyAlgorithm, files: &mut Files) {
    let domains = ["example.org".to_owned(), "example.com".to_owned()];
    let random = &mut OsRandom;
    let store = Store::create(&folder.join("ca"), (example(), &domains), algorithm, None, at(), random).expect("an authority");
    let authority = store.authority();
    files.certificate(folder, &["pkix", "serverauth"], authority.root());
    files.certificate(folder, &["pkix"], authority.issuing());
    files.certificate(folder, &["pkix", "serverauth"], authority.servers());
    let mut mail = |profile: &MailProfile, kind: KeyAlgorithm| {
        let certificate = store.issue(profile, key(kind).public_key(), at(), &mut OsRandom).expect("issued");
        files.certificate(folder, &["pkix", "smime"], &certificate);
        certificate
    };
    for shape in shapes() {
        for (kind, uses) in PEOPLE.iter().flat_map(|kind| [Uses::Dual, Uses::Sign, Uses::Encrypt].map(|uses| (*kind, uses))) {
            // Ed25519 signs only
            if kind == KeyAlgorithm::Ed25519 && uses == Uses::Encrypt {
                continue;
            }
            mail(&MailProfile::new("jane@example.org").shape(shape.clone()).uses(uses), kind);
        }
    }
    let long = format!("{}@mail.example.org", "long.".repeat(11));
    for address in ["jürgen@example.org", "用户@example.com", "Jane+x@Example.ORG", &long.replace(".@", "@")] {
        mail(&MailProfile::new(address), KeyAlgorithm::P256);
    }
    let one = mail(&MailProfile::new("joe@example.org"), KeyAlgorithm::P256);
    let two = mail(&MailProfile::new("jane@example.org").address("jürgen@example.com").days(825), KeyAlgorithm::P256);
    for kind in [KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::Rsa(2048)] {
        let days = ServerProfile::longest(at());
        let profile = ServerProfile { hosts: vec!["mail.example.org".to_owned(), "www.example.com".to_owned()], days };
        let server = store.new_server(&profile, kind, at(), random).expect("issued");
        // `serverauth` has the rules of `pkix` in it, less those that the TLS requirements turn round (no subjectKeyIdentifier)
        files.certificate(folder, &["serverauth"], server.certificate());
    }
    for round in ["before", "after"] {
        let lists = [
            ("crl", store.crl(at(), 7, random).expect("signed")),
            ("crl", store.server_crl(at(), 7, random).expect("signed")),
            ("arl", store.root_crl(None, at(), 365, random).expect("signed")),
        ];
        for (place, (linter, list)) in lists.iter().enumerate() {
            files.bytes(folder, &format!("{round}{place}.crl"), &[linter], list.der());
            let found: Vec<_> = lint::list(list, &Against::all()).into_iter().filter(|f| f.severity > Severity::Notice).collect();
            assert!(found.is_empty(), "{found:?}");
        }
        if round == "before" {
            store.revoke(&two.serial_hex(), RevocationReason::KeyCompromise, at()).expect("revoked");
        }
    }
    answers(folder, &store, &[&one, &two], files);
}

/// What is answered over OCSP about certificates of the CA for mail, and of one that was never given out; and who answers.
fn answers(folder: &Path, store: &Store, asked: &[&Certificate], files: &mut Files) {
    let ca = folder.join("ca");
    store.publish(&[], &Folder::new(&ca), at(), &mut OsRandom).expect("published");
    for by in ["issuing", "servers"] {
        let responder = read_certificate(&ca.join(format!("responder/{by}.pem"))).expect("a certificate");
        files.certificate(folder, &["pkix"], &responder);
    }
    let responder = Responder::open(&ca, Box::new(Folder::new(&ca)), Nonces::Answered, Box::new(OsRandom)).expect("opened");
    let issuer = store.authority().issuing();
    for (place, certificate) in asked.iter().copied().chain([store.authority().servers()]).enumerate() {
        let id = || CertId::new(certificate, issuer, DigestAlgorithm::Sha1).expect("an identifier");
        for (kind, request) in [("plain", Request::new(id())), ("nonce", Request::new(id()).nonce(&mut OsRandom))] {
            let reply = responder.respond(&request.to_der(), at());
            assert_eq!(reply.trouble, None);
            files.bytes(folder, &format!("{kind}{place}.ocsp"), &["ocsp"], &reply.der);
        }
    }
}

#[test]
fn pkilint_finds_no_error_and_no_warning_in_what_the_authority_makes() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = Files(Vec::new());
    // one kind of authority in every run; all of them take a minute in a debug build
    let is_whole = std::env::var_os("SEALPOST_PKILINT_ALL").is_some();
    let algorithms = [KeyAlgorithm::P384, KeyAlgorithm::P256, KeyAlgorithm::Rsa(3072)];
    for algorithm in algorithms.into_iter().take(if is_whole { 3 } else { 1 }) {
        let inside = folder.path().join(algorithm.name());
        std::fs::create_dir(&inside).expect("made");
        everything(&inside, algorithm, &mut files);
    }
    let Some(said) = pkilint(&files.0) else { return };
    let is_known = |said: &&Said| NOTICES.contains(&(said.severity.as_str(), said.code.as_str()));
    let new: Vec<String> =
        said.iter().filter(|s| !is_known(s)).map(|s| format!("{} {} {}", s.severity, s.code, s.text)).collect();
    assert!(new.is_empty(), "{} findings:\n{}", new.len(), new.join("\n"));
    for notice in NOTICES {
        assert!(said.iter().any(|s| (s.severity.as_str(), s.code.as_str()) == *notice), "{notice:?} is not said any more");
    }
    assert!(files.0.len() > 140, "{}", files.0.len());
    eprintln!("pkilint: {} runs over files, nothing but what is known", files.0.len());
}

#[test]
fn pkilint_finds_no_error_and_no_warning_in_what_the_program_issues() {
    if !support::peer("openssl") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let run = |args: &[&str]| {
        let (code, _, talk) = sealpost(folder.path(), args);
        assert_eq!(code, 0, "{args:?}: {talk}");
    };
    run(&[
        "ca",
        "init",
        "--name",
        "Example Org",
        "--country",
        "GB",
        "--organization-id",
        "NTRGB-12345678",
        "--domain",
        "example.org",
    ]);
    let request =
        ["req", "-new", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", "/dev/null", "-subj", "/"];
    std::fs::write(path("ann.csr"), openssl(&request, b"")).expect("written");
    let table = "address,profile,given_name,surname,usage,days,algorithm,csr\r\n\
        jane@example.org,sponsor,Jane,Doe,dual,,p256,\r\n\
        jane@example.org,sponsor,Jane,Doe,sign,30,ed25519,\r\n\
        desk@example.org,organization,,,encrypt,90,rsa2048,\r\n\
        \"jürgen@example.org\",individual,Jürgen,\"Doe, the younger\",dual,825,p384,\r\n\
        ann@example.org,,,,sign,,,ann.csr\r\n";
    std::fs::write(path("people.csv"), table).expect("written");
    run(&["ca", "issue", "--csv", &path("people.csv"), "--p12-dir", &path("p12"), "-o", &path("pem")]);
    run(&["ca", "server-cert", "mail.example.org", "-o", &path("server"), "--key", &path("server.key")]);
    run(&["ca", "issue", "joe@example.org", "--name", "Joe Doe", "-o", &path("joe.pem")]);
    let mut files = Files(Vec::new());
    let first = |file: &Path| pki::load::certificates(&std::fs::read(file).expect("read")).expect("certificates").remove(0);
    let mut issued: Vec<_> =
        std::fs::read_dir(path("pem")).expect("a folder").map(|entry| entry.expect("a file").path()).collect();
    issued.push(path("joe.pem").into());
    assert_eq!(issued.len(), 6);
    issued.iter().for_each(|file| files.certificate(folder.path(), &["pkix", "smime"], &first(file)));
    files.certificate(folder.path(), &["serverauth"], &first(path("server").as_ref()));
    let Some(said) = pkilint(&files.0) else { return };
    let grave: Vec<String> = said
        .iter()
        .filter(|s| !NOTICES.contains(&(s.severity.as_str(), s.code.as_str())))
        .map(|s| format!("{} {}", s.code, s.text))
        .collect();
    assert!(grave.is_empty(), "{grave:?}");
    // the request of before asks for nothing
    assert!(
        CertificateRequest::read(&std::fs::read(path("ann.csr")).expect("read"))
            .is_ok_and(|request| request.subject().is_empty())
    );
}
