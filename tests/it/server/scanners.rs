//! rspamd, SpamAssassin and ClamAV as Debian has them: each started here, alone and all in a row, and what comes of a message of each kind.
//! None of them asks a network; the rules are those of their packages, and ClamAV has one signature, which is ours.

use std::fs::{self, File};
use std::io::BufReader;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use sealpost::limits::Limits;
use sealpost::proto::milter::{Decision, Refusal, Verdict};
use sealpost::server::scan::{Address, OnFailure, Scanner};

use super::{Served, say};
use crate::{milter, support};

/// What every spam filter takes for spam. rspamd's own: with Y in front it is marked, and with Z its subject is.
const SPAM: &str = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";
/// What our signature takes for a virus.
const VIRUS: &str = "SEALPOST-STANDARD-VIRUS-TEST-LETTER";

/// A loaded machine needs some of it to start a program.
const START: Duration = support::LONGEST;

/// A program and what it started.
struct Daemon {
    child: Child,
    log: String,
}

impl Daemon {
    /// Starts a program whose files are in this folder.
    fn start(folder: &Path, program: &str, args: &[&str]) -> Self {
        let name = program.rsplit('/').next().expect("a name");
        let log = folder.join(format!("{name}.log")).display().to_string();
        let out = File::options().create(true).append(true).open(&log).expect("a log");
        let child = Command::new(program)
            .args(args)
            .current_dir(folder)
            // what it starts ends with it
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("a log"))
            .stderr(out)
            .spawn()
            .unwrap_or_else(|error| panic!("{program} does not start: {error}"));
        Self { child, log }
    }

    /// Waits until something holds.
    fn until(&mut self, what: &str, holds: impl Fn() -> bool) {
        let begin = Instant::now();
        while !holds() {
            let ended = self.child.try_wait().expect("it is ours");
            let log = || fs::read_to_string(&self.log).unwrap_or_default();
            assert!(ended.is_none(), "{what}: it ended: {ended:?}\n{}", log());
            assert!(begin.elapsed() < START, "{what}: not within {START:?}\n{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until it listens at this socket.
    fn until_it_listens(&mut self, socket: &Path) {
        self.until(&socket.display().to_string(), || UnixStream::connect(socket).is_ok());
    }

    /// Waits until it takes messages.
    fn until_it_scans(&mut self, address: &str) {
        self.until(address, || offered(address, "A letter.").is_ok_and(|verdict| verdict.decision == Decision::Accept));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// What a scanner says of a message with this body that comes from outside.
fn offered(address: &str, body: &str) -> Result<Verdict, String> {
    let scanner = Scanner { address: Address::parse(address).expect("an address"), on_failure: OnFailure::Tempfail };
    let mut offer = milter::offer();
    offer.body = format!("{body}\r\n").into_bytes().into();
    scanner.offer(offer, &Limits::default())
}

/// Whether these programs are here; skips aloud where not.
fn are_here(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| !Path::new(program).exists());
    if let Some(program) = missing {
        support::skip(&format!("{program} is not installed"));
    }
    missing.is_none()
}

const RSPAMD: &str = "/usr/bin/rspamd";

/// rspamd with the configuration of its package and these files over it; gives its address.
fn rspamd(folder: &Path) -> (Daemon, String) {
    let port = support::free_port();
    let local = folder.join("local.d");
    fs::create_dir_all(&local).expect("a folder");
    let at = |name: &str| folder.join(name).display().to_string();
    // rules that ask for names hear at once that nobody answers; which names are top-level domains takes half a minute to compile
    let options = format!(
        "enable_test_patterns = true;\ngtube_patterns = \"all\";\ndisable_hyperscan = true;\nurl_tld = \"{}\";\n\
         dns {{ nameserver = [\"127.0.0.1:1\"]; timeout = 0.1; retransmits = 1; }}\n",
        at("domains")
    );
    let proxy = format!("bind_socket = \"127.0.0.1:{port}\";\nupstream \"local\" {{ self_scan = yes; default = yes; }}\n");
    for (name, text) in [
        ("domains", "example\n"),
        ("local.d/options.inc", options.as_str()),
        ("local.d/logging.inc", "type = \"console\";\n"),
        ("local.d/worker-proxy.inc", &proxy),
        ("local.d/worker-normal.inc", "enabled = false;\n"),
        ("local.d/worker-controller.inc", "enabled = false;\n"),
        // the tests are clients on this machine, whose mail it leaves alone otherwise
        ("local.d/milter_headers.conf", "use = [\"x-spam-status\", \"authentication-results\"];\nskip_local = false;\n"),
    ] {
        fs::write(folder.join(name), text).expect("written");
    }
    let here = folder.display();
    let places = ["LOCAL_CONFDIR", "DBDIR", "RUNDIR", "LOGDIR"].map(|place| format!("--var={place}={here}"));
    let mut args = vec!["-f", "-i", "-c", "/etc/rspamd/rspamd.conf"];
    args.extend(places.iter().map(String::as_str));
    (Daemon::start(folder, RSPAMD, &args), format!("inet:127.0.0.1:{port}"))
}

const SPAMASSASSIN: [&str; 3] = ["/usr/sbin/spamd", "/usr/bin/spamc", "/usr/sbin/spamass-milter"];

/// SpamAssassin's server; who asks it finds it in this folder.
fn spamd(folder: &Path) -> Daemon {
    let at = |name: &str| format!("{}/{name}", folder.display());
    let (socket, pid) = (format!("--socketpath={}", at("spamd.sock")), format!("--pidfile={}", at("spamd.pid")));
    let home = format!("--helper-home-dir={}", folder.display());
    // no network, no files of users, and one child: two of each test run beside others
    let args = ["-L", "-x", "-m", "1", "--min-children=1", "--syslog=stderr", &home, &socket, &pid];
    Daemon::start(folder, SPAMASSASSIN[0], &args)
}

/// The milter before it; gives its address.
fn spamass_milter(folder: &Path, name: &str, options: &[&str]) -> (Daemon, String) {
    let (socket, spamd) = (format!("{}/{name}", folder.display()), format!("{}/spamd.sock", folder.display()));
    let args = [&["-p", &socket], options, &["--", "-U", &spamd]].concat();
    (Daemon::start(folder, SPAMASSASSIN[2], &args), format!("unix:{socket}"))
}

const CLAMAV: [&str; 2] = ["/usr/sbin/clamd", "/usr/sbin/clamav-milter"];

/// ClamAV's server with one signature.
fn clamd(folder: &Path) -> Daemon {
    let at = |name: &str| folder.join(name).display().to_string();
    fs::create_dir(at("signatures")).expect("a folder");
    let hex: String = VIRUS.bytes().map(|byte| format!("{byte:02x}")).collect();
    fs::write(at("signatures/own.ndb"), format!("Sealpost-Test:0:*:{hex}\n")).expect("written");
    let configuration = format!(
        "Foreground yes\nDatabaseDirectory {}\nLocalSocket {}\nTemporaryDirectory {}\n",
        at("signatures"),
        at("clamd.sock"),
        folder.display()
    );
    fs::write(at("clamd.conf"), configuration).expect("written");
    let mut clamd = Daemon::start(folder, CLAMAV[0], &["-c", &at("clamd.conf")]);
    // who asks for it before it is there asks again much later
    clamd.until_it_listens(&folder.join("clamd.sock"));
    clamd
}

/// The milter before it; gives its address.
fn clamav_milter(folder: &Path, options: &str) -> (Daemon, String) {
    let at = |name: &str| folder.join(name).display().to_string();
    let configuration = format!(
        "Foreground yes\nMilterSocket unix:{}\nClamdSocket unix:{}\nTemporaryDirectory {}\n{options}\n",
        at("clamav.sock"),
        at("clamd.sock"),
        folder.display()
    );
    fs::write(at("clamav-milter.conf"), configuration).expect("written");
    (Daemon::start(folder, CLAMAV[1], &["-c", &at("clamav-milter.conf")]), format!("unix:{}", at("clamav.sock")))
}

/// A server with these scanners, each with what becomes of mail while it is gone.
fn served(scanners: &[(&str, &str)]) -> Served {
    let parts = scanners
        .iter()
        .map(|(address, on_failure)| format!("\n[[scanner]]\naddress = \"{address}\"\non-failure = \"{on_failure}\"\n"));
    let parts: String = parts.collect();
    Served::of("a.example", &["jane", "joe"], |text| format!("{text}{parts}"))
}

/// Writes a text from outside to jane; gives the reply to the message.
fn told(served: &Served, subject: &str, text: &str) -> String {
    sent(served, subject, "text/plain", &format!("Dear Jane,\r\n\r\n{text}"))
}

/// Sends a message with a body of this type.
fn sent(served: &Served, subject: &str, kind: &str, body: &str) -> String {
    let stream = TcpStream::connect(("127.0.0.1", served.port("smtp"))).expect("connects");
    let mut stream = BufReader::new(stream);
    let message = format!(
        "From: Kim <kim@c.example>\r\nTo: Jane <jane@a.example>\r\nSubject: {subject}\r\nMessage-ID: <{subject}.20260601@c.example>\r\n\
         Date: Mon, 1 Jun 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: {kind}\r\n\r\n{body}\r\n.\r\n"
    );
    let lines = ["", "EHLO c.example\r\n", "MAIL FROM:<kim@c.example>\r\n", "RCPT TO:<jane@a.example>\r\n", "DATA\r\n", &message];
    let replies = lines.map(|line| say(&mut stream, line).expect("a reply"));
    replies.into_iter().next_back().expect("there are some").trim_end().to_owned()
}

/// The one message of a mailbox with this subject.
fn one(served: &Served, mailbox: &str, subject: &str) -> String {
    let all = served.stored(mailbox);
    let mut those = all.iter().filter(|message| message.contains(&format!("\r\nSubject: {subject}\r\n")));
    let (Some(one), None) = (those.next(), those.next()) else { panic!("{subject} in {mailbox}: {all:#?}") };
    one.clone()
}

#[test]
fn rspamd_adds_fields_marks_and_refuses() {
    if !are_here(&[RSPAMD]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (mut daemon, address) = rspamd(folder.path());
    let served = served(&[(&address, "accept")]);
    served.run(&["user", "filter", "jane@a.example", "--ready", "spam"]);
    daemon.until_it_scans(&address);
    assert!(told(&served, "good", "All is well.").starts_with("250"));
    let good = one(&served, "jane@a.example", "good");
    assert!(
        good.contains("\r\nX-Spam-Status: No, score=") && good.ends_with("\r\n\r\nDear Jane,\r\n\r\nAll is well.\r\n"),
        "{good}"
    );
    // it calls itself as this server calls itself, and its fields are in front of those that came
    assert!(good.contains("\r\nAuthentication-Results: mail.a.example;\r\n\tnone\r\nFrom: Kim"), "{good}");
    assert_eq!(told(&served, "bad", SPAM), "554 5.7.1 Gtube pattern");
    assert!(told(&served, "marked", &SPAM.replace("XJS", "YJS")).starts_with("250"));
    let marked = one(&served, "jane@a.example/Junk", "marked");
    assert!(marked.contains("\r\nX-Spam: Yes\r\n"), "{marked}");
    assert!(told(&served, "renamed", &SPAM.replace("XJS", "ZJS")).starts_with("250"));
    let renamed = one(&served, "jane@a.example", "*** SPAM *** renamed");
    assert!(!renamed.contains("Subject: renamed"), "{renamed}");
    drop(daemon);
    assert!(told(&served, "unseen", SPAM).starts_with("250"));
    assert!(!one(&served, "jane@a.example", "unseen").contains("X-Spam"));
}

#[test]
fn spamassassin_adds_fields_wraps_spam_and_refuses() {
    if !are_here(&SPAMASSASSIN) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut spamd = spamd(folder.path());
    let (mut milter, address) = spamass_milter(folder.path(), "marks.sock", &["-a"]);
    let served = served(&[(&address, "tempfail")]);
    served.run(&["user", "filter", "jane@a.example", "--ready", "spam"]);
    let (mut strict, refuses) = spamass_milter(folder.path(), "refuses.sock", &["-r", "15"]);
    // while it does not, the milter lets all through
    spamd.until_it_listens(&folder.path().join("spamd.sock"));
    strict.until_it_scans(&refuses);
    milter.until_it_scans(&address);
    let refused = Refusal { code: 550, enhanced: "5.7.1".to_owned(), text: "Blocked by SpamAssassin".to_owned() };
    assert_eq!(offered(&refuses, SPAM).map(|verdict| verdict.decision), Ok(Decision::Refuse(refused)));
    assert!(told(&served, "good", "All is well.").starts_with("250"));
    let good = one(&served, "jane@a.example", "good");
    assert!(
        good.contains("\r\nX-Spam-Status: No, score=") && good.contains("\r\nX-Spam-Checker-Version: SpamAssassin "),
        "{good}"
    );
    assert!(good.ends_with("\r\n\r\nDear Jane,\r\n\r\nAll is well.\r\n"), "{good}");
    // what it made of the message has whole lines, and says how the message came
    assert!(told(&served, "bad", SPAM).starts_with("250"));
    let bad = one(&served, "jane@a.example/Junk", "bad");
    assert!(bad.contains("\r\nX-Spam-Flag: YES\r\n") && bad.contains("\r\nContent-Type: multipart/mixed; boundary="), "{bad}");
    assert!(bad.contains("Spam detection software") && !bad.replace("\r\n", "").contains(['\r', '\n']), "{bad}");
    let came = "Received: from c.example ([127.0.0.1])\r\n\tby mail.a.example (sealpost/";
    assert!(bad.contains(came) && bad.contains(") with ESMTP id "), "{bad}");
    // -a: who logged in is not looked at
    served.send("joe@a.example", &format!("From: joe@a.example\nTo: jane@a.example\nSubject: ours\n\n{SPAM}\n"));
    assert!(!one(&served, "jane@a.example", "ours").contains("X-Spam"));
    drop(spamd);
    assert!(told(&served, "unseen", SPAM).starts_with("250"));
    assert!(!one(&served, "jane@a.example", "unseen").contains("X-Spam"));
    drop(milter);
    let waits = "451 4.7.1 the message cannot be looked at now – try again later";
    assert_eq!(told(&served, "gone", SPAM), waits.replace('–', "-"));
}

#[test]
fn clamav_adds_fields_and_refuses_also_what_is_encoded() {
    if !are_here(&CLAMAV) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let clamd = clamd(folder.path());
    let (mut milter, address) = clamav_milter(folder.path(), "OnInfected Reject\nRejectMsg a virus - %v\nAddHeader Replace");
    milter.until_it_scans(&address);
    let served = served(&[(&address, "tempfail")]);
    assert!(told(&served, "good", "All is well.").starts_with("250"));
    let good = one(&served, "jane@a.example", "good");
    assert!(good.contains("\r\nX-Virus-Scanned: clamav-milter ") && good.contains("\r\nX-Virus-Status: Clean\r\n"), "{good}");
    let refused = "550 5.7.1 a virus - Sealpost-Test.UNOFFICIAL";
    assert_eq!(told(&served, "bad", VIRUS), refused);
    let hidden = String::from_utf8(sealpost::mime::transfer::encode_base64(VIRUS.as_bytes())).expect("ASCII");
    let kind = "application/octet-stream\r\nContent-Transfer-Encoding: base64";
    assert_eq!(sent(&served, "attached", kind, hidden.trim_end()), refused);
    drop(clamd);
    let later = told(&served, "nobody", "All is well.");
    assert!(later.starts_with("451 4.7.1 a scanner asks to try again later"), "{later}");
    drop(milter);
    let gone = told(&served, "gone", "All is well.");
    assert!(gone.starts_with("451 4.7.1 the message cannot be looked at now"), "{gone}");
    assert_eq!(served.mailbox("jane@a.example"), 1);
}

#[test]
fn all_three_in_a_row_see_what_the_one_before_left() {
    let all = [&[RSPAMD][..], &SPAMASSASSIN, &CLAMAV].concat();
    if !are_here(&all) {
        return;
    }
    let folders = [(); 3].map(|()| tempfile::tempdir().expect("a folder"));
    let [first, second, third] = folders.each_ref().map(|folder| folder.path());
    let (mut rspamd, marks) = rspamd(first);
    let mut spamd = spamd(second);
    let (mut spamass, wraps) = spamass_milter(second, "milter.sock", &["-m"]);
    let _clamd = clamd(third);
    let (mut clamav, keeps) = clamav_milter(third, "OnInfected Quarantine\nAddHeader Replace");
    let served = served(&[(&marks, "tempfail"), (&keeps, "tempfail"), (&wraps, "tempfail")]);
    rspamd.until_it_scans(&marks);
    spamd.until_it_listens(&second.join("spamd.sock"));
    spamass.until_it_scans(&wraps);
    clamav.until_it_scans(&keeps);
    assert!(told(&served, "good", "All is well.").starts_with("250"));
    let good = one(&served, "jane@a.example", "good");
    // two say their own of it in fields of one name, and SpamAssassin's is what it makes of rspamd's
    for field in ["X-Spam-Status: No, ", "X-Spam-Checker-Version: SpamAssassin ", "X-Virus-Status: Clean"] {
        assert_eq!(good.matches(&format!("\r\n{field}")).count(), 1, "{field}: {good}");
    }
    assert!(good.contains("\r\nAuthentication-Results: mail.a.example;\r\n\t"), "{good}");
    assert!(good.ends_with("\r\n\r\nDear Jane,\r\n\r\nAll is well.\r\n"), "{good}");
    // what is kept aside is not lost, and not in the inbox
    assert!(told(&served, "aside", VIRUS).starts_with("250"));
    let aside = one(&served, "jane@a.example/Quarantine", "aside");
    assert!(aside.contains("\r\nX-Virus-Status: Infected (Sealpost-Test.UNOFFICIAL)\r\n"), "{aside}");
    assert_eq!(told(&served, "bad", &format!("{SPAM}\r\n{VIRUS}")), "554 5.7.1 Gtube pattern");
    assert_eq!(served.mailbox("jane@a.example"), 1);
}
