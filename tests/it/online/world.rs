//! A root, an authority below it, a server that gives what they publish, and a home.

use std::fs;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint, CustomExtension, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};
use serde_json::Value;

use sealpost::asn1::{Tag, encode, oid, pem};
use sealpost::crypto::algorithm::DigestAlgorithm;
use sealpost::crypto::key::PrivateKey;
use sealpost::crypto::random::OsRandom;
use sealpost::keys::Identity;
use sealpost::pki::Certificate;
use sealpost::pki::ocsp::{CertId, Request};
use sealpost::smime::Sign;
use sealpost::time::Timestamp;

use super::server::{Reply, Server};
use crate::support::{self, params};

pub(super) const LETTER: &str = "From: jane@a.example\r\nTo: jane@a.example\r\nSubject: hello\r\n\r\nHello.\r\n";

pub(crate) struct World {
    pub(super) folder: tempfile::TempDir,
    pub(super) server: Server,
    pub(super) root: Issuer<'static, KeyPair>,
    pub(super) issuing: rcgen::Certificate,
    pub(super) issuer: Issuer<'static, KeyPair>,
}

/// What a certificate says of where things are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leaf {
    pub(super) serial: u64,
    pub(super) issuers: Vec<String>,
    pub(super) responders: Vec<String>,
    pub(super) lists: Vec<String>,
    /// Where lists of changes are.
    pub(super) fresh: Vec<String>,
}

pub(super) struct Issued {
    pub(super) path: String,
    pub(super) certificate: Certificate,
    key: KeyPair,
}

impl Leaf {
    pub(super) fn with_everything(world: &World) -> Self {
        Self {
            issuers: vec![world.url("/issuing.der")],
            responders: vec![world.url("/ocsp")],
            lists: vec![world.url("/issuing.crl")],
            ..Self::default()
        }
    }

    fn extensions(&self) -> Vec<CustomExtension> {
        let uri = |url: &String| encode::tlv(Tag::context(6), url.as_bytes());
        let access = |method, urls: &[String]| -> Vec<Vec<u8>> {
            urls.iter().map(|url| encode::sequence(&[encode::oid(&method), uri(url)])).collect()
        };
        let accesses = [access(oid::AD_OCSP, &self.responders), access(oid::AD_CA_ISSUERS, &self.issuers)].concat();
        let point = |url: &String| encode::sequence(&[encode::explicit(0, &encode::explicit(0, &uri(url)))]);
        let points = |urls: &[String]| encode::sequence(&urls.iter().map(point).collect::<Vec<_>>());
        let mut found = Vec::new();
        let mut add = |id: &[u64], is_there: bool, content: Vec<u8>| {
            if is_there {
                found.push(CustomExtension::from_oid_content(id, content));
            }
        };
        add(&[1, 3, 6, 1, 5, 5, 7, 1, 1], !accesses.is_empty(), encode::sequence(&accesses));
        add(&[2, 5, 29, 31], !self.lists.is_empty(), points(&self.lists));
        add(&[2, 5, 29, 46], !self.fresh.is_empty(), points(&self.fresh));
        found
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// A root of its own.
pub(super) fn root(name: &str) -> (rcgen::Certificate, Issuer<'static, KeyPair>) {
    let (params, key) = (authority(name), KeyPair::generate().expect("a key"));
    let certificate = params.self_signed(&key).expect("signed");
    (certificate, Issuer::new(params, key))
}

/// A list of an authority that is good for years.
pub(super) fn list(issuer: &Issuer<'_, KeyPair>, serials: &[u64]) -> Vec<u8> {
    list_of(issuer, serials, 2021)
}

/// The same, made in this year.
pub(super) fn list_of(issuer: &Issuer<'_, KeyPair>, serials: &[u64], year: i32) -> Vec<u8> {
    let revoked = |serial: &u64| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: rcgen::date_time_ymd(2021, 1, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let list = CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(year, 1, 1),
        next_update: rcgen::date_time_ymd(2045, 1, 1),
        crl_number: 1.into(),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(issuer).expect("signed").der().to_vec()
}

/// A certificate that says where everything is, what is there, and those above, in DER one after another.
pub(crate) fn chain_with_places() -> Vec<u8> {
    let world = World::new();
    let at = |name: &str| vec![format!("http://ca.example/{name}"), format!("ldap://ca.example/{name}")];
    let (issuers, responders, lists, fresh) = (at("issuing.cer"), at("ocsp"), at("issuing.crl"), at("delta.crl"));
    let leaf = world.issue(&Leaf { serial: 7, issuers, responders, lists, fresh });
    let issuing = world.issuing_certificate();
    let id = CertId::new(&leaf.certificate, &issuing, DigestAlgorithm::Sha1).expect("an identifier");
    fs::write(world.path("request"), Request::new(id).to_der()).expect("written");
    fs::write(world.path("index"), "V\t450101000000Z\t\t07\tunknown\t/CN=Jane\n").expect("written");
    fs::write(world.path("key"), world.issuer.key().serialize_pem()).expect("written");
    let [index, issuing_pem, key, request, response] =
        ["index", "issuing.pem", "key", "request", "response"].map(|name| world.path(name));
    let args = ["ocsp", "-index", &index, "-CA", &issuing_pem, "-rsigner", &issuing_pem, "-rkey", &key, "-reqin", &request];
    assert_eq!(support::run("openssl", &[&args[..], &["-respout", &response, "-ndays", "9"]].concat(), b"").0, 0);
    let root = pem::parse_all(&fs::read(world.path("root.pem")).expect("a root")).expect("PEM").remove(0).der;
    let lists = [list(&world.issuer, &[8, 9]), world.delta(&[10])].concat();
    [leaf.certificate.der(), issuing.der(), &root, &lists, &fs::read(response).expect("a response")].concat()
}

impl World {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let server = Server::new();
        let (anchor, root) = root("Root");
        let mut params = authority("Issuing");
        params.crl_distribution_points =
            vec![CrlDistributionPoint { uris: vec![format!("http://127.0.0.1:{}/root.crl", server.port)] }];
        let key = KeyPair::generate().expect("a key");
        let issuing = params.signed_by(&key, &root).expect("signed");
        fs::write(folder.path().join("root.pem"), anchor.pem()).expect("written");
        fs::write(folder.path().join("issuing.pem"), issuing.pem()).expect("written");
        Self { folder, server, root, issuing, issuer: Issuer::new(params, key) }
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.server.port)
    }

    pub(super) fn issuing_certificate(&self) -> Certificate {
        Certificate::from_der(self.issuing.der()).expect("a certificate")
    }

    /// The lists of both authorities, that of the lower one with these.
    pub(super) fn give_lists(&self, serials: &[u64]) {
        self.server.give("/root.crl", Reply::file(&list(&self.root, &[])));
        self.server.give("/issuing.crl", Reply::file(&list(&self.issuer, serials)));
    }

    /// What changed since the list of the lower authority.
    pub(super) fn delta(&self, serials: &[u64]) -> Vec<u8> {
        use sealpost::asn1::Cursor;
        // rcgen writes none: the list with another number and the indicator, signed anew
        let whole = list(&self.issuer, serials);
        let mut fields = Cursor::new(&whole).sequence().expect("a list");
        let mut tbs = fields.sequence().expect("its content");
        let algorithm = fields.any().expect("an algorithm").raw.to_vec();
        let mut parts: Vec<Vec<u8>> = Vec::new();
        while !tbs.is_empty() {
            parts.push(tbs.any().expect("a field").raw.to_vec());
        }
        let last = parts.pop().expect("extensions");
        let mut inner = Cursor::new(&last).explicit(0).expect("read").expect("extensions").sequence().expect("a list");
        let mut extensions: Vec<Vec<u8>> = Vec::new();
        while !inner.is_empty() {
            let one = inner.any().expect("an extension").raw.to_vec();
            if !one.windows(3).any(|id| id == [0x55, 0x1d, 20]) {
                extensions.push(one);
            }
        }
        let number = |id, is_critical: bool, number| {
            let critical = if is_critical { encode::boolean(true) } else { Vec::new() };
            encode::sequence(&[encode::oid(&id), critical, encode::octet_string(&encode::integer_u64(number))])
        };
        extensions.push(number(oid::CRL_NUMBER, false, 2));
        extensions.push(number(oid::DELTA_CRL_INDICATOR, true, 1));
        parts.push(encode::explicit(0, &encode::sequence(&extensions)));
        let tbs = encode::sequence(&parts);
        let signature = rcgen::SigningKey::sign(self.issuer.key(), &tbs).expect("signed");
        encode::sequence(&[tbs, algorithm, encode::bit_string(&signature)])
    }

    /// What is asked about a certificate of the lower authority.
    pub(super) fn request(&self, leaf: &Issued) -> Request {
        Request::new(CertId::new(&leaf.certificate, &self.issuing_certificate(), DigestAlgorithm::Sha1).expect("an identifier"))
    }

    /// What the lower authority answers about it: when it was revoked, if it was; as of when this was so, and when the answer was made.
    pub(super) fn response(&self, leaf: &Issued, revoked: Option<Timestamp>, [so, made]: [Timestamp; 2]) -> Vec<u8> {
        use sealpost::asn1::Cursor;
        let request = self.request(leaf).to_der();
        let mut list =
            Cursor::new(&request).sequence().expect("a request").sequence().expect("its content").sequence().expect("a list");
        let id = list.sequence().expect("a question").any().expect("an identifier").raw.to_vec();
        let crl = list_of(&self.issuer, &[], 2021);
        let mut fields = Cursor::new(&crl).sequence().expect("a list");
        fields.sequence().expect("its content");
        let algorithm = fields.any().expect("an algorithm").raw.to_vec();
        let state = match revoked {
            Some(date) => encode::implicit(1, &encode::sequence(&[encode::generalized_time(date)])),
            None => encode::implicit(0, &encode::null()),
        };
        let next = encode::explicit(0, &encode::generalized_time(Timestamp::from_unix(2_366_841_600)));
        let answer = encode::sequence(&[id, state, encode::generalized_time(so), next]);
        let responder = encode::explicit(1, self.issuing_certificate().subject().der());
        let tbs = encode::sequence(&[responder, encode::generalized_time(made), encode::sequence(&[answer])]);
        let signature = rcgen::SigningKey::sign(self.issuer.key(), &tbs).expect("signed");
        let basic = encode::sequence(&[tbs, algorithm, encode::bit_string(&signature)]);
        let bytes = encode::sequence(&[encode::oid(&oid::OCSP_BASIC), encode::octet_string(&basic)]);
        encode::sequence(&[encode::enumerated(0), encode::explicit(0, &bytes)])
    }

    /// An authority over which so many others stand, none of which is trusted; each says where the next one is: `/0`, `/1` and so on.
    pub(super) fn endless(&self, count: usize) -> Issuer<'static, KeyPair> {
        let mut above = root("Top").1;
        for number in (0..count).rev() {
            let mut params = authority(&format!("Authority {number}"));
            let next = self.url(&format!("/{}", number + 1));
            params.custom_extensions = Leaf { issuers: vec![next], ..Leaf::default() }.extensions();
            let key = KeyPair::generate().expect("a key");
            let certificate = params.signed_by(&key, &above).expect("signed");
            self.server.give(&format!("/{number}"), Reply::file(certificate.der()));
            above = Issuer::new(params, key);
        }
        above
    }

    /// A certificate of the lower authority.
    pub(super) fn issue(&self, leaf: &Leaf) -> Issued {
        self.issue_by(&self.issuer, leaf)
    }

    pub(super) fn issue_by(&self, issuer: &Issuer<'_, KeyPair>, leaf: &Leaf) -> Issued {
        let mut params = params("Jane");
        params.subject_alt_names = vec![SanType::Rfc822Name("jane@a.example".try_into().expect("ASCII"))];
        params.serial_number = Some(SerialNumber::from(leaf.serial.max(1)));
        params.custom_extensions = leaf.extensions();
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, issuer).expect("signed");
        let path = self.path(&format!("{}.pem", leaf.serial));
        fs::write(&path, certificate.pem()).expect("written");
        Issued { path, certificate: Certificate::from_der(certificate.der()).expect("a certificate"), key }
    }

    /// A message that it signs, without those above.
    pub(super) fn sign(&self, leaf: &Issued) -> String {
        let key = PrivateKey::from_pkcs8(&leaf.key.serialize_der()).expect("a key");
        let identity = Identity::new(key, leaf.certificate.clone(), Vec::new()).expect("an identity");
        let now = Timestamp::from_unix(1_780_272_000);
        let message = Sign::new(&identity).run(LETTER.as_bytes(), now, &mut OsRandom).expect("signed");
        fs::write(self.path("message"), message).expect("written");
        self.path("message")
    }

    /// Forgets what was fetched.
    pub(super) fn forget(&self) {
        let cache = self.folder.path().join("home/cache");
        if cache.exists() {
            fs::remove_dir_all(cache).expect("removed");
        }
    }

    pub(super) fn run(&self, line: &str) -> (i32, String) {
        let home = self.path("home");
        let args: Vec<&str> = ["--home", &home, "--batch"].into_iter().chain(line.split_whitespace()).collect();
        let (code, out, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &args, b"");
        (code, format!("{}{talk}", String::from_utf8_lossy(&out)))
    }

    pub(super) fn json(&self, line: &str) -> (i32, Value) {
        let home = self.path("home");
        let args: Vec<&str> = ["--home", &home, "--batch", "--json"].into_iter().chain(line.split_whitespace()).collect();
        let (code, out, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &args, b"");
        (code, serde_json::from_slice(&out).unwrap_or_else(|e| panic!("{line}: {e}\n{talk}")))
    }

    /// Whether a certificate is good, nothing else being at hand than the root.
    pub(super) fn verify(&self, leaf: &Issued, more: &str) -> (i32, Value) {
        self.json(&format!("cert verify {} --trust {} {more}", leaf.path, self.path("root.pem")))
    }

    pub(super) fn verify_with_issuer(&self, leaf: &Issued, more: &str) -> (i32, Value) {
        self.verify(leaf, &format!("--intermediates {} {more}", self.path("issuing.pem")))
    }

    pub(super) fn open(&self, message: &str, more: &str) -> (i32, Value) {
        let (root, out) = (self.path("root.pem"), self.path("out"));
        drop(fs::remove_file(&out));
        self.json(&format!("open {message} --trust {root} -o {out} {more}"))
    }
}

/// The texts of findings of one kind.
pub(super) fn findings(found: &Value, code: &str, severity: &str) -> Vec<String> {
    let all = found["findings"].as_array().expect("findings").iter();
    all.filter(|one| one["code"] == code && one["severity"] == severity)
        .map(|one| one["text"].as_str().expect("text").to_owned())
        .collect()
}
