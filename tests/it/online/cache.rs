//! What was fetched is used again, with and without the option, and never more than it is worth.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use sealpost::keys::Home;
use sealpost::keys::cache::Kind;
use sealpost::time::Timestamp;

use super::server::Reply;
use super::world::{Leaf, World, findings};

fn files(world: &World) -> Vec<PathBuf> {
    let entries = fs::read_dir(world.folder.path().join("home/cache")).expect("a cache");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// A world whose cache holds an issuer and two lists.
fn filled() -> (World, super::world::Issued) {
    let world = World::new();
    world.server.give("/issuing.der", Reply::file(world.issuing.der()));
    world.give_lists(&[]);
    let leaf = world.issue(&Leaf {
        issuers: vec![world.url("/issuing.der")],
        lists: vec![world.url("/issuing.crl")],
        ..Leaf::default()
    });
    let (exit, found) = world.verify(&leaf, "--fetch --fetch-private");
    assert_eq!(exit, 0, "{found}");
    assert_eq!(world.server.connections(), 3);
    (world, leaf)
}

#[test]
fn what_was_fetched_serves_again_without_the_network() {
    let (world, leaf) = filled();
    for more in ["", "--fetch --fetch-private", "--revocation hard"] {
        let (exit, found) = world.verify(&leaf, more);
        assert_eq!((exit, &found["chain"]["revocation"]), (0, &Value::from("good")), "{more}: {found}");
        let told = findings(&found, "fetched", "info");
        assert_eq!(told.iter().filter(|text| text.contains("is from the home's cache")).count(), 3, "{told:?}");
    }
    let message = world.sign(&leaf);
    assert_eq!(world.open(&message, "").0, 0);
    assert_eq!(world.server.connections(), 3);
    #[cfg(unix)]
    for file in files(&world) {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
}

#[test]
fn a_list_of_the_issuer_tells_of_certificates_that_name_no_place() {
    let (world, _) = filled();
    world.server.give("/issuing.crl", Reply::file(&super::world::list(&world.issuer, &[88])));
    let leaf = world.issue(&Leaf { serial: 88, ..Leaf::default() });
    let (exit, found) = world.verify_with_issuer(&leaf, "");
    assert_eq!((exit, &found["chain"]["revocation"]), (0, &Value::from("good")), "{found}");
    assert_eq!(world.server.connections(), 3);
}

#[test]
fn a_damaged_cache_is_fetched_anew() {
    let (world, leaf) = filled();
    for file in files(&world) {
        let mut bytes = fs::read(&file).expect("a file");
        let at = bytes.len() - 1;
        bytes[at] ^= 1;
        fs::write(&file, bytes).expect("written");
    }
    let (exit, found) = world.verify(&leaf, "");
    assert_eq!((exit, &found["chain"]["status"]), (3, &Value::from("untrusted")), "{found}");
    let (exit, found) = world.verify(&leaf, "--fetch --fetch-private");
    assert_eq!(exit, 0, "{found}");
    assert_eq!(world.server.connections(), 6);
}

#[test]
fn nothing_in_the_cache_is_believed() {
    let (world, leaf) = filled();
    // a list that somebody else signed, where the right one was
    let (_, stranger) = super::world::root("Issuing");
    world.server.give("/issuing.crl", Reply::file(&super::world::list(&stranger, &[])));
    world.forget();
    let (exit, found) = world.verify(&leaf, "--fetch --fetch-private");
    assert_eq!((exit, &found["chain"]["revocation"]), (0, &Value::from("unknown")), "{found}");
    let (_, found) = world.verify(&leaf, "");
    assert_eq!(found["chain"]["revocation"], "unknown", "{found}");
    // and it does not stay
    world.give_lists(&[]);
    let (_, found) = world.verify(&leaf, "--fetch --fetch-private");
    assert_eq!(found["chain"]["revocation"], "good", "{found}");
}

#[test]
fn what_is_old_is_fetched_anew_and_still_tells_of_those_revoked_then() {
    let world = World::new();
    let leaf = world.issue(&Leaf { serial: 89, lists: vec![world.url("/issuing.crl")], ..Leaf::default() });
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let old = Timestamp::from_unix(i64::try_from(now).expect("small") - 30 * 86_400);
    let cache = Home::create(&world.folder.path().join("home")).expect("a home").cache();
    let list = super::world::list(&world.issuer, &[89]);
    let issuer = world.issuing_certificate();
    let put = || cache.put(Kind::List, &world.url("/issuing.crl"), Some(issuer.subject()), &list, (old, None)).expect("kept");
    put();
    // the network is not asked, or has nothing
    for (more, asked) in [("", 0), ("--fetch --fetch-private", 1)] {
        let (exit, found) = world.verify_with_issuer(&leaf, more);
        assert_eq!((exit, &found["chain"]["revocation"]), (5, &Value::from("revoked")), "{more}: {found}");
        let count = world.server.asked().iter().filter(|(_, target, _)| target == "/issuing.crl").count();
        assert_eq!(count, asked);
    }
    put();
    world.give_lists(&[]);
    let (exit, found) = world.verify_with_issuer(&leaf, "--fetch --fetch-private");
    assert_eq!((exit, &found["chain"]["revocation"]), (0, &Value::from("good")), "{found}");
}

/// A world whose cache holds an old list that revokes the leaf.
fn revoked_before(list: impl Fn(&World) -> Vec<u8>) -> (World, super::world::Issued) {
    let world = World::new();
    let leaf = world.issue(&Leaf { serial: 89, lists: vec![world.url("/issuing.crl")], ..Leaf::default() });
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let old = Timestamp::from_unix(i64::try_from(now).expect("small") - 30 * 86_400);
    let cache = Home::create(&world.folder.path().join("home")).expect("a home").cache();
    let (list, issuer) = (list(&world), world.issuing_certificate());
    cache.put(Kind::List, &world.url("/issuing.crl"), Some(issuer.subject()), &list, (old, None)).expect("kept");
    (world, leaf)
}

#[test]
fn what_nobody_vouches_for_replaces_nothing() {
    let (world, leaf) = revoked_before(|world| super::world::list(&world.issuer, &[89]));
    // whoever stands on the way gives a list of the same name
    let (_, stranger) = super::world::root("Issuing");
    world.server.give("/issuing.crl", Reply::file(&super::world::list(&stranger, &[])));
    for more in ["--fetch --fetch-private", "", "--fetch --fetch-private"] {
        let (exit, found) = world.verify_with_issuer(&leaf, more);
        assert_eq!((exit, &found["chain"]["revocation"]), (5, &Value::from("revoked")), "{more}: {found}");
    }
}

#[test]
fn a_forged_list_with_a_late_date_takes_no_free_place() {
    let world = World::new();
    let leaf = world.issue(&Leaf { serial: 89, lists: vec![world.url("/issuing.crl")], ..Leaf::default() });
    let (_, stranger) = super::world::root("Issuing");
    world.give_lists(&[]);
    world.server.give("/issuing.crl", Reply::file(&super::world::list_of(&stranger, &[], 2025)));
    let (exit, found) = world.verify_with_issuer(&leaf, "--fetch --fetch-private");
    assert_eq!((exit, &found["chain"]["revocation"]), (0, &Value::from("unknown")), "{found}");
    assert_eq!(files(&world).len(), 1, "the list of the root, which was signed by it");
    world.server.give("/issuing.crl", Reply::file(&super::world::list_of(&world.issuer, &[89], 2024)));
    for more in ["--fetch --fetch-private", ""] {
        let (exit, found) = world.verify_with_issuer(&leaf, more);
        assert_eq!((exit, &found["chain"]["revocation"]), (5, &Value::from("revoked")), "{more}: {found}");
    }
    // where it stands there all the same, as older builds left it, what comes is judged beside it
    let cache = Home::create(&world.folder.path().join("home")).expect("a home").cache();
    let forged = super::world::list_of(&stranger, &[], 2025);
    let old = Timestamp::from_unix(1_735_689_600);
    let issuer = world.issuing_certificate();
    cache.put(Kind::List, &world.url("/issuing.crl"), Some(issuer.subject()), &forged, (old, None)).expect("kept");
    let (exit, found) = world.verify_with_issuer(&leaf, "--fetch --fetch-private");
    assert_eq!((exit, &found["chain"]["revocation"]), (5, &Value::from("revoked")), "{found}");
}

#[test]
fn an_answer_from_before_replaces_none_from_after() {
    let world = World::new();
    world.give_lists(&[]);
    let leaf = world.issue(&Leaf { serial: 89, responders: vec![world.url("/ocsp")], ..Leaf::default() });
    let cache = Home::create(&world.folder.path().join("home")).expect("a home").cache();
    let request = world.request(&leaf);
    let name: String = base64(&request.to_der());
    let old = Timestamp::from_unix(1_735_689_600);
    let day = |day: i64| old.plus_seconds(day * 86_400);
    cache.put(Kind::Response, &name, None, &world.response(&leaf, Some(day(0)), [day(20), day(20)]), (old, None)).expect("kept");
    // whoever stands on the way gives what the responder signed once: as of an earlier day, or of the same and made earlier
    for at in [[day(19), day(19)], [day(20), day(19)]] {
        world.server.give("/ocsp", Reply::file(&world.response(&leaf, None, at)));
        for more in ["--fetch --fetch-private", "", "--fetch --fetch-private"] {
            let (exit, found) = world.verify_with_issuer(&leaf, more);
            assert_eq!((exit, &found["chain"]["revocation"]), (5, &Value::from("revoked")), "{more}: {found}");
            let told = findings(&found, "not-fetched", "info");
            assert_eq!(told.iter().any(|text| text.contains("is older than one known")), !more.is_empty(), "{found}");
        }
    }
    world.server.give("/ocsp", Reply::file(&world.response(&leaf, None, [day(21), day(21)])));
    let (exit, found) = world.verify_with_issuer(&leaf, "--fetch --fetch-private");
    assert_eq!((exit, &found["chain"]["revocation"]), (0, &Value::from("good")), "{found}");
}

fn base64(bytes: &[u8]) -> String {
    String::from_utf8(sealpost::mime::transfer::encode_base64(bytes)).expect("ASCII").split_whitespace().collect()
}

#[test]
fn a_list_from_before_replaces_none_from_after() {
    let (world, leaf) = revoked_before(|world| super::world::list_of(&world.issuer, &[89], 2023));
    // whoever stands on the way gives what the authority signed once
    world.server.give("/issuing.crl", Reply::file(&super::world::list_of(&world.issuer, &[], 2022)));
    for more in ["--fetch --fetch-private", "", "--fetch --fetch-private"] {
        let (exit, found) = world.verify_with_issuer(&leaf, more);
        assert_eq!((exit, &found["chain"]["revocation"]), (5, &Value::from("revoked")), "{more}: {found}");
        let told = findings(&found, "not-fetched", "info");
        assert_eq!(told.iter().any(|text| text.contains("is older than one known")), !more.is_empty(), "{found}");
    }
    world.give_lists(&[]);
    world.server.give("/issuing.crl", Reply::file(&super::world::list_of(&world.issuer, &[], 2024)));
    let (exit, found) = world.verify_with_issuer(&leaf, "--fetch --fetch-private");
    assert_eq!((exit, &found["chain"]["revocation"]), (0, &Value::from("good")), "{found}");
}

#[test]
fn several_processes_use_one_cache_at_once() {
    let (world, leaf) = filled();
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..6)
            .map(|number| {
                let (world, leaf) = (&world, &leaf);
                scope.spawn(move || {
                    if number % 3 == 0 {
                        for file in files(world) {
                            drop(fs::remove_file(file));
                        }
                    }
                    world.verify(leaf, "--fetch --fetch-private")
                })
            })
            .collect();
        for run in runs {
            let (exit, found) = run.join().expect("it ends");
            assert_eq!((exit, &found["chain"]["revocation"]), (0, &Value::from("good")), "{found}");
        }
    });
    assert!(files(&world).iter().all(|file| !file.file_name().expect("a name").to_string_lossy().starts_with('.')));
}

#[test]
fn mail_goes_to_the_certificate_of_a_person_that_is_not_revoked() {
    let world = World::new();
    let both = [89, 90].map(|serial| world.issue(&Leaf { serial, lists: vec![world.url("/issuing.crl")], ..Leaf::default() }));
    let home = Home::create(&world.folder.path().join("home")).expect("a home");
    home.add_intermediate(&world.issuing_certificate()).expect("kept");
    world.run(&format!("trust add {}", world.path("root.pem")));
    both.iter().for_each(|issued| home.add_contact(&issued.certificate).expect("kept"));
    fs::write(world.path("letter"), super::world::LETTER).expect("written");
    let (letter, out) = (world.path("letter"), world.path("out"));
    let encrypt = |revoked: &[u64]| {
        home.write_crl("issuing.crl", &super::world::list(&world.issuer, revoked)).expect("kept");
        world.run(&format!("encrypt --to jane@a.example {letter} -o {out} --force"))
    };
    for (revoked, other) in [(89, "5a"), (90, "59")] {
        let (exit, talk) = encrypt(&[revoked]);
        assert_eq!(exit, 0, "{talk}");
        let (_, seen) = world.run(&format!("inspect {out}"));
        assert!(seen.contains(&format!("serial {other}")) || seen.contains(other), "{revoked}: {seen}");
    }
    let (exit, talk) = encrypt(&[89, 90]);
    assert!(exit == 5 && talk.contains("revoked") && talk.contains("sealpost contact add"), "{exit}: {talk}");
}
