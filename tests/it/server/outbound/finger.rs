//! The record that `doctor` says to publish, judged as other servers do: Postfix finds it by a validating resolver, and our key fits it.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::super::Served;
use super::super::dns::Dns;
use super::until;
use super::zones::{Zone, Zones};
use crate::support;

/// A resolver that validates, at the port of the DNS: Postfix has the system ask, and the system knows no other port.
struct Unbound {
    folder: tempfile::TempDir,
    child: Child,
}

impl Unbound {
    /// Asks these name servers; `None` where it is not installed, or nobody here may have the port.
    fn start(zones: &Zones) -> Option<Self> {
        if !["unbound", "posttls-finger"].iter().all(|program| Path::new("/usr/sbin").join(program).is_file()) {
            support::skip("unbound or posttls-finger is not installed");
            return None;
        }
        if support::run("id", &["-u"], b"").1 != b"0\n" {
            support::skip("a resolver at port 53 is started by root only");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let id = std::process::id();
        // of this machine, and nobody else's
        let address = format!("127.{}.{}.53", 64 + id % 128, id / 128 % 250);
        let config = format!(
            "server:\n  interface: {address}\n  access-control: 127.0.0.0/8 allow\n  username: \"\"\n  chroot: \"\"\n  directory: \"{}\"\n\
             \x20 pidfile: \"\"\n  use-syslog: no\n  do-daemonize: no\n  do-not-query-localhost: no\n  num-threads: 1\n\
             \x20 trust-anchor-file: \"{}\"\n  module-config: \"validator iterator\"\n  local-zone: \"example.\" nodefault\n\
             \x20 local-zone: \"test.\" nodefault\nremote-control:\n  control-enable: no\nstub-zone:\n  name: \".\"\n  stub-addr: {}@{}\n",
            folder.path().display(),
            zones.anchor(),
            zones.address.ip(),
            zones.address.port()
        );
        fs::write(folder.path().join("unbound.conf"), config).expect("written");
        // whose answer is proven the system says only where it is told to trust the resolver
        fs::write(folder.path().join("resolv.conf"), format!("nameserver {address}\noptions trust-ad timeout:30\n"))
            .expect("written");
        let child = Command::new("/usr/sbin/unbound")
            .args(["-d", "-c", &folder.path().join("unbound.conf").display().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("unbound starts");
        let unbound = Self { folder, child };
        until("unbound listens", || TcpStream::connect((address.as_str(), 53)).is_ok());
        Some(unbound)
    }

    /// What Postfix says of a server, in a system whose resolver is this one.
    fn finger(&self, args: &[&str]) -> String {
        let script = "mount --make-rprivate / && mount --bind \"$0\" /etc/resolv.conf && exec timeout 240 /usr/sbin/posttls-finger -c -l dane-only \"$@\"";
        let resolver = self.folder.path().join("resolv.conf").display().to_string();
        let (_, out, talk) = support::run("unshare", &[&["-m", "sh", "-c", script, &resolver], args].concat(), b"");
        String::from_utf8_lossy(&out).into_owned() + &talk
    }
}

impl Drop for Unbound {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn postfix_finds_our_certificate_verified_by_the_record_that_doctor_names() {
    if !support::peer("unshare") {
        return;
    }
    // a record about a key that is nobody's
    let nobody = "07".repeat(32);
    let stale = Dns::run(&format!("mail.a.example A 127.0.0.1\n_25._tcp.mail.a.example TLSA 3 1 1 {nobody}\n")).address;
    let resolver = format!("[delivery]\nresolver = \"{stale}\"\n");
    let served = Served::of("a.example", &["jane"], |text| text.replace("[delivery]\n", &resolver));
    let (said, _) = served.run(&["doctor"]);
    let record = said.lines().map(str::trim).find_map(|line| line.strip_prefix("_25._tcp.mail.a.example. IN TLSA "));
    let record = record.unwrap_or_else(|| panic!("{said}"));
    let ports = [served.port("smtp"), served.port("submissions")];
    let other = format!("3 1 1 {}", "07".repeat(32));
    let records: String = ports
        .iter()
        .map(|port| format!("_{port}._tcp.mail TLSA {record}\n_{port}._tcp.other TLSA {other}\n"))
        .chain(["mail A 127.0.0.1\nother A 127.0.0.1\n".to_owned()])
        .collect();
    let zone = |name, signed| Zone { name, records: records.clone(), signed, change: str::to_owned };
    let Some(zones) = Zones::start(&[zone("a.example", Some(&[])), zone("b.example", None)]) else { return };
    let Some(unbound) = Unbound::start(&zones) else { return };
    for (port, mode) in ports.into_iter().zip([&[][..], &["-w"]]) {
        let said = |host: &str| unbound.finger(&[mode, &[&format!("[{host}]:{port}")]].concat());
        let good = said("mail.a.example");
        assert!(
            good.contains("Matched DANE EE certificate at depth 0: 3 1 1 ")
                && good.contains("Verified TLS connection established to mail.a.example[127.0.0.1]"),
            "{good}"
        );
        // so that the judge is seen to judge: another key, and a zone that nobody signed
        let wrong = said("other.a.example");
        assert!(wrong.contains("no matching DANE TLSA records") && !wrong.contains("Verified TLS"), "{wrong}");
        let unsigned = said("mail.b.example");
        assert!(!unsigned.contains("Verified TLS") && !unsigned.contains("Matched DANE"), "{unsigned}");
    }
}
