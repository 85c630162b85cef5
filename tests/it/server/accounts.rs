//! Ways to log in and kinds of account: programs of others prove who they are.

use std::fs;
use std::process::Command;

use super::{Served, good};
use crate::directory::slapd::{Has, Slapd};
use crate::support;

/// Logs in by submission, over STARTTLS, with Python; says `yes`, or the server's code.
const LOGIN: &str = "
import smtplib, ssl, sys
port, root, user, password = sys.argv[1:5]
context = ssl.create_default_context(cafile=root)
if len(sys.argv) > 5:
    context.load_cert_chain(sys.argv[5], sys.argv[6])
server = smtplib.SMTP('localhost', port)
server.starttls(context=context)
server.ehlo()
if len(sys.argv) > 5:
    offers = 'EXTERNAL' in server.esmtp_features['auth']
    code = server.docmd('AUTH', 'EXTERNAL =')[0] if offers else 0
    print('yes' if code == 235 else code)
else:
    try:
        server.user, server.password = user, password
        server.auth('PLAIN', server.auth_plain)
        print('yes')
    except smtplib.SMTPAuthenticationError as error:
        print(error.smtp_code)
";

pub(super) fn login(served: &Served, user: &str, password: &str) -> String {
    let (port, root) = (served.port("submission").to_string(), served.path("root.pem"));
    let (code, out, talk) = support::run("python3", &["-c", LOGIN, &port, &root, user, password], b"");
    assert_eq!(code, 0, "{talk}");
    String::from_utf8(out).expect("text").trim().to_owned()
}

/// Adds to the section of accounts.
pub(super) fn with_accounts(lines: &str) -> impl Fn(&str) -> String + use<'_> {
    move |config| config.replace("[accounts]\n", &format!("[accounts]\n{lines}\n"))
}

/// Reads the first message by POP3, with USER and PASS; says `yes` where it is what a filter filed, and `no` where the password is wrong.
const READ: &str = "
import poplib, ssl, sys
port, root, user, password = sys.argv[1:5]
server = poplib.POP3_SSL('localhost', port, context=ssl.create_default_context(cafile=root))
server.user(user)
try:
    server.pass_(password)
    assert b'Subject: filed' in server.retr(1)[1]
    print('yes')
except poplib.error_proto as error:
    assert '[AUTH]' in str(error), error
    print('no')
";

/// Mail that a filter puts into a folder is read there, however its user logs in, and not by who has no password of his.
fn reads_a_folder(served: &Served, user: &str) {
    let script = served.path("junk.sieve");
    fs::write(&script, "require \"fileinto\";\nfileinto \"Junk\";\n").expect("written");
    served.run(&["user", "filter", user, &script]);
    served.send("jane@a.example", &format!("From: jane@a.example\nTo: {user}\nSubject: filed\n\nhi\n"));
    let (port, root, folder) = (served.port("pop3s").to_string(), served.path("root.pem"), format!("{user}/Junk"));
    let url = format!("pop3s://localhost:{port}/1");
    for (password, wanted) in [("geheim", (0, true)), ("secret", (67, false))] {
        for mechanism in ["AUTH=PLAIN", "AUTH=LOGIN"] {
            let login = format!("{folder}:{password}");
            let args = ["-sS", "--cacert", &root, "--login-options", mechanism, &url, "-u", &login];
            let (code, out, talk) = support::run("curl", &args, b"");
            let is_there = String::from_utf8_lossy(&out).contains("Subject: filed");
            assert_eq!((code, is_there), wanted, "{folder} by {mechanism} with {password}: {talk}");
        }
        let (code, out, talk) = support::run("python3", &["-c", READ, &port, &root, &folder, password], b"");
        let said = if wanted.1 { "yes\n" } else { "no\n" };
        assert_eq!((code, String::from_utf8_lossy(&out).as_ref()), (0, said), "{folder} by USER with {password}: {talk}");
    }
    assert_eq!(served.mailbox(&folder), 1);
}

#[test]
fn gsasl_proves_that_it_knows_the_password_and_hears_our_proof() {
    if !support::peer("gsasl") {
        return;
    }
    let served = Served::new();
    let (smtp, root) = (served.port("submission").to_string(), served.path("root.pem"));
    let gsasl = |mechanism: &str, user: &str, password: &str| {
        let (user, password) = (format!("--authentication-id={user}"), format!("--password={password}"));
        let (ca, mechanism) = (format!("--x509-ca-file={root}"), format!("--mechanism={mechanism}"));
        // who could bind the channel and does not is refused, by gsasl as by us
        let bound = if mechanism.ends_with("PLUS") { "--quiet" } else { "--no-cb" };
        let args = ["--smtp", "--starttls", bound, &ca, &mechanism, &user, &password, "localhost", &smtp];
        support::run("gsasl", &args, b"").0
    };
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "PLAIN", "LOGIN"] {
        assert_eq!(gsasl(mechanism, "jane@a.example", "secret-word"), 0, "{mechanism}");
        assert_ne!(gsasl(mechanism, "jane@a.example", "Secret"), 0, "{mechanism}: wrong password");
        assert_ne!(gsasl(mechanism, "nobody@a.example", "secret-word"), 0, "{mechanism}: nobody");
    }
}

#[test]
fn send_and_fetch_take_the_strongest_way_that_there_is() {
    let served = Served::new();
    let letter = served.path("letter.eml");
    fs::write(&letter, "From: jane@a.example\nTo: joe@a.example\n\nhi\n").expect("written");
    let via = format!("localhost:{}", served.port("submission"));
    let (_, talk) = served.run(&["send", &letter, "--via", &via, "--user", "jane@a.example", "--dialogue"]);
    assert!(talk.contains("AUTH SCRAM-SHA-256-PLUS (secret)") && !talk.contains("c2VjcmV0"), "{talk}");
    let from = format!("localhost:{}", served.port("pop3s"));
    let inbox = served.path("inbox");
    let fetch = ["fetch", "--from", &from, "--user", "joe@a.example", "-o", &inbox, "--tls", "implicit", "--dialogue"];
    let (_, talk) = served.run(&fetch);
    assert!(talk.contains("AUTH SCRAM-SHA-256-PLUS (secret)") && talk.contains("+ (secret)"), "{talk}");
    assert_eq!(fs::read_dir(&inbox).expect("a folder").count(), 1);
}

#[test]
fn users_of_a_password_file_log_in_and_get_mail() {
    if !["htpasswd", "mkpasswd", "python3", "curl"].into_iter().all(support::peer) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("passwords").display().to_string();
    let (code, _, talk) = support::run("htpasswd", &["-cbB", "-C", "5", &file, "bea", "geheim"], b"");
    assert_eq!(code, 0, "{talk}");
    let made = |method: &str| {
        let (code, hash, talk) = support::run("mkpasswd", &["-m", method, "geheim"], b"");
        assert_eq!(code, 0, "{method}: {talk}");
        String::from_utf8(hash).expect("ASCII")
    };
    let more =
        [("sha2", "sha-256"), ("sha5", "sha-512"), ("yes", "yescrypt")].map(|(user, method)| format!("{user}:{}", made(method)));
    fs::write(&file, fs::read_to_string(&file).expect("read") + &more.concat()).expect("written");
    let served = Served::of("a.example", &["jane"], with_accounts(&format!("\"b.example\" = {{ file = \"{file}\" }}")));
    served.run(&["domain", "add", "b.example"]);
    for user in ["bea@b.example", "Bea@B.example", "sha2@b.example", "sha5@b.example", "yes@b.example"] {
        assert_eq!(login(&served, user, "geheim"), "yes", "{user}");
        assert_eq!(login(&served, user, "secret"), "535", "{user}");
        assert_eq!(login(&served, user, ""), "535", "{user}");
    }
    assert_eq!(login(&served, "nobody@b.example", "geheim"), "535");
    assert_eq!(login(&served, "bea@a.example", "geheim"), "535");
    assert_eq!(login(&served, "jane@a.example", "secret-word"), "yes");
    // mail for one who never logged in
    served.send("jane@a.example", "From: jane@a.example\nTo: sha5@b.example\nSubject: to the file\n\nhi\n");
    let url = format!("pop3s://localhost:{}/1", served.port("pop3s"));
    let (code, out, talk) =
        support::run("curl", &["-sS", "--cacert", &served.path("root.pem"), &url, "-u", "sha5@b.example:geheim"], b"");
    assert!(code == 0 && String::from_utf8_lossy(&out).contains("Subject: to the file"), "{talk}");
    // the file is read again
    let (code, _, talk) = support::run("htpasswd", &["-bB", "-C", "5", &file, "bea", "neu"], b"");
    assert_eq!(code, 0, "{talk}");
    assert_eq!(login(&served, "bea@b.example", "geheim"), "535");
    assert_eq!(login(&served, "bea@b.example", "neu"), "yes");
    let args = ["--home", &served.path("home"), "--batch", "--passphrase-file", &served.path("pw")];
    let args = [&args[..], &["user", "add", "new@b.example"]].concat();
    let (code, _, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &args, b"");
    assert!(code != 0 && talk.contains("elsewhere"), "{talk}");
    reads_a_folder(&served, "sha5@b.example");
}

#[test]
fn users_of_an_ldap_directory_log_in_and_get_mail() {
    if !["python3", "curl"].into_iter().all(support::peer) {
        return;
    }
    let Some(slapd) = Slapd::start(Has::Tls) else { return };
    let person = |name: &str, mail: &str| {
        format!(
            "dn: uid={name},ou=people,dc=example\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {name}\nsn: {name}\nmail: {mail}\n\
             userPassword: geheim\n\n"
        )
    };
    slapd.load(&(person("bea", "bea@b.example") + &person("twin1", "twin@b.example") + &person("twin2", "twin@b.example")));
    // nobody in particular may bind with an empty password, and slapd says yes
    let (url, root) = (slapd.url(), slapd.root());
    let template =
        format!("\"c.example\" = {{ ldap = \"{url}\", trust = \"{root}\", bind = \"uid={{user}},ou=people,dc=example\" }}");
    let password = slapd.path("reader.password");
    fs::write(&password, "geheim\n").expect("written");
    let secure = slapd.secure_url_at("localhost");
    let reader = format!(
        "\"d.example\" = {{ ldap = \"{secure}\", trust = \"{root}\", search_as = \"cn=admin,dc=example\", password_file = \"{password}\" }}"
    );
    let untrusted = format!("\"e.example\" = {{ ldap = \"{secure}\" }}");
    let lines = [format!("\"b.example\" = {{ ldap = \"{url}\", trust = \"{root}\" }}"), template, reader, untrusted].join("\n");
    let served = Served::of("a.example", &["jane"], with_accounts(&lines));
    for domain in ["b.example", "c.example", "d.example", "e.example"] {
        served.run(&["domain", "add", domain]);
    }
    assert_eq!(login(&served, "bea@b.example", "geheim"), "yes");
    assert_eq!(login(&served, "bea@c.example", "geheim"), "yes", "by a template");
    for (user, password, code) in [
        ("bea@b.example", "secret", "535"),
        ("bea@b.example", "", "535"),
        ("bea@c.example", "", "535"),
        ("bea@c.example", "secret", "535"),
        ("nobody@b.example", "geheim", "535"),
        ("nobody@c.example", "geheim", "535"),
        ("twin@b.example", "geheim", "535"),
        ("*@b.example", "geheim", "535"),
        ("bea)(uid=*@b.example", "geheim", "535"),
        ("bea,ou=people,dc=example?@c.example", "geheim", "535"),
        ("bea@d.example", "geheim", "535"),
        ("bea@e.example", "geheim", "454"),
    ] {
        assert_eq!(login(&served, user, password), code, "{user} with {password:?}");
    }
    served.send("jane@a.example", "From: jane@a.example\nTo: bea@b.example\nSubject: to the directory\n\nhi\n");
    let url = format!("pop3s://localhost:{}/1", served.port("pop3s"));
    let (code, out, talk) =
        support::run("curl", &["-sS", "--cacert", &served.path("root.pem"), &url, "-u", "bea@b.example:geheim"], b"");
    assert!(code == 0 && String::from_utf8_lossy(&out).contains("Subject: to the directory"), "{talk}");
    reads_a_folder(&served, "bea@b.example");
    reads_a_folder(&served, "bea@c.example");
    if support::peer("swaks") {
        let server = format!("localhost:{}", served.port("submission"));
        let swaks = |mechanism: &str, user: &str, password: &str| {
            let login = ["--tls", "--auth", mechanism, "--auth-user", user, "--auth-password", password];
            let args = [&["--server", &server, "--from", "bea@b.example", "--to", "jane@a.example"][..], &login].concat();
            support::run("swaks", &args, b"").0
        };
        for mechanism in ["PLAIN", "LOGIN"] {
            assert_eq!(swaks(mechanism, "bea@b.example", "geheim"), 0, "{mechanism}");
            assert_eq!(swaks(mechanism, "bea@b.example", "secret"), 28, "{mechanism}: the password is wrong");
            assert_eq!(swaks(mechanism, "jane@a.example", "secret-word"), 23, "{mechanism}: she writes as somebody else");
        }
        assert_eq!(served.mailbox("jane@a.example"), 2);
    }
    let letter = served.path("lost.eml");
    fs::write(&letter, "From: jane@a.example\nTo: nobody@b.example\n\nhi\n").expect("written");
    let args = [
        "--home",
        &served.path("home"),
        "--batch",
        "--passphrase-file",
        &served.path("pw"),
        "send",
        &letter,
        "--user",
        "jane@a.example",
    ];
    let via = format!("localhost:{}", served.port("submission"));
    let (code, _, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &[&args[..], &["--via", &via]].concat(), b"");
    assert!(code != 0 && talk.contains("no such user"), "{talk}");
}

#[test]
fn a_certificate_of_the_authority_logs_in_unless_it_was_revoked() {
    if !support::peer("python3") {
        return;
    }
    let cast = |name: &str| format!("{}/certs/{name}", env!("CARGO_MANIFEST_DIR"));
    let root = cast("root.pem");
    let served = Served::of("example.com", &["alice", "revoked"], |config| {
        let text = config.replace("key = \"tls/key.pem\"\n", &format!("key = \"tls/key.pem\"\nclient_ca = \"{root}\"\n"));
        assert_ne!(text, config);
        text
    });
    let external = |served: &Served, name: &str| {
        let chain = served.path("chain.pem");
        let text =
            [cast(&format!("{name}.pem")), cast("issuing.pem")].map(|file| fs::read_to_string(file).expect("read")).concat();
        fs::write(&chain, text).expect("written");
        let (port, ca, key) = (served.port("submission").to_string(), served.path("root.pem"), cast(&format!("{name}.key")));
        let (code, out, talk) = support::run("python3", &["-c", LOGIN, &port, &ca, "", "", &chain, &key], b"");
        assert_eq!(code, 0, "{name}: {talk}");
        String::from_utf8(out).expect("text").trim().to_owned()
    };
    assert_eq!(external(&served, "alice"), "yes");
    // one of another authority is shown, and is no way in; the connection goes on
    assert_eq!(external(&served, "stranger"), "0");
    assert_eq!(external(&served, "expired"), "0");
    assert_eq!(external(&served, "bob"), "535", "trusted, and no user of ours");
}

#[test]
fn a_certificate_opens_its_mailbox_until_the_lists_name_it() {
    if !["openssl", "python3", "msmtp"].into_iter().all(support::peer) {
        return;
    }
    let mut served = Served::new();
    let (bundle, pem) = (served.path("jane.p12"), served.path("jane.pem"));
    let (_, talk) = served.run(&["ca", "issue", "jane@a.example", "--algorithm", "p256", "--p12", &bundle]);
    let serial = talk.split("serial ").nth(1).expect("a serial number").split_whitespace().next().expect("a word").to_owned();
    let args = ["pkcs12", "-in", &bundle, "-passin", "pass:secret-word", "-nodes", "-out", &pem];
    let (code, _, talk) = support::run("openssl", &args, b"");
    assert_eq!(code, 0, "{talk}");
    served.run(&["ca", "publish"]);
    served.child.kill().expect("killed");
    served.child.wait().expect("ended");
    let config = served.path("home/sealpost.toml");
    let text = fs::read_to_string(&config).expect("read");
    let more = format!("key = \"tls/key.pem\"\nclient_ca = \"{}\"\nclient_crl = \"ca/public\"\n", served.path("root.pem"));
    fs::write(&config, text.replace("key = \"tls/key.pem\"\n", &more)).expect("written");
    served.restart();
    let external = || {
        let (port, root) = (served.port("submission").to_string(), served.path("root.pem"));
        let (code, out, talk) = support::run("python3", &["-c", LOGIN, &port, &root, "", "", &pem, &pem], b"");
        assert_eq!(code, 0, "{talk}");
        String::from_utf8(out).expect("text").trim().to_owned()
    };
    assert_eq!(external(), "yes");
    let (port, root) = (served.port("submission").to_string(), served.path("root.pem"));
    let (trust, file, key) =
        (format!("--tls-trust-file={root}"), format!("--tls-cert-file={pem}"), format!("--tls-key-file={pem}"));
    let server = [
        "--file=/dev/null",
        "--host=localhost",
        "--port",
        &port,
        "--from=jane@a.example",
        "--auth=external",
        "--user=jane@a.example",
    ];
    let tls = ["--tls=on", "--tls-starttls=on", &trust, &file, &key, "joe@a.example"];
    let (code, _, talk) =
        support::run("msmtp", &[&server[..], &tls].concat(), b"From: jane@a.example\nTo: joe@a.example\n\nhi\n");
    assert_eq!(code, 0, "{talk}");
    served.run(&["ca", "revoke", &serial, "--reason", "superseded"]);
    served.run(&["ca", "publish"]);
    assert_eq!(external(), "0", "the way is not offered any more");
}

#[test]
fn nobody_logs_in_by_certificate_where_revocation_cannot_be_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().join("home").display().to_string();
    fs::write(folder.path().join("pw"), "secret-word\n").expect("written");
    good(folder.path(), &["up", "--domain", "a.example", "--algorithm", "p256"]);
    let config = folder.path().join("home/sealpost.toml");
    let text = fs::read_to_string(&config).expect("read");
    let wrong = text
        .replace("[limits]\n", "[limits]\nlogin_delay_seconds = -1\n")
        .replace("\n[listen]", "\nclient_crl = \"lists\"\n[listen]");
    fs::write(&config, wrong).expect("written");
    let out = Command::new(env!("CARGO_BIN_EXE_sealpost")).args(["--home", &home, "serve", "--check"]).output().expect("runs");
    let talk = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        !out.status.success() && talk.contains("client_crl says nothing") && talk.contains("login_delay_seconds is a number"),
        "{talk}"
    );
}

#[test]
fn who_is_of_a_domain_outside_ascii_logs_in_under_both_of_its_forms() {
    let served = Served::new();
    served.run(&["domain", "add", "b\u{fc}cher.example"]);
    served.run(&["user", "add", "joe@b\u{fc}cher.example"]);
    for (name, number) in ["joe@b\u{fc}cher.example", "joe@xn--bcher-kva.example", "Joe@B\u{dc}CHER.example"].iter().zip(1..) {
        let letter = format!("From: joe@xn--bcher-kva.example\nTo: joe@xn--bcher-kva.example\nSubject: letter {number}\n\nHi.\n");
        served.send(name, &letter);
        let inbox = served.fetch(name);
        assert!(inbox.iter().any(|one| one.contains(&format!("Subject: letter {number}\r\n"))), "{name}: {inbox:?}");
    }
}
