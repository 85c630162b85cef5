//! What the tests share: where the vectors are, which peers are present, private folders.
#![allow(dead_code, reason = "each test module uses its own part")]

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

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

/// How long a program may take, and what a test waits for: far more than either does on two busy cores, and short of what a whole run may.
pub(crate) const LONGEST: Duration = Duration::from_secs(900);

/// Runs a program to its end; gives (exit code, stdout, stderr). One that does not end is killed, and its test fails with what it said.
pub(crate) fn run(program: &str, args: &[&str], input: &[u8]) -> (i32, Vec<u8>, String) {
    let mut child = Command::new(program)
        .args(args)
        // what others say is read here, in no language of whoever runs this
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{program} does not start: {e}"));
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let until = Instant::now() + LONGEST;
    let out = Said::of(child.stdout.take().expect("stdout is piped"));
    let error = Said::of(child.stderr.take().expect("stderr is piped"));
    let (out, error) = match (out.by(until), error.by(until)) {
        (Ok(out), Ok(error)) => (out, error),
        (out, error) => {
            let said = |said: Result<Vec<u8>, Vec<u8>>| String::from_utf8_lossy(&said.unwrap_or_else(|said| said)).into_owned();
            child.kill().expect("killed");
            panic!("{program} {args:?} does not end:\n{}\n{}", said(out), said(error));
        }
    };
    let status = child.wait().expect("the child ends");
    feeder.join().expect("the feeder ends");
    (status.code().unwrap_or(-1), out, String::from_utf8_lossy(&error).into_owned())
}

/// What comes out of a pipe, read by a thread: whoever inherited the pipe may hold it open.
struct Said(Arc<Mutex<Vec<u8>>>, mpsc::Receiver<()>);

impl Said {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let said = Arc::new(Mutex::new(Vec::new()));
        let (end, ended) = mpsc::channel();
        let kept = Arc::clone(&said);
        std::thread::spawn(move || {
            let mut block = vec![0; 64 * 1024];
            while let Ok(read @ 1..) = pipe.read(&mut block) {
                kept.lock().expect("no reader panics").extend_from_slice(&block[..read]);
            }
            drop(end);
        });
        Self(said, ended)
    }

    /// All of it, or as an error what there is at that time.
    fn by(self, until: Instant) -> Result<Vec<u8>, Vec<u8>> {
        let timeout = self.1.recv_timeout(until.saturating_duration_since(Instant::now())) == Err(RecvTimeoutError::Timeout);
        let said = std::mem::take(&mut *self.0.lock().expect("no reader panics"));
        if timeout { Err(said) } else { Ok(said) }
    }
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

/// Connects from an address of this machine: one address alone has a hundred connections.
#[cfg(feature = "server")]
pub(crate) fn connect_from(last: u8, port: u16) -> std::net::TcpStream {
    have_many_files();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(std::net::SocketAddr::from(([127, 0, 0, last], 0)))?;
        socket.connect(std::net::SocketAddr::from(([127, 0, 0, 1], port))).await?.into_std()
    });
    let stream = stream.expect("connects");
    stream.set_nonblocking(false).expect("set");
    stream
}

/// Tests that connect hundreds of times run beside one another in this process, which may have but a thousand files open.
#[cfg(feature = "server")]
fn have_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(8192, |most| most.min(8192));
    if current.is_some_and(|current| current < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).expect("set");
    }
}

/// Processor time that a process has used, or `thread-self`: other work of the machine adds nothing to it, unlike to the time that passes.
pub(crate) fn processor(process: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("its name ends").split_whitespace().collect();
    // user and system, in hundredths of a second (proc(5))
    let ticks: u64 = [11, 12].iter().map(|at| fields[*at].parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
}
