//! `ca list --expiring` and `ca renew --days-left --into`: what a timer runs every day.

use std::collections::BTreeMap;
use std::path::Path;

use sealpost::pki;

use super::sealpost;
use crate::support;

struct Stage(support::Folder);

impl Stage {
    fn new() -> Self {
        let stage = Self(support::Folder::new());
        stage.good("ca init --name Example --domain a.example --algorithm p256");
        stage
    }

    fn good(&self, line: &str) -> String {
        let args: Vec<_> = line.split(' ').map(|word| word.replace("DIR", &self.0.place(""))).collect();
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let (code, out, talk) = sealpost(Path::new(&self.0.place("home")), &args);
        assert_eq!(code, 0, "{line}: {talk}");
        String::from_utf8_lossy(&out).into_owned() + &talk
    }

    /// For whom what is listed is.
    fn expiring(&self, days: u32) -> Vec<String> {
        let listed = self.good(&format!("ca list --expiring {days}"));
        listed.lines().map(|line| line.split_whitespace().nth(1).expect("a name").to_owned()).collect()
    }

    /// What a folder holds, by name.
    fn files(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let read = |entry: std::io::Result<std::fs::DirEntry>| {
            let entry = entry.expect("an entry");
            (entry.file_name().into_string().expect("UTF-8"), std::fs::read(entry.path()).expect("a file"))
        };
        std::fs::read_dir(self.0.place(folder)).expect("a folder").map(read).collect()
    }
}

#[test]
fn lists_and_renews_what_ends_soon_of_people_and_of_servers_and_does_it_once() {
    let stage = Stage::new();
    stage.good("ca issue jane@a.example --algorithm p256 --days 20 -o DIRjane.pem");
    stage.good("ca issue joe@a.example --algorithm p256 --days 300 -o DIRjoe.pem");
    stage.good("ca server-cert mail.a.example --days 10 -o DIRserver.pem --key DIRserver.key");
    // what ends first comes first
    assert_eq!(stage.expiring(30), ["mail.a.example", "jane@a.example"]);
    assert_eq!((stage.expiring(15), stage.expiring(9)), (vec!["mail.a.example".to_owned()], vec![]));
    let renewed = stage.good("ca renew --days-left 30 --into DIRout");
    assert_eq!((renewed.matches("renewed: ").count(), renewed.matches("written: ").count()), (2, 2), "{renewed}");
    let files = stage.files("out");
    assert_eq!(files.keys().collect::<Vec<_>>(), ["jane@a.example.pem", "mail.a.example.pem"]);
    // with its issuer, and for the key that the server has
    for (name, old) in [("jane@a.example.pem", "jane.pem"), ("mail.a.example.pem", "server.pem")] {
        let old = pki::load::certificates(&std::fs::read(stage.0.place(old)).expect("a file")).expect("certificates");
        let new = pki::load::certificates(&files[name]).expect("certificates");
        assert_eq!((new.len(), new[0].spki(), new[1].subject()), (2, old[0].spki(), new[0].issuer()), "{name}");
        assert!(new[0].serial() != old[0].serial() && new[0].not_after() >= old[0].not_after(), "{name}");
        if support::peer("openssl") {
            let (root, new) = (stage.0.place("home/ca/root.pem"), stage.0.place(&format!("out/{name}")));
            let (code, _, talk) =
                support::run("openssl", &["verify", "-x509_strict", "-CAfile", &root, "-untrusted", &new, &new], b"");
            assert_eq!(code, 0, "{name}: {talk}");
        }
    }
    // once more: what lives for so few days is not made again whenever somebody looks
    let again = stage.good("ca renew --days-left 30 --into DIRout");
    assert!(again.contains("nothing ends within 30 days that was not renewed already"), "{again}");
    assert_eq!(stage.files("out"), files);
    assert_eq!(stage.good("ca list").lines().count(), 5);
    stage.good("ca log --verify");
}

#[test]
fn takes_the_place_of_a_certificate_for_the_same_key_and_of_no_other_file() {
    let stage = Stage::new();
    std::fs::create_dir(stage.0.place("out")).expect("made");
    stage.good("ca server-cert mail.a.example --days 10 -o DIRout/mail.a.example.pem --key DIRone.key");
    stage.good("ca server-cert mail.a.example --days 12 -o DIRother.pem --key DIRtwo.key");
    let before = stage.files("out");
    stage.0.write("out/www.a.example.pem", "no certificate");
    stage.good("ca server-cert www.a.example --days 10 -o DIRwww.pem --key DIRwww.key");
    stage.good("ca renew --days-left 30 --into DIRout");
    let after = stage.files("out");
    assert_eq!(after.len(), 4, "{:?}", after.keys());
    assert_ne!(after["mail.a.example.pem"], before["mail.a.example.pem"]);
    let key = |bytes: &[u8]| pki::load::certificates(bytes).expect("certificates")[0].spki().to_vec();
    assert_eq!(key(&after["mail.a.example.pem"]), key(&before["mail.a.example.pem"]));
    assert_eq!(after["www.a.example.pem"], b"no certificate");
    // the others have names of their own, with the serial number
    let others = after.iter().filter(|(name, _)| name.contains("example-") && name.ends_with(".pem"));
    let others: BTreeMap<_, _> = others.map(|(name, bytes)| (name.split("-").next().expect("a host"), key(bytes))).collect();
    assert_eq!(others.keys().copied().collect::<Vec<_>>(), ["mail.a.example", "www.a.example"]);
    let own = |name: &str| key(&std::fs::read(stage.0.place(name)).expect("a file"));
    assert_eq!((&others["mail.a.example"], &others["www.a.example"]), (&own("other.pem"), &own("www.pem")));
}

#[test]
fn what_is_issued_is_told_to_a_program() {
    let stage = Stage::new();
    let json = |line: &str| {
        let args: Vec<_> = line.split(' ').map(|word| word.replace("DIR", &stage.0.place(""))).collect();
        let args: Vec<_> = args.iter().map(String::as_str).chain(["--json"]).collect();
        let (code, out, talk) = sealpost(Path::new(&stage.0.place("home")), &args);
        (code, serde_json::from_slice::<serde_json::Value>(&out).unwrap_or_else(|error| panic!("{line}: {error} {talk}")))
    };
    std::fs::write(stage.0.place("pass"), "correct horse\n").expect("written");
    for line in [
        "ca issue jane@a.example --algorithm p256",
        "ca issue joe@a.example --algorithm p256 --p12 DIRjoe.p12 --passphrase-file DIRpass",
        "ca server-cert mail.a.example -o DIRmail.pem --key DIRmail.key",
    ] {
        let (code, told) = json(line);
        assert_eq!((code, told["schema"].as_str()), (0, Some("sealpost.ca.issue/1")), "{line}");
        assert_eq!(told["certificates"][0]["serial"].as_str().map(str::len), Some(32), "{told}");
    }
    let (code, told) = json("ca export chain -o DIRchain.pem");
    assert_eq!((code, told["certificates"].as_array().map(Vec::len)), (0, Some(2)));
    // a key is not lost for an answer
    let (code, told) = json("ca server-cert www.a.example");
    assert!(code == 2 && told["error"].as_str().is_some_and(|why| why.contains("where the key")), "{told}");
    assert_eq!(stage.good("ca list").lines().count(), 3);
}
