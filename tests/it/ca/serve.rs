//! `ca serve`, asked by `openssl ocsp`, Java, curl, and by those who mean it no good.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::sealpost;
use crate::support;

/// A home with an authority, and its server.
struct Served {
    folder: tempfile::TempDir,
    child: Child,
    address: String,
    said: Vec<String>,
}

/// An answer over HTTP.
struct Got {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Got {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Served {
    /// jane and joe have certificates, mail.a.example has one.
    fn new(more: &[&str]) -> Self {
        Self::locked_by("", more)
    }

    /// With keys under a passphrase, which the server is not given; under none where it is empty.
    fn locked_by(passphrase: &str, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::write(path("pw"), passphrase).expect("written");
        let run = |args: &[&str]| run_in(folder.path(), args);
        run(&["ca", "init", "--name", "Example Org", "--domain", "a.example"]);
        for name in ["jane", "joe"] {
            run(&["ca", "issue", &format!("{name}@a.example"), "--algorithm", "p256", "-o", &path(name)]);
        }
        run(&["ca", "server-cert", "mail.a.example", "-o", &path("mail"), "--key", &path("mail.key")]);
        run(&["ca", "export", "root", "-o", &path("root")]);
        run(&["ca", "publish"]);
        let pem = |name: &str| fs::read_to_string(path(name)).expect("certificates");
        // the issuer stands behind the leaf
        for (leaf, issuer) in [("jane", "issuing"), ("mail", "servers")] {
            let text = pem(leaf);
            let second = text[1..].find("-----BEGIN").expect("the issuer") + 1;
            fs::write(path(issuer), &text[second..]).expect("written");
        }
        let mut child = Command::new(env!("CARGO_BIN_EXE_sealpost"))
            .args(["--home", &folder.path().display().to_string(), "--batch", "ca", "serve", "--listen", "127.0.0.1:0"])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines().map(|line| line.expect("text"));
        let said: Vec<String> = lines.take_while(|line| line != "ready").collect();
        let address = said[0].strip_prefix("http on ").expect("where it listens").to_owned();
        Self { folder, child, address, said }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn run(&self, args: &[&str]) -> (Vec<u8>, String) {
        run_in(self.folder.path(), args)
    }

    fn serial(&self, name: &str) -> String {
        let text = super::openssl(&["x509", "-in", &self.path(name), "-noout", "-serial"], b"");
        text.trim().strip_prefix("serial=").expect("a serial number").to_lowercase()
    }

    fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }

    /// Sends bytes and reads until the server closes.
    fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(support::LONGEST)).expect("set");
        // it may close before all is sent
        let _ = stream.write_all(bytes);
        let mut got = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(count) = stream.read(&mut buffer) {
            if count == 0 {
                break;
            }
            got.extend_from_slice(&buffer[..count]);
        }
        got
    }

    fn request(&self, request: &str, body: &[u8]) -> Got {
        let head = format!("{request}\r\nHost: pki.a.example\r\nConnection: close\r\n");
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let got = self.raw(&[head.as_bytes(), length.as_bytes(), b"\r\n", body].concat());
        parse(&got)
    }

    fn get(&self, path: &str) -> Got {
        self.request(&format!("GET {path} HTTP/1.1"), b"")
    }

    fn ocsp(&self, more: &[&str]) -> (i32, String) {
        let (issuing, root) = (self.path("issuing"), self.path("root"));
        let url = self.url("ocsp");
        let fixed = ["ocsp", "-url", &url, "-CAfile", &root, "-verify_other", &issuing, "-issuer", &issuing];
        let (code, out, talk) = support::run("openssl", &[&fixed[..], more].concat(), b"");
        (code, format!("{}{talk}", String::from_utf8_lossy(&out)))
    }

    /// A request about a certificate, as OpenSSL makes it.
    fn asked(&self, name: &str) -> Vec<u8> {
        let (issuing, leaf, out) = (self.path("issuing"), self.path(name), self.path("request"));
        super::openssl(&["ocsp", "-issuer", &issuing, "-cert", &leaf, "-no_nonce", "-reqout", &out], b"");
        fs::read(out).expect("a request")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run_in(folder: &Path, args: &[&str]) -> (Vec<u8>, String) {
    let pw = folder.join("pw").display().to_string();
    let passphrase = ["--passphrase-file", &pw];
    let is_locked = fs::metadata(&pw).is_ok_and(|file| file.len() > 0);
    let (code, out, talk) = sealpost(folder, &[if is_locked { &passphrase[..] } else { &[] }, args].concat());
    assert_eq!(code, 0, "{args:?}: {talk}");
    (out, talk)
}

fn parse(bytes: &[u8]) -> Got {
    let end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("no head: {}", String::from_utf8_lossy(bytes)));
    let head = String::from_utf8(bytes[..end].to_vec()).expect("text");
    let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("a status");
    Got { status, head, body: bytes[end + 4..].to_vec() }
}

fn base64(bytes: &[u8]) -> String {
    String::from_utf8(sealpost::mime::transfer::encode_base64(bytes)).expect("ASCII").replace(['\r', '\n'], "")
}

#[test]
fn openssl_asks_and_a_revocation_is_told_of_at_once() {
    if !support::peer("openssl") {
        return;
    }
    let served = Served::locked_by("secret\n", &[]);
    let [jane, joe] = ["jane", "joe"].map(|name| served.path(name));
    for digest in ["-sha1", "-sha256", "-sha384"] {
        // OpenSSL warns that its nonce did not come back, and takes the answer
        for nonce in [&["-no_nonce"][..], &[]] {
            let (code, words) = served.ocsp(&[&[digest, "-cert", &jane], nonce].concat());
            assert!(code == 0 && words.contains("Response verify OK") && words.contains(": good\n"), "{words}");
            assert_eq!(words.contains("WARNING: no nonce in response"), nonce.is_empty(), "{words}");
        }
    }
    let serial = served.serial("jane");
    // what was signed before says still that it is good
    served.run(&["ca", "revoke", &serial, "--reason", "key-compromise", "--no-publish"]);
    let (code, words) = served.ocsp(&["-no_nonce", "-cert", &jane]);
    assert!(code == 0 && words.contains(": revoked\n") && words.contains("Reason: keyCompromise"), "{words}");
    assert!(served.ocsp(&["-no_nonce", "-cert", &joe]).1.contains(": good\n"));
    // both in one request
    let (code, words) = served.ocsp(&["-no_nonce", "-cert", &jane, "-cert", &joe]);
    assert!(code == 0 && words.contains("Response verify OK"), "{words}");
    assert!(words.contains(": revoked\n") && words.contains(": good\n"), "{words}");
    let (_, words) = served.ocsp(&["-no_nonce", "-serial", "0x1234567890"]);
    assert!(words.contains("0x1234567890: unknown\n"), "{words}");
    // published again, the same is signed before
    served.run(&["ca", "publish"]);
    assert!(served.ocsp(&["-no_nonce", "-cert", &jane]).1.contains(": revoked\n"));
    // what is issued while it serves is good
    let late = served.path("late");
    served.run(&["ca", "issue", "late@a.example", "--algorithm", "p256", "-o", &late]);
    assert!(served.ocsp(&["-no_nonce", "-cert", &late]).1.contains(": good\n"));
}

#[test]
fn openssl_gets_its_nonce_back_where_that_was_chosen() {
    if !support::peer("openssl") {
        return;
    }
    let served = Served::new(&["--nonce"]);
    let (code, words) = served.ocsp(&["-cert", &served.path("jane")]);
    assert!(code == 0 && words.contains("Response verify OK") && words.contains(": good\n"), "{words}");
    assert!(!words.contains("nonce"), "{words}");
}

#[test]
fn the_certificates_name_what_is_served_and_openssl_follows_them() {
    if !support::peer("openssl") {
        return;
    }
    let served = Served::new(&[]);
    for (name, issuer) in [("jane", "issuing"), ("mail", "servers")] {
        let text = super::openssl(&["x509", "-in", &served.path(name), "-noout", "-text"], b"");
        let mut named: Vec<&str> = text.lines().filter_map(|line| line.split_once("URI:")).map(|split| split.1).collect();
        named.sort_unstable();
        let mut expected = ["ocsp".to_owned(), format!("{issuer}.cer"), format!("{issuer}.crl")]
            .map(|name| format!("http://pki.a.example/{name}"));
        expected.sort_unstable();
        assert_eq!(named, expected);
        for url in named {
            assert!(served.said.contains(&format!("certificates name {url}")), "{:?}", served.said);
        }
        let (der, crl) = (served.get(&format!("/{issuer}.cer")), served.get(&format!("/{issuer}.crl")));
        assert_eq!((der.status, der.header("content-type")), (200, Some("application/pkix-cert")));
        assert_eq!((crl.status, crl.header("content-type")), (200, Some("application/pkix-crl")));
        let pem = super::openssl(&["x509", "-inform", "DER"], &der.body);
        assert_eq!(pem, fs::read_to_string(served.path(issuer)).expect("the issuer"));
        super::openssl(&["crl", "-inform", "DER", "-noout", "-CAfile", &served.path(issuer)], &crl.body);
    }
    let issuing = super::openssl(&["x509", "-in", &served.path("issuing"), "-noout", "-text"], b"");
    assert!(!issuing.contains("OCSP - URI"), "the root has a list alone: {issuing}");
    assert_eq!((served.get("/root.cer").status, served.get("/root.crl").status), (200, 200));
}

#[test]
fn java_asks_about_a_path() {
    if !support::peer("javac") {
        return;
    }
    let served = Served::new(&[]);
    served.run(&["ca", "revoke", &served.serial("joe"), "--reason", "superseded"]);
    let script = format!("{}/tests/peers/Revocation.java", env!("CARGO_MANIFEST_DIR"));
    let [root, issuing, jane, joe] = ["root", "issuing", "jane", "joe"].map(|name| served.path(name));
    let url = served.url("ocsp");
    let args = ["-Xshare:auto", "-XX:TieredStopAtLevel=1", &script, &root, &issuing, &url, &jane, &joe];
    let (code, out, talk) = support::run("java", &args, b"");
    let words = String::from_utf8_lossy(&out).into_owned();
    assert_eq!(code, 0, "{talk}");
    let mut lines = words.lines();
    assert_eq!(lines.next(), Some("good"), "{words}{talk}");
    assert!(lines.next().is_some_and(|line| line.starts_with("revoked SUPERSEDED 20")), "{words}{talk}");
}

#[test]
fn curl_gets_answers_by_get_and_by_post_however_they_are_escaped() {
    if !support::peer("openssl") || !support::peer("curl") {
        return;
    }
    let served = Served::new(&[]);
    let request = served.asked("jane");
    fs::write(served.path("request"), &request).expect("written");
    let curl = |more: &[&str]| {
        let (code, out, talk) = support::run("curl", &[&["-s", "-S", "--path-as-is", "--max-time", "240"], more].concat(), b"");
        assert_eq!(code, 0, "{more:?}: {talk}");
        out
    };
    let data = format!("@{}", served.path("request"));
    let posted = curl(&["--data-binary", &data, "-H", "Content-Type: application/ocsp-request", &served.url("ocsp")]);
    let plain = base64(&request);
    let escaped = plain.replace('/', "%2F").replace('+', "%2b").replace('=', "%3D");
    for text in [&plain, &escaped] {
        assert_eq!(curl(&[&format!("{}/{text}", served.url("ocsp"))]), posted);
    }
    let answer = served.path("answer");
    fs::write(&answer, &posted).expect("written");
    let (issuing, jane, root) = (served.path("issuing"), served.path("jane"), served.path("root"));
    let args = [
        "ocsp",
        "-respin",
        &answer,
        "-issuer",
        &issuing,
        "-cert",
        &jane,
        "-CAfile",
        &root,
        "-verify_other",
        &issuing,
        "-no_nonce",
    ];
    assert!(super::openssl(&args, b"").contains(": good\n"));
    // curl believes the cache headers
    let file = served.path("etag");
    let twice = |args: &[&str]| curl(&[args, &["-w", "%{http_code}", "-o", "/dev/null", &served.url("issuing.crl")]].concat());
    assert_eq!(twice(&["--etag-save", &file]), b"200");
    assert_eq!(twice(&["--etag-compare", &file]), b"304");
}

#[test]
fn what_caches_are_told_follows_the_lightweight_profile() {
    let served = Served::new(&[]);
    let request = if support::peer("openssl") { served.asked("jane") } else { return };
    let path = format!("/ocsp/{}", base64(&request));
    for path in [path.as_str(), "/issuing.crl", "/issuing.cer"] {
        let got = served.get(path);
        assert_eq!(got.status, 200, "{path}");
        let tag = got.header("etag").expect("a tag").to_owned();
        let since = got.header("last-modified").expect("a date").to_owned();
        let control = got.header("cache-control").expect("what to do").to_owned();
        assert!(control.ends_with(", public, no-transform, must-revalidate"), "{control}");
        let longest = if path.ends_with(".cer") { "max-age=86400," } else { "max-age=3600," };
        assert!(control.starts_with(longest), "{control}");
        assert_eq!(got.header("expires").is_some(), !path.ends_with(".cer"));
        assert_eq!(got.header("content-length"), Some(got.body.len().to_string().as_str()));
        let head = served.request(&format!("HEAD {path} HTTP/1.1"), b"");
        assert_eq!((head.status, head.body.len(), head.header("etag")), (200, 0, Some(tag.as_str())));
        assert_eq!(head.header("content-length"), got.header("content-length"));
        for (condition, expected) in [
            (format!("If-None-Match: {tag}"), 304),
            (format!("If-None-Match: \"other\", W/{tag}"), 304),
            ("If-None-Match: *".to_owned(), 304),
            ("If-None-Match: \"other\"".to_owned(), 200),
            (format!("If-Modified-Since: {since}"), 304),
            ("If-Modified-Since: Sat, 01 Jan 2000 00:00:00 GMT".to_owned(), 200),
            ("If-Modified-Since: nonsense".to_owned(), 200),
            (format!("If-None-Match: \"other\"\r\nIf-Modified-Since: {since}"), 200),
        ] {
            let got = served.request(&format!("GET {path} HTTP/1.1\r\n{condition}"), b"");
            assert_eq!(got.status, expected, "{path} {condition}");
            assert_eq!(got.body.is_empty(), expected == 304);
            assert_eq!(got.header("etag"), Some(tag.as_str()));
        }
    }
    let posted = served.request("POST /ocsp HTTP/1.1\r\nContent-Type: application/ocsp-request", &request);
    assert_eq!((posted.status, posted.header("cache-control")), (200, Some("no-store")));
    assert_eq!(posted.header("content-type"), Some("application/ocsp-response"));
    // after a revocation, a cache that asks again learns of it
    let before = served.get(&path);
    served.run(&["ca", "revoke", &served.serial("jane")]);
    let tag = before.header("etag").expect("a tag");
    assert_eq!(served.request(&format!("GET {path} HTTP/1.1\r\nIf-None-Match: {tag}"), b"").status, 200);
}

#[test]
fn no_other_file_is_reached() {
    let served = Served::new(&[]);
    fs::write(served.path("ca/public/secret.txt"), "a secret").expect("written");
    for path in [
        "/",
        "/secret.txt",
        "/issuing.key",
        "/../issuing.key",
        "/%2e%2e/issuing.key",
        "/..%2fissuing.key",
        "//etc/passwd",
        "/issuing.crl/",
        "/issuing.crl%00",
        "/./issuing.crl",
        "/responder/issuing.pem",
        "/issuing.answers",
        "/issuing.CRL",
        "/ocspx",
        "/issuing-delta.crl",
    ] {
        let got = served.get(path);
        assert_eq!((got.status, got.body.as_slice()), (404, &b"there is nothing here\n"[..]), "{path}");
    }
    assert_eq!(served.get("/issuing.crl?x=1").status, 200, "what stands behind a question mark changes nothing");
    // a list that is published while it serves is there
    let list = fs::read(served.path("ca/public/issuing.crl")).expect("a list");
    fs::write(served.path("ca/public/issuing-delta.crl"), &list).expect("written");
    assert_eq!(served.get("/issuing-delta.crl").body, list);
    served.run(&["ca", "crl", "--with-deltas", "-o", &served.path("lists")]);
    served.run(&["ca", "crl", "--delta", "-o", &served.path("deltas")]);
    let delta = sealpost::pki::Crl::from_der(&served.get("/issuing-delta.crl").body).expect("a list");
    assert!(delta.is_delta());
    fs::write(served.path("ca/public/issuing-delta.crl"), b"no list").expect("written");
    assert_eq!(served.get("/issuing-delta.crl").status, 500, "what is no list is not given");
}

#[test]
fn refuses_hostile_requests_and_serves_on() {
    let served = Served::new(&[]);
    let post = |more: &str, body: &[u8]| served.request(&format!("POST /ocsp HTTP/1.1{more}"), body);
    const TYPE: &str = "\r\nContent-Type: application/ocsp-request";
    let malformed = [0x30, 3, 10, 1, 1];
    for body in [&b"x"[..], &[0x30, 0x80], &[0; 16_000], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]] {
        let got = post(TYPE, body);
        assert_eq!((got.status, got.body.as_slice()), (200, &malformed[..]));
        assert_eq!(got.header("cache-control"), Some("no-store"));
    }
    for text in ["%", "%zz", "AAAA", "%00", "a b", &"A".repeat(4_000)] {
        let text = text.replace(' ', "%20");
        let got = served.get(&format!("/ocsp/{text}"));
        assert_eq!((got.status, got.body.as_slice()), (200, &malformed[..]), "{text}");
    }
    let chunked = |bytes: &[u8]| {
        let head = format!("POST /ocsp HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close{TYPE}\r\n\r\n");
        served.raw(&[head.as_bytes(), bytes].concat())
    };
    assert_eq!(parse(&chunked(b"1\r\nx\r\n0\r\n\r\n")).body, malformed);
    for (got, expected) in [
        (post("", b"x"), 415),
        (post("\r\nContent-Type: text/plain", b"x"), 415),
        (post(TYPE, &[0; 20_000]), 413),
        (post(&format!("{TYPE}\r\nContent-Length: 99999999999"), b""), 413),
        (parse(&chunked(&[b"4e20\r\n".as_slice(), &[0; 20_000], b"\r\n0\r\n\r\n"].concat())), 413),
        (served.request("DELETE /issuing.crl HTTP/1.1", b""), 405),
        (served.request("POST /issuing.crl HTTP/1.1", b"x"), 405),
        (served.request("PUT /ocsp HTTP/1.1", b"x"), 405),
        (served.get("/ocsp"), 405),
        (served.get(&format!("/{}", "a".repeat(20_000))), 431),
        (served.request(&format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(20_000)), b""), 431),
        (served.request(&format!("GET / HTTP/1.1{}", "\r\nX: a".repeat(100)), b""), 431),
        (parse(&served.raw(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")), 400),
        (parse(&served.raw(b"nonsense\r\n\r\n")), 400),
        (parse(&served.raw(b"GET /\x01 HTTP/1.1\r\n\r\n")), 400),
        (parse(&served.raw(b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n")), 400),
        (parse(&served.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")), 400),
        (parse(&served.raw(b"CONNECT x:1 HTTP/1.1\r\nConnection: close\r\n\r\n")), 404),
    ] {
        assert_eq!(got.status, expected, "{}", got.head);
    }
    let request = format!("GET /issuing.crl HTTP/1.1\r\nHost: x\r\nConnection: close{TYPE}\r\n\r\n");
    let port = served.address.rsplit(':').next().expect("a port").parse().expect("a port");
    let mut quiet = Vec::new();
    for length in 0..request.len() {
        // of an address, a hundred may be open, and those that were closed count until that is seen
        let mut stream = support::connect_from(u8::try_from(2 + length / 50).expect("few"), port);
        stream.write_all(&request.as_bytes()[..length]).expect("sent");
        quiet.push(stream);
        // it ends here, and what comes of it is not waited for
        if quiet.len() > 50 {
            quiet.clear();
        }
    }
    assert_eq!(served.get("/issuing.crl").status, 200);
}

#[test]
fn connections_are_kept_and_requests_that_come_together_are_answered_in_order() {
    let served = Served::new(&[]);
    let one = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n{more}\r\n");
    let all = [one("/issuing.cer", ""), one("/nothing", ""), one("/root.cer", ""), one("/issuing.cer", "Connection: close\r\n")]
        .concat();
    let mut rest = served.raw(all.as_bytes());
    let mut seen = Vec::new();
    while !rest.is_empty() {
        let got = parse(&rest);
        let length: usize = got.header("content-length").and_then(|text| text.parse().ok()).expect("a length");
        seen.push((got.status, length));
        rest = got.body[length..].to_vec();
    }
    let [issuing, root] = ["issuing", "root"].map(|name| served.get(&format!("/{name}.cer")).body.len());
    assert_eq!(seen, [(200, issuing), (404, 22), (200, root), (200, issuing)]);
    // a client of HTTP/1.0 gets one answer
    assert_eq!(parse(&served.raw(b"GET /root.cer HTTP/1.0\r\n\r\n")).body.len(), root);
}

#[test]
fn answers_come_as_fast_as_they_are_asked_for() {
    if !support::peer("openssl") {
        return;
    }
    // SEALPOST_LOAD=20000 in an optimised build: the figures of docs/performance.md
    let count: usize = std::env::var("SEALPOST_LOAD").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let served = Served::new(&[]);
    let path = format!("GET /ocsp/{} HTTP/1.1\r\nHost: x\r\n\r\n", base64(&served.asked("jane")));
    for (what, request) in [("OCSP", path.as_str()), ("list", "GET /issuing.crl HTTP/1.1\r\nHost: x\r\n\r\n")] {
        let begin = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut stream = TcpStream::connect(&served.address).expect("it listens");
                    stream.set_nodelay(true).expect("set");
                    let mut buffer = vec![0; 8192];
                    for _ in 0..count {
                        stream.write_all(request.as_bytes()).expect("sent");
                        let mut got = stream.read(&mut buffer).expect("an answer");
                        let whole = parse(&buffer[..got]);
                        let length: usize = whole.header("content-length").and_then(|text| text.parse().ok()).expect("a length");
                        let all = whole.head.len() + 4 + length;
                        while got < all {
                            got += stream.read(&mut buffer[got..]).expect("more");
                        }
                        assert_eq!((whole.status, got), (200, all));
                    }
                });
            }
        });
        let all = u32::try_from(4 * count).expect("small");
        eprintln!("{what}: {:.0} a second", f64::from(all) / begin.elapsed().as_secs_f64());
    }
}

#[test]
fn one_address_has_so_many_connections() {
    let served = Served::new(&[]);
    let mut open: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(&served.address).expect("it listens")).collect();
    // the kernel connects before the server counts: the last one of the hundred speaks, so that all before it were counted
    let ask = |stream: &mut TcpStream| {
        stream.set_read_timeout(Some(support::LONGEST)).expect("set");
        let mut got = [0; 12];
        let sent = stream.write_all(b"GET /root.cer HTTP/1.1\r\nHost: x\r\n\r\n");
        sent.and_then(|()| stream.read_exact(&mut got)).map(|()| got)
    };
    assert_eq!(ask(open.last_mut().expect("a hundred")).expect("an answer"), *b"HTTP/1.1 200");
    let mut more = TcpStream::connect(&served.address).expect("the kernel's queue");
    assert!(ask(&mut more).is_err(), "closed without a word");
    open.truncate(50);
    let begin = Instant::now();
    while ask(&mut TcpStream::connect(&served.address).expect("it listens")).is_err() {
        assert!(begin.elapsed() < support::LONGEST, "places are free again");
    }
}

#[test]
fn says_what_is_missing_and_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |args: &[&str]| {
        let (code, _, talk) = sealpost(folder.path(), args);
        (code, talk)
    };
    let serve = |address: &str| run(&["ca", "serve", "--listen", address]);
    let (code, talk) = serve("127.0.0.1:0");
    assert!(code == 2 && talk.contains("has no CA") && talk.contains("`sealpost ca init --name NAME`"), "{talk}");
    assert_eq!(run(&["ca", "init", "--name", "Example Org"]).0, 0);
    let (code, talk) = serve("127.0.0.1:0");
    assert!(code == 2 && talk.contains("nothing is published yet") && talk.contains("`sealpost ca publish`"), "{talk}");
    assert_eq!(run(&["ca", "publish", "-o", &folder.path().join("web").display().to_string()]).0, 0);
    let mut copied: Vec<_> =
        fs::read_dir(folder.path().join("web")).expect("copies").map(|entry| entry.expect("one").file_name()).collect();
    copied.sort();
    assert_eq!(copied, ["issuing.cer", "issuing.crl", "root.cer", "root.crl", "servers.cer", "servers.crl"]);
    let (code, talk) = serve("nowhere");
    assert!(code == 2 && talk.contains("is not an address") && talk.contains("127.0.0.1:8080"), "{talk}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let (code, talk) = serve(&address);
    assert!(code == 9 && talk.contains(&format!("{address} is in use")) && talk.contains("hint: give another address"), "{talk}");
}

#[test]
fn who_is_slow_holds_no_place() {
    use sealpost::ca::responder::{Folder, Nonces, Responder};
    use sealpost::crypto::algorithm::KeyAlgorithm;
    use sealpost::crypto::random::OsRandom;
    use sealpost::server::web::{self, Deadlines, Site};

    let bench = super::Bench::new(KeyAlgorithm::P256);
    let list = bench.store.crl(super::at(), 7, &mut OsRandom).expect("a list");
    bench
        .store
        .publish(&[("issuing".to_owned(), list)], &Folder::new(&bench.ca()), super::at(), &mut OsRandom)
        .expect("published");
    let site = |deadlines| {
        let responder = Responder::open(&bench.ca(), Box::new(Folder::new(&bench.ca())), Nonces::Ignored, Box::new(OsRandom));
        Site::new(&bench.ca().join("public"), responder.expect("a responder"), "http://pki.a.example/").deadlines(deadlines)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let (short, long) = (Duration::from_millis(300), 2 * support::LONGEST);
    let served =
        |deadlines| runtime.block_on(web::start("127.0.0.1:0".parse().expect("an address"), site(deadlines))).expect("served");
    // only one of them is short: a machine that is busy misses no other
    let all = Deadlines { head: long, body: long, stalled: long, lifetime: long };
    let (head, body) = (served(Deadlines { head: short, ..all }), served(Deadlines { body: short, ..all }));
    // it is asked in time, also where that takes a while
    let pause = served(Deadlines { head: Duration::from_secs(3), ..all });
    let ends = |address: std::net::SocketAddr, bytes: &[u8]| {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(support::LONGEST)).expect("set");
        // it may be closed already
        let _ = stream.write_all(bytes);
        let mut got = Vec::new();
        // closed with something unread is a reset
        let _ = stream.read_to_end(&mut got);
        String::from_utf8_lossy(&got).into_owned()
    };
    for (quick, bytes, expected) in [
        (&head, &b""[..], ""),
        (&head, b"GET /issuing.crl HTT", ""),
        (&pause, b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404"),
        (
            &body,
            b"POST /ocsp HTTP/1.1\r\nHost: x\r\nContent-Type: application/ocsp-request\r\nContent-Length: 9\r\n\r\nx",
            "HTTP/1.1 408",
        ),
    ] {
        let begin = Instant::now();
        let got = ends(quick.address(), bytes);
        assert!(begin.elapsed() < support::LONGEST, "{expected}");
        assert!(got.starts_with(expected) && (got.is_empty() || !expected.is_empty()), "{got}");
    }
    let (brief, begin) = (served(Deadlines { lifetime: short, ..all }), Instant::now());
    assert_eq!(ends(brief.address(), b""), "", "all of a connection has its time");
    assert!(begin.elapsed() < support::LONGEST);
    for one in [head, body, pause, brief] {
        runtime.block_on(one.stop());
    }
}

#[test]
fn a_signal_stops_it_in_peace() {
    // the machine has other things to do, too: once must be quiet enough
    let mut all = Vec::new();
    while all.len() < 5 && !all.iter().any(|took| *took < QUICK) {
        all.push(stopped(&mut Served::new(&[])));
    }
    assert!(all.iter().any(|took| *took < QUICK), "who is idle is not waited for: {all:?}");
}

/// It waits five seconds for those who are being answered.
const QUICK: Duration = Duration::from_secs(4);

/// Stops it by a signal while somebody is connected who asks for nothing more; gives how long that took.
fn stopped(served: &mut Served) -> Duration {
    let mut idle = TcpStream::connect(&served.address).expect("it listens");
    idle.write_all(b"GET /root.cer HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
    let mut first = [0; 12];
    idle.read_exact(&mut first).expect("an answer");
    let pid = served.child.id().to_string();
    let begin = Instant::now();
    assert_eq!(support::run("kill", &["-TERM", &pid], b"").0, 0);
    let status = served.child.wait().expect("it ends");
    let took = begin.elapsed();
    assert_eq!(status.code(), Some(0));
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).expect("closed in peace");
    assert!(TcpStream::connect(&served.address).is_err());
    took
}
