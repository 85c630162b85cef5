//! A small DNS: a root that ldns signs, a domain that it signs, another one that nobody signs, all served by NSD.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Running, await_port};
use crate::support;

/// How `example.com` is signed, and what is done to it afterwards.
pub(super) struct Domain<'a> {
    /// Its records, as lines of a zone file.
    pub(super) records: String,
    /// Options of ldns-signzone.
    pub(super) options: &'a [&'a str],
    /// What becomes of its signed lines.
    pub(super) change: &'a dyn Fn(String) -> String,
}

impl Domain<'_> {
    pub(super) fn of(records: String) -> Self {
        Self { records, options: &[], change: &|line| line }
    }
}

/// The name server.
pub(super) struct Zones {
    folder: tempfile::TempDir,
    port: u16,
    _running: Running,
}

impl Zones {
    /// Starts it; `None` where its programs are not installed.
    pub(super) fn start(domain: &Domain<'_>, unsigned: &str) -> Option<Self> {
        let is_there = |program: &str| Path::new("/usr/sbin").join(program).is_file() || support::peer(program);
        if !["nsd", "ldns-keygen", "ldns-signzone", "ldns-verify-zone"].into_iter().all(is_there) {
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let mut zones = Building { folder: folder.path() };
        let ds = zones.domain(domain);
        zones.write("example.org.zone", &format!("$ORIGIN example.org.\n{HEAD}{unsigned}"));
        zones.root(&ds);
        let port = support::free_port();
        zones.write("nsd.conf", &config(folder.path(), port));
        let program = if Path::new("/usr/sbin/nsd").is_file() { "/usr/sbin/nsd" } else { "nsd" };
        let child = Command::new(program)
            .args(["-d", "-c", &folder.path().join("nsd.conf").display().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nsd starts");
        let mut running = Running(child);
        await_port(&mut running, port);
        Some(Self { folder, port, _running: running })
    }

    /// Where it listens.
    pub(super) fn server(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The file with the key of the root.
    pub(super) fn anchor(&self) -> String {
        self.folder.path().join("anchor").display().to_string()
    }

    /// Whether ldns finds the signed domain in order.
    pub(super) fn ldns_agrees(&self) -> bool {
        support::run("ldns-verify-zone", &[&self.folder.path().join("example.com.signed").display().to_string()], b"").0 == 0
    }
}

const HEAD: &str = "$TTL 300\n@ SOA ns.test. root.test. 1 3600 600 86400 300\n@ NS ns.test.\n";

struct Building<'a> {
    folder: &'a Path,
}

impl Building<'_> {
    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.join(name), text).expect("written");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).expect("there")
    }

    fn run(&self, program: &str, args: &[&str]) -> String {
        let output = Command::new(program).args(args).current_dir(self.folder).output().expect("it starts");
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Signs the domain; gives its DS record.
    fn domain(&mut self, domain: &Domain<'_>) -> String {
        self.write("example.com.zone", &format!("$ORIGIN example.com.\n{HEAD}{}", domain.records));
        let key = self.run("ldns-keygen", &["-a", "ECDSAP256SHA256", "-k", "example.com"]);
        let args = [domain.options, &["-f", "example.com.signed", "example.com.zone", &key]].concat();
        self.run("ldns-signzone", &args);
        let signed: String =
            self.read("example.com.signed").lines().map(|line| (domain.change)(line.to_owned()) + "\n").collect();
        self.write("example.com.signed", &signed);
        self.read(&format!("{key}.ds"))
    }

    /// Signs the root.
    fn root(&mut self, ds: &str) {
        let below = format!("example.com. NS ns.test.\n{ds}\nexample.org. NS ns.test.\nns.test. A 127.0.0.1\n");
        self.write("root.zone", &format!("$ORIGIN .\n{HEAD}{below}"));
        let key = self.run("ldns-keygen", &["-a", "ECDSAP256SHA256", "-k", "."]);
        self.run("ldns-signzone", &["-f", "root.signed", "root.zone", &key]);
        let record = self.read(&format!("{key}.key"));
        self.write("anchor", &format!("{}\n", record.split(';').next().expect("a record").trim()));
    }
}

fn config(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    let zone = |name: &str, file: &str| format!("zone:\n  name: \"{name}\"\n  zonefile: \"{folder}/{file}\"\n");
    format!(
        "server:\n  ip-address: 127.0.0.1@{port}\n  username: \"\"\n  chroot: \"\"\n  zonesdir: \"{folder}\"\n  server-count: 1\n\
         \x20 pidfile: \"{folder}/pid\"\n  xfrdfile: \"{folder}/xfrd\"\n  zonelistfile: \"{folder}/zones\"\n  logfile: \"{folder}/log\"\n\
         \x20 cookie-secret-file: \"\"\n  rrl-ratelimit: 0\nremote-control:\n  control-enable: no\n{}{}{}",
        zone(".", "root.signed"),
        zone("example.com", "example.com.signed"),
        zone("example.org", "example.org.zone"),
    )
}
