//! Root binds the ports and is nobody afterwards, in every thread; what is not the server's own is closed to it.

use std::fs;
use std::io::BufReader;
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Served, good, laid_out, say, start};
use crate::support;

/// An address of this machine of which nobody else has the ports: not this test beside that one, nor a second run of them.
fn own_address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(54);
    let id = std::process::id();
    format!("127.{}.{}.{}", 64 + id % 128, id / 128 % 250, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Whether these tests can be run: they need root, and a user that is none.
fn is_root() -> bool {
    let is_root = fs::metadata("/proc/self").is_ok_and(|data| data.uid() == 0);
    if !is_root {
        assert!(std::env::var_os("SEALPOST_REQUIRE_ROOT").is_none(), "SEALPOST_REQUIRE_ROOT is set, and this is not root");
        eprintln!("skipped: leaving root is tested by root");
    }
    is_root
}

/// A server of root's that becomes `nobody`, on the real ports of an address.
fn as_nobody(address: &str) -> Served {
    let folder = laid_out("a.example", &["jane"], |text| {
        let text = text.replace("smtp         = \"127.0.0.1:0\"", &format!("smtp = \"{address}:25\""));
        let text = text.replace("pop3         = \"127.0.0.1:0\"", &format!("pop3 = \"{address}:110\""));
        text.replace("[limits]\n", "[process]\nuser = \"nobody\"\n[limits]\n")
    });
    let path = folder.path().display().to_string();
    assert_eq!(support::run("chown", &["-R", "nobody:", &path], b"").0, 0);
    let (child, ports) = start(&folder.path().join("home").display().to_string());
    Served { folder, child, ports }
}

#[test]
fn root_binds_the_ports_and_every_thread_is_somebody_else() {
    if !is_root() {
        return;
    }
    let address = own_address();
    let served = as_nobody(&address);
    let nobody = String::from_utf8(support::run("id", &["-u", "nobody"], b"").1).expect("a number");
    let (nobody, mut threads) = (nobody.trim().to_owned(), 0);
    let mut stream = BufReader::new(TcpStream::connect((address.as_str(), 25)).expect("root bound it"));
    for (line, reply) in [
        ("", "220"),
        ("EHLO b.example\r\n", "250"),
        ("MAIL FROM:<x@b.example>\r\n", "250"),
        ("RCPT TO:<jane@a.example>\r\n", "250"),
        ("DATA\r\n", "354"),
        ("Subject: x\r\n\r\nhi\r\n.\r\n", "250"),
    ] {
        let said = say(&mut stream, line).expect("a reply");
        assert!(said.starts_with(reply), "{line}: {said}");
    }
    for task in fs::read_dir(format!("/proc/{}/task", served.child.id())).expect("it runs") {
        let status = fs::read_to_string(task.expect("a thread").path().join("status")).expect("read");
        let field = |name: &str| -> Vec<String> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.split_whitespace().map(str::to_owned).collect()
        };
        assert_eq!(field("Uid:"), vec![nobody.clone(); 4], "{status}");
        assert!(!field("Gid:").contains(&"0".to_owned()) && !field("Groups:").contains(&"0".to_owned()), "{status}");
        assert_eq!(field("CapEff:"), ["0000000000000000"], "{status}");
        threads += 1;
    }
    assert!(threads > 1, "one thread alone proves nothing");
    let status: serde_json::Value = serde_json::from_str(&served.run(&["status", "--json"]).0).expect("JSON");
    assert_eq!(status["user"], "nobody");
    assert_eq!(served.mailbox("jane@a.example"), 1);
}

#[test]
fn what_is_not_the_servers_own_is_closed_to_it() {
    if !is_root() {
        return;
    }
    let served = as_nobody(&own_address());
    let status: serde_json::Value = serde_json::from_str(&served.run(&["status", "--json"]).0).expect("JSON");
    if status["sandbox"] != "landlock" {
        eprintln!("skipped: {}", status["sandbox"]);
        return;
    }
    // readable for everybody, and not for the server
    let outside = tempfile::tempdir_in("/var/tmp").expect("a temporary folder");
    assert_eq!(support::run("chmod", &["755", &outside.path().display().to_string()], b"").0, 0);
    let copy = outside.path().join("certificate.pem").display().to_string();
    fs::copy(served.path("home/tls/certificate.pem"), &copy).expect("copied");
    let config = served.path("home/sealpost.toml");
    let text = fs::read_to_string(&config).expect("a configuration");
    fs::write(&config, text.replace("certificate = \"tls/certificate.pem\"", &format!("certificate = \"{copy}\"")))
        .expect("written");
    let (code, _, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &["--home", &served.path("home"), "reload"], b"");
    assert!(code == 2 && talk.contains("the old configuration stays") && talk.contains(&copy), "{talk}");
}

#[test]
fn root_does_not_serve_where_others_reach_it_unless_it_is_told_to() {
    if !is_root() {
        return;
    }
    let folder = laid_out("a.example", &[], |text| text.replace("smtp         = \"127.0.0.1:0\"", "smtp = \"0.0.0.0:0\""));
    let home = folder.path().join("home").display().to_string();
    let serve = || support::run(env!("CARGO_BIN_EXE_sealpost"), &["--home", &home, "serve"], b"");
    let (code, _, talk) = serve();
    assert!(code == 9 && talk.contains("not run as root") && talk.contains("[process] user = \"sealpost\""), "{talk}");
    let config = folder.path().join("home/sealpost.toml");
    let text = fs::read_to_string(&config).expect("a configuration");
    fs::write(&config, format!("{text}\n[process]\nuser = \"nobody\"\n")).expect("written");
    // the home is root's, in a folder that is root's
    let (code, _, talk) = serve();
    assert!(code == 9 && talk.contains("chown -R nobody:"), "{talk}");
    assert!(good(folder.path(), &["serve", "--check"]).1.contains("good"));
}

/// What each thread of a process says of itself in a line.
fn of_threads(process: u32, field: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
    let status = tasks.map(|task| fs::read_to_string(task.expect("a thread").path().join("status")).expect("read"));
    status.map(|status| status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default().trim().to_owned()).collect()
}

#[test]
fn system_calls_that_the_server_never_makes_are_closed_to_every_thread() {
    let served = Served::new();
    let status: serde_json::Value = serde_json::from_str(&served.run(&["status", "--json"]).0).expect("JSON");
    if status["system_calls"] != "seccomp" {
        eprintln!("skipped: {}", status["system_calls"]);
        return;
    }
    let threads = of_threads(served.child.id(), "Seccomp:");
    assert!(threads.len() > 1 && threads.iter().all(|mode| mode == "2"), "{threads:?}");
    assert!(of_threads(served.child.id(), "NoNewPrivs:").iter().all(|set| set == "1"));
    // what a server needs goes on
    served.send("jane@a.example", "From: jane@a.example\r\nTo: joe@a.example\r\nSubject: x\r\n\r\nhi\r\n");
    assert_eq!(served.fetch("joe@a.example").len(), 1);
    let off = Served::of("a.example", &[], |text| format!("{text}\n[process]\nsystem_calls = \"off\"\nsandbox = \"off\"\n"));
    assert!(of_threads(off.child.id(), "Seccomp:").iter().all(|mode| mode == "0"));
}

/// Set in the process that closes them to itself.
const CLOSED: &str = "SEALPOST_TEST_CLOSES_CALLS";

#[test]
fn who_speaks_in_the_servers_place_starts_no_program_and_changes_no_root() {
    use sealpost::server::calls::{Programs, close};
    use sealpost::server::config::Sandbox;
    use std::os::unix::process::ExitStatusExt;

    const NAME: &str = "server::privileges::who_speaks_in_the_servers_place_starts_no_program_and_changes_no_root";
    let Ok(which) = std::env::var(CLOSED) else {
        // a process of its own for each: what is closed stays closed
        for which in ["none", "pam"] {
            let own = std::env::current_exe().expect("known");
            let child = std::process::Command::new(own).args([NAME, "--exact", "--nocapture"]).env(CLOSED, which).output();
            let child = child.expect("starts");
            let talk = String::from_utf8_lossy(&child.stderr).into_owned();
            assert!(child.status.success(), "{which}: {}\n{talk}", child.status);
        }
        return;
    };
    let run = || std::process::Command::new("true").status();
    let root = || nix::unistd::chroot("/");
    let is_root = root().is_ok();
    assert!(run().expect("starts").success());
    let programs = if which == "pam" { Programs::Pam } else { Programs::None };
    let closed = close(programs, Sandbox::Auto).expect("no error");
    if !closed.starts_with("seccomp") {
        return eprintln!("skipped: {closed}");
    }
    match programs {
        Programs::None => {
            // the child that was to become the program is ended by the kernel
            let ended = run().expect("forked");
            assert_eq!(ended.signal(), Some(31), "SIGSYS: {ended}");
        }
        Programs::Pam => assert!(run().expect("starts").success()),
    }
    if is_root {
        assert_eq!(root(), Err(nix::Error::EPERM));
    }
    // a thread that it makes has them closed, too, and does what it needs
    let thread = std::thread::spawn(move || (fs::read("/proc/self/status").is_ok(), nix::unistd::chroot("/")));
    assert_eq!(thread.join().expect("no panic"), (true, Err(nix::Error::EPERM)));
}
