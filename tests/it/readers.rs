//! Who reads what is encrypted, where the options, a bundle or a lack of certificates decide it; and what is said to those who cannot.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{self, Folder};

const AT: [&str; 2] = ["--at", "2026-06-01T00:00:00Z"];

fn cast(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("certs").join(name).display().to_string()
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(cast(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

const LETTER: &str = "From: alice@example.com\r\nTo: bob@example.org\r\nCc: carol@example.org\r\nBcc: mallory@example.net\r\nSubject: x\r\n\r\nHi.\r\n";

/// A home that knows these people, and a letter.
fn knowing(people: &[&str]) -> Folder {
    let folder = Folder::new();
    folder.write("m.eml", LETTER);
    for who in people {
        folder.good(&["contact", "add", &cast(&format!("{who}.pem"))]);
    }
    folder
}

/// Runs a verb as of the time of the cast; gives the exit code, and what it says.
fn talk(folder: &Folder, args: &[&str]) -> (i32, String) {
    let (code, _, talk) = folder.run(&[args, &AT].concat());
    (code, talk)
}

fn told(folder: &Folder, args: &[&str]) -> Value {
    folder.json(&[args, &AT, &["--json"]].concat())
}

/// Whether one of the cast can read a message.
fn can_read(folder: &Folder, who: &str, file: &str) -> bool {
    let (cert, key) = (cast(&format!("{who}.pem")), cast(&format!("{who}.key")));
    folder.run(&["decrypt", file, "--cert", &cert, "--key", &key]).0 == 0
}

#[test]
fn those_whom_the_options_leave_out_are_named() {
    let folder = knowing(&["alice", "bob", "carol"]);
    let signer = ["--cert", &cast("alice.pem"), "--key", &cast("alice.key"), "--chain", &cast("issuing.pem")];
    for (verb, more) in [("encrypt", &[][..]), ("seal", &signer[..])] {
        let chosen = [&[verb, "m.eml", "-o", "e.eml", "--force", "--to", "bob@example.org"], more].concat();
        assert_eq!(told(&folder, &chosen)["left_out"], json!(["carol@example.org", "mallory@example.net"]), "{verb}");
        let (code, talk) = talk(&folder, &chosen);
        let named =
            "warning: the message is encrypted to no certificate of carol@example.org, mallory@example.net, whom it names";
        assert!(code == 0 && talk.contains(named), "{verb}: {talk}");
        let hint = "hint: add --to carol@example.org --bcc mallory@example.net – first the certificate of mallory@example.net with \
                    `sealpost contact add FILE`";
        assert!(talk.contains(hint), "{verb}: {talk}");
        // as the hint says
        folder.good(&["contact", "add", &cast("mallory.pem")]);
        let all = [&chosen[..], &["--to", "carol@example.org", "--bcc", "mallory@example.net"]].concat();
        assert_eq!(told(&folder, &all)["left_out"], json!([]), "{verb}");
        assert!(can_read(&folder, "carol", "e.eml") && can_read(&folder, "mallory", &folder.place("e.bcc-1.eml")), "{verb}");
        let everybody = [&[verb, "m.eml", "-o", "e.eml", "--force"], more].concat();
        assert_eq!(told(&folder, &everybody)["left_out"], json!([]), "{verb}");
        folder.good(&["contact", "remove", "mallory@example.net"]);
    }
}

#[test]
fn the_hint_for_an_unknown_reader_lets_all_of_them_read() {
    let folder = knowing(&["alice", "bob"]);
    folder.write("two.eml", LETTER.replace("Bcc: mallory@example.net\r\n", ""));
    let (code, talk) = talk(&folder, &["encrypt", "two.eml", "-o", "e.eml"]);
    assert!(code == 3 && talk.contains("no valid certificate of carol@example.org is known"), "{code}: {talk}");
    let hint = "hint: add it with `sealpost contact add FILE`, then do this again; or name everybody: --to bob@example.org --to-cert FILE";
    assert!(talk.contains(hint), "{talk}");
    let carol = cast("carol.pem");
    let named = ["encrypt", "two.eml", "-o", "e.eml", "--force", "--to", "bob@example.org", "--to-cert", &carol];
    assert_eq!(told(&folder, &named)["left_out"], json!([]));
    assert!(["alice", "bob", "carol"].iter().all(|who| can_read(&folder, who, "e.eml")));
    // in place of an option that names him
    let (_, talk) =
        self::talk(&folder, &["encrypt", "two.eml", "-o", "e2.eml", "--to", "bob@example.org", "--to", "carol@example.org"]);
    assert!(talk.contains("or give --to-cert FILE in place of --to carol@example.org"), "{talk}");
    // several are told at once, and there is no option for a file of somebody in Bcc
    let (code, talk) = self::talk(&folder, &["encrypt", "m.eml", "-o", "e3.eml"]);
    assert!(code == 3 && talk.contains("no valid certificate of carol@example.org, mallory@example.net is known"), "{talk}");
    assert!(talk.contains("add them with") && !talk.contains("--to-cert"), "{talk}");
}

#[test]
fn what_is_no_address_is_a_mistake_of_the_command_line() {
    let folder = knowing(&["alice", "bob"]);
    for text in ["not an address", "bob", "bob@", "Bob <bob@example.org>", "bob@example.org, carol@example.org"] {
        for option in ["--to", "--bcc"] {
            let (code, talk) = talk(&folder, &["encrypt", "m.eml", "-o", "e.eml", option, text]);
            assert!(code == 2 && talk.contains("is not a mail address"), "{option} {text}: {code} {talk}");
        }
    }
    // one that may be, and is not known
    assert_eq!(talk(&folder, &["encrypt", "m.eml", "-o", "e.eml", "--to", "\"b o b\"@example.org"]).0, 3);
}

#[test]
fn a_sender_who_gives_his_certificate_reads() {
    let folder = knowing(&["bob", "carol"]);
    let alice = cast("alice.pem");
    let line = ["encrypt", "m.eml", "-o", "e.eml", "--to", "bob@example.org", "--to-cert", &alice, "--bcc", "carol@example.org"];
    let (code, talk) = talk(&folder, &line);
    assert!(code == 0 && !talk.contains("will not be able to read this message"), "{code}: {talk}");
    assert_eq!(told(&folder, &[&line[..], &["--force"]].concat())["sender_reads"], true);
    assert!(can_read(&folder, "alice", "e.eml") && can_read(&folder, "alice", "e.bcc-1.eml"), "the hidden copy, too");
    // as the hint says, where his key is elsewhere
    let line = ["encrypt", "m.eml", "-o", "e2.eml", "--to", "bob@example.org"];
    let (_, talk) = self::talk(&folder, &line);
    assert!(talk.contains("add your certificate with `sealpost contact add FILE`") && !talk.contains("--to-cert"), "{talk}");
    folder.good(&["contact", "add", &alice]);
    assert_eq!(told(&folder, &[&line[..], &["--force"]].concat())["sender_reads"], true);
}

/// A certificate for the key of one of the cast that says nothing of what its owner reads.
fn silent(who: &str, address: &str) -> String {
    let key = String::from_utf8(read(&format!("{who}.key"))).expect("ASCII");
    let key = rcgen::KeyPair::from_pem(&key).expect("a key");
    let mut params = support::params(who);
    params.subject_alt_names = vec![rcgen::SanType::Rfc822Name(address.try_into().expect("ASCII"))];
    params.self_signed(&key).expect("a certificate").pem()
}

#[test]
fn the_senders_copy_has_oaep_only_where_he_is_known_to_read_it() {
    let folder = knowing(&["bob"]);
    folder.write("silent.pem", silent("alice", "alice@example.com"));
    folder.write("m.eml", "From: alice@example.com\r\nTo: bob@example.org\r\n\r\nHi.\r\n");
    let key = cast("alice.key");
    let of = |cert: &str, more: &[&str]| {
        let line = ["seal", "m.eml", "-o", "e.eml", "--force", "--cert", cert, "--key", &key];
        let told = told(&folder, &[&line[..], more].concat());
        assert_eq!(told["recipients"][0]["algorithm"].as_str().map(|name| name.starts_with("rsa-")), Some(true));
        (told["cipher"].clone(), told["why"].clone(), told["recipients"][1].clone())
    };
    let (cipher, why, own) = of("silent.pem", &[]);
    assert_eq!(
        (cipher, &own["algorithm"], &own["why"]),
        (json!("aes-256-gcm"), &json!("rsa-pkcs1"), &json!("not known to read OAEP"))
    );
    assert_eq!(why, "every recipient but alice@example.com, who writes, is known to read it");
    let (cipher, why, own) = of(&cast("alice.pem"), &[]);
    assert_eq!(
        (cipher, &own["algorithm"], &own["why"]),
        (json!("aes-256-gcm"), &json!("rsa-oaep-sha256"), &json!("known to be read"))
    );
    assert_eq!(why, "every recipient is known to read it");
    assert_eq!(of("silent.pem", &["--key-transport", "oaep"]).2["algorithm"], "rsa-oaep-sha256");
}

#[test]
fn a_key_that_only_signs_is_told_with_what_helps() {
    let folder = Folder::new();
    folder.good(&["ca", "init", "--name", "Test", "--algorithm", "p256"]);
    let (code, _, talk) = folder.run(&["id", "new", "jane@a.example", "--algorithm", "ed25519"]);
    let hint = "sealpost id new jane@a.example --algorithm p256";
    assert!(code == 0 && talk.contains("nobody can encrypt to jane@a.example") && talk.contains(hint), "{code}: {talk}");
    folder.good(&["id", "new", "joe@a.example", "--algorithm", "p256"]);
    folder.write("m.eml", "From: jane@a.example\r\nTo: joe@a.example\r\n\r\nHi.\r\n");
    let seal = ["seal", "m.eml", "-o", "s.eml", "--force"];
    let (code, _, talk) = folder.run(&seal);
    assert!(code == 0 && talk.contains("your key can only sign") && talk.contains(hint), "{code}: {talk}");
    // as the hint says
    let (code, _, talk) = folder.run(&["id", "new", "jane@a.example", "--algorithm", "p256"]);
    assert!(code == 0 && !talk.contains("can only sign"), "{talk}");
    assert_eq!(folder.json(&[&seal[..], &["--json"]].concat())["sender_reads"], true);
    // who has another to read with is not warned
    let (_, out, talk) = folder.run(&["id", "new", "jane@a.example", "--algorithm", "ed25519", "--json"]);
    let made: Value = serde_json::from_slice(&out).expect("JSON");
    assert!(!talk.contains("can only sign") && made["identities"][0]["encrypts"] == false, "{talk}");
}

/// A message that holds certificates and nothing else.
fn handing_over(folder: &Folder, certificates: &[&str]) {
    let (all, der) = (folder.place("all.pem"), folder.place("all.p7c"));
    folder.write("all.pem", certificates.iter().map(|name| read(name)).collect::<Vec<_>>().concat());
    let (code, _, error) =
        support::run("openssl", &["crl2pkcs7", "-nocrl", "-certfile", &all, "-outform", "DER", "-out", &der], b"");
    assert_eq!(code, 0, "{error}");
    let base64 = sealpost::mime::transfer::encode_base64(&std::fs::read(der).expect("made"));
    let head = "From: bob@example.org\r\nContent-Type: application/pkcs7-mime; smime-type=certs-only; name=smime.p7c\r\n\
                Content-Transfer-Encoding: base64\r\n\r\n";
    folder.write("certs.eml", [head.as_bytes(), &base64].concat());
}

#[test]
fn a_message_that_hands_over_certificates_makes_contacts_as_its_file_does() {
    if !support::peer("openssl") {
        return;
    }
    let folder = Folder::new();
    handing_over(&folder, &["root.pem", "issuing.pem", "bob.pem", "carol.pem"]);
    let (code, _, error) = folder.run(&["contact", "add", "certs.eml"]);
    assert!(code == 0 && error.contains("nobody signed the message"), "{code}: {error}");
    let known = folder.json(&["contact", "list", "--json"]);
    let known = known["certificates"].as_array().expect("certificates").iter().map(|one| one["addresses"][0].as_str());
    let known: std::collections::BTreeSet<_> = known.collect();
    assert_eq!(known, [Some("bob@example.org"), Some("carol@example.org")].into(), "people, and not those above them");
    // the command that helps is told
    let (code, out, _) = folder.run(&["verify", "certs.eml", "--json"]);
    let verdict: Value = serde_json::from_slice(&out).expect("JSON");
    let finding = verdict["findings"].as_array().expect("findings").iter().find(|found| found["code"] == "certificates-only");
    assert_eq!((code, &finding.expect("it is said")["fix"]), (7, &json!("sealpost contact add MSG")));
    handing_over(&folder, &["root.pem", "issuing.pem"]);
    let (code, _, error) = folder.run(&["contact", "add", "certs.eml"]);
    assert!(code == 8 && error.contains("no certificate of a person"), "{code}: {error}");
}

#[test]
fn of_a_bundle_its_owner_reads_and_two_people_are_refused() {
    let folder = knowing(&["alice"]);
    let bundle = |names: &[&str]| folder.write("bundle.pem", names.iter().map(|name| read(name)).collect::<Vec<_>>().concat());
    let line = ["encrypt", "m.eml", "-o", "e.eml", "--force", "--to-cert", "bundle.pem"];
    for names in [&["bob.pem", "issuing.pem", "root.pem"], &["root.pem", "issuing.pem", "bob.pem"]] {
        bundle(names);
        let (code, talk) = talk(&folder, &line);
        assert!(code == 0 && can_read(&folder, "bob", "e.eml"), "{names:?}: {code} {talk}");
    }
    bundle(&["bob.pem", "carol.pem", "issuing.pem"]);
    let (code, talk) = talk(&folder, &line);
    assert!(code == 2 && talk.contains("several people: bob@example.org, carol@example.org"), "{code}: {talk}");
    assert!(talk.contains("`sealpost contact add FILE`, then name whom you mean with --to ADDR"), "{talk}");
    // also where the other one can only sign
    let signs = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    let mut params = support::params("Erin");
    params.subject_alt_names = vec![rcgen::SanType::Rfc822Name("erin@example.org".try_into().expect("ASCII"))];
    let erin = params.self_signed(&signs).expect("a certificate");
    folder.write("bundle.pem", [erin.pem().into_bytes(), read("bob.pem")].concat());
    let (code, talk) = self::talk(&folder, &line);
    assert!(code == 2 && talk.contains("several people: erin@example.org, bob@example.org"), "{code}: {talk}");
    // two of one person: the one that is valid and begins last
    folder.write("bundle.pem", [silent("carol", "bob@example.org").into_bytes(), read("bob.pem")].concat());
    let (code, talk) = self::talk(&folder, &line);
    assert!(code == 0 && can_read(&folder, "bob", "e.eml"), "{code}: {talk}");
    // one that people make for themselves is often marked as a CA's
    let mut params = support::params("Dana");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let dana = params.self_signed(&rcgen::KeyPair::generate().expect("a key")).expect("a certificate");
    folder.write("bundle.pem", dana.pem());
    let (code, talk) = self::talk(&folder, &line);
    assert!(code == 0 && talk.contains("Dana"), "{code}: {talk}");
}

#[test]
fn certificates_in_base64_without_lines_around_are_read() {
    let folder = Folder::new();
    let text = |name: &str| {
        let pem = String::from_utf8(read(name)).expect("ASCII");
        pem.lines().filter(|line| !line.starts_with('-') && !line.contains(':')).map(str::to_owned).collect::<Vec<_>>()
    };
    folder.write("bob.txt", text("bob.pem").join("\r\n"));
    folder.write("line.txt", text("bob.pem").concat());
    folder.write("root.txt", text("root.pem").join("\n") + "\n");
    folder.write("alice.txt", text("alice.pem").join("\n"));
    folder.good(&["trust", "add", "root.txt"]);
    folder.good(&["contact", "add", "bob.txt"]);
    folder.write("m.eml", "From: alice@example.com\r\nTo: bob@example.org\r\n\r\nHi.\r\n");
    folder.good(&[
        "seal",
        "m.eml",
        "-o",
        "s.eml",
        "--cert",
        "alice.txt",
        "--key",
        &cast("alice.key"),
        "--to-cert",
        "line.txt",
        AT[0],
        AT[1],
    ]);
    assert!(can_read(&folder, "bob", "s.eml"));
    folder.write("list.txt", text("issuing.crl").join("\n"));
    let line = ["cert", "verify", &cast("revoked.pem"), "--trust", "root.txt", "--intermediates", &cast("issuing.pem")];
    assert_eq!(folder.run(&[&line[..], &AT].concat()).0, 0);
    assert_eq!(folder.run(&[&line[..], &["--crl", "list.txt"], &AT].concat()).0, 5);
    // what is base64 and no certificate is still none
    folder.write("none.txt", "MAMCAQE=");
    assert_eq!(folder.run(&["trust", "add", "none.txt"]).0, 8);
}

/// The finding with this code, of a verb that ends so.
fn fix(folder: &Folder, args: &[&str], (exit, code): (i32, &str)) -> (String, String) {
    let (is, out, talk) = folder.run(&[args, &["--json"]].concat());
    assert_eq!(is, exit, "{args:?}: {talk}");
    let verdict: Value = serde_json::from_slice(&out).expect("JSON");
    let finding =
        verdict["findings"].as_array().expect("findings").iter().find(|found| found["code"] == code).expect("it is said");
    let text = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    (text("text"), text("fix"))
}

#[test]
fn the_fix_is_for_what_the_message_needs() {
    let folder = knowing(&["bob"]);
    folder.write("m.eml", "From: alice@example.com\r\nTo: bob@example.org\r\n\r\nHi.\r\n");
    folder.good(&["encrypt", "m.eml", "-o", "e.eml", AT[0], AT[1]]);
    let no_key = (6, "no-key");
    assert_eq!(fix(&folder, &["open", "e.eml"], no_key).1, "sealpost id import FILE");
    let (text, help) = fix(&folder, &["verify", "e.eml"], (7, "not-signed"));
    assert!(text.contains("the message is encrypted") && help == "sealpost open MSG", "{text}: {help}");
    assert_eq!(fix(&folder, &["verify", "m.eml"], (7, "not-signed")).1, "");
    // a key that is here
    folder.write("pass.txt", "secret");
    folder.write("bob-all.pem", ["bob.key", "bob.pem", "issuing.pem"].map(read).concat());
    folder.good(&["id", "import", "bob-all.pem", "--passphrase-file", "pass.txt"]);
    let (text, help) = fix(&folder, &["open", "e.eml"], no_key);
    assert!(
        text.ends_with("the key of bob@example.org is locked") && help.ends_with(" --passphrase-file FILE"),
        "{text}: {help}"
    );
    folder.good(&["open", "e.eml", "--passphrase-file", "pass.txt"]);
    if !support::peer("openssl") {
        return;
    }
    let kek = "07".repeat(32);
    let (message, locked) = (folder.place("m.eml"), folder.place("l.eml"));
    let lock = |how: &[&str]| {
        let (code, _, error) =
            support::run("openssl", &[&["cms", "-encrypt", "-aes256", "-in", &message, "-out", &locked], how].concat(), b"");
        assert_eq!(code, 0, "{error}");
    };
    lock(&["-pwri_password", "secret"]);
    let (text, help) = fix(&folder, &["decrypt", "l.eml"], no_key);
    assert!(text.ends_with("a password opens it") && help.ends_with(" --passphrase-file FILE"), "{text}: {help}");
    lock(&["-secretkey", &kek, "-secretkeyid", "01"]);
    let (text, help) = fix(&folder, &["decrypt", "l.eml"], no_key);
    assert!(text.ends_with("a key-encryption key opens it") && help.ends_with(" --kek FILE"), "{text}: {help}");
    assert_eq!(fix(&folder, &["verify", "l.eml"], (7, "not-signed")).1, "sealpost open MSG");
    // the file's own fault is told of the file
    for length in [0, 4, 15, 33] {
        folder.write("kek.txt", vec![0xee; length]);
        let (code, _, talk) = folder.run(&["decrypt", "l.eml", "--kek", "kek.txt"]);
        assert!(
            code == 8 && talk.contains("kek.txt holds no key-encryption key") && !talk.contains("malformed"),
            "{length}: {code} {talk}"
        );
    }
    for right in [kek.clone().into_bytes(), vec![7; 32]] {
        folder.write("kek.txt", right);
        folder.good(&["decrypt", "l.eml", "--kek", "kek.txt"]);
    }
}
