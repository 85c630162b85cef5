//! What servers do that they should not, and whom nobody is sent to.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::server::Reply;
use super::world::{Leaf, World, findings};

/// What is said of a list that is at this place.
fn told(world: &World, place: &str, more: &str) -> String {
    let leaf = world.issue(&Leaf { lists: vec![place.to_owned()], ..Leaf::default() });
    world.forget();
    let (exit, found) = world.verify_with_issuer(&leaf, &format!("--fetch --fetch-timeout 240 {more}"));
    assert_eq!((exit, &found["chain"]["revocation"]), (0, &Value::from("unknown")), "{found}");
    let (exit, hard) = world.verify_with_issuer(&leaf, &format!("--fetch --fetch-timeout 240 {more} --revocation hard"));
    assert_eq!(exit, 3, "{hard}");
    let all = findings(&found, "not-fetched", "warning");
    let of_leaf: Vec<&String> = all.iter().filter(|text| text.contains(place)).collect();
    assert_eq!(of_leaf.len(), 1, "{place}: {found}");
    of_leaf[0].clone()
}

#[test]
fn what_a_server_gives_instead_is_said_and_stops_nothing() {
    let world = World::new();
    let gzip = Reply::with("200 OK", "Content-Encoding: gzip\r\n", &[0x1f, 0x8b, 8]);
    let page = Reply::with("200 OK", "Content-Type: text/html; charset=utf-8\r\n", b"<html>sorry</html>");
    let picture = Reply::with("200 OK", "Content-Type: image/png\r\n", b"\x89PNG");
    for (reply, why) in [
        (Reply::with("404 Not Found", "", b""), "the server has no such file (404)"),
        (Reply::with("503 Busy", "", b""), "the server answers with status 503"),
        (page, "the server gives a web page instead"),
        (picture, "what came, image/png, cannot be read"),
        (Reply::file(b""), "cannot be read"),
        (gzip, "coded with gzip, which was not asked for"),
        (Reply::Raw(b"SSH-2.0-x\r\n\r\n".to_vec()), "the answer is no HTTP"),
        (Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1".to_vec()), "the connection ended before the answer did"),
        (Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n1".to_vec()), "over the bound of 33554432 bytes"),
        (Reply::Endless, "over the bound of 33554432 bytes"),
        (Reply::to("/x.crl"), "it sends on to another place more than 3 times"),
        (Reply::to("https://ca.example/"), "https: URLs are not asked"),
        (Reply::to("file:///etc/passwd"), "file: URLs are not asked"),
    ] {
        world.server.give("/x.crl", reply);
        let said = told(&world, &world.url("/x.crl"), "--fetch-private");
        assert!(said.contains(why), "{why}: {said}");
        assert!(said.starts_with("the revocation list of CN=Issuing could not be had from http://127.0.0.1:"), "{said}");
    }
}

#[test]
fn who_hangs_or_drips_is_left_in_time() {
    let world = World::new();
    for reply in [Reply::Hang, Reply::Drip] {
        world.server.give("/x.crl", reply.clone());
        world.server.give("/root.crl", reply);
        let leaf = world.issue(&Leaf { lists: vec![world.url("/x.crl")], ..Leaf::default() });
        let begin = Instant::now();
        let (exit, found) = world.verify_with_issuer(&leaf, "--fetch --fetch-private --fetch-timeout 1");
        let took = begin.elapsed();
        assert_eq!((exit, &found["chain"]["revocation"]), (0, &Value::from("unknown")), "{found}");
        let said = findings(&found, "not-fetched", "warning");
        assert!(said.iter().any(|text| text.ends_with("it took longer than 1 seconds")), "{said:?}");
        // both lists lie on one server, which is not asked again
        assert!(said.iter().any(|text| text.ends_with("this server did not answer before")), "{said:?}");
        // what drips ends after 50 seconds, and what hangs never does
        assert!(took < Duration::from_secs(40), "{took:?}");
    }
}

#[test]
fn redirects_are_followed_three_times() {
    let world = World::new();
    world.give_lists(&[]);
    for (from, to) in [("/1.crl", "2.crl"), ("/2.crl", "/3.crl"), ("/3.crl", "/issuing.crl")] {
        world.server.give(from, Reply::to(to));
    }
    let leaf = world.issue(&Leaf { lists: vec![world.url("/1.crl")], ..Leaf::default() });
    let (exit, found) = world.verify_with_issuer(&leaf, "--fetch --fetch-private");
    assert_eq!((exit, &found["chain"]["revocation"]), (0, &Value::from("good")), "{found}");
}

#[test]
fn nobody_inside_is_asked_without_leave() {
    let world = World::new();
    world.give_lists(&[]);
    let port = world.server.port;
    for (host, why) in [
        ("127.0.0.1", "its address 127.0.0.1 is inside of a network (loopback) – such are not asked without --fetch-private"),
        ("localhost", "inside of a network (loopback)"),
        ("LOCALHOST.", "such are not asked without --fetch-private"),
        ("[::1]", "inside of a network (loopback)"),
        ("[::ffff:127.0.0.1]", "inside of a network (loopback)"),
        ("[64:ff9b::127.0.0.1]", "inside of a network (loopback)"),
        ("[2002:7f00:1::]", "inside of a network (loopback)"),
        ("10.0.0.1", "inside of a network (private)"),
        ("169.254.169.254", "inside of a network (link-local)"),
        ("100.64.0.1", "inside of a network (provider)"),
        ("0.0.0.0", "nothing can be had at its address 0.0.0.0 (unspecified)"),
        ("[::]", "nothing can be had at its address :: (unspecified)"),
        ("2130706433", "a number that programs read differently"),
        ("0x7f000001", "a number that programs read differently"),
        ("0177.0.0.1", "a number that programs read differently"),
        ("127.1", "a number that programs read differently"),
        ("ca.example@127.0.0.1", "a name or a password before its host"),
    ] {
        let place = format!("http://{host}:{port}/issuing.crl");
        let leaf = world.issue(&Leaf { lists: vec![place.clone()], ..Leaf::default() });
        let (_, found) = world.verify_with_issuer(&leaf, "--fetch");
        let said = findings(&found, "not-fetched", "warning");
        let said = said.iter().find(|text| text.contains(&place)).unwrap_or_else(|| panic!("{host}: {found}"));
        // a machine may not know the name
        assert!(
            said.contains(why) || (host.to_lowercase().starts_with("localhost") && said.contains("no address")),
            "{host}: {said}"
        );
    }
    assert_eq!(world.server.connections(), 0);
}

#[test]
fn where_nothing_can_be_had_nobody_goes_even_with_leave() {
    let world = World::new();
    let place = format!("http://0.0.0.0:{}/issuing.crl", world.server.port);
    assert!(told(&world, &place, "--fetch-private").contains("nothing can be had at"));
    // nor where an allowed one sends there: the address of each is looked at
    world.server.give("/sent.crl", Reply::to(&place));
    assert!(told(&world, &world.url("/sent.crl"), "--fetch-private").contains("nothing can be had at its address 0.0.0.0"));
    let asked = world.server.asked();
    assert!(asked.iter().all(|(_, target, _)| target != "/issuing.crl"), "{asked:?}");
}

#[test]
fn other_schemes_are_passed_over_by_name() {
    let world = World::new();
    let said = told(&world, "ldap://ca.example/cn=CA?certificateRevocationList", "--fetch-private");
    assert!(said.ends_with("ldap: URLs are not asked, only http: ones are"), "{said}");
    world.give_lists(&[]);
    let lists = vec!["ldap://ca.example/cn=CA".to_owned(), world.url("/issuing.crl")];
    let leaf = world.issue(&Leaf { lists, ..Leaf::default() });
    let (exit, found) = world.verify_with_issuer(&leaf, "--fetch --fetch-private");
    assert_eq!((exit, &found["chain"]["revocation"]), (0, &Value::from("good")), "{found}");
    assert_eq!(findings(&found, "not-fetched", "info").len(), 1, "what another place gave is no warning: {found}");
}

#[test]
fn no_more_is_asked_than_its_bounds() {
    let world = World::new();
    let places = |count: usize| (0..count).map(|n| world.url(&format!("/{n}"))).collect::<Vec<_>>();
    let leaf = world.issue(&Leaf { issuers: places(60), ..Leaf::default() });
    let (exit, found) = world.verify(&leaf, "--fetch --fetch-private");
    assert_eq!(exit, 3);
    assert_eq!(world.server.connections(), 8, "{found}");
    let said = findings(&found, "not-fetched", "warning");
    assert!(said.iter().any(|text| text == "limit reached: fetched issuer urls – at most 8"), "{said:?}");
    assert_eq!(said.len(), 9, "it is said once: {said:?}");
    let leaf = world.issue(&Leaf { lists: places(60), ..Leaf::default() });
    world.verify_with_issuer(&leaf, "--fetch --fetch-private");
    assert_eq!(world.server.connections(), 8 + 32);
}

#[test]
fn a_chain_of_issuers_without_end_is_left() {
    let world = World::new();
    let lowest = world.endless(20);
    let leaf = world.issue_by(&lowest, &Leaf { issuers: vec![world.url("/0")], ..Leaf::default() });
    let (exit, found) = world.verify(&leaf, "--fetch --fetch-private");
    assert_eq!(exit, 3);
    assert_eq!(world.server.connections(), 8, "{found}");
}

#[test]
fn a_place_without_end_is_not_shown_whole() {
    let world = World::new();
    let long = format!("http://ca.example/{}", "a".repeat(100_000));
    let leaf = world.issue(&Leaf { lists: vec![long], ..Leaf::default() });
    let (_, found) = world.verify_with_issuer(&leaf, "--fetch --fetch-private");
    let said = findings(&found, "not-fetched", "warning");
    let said = said.iter().find(|text| text.ends_with("it is too long")).unwrap_or_else(|| panic!("{found}"));
    assert!(said.contains("http://ca.example/aaa") && said.contains('…') && said.len() < 500, "{said}");
}
