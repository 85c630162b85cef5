//! Certificates in a directory of OpenLDAP.

use std::fs;

use super::slapd::{Has, Slapd, der, person};
use super::{Bench, certs, each};

#[test]
fn each_certificate_is_shown_with_what_it_is_worth() {
    let Some(slapd) = Slapd::start(Has::Tls) else { return };
    let bench = Bench::trusting();
    let (url, root) = (slapd.url(), slapd.root());
    let ask = |address: &str, more: &[&str]| bench.find(address, &[&["--ldap", &url, "--tls-trust", &root], more].concat());
    // alice has her own and one by somebody whom nobody trusts; the good one comes first
    let (code, found, talk) = ask("alice@example.com", &[]);
    assert_eq!(code, 0, "{talk}");
    assert_eq!(each(&found, "standing"), ["trusted", "untrusted"]);
    assert_eq!(each(&found, "good"), ["true", "false"]);
    assert_eq!(each(&found, "purposes"), ["[\"encrypt\",\"sign\"]", "[\"encrypt\",\"sign\"]"]);
    assert_eq!(found["certificates"][1]["findings"][0]["code"], "untrusted");
    assert_eq!((&found["sources"][0]["entries"], &found["sources"][0]["tls"]), (&1.into(), &true.into()));
    // whatever the case of the address
    assert_eq!(ask("Alice@EXAMPLE.com", &[]).0, 0);
    // bob's stands in a bundle, below an attribute of Active Directory's
    let (code, found, _) = ask("bob@example.org", &[]);
    assert_eq!((code, each(&found, "standing")), (0, vec!["trusted".to_owned()]));
    assert_eq!(found["left_out"]["of_others"], 0, "the CA in the bundle is nobody");
    // what is no good ends so
    let (code, found, _) = ask("expired@example.com", &[]);
    assert_eq!((code, each(&found, "standing")), (5, vec!["expired".to_owned()]));
    let crl = certs("issuing.crl");
    let (code, found, _) = ask("revoked@example.com", &["--crl", &crl]);
    assert_eq!((code, each(&found, "standing")), (5, vec!["revoked".to_owned()]));
    // an entry that holds somebody else's certificate gives nothing
    let (code, found, _) = ask("liar@example.com", &[]);
    assert_eq!((code, found["certificates"].as_array().expect("a list").len()), (7, 0));
    assert_eq!(found["left_out"]["of_others"], 1);
    assert_eq!(ask("none@example.com", &[]).0, 7);
    assert_eq!(ask("nobody@example.com", &[]).0, 7);
    // without trust nothing is good
    let (code, found, _) = Bench::new().find("alice@example.com", &["--ldap", &url, "--tls-trust", &root]);
    assert_eq!((code, each(&found, "standing")), (3, vec!["untrusted".to_owned(), "untrusted".to_owned()]));
}

#[test]
fn only_what_is_good_becomes_a_contact_and_only_when_told_to() {
    let Some(slapd) = Slapd::start(Has::Tls) else { return };
    let bench = Bench::trusting();
    let (url, root, chain) = (slapd.url(), slapd.root(), certs("issuing.pem"));
    let find = ["contact", "find", "alice@example.com", "--ldap", &url, "--tls-trust", &root, "--intermediates", &chain];
    let (code, out, talk) = bench.run(&find);
    assert_eq!((code, out.lines().count()), (0, 2), "{talk}");
    assert!(talk.contains("the same with --add keeps") && bench.contacts().is_empty(), "{talk}");
    let (code, _, talk) = bench.run(&[&find[..], &["--add"]].concat());
    assert!(code == 0 && talk.contains("contact: alice@example.com"), "{talk}");
    assert_eq!(bench.contacts(), ["alice@example.com"]);
    let (_, shown, _) = bench.run(&["contact", "show", "alice@example.com"]);
    assert_eq!(sealpost::asn1::pem::parse_all(shown.as_bytes()).expect("PEM")[0].der, der("alice"));
    // a second time there is nothing to add, and it is known where it stands
    let (_, found, _) = bench.find("alice@example.com", &["--ldap", &url, "--tls-trust", &root, "--add"]);
    assert_eq!(each(&found, "added"), ["false", "false"]);
    assert_eq!(each(&found, "found_in")[0], "[\"ldap\",\"contact\"]");
    let stranger = Bench::new();
    let (code, ..) = stranger.run(&[&find[..], &["--add"]].concat());
    assert_eq!((code, stranger.contacts()), (3, Vec::new()));
    assert_eq!(bench.find("expired@example.com", &["--ldap", &url, "--tls-trust", &root, "--add"]).0, 5);
    assert_eq!(bench.contacts(), ["alice@example.com"]);
}

#[test]
fn tls_begins_at_once_or_by_starttls_and_the_host_must_be_the_one_that_was_asked() {
    let Some(slapd) = Slapd::start(Has::Tls) else { return };
    let bench = Bench::trusting();
    let root = slapd.root();
    let demanded = format!("{}????!StartTLS", slapd.url());
    for (url, how) in
        [(slapd.secure_url_at("localhost"), "auto"), (slapd.url(), "starttls"), (demanded, "auto"), (slapd.url(), "auto")]
    {
        let (code, found, talk) = bench.find("alice@example.com", &["--ldap", &url, "--ldap-tls", how, "--tls-trust", &root]);
        assert_eq!((code, &found["sources"][0]["tls"]), (0, &true.into()), "{url} {how}: {talk}");
    }
    for (url, trust, reason) in [
        // the certificate is for localhost
        (slapd.secure_url_at("127.0.0.1"), Some(&root), "not valid for name"),
        (slapd.url_at("127.0.0.1"), Some(&root), "not valid for name"),
        (slapd.secure_url_at("localhost"), None, "UnknownIssuer"),
        (slapd.url(), None, "UnknownIssuer"),
    ] {
        let mut args = vec!["--ldap", &url];
        if let Some(file) = trust {
            args.extend(["--tls-trust", file]);
        }
        let (code, found, talk) = bench.find("alice@example.com", &args);
        let why = found["sources"][0]["error"].as_str().expect("a reason");
        assert!(code == 9 && why.contains(reason), "{url}: {code} {why} {talk}");
    }
    // nothing is asked in the clear after TLS failed; without TLS it has to be told
    let (code, found, talk) = bench.find("alice@example.com", &["--ldap", &slapd.url(), "--ldap-tls", "none"]);
    assert_eq!((code, &found["sources"][0]["tls"]), (0, &false.into()), "{talk}");
}

#[test]
fn a_password_goes_under_tls_alone() {
    let Some(slapd) = Slapd::start(Has::Tls) else { return };
    let bench = Bench::trusting();
    let (url, root) = (slapd.url(), slapd.root());
    let (good, bad) = (slapd.path("password"), slapd.path("other"));
    fs::write(&good, "geheim\n").expect("written");
    fs::write(&bad, "anders\n").expect("written");
    let ask = |url: &str, file: &str, more: &[&str]| {
        let args = ["--ldap", url, "--tls-trust", &root, "--ldap-bind", "cn=admin,dc=example", "--passphrase-file", file];
        bench.find("carol@example.org", &[&args[..], more].concat())
    };
    assert_eq!(bench.find("carol@example.org", &["--ldap", &url, "--tls-trust", &root]).0, 7, "it is closed to others");
    let (code, found, talk) = ask(&url, &good, &[]);
    assert_eq!((code, each(&found, "standing")), (0, vec!["trusted".to_owned()]), "{talk}");
    assert_eq!(found["sources"][0]["tls"], true);
    let (code, found, _) = ask(&url, &bad, &[]);
    let why = found["sources"][0]["error"].as_str().expect("a reason");
    assert!(code == 9 && why.contains("the name or the password is wrong"), "{why}");
    let (code, found, _) = ask(&url, &good, &["--ldap-tls", "none"]);
    let why = found["sources"][0]["error"].as_str().expect("a reason");
    assert!(code == 2 && why.contains("no password is sent without TLS"), "{code} {why}");
    let (code, found, _) = bench.find("carol@example.org", &["--ldap", &url, "--ldap-bind", "cn=admin,dc=example"]);
    assert!(code == 2 && found["sources"][0]["error"].as_str().expect("a reason").contains("no password of"), "{found}");
    // a directory without TLS gets none, and says nothing of who may read
    let Some(bare) = Slapd::start(Has::NoTls) else { return };
    let (code, found, _) = ask(&bare.url(), &good, &[]);
    let why = found["sources"][0]["error"].as_str().expect("a reason");
    assert!(code == 9 && why.contains("the server has no TLS"), "{code} {why}");
    let (code, found, _) = bench.find("alice@example.com", &["--ldap", &bare.url()]);
    assert_eq!((code, &found["sources"][0]["tls"]), (0, &false.into()), "what is public may be asked for");
    assert!(found["sources"][0]["notes"][0].as_str().expect("a note").contains("everybody on the way could see"));
    assert_eq!(bench.find("alice@example.com", &["--ldap", &bare.url(), "--ldap-tls", "starttls"]).0, 9);
}

#[test]
fn an_address_that_looks_like_a_filter_finds_nobody() {
    let Some(slapd) = Slapd::start(Has::NoTls) else { return };
    let bench = Bench::trusting();
    let url = slapd.url();
    for local in ["*", "alice*", "*)(mail=alice", "x)(|(cn=*)", "\\2a", "alice@example.com)(cn=*"] {
        let address = if local.contains('\\') { format!("\"\\{local}\"@example.com") } else { format!("{local}@example.com") };
        let (code, found, talk) = bench.find(&address, &["--ldap", &url, "--ldap-tls", "none"]);
        assert_eq!((code, &found["sources"][0]["entries"]), (7, &0.into()), "{address}: {talk}");
    }
}

#[test]
fn base_scope_filter_and_attributes_of_the_url_count() {
    let Some(slapd) = Slapd::start(Has::NoTls) else { return };
    let bench = Bench::trusting();
    let base = slapd.url();
    let people = base.replace("/dc=example", "/ou=people,dc=example");
    let root = base.replace("/dc=example", "/");
    let entries = |url: &str| bench.find("alice@example.com", &["--ldap", url, "--ldap-tls", "none"]);
    for (url, code) in [
        (people.clone(), 0),
        (format!("{people}??one"), 0),
        (format!("{base}??one"), 7),
        (format!("{people}??base"), 7),
        (format!("{base}??sub?(sn=alice)"), 0),
        (format!("{base}??sub?(%26(sn=a*)(!(sn=bob)))"), 0),
        (format!("{base}??sub?(sn=bob)"), 7),
        (format!("{base}?userCertificate;binary"), 0),
        (format!("{base}?cn,sn"), 7),
        (base.replace("/dc=example", "/dc=other"), 9),
    ] {
        let (is, found, talk) = entries(&url);
        assert_eq!(is, code, "{url}: {found} {talk}");
    }
    let (code, _, talk) = bench.run(&["contact", "find", "alice@example.com", "--ldap", &root, "--ldap-tls", "none"]);
    assert!(code == 9 && talk.contains("there is no such base") && talk.contains("name the base in the URL"), "{talk}");
}

#[test]
fn more_entries_than_are_taken_are_told() {
    let Some(slapd) = Slapd::start(Has::NoTls) else { return };
    let alice = der("alice");
    let many: String =
        (0..80).map(|number| person(&format!("alice{number}"), "people", "alice@example.com", &[&alice])).collect();
    slapd.load(&many);
    let (code, found, _) = Bench::trusting().find("alice@example.com", &["--ldap", &slapd.url(), "--ldap-tls", "none"]);
    assert_eq!((code, &found["sources"][0]["entries"]), (0, &64.into()));
    assert!(found["sources"][0]["notes"].to_string().contains("there may be more"), "{found}");
}

#[test]
fn refuses_to_look_nowhere_and_for_nobody() {
    let bench = Bench::new();
    for (args, reason) in [
        (&["contact", "find", "jane@a.example"][..], "nowhere to look"),
        (&["contact", "find", "nobody", "--dns"], "no mail address"),
        (&["contact", "find", "jane@a.example", "--ldap", "http://h/"], "no address of a directory"),
        (&["contact", "find", "jane@a.example", "--ldap-bind", "cn=a"], "--ldap"),
        (&["contact", "find", "a@b.c", "--ldap", "ldap://g/", "--ldap", "ldap://h/", "--ldap-bind", "cn=a"], "for one directory"),
    ] {
        let (code, _, talk) = bench.run(args);
        assert!(code == 2 && talk.contains(reason), "{args:?}: {code} {talk}");
    }
}
