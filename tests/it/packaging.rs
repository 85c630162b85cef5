//! What packages are made of: manual pages, the unit of systemd, settings for mail programs.
#![cfg(feature = "server")]

use std::fs;
use std::path::{Path, PathBuf};

use crate::support;

fn packaging(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name)
}

#[test]
fn manual_pages_are_read_by_the_programs_that_show_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let man = folder.path().join("man").display().to_string();
    let (code, _, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &["man", &man], b"");
    assert_eq!(code, 0, "{talk}");
    let mut pages: Vec<_> =
        fs::read_dir(&man).expect("pages").flatten().map(|entry| entry.path().display().to_string()).collect();
    pages.sort();
    for name in ["sealpost.1", "sealpost-send.1", "sealpost-queue-list.1", "sealpost-sendmail.8", "sealpost.toml.5"] {
        assert!(pages.iter().any(|page| page.ends_with(&format!("/{name}"))), "{name} in {pages:?}");
    }
    let image = fs::read_to_string(packaging("Dockerfile")).expect("text");
    for page in &pages {
        let section = page.rsplit('.').next().expect("a section");
        assert!(image.contains(&format!("/man/*.{section} /usr/local/share/man/man{section}/")), "{page} is not in the image");
    }
    let send = fs::read_to_string(Path::new(&man).join("sealpost-send.1")).expect("text");
    assert!(send.contains(".SH EXAMPLES") && send.contains("\\-\\-via"), "{send}");
    if support::peer("mandoc") {
        let args = [&["-Tlint", "-Wwarning"][..], &pages.iter().map(String::as_str).collect::<Vec<_>>()].concat();
        let (_, out, talk) = support::run("mandoc", &args, b"");
        let said = String::from_utf8_lossy(&out).into_owned() + &talk;
        assert!(!said.contains("ERROR") && !said.contains("UNSUPP") && !said.contains("WARNING"), "{said}");
    }
    if support::peer("groff") {
        for page in &pages {
            let (code, _, talk) = support::run("groff", &["-Kutf8", "-man", "-Tutf8", "-ww", "-z", page], b"");
            assert!(code == 0 && talk.is_empty(), "{page}: {talk}");
        }
    }
    if support::peer("lexgrog") {
        for page in &pages {
            let (code, out, talk) = support::run("lexgrog", &[page], b"");
            assert_eq!(code, 0, "{page}: {} {talk}", String::from_utf8_lossy(&out));
        }
    }
}

#[test]
fn the_unit_is_one_that_systemd_takes_and_finds_little_exposed() {
    if !support::peer("systemd-analyze") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let unit = folder.path().join("sealpost.service").display().to_string();
    let text = fs::read_to_string(packaging("sealpost.service")).expect("a unit");
    // the program and its user are where a package puts them
    let text = text.replace("/usr/bin/sealpost", env!("CARGO_BIN_EXE_sealpost")).replace("=sealpost\n", "=root\n");
    fs::write(&unit, text.replace("StateDirectory=root", "StateDirectory=sealpost")).expect("written");
    let (code, out, talk) = support::run("systemd-analyze", &["verify", "--man=no", &unit], b"");
    let said = String::from_utf8_lossy(&out).into_owned() + &talk;
    assert!(code == 0 && !said.contains("sealpost.service:"), "{code} {said}");
    let unit = packaging("sealpost.service").display().to_string();
    let (code, out, talk) =
        support::run("systemd-analyze", &["security", "--offline=true", "--no-pager", "--threshold=20", &unit], b"");
    let said = String::from_utf8_lossy(&out);
    assert_eq!(code, 0, "{said}{talk}");
}

#[test]
fn the_user_and_the_folders_are_made_as_a_package_makes_them() {
    use std::os::unix::fs::MetadataExt;
    if !["systemd-sysusers", "systemd-tmpfiles"].into_iter().all(support::peer) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root");
    for (name, place) in [("sealpost.sysusers", "usr/lib/sysusers.d"), ("sealpost.tmpfiles", "usr/lib/tmpfiles.d")] {
        fs::create_dir_all(root.join(place)).expect("made");
        fs::copy(packaging(name), root.join(place).join("sealpost.conf")).expect("copied");
    }
    fs::create_dir(root.join("etc")).expect("made");
    let on_root = format!("--root={}", root.display());
    let (code, _, talk) = support::run("systemd-sysusers", &[&on_root], b"");
    assert_eq!(code, 0, "{talk}");
    let users = fs::read_to_string(root.join("etc/passwd")).expect("users");
    let user: Vec<&str> = users.lines().find(|line| line.starts_with("sealpost:")).expect("there is one").split(':').collect();
    assert_eq!(user[5..], ["/var/lib/sealpost", "/usr/sbin/nologin"], "{users}");
    if fs::metadata(&root).is_ok_and(|root| root.uid() != 0) {
        return eprintln!("SKIPPED: files of another user are made by root only");
    }
    let (code, _, talk) = support::run("systemd-tmpfiles", &[&on_root, "--create"], b"");
    assert!(code == 0 && talk.is_empty(), "{talk}");
    for (place, mode) in [("", 0o755), ("/pickup", 0o1733), ("/pickup/Badmail", 0o700)] {
        let made = fs::metadata(format!("{}/var/spool/sealpost{place}", root.display())).expect("made");
        assert_eq!((made.mode() & 0o7777, made.uid().to_string().as_str()), (mode, user[2]), "{place}");
    }
}

#[test]
fn mail_programs_are_told_where_the_servers_are() {
    let folder = support::Folder::new();
    folder.good(&["up", "--domain", "a.example", "--algorithm", "p256"]);
    let text = String::from_utf8(folder.good(&["autoconfig", "A.example"])).expect("text");
    for wanted in [
        "<emailProvider id=\"a.example\">",
        "<incomingServer type=\"pop3\">\n      <hostname>mail.a.example</hostname>\n      <port>2995</port>\n      <socketType>SSL</socketType>",
        "<outgoingServer type=\"smtp\">\n      <hostname>mail.a.example</hostname>\n      <port>2465</port>\n      <socketType>SSL</socketType>",
    ] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
    if support::peer("python3") {
        let script = "import sys, xml.etree.ElementTree as e; r = e.parse(sys.stdin).getroot(); print(len(r.findall('.//outgoingServer')), r.find('.//domain').text)";
        let (code, out, talk) = support::run("python3", &["-c", script], text.as_bytes());
        assert_eq!((code, String::from_utf8_lossy(&out).trim()), (0, "2 a.example"), "{talk}");
    }
    let object = folder.json(&["--json", "autoconfig", "A.example"]);
    assert_eq!((&object["schema"], &object["domain"]), (&"sealpost.autoconfig/1".into(), &"a.example".into()), "{object}");
    assert_eq!((&object["exit"], &object["xml"]), (&0.into(), &text.as_str().into()), "{object}");
    let first = |way: &str| (object[way][0]["port"].clone(), object[way][0]["socket"].clone());
    assert_eq!((first("incoming"), first("outgoing")), ((2995.into(), "SSL".into()), (2465.into(), "SSL".into())), "{object}");
    let (code, _, talk) = folder.run(&["autoconfig", "b.example"]);
    assert!(code == 2 && talk.contains("b.example is no domain of this server"), "{talk}");
}
