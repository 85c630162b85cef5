//! An authority whose keys lie on tokens: OpenSSL judges what it issues.

use std::path::PathBuf;

use super::{Card, PIN};

const ROOT: (&str, &str) = ("EC:secp384r1", "11");
const MAIL: (&str, &str) = ("rsa:2048", "12");
const SERVERS: (&str, &str) = ("EC:prime256v1", "13");

impl Card {
    /// Has the token make the key of a CA.
    fn ca_key(&self, (kind, id): (&str, &str)) {
        self.opensc(&format!("--keypairgen --key-type {kind} --id {id} --label ca{id} --sensitive --usage-sign"));
    }

    /// An authority with a key on the token for each of these options.
    fn authority(&self, tokens: &[(&str, (&str, &str))], more: &str) -> String {
        tokens.iter().for_each(|(_, key)| self.ca_key(*key));
        let uris: Vec<_> = tokens.iter().map(|(option, (_, id))| format!("{option} pkcs11:token=Card;id=%{id}")).collect();
        let line = format!("ca init --name Example --domain a.example --algorithm p256 {} {more}", uris.join(" "));
        let (code, _, talk) = self.run(&line);
        assert_eq!(code, 0, "{line}\n{talk}");
        self.ok(&format!("ca export root -o {}", self.path("root.pem")));
        self.ok(&format!("ca export issuing -o {}", self.path("issuing.pem")));
        talk
    }

    fn refused(&self, line: &str, code: i32, reasons: &[&str]) {
        let (is, _, talk) = self.run(line);
        assert!(is == code && reasons.iter().all(|reason| talk.contains(reason)), "{line}\n{is} {talk}");
    }

    /// Has OpenSSL follow a certificate to the root, with the lists of `lists.pem` where they are asked for.
    fn reaches_root(&self, certificate: &str, more: &str) {
        let (root, chain) = (self.path("root.pem"), self.path(certificate));
        self.openssl(&format!("verify -x509_strict -CAfile {root} -untrusted {chain} {more} {chain}"));
    }

    fn serial_of(&self, who: &str) -> String {
        let listed = self.ok("ca list");
        let line = listed.lines().rev().find(|line| line.contains(who)).unwrap_or_else(|| panic!("{who}: {listed}"));
        line.split(' ').next().expect("a serial").to_owned()
    }

    /// Every file of the home's CA, by its name.
    fn ca_files(&self) -> Vec<PathBuf> {
        let folder = std::fs::read_dir(self.path("home/ca")).expect("a folder");
        folder.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file()).collect()
    }
}

#[test]
fn an_authority_on_a_token_does_all_its_work_and_no_file_holds_its_keys() {
    let Some(card) = Card::new() else { return };
    let talk = card.authority(&[("--root-token", ROOT), ("--token", MAIL), ("--servers-token", SERVERS)], "");
    assert!(talk.contains("the CA for mail lies on a token and does not leave it: pkcs11:token=Card;serial="), "{talk}");
    assert!(!talk.contains("without a passphrase"), "there is none that one would protect: {talk}");
    for file in card.ca_files() {
        let text = std::fs::read(&file).expect("a file");
        let text = String::from_utf8_lossy(&text);
        assert!(!text.contains("PRIVATE") && !text.contains(PIN), "{}", file.display());
    }
    assert!(String::from_utf8_lossy(&card.read("home/ca/issuing.uri")).starts_with("pkcs11:token=Card;"));
    let path = |name: &str| card.path(name);
    // a request, a fresh key, a server
    card.openssl(&format!(
        "req -new -newkey rsa:2048 -nodes -keyout {} -out {} -subj /CN=joe@a.example -addext subjectAltName=email:joe@a.example",
        path("joe.key"),
        path("joe.csr")
    ));
    card.ok(&format!("ca issue joe@a.example --csr {} -o {}", path("joe.csr"), path("joe.pem")));
    card.write("two", format!("{PIN}\nsecret\n").as_bytes());
    let line = format!("ca issue eve@a.example --algorithm p256 --p12 {} -o {}", path("eve.p12"), path("eve.pem"));
    let (code, _, talk) = card.run_by(&card.module, "two", &line.split(' ').collect::<Vec<_>>());
    assert_eq!(code, 0, "{talk}");
    card.openssl(&format!("pkcs12 -in {} -noout -passin pass:secret", path("eve.p12")));
    card.ok(&format!("ca server-cert mail.a.example -o {} --key {}", path("server.pem"), path("server.key")));
    card.ok(&format!("ca renew {} -o {}", card.serial_of("joe@"), path("renewed.pem")));
    for (certificate, purpose) in [("joe.pem", "smimeencrypt"), ("eve.pem", "smimesign"), ("renewed.pem", "smimesign")] {
        card.reaches_root(certificate, &format!("-purpose {purpose}"));
    }
    card.reaches_root("server.pem", "-purpose sslserver");
    // lists and answers
    card.ok(&format!("ca revoke {} --reason key-compromise", card.serial_of("eve@")));
    card.ok(&format!("ca crl -o {}", path("lists.pem")));
    card.reaches_root("joe.pem", &format!("-crl_check_all -CRLfile {}", path("lists.pem")));
    let checked = format!(
        "verify -CAfile {} -untrusted {} -crl_check_all -CRLfile {} {}",
        path("root.pem"),
        path("issuing.pem"),
        path("lists.pem"),
        path("eve.pem")
    );
    let (code, out, talk) = card.tool("openssl", &checked.split(' ').collect::<Vec<_>>());
    assert!(code != 0 && format!("{}{talk}", String::from_utf8_lossy(&out)).contains("certificate revoked"), "{talk}");
    card.ok("ca publish");
    assert!(card.ca_files().len() > 3 && PathBuf::from(path("home/ca/public/issuing.crl")).exists());
    card.ok("ca renew-issuing");
    card.ok(&format!("ca export chain -o {}", path("again.pem")));
    card.reaches_root("again.pem", "");
    card.ok("ca suspend joe@a.example");
    card.ok("ca resume joe@a.example");
    card.ok("ca log --verify");
}

#[test]
fn the_rest_of_an_authority_lies_under_a_passphrase_that_is_no_pin() {
    let Some(card) = Card::new() else { return };
    card.ca_key(MAIL);
    card.write("both", format!("correct horse\n{PIN}\n").as_bytes());
    card.write("phrase", b"correct horse\n");
    let run = |pins: &str, line: &str| card.run_by(&card.module, pins, &line.split(' ').collect::<Vec<_>>());
    let init = "ca init --name Example --domain a.example --algorithm p256 --token pkcs11:token=Card;id=%12";
    let (code, _, talk) = run("phrase", init);
    assert!(code == 2 && talk.contains("is not tried as the PIN of the token Card") && talk.contains("line after it"), "{talk}");
    assert!(!PathBuf::from(card.path("home/ca/root.pem")).exists());
    assert_eq!(run("both", init).0, 0);
    let locked = |name: &str| String::from_utf8_lossy(&card.read(name)).contains("ENCRYPTED PRIVATE KEY");
    assert!(locked("home/ca/servers.key") && locked("home/ca/root.key"));
    let jane = card.path("jane.pem");
    let issue = format!("ca issue jane@a.example --algorithm p256 -o {jane}");
    let (code, _, talk) = run("phrase", &issue);
    assert!(code == 2 && talk.contains("line after it"), "{code} {talk}");
    let (code, _, talk) = run("both", &issue);
    assert_eq!(code, 0, "{talk}");
    assert_eq!(run("both", "ca crl").0, 0);
    assert_eq!(run("both", "ca renew-issuing").0, 0);
    // the token's PIN is not what protects jane's key
    let letter = card.path("letter.eml");
    assert_eq!(run("phrase", &format!("sign {letter} --as jane@a.example -o {}", card.path("signed.eml"))).0, 0);
    let listed = card.ok("ca list");
    assert_eq!(listed.lines().count(), 1, "nothing was issued by what was refused: {listed}");
}

#[test]
fn a_pin_protects_no_key_of_a_person() {
    let Some(card) = Card::new() else { return };
    card.authority(&[("--root-token", ROOT), ("--token", MAIL), ("--servers-token", SERVERS)], "");
    for line in ["ca issue jane@a.example --algorithm p256", "id new jane@a.example --algorithm p256"] {
        card.refused(line, 2, &["is not tried as the PIN of the token Card", "write the PIN into the line after it"]);
    }
    assert_eq!(card.ok("ca list"), "");
}

#[test]
fn an_offline_root_stays_on_a_token_that_the_home_does_not_name() {
    let Some(card) = Card::new() else { return };
    let keys = [("--root-token", ROOT), ("--token", MAIL), ("--servers-token", SERVERS)];
    let talk = card.authority(&keys, "--offline-root");
    assert!(talk.contains("needs --root-key 'pkcs11:token=Card;"), "{talk}");
    assert!(!card.ca_files().iter().any(|file| file.ends_with("root.uri") || file.ends_with("root.key")));
    let lists = |line: &str| {
        card.ok(&format!("{line} -o {} --force", card.path("lists.pem")));
        String::from_utf8_lossy(&card.read("lists.pem")).matches("BEGIN X509 CRL").count()
    };
    assert_eq!(lists("ca crl"), 2);
    assert_eq!(lists("ca crl --root-key pkcs11:token=Card;id=%11"), 3);
    card.refused("ca renew-issuing", 8, &["the root is offline", "PKCS#11 URI"]);
    card.refused("ca renew-issuing --root-key pkcs11:id=%13", 6, &["another than that of the certificate"]);
    card.ok("ca renew-issuing --root-key pkcs11:id=%11");
}

#[test]
fn says_what_an_authority_cannot_have_on_a_token() {
    let Some(card) = Card::new() else { return };
    card.ca_key(MAIL);
    card.ca_key(ROOT);
    let init = |more: &str, code: i32, reasons: &[&str]| {
        card.refused(&format!("ca init --name Example {more}"), code, reasons);
        assert!(!PathBuf::from(card.path("home/ca/root.pem")).exists(), "{more}");
    };
    card.write("pin", format!("phrase\n{PIN}\n").as_bytes());
    let make = "the token holds no private key that fits pkcs11:id=%77";
    init("--token pkcs11:id=%77", 6, &["the key of the CA for mail", make, "pkcs11-tool", "--keypairgen"]);
    init("--token pkcs11:id=%12 --root-token pkcs11:id=%12", 8, &["would be that of two CAs, root and issuing"]);
    init("--token pkcs11:id=%12;id=%13", 2, &["names id twice"]);
    init("--offline-root", 2, &["does not say where the root's key goes", "--root-token URI"]);
    let both = format!("--root-token pkcs11:id=%11 --offline-root --root-key {}", card.path("root.key"));
    init(&both, 2, &["cannot be used with"]);
    card.opensc("--keypairgen --key-type EC:secp521r1 --id 14 --label odd --usage-sign");
    init("--token pkcs11:token=Other", 6, &["no token fits pkcs11:token=Other"]);
}

#[test]
fn says_what_to_do_where_the_token_is_gone_or_its_pin_is_wrong() {
    let Some(card) = Card::new() else { return };
    card.authority(&[("--root-token", ROOT), ("--token", MAIL), ("--servers-token", SERVERS)], "");
    let server = format!("ca server-cert mail.a.example -o {} --key {}", card.path("server.pem"), card.path("server.key"));
    card.write("wrong", b"654321\n");
    let run = |pin: &str, line: &str| card.run_by(&card.module, pin, &line.split(' ').collect::<Vec<_>>());
    let (code, _, talk) = run("wrong", &server);
    assert!(code == 2 && talk.contains("the PIN of the token Card is wrong") && talk.contains("is not tried again"), "{talk}");
    for entry in std::fs::read_dir(card.path("tokens")).expect("a folder") {
        std::fs::remove_dir_all(entry.expect("an entry").path()).expect("removed");
    }
    for line in [server.as_str(), "ca crl", "ca publish", "ca suspend joe@a.example"] {
        let (code, _, talk) = run("pin", line);
        let wanted = if line.contains("suspend") { "no valid certificate" } else { "no token fits pkcs11:token=Card" };
        assert!(code != 0 && talk.contains(wanted), "{line}: {code} {talk}");
        assert!(line.contains("suspend") || code == 6 && talk.contains("hint: plug the token in"), "{line}: {code} {talk}");
    }
    // what needs no key goes on
    assert_eq!(card.ok("ca list"), "");
    card.ok("ca log --verify");
    card.ok("ca export chain");
}
