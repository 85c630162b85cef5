//! Pigeonhole's `sieve-test` runs the same scripts over the same messages (`tests/sieve/`); the actions are the same.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sealpost::limits::Limits;
use sealpost::sieve::{Action, Envelope, NoMemory, Outcome, Script};
use sealpost::time::Timestamp;

use crate::support;

pub(super) const FROM: &str = "jane.doe@a.example";
pub(super) const TO: &str = "bob+lists@b.example";

/// A folder in which `sieve-test` runs as somebody without rights.
pub(super) struct Judge(tempfile::TempDir);

impl Judge {
    /// Nothing where the peer is not installed.
    pub(super) fn new() -> Option<Self> {
        if !support::peer("sieve-test") {
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().display().to_string();
        let (uid, _, _) = support::run("id", &["-u"], b"");
        assert_eq!(uid, 0, "id runs");
        let own = String::from_utf8(support::run("id", &["-u"], b"").1).expect("a number");
        // whoever is root says as whom mail is handled
        let user = if own.trim() == "0" { "65534" } else { own.trim() };
        let configuration = format!(
            "mail_uid = {user}\nmail_gid = 65534\nfirst_valid_uid = 1\nmail_home = {place}\nmail_location = maildir:{place}/mail\n\
             log_path = /dev/stderr\npostmaster_address = postmaster@b.example\nhostname = b.example\nplugin {{\n\
             sieve_extensions = +vacation-seconds +date +index +imap4flags\nsieve_vacation_min_period = 600s\n\
             sieve_max_redirects = 4\n}}\n"
        );
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("permissions");
        let judge = Self(folder);
        judge.write("conf", configuration.as_bytes());
        Some(judge)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("permissions");
        path.display().to_string()
    }

    /// What Pigeonhole does, a line an action; `failed`, or `refused` where it does not take the script.
    pub(super) fn run(&self, name: &str, script: &[u8], message: &[u8]) -> Vec<String> {
        let script = self.write(&format!("{name}.sieve"), script);
        let message = self.write(&format!("{name}.eml"), message);
        let configuration = self.0.path().join("conf").display().to_string();
        let arguments = ["TZ=UTC", "sieve-test", "-c", &configuration, "-f", FROM, "-a", TO, "-r", TO, &script, &message];
        let (code, stdout, stderr) = support::run("env", &arguments, b"");
        if stderr.contains("failed to compile") {
            return vec!["refused".to_owned()];
        }
        if stderr.contains("final result: failed") {
            return vec!["failed".to_owned()];
        }
        assert_eq!(code, 0, "{stderr}");
        actions(&String::from_utf8_lossy(&stdout))
    }
}

/// Reads what `sieve-test` prints.
fn actions(printed: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in printed.lines() {
        if let Some(folder) = line.strip_prefix(" * store message in folder: ") {
            found.push(format!("store {folder}"));
        } else if let Some(address) = line.strip_prefix(" * redirect message to: ") {
            found.push(format!("redirect {}", address.trim_matches(['<', '>'])));
        } else if let Some(reason) = line.strip_prefix(" * reject message with reason: ") {
            found.push(format!("reject {}", reason.replace('?', "")));
        } else if line.starts_with(" * send vacation message:") {
            found.push("vacation".to_owned());
        } else if let Some(flags) = line.trim_start().strip_prefix("+ add IMAP flags: ") {
            let mut flags: Vec<&str> = flags.split(' ').collect();
            flags.sort_unstable();
            found.last_mut().expect("an action before").push_str(&format!(" ({})", flags.join(" ")));
        } else if let Some(seconds) = line.trim_start().strip_prefix("=> seconds : ") {
            found.last_mut().expect("an action before").push_str(&format!(" {seconds}"));
        } else if let Some(subject) = line.trim_start().strip_prefix("=> subject : ") {
            found.last_mut().expect("an action before").push_str(&format!(" {subject}"));
        }
    }
    found
}

/// What ours does, in the same words.
pub(super) fn ours(script: &[u8], message: &[u8]) -> Vec<String> {
    let Ok(script) = Script::parse(script, &Limits::default()) else { return vec!["refused".to_owned()] };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let now = Timestamp::from_unix(i64::try_from(now).expect("before the end"));
    let Outcome { actions, failure } = script.run(message, &Envelope::new(FROM, TO), now, &NoMemory, &Limits::default());
    if failure.is_some() {
        return vec!["failed".to_owned()];
    }
    let marked = |folder: &str, flags: &[String]| match flags {
        [] => format!("store {folder}"),
        some => {
            let mut flags: Vec<String> = some.iter().map(|flag| flag.to_lowercase()).collect();
            flags.sort_unstable();
            format!("store {folder} ({})", flags.join(" "))
        }
    };
    let shown = actions.iter().map(|action| match action {
        Action::Keep { flags } => marked("INBOX", flags),
        Action::FileInto { folder, flags } => marked(folder, flags),
        Action::Redirect { address } => format!("redirect {address}"),
        Action::Reject { reason, .. } => format!("reject {}", reason.replace(['\r', '\n'], "")),
        Action::Vacation(reply) => {
            let seconds = reply.silent_until.unix() - now.unix();
            let subject = if reply.subject.starts_with("Auto: ") { String::new() } else { format!(" {}", reply.subject) };
            format!("vacation {seconds}{subject}")
        }
        other => panic!("{other:?}"),
    });
    shown.collect()
}

pub(super) fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sieve").join(folder);
    let mut paths: Vec<_> = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let named = |path: std::path::PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, fs::read(path).expect("a file"))
    };
    paths.into_iter().map(named).collect()
}

#[test]
fn pigeonhole_does_the_same_with_every_script_and_message() {
    let Some(judge) = Judge::new() else { return };
    let (scripts, messages) = (files("scripts"), files("messages"));
    let mut ready: Vec<(String, Vec<u8>)> = Vec::new();
    for rule in sealpost::sieve::ready::RULES {
        ready.push((format!("ready-{}", rule.name), rule.script.as_bytes().to_vec()));
    }
    let mut differ = Vec::new();
    let mut count = 0;
    for (name, script) in scripts.iter().chain(&ready) {
        for (letter, message) in &messages {
            // who gets no reply is asked when it is sent, which `sieve-test` does not
            if name == "ready-away" && letter != "plain" {
                continue;
            }
            let theirs = judge.run(name, script, message);
            let ours = ours(script, message);
            count += 1;
            if theirs != ours {
                differ.push(format!("{name} on {letter}:\n  theirs {theirs:?}\n  ours   {ours:?}"));
            }
        }
    }
    assert!(differ.is_empty(), "{} of {count} differ:\n{}", differ.len(), differ.join("\n"));
    assert!(count >= 100, "only {count} were compared");
}
