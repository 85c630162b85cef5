//! What the tests share: where the vectors are, which peers are present, private folders.
#![allow(dead_code, reason = "each test module uses its own part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folder of third-party vectors, or `None` where it is not at hand (then the test says so aloud and passes,
/// unless `SEALPOST_REQUIRE_PEERS=1`).
pub(crate) fn vectors(folder: &str) -> Option<PathBuf> {
    let base = std::env::var_os("SEALPOST_VECTORS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"), PathBuf::from);
    let path = base.join(folder);
    if path.is_dir() {
        return Some(path);
    }
    skip(&format!("vectors {folder} are not at {}", path.display()));
    None
}

/// Whether a peer program is on the path; skips aloud where not.
pub(crate) fn peer(program: &str) -> bool {
    let found =
        std::env::var_os("PATH").is_some_and(|paths| std::env::split_paths(&paths).any(|dir| dir.join(program).is_file()));
    if !found {
        skip(&format!("peer program {program} is not installed"));
    }
    found
}

/// The program that an environment variable names (`.ci/run` sets it); skips aloud where it names none.
pub(crate) fn named_peer(variable: &str) -> Option<String> {
    let named = std::env::var(variable).ok().filter(|program| Path::new(program).exists());
    if named.is_none() {
        skip(&format!("{variable} names no peer"));
    }
    named
}

/// Says that something is missing; fails where peers are required.
pub(crate) fn skip(what: &str) {
    assert!(std::env::var_os("SEALPOST_REQUIRE_PEERS").is_none_or(|v| v != "1"), "required: {what}");
    eprintln!("SKIPPED: {what}");
}

/// Runs a program to its end; gives (exit code, stdout, stderr).
pub(crate) fn run(program: &str, args: &[&str], input: &[u8]) -> (i32, Vec<u8>, String) {
    use std::io::Write;
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{program} does not start: {e}"));
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("the child ends");
    feeder.join().expect("the feeder ends");
    (output.status.code().unwrap_or(-1), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A folder in which the program runs with homes of its own. What ends like one of these files stands in the folder.
pub(crate) struct Folder(tempfile::TempDir);

const FILES: [&str; 6] = [".eml", ".p7m", ".pem", ".crl", ".out", ".txt"];

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub(crate) fn place(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.place(name), bytes).expect("written");
    }

    /// Runs the program with this home; gives (exit code, stdout, stderr).
    pub(crate) fn run_in(&self, home: &str, args: &[&str]) -> (i32, Vec<u8>, String) {
        let is_file = |arg: &str| FILES.iter().any(|end| arg.ends_with(end));
        let mut all = vec!["--batch".to_owned(), "--home".to_owned(), self.place(home)];
        all.extend(args.iter().map(|arg| if is_file(arg) { self.place(arg) } else { (*arg).to_owned() }));
        run(env!("CARGO_BIN_EXE_sealpost"), &all.iter().map(String::as_str).collect::<Vec<_>>(), b"")
    }

    pub(crate) fn run(&self, args: &[&str]) -> (i32, Vec<u8>, String) {
        self.run_in("home", args)
    }

    /// What the program gives where it ends well.
    pub(crate) fn good(&self, args: &[&str]) -> Vec<u8> {
        let (code, out, error) = self.run(args);
        assert_eq!(code, 0, "{args:?}: {error}");
        out
    }

    pub(crate) fn json(&self, args: &[&str]) -> serde_json::Value {
        serde_json::from_slice(&self.good(args)).expect("JSON")
    }
}

/// A certificate of this name that stays good for long, to be made with `rcgen`.
pub(crate) fn params(name: &str) -> rcgen::CertificateParams {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2045, 1, 1));
    params.use_authority_key_identifier_extension = true;
    params
}

/// A port for a program that is told where to listen, free by TCP and UDP on every loopback address, and given to no test before. It lies outside
/// the range from which the system takes ports for those who name none: nobody takes it meanwhile.
pub(crate) fn free_port() -> u16 {
    static NEXT: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(0);
    let own = u16::try_from(std::process::id() % 9_000).expect("small");
    loop {
        let step = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let port = 20_000 + own.wrapping_add(step) % 12_000;
        let all = std::net::Ipv4Addr::UNSPECIFIED;
        if std::net::TcpListener::bind((all, port)).is_ok() && std::net::UdpSocket::bind((all, port)).is_ok() {
            return port;
        }
    }
}
