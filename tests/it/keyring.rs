//! Passphrases in the keyring of the system: GNOME Keyring holds them, `secret-tool` sees and sets them.

use std::process::{Command, Stdio};

use crate::support;

/// Runs a script in a session of its own, with a keyring that is unlocked; `None` where a peer is missing.
fn in_session(folder: &std::path::Path, script: &str) -> Option<String> {
    if !["dbus-run-session", "gnome-keyring-daemon", "secret-tool", "openssl"].iter().all(|peer| support::peer(peer)) {
        return None;
    }
    let whole = format!(
        "set -eu\nprintf 'keyring password' | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1\n{script}\n"
    );
    let mut command = Command::new("dbus-run-session");
    command.args(["--", "sh", "-c", &whole]).stdin(Stdio::null()).current_dir(folder);
    for (variable, path) in [("HOME", "user"), ("XDG_RUNTIME_DIR", "run"), ("XDG_DATA_HOME", "data"), ("SEALPOST_HOME", "home")] {
        std::fs::create_dir_all(folder.join(path)).expect("made");
        command.env(variable, folder.join(path));
    }
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(folder.join("run"), private).expect("set");
    command.env("SEALPOST", env!("CARGO_BIN_EXE_sealpost")).env_remove("DBUS_SESSION_BUS_ADDRESS");
    let output = command.output().expect("it runs");
    let talk = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{talk}");
    Some(talk)
}

/// A home with alice's key under a passphrase, and mail to her.
fn home(folder: &std::path::Path) {
    let certs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("certs");
    let bundle = ["alice.key", "alice.pem", "issuing.pem"].map(|name| std::fs::read(certs.join(name)).expect("one of the cast"));
    std::fs::write(folder.join("alice.bundle"), bundle.concat()).expect("written");
    std::fs::copy(certs.join("alice.pem"), folder.join("alice.pem")).expect("copied");
    std::fs::write(folder.join("passphrase"), "correct horse\n").expect("written");
    std::fs::write(folder.join("wrong"), "battery staple\n").expect("written");
    std::fs::write(folder.join("letter.eml"), "From: alice@example.com\r\n\r\nhello\r\n").expect("written");
}

const PREPARE: &str = "$SEALPOST --batch --passphrase-file passphrase id import alice.bundle
openssl cms -encrypt -aes256 -in letter.eml -out mail.eml alice.pem
ADDRESS=$($SEALPOST id list | cut -d ' ' -f 1 | tr -d ,)
ENTRY=\"$ADDRESS $(realpath home)\"
code() { set +e; \"$@\" >out 2>talk; CODE=$?; set -e; }";

#[test]
fn a_remembered_passphrase_opens_mail_and_is_seen_by_others() {
    let folder = tempfile::tempdir().expect("a folder");
    home(folder.path());
    let script = format!(
        "{PREPARE}
code $SEALPOST --batch open --raw mail.eml -o opened; test $CODE = 6
code $SEALPOST --batch --passphrase-file wrong id remember $ADDRESS; test $CODE = 2
$SEALPOST --batch --passphrase-file passphrase id remember $ADDRESS
test \"$(secret-tool lookup service sealpost username \"$ENTRY\")\" = 'correct horse'
$SEALPOST --batch open --raw mail.eml -o opened
cmp opened letter.eml
$SEALPOST --batch sign letter.eml --as $ADDRESS -o signed.eml
code $SEALPOST --batch --passphrase-file wrong open --raw mail.eml -o other; test $CODE = 6
$SEALPOST --batch id forget $ADDRESS
code secret-tool lookup service sealpost username \"$ENTRY\"; test $CODE = 1
code $SEALPOST --batch open --raw mail.eml -o other; test $CODE = 6
$SEALPOST --batch id forget $ADDRESS 2>&1 | grep 'remembered no passphrase'
! grep -r 'correct horse' home data user"
    );
    in_session(folder.path(), &script);
}

#[test]
fn what_another_program_stored_is_used_and_a_wrong_one_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    home(folder.path());
    let script = format!(
        "{PREPARE}
printf 'correct horse' | secret-tool store --label=mail service sealpost username \"$ENTRY\"
$SEALPOST --batch open --raw mail.eml -o opened
cmp opened letter.eml
printf 'battery staple' | secret-tool store --label=mail service sealpost username \"$ENTRY\"
code $SEALPOST --batch sign letter.eml --as $ADDRESS -o signed.eml; test $CODE = 2
grep 'what the keyring remembers does not open the key' talk
$SEALPOST --batch --passphrase-file passphrase sign letter.eml --as $ADDRESS -o signed.eml"
    );
    in_session(folder.path(), &script);
}

#[test]
fn without_a_keyring_it_is_said_and_nothing_else_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    home(folder.path());
    let run = |line: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealpost"));
        command.args(["--batch", "--home", "home"]).args(line.split_whitespace()).current_dir(folder.path()).stdin(Stdio::null());
        command.env_remove("DBUS_SESSION_BUS_ADDRESS").env("XDG_RUNTIME_DIR", folder.path());
        let output = command.output().expect("it runs");
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(run("--passphrase-file passphrase id import alice.bundle").0, 0);
    let (code, talk) = run("--passphrase-file passphrase id remember alice@example.com");
    assert!(code == 9 && talk.contains("the keyring of this system cannot be used"), "{code} {talk}");
    let (code, talk) = run("sign letter.eml --as alice@example.com -o signed.eml");
    assert!(code == 2 && talk.contains("is locked and no passphrase was given"), "{code} {talk}");
}
