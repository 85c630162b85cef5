//! `ca issue --csv`: all rows or none, a passphrase each, and going on after an interruption.

use std::fs;
use std::path::Path;

use sealpost::keys::pkcs12;
use sealpost::limits::Limits;
use sealpost::secret::Secret;

use super::sealpost;

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().expect("a folder"));
        let init = ["ca", "init", "--name", "Example Org", "--domain", "a.example", "--algorithm", "p256"];
        assert_eq!(sealpost(home.0.path(), &init).0, 0);
        home
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// Issues what this table says; the exit code and the words.
    fn issue(&self, table: &str, more: &[&str]) -> (i32, String) {
        fs::write(self.path("people.csv"), table).expect("written");
        let args = ["ca", "issue", "--algorithm", "p256", "--csv", &self.path("people.csv"), "--p12-dir", &self.path("p12")];
        let (code, _, talk) = sealpost(self.0.path(), &[&args[..], more].concat());
        (code, talk)
    }

    fn issued(&self) -> usize {
        String::from_utf8(sealpost(self.0.path(), &["ca", "list"]).1).expect("text").lines().count()
    }
}

#[test]
fn each_row_gets_its_certificate_and_a_passphrase_of_its_own() {
    let home = Home::new();
    let (code, talk) =
        home.issue("address,name,usage\njane@a.example,Jane Doe,\njoe@a.example,,sign\n", &["-o", &home.path("pem")]);
    assert_eq!((code, talk.as_str()), (0, "issued: 2, skipped: 0\n"));
    assert_eq!(home.issued(), 2);
    let list = fs::read_to_string(home.path("p12/passphrases.csv")).expect("the passphrases");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |name: &str| fs::metadata(home.path(name)).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode("p12/passphrases.csv"), mode("p12/jane@a.example.p12")), (0o600, 0o600));
    }
    let rows: Vec<Vec<&str>> = list.lines().skip(1).map(|line| line.split(',').collect()).collect();
    assert_eq!(
        rows.iter().map(|row| row[1].trim_matches('"')).collect::<Vec<_>>(),
        ["jane@a.example.p12", "joe@a.example.sign.p12"]
    );
    assert_ne!(rows[0][2], rows[1][2]);
    for row in rows {
        assert_eq!(row[2].len(), 31, "26 letters and 5 hyphens");
        let file = fs::read(home.path(&format!("p12/{}", row[1].trim_matches('"')))).expect("the file");
        let read = pkcs12::read(&file, Some(&Secret::new(row[2].as_bytes().to_vec())), &Limits::default()).expect("opens");
        assert_eq!(read.keys.len(), 1);
    }
    assert!(Path::new(&home.path("pem/joe@a.example.sign.pem")).exists());
}

#[test]
fn refuses_the_whole_table_for_one_bad_row_and_says_its_line() {
    let home = Home::new();
    for (table, said) in [
        ("address\njane@a.example\njoe@other.example\n", "line 3: joe@other.example of CN=joe@other.example is outside of what"),
        ("address\njane@a.example\njoe\n", "line 3: joe is not a mail address"),
        ("address,days\njane@a.example,30\njoe@a.example,soon\n", "line 3: soon is no number of days"),
        ("address,days\njane@a.example,9999\n", "line 2: 9999 days are not possible – 1 to 825"),
        ("address,usage\njane@a.example,both\n", "line 2: the usage both is not known – dual, sign, encrypt"),
        ("address,algorithm\njane@a.example,rsa1024\n", "line 2: the algorithm rsa1024 is not known"),
        ("address,algorithm,usage\njane@a.example,ed25519,encrypt\n", "line 2: a key of the kind ed25519 cannot encrypt"),
        ("address,profile\njane@a.example,sponsor\n", "line 2: a certificate of the profile sponsor names a person"),
        (
            "address,profile,name\njane@a.example,sponsor,Jane\n",
            "line 2: a certificate that names Example Org needs its organization id",
        ),
        ("address,profile,name\njane@a.example,mailbox,Jane\n", "line 2: a certificate of the profile mailbox names nobody"),
        ("address,colour\njane@a.example,red\n", "line 1: the column colour is not known"),
        ("address,name\njane@a.example\n", "line 2: 1 fields where there are 2 columns"),
        ("address\njane@a.example\n\"joe@a.example\n", "line 3: a quotation mark is not closed"),
        ("address\njane@a.example\nJANE@a.example\n", "line 3: it has the address and the usage of line 2"),
        ("address,csr\njane@a.example,no.csr\n", "line 2: "),
        ("address,csr\njane@a.example,/etc/hostname\n", "line 2: the request /etc/hostname is not in the folder of the table"),
        ("address,csr\njane@a.example,sub/../../x\n", "line 2: the request sub/../../x is not in the folder of the table"),
    ] {
        let (code, talk) = home.issue(table, &[]);
        assert!(code == 8 && talk.contains(said) && talk.contains("nothing was issued"), "{said}: {code} {talk}");
    }
    assert_eq!(home.issued(), 0);
    assert!(!Path::new(&home.path("p12")).exists());
}

#[test]
fn names_every_bad_line_before_anything_is_issued() {
    let home = Home::new();
    let table = "address,days\njane@a.example,30\njoe\nann@a.example,soon\neve@other.example,\nJANE@a.example,\n";
    let (code, talk) = home.issue(table, &[]);
    assert_eq!((code, home.issued()), (8, 0), "{talk}");
    let wanted = [
        "4 lines are wrong:",
        "  line 3: 1 fields where there are 2 columns",
        "  line 4: soon is no number of days",
        "  line 5: eve@other.example of CN=eve@other.example is outside of what",
        "  line 6: it has the address and the usage of line 2",
        "nothing was issued",
    ];
    let lines: Vec<&str> = talk.lines().collect();
    assert_eq!(lines.len(), wanted.len(), "{talk}");
    for (line, wanted) in lines.iter().zip(wanted) {
        assert!(line.contains(wanted), "{wanted}: {talk}");
    }
}

#[test]
fn a_table_of_requests_is_issued_with_no_key_made_and_says_every_request_that_is_refused() {
    if !crate::support::peer("openssl") {
        return;
    }
    let home = Home::new();
    let request = |name: &str, more: &[&str]| {
        let (out, key) = (home.path(&format!("{name}.csr")), home.path(&format!("{name}.key")));
        let curve = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let place = ["-subj", "/", "-keyout", &key, "-out", &out];
        let (code, _, talk) = crate::support::run("openssl", &[&curve[..], &place, more].concat(), b"");
        assert_eq!(code, 0, "{talk}");
    };
    request("jane", &[]);
    request("joe", &[]);
    request("ca", &["-addext", "basicConstraints=CA:TRUE"]);
    request("host", &["-addext", "subjectAltName=DNS:a.example"]);
    let bad = "address,csr\njane@a.example,jane.csr\nca@a.example,ca.csr\nhost@a.example,host.csr\njoe@a.example,jane.csr\n";
    let (code, talk) = home.issue(bad, &["-o", &home.path("pem")]);
    assert_eq!((code, home.issued()), (8, 0), "{talk}");
    for said in [
        "3 lines are wrong",
        "line 3: the request asks for what",
        "line 4: the request asks for what",
        "line 5: its key is that of",
    ] {
        assert!(talk.contains(said), "{said}: {talk}");
    }
    let good = "address,csr\njane@a.example,jane.csr\njoe@a.example,joe.csr\n";
    assert_eq!(home.issue(good, &["-o", &home.path("pem")]), (0, "issued: 2, skipped: 0\n".to_owned()));
    assert!(Path::new(&home.path("pem/joe@a.example.pem")).exists() && !Path::new(&home.path("p12/joe@a.example.p12")).exists());
    assert_eq!(home.issue(good, &["-o", &home.path("pem"), "--skip-existing"]), (0, "issued: 0, skipped: 2\n".to_owned()));
    // the key is another one's from now on
    let (code, talk) = home.issue("address,csr\nann@a.example,jane.csr\nbob@a.example,joe.csr\n", &["-o", &home.path("pem")]);
    assert!(
        code == 8 && talk.contains("line 2: the key is that of jane@a.example") && talk.contains("line 3: the key is"),
        "{talk}"
    );
}

#[test]
fn goes_on_where_a_run_was_interrupted() {
    let home = Home::new();
    let table = "address\njane@a.example\njoe@a.example\nann@a.example\n";
    assert_eq!(home.issue("address\njane@a.example\n", &[]).0, 0);
    let (code, talk) = home.issue(table, &[]);
    assert!(code == 8 && talk.contains("jane@a.example.p12 is there already"), "{code} {talk}");
    let before = fs::read(home.path("p12/jane@a.example.p12")).expect("the file");
    assert_eq!(home.issue(table, &["--skip-existing"]), (0, "issued: 2, skipped: 1\n".to_owned()));
    assert_eq!(fs::read(home.path("p12/jane@a.example.p12")).expect("the file"), before);
    // a certificate whose file never came to be is not enough
    fs::remove_file(home.path("p12/joe@a.example.p12")).expect("removed");
    assert_eq!(home.issue(table, &["--skip-existing"]), (0, "issued: 1, skipped: 2\n".to_owned()));
    // nor is one that says something else
    let named = "address,name\njane@a.example,Jane Doe\njoe@a.example,\n";
    assert_eq!(home.issue(named, &["--skip-existing"]), (0, "issued: 1, skipped: 1\n".to_owned()));
    assert_eq!(home.issued(), 5);
}
