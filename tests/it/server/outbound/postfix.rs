//! Postfix as the next server and as the one before.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use sealpost::proto::smtp::Addressee;
use sealpost::proto::smtp::client::Terms;
use sealpost::server::store::{Delivery, Priority, Store};

use super::{Authority, Host, now, until};
use crate::support;

/// Postfix under a configuration of its own.
struct Postfix {
    folder: tempfile::TempDir,
    port: u16,
}

impl Postfix {
    /// It has mailboxes of p.example, and sends everything else to a port here; `None` where it is not installed, or cannot be started.
    fn start(relay: u16, more: &str) -> Option<Self> {
        if !Path::new("/usr/sbin/postfix").is_file() {
            support::skip("Postfix is not installed");
            return None;
        }
        if support::run("id", &["-u"], b"").1 != b"0\n" {
            support::skip("Postfix starts as root only");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("postfix").tempdir_in("/var/tmp").expect("a folder");
        let at = folder.path();
        let name = at.display();
        let port = support::free_port();
        for (folder, mode) in [("", 0o755), ("config", 0o755), ("spool", 0o755), ("data", 0o700), ("mail", 0o777)] {
            fs::create_dir_all(at.join(folder)).expect("made");
            fs::set_permissions(at.join(folder), fs::Permissions::from_mode(mode)).expect("set");
        }
        assert_eq!(support::run("chown", &["postfix", &at.join("data").display().to_string()], b"").0, 0);
        let authority = Authority::new("Postfix's");
        let identity = authority.issue(&["localhost"]);
        fs::write(at.join("root.pem"), authority.pem()).expect("written");
        fs::write(at.join("config/tls.pem"), format!("{}{}", identity.key_pem, identity.chain_pem())).expect("written");
        let master =
            fs::read_to_string("/usr/share/postfix/master.cf.dist").or_else(|_| fs::read_to_string("/etc/postfix/master.cf"));
        let master: String = master.expect("a table of services").lines().map(|line| service(line, port) + "\n").collect();
        fs::write(at.join("config/master.cf"), master).expect("written");
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {name}/spool\ndata_directory = {name}/data\nmyhostname = mail.p.example\n\
             mydestination =\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmaillog_file = {name}/log\n\
             maillog_file_prefixes = /var\nvirtual_mailbox_domains = p.example\nvirtual_mailbox_base = {name}/mail\n\
             virtual_mailbox_maps = inline:{{joe@p.example=joe/}}\nvirtual_minimum_uid = 1\nvirtual_uid_maps = static:65534\n\
             virtual_gid_maps = static:65534\nrelayhost = [127.0.0.1]:{relay}\nsmtp_tls_security_level = encrypt\n\
             smtp_tls_loglevel = 1\nsmtpd_tls_chain_files = {name}/config/tls.pem\nsmtpd_tls_security_level = may\nsmtputf8_enable = yes\n\
             smtpd_relay_restrictions = permit_mynetworks, reject\n{more}minimal_backoff_time = 300s\n"
        );
        fs::write(at.join("config/main.cf"), main).expect("written");
        let postfix = Self { folder, port };
        postfix.up();
        Some(postfix)
    }

    fn config(&self) -> String {
        self.folder.path().join("config").display().to_string()
    }

    fn up(&self) {
        let (code, _, talk) = support::run("/usr/sbin/postfix", &["-c", &self.config(), "start"], b"");
        assert_eq!(code, 0, "{talk}");
        until("Postfix listens", || std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }

    fn down(&self) {
        drop(support::run("/usr/sbin/postfix", &["-c", &self.config(), "stop"], b""));
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The letters of joe@p.example.
    fn mail(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path().join("mail/joe/new")).into_iter().flatten().flatten();
        let paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.iter().map(|path| String::from_utf8_lossy(&fs::read(path).expect("read")).into_owned()).collect()
    }

    /// Has it take a letter, as a program on this machine.
    fn submit(&self, args: &[&str], letter: &str) {
        let script = "import smtplib, sys\nport, sender, options, *to = sys.argv[1:]\ns = smtplib.SMTP('127.0.0.1', int(port))\n\
                      s.ehlo('client.p.example')\ns.send_message\nmail, rcpt = (o.split() for o in options.split('/'))\n\
                      s.sendmail(sender, to, sys.stdin.buffer.read(), mail, rcpt)\ns.quit()\n";
        let port = self.port.to_string();
        let (code, _, talk) = support::run("python3", &[&["-c", script, &port], args].concat(), letter.as_bytes());
        assert_eq!(code, 0, "{talk}");
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        self.down();
    }
}

/// A line of the table of services, without a changed root and at our port.
fn service(line: &str, port: u16) -> String {
    let fields: Vec<&str> = line.split_whitespace().collect();
    match fields.as_slice() {
        ["smtp", "inet", ..] => format!("127.0.0.1:{port} inet n - n - - smtpd"),
        [name, kind @ ("unix" | "pass" | "fifo" | "unix-dgram"), private, unprivileged, "y", rest @ ..] => {
            format!("{name} {kind} {private} {unprivileged} n {}", rest.join(" "))
        }
        _ => line.to_owned(),
    }
}

#[test]
fn postfix_brings_what_it_has_once_the_server_is_there() {
    // nobody listens there: what goes back to Postfix waits to be looked at
    let mut host = Host::new("[routes]\n\"p.example\" = \"127.0.0.1:9\"\n");
    // the same port after the next start
    let port = support::free_port();
    host.config = host.config.replacen("smtp = \"127.0.0.1:0\"", &format!("smtp = \"127.0.0.1:{port}\""), 1);
    host.stop();
    host.start();
    let Some(postfix) = Postfix::start(port, "").filter(|_| support::peer("python3")) else { return };
    let head = "From: joe@p.example\r\nTo: jane@a.example\r\n";
    postfix.submit(&["joe@p.example", "/", "jane@a.example"], &format!("{head}Subject: plain\r\n\r\n.dot\r\n"));
    let eight = format!(
        "{head}Subject: eight\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\nGr\u{fc}\u{df}e\r\n"
    );
    postfix.submit(&["joe@p.example", "BODY=8BITMIME/NOTIFY=SUCCESS", "jane@a.example"], &eight);
    let utf8 = format!("{head}Subject: Gr\u{fc}\u{df}e\r\n\r\nutf8\r\n");
    postfix.submit(&["j\u{f6}@p.example", "SMTPUTF8 BODY=8BITMIME/", "jane@a.example"], &utf8);
    let letters = host.arrived("jane@a.example", 3);
    let of = |what: &str| {
        letters.iter().find(|one| one.contains(what)).unwrap_or_else(|| panic!("{what}: {letters:?}\n{}", postfix.log()))
    };
    assert!(of("Subject: plain").contains("\r\n by mail.a.example with ESMTPS\r\n"), "{letters:?}");
    assert!(of("Subject: plain").ends_with("\r\n\r\n.dot\r\n"));
    assert!(of("Subject: eight").contains("\r\n\r\nGr\u{fc}\u{df}e\r\n"));
    let utf8 = of("utf8\r\n");
    assert!(utf8.starts_with("Return-Path: <j\u{f6}@p.example>") && utf8.contains(" with UTF8SMTPS\r\n"), "{utf8}");
    assert!(utf8.contains("Subject: Gr\u{fc}\u{df}e\r\n"), "{utf8}");
    // who asked hears it from the server that knows
    until("the report is back", || host.waiting().iter().any(|one| one.recipient == "joe@p.example"));
    host.stop();
    postfix.submit(&["joe@p.example", "/", "jane@a.example"], &format!("{head}Subject: later\r\n\r\nx\r\n"));
    until("it waits there", || postfix.log().contains("status=deferred"));
    host.start();
    // what it logs as put off may not be where a flush finds it yet
    until("it has come", || {
        assert_eq!(support::run("/usr/sbin/postqueue", &["-c", &postfix.config(), "-f"], b"").0, 0);
        host.mailbox("jane@a.example").len() >= 4
    });
    let letters = host.mailbox("jane@a.example");
    assert_eq!(letters.iter().filter(|one| one.contains("Subject: later")).count(), 1);
}

#[test]
fn postfix_gets_what_waits_for_it_once_it_is_there() {
    let Some(postfix) = Postfix::start(support::free_port(), "") else { return };
    postfix.down();
    let route = format!("[routes]\n\"p.example\" = \"localhost:{}\"\n", postfix.port);
    let host = Host::new(&format!("{route}[tls-policy]\n\"p.example\" = \"encrypted\"\n"));
    let put = |message: &str, to: &str, notify: &str| {
        let to = Addressee { address: to.to_owned(), notify: notify.to_owned(), original: String::new() };
        let (sender, priority) = ("jane@a.example".to_owned(), Priority::Normal);
        let terms = Terms { envid: "e1".to_owned(), ..Terms::default() };
        let (message, final_fields, mailboxes) = (message.as_bytes().to_vec().into(), Vec::new(), Vec::new());
        host.store
            .deliver(Delivery {
                message,
                final_fields,
                mailboxes,
                sender,
                elsewhere: vec![to],
                terms,
                priority,
                at: now(),
                extra: Default::default(),
            })
            .expect("kept");
    };
    let head = "From: jane@a.example\r\nTo: joe@p.example\r\nMessage-ID: <";
    put(&format!("{head}1@a.example>\r\nSubject: plain\r\n\r\n.dot\r\n"), "joe@p.example", "");
    put(&format!("{head}2@a.example>\r\nSubject: Gr\u{fc}\u{df}e\r\n\r\nGr\u{fc}\u{df}e\r\n"), "joe@p.example", "");
    put(&format!("{head}3@a.example>\r\nSubject: nobody\r\n\r\nx\r\n"), "nobody@p.example", "");
    put(&format!("{head}4@a.example>\r\nSubject: told\r\n\r\nx\r\n"), "joe@p.example", "SUCCESS");
    host.wake();
    let left = host.tried(1);
    assert!(left.len() == 4 && left.iter().all(|(_, why)| why.starts_with("4.4.1 ")), "{left:?}");
    postfix.up();
    host.retry();
    until("all have arrived", || postfix.mail().len() == 3 && host.waiting().is_empty());
    let (letters, log) = (postfix.mail(), postfix.log());
    let of = |what: &str| letters.iter().find(|one| one.contains(what)).unwrap_or_else(|| panic!("{what}: {letters:?}\n{log}"));
    assert!(of("Subject: plain").ends_with("\n\n.dot\n"), "{letters:?}");
    assert!(of("Subject: plain").contains("by mail.p.example (Postfix) with ESMTPS"), "{letters:?}");
    assert!(of("<2@a.example>").contains("with UTF8SMTPS") && of("<2@a.example>").contains("Subject: Gr\u{fc}\u{df}e\n"));
    let bounce = host.arrived("jane@a.example", 1).remove(0);
    assert!(bounce.contains("Final-Recipient: rfc822; nobody@p.example\r\nAction: failed\r\nStatus: 5.1.1"), "{bounce}");
    assert!(bounce.contains("Remote-MTA: dns; localhost\r\nDiagnostic-Code: smtp; 550 5.1.1"), "{bounce}");
    // Postfix tells of the one who asked itself; we do not
    assert_eq!(host.mailbox("jane@a.example").len(), 1);
    until("Postfix's report waits", || postfix.log().contains("sender delivery status notification"));
}

/// Who may log in at Postfix is known to Dovecot.
struct Dovecot {
    _folder: tempfile::TempDir,
    socket: String,
    child: std::process::Child,
}

impl Dovecot {
    fn start() -> Option<Self> {
        if !Path::new("/usr/sbin/dovecot").is_file() {
            support::skip("Dovecot is not installed");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("dovecot").tempdir_in("/var/tmp").expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("set");
        let (name, socket) = (folder.path().display(), folder.path().join("auth").display().to_string());
        let config = format!(
            "base_dir = {name}/run\nstate_dir = {name}/run\nlog_path = {name}/log\nprotocols =\nssl = no\n\
             auth_mechanisms = plain login scram-sha-256\npassdb {{\n  driver = static\n  args = password=secret\n}}\n\
             userdb {{\n  driver = static\n  args = uid=65534 gid=65534 home=/tmp\n}}\n\
             service auth {{\n  unix_listener {socket} {{\n    mode = 0666\n  }}\n}}\n"
        );
        fs::write(folder.path().join("dovecot.conf"), config).expect("written");
        let child = std::process::Command::new("/usr/sbin/dovecot")
            .args(["-F", "-c", &folder.path().join("dovecot.conf").display().to_string()])
            .spawn()
            .expect("Dovecot starts");
        let dovecot = Self { _folder: folder, socket, child };
        // the socket is a file before anybody listens on it
        until("Dovecot listens", || UnixStream::connect(&dovecot.socket).is_ok());
        Some(dovecot)
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // it ends its own processes where it is asked to
        drop(support::run("kill", &["-TERM", &self.child.id().to_string()], b""));
        drop(self.child.wait());
    }
}

#[test]
fn postfix_as_smart_host_takes_the_login_by_scram() {
    let Some(dovecot) = Dovecot::start() else { return };
    let sasl = format!(
        "smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\nsmtpd_sasl_path = {}\nsmtpd_tls_auth_only = yes\n\
         smtpd_client_restrictions = permit_sasl_authenticated, reject\n",
        dovecot.socket
    );
    let Some(postfix) = Postfix::start(9, &sasl) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let password = folder.path().join("pw").display().to_string();
    fs::write(&password, "secret\n").expect("written");
    let host = Host::new(&format!(
        "[routes]\n\"*\" = {{ server = \"localhost:{}\", user = \"jane\", password_file = \"{password}\" }}\n\
         [delivery]\ntrust = \"{}\"\n",
        postfix.port,
        postfix.folder.path().join("root.pem").display()
    ));
    host.send(&["joe@p.example"]);
    until("it has arrived", || postfix.mail().len() == 1);
    assert!(postfix.log().contains("sasl_method=SCRAM-SHA-256, sasl_username=jane"), "{}", postfix.log());
    until("it has gone", || host.waiting().is_empty());
    host.stop_idle();
    fs::write(&password, "other\n").expect("written");
    host.send(&["joe@p.example"]);
    assert!(host.tried(1)[0].1.contains("535 5.7.8"), "{:?}", host.waiting());
    assert!(host.mailbox("jane@a.example").is_empty());
}
