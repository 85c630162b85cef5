//! Users of the system, whose passwords PAM checks: with the modules and the wrapper of Samba's people, which need no rights and touch no system.
#![cfg(feature = "pam")]

use std::fs;
use std::path::{Path, PathBuf};

use super::accounts::{login, with_accounts};
use super::{Served, laid_out, start_by};
use crate::support;

/// The wrapper, and the module that checks passwords in a file.
fn wrapper() -> Option<(PathBuf, PathBuf)> {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let found = folders
        .map(|folder| (folder.join("libpam_wrapper.so"), folder.join("pam_wrapper/pam_matrix.so")))
        .find(|(wrapper, module)| wrapper.exists() && module.exists());
    if found.is_none() {
        support::skip("libpam-wrapper is not installed");
    }
    found
}

/// A server of a.example, whose users are the system's, with the passwords of a file; the lines are of PAM's service.
fn served(least_uid: u32, lines: impl Fn(&Path, &Path) -> String) -> Option<Served> {
    let (wrapper, module) = wrapper()?;
    let accounts = format!("\"a.example\" = {{ pam = \"mail\", least_uid = {least_uid} }}");
    let folder = laid_out("a.example", &[], |text| with_accounts(&accounts)(text));
    let (services, passwords) = (folder.path().join("pam.d"), folder.path().join("passwords"));
    fs::create_dir(&services).expect("made");
    // name, password, service
    fs::write(&passwords, "nobody:secret:mail\nnoone-here:secret:mail\ngames:secret:other\n").expect("written");
    fs::write(services.join("mail"), lines(&module, &passwords)).expect("written");
    let set = |name: &str, value: &Path| format!("{name}={}", value.display());
    let program = [
        "env".to_owned(),
        set("LD_PRELOAD", &wrapper),
        "PAM_WRAPPER=1".to_owned(),
        set("PAM_WRAPPER_SERVICE_DIR", &services),
        env!("CARGO_BIN_EXE_sealpost").to_owned(),
    ];
    let program: Vec<&str> = program.iter().map(String::as_str).collect();
    let (child, ports) = start_by(&program, &folder.path().join("home").display().to_string());
    Some(Served { folder, child, ports })
}

fn matrix(module: &Path, passwords: &Path) -> String {
    let (module, passwords) = (module.display(), passwords.display());
    format!("auth required {module} passdb={passwords}\naccount required {module} passdb={passwords}\n")
}

#[test]
fn pam_says_who_is_let_in_and_the_system_who_has_a_mailbox() {
    let Some(served) = served(1, matrix) else { return };
    assert_eq!(login(&served, "nobody@a.example", "secret"), "yes");
    assert_eq!(login(&served, "NOBODY@A.example", "secret"), "yes");
    for (user, password) in [
        ("nobody@a.example", "wrong"),
        ("nobody@a.example", ""),
        ("noone-here@a.example", "secret"), // PAM has him, the system has not
        ("games@a.example", "secret"),      // of another service
        ("root@a.example", "secret"),       // below the least number, and without a password
    ] {
        assert_eq!(login(&served, user, password), "535", "{user} {password}");
    }
    // mail comes for whom the system has
    let mut stream = super::drills::load::greeted(served.port("smtp")).expect("greets");
    for (to, reply) in [("nobody@a.example", "250"), ("noone-here@a.example", "550 5.1.1"), ("root@a.example", "550 5.1.1")] {
        super::say(&mut stream, "MAIL FROM:<x@b.example>\r\n").expect("a reply");
        let said = super::say(&mut stream, &format!("RCPT TO:<{to}>\r\n")).expect("a reply");
        assert!(said.starts_with(reply), "{to}: {said}");
        super::say(&mut stream, "RSET\r\n").expect("a reply");
    }
    let status: serde_json::Value = serde_json::from_str(&served.run(&["status", "--json"]).0).expect("JSON");
    assert_eq!(status["system_calls"], "seccomp, but for programs that PAM starts");
}

#[test]
fn the_systems_own_users_have_no_mailbox_unless_somebody_says_so() {
    let Some(served) = served(65_535, matrix) else { return };
    assert_eq!(login(&served, "nobody@a.example", "secret"), "535", "right, and no mailbox");
}

#[test]
fn a_service_that_cannot_be_asked_refuses_nobody_for_good() {
    let Some(served) = served(1, |_, _| "auth required /nowhere/pam_none.so\n".to_owned()) else { return };
    assert_eq!(login(&served, "nobody@a.example", "secret"), "454");
}
