//! The server's certificate from an authority that speaks ACME: pebble, the test authority of Let's Encrypt.
#![cfg(feature = "acme")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::dns::Dns;
use super::{Served, good, laid_out, start};
use crate::support;

/// A port that nobody has.
fn free() -> u16 {
    support::free_port()
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A home whose server orders from an authority at this port, and answers its challenges at that one.
fn ordering(directory: u16, challenges: u16) -> tempfile::TempDir {
    let acme = format!(
        "acme = {{ directory = \"https://localhost:{directory}/dir\", contact = \"x@a.example\", domains = [\"mail.a.example\"], \
         listen = \"127.0.0.1:{challenges}\", trust = \"../root.pem\" }}\n"
    );
    let folder = laid_out("a.example", &["jane"], str::to_owned);
    let config = folder.path().join("home/sealpost.toml");
    let text = fs::read_to_string(&config).expect("a configuration");
    fs::write(&config, text.replace("[tls]\n", &format!("[tls]\n{acme}"))).expect("written");
    folder
}

fn serve(folder: tempfile::TempDir) -> Served {
    let (child, ports) = start(&folder.path().join("home").display().to_string());
    Served { folder, child, ports }
}

/// The issuer and the serial number of the certificate that a server shows.
fn shown(served: &Served) -> String {
    let port = served.port("smtp");
    let line = format!(
        "openssl s_client -connect 127.0.0.1:{port} -starttls smtp </dev/null 2>/dev/null | openssl x509 -noout -issuer -serial"
    );
    String::from_utf8_lossy(&support::run("sh", &["-c", &line], b"").1).into_owned()
}

/// Pebble for a home that [`ordering`] laid out; its certificates are good for so many seconds.
fn pebble(folder: &tempfile::TempDir, (directory, challenges): (u16, u16), seconds: u64) -> Running {
    let path = |name: &str| folder.path().join(name).display().to_string();
    good(folder.path(), &["ca", "server-cert", "localhost", "-o", &path("pebble.pem"), "--key", &path("pebble.key")]);
    let config = format!(
        "{{\"pebble\":{{\"listenAddress\":\"127.0.0.1:{directory}\",\"managementListenAddress\":\"127.0.0.1:{}\",\
         \"certificate\":\"{}\",\"privateKey\":\"{}\",\"httpPort\":{challenges},\"tlsPort\":{},\"ocspResponderURL\":\"\",\
         \"externalAccountBindingRequired\":false,\"certificateValidityPeriod\":{seconds}}}}}",
        free(),
        path("pebble.pem"),
        path("pebble.key"),
        free(),
    );
    fs::write(path("pebble.json"), config).expect("written");
    let dns = Dns::run("mail.a.example A 127.0.0.1").address.to_string();
    let pebble = Command::new("pebble")
        .args(["-config", &path("pebble.json"), "-dnsserver", &dns])
        .env("PEBBLE_VA_NOSLEEP", "1")
        // it refuses good nonces by lot, in percent: three in a row would end an order
        .env("PEBBLE_WFE_NONCEREJECT", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let pebble = Running(pebble.expect("pebble starts"));
    until("pebble does not listen", || std::net::TcpStream::connect(("127.0.0.1", directory)).is_ok());
    pebble
}

fn until(what: &str, is: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is() {
        assert!(begin.elapsed() < support::LONGEST, "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_certificate_is_ordered_and_served_without_a_restart() {
    if !support::peer("pebble") || !support::peer("openssl") {
        return;
    }
    let (directory, challenges) = (free(), free());
    let folder = ordering(directory, challenges);
    let _pebble = pebble(&folder, (directory, challenges), 86_400);
    let served = serve(folder);
    until("the authority's certificate is not served", || shown(&served).contains("Pebble"));
    for name in ["account.json", "certificate.pem"] {
        let mode = fs::metadata(served.path(&format!("home/mail/acme/{name}"))).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let (said, _) = served.run(&["doctor", "--offline"]);
    assert!(!said.contains("acme-failed") && !said.contains("port-other-certificate"), "{said}");
    // the same certificate and the same account after a restart
    let before = fs::read(served.path("home/mail/acme/certificate.pem")).expect("read");
    let mut served = served;
    served.child.kill().expect("killed");
    served.child.wait().expect("gone");
    served.restart();
    assert!(shown(&served).contains("Pebble"));
    assert_eq!(fs::read(served.path("home/mail/acme/certificate.pem")).expect("read"), before);
}

#[test]
fn a_certificate_has_a_successor_without_a_restart_and_stays_where_there_is_none() {
    if !support::peer("pebble") || !support::peer("openssl") {
        return;
    }
    let (directory, challenges) = (free(), free());
    let folder = ordering(directory, challenges);
    let config = folder.path().join("home/sealpost.toml");
    let text = fs::read_to_string(&config).expect("a configuration");
    fs::write(&config, format!("{text}\n[log]\nfile = \"log.txt\"\n")).expect("written");
    // each is renewed after two seconds, by the clock that everybody has: years pass in the tests of the schedule
    let running = pebble(&folder, (directory, challenges), 5);
    let served = serve(folder);
    until("the authority's certificate is not served", || shown(&served).contains("Pebble"));
    let first = shown(&served);
    until("there is no successor", || shown(&served).contains("Pebble") && shown(&served) != first);
    assert!(!served.run(&["status"]).0.contains("acme "), "nothing failed");
    // the authority is gone when the next one is due
    drop(running);
    until("the failure is not told", || served.run(&["status"]).0.contains("acme "));
    let status = served.run(&["status"]).0;
    let acme = status.lines().find(|line| line.starts_with("acme ")).expect("a line");
    assert!(acme.contains("failed: ") && acme.contains("the one of before stays, until 20"), "{acme}");
    let last = shown(&served);
    assert!(last.contains("Pebble") && last != first, "{last}");
    let is_told = |log: &str| log.lines().any(|line| line.contains("warning") && line.contains("ACME: no certificate from"));
    let log = served.logged("log.txt", is_told);
    assert!(log.matches("ACME: a certificate for mail.a.example is in place").count() >= 2, "{log}");
    let (_, doctor, _) =
        support::run(env!("CARGO_BIN_EXE_sealpost"), &["--home", &served.path("home"), "doctor", "--offline"], b"");
    let doctor = String::from_utf8_lossy(&doctor).into_owned();
    assert!(doctor.contains("acme-failed") && !doctor.contains("port-other-certificate"), "{doctor}");
}

#[test]
fn an_authority_that_is_gone_leaves_the_old_certificate_and_is_told() {
    let served = serve(ordering(free(), free()));
    until("the failure is not told", || served.run(&["doctor", "--offline"]).0.contains("acme-failed"));
    served.send("jane@a.example", "From: jane@a.example\nTo: jane@a.example\n\nhi\n");
    let status = served.run(&["status"]).0;
    let acme = status.lines().find(|line| line.starts_with("acme ")).expect("a line");
    assert!(acme.contains("failed: "), "{acme}");
}
