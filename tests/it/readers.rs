//! Who reads what is encrypted, where the options, a bundle or a lack of certificates decide it; and what is said to those who cannot.

use std::path::PathBuf;

use crate::support::{self, Folder};

const AT: [&str; 2] = ["--at", "2026-06-01T00:00:00Z"];

fn cast(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("certs").join(name).display().to_string()
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(cast(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Whether one of the cast can read a message.
fn can_read(folder: &Folder, who: &str, file: &str) -> bool {
    let (cert, key) = (cast(&format!("{who}.pem")), cast(&format!("{who}.key")));
    folder.run(&["decrypt", file, "--cert", &cert, "--key", &key]).0 == 0
}

#[test]
fn certificates_in_base64_without_lines_around_are_read() {
    let folder = Folder::new();
    let text = |name: &str| {
        let pem = String::from_utf8(read(name)).expect("ASCII");
        pem.lines().filter(|line| !line.starts_with('-') && !line.contains(':')).map(str::to_owned).collect::<Vec<_>>()
    };
    folder.write("bob.txt", text("bob.pem").join("\r\n"));
    folder.write("line.txt", text("bob.pem").concat());
    folder.write("root.txt", text("root.pem").join("\n") + "\n");
    folder.write("alice.txt", text("alice.pem").join("\n"));
    folder.good(&["trust", "add", "root.txt"]);
    folder.good(&["contact", "add", "bob.txt"]);
    folder.write("m.eml", "From: alice@example.com\r\nTo: bob@example.org\r\n\r\nHi.\r\n");
    folder.good(&[
        "seal",
        "m.eml",
        "-o",
        "s.eml",
        "--cert",
        "alice.txt",
        "--key",
        &cast("alice.key"),
        "--to-cert",
        "line.txt",
        AT[0],
        AT[1],
    ]);
    assert!(can_read(&folder, "bob", "s.eml"));
    folder.write("list.txt", text("issuing.crl").join("\n"));
    let line = ["cert", "verify", &cast("revoked.pem"), "--trust", "root.txt", "--intermediates", &cast("issuing.pem")];
    assert_eq!(folder.run(&[&line[..], &AT].concat()).0, 0);
    assert_eq!(folder.run(&[&line[..], &["--crl", "list.txt"], &AT].concat()).0, 5);
    // what is base64 and no certificate is still none
    folder.write("none.txt", "MAMCAQE=");
    assert_eq!(folder.run(&["trust", "add", "none.txt"]).0, 8);
}
