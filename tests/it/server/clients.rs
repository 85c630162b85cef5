//! Clients of others drive the server.

use std::fs;

use super::Served;
use crate::support;

#[test]
fn curl_sends_and_fetches_under_every_form_of_tls() {
    if !support::peer("curl") {
        return;
    }
    let served = Served::new();
    let root = served.path("root.pem");
    let letter = served.path("letter");
    fs::write(&letter, "From: jane@a.example\r\nTo: joe@a.example\r\nSubject: hi\r\n\r\n.dot\r\n").expect("written");
    let curl = |args: &[&str]| support::run("curl", &[&["-sS", "--cacert", &root], args].concat(), b"");
    let send =
        ["--mail-from", "jane@a.example", "--mail-rcpt", "joe@a.example", "-u", "jane@a.example:secret-word", "-T", &letter];
    for (url, more) in [
        (format!("smtp://localhost:{}", served.port("submission")), "--ssl-reqd"),
        (format!("smtps://localhost:{}", served.port("submissions")), "-s"),
    ] {
        let (code, _, talk) = curl(&[&[url.as_str(), more], &send[..]].concat());
        assert_eq!(code, 0, "{url}: {talk}");
    }
    for (url, more) in [
        (format!("pop3://localhost:{}/1", served.port("pop3")), "--ssl-reqd"),
        (format!("pop3s://localhost:{}/2", served.port("pop3s")), "-s"),
    ] {
        let (code, message, talk) = curl(&[&url, more, "-u", "joe@a.example:secret-word"]);
        assert_eq!(code, 0, "{url}: {talk}");
        let message = String::from_utf8(message).expect("ASCII");
        assert!(
            message.starts_with("Return-Path: <jane@a.example>\r\nDelivered-To: joe@a.example\r\nReceived: ")
                && message.ends_with("\r\n\r\n.dot\r\n"),
            "{message}"
        );
    }
    let url = format!("pop3s://localhost:{}/", served.port("pop3s"));
    assert_ne!(curl(&[&url, "-u", "joe@a.example:wrong"]).0, 0);
    let plain = format!("smtp://localhost:{}", served.port("submission"));
    assert_ne!(curl(&[&[plain.as_str()], &send[..]].concat()).0, 0, "a password without TLS");
}

#[test]
fn openssl_sees_a_clean_handshake() {
    if !support::peer("openssl") {
        return;
    }
    let served = Served::new();
    for (protocol, service) in [("smtp", "smtp"), ("smtp", "submission"), ("pop3", "pop3")] {
        for version in ["-tls1_2", "-tls1_3"] {
            let (address, root) = (format!("localhost:{}", served.port(service)), served.path("root.pem"));
            let args =
                ["s_client", "-starttls", protocol, "-connect", &address, "-CAfile", &root, "-verify_return_error", version];
            let (code, out, talk) = support::run("openssl", &args, b"QUIT\r\n");
            assert_eq!(code, 0, "{service} {version}: {talk}");
            assert!(String::from_utf8_lossy(&out).contains("Verify return code: 0 (ok)"), "{service} {version}");
        }
    }
}

#[test]
fn python_fetches_deletes_and_finds_the_rest() {
    if !support::peer("python3") {
        return;
    }
    let served = Served::new();
    let script = format!(
        "import poplib, smtplib, ssl\n\
         c = ssl.create_default_context(cafile='{root}')\n\
         s = smtplib.SMTP_SSL('localhost', {submissions}, context=c); s.user, s.password = 'jane@a.example', 'secret-word'\n\
         s.ehlo(); s.auth('LOGIN', s.auth_login)\n\
         s.sendmail('jane@a.example', ['jane@a.example'], 'From: jane@a.example\\n\\nto me\\n'); s.quit()\n\
         for n in range(3):\n    s = smtplib.SMTP('localhost', {submission}); s.starttls(context=c); s.login('jane@a.example', 'secret-word')\n    \
         s.sendmail('jane@a.example', ['joe@a.example'], 'From: jane@a.example\\n\\nmessage %d\\n' % n); s.quit()\n\
         p = poplib.POP3('localhost', {pop3}); p.stls(context=c); p.user('joe@a.example'); p.pass_('secret-word')\n\
         assert p.stat()[0] == 3\nfirst = p.uidl()[1]\np.dele(2); p.quit()\n\
         p = poplib.POP3_SSL('localhost', {pop3s}, context=c); p.user('joe@a.example'); p.pass_('secret-word')\n\
         left = p.uidl()[1]\nassert [u.split()[1] for u in left] == [first[0].split()[1], first[2].split()[1]], left\n\
         assert p.top(1, 0)[1][-1] == b'' and p.retr(2)[1][-1] == b'message 2'\np.rset(); p.quit()\n",
        root = served.path("root.pem"),
        submission = served.port("submission"),
        submissions = served.port("submissions"),
        pop3 = served.port("pop3"),
        pop3s = served.port("pop3s"),
    );
    let (code, _, talk) = support::run("python3", &["-c", &script], b"");
    assert_eq!(code, 0, "{talk}");
}

#[test]
fn msmtp_sends_and_mpop_and_fetchmail_fetch() {
    if !["msmtp", "mpop", "fetchmail"].into_iter().all(support::peer) {
        return;
    }
    let served = Served::new();
    let port = |service: &str| served.port(service).to_string();
    let (root, submission, submissions, pop3s) =
        (served.path("root.pem"), port("submission"), port("submissions"), port("pop3s"));
    let letter = b"From: jane@a.example\nTo: joe@a.example\nSubject: by msmtp\n\n.dot\nend\n";
    for (port, starttls, auth) in [
        (&submission, "--tls-starttls=on", "--auth=scram-sha-256"),
        (&submission, "--tls-starttls=on", "--auth=plain"),
        (&submissions, "--tls-starttls=off", "--auth=login"),
    ] {
        let server = ["--file=/dev/null", "--host=localhost", "--port", port, "--from=jane@a.example"];
        let login = [auth, "--user=jane@a.example", "--passwordeval=echo secret-word"];
        let tls = ["--tls=on", starttls, "--tls-trust-file", &root];
        let (code, _, talk) = support::run("msmtp", &[&server[..], &login, &tls, &["joe@a.example"]].concat(), letter);
        assert_eq!(code, 0, "{talk}");
    }
    let mbox = served.path("mpop.mbox");
    fs::write(&mbox, "").expect("written");
    let config = format!(
        "account default\nhost localhost\nport {}\nuser joe@a.example\npasswordeval echo secret-word\nauth scram-sha-256\ntls on\ntls_starttls on\n\
         tls_trust_file {root}\ndelivery mbox {mbox}\nuidls_file {}\nkeep on\n",
        served.port("pop3"),
        served.path("uidls")
    );
    let file = served.path("mpoprc");
    fs::write(&file, config).expect("written");
    private(&file);
    let (code, _, talk) = support::run("mpop", &["--file", &file], b"");
    assert_eq!(code, 0, "{talk}");
    let fetched = fs::read_to_string(&mbox).expect("a mailbox");
    assert_eq!(fetched.matches("\n.dot\nend\n").count(), 3, "{fetched}");
    // fetchmail fetches under TLS from the start, and deletes
    let (file, out) = (served.path("fetchmailrc"), served.path("fetchmail.out"));
    let config = format!(
        "poll localhost protocol pop3 service {pop3s} uidl\n  user \"joe@a.example\" password \"secret-word\" ssl sslcertck \
         sslcertfile {root} nokeep mda \"cat >> {out}\"\n"
    );
    fs::write(&file, config).expect("written");
    private(&file);
    let home = served.path("");
    let run = std::process::Command::new("fetchmail")
        .args(["-f", &file, "--nodetach", "--nosyslog", "--idfile", &served.path("ids"), "--pidfile", &served.path("pid")])
        .env("HOME", &home)
        .env("FETCHMAILHOME", &home)
        .output()
        .expect("fetchmail starts");
    assert!(run.status.success(), "{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert_eq!(fs::read_to_string(&out).expect("mail").matches("Subject: by msmtp").count(), 3);
    assert_eq!(served.mailbox("joe@a.example"), 0);
}

fn private(file: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).expect("it is ours");
}
