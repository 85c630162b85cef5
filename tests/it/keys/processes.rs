//! One home and several processes; processes that are killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sealpost::keys::{Home, files};
use sealpost::pki::{self, Certificate};

use super::certs;
use crate::support;

const PROGRAM: &str = env!("CARGO_BIN_EXE_sealpost");

fn program(home: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["--batch", "--home"]).arg(home).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// The people of the cast whose certificates are added as contacts.
const CONTACTS: [&str; 6] = ["alice", "bob", "carol", "mallory", "stranger", "revoked"];

fn certificate(name: &str) -> Certificate {
    pki::load::certificates(&fs::read(certs(&format!("{name}.pem"))).expect("read")).expect("certificates").remove(0)
}

/// Key and certificates of somebody of the cast in one file.
fn bundle(folder: &Path, name: &str) -> PathBuf {
    let parts = [format!("{name}.key"), format!("{name}.pem"), "issuing.pem".to_owned()];
    let text: Vec<String> = parts.iter().map(|part| fs::read_to_string(certs(part)).expect("read")).collect();
    let path = folder.join(format!("{name}-bundle.pem"));
    fs::write(&path, text.concat()).expect("written");
    path
}

/// Reads everything that a home holds: nothing is half there.
fn read_all(home: &Path) -> Home {
    let home = Home::create(home).expect("opens");
    for stored in home.identities().expect("identities") {
        stored.unlock(None).expect("its key goes with its certificate");
    }
    home.contacts().expect("contacts");
    home.trust_anchors().expect("anchors");
    home.intermediates().expect("intermediates");
    home.crls().expect("lists");
    for contact in home.contacts().expect("contacts") {
        home.learnt(&contact).expect("capabilities");
    }
    home
}

/// Files that were being written when their writer ended.
fn left_over(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(left_over(&path));
        } else if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".new-")) {
            found.push(path);
        }
    }
    found
}

#[test]
fn several_processes_write_one_home_and_lose_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().join("home");
    let mut children: Vec<Child> = Vec::new();
    for name in CONTACTS {
        children.push(program(&home).args(["contact", "add"]).arg(certs(&format!("{name}.pem"))).spawn().expect("starts"));
        children.push(program(&home).args(["trust", "add"]).arg(certs("root.pem")).spawn().expect("starts"));
    }
    for name in ["alice", "bob", "carol"] {
        children.push(program(&home).args(["id", "import"]).arg(bundle(folder.path(), name)).spawn().expect("starts"));
    }
    for child in children {
        let output = child.wait_with_output().expect("ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let home = read_all(&home);
    let contacts = home.contacts().expect("contacts");
    assert!(CONTACTS.iter().all(|name| contacts.contains(&certificate(name))), "{}", contacts.len());
    assert_eq!(home.identities().expect("identities").len(), 3);
}

#[test]
fn readers_are_not_disturbed_by_one_who_removes() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = Home::create(folder.path()).expect("made");
    let people = CONTACTS.map(certificate);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..100 {
                people.iter().for_each(|one| home.add_contact(one).expect("added"));
                people.iter().for_each(|one| drop(home.remove_contact(&one.addresses()[0]).expect("removed")));
            }
        });
        for _ in 0..2000 {
            let found = home.contacts().expect("what is there is read whole, what is gone is not there");
            assert!(found.iter().all(|one| people.contains(one)));
        }
    });
}

/// Commands that write, each in a home that the ones before it made.
fn writers(folder: &Path) -> Vec<Vec<String>> {
    let words = |words: &[&str], path: String| words.iter().map(|word| (*word).to_owned()).chain([path]).collect();
    vec![
        words(&["trust", "add"], certs("root.pem")),
        words(&["id", "import"], bundle(folder, "alice").display().to_string()),
        words(&["contact", "add"], certs("bob.pem")),
    ]
}

/// What a command leaves when it ends well, or nothing of it.
fn is_there(home: &Home, command: &[String]) -> bool {
    match command.first().map(String::as_str) {
        Some("trust") => home.trust_anchors().expect("anchors").contains(&certificate("root")),
        Some("id") => home.identities().expect("identities").iter().any(|stored| stored.certificate == certificate("alice")),
        _ => home.contacts().expect("contacts").contains(&certificate("bob")),
    }
}

#[test]
fn a_process_that_is_killed_at_any_time_leaves_a_whole_home() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().join("home");
    let commands = writers(folder.path());
    // from before the program does anything to after it has ended
    for round in 0..60u64 {
        for command in &commands {
            let mut child = program(&home).args(command).spawn().expect("starts");
            std::thread::sleep(Duration::from_micros(round * 400));
            let _ = child.kill();
            let ended_well = child.wait().expect("ends").success();
            let read = read_all(&home);
            assert!(!ended_well || is_there(&read, command), "what was said to be done is done: {command:?}");
        }
        if round % 5 == 0 {
            let _ = fs::remove_dir_all(&home);
        }
    }
}

/// The calls that change files.
const CHANGES: &str =
    "mkdir,mkdirat,write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,ftruncate,flock";

#[test]
fn a_process_that_is_killed_at_each_change_leaves_a_whole_home() {
    if !support::peer("strace") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().join("home");
    let mut killed = 0;
    for command in writers(folder.path()) {
        for call in CHANGES.split(',') {
            for at in 1.. {
                let _ = fs::remove_dir_all(&home);
                Home::create(&home).expect("made");
                let code = killed_at(&home, &command, call, at);
                let read = read_all(&home);
                if code == 0 {
                    assert!(is_there(&read, &command), "{call} {at}");
                    break;
                }
                killed += 1;
                // whoever comes after the one that was killed does the work, and nothing half written stays
                let output = program(&home).args(&command).output().expect("ends");
                assert!(output.status.success(), "{call} {at}: {}", String::from_utf8_lossy(&output.stderr));
                assert!(is_there(&read_all(&home), &command), "{call} {at}");
                assert_eq!(left_over(&home), Vec::<PathBuf>::new(), "{call} {at}");
            }
        }
    }
    assert!(killed > 15, "killed {killed} times only");
}

/// Runs a command that is killed as it makes a system call for the time `at`; gives 0 where it ended before.
fn killed_at(home: &Path, command: &[String], call: &str, at: u32) -> i32 {
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={at}"));
    let mut args = vec!["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject, PROGRAM, "--batch"];
    args.extend(["--home", home.to_str().expect("UTF-8")]);
    args.extend(command.iter().map(String::as_str));
    support::run("strace", &args, b"").0
}

#[test]
fn what_is_being_written_by_another_is_no_part_of_the_home() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = Home::create(folder.path()).expect("made");
    home.add_contact(&certificate("alice")).expect("added");
    fs::write(folder.path().join("contacts/.new-half"), b"-----BEGIN CERT").expect("written");
    assert_eq!(home.contacts().expect("contacts"), [certificate("alice")]);
    assert_eq!(files::list(&folder.path().join("contacts")).expect("listed").len(), 1);
}
