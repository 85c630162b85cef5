//! swaks: every way to log in and to come under TLS that it knows. What is not offered, it is refused, and it says by which step.

use super::Served;
use crate::support;

/// How swaks ends: well, at a command of the envelope, at the login, at TLS.
const GOOD: i32 = 0;
const MAIL: i32 = 23;
const LOGIN: i32 = 28;
const TLS: i32 = 29;

/// As jane to joe.
const AS_JANE: &str = "--auth-user jane@a.example --auth-password secret-word --from jane@a.example --to joe@a.example";

fn swaks(port: u16, args: &str) -> (i32, String) {
    let server = format!("localhost:{port}");
    let all: Vec<&str> = ["--server", &server, "--timeout", "240"].into_iter().chain(args.split_whitespace()).collect();
    let (code, out, talk) = support::run("swaks", &all, b"");
    (code, format!("{args}\n{}{talk}", String::from_utf8_lossy(&out)))
}

/// How many of these went well; each must end as it says.
fn ended(port: u16, login: &str, wanted: &[(i32, &str)]) -> usize {
    for (code, args) in wanted {
        let (ended, said) = swaks(port, &format!("{args} {login}"));
        assert_eq!(ended, *code, "{said}");
    }
    wanted.iter().filter(|(code, _)| *code == GOOD).count()
}

#[test]
fn every_form_of_tls_is_taken_and_none_that_is_old_or_of_somebody_else() {
    if !support::peer("swaks") {
        return;
    }
    let served = Served::new();
    let verified = format!("--tls --tls-verify --tls-ca-path {} --auth PLAIN", served.path("root.pem"));
    let submission = [
        (GOOD, "--tls --auth PLAIN"),
        (GOOD, "--tls-optional --auth PLAIN"),
        (GOOD, "--tls-optional-strict --auth PLAIN"),
        (GOOD, "--tls --tls-protocol tlsv1_2 --auth PLAIN"),
        (GOOD, "--tls --tls-protocol tlsv1_3 --auth PLAIN"),
        (GOOD, "--tls --tls-cipher ECDHE-ECDSA-CHACHA20-POLY1305 --tls-protocol tlsv1_2 --auth PLAIN"),
        (GOOD, "--protocol ESMTPSA --auth PLAIN"),
        (GOOD, "--tls --pipeline --auth PLAIN"),
        (GOOD, verified.as_str()),
        (TLS, "--tls --tls-verify --auth PLAIN"),
        (TLS, "--tls --tls-protocol tlsv1 --auth PLAIN"),
        (TLS, "--tls --tls-protocol tlsv1_1 --auth PLAIN"),
        (TLS, "--tls --tls-cipher AES256-GCM-SHA384 --tls-protocol tlsv1_2 --auth PLAIN"),
        (LOGIN, "--auth PLAIN"),
    ];
    let mut taken = ended(served.port("submission"), AS_JANE, &submission);
    let without_login = [(MAIL, "--protocol ESMTP"), (MAIL, "--tls"), (MAIL, "--protocol SMTP")];
    ended(served.port("submission"), "--from jane@a.example --to joe@a.example", &without_login);
    let submissions = [
        (GOOD, "--tls-on-connect --auth PLAIN"),
        (GOOD, "--tls-on-connect --auth LOGIN"),
        (GOOD, "--protocol SSMTPA --auth PLAIN"),
        (TLS, "--tls-on-connect --tls-verify --auth PLAIN"),
        (TLS, "--tls-on-connect --tls-protocol tlsv1_1 --auth PLAIN"),
    ];
    taken += ended(served.port("submissions"), AS_JANE, &submissions);
    let from_elsewhere = "--from x@b.example --to joe@a.example";
    let relay =
        [(GOOD, "--protocol SMTP"), (GOOD, "--protocol ESMTP"), (GOOD, "--protocol ESMTPS"), (GOOD, "--tls-optional-strict")];
    taken += ended(served.port("smtp"), from_elsewhere, &relay);
    assert_eq!(served.mailbox("joe@a.example"), taken);
}

#[test]
fn every_login_is_taken_that_is_offered_and_no_other() {
    if !support::peer("swaks") {
        return;
    }
    let served = Served::new();
    let wanted = [
        (GOOD, "--tls --auth PLAIN"),
        (GOOD, "--tls --auth LOGIN"),
        (GOOD, "--tls --auth"),
        (GOOD, "--tls --auth LOGIN,PLAIN"),
        (GOOD, "--tls --auth-optional PLAIN"),
        (GOOD, "--tls --auth-optional-strict LOGIN"),
        // what needs the password itself on the server, or breaks by looking on
        (LOGIN, "--tls --auth CRAM-MD5"),
        (LOGIN, "--tls --auth CRAM-SHA1"),
        (LOGIN, "--tls --auth DIGEST-MD5"),
    ];
    let submission = served.port("submission");
    let taken = ended(submission, AS_JANE, &wanted);
    if std::path::Path::new("/usr/share/perl5/Authen/NTLM.pm").exists() {
        ended(submission, AS_JANE, &[(LOGIN, "--tls --auth NTLM")]);
    } else {
        support::skip("libauthen-ntlm-perl is not installed");
    }
    for mechanism in ["PLAIN", "LOGIN"] {
        for who in ["jane@a.example --auth-password Secret-word", "nobody@a.example --auth-password secret-word"] {
            let args = format!("--tls --auth {mechanism} --auth-user {who} --from jane@a.example --to joe@a.example");
            let (code, said) = swaks(submission, &args);
            assert!(code == LOGIN && said.contains("<~* 535 5.7.8 name or password is wrong"), "{said}");
        }
    }
    assert_eq!(served.mailbox("joe@a.example"), taken);
}

#[test]
fn nobody_relays_and_nobody_writes_as_another() {
    if !support::peer("swaks") {
        return;
    }
    let served = Served::new();
    let (relay, submission) = (served.port("smtp"), served.port("submission"));
    let code = |port, args: &str| swaks(port, args).0;
    assert_eq!(code(relay, "--from x@b.example --to joe@a.example"), 0);
    assert_ne!(code(relay, "--from x@b.example --to y@c.example"), 0);
    assert_ne!(code(relay, "--from x@b.example --to nobody@a.example"), 0);
    for mechanism in ["PLAIN", "LOGIN"] {
        let login = format!("--tls --auth {mechanism} --auth-user jane@a.example --auth-password secret-word");
        assert_eq!(code(submission, &format!("{login} --from jane@a.example --to joe@a.example")), 0, "{mechanism}");
        assert_ne!(code(submission, &format!("{login} --from joe@a.example --to joe@a.example")), 0);
        assert_ne!(code(submission, &format!("{login} --from jane@a.example --h-From joe@a.example --to joe@a.example")), 0);
    }
    assert_ne!(code(submission, "--tls --from jane@a.example --to joe@a.example"), 0);
    assert_eq!(served.mailbox("joe@a.example"), 3);
}
