//! mutt and neomutt, which send by submission and fetch by POP3 themselves.

use std::fs;

use super::Served;
use crate::support;

/// The programs, and by which mechanisms of SMTP and POP3 they log in. Left to themselves, Debian's have GNU SASL choose, which chooses
/// SCRAM-SHA-256-PLUS, and they do not tell it what binds the channel; neomutt knows no name of a SCRAM.
const MUTTS: [(&str, &str, &str); 2] = [("mutt", "scram-sha-256", "scram-sha-256"), ("neomutt", "plain", "user")];

#[test]
fn mutt_and_neomutt_send_and_fetch() {
    if !support::peer("script") {
        return;
    }
    for (mutt, smtp, pop) in MUTTS {
        if support::peer(mutt) {
            let served = Served::new();
            for tls in ["s", ""] {
                send(&served, mutt, smtp, tls);
                fetch(&served, mutt, pop, tls);
            }
            assert_eq!(served.mailbox("joe@a.example"), 0, "it deletes what it has");
        }
    }
}

#[test]
fn they_need_no_setting_where_no_login_is_bound_to_its_connection() {
    if !support::peer("script") {
        return;
    }
    for (mutt, ..) in MUTTS {
        if support::peer(mutt) {
            let served =
                Served::of("a.example", &["joe", "jane"], |text| text.replace("[tls]\n", "[tls]\nchannel_binding = \"off\"\n"));
            send(&served, mutt, "", "");
            fetch(&served, mutt, "", "s");
        }
    }
}

/// As jane to joe, with TLS from the start or by STARTTLS.
fn send(served: &Served, mutt: &str, authenticators: &str, tls: &str) {
    let port = served.port(&format!("submission{tls}"));
    let set = format!(
        "set smtp_url=\"smtp{tls}://jane%40a.example@localhost:{port}\" smtp_pass=secret-word smtp_authenticators=\"{authenticators}\" \
         from=jane@a.example use_from=yes copy=no ssl_force_tls=yes ssl_starttls=yes certificate_file={}",
        served.path("root.pem")
    );
    let (home, subject) = (format!("HOME={}", served.path("")), format!("by {mutt}"));
    let args = [&home, "timeout", "240", mutt, "-n", "-F", "/dev/null", "-e", &set, "-s", &subject, "--", "joe@a.example"];
    let (code, out, talk) = support::run("env", &args, b"Hi.\n.\nHi.\n");
    assert_eq!(code, 0, "{mutt}: {}{talk}", String::from_utf8_lossy(&out));
    assert_eq!(served.mailbox("joe@a.example"), 1, "{mutt}");
}

/// As joe. It wants a terminal, and keys that are pressed.
fn fetch(served: &Served, mutt: &str, authenticators: &str, tls: &str) {
    let (folder, mailbox) = (served.path(""), served.path("mbox"));
    fs::write(&mailbox, "").expect("written");
    let config = format!(
        "set pop_host=\"pop{tls}://joe%40a.example@localhost:{}\" pop_pass=secret-word pop_authenticators=\"{authenticators}\"\n\
         set pop_delete=yes pop_last=no ssl_force_tls=yes ssl_starttls=yes certificate_file={}\n\
         set folder={folder} spoolfile={mailbox} mbox_type=mbox quit=yes confirmappend=no move=no\npush \"<fetch-mail><quit>\"\n",
        served.port(&format!("pop3{tls}")),
        served.path("root.pem")
    );
    let file = served.path("muttrc");
    fs::write(&file, config).expect("written");
    // in the foreground of its terminal: whoever reads from it in a process group of its own is stopped for ever
    let command = format!("HOME={folder} TERM=xterm exec timeout --foreground 240 {mutt} -n -F {file} -f {mailbox}");
    let (code, out, talk) = support::run("env", &["SHELL=/bin/sh", "script", "-qec", &command, "/dev/null"], b"");
    let fetched = fs::read_to_string(&mailbox).expect("a mailbox");
    assert!(
        code == 0 && fetched.matches(&format!("\nSubject: by {mutt}\n")).count() == 1 && fetched.contains("\nHi.\n.\nHi.\n"),
        "{mutt}: {code} {fetched}\n{}{talk}",
        String::from_utf8_lossy(&out)
    );
}
