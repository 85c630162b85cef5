//! Zones that ldns signs, below a root that it signs, served by NSD; and somebody on the way to them who lies.

use std::fs;
use std::io::copy;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{dns, until};
use crate::support;

/// A zone.
pub(super) struct Zone<'a> {
    pub(super) name: &'a str,
    /// Its records, as lines of a zone file.
    pub(super) records: String,
    /// Options of ldns-signzone; none where it is not signed.
    pub(super) signed: Option<&'a [&'a str]>,
    /// What becomes of its signed lines.
    pub(super) change: fn(&str) -> String,
}

/// The name server.
pub(super) struct Zones {
    folder: tempfile::TempDir,
    pub(super) address: SocketAddr,
    child: Child,
}

const HEAD: &str = "$TTL 300\n@ SOA ns.test. root.test. 1 3600 600 86400 300\n@ NS ns.test.\n";

impl Zones {
    /// Starts it; `None` where its programs are not installed.
    pub(super) fn start(zones: &[Zone<'_>]) -> Option<Self> {
        let is_there = |program: &str| Path::new("/usr/sbin").join(program).is_file() || support::peer(program);
        if !["nsd", "ldns-keygen", "ldns-signzone"].into_iter().all(is_there) {
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path();
        let (mut root, mut config) = (format!("$ORIGIN .\n{HEAD}ns.test. A 127.0.0.1\n"), String::new());
        for zone in zones {
            let name = zone.name;
            fs::write(at.join(format!("{name}.zone")), format!("$ORIGIN {name}.\n{HEAD}{}", zone.records)).expect("written");
            root.push_str(&format!("{name}. NS ns.test.\n"));
            let mut file = format!("{name}.zone");
            if let Some(options) = zone.signed {
                let (signed, ds, _) = sign(at, name, &file, options);
                root.push_str(&ds);
                let lines = fs::read_to_string(at.join(&signed)).expect("signed");
                let lines: String = lines.lines().map(|line| (zone.change)(line) + "\n").collect();
                fs::write(at.join(&signed), lines).expect("written");
                file = signed;
            }
            config.push_str(&entry(at, name, &file));
        }
        fs::write(at.join("root.zone"), root).expect("written");
        let (file, _, key) = sign(at, ".", "root.zone", &[]);
        fs::write(at.join("anchor"), format!("{}\n", key.split(';').next().expect("a record").trim())).expect("written");
        config.push_str(&entry(at, ".", &file));
        let address = SocketAddr::from(([127, 0, 0, 1], support::free_port()));
        let folder_name = at.display();
        let server = format!(
            "server:\n  ip-address: {}@{}\n  username: \"\"\n  chroot: \"\"\n  zonesdir: \"{folder_name}\"\n  server-count: 1\n\
             \x20 pidfile: \"{folder_name}/pid\"\n  xfrdfile: \"{folder_name}/xfrd\"\n  zonelistfile: \"{folder_name}/zones\"\n\
             \x20 logfile: \"{folder_name}/log\"\n  cookie-secret-file: \"\"\n  rrl-ratelimit: 0\nremote-control:\n  control-enable: no\n{config}",
            address.ip(),
            address.port()
        );
        fs::write(at.join("nsd.conf"), server).expect("written");
        let program = if Path::new("/usr/sbin/nsd").is_file() { "/usr/sbin/nsd" } else { "nsd" };
        let child = Command::new(program)
            .args(["-d", "-c", &at.join("nsd.conf").display().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nsd starts");
        let zones = Self { folder, address, child };
        until("nsd listens", || TcpStream::connect(address).is_ok());
        Some(zones)
    }

    /// The file with the key of the root.
    pub(super) fn anchor(&self) -> String {
        self.folder.path().join("anchor").display().to_string()
    }
}

impl Drop for Zones {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Signs a zone with a key of its own; gives the file, its DS record, its DNSKEY record.
fn sign(folder: &Path, name: &str, file: &str, options: &[&str]) -> (String, String, String) {
    let key = run(folder, "ldns-keygen", &["-a", "ECDSAP256SHA256", "-k", name]);
    let signed = format!("{file}.signed");
    run(folder, "ldns-signzone", &[options, &["-f", &signed, file, &key]].concat());
    let read = |end: &str| fs::read_to_string(folder.join(format!("{key}.{end}"))).expect("written");
    (signed, read("ds"), read("key"))
}

fn run(folder: &Path, program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).current_dir(folder).output().expect("it starts");
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn entry(folder: &Path, name: &str, file: &str) -> String {
    format!("zone:\n  name: \"{name}\"\n  zonefile: \"{}/{file}\"\n", folder.display())
}

/// Stands before a name server: who asks for the MX records of a domain without DNSSEC gets another one.
pub(super) fn liar(of: SocketAddr, domain: &'static str, host: &'static str) -> SocketAddr {
    let udp = UdpSocket::bind(("127.0.0.1", support::free_port())).expect("a port");
    let address = udp.local_addr().expect("bound");
    let tcp = TcpListener::bind(address).expect("the same port");
    std::thread::spawn(move || {
        for stream in tcp.incoming() {
            let (Ok(client), Ok(server)) = (stream, TcpStream::connect(of)) else { continue };
            let (mut from, mut to) = (client.try_clone().expect("cloned"), server.try_clone().expect("cloned"));
            std::thread::spawn(move || copy(&mut from, &mut to));
            std::thread::spawn(move || copy(&mut &server, &mut &client));
        }
    });
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((size, peer)) = udp.recv_from(&mut buffer) {
            let query = buffer[..size].to_vec();
            let udp = udp.try_clone().expect("cloned");
            std::thread::spawn(move || {
                if let Some(answer) = forged(&query, domain, host).or_else(|| asked(&query, of)) {
                    drop(udp.send_to(&answer, peer));
                }
            });
        }
    });
    address
}

fn forged(query: &[u8], domain: &str, host: &str) -> Option<Vec<u8>> {
    let (name, end) = dns::question(query);
    // behind the question stands what EDNS says (RFC 6891 6.1.2); the first bit of its flags asks for DNSSEC
    let wants_proof = query.get(end + 4 + 7).is_some_and(|flags| flags & 0x80 != 0);
    if name != domain || query[end..end + 2] != [0, 15] || wants_proof {
        return None;
    }
    let mut out = query[..2].to_vec();
    out.extend([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    out.extend_from_slice(&query[12..end + 4]);
    out.extend(dns::record("MX", &["10", host]));
    Some(out)
}

fn asked(query: &[u8], of: SocketAddr) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    socket.send_to(query, of).ok()?;
    let mut buffer = [0; 4096];
    let size = socket.recv(&mut buffer).ok()?;
    Some(buffer[..size].to_vec())
}
