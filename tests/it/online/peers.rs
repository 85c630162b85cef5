//! Servers of others: OpenSSL's responder, Python's server of files; and a list as large as they get.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use super::server::Reply;
use super::world::{Leaf, World, findings};
use crate::support;

/// A program that serves; ended with this.
struct Serving {
    child: Child,
    port: u16,
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Starts a program that says its port in a line with this word.
fn start(program: &str, args: &[&str], word: &str) -> Serving {
    let mut child = Command::new(program).args(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    while !line.contains(word) {
        line.clear();
        assert!(lines.read_line(&mut line).expect("a line") > 0, "{program} ends");
    }
    let after = line.split(word).nth(1).expect("a port");
    let digits = |text: &str| text.split(|c: char| !c.is_ascii_digit()).find(|part| part.len() > 3).map(str::to_owned);
    let port = digits(after).expect("a port").parse().expect("a port");
    // whoever writes into a closed pipe ends
    std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
    Serving { child, port }
}

/// OpenSSL's responder for the lower authority; its book has these lines.
fn responder(world: &World, book: &str) -> Serving {
    fs::write(world.path("index"), book).expect("written");
    fs::write(world.path("issuing.key"), world.issuer.key().serialize_pem()).expect("written");
    let (index, issuing, key) = (world.path("index"), world.path("issuing.pem"), world.path("issuing.key"));
    let args = [
        "ocsp", "-port", "0", "-index", &index, "-CA", &issuing, "-rsigner", &issuing, "-rkey", &key, "-ndays", "3", "-timeout",
        "5",
    ];
    start("openssl", &args, "ACCEPT")
}

#[test]
fn openssl_answers_about_good_and_revoked_certificates() {
    if !support::peer("openssl") {
        return;
    }
    let world = World::new();
    world.give_lists(&[]);
    let book =
        "V\t450101000000Z\t\t4D\tunknown\t/CN=Jane\nR\t450101000000Z\t210101000000Z,keyCompromise\t4E\tunknown\t/CN=Jane\n";
    let server = responder(&world, book);
    for (serial, exit, status) in [(0x4d, 0, "good"), (0x4e, 5, "revoked")] {
        let leaf = Leaf { serial, responders: vec![format!("http://127.0.0.1:{}/", server.port)], ..Leaf::default() };
        let leaf = world.issue(&leaf);
        let (found_exit, found) = world.verify_with_issuer(&leaf, "--fetch --fetch-private");
        assert_eq!((found_exit, &found["chain"]["revocation"]), (exit, &Value::from(status)), "{found}");
        let told = findings(&found, "fetched", "info");
        assert!(told.iter().any(|text| text.starts_with("the OCSP response of CN=Jane was fetched from")), "{told:?}");
    }
    // the third is not in the book, and its list is asked next
    let responders = vec![format!("http://127.0.0.1:{}/", server.port)];
    let leaf = world.issue(&Leaf { serial: 0x4f, responders, lists: vec![world.url("/issuing.crl")], ..Leaf::default() });
    let (exit, found) = world.verify_with_issuer(&leaf, "--fetch --fetch-private");
    assert_eq!((exit, &found["chain"]["revocation"]), (0, &Value::from("good")), "{found}");
    drop(server);
    // what it said of the first is still known
    let leaf = world.issue(&Leaf { serial: 0x4d, ..Leaf::default() });
    let (_, found) = world.verify_with_issuer(&leaf, "");
    assert_eq!(found["chain"]["revocation"], "good", "{found}");
}

#[test]
fn responders_are_asked_in_the_url_first_and_in_a_body_where_that_is_not_known() {
    let world = World::new();
    world.give_lists(&[]);
    let leaf = world.issue(&Leaf { responders: vec![world.url("/ocsp")], ..Leaf::default() });
    world.verify_with_issuer(&leaf, "--fetch --fetch-private");
    let asked: Vec<(String, String, Vec<u8>)> =
        world.server.asked().into_iter().filter(|(_, path, _)| path.starts_with("/ocsp")).collect();
    let [(get, target, none), (post, plain, body)] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((get.as_str(), post.as_str(), plain.as_str(), none.len()), ("GET", "POST", "/ocsp", 0));
    assert!(target.len() < 255 && target.starts_with("/ocsp/ME"), "{target}");
    assert_eq!(body.first(), Some(&0x30), "a request in DER");
}

#[test]
fn python_serves_lists_and_issuers() {
    let Some(python) = support::named_peer("SEALPOST_PYTHON").or_else(|| support::peer("python3").then(|| "python3".to_owned()))
    else {
        return;
    };
    let world = World::new();
    world.give_lists(&[]);
    let folder = world.folder.path().join("public");
    fs::create_dir(&folder).expect("a folder");
    let place = folder.display().to_string();
    let server = start(&python, &["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", &place], "port");
    fs::write(folder.join("issuing.cer"), world.issuing.der()).expect("written");
    fs::write(folder.join("issuing.crl"), super::world::list(&world.issuer, &[])).expect("written");
    let url = |name: &str| format!("http://127.0.0.1:{}/{name}", server.port);
    let leaf = world.issue(&Leaf { issuers: vec![url("issuing.cer")], lists: vec![url("issuing.crl")], ..Leaf::default() });
    let (exit, found) = world.verify(&leaf, "--fetch --fetch-private");
    assert_eq!((exit, &found["chain"]["revocation"]), (0, &Value::from("good")), "{found}");
    // a folder is a web page
    world.forget();
    let leaf = world.issue(&Leaf { lists: vec![url("")], ..Leaf::default() });
    let (_, found) = world.verify_with_issuer(&leaf, "--fetch --fetch-private");
    let told = findings(&found, "not-fetched", "warning");
    assert!(told.iter().any(|text| text.ends_with("the server gives a web page instead")), "{told:?}");
}

#[test]
fn a_list_of_200_000_is_fetched_within_its_bounds() {
    let world = World::new();
    world.give_lists(&[]);
    // sixteen bytes of serial number each, as authorities give them
    let serials: Vec<u64> = (0..200_000u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 << 62).collect();
    let list = super::world::list(&world.issuer, &serials);
    assert!(list.len() > 4 << 20, "{}", list.len());
    world.server.give("/issuing.crl", Reply::file(&list));
    let lists = vec![world.url("/issuing.crl")];
    let good = world.issue(&Leaf { serial: 5, lists: lists.clone(), ..Leaf::default() });
    let bad = world.issue(&Leaf { serial: serials[123_456], lists, ..Leaf::default() });
    let begin = Instant::now();
    let (exit, found) = world.verify_with_issuer(&good, "--fetch --fetch-private");
    assert_eq!((exit, &found["chain"]["revocation"]), (0, &Value::from("good")), "{found}");
    let fetched = begin.elapsed();
    let (exit, found) = world.verify_with_issuer(&bad, "");
    assert_eq!((exit, &found["chain"]["revocation"]), (5, &Value::from("revoked")), "{found}");
    eprintln!("{} bytes: fetched and judged in {fetched:?}, from the cache in {:?}", list.len(), begin.elapsed() - fetched);
    let asked = world.server.asked();
    assert_eq!(asked.iter().filter(|(_, target, _)| target == "/issuing.crl").count(), 1, "{asked:?}");
}
