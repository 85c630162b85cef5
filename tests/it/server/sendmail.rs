//! `sealpost send` in the place of sendmail: cron, mail programs of others, scripts.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use super::Served;
use crate::support;

/// Runs a program that finds our `sendmail` and the home of this server; gives its exit code and what it said.
pub(super) fn run(served: &Served, program: &str, args: &[&str], input: &str) -> (i32, String) {
    let mut child = Command::new(program)
        .args(args)
        .envs([("SEALPOST_HOME", served.path("home")), ("HOME", served.path("")), ("MAILRC", served.path("mailrc"))])
        .envs([("LOGNAME", "joe"), ("USER", "joe"), ("LC_ALL", "C.UTF-8")])
        .current_dir(served.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // who refuses at once reads nothing
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
}

/// The link by which the program is sendmail.
pub(super) fn link(served: &Served) -> String {
    let link = served.path("sendmail");
    if fs::symlink_metadata(&link).is_err() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_sealpost"), &link).expect("linked");
    }
    link
}

/// Waits for so many messages of a user; gives them in their order.
pub(super) fn mails(served: &Served, user: &str, count: usize) -> Vec<String> {
    let mut found = Vec::new();
    while found.len() < count {
        let more = served.fetch(user);
        assert!(!more.is_empty(), "{} of {count} messages came: {found:#?}", found.len());
        found.extend(more);
    }
    found
}

const CRON: &str = "From: root (Cron Daemon)\nTo: jane\nSubject: Cron <root@host> backup\nMIME-Version: 1.0\n\
                    Content-Type: text/plain; charset=UTF-8\n\n10%\r20%\rdone\n.\nno end\n";

#[test]
fn cron_hands_its_mail_over_whether_the_server_runs_or_not() {
    let mut served = Served::new();
    let sendmail = link(&served);
    let cron = ["-FCronDaemon", "-i", "-B8BITMIME", "-oem", "jane"];
    assert_eq!(run(&served, &sendmail, &cron, CRON), (0, String::new()));
    let [first] = mails(&served, "jane@a.example", 1).try_into().expect("one");
    let head =
        "Return-Path: <root@a.example>\r\nDelivered-To: jane@a.example\r\nReceived: by mail.a.example (pickup, from userid ";
    assert!(first.starts_with(head), "{first}");
    assert!(first.contains("\r\nFrom: root@a.example (Cron Daemon)\r\nTo: jane@a.example\r\n"), "{first}");
    assert!(first.contains("\r\nMessage-ID: <") && first.contains("\r\nDate: "), "{first}");
    assert!(first.ends_with("\r\n\r\n10%\r\n20%\r\ndone\r\n.\r\nno end\r\n"), "{first}");
    served.child.kill().expect("killed");
    served.child.wait().expect("it ended");
    // without -i the dot is the end; without From it is the one who runs it
    let (code, said) =
        run(&served, &sendmail, &["-v", "-Fé \"J\"", "-t"], "Subject: later\nTo: jane\nBcc: jane@a.example\n\n.\nnot this\n");
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("put into the pickup folder"), "{said}");
    served.restart();
    let [second] = mails(&served, "jane@a.example", 1).try_into().expect("one");
    assert!(second.contains("<joe@a.example>\r\n") && second.to_lowercase().contains("\r\nfrom: =?utf-8?"), "{second}");
    assert!(second.ends_with("\r\n\r\n") && !second.contains("Bcc"), "{second}");
}

#[test]
fn mail_programs_of_others_send_by_it() {
    let served = Served::new();
    let sendmail = link(&served);
    let mut count = 0;
    let mut sent = |name: &str, (code, said): (i32, String)| {
        assert_eq!(code, 0, "{name}: {said}");
        count += 1;
    };
    fs::write(served.path("mailrc"), format!("set sendmail={sendmail}\n")).expect("written");
    if support::peer("bsd-mailx") {
        sent("bsd-mailx", run(&served, "bsd-mailx", &["-s", "by bsd-mailx", "-c", "joe", "jane"], "Hi.\n"));
    }
    if support::peer("s-nail") {
        let mta = format!("mta={sendmail}");
        sent(
            "s-nail",
            run(&served, "s-nail", &["-n", "-S", &mta, "-S", "from=joe@a.example", "-s", "by s-nail", "jane@a.example"], "Hi.\n"),
        );
    }
    for mutt in ["neomutt", "mutt"] {
        if support::peer(mutt) {
            let set = format!("set sendmail=\"{sendmail} -oem -oi\" use_from=yes from=joe@a.example copy=no dsn_notify=failure");
            let args =
                ["-n", "-F", "/dev/null", "-e", &set, "-s", &format!("by {mutt}"), "-b", "joe@a.example", "--", "jane@a.example"];
            sent(mutt, run(&served, mutt, &args, "Hi.\n.\nHi.\n"));
        }
    }
    if support::peer("python3") {
        let home = served.path("home");
        let script = format!(
            "import email.message, subprocess\nm = email.message.EmailMessage()\nm['From'], m['To'], m['Bcc'] = 'joe@a.example', 'jane@a.example', 'joe@a.example'\n\
             m['Subject'] = 'by python'\nm.set_content('Hi.\\n')\n\
             subprocess.run([{:?}, '--home', {home:?}, 'send', '-t', '-oi'], input=m.as_bytes(), check=True)\n",
            env!("CARGO_BIN_EXE_sealpost")
        );
        sent("python3", run(&served, "python3", &["-c", &script], ""));
    }
    let git = std::path::Path::new("/usr/lib/git-core/git-send-email");
    if git.exists() {
        let patch = "From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\nFrom: Joe <joe@a.example>\nDate: Thu, 1 Jan 2026 00:00:00 +0000\n\
                     Subject: [PATCH] by git\n\n---\n x | 1 +\n\n";
        fs::write(served.path("1.patch"), patch).expect("written");
        let args =
            ["-c", "sendemail.confirm=never", "-c", "user.name=Joe", "-c", "user.email=joe@a.example", "send-email", "--quiet"];
        let cmd = format!("--sendmail-cmd={} --home {} send", env!("CARGO_BIN_EXE_sealpost"), served.path("home"));
        let more = ["--from=joe@a.example", "--to=jane@a.example", "--suppress-cc=all", &cmd, "1.patch"];
        sent("git", run(&served, "git", &[&args[..], &more].concat(), ""));
    } else {
        support::skip("peer program git-send-email is not installed");
    }
    let found = mails(&served, "jane@a.example", count);
    assert_eq!(found.len(), count, "each once");
    for message in &found {
        assert!(message.contains("Delivered-To: jane@a.example\r\n") && message.contains("\r\nSubject: "), "{message}");
        assert!(!message.contains("\r\nBcc:") && message.contains("joe@a.example"), "{message}");
    }
    if count > 1 {
        // cc and bcc have a copy that is their own
        let joes = mails(&served, "joe@a.example", 2);
        assert!(joes.iter().all(|message| message.contains("\r\nDelivered-To: joe@a.example\r\n")), "{joes:?}");
    }
}

#[test]
fn exit_codes_are_those_of_sysexits() {
    let mut served = Served::new();
    let sendmail = link(&served);
    let letter = "From: joe@a.example\nTo: jane@a.example\n\nHi.\n";
    let smtp = format!("--via=localhost:{}", served.port("smtp"));
    let gone = format!("--via=127.0.0.1:{}", support::free_port());
    let empty = served.path("empty");
    for (args, input, code, why) in [
        (&["-bs"][..], letter, 64, "SMTP is not spoken on standard input"),
        (&["-Z"], letter, 64, "-Z is not known"),
        (&[], letter, 64, "no recipient is named"),
        (&["-i", "a b@"], letter, 64, "is not an address"),
        (&["-t"], "From: joe@a.example\n\nHi.\n", 65, "it names no recipient"),
        (&["-q"], "", 0, ""),
        (&["-bi"], "", 0, ""),
        (&[&smtp, "-i", "nobody@a.example"], letter, 67, "no such user"),
        (&[&smtp, "-i", "x@c.example"], letter, 69, "no mail is relayed here"),
        (&[&smtp, "-i", "jane@a.example"], letter, 0, ""),
        (&[&gone, "-i", "jane@a.example"], letter, 75, "cannot connect"),
        (&["--home", &empty, "-i", "jane@a.example"], letter, 78, "there is no configuration"),
        (&["--pickup=/proc/none", "-i", "jane@a.example"], letter, 75, "cannot put the message into /proc/none"),
    ] {
        let ended = run(&served, &sendmail, args, input);
        assert!(ended.0 == code && ended.1.contains(why), "{args:?}: {ended:?}");
    }
    // what the server would put aside is refused before it is in the folder
    served.child.kill().expect("killed");
    served.child.wait().expect("it ended");
    let config = served.path("home/sealpost.toml");
    fs::write(&config, fs::read_to_string(&config).expect("text").replace("52428800", "70000")).expect("written");
    let (large, id) = (format!("{letter}{}", "x\n".repeat(30_000)), "x".repeat(101));
    let folder = format!("--pickup={}", served.path("home/pickup"));
    for (args, input, code, why) in [
        (&["-i", "jane@a.example"][..], large.as_str(), 65, "it is over 70000 bytes (limits.message_bytes)"),
        (&[&folder, "-i", "jane@a.example"], large.as_str(), 65, "it is over 70000 bytes"),
        (&["-i", "jane@a.example"], "From: joe@a.example\n\nHi\0\n", 65, "NUL bytes"),
        (&["-V", &id, "-i", "jane@a.example"], letter, 64, "-V has 101 characters"),
    ] {
        let ended = run(&served, &sendmail, args, input);
        assert!(ended.0 == code && ended.1.contains(why), "{args:?}: {ended:?}");
    }
    let ended = run(&served, env!("CARGO_BIN_EXE_sealpost"), &["send", "--pickup", &served.path("home/pickup")], &large);
    assert!(ended.0 == 8 && ended.1.contains("it is over 70000 bytes"), "{ended:?}");
    assert_eq!(fs::read_dir(served.path("home/pickup")).expect("a folder").count(), 1, "nothing but Badmail");
    served.restart();
    // without sendmail's options the program has its own codes
    assert_eq!(run(&served, env!("CARGO_BIN_EXE_sealpost"), &["send", "--nonsense"], "").0, 2);
    let letter = "From: joe@a.example\nTo: jane@a.example\nSubject: plain\n\nHi.\n";
    let (code, said) = run(&served, env!("CARGO_BIN_EXE_sealpost"), &["send"], letter);
    assert_eq!((code, said.contains("jane@a.example: accepted")), (0, true), "{said}");
    assert_eq!(mails(&served, "jane@a.example", 2).len(), 2);
}

#[test]
fn programs_that_ask_for_json_get_one_object_however_it_ends() {
    let served = Served::new();
    let object = |args: &[&str], input: &str| -> (i32, serde_json::Value) {
        let (code, out, _) =
            support::run(env!("CARGO_BIN_EXE_sealpost"), &[&["--home", &served.path("home")], args].concat(), input.as_bytes());
        (code, serde_json::from_slice(&out).unwrap_or_else(|error| panic!("{args:?}: {error} in {out:?}")))
    };
    let letter = "From: joe@a.example\nSubject: x\n\nHi.\n";
    let (code, put) = object(&["--json", "send", "-i", "jane", "joe@a.example"], letter);
    assert_eq!((code, &put["schema"], &put["exit"]), (0, &"sealpost.send/1".into(), &0.into()), "{put}");
    assert_eq!(
        (&put["recipients"][0]["status"], &put["recipients"][1]["address"]),
        (&"accepted".into(), &"joe@a.example".into())
    );
    let via = format!("--via=localhost:{}", served.port("smtp"));
    let (code, refused) = object(&["send", "-i", "--json", &via, "nobody@a.example", "jane@a.example"], letter);
    assert_eq!((code, &refused["exit"]), (67, &67.into()), "{refused}");
    let status = |at: usize| refused["recipients"][at]["status"].clone();
    assert_eq!((status(0), status(1)), ("refused".into(), "accepted".into()), "{refused}");
    for (args, input, wanted) in [(&["send", "--json", "-i"][..], letter, 64), (&["send", "--json", "-t"], "Subject: x\n\n", 65)]
    {
        let (code, wrong) = object(args, input);
        assert_eq!((code, &wrong["schema"], &wrong["exit"]), (wanted, &"sealpost.send/1".into(), &wanted.into()), "{wrong}");
        assert!(wrong["error"].is_string(), "{wrong}");
    }
}

#[test]
fn another_user_may_put_mail_where_he_may_write_and_nowhere_else() {
    use std::os::unix::fs::PermissionsExt;
    if !support::peer("setpriv")
        || Command::new("setpriv").args(["--reuid=65534", "true"]).status().is_ok_and(|ended| !ended.success())
    {
        return support::skip("this needs the rights to become another user");
    }
    let served = Served::new();
    let folder = tempfile::tempdir_in("/tmp").expect("a folder");
    let (pickup, program) = (folder.path().join("pickup"), folder.path().join("sendmail"));
    // by another process: what this one writes itself, programs that it starts meanwhile have open, and then nobody can run it
    let copied = support::run("cp", &[env!("CARGO_BIN_EXE_sealpost"), &program.display().to_string()], b"");
    assert_eq!(copied.0, 0, "{}", copied.2);
    fs::create_dir(&pickup).expect("made");
    let mode = |path: &std::path::Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    mode(folder.path(), 0o755);
    mode(&program, 0o755);
    let drop = |name: &str| {
        let option = format!("--pickup={}", pickup.display());
        let args = ["--reuid=65534", "--regid=65534", "--clear-groups", program.to_str().expect("text"), &option, "-i", "jane"];
        run(&served, "setpriv", &args, &format!("Subject: {name}\n\nHi.\n"))
    };
    mode(&pickup, 0o700);
    let (code, said) = drop("refused");
    assert_eq!(code, 77, "{said}");
    mode(&pickup, 0o1733);
    let (code, said) = drop("taken");
    assert_eq!(code, 0, "{said}");
    // the file can be read by the server, whoever that is, and is found by nobody who does not know its name
    let files: Vec<_> = fs::read_dir(&pickup).expect("ours").flatten().collect();
    let [file] = files.as_slice() else { panic!("{files:?}") };
    assert_eq!(file.metadata().expect("known").permissions().mode() & 0o777, 0o644);
    fs::rename(file.path(), served.path("home/pickup/one.ready")).expect("moved");
    let [message] = mails(&served, "jane@a.example", 1).try_into().expect("one");
    assert!(message.contains("(pickup, from userid 65534)"), "{message}");
}
