//! `--fetch`: revocation lists, OCSP responses and issuers over HTTP, from servers of this test, of OpenSSL and of Python; and the cache.

mod cache;
mod peers;
mod refusals;
mod server;
pub(crate) mod world;

use serde_json::Value;

use server::Reply;
use world::{Leaf, World};

#[test]
fn a_missing_issuer_is_fetched_in_every_form_that_it_may_have() {
    let world = World::new();
    let der = world.issuing.der().to_vec();
    let pem = world.issuing.pem();
    let bundle = sealpost::cms::certificates_only(&[world.issuing_certificate()]);
    for (name, body) in [("/issuing.der", der), ("/issuing.pem", pem.into_bytes()), ("/issuing.p7c", bundle)] {
        world.server.give(name, Reply::file(&body));
        world.give_lists(&[]);
        let leaf =
            world.issue(&Leaf { issuers: vec![world.url(name)], lists: vec![world.url("/issuing.crl")], ..Leaf::default() });
        let (exit, found) = world.verify(&leaf, "--fetch --fetch-private");
        assert_eq!((exit, &found["chain"]["status"]), (0, &Value::from("trusted")), "{name}: {found}");
        assert_eq!(found["chain"]["revocation"], "good", "{name}: {found}");
        assert_eq!(found["chain"]["path"].as_array().map(Vec::len), Some(3));
        let told = world::findings(&found, "fetched", "info");
        assert!(told.iter().any(|text| text.contains("the issuer's certificate") && text.contains(name)), "{told:?}");
        world.forget();
    }
}

#[test]
fn where_a_place_gives_the_wrong_thing_the_next_one_is_asked() {
    let world = World::new();
    world.give_lists(&[]);
    world.server.give("/other.der", Reply::file(world::root("Issuing").0.der()));
    world.server.give("/issuing.der", Reply::file(world.issuing.der()));
    let issuers = vec![world.url("/other.der"), world.url("/issuing.der")];
    let leaf = world.issue(&Leaf { issuers, lists: vec![world.url("/issuing.crl")], ..Leaf::default() });
    let (exit, found) = world.verify(&leaf, "--fetch --fetch-private");
    assert_eq!((exit, &found["chain"]["revocation"]), (0, &Value::from("good")), "{found}");
}

#[test]
fn without_the_option_nobody_is_asked() {
    let world = World::new();
    world.server.give("/issuing.der", Reply::file(world.issuing.der()));
    let leaf = world.issue(&Leaf::with_everything(&world));
    let (exit, found) = world.verify(&leaf, "");
    assert_eq!((exit, &found["chain"]["status"]), (3, &Value::from("untrusted")), "{found}");
    let (_, found) = world.verify_with_issuer(&leaf, "");
    assert_eq!(found["chain"]["revocation"], "unknown");
    let fix = found["findings"].as_array().expect("findings").iter().find(|one| one["code"] == "revocation-unknown");
    let fix = fix.and_then(|one| one["fix"].as_str()).expect("a fix");
    assert!(fix.starts_with("sealpost ") && fix.contains(" cert verify ") && fix.ends_with(" --fetch"), "{fix}");
    let message = world.sign(&leaf);
    world.open(&message, "");
    assert_eq!(world.server.connections(), 0);
}

#[test]
fn a_fetched_list_revokes_a_message() {
    let world = World::new();
    world.server.give("/issuing.der", Reply::file(world.issuing.der()));
    let leaf = world.issue(&Leaf { serial: 77, ..Leaf::with_everything(&world) });
    let message = world.sign(&leaf);
    world.give_lists(&[]);
    let (exit, found) = world.open(&message, "--fetch --fetch-private");
    assert_eq!(exit, 0, "{found}");
    let signer = &found["layers"][0]["signers"][0];
    assert_eq!((&signer["chain"]["status"], &signer["chain"]["revocation"]), (&"trusted".into(), &"good".into()), "{found}");
    world.forget();
    world.give_lists(&[77]);
    let (exit, found) = world.open(&message, "--fetch --fetch-private");
    assert_eq!(exit, 5, "{found}");
    assert_eq!(found["layers"][0]["signers"][0]["chain"]["revocation"], "revoked");
    assert!(!world.folder.path().join("out").exists(), "nothing is released");
}

#[test]
fn detached_signatures_explanations_and_contacts_are_helped_too() {
    let world = World::new();
    world.server.give("/issuing.der", Reply::file(world.issuing.der()));
    world.give_lists(&[]);
    let leaf = world.issue(&Leaf::with_everything(&world));
    let message = world.sign(&leaf);
    for line in ["verify", "explain", "contact add"] {
        world.forget();
        let (exit, talk) = world.run(&format!("{line} {message} --trust {} --fetch --fetch-private", world.path("root.pem")));
        assert_eq!(exit, 0, "{line}: {talk}");
        assert!(talk.contains("the issuer's certificate of CN=Issuing was fetched from http://127.0.0.1"), "{line}: {talk}");
    }
}

#[test]
fn a_signature_that_does_not_fit_asks_nobody() {
    let world = World::new();
    let leaf = world.issue(&Leaf::with_everything(&world));
    let message = world.sign(&leaf);
    let text = std::fs::read_to_string(&message).expect("a message").replace("Hello.", "Hallo.");
    std::fs::write(&message, text).expect("written");
    let (exit, found) = world.open(&message, "--fetch --fetch-private");
    assert_eq!(exit, 1, "{found}");
    assert_eq!(world.server.connections(), 0);
}

#[test]
fn a_ciphertext_that_was_changed_asks_nobody() {
    let world = World::new();
    world.server.give("/issuing.der", Reply::file(world.issuing.der()));
    world.give_lists(&[]);
    let leaf = world.issue(&Leaf::with_everything(&world));
    let message = world.sign(&leaf);
    let cast = |name: &str| format!("{}/certs/{name}", env!("CARGO_MANIFEST_DIR"));
    let sealed = world.path("sealed");
    let line = format!("encrypt {message} --to-cert {} --cipher aes-256-gcm -o {sealed}", cast("alice.pem"));
    assert_eq!(world.run(&line).0, 0);
    let keys = format!("--cert {} --key {} --fetch --fetch-private", cast("alice.pem"), cast("alice.key"));
    let text = std::fs::read_to_string(&sealed).expect("a message");
    // in the tag, and no line end
    let at = text.trim_end().len() - 20;
    let at = text[..at].rfind(|c: char| c.is_ascii_alphanumeric()).expect("base64");
    let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
    std::fs::write(&sealed, format!("{}{other}{}", &text[..at], &text[at + 1..])).expect("written");
    let (exit, found) = world.open(&sealed, &keys);
    assert_eq!(exit, 1, "{found}");
    assert_eq!(world.server.connections(), 0);
    std::fs::write(&sealed, text).expect("written");
    let (exit, found) = world.open(&sealed, &keys);
    assert_eq!(exit, 0, "{found}");
    assert!(world.server.connections() > 0);
}

#[test]
fn what_lies_in_a_ciphertext_without_a_tag_names_no_place_where_an_issuer_is_asked_for() {
    let world = World::new();
    world.server.give("/issuing.der", Reply::file(world.issuing.der()));
    world.give_lists(&[]);
    let message = world.sign(&world.issue(&Leaf::with_everything(&world)));
    let cast = |name: &str| format!("{}/certs/{name}", env!("CARGO_MANIFEST_DIR"));
    let sealed = world.path("sealed");
    let line = format!("encrypt {message} --to-cert {} --cipher aes-256-cbc -o {sealed}", cast("alice.pem"));
    assert_eq!(world.run(&line).0, 0);
    let keys = format!("--cert {} --key {} --fetch --fetch-private", cast("alice.pem"), cast("alice.key"));
    // no signature covers the certificates beside it: whoever changed the ciphertext could have put the text into the place
    let (exit, found) = world.open(&sealed, &keys);
    assert_eq!((exit, world.server.connections()), (3, 0), "{found}");
    let told = world::findings(&found, "not-fetched", "warning");
    assert!(told.iter().any(|text| text.contains("decrypted without a tag")), "{told:?}");
    // where a list is, an authority says
    let (exit, found) = world.open(&sealed, &format!("{keys} --intermediates {}", world.path("issuing.pem")));
    assert_eq!(exit, 0, "{found}");
    assert_eq!(found["layers"][1]["signers"][0]["chain"]["revocation"], "good", "{found}");
}

#[test]
fn a_fetched_root_is_no_anchor() {
    let world = World::new();
    let stranger = world::root("Stranger");
    world.server.give("/stranger.der", Reply::file(stranger.0.der()));
    let leaf = world.issue_by(&stranger.1, &Leaf { issuers: vec![world.url("/stranger.der")], ..Leaf::default() });
    let (exit, found) = world.verify(&leaf, "--fetch --fetch-private");
    assert_eq!((exit, &found["chain"]["status"]), (3, &Value::from("untrusted")), "{found}");
    assert!(world.server.connections() > 0);
}

#[test]
fn a_list_of_changes_is_fetched_where_the_list_says_so() {
    let world = World::new();
    let leaf = world.issue(&Leaf {
        serial: 78,
        lists: vec![world.url("/issuing.crl")],
        fresh: vec![world.url("/delta.crl")],
        ..Leaf::default()
    });
    world.give_lists(&[]);
    world.server.give("/delta.crl", Reply::file(&world.delta(&[78])));
    let (exit, found) = world.verify_with_issuer(&leaf, "--fetch --fetch-private");
    assert_eq!((exit, &found["chain"]["revocation"]), (5, &Value::from("revoked")), "{found}");
}

#[test]
fn what_a_directory_gives_is_judged_with_what_is_fetched() {
    use crate::directory::hostile;
    use std::io::{Read, Write};
    let world = World::new();
    world.server.give("/issuing.der", Reply::file(world.issuing.der()));
    world.give_lists(&[91]);
    for (serial, exit, standing) in [(90, 0, "trusted"), (91, 5, "revoked")] {
        let leaf = world.issue(&Leaf { serial, ..Leaf::with_everything(&world) });
        let find = |more: &str| {
            let done = hostile::reply(1, 5, &[&[10, 1, 0][..], &[4, 0], &[4, 0]].concat());
            let answer = [hostile::entry(leaf.certificate.der()), done].concat();
            let url = hostile::serve(move |mut stream| {
                drop(stream.read(&mut [0; 4096]));
                drop(stream.write_all(&answer));
            });
            let root = world.path("root.pem");
            world.json(&format!("contact find jane@a.example --ldap {url} --ldap-tls none --trust {root} {more}"))
        };
        let (found_exit, found) = find("");
        assert_eq!((found_exit, &found["certificates"][0]["standing"]), (3, &Value::from("untrusted")), "{found}");
        let (found_exit, found) = find("--fetch --fetch-private");
        assert_eq!((found_exit, &found["certificates"][0]["standing"]), (exit, &Value::from(standing)), "{found}");
        assert!(!world::findings(&found, "fetched", "info").is_empty(), "{found}");
        world.forget();
    }
}

#[test]
fn an_encryption_to_a_revoked_certificate_is_refused() {
    let world = World::new();
    world.give_lists(&[79]);
    let leaf = world.issue(&Leaf { serial: 79, lists: vec![world.url("/issuing.crl")], ..Leaf::default() });
    for certificate in ["root.pem", "issuing.pem"] {
        assert_eq!(world.run(&format!("trust add {}", world.path(certificate))).0, 0);
    }
    let letter = world.path("letter");
    std::fs::write(&letter, world::LETTER).expect("written");
    let line = format!("encrypt {letter} --to-cert {} -o {}", leaf.path, world.path("secret"));
    let (exit, talk) = world.run(&format!("{line} --fetch --fetch-private"));
    assert_eq!(exit, 5, "{talk}");
    assert!(talk.contains("was revoked") && talk.contains("was not encrypted"), "{talk}");
    // the list is known now
    let (exit, talk) = world.run(&line);
    assert_eq!(exit, 5, "{talk}");
    world.forget();
    let (exit, talk) = world.run(&line);
    assert_eq!(exit, 0, "{talk}");
}
