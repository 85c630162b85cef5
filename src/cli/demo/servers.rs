//! The demo's two mail servers, and what travels between them.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::cli::demo::stage::Stage;
use crate::cli::failure::{Exit, Failure};

/// Two servers that run until this is dropped.
pub(crate) struct Servers {
    a: Background,
    b: Background,
    offset_a: u16,
    offset_b: u16,
}

/// A command in the background, and the lines that it writes.
struct Background {
    child: Child,
    lines: Receiver<String>,
}

/// The ports of a server without offset, as `up` gives them.
const PORTS: [u16; 5] = [2525, 2587, 2465, 2110, 2995];
/// How long a line of a server may take; a slow machine needs a few seconds.
const PATIENCE: Duration = Duration::from_secs(60);

impl Servers {
    /// Sets both servers up, with a mailbox each, and runs them.
    pub(crate) fn start(stage: &mut Stage) -> Result<Self, Failure> {
        stage.chapter("Two mail servers, one for a.example and one for b.example")?;
        let (offset_a, offset_b) = free_offsets()?;
        stage.say("  (each makes a small CA for its own TLS, and is told where the other one is)")?;
        stage.write("password-jane", b"jane's password\n")?;
        stage.write("password-cherry", b"cherry's password\n")?;
        for (home, domain, offset, other, port, user) in [
            ("server-a", "a.example", offset_a, "b.example", 2525 + offset_b, "jane"),
            ("server-b", "b.example", offset_b, "a.example", 2525 + offset_a, "cherry"),
        ] {
            stage.good(home, &format!("up --domain {domain} --route {other}=localhost:{port} --port-offset {offset} --batch"))?;
            stage.good(home, &format!("user add {user}@{domain} --passphrase-file password-{user}"))?;
            stage.good(home, &format!("ca export root -o {home}.pem"))?;
        }
        let a = Background::new(stage.background("server-a", "serve")?);
        a.until("ready", |line| stage.say(&format!("    {line}")))?;
        let b = Background::new(stage.background("server-b", "serve")?);
        b.until("ready", |line| stage.say(&format!("    {line}")))?;
        Ok(Self { a, b, offset_a, offset_b })
    }

    /// Sends a plain message, and shows both dialogues: client to server, and server to server.
    pub(crate) fn dialogue(&self, stage: &mut Stage) -> Result<(), Failure> {
        stage.chapter("What SMTP looks like: a postcard from Jane to Cherry")?;
        let postcard =
            "From: jane@a.example\r\nTo: cherry@b.example\r\nSubject: a postcard\r\n\r\nEveryone on the way can read this.\r\n";
        stage.write("postcard.eml", postcard.as_bytes())?;
        let trace = Background::new(stage.background("server-a", "trace")?);
        // the trace listens when it shows a conversation: a first one, that says nothing, is over before the postcard goes
        trace.connected(2525 + self.offset_a)?;
        let send = format!("{} --dialogue", self.send("postcard.eml"));
        let said = stage.run("jane", &send, Exit::Good)?;
        said.lines().try_for_each(|line| stage.say(&format!("    {line}")))?;
        stage.say("\n  and then server-a speaks to server-b, as `trace` shows:")?;
        trace.until_contains("delivered", |line| match line.split_once(" delivery [") {
            Some((_, rest)) => stage.say(&format!("    [{rest}")),
            None => Ok(()),
        })?;
        stage.good("cherry", &format!("{} -o postcards --wait 60 --delete", self.fetch()))
    }

    /// Carries the sealed message from Jane to Cherry.
    pub(crate) fn carry(&self, stage: &mut Stage) -> Result<(), Failure> {
        stage.chapter("Sent with STARTTLS and a password, handed from server to server, fetched by POP3 with STLS")?;
        stage.good("jane", &self.send("sealed.eml"))?;
        let said = stage.run("cherry", &format!("{} -o inbox --wait 60 --dialogue", self.fetch()), Exit::Good)?;
        said.lines().try_for_each(|line| stage.say(&format!("    {line}")))?;
        let inbox = stage.path("inbox");
        let first = std::fs::read_dir(&inbox).map_err(Failure::io)?.flatten().next();
        let path = first.ok_or_else(|| Failure::new(Exit::Bad, "the inbox is empty"))?.path();
        std::fs::copy(path, stage.path("received.eml")).map(drop).map_err(Failure::io)
    }

    fn send(&self, file: &str) -> String {
        let port = 2587 + self.offset_a;
        format!(
            "send {file} --via localhost:{port} --tls-trust server-a.pem --user jane@a.example --passphrase-file password-jane"
        )
    }

    fn fetch(&self) -> String {
        let port = 2110 + self.offset_b;
        format!(
            "fetch --from localhost:{port} --tls-trust server-b.pem --user cherry@b.example --passphrase-file password-cherry"
        )
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // as Ctrl-C would: open sessions are told
        for server in [&mut self.a, &mut self.b] {
            let asked = std::process::Command::new("kill").arg(server.child.id().to_string()).status();
            if asked.is_ok_and(|status| status.success()) {
                let _ = server.child.wait();
            }
        }
    }
}

impl Background {
    fn new(mut child: Child) -> Self {
        let (sender, lines) = channel();
        if let Some(out) = child.stdout.take() {
            std::thread::spawn(move || {
                BufReader::new(out).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)).ok()
            });
        }
        Self { child, lines }
    }

    fn next(&self) -> Result<String, Failure> {
        self.lines.recv_timeout(PATIENCE).map_err(|_| Failure::io("a server of the demo ended, or says nothing"))
    }

    fn until(&self, last: &str, mut show: impl FnMut(&str) -> Result<(), Failure>) -> Result<(), Failure> {
        loop {
            let line = self.next()?;
            show(&line)?;
            if line == last {
                return Ok(());
            }
        }
    }

    fn until_contains(&self, part: &str, mut show: impl FnMut(&str) -> Result<(), Failure>) -> Result<(), Failure> {
        loop {
            let line = self.next()?;
            show(&line)?;
            if line.contains(part) {
                return Ok(());
            }
        }
    }

    /// Knocks at a port until this trace shows it.
    fn connected(&self, port: u16) -> Result<(), Failure> {
        for _ in 0..200 {
            drop(std::net::TcpStream::connect(("localhost", port)));
            if self.lines.recv_timeout(Duration::from_millis(50)).is_ok() {
                return Ok(());
            }
        }
        Err(Failure::io("the trace shows nothing"))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // it may have ended by itself
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two offsets at which every port of a server is free.
fn free_offsets() -> Result<(u16, u16), Failure> {
    let is_free = |offset: &u16| PORTS.iter().all(|port| TcpListener::bind(("127.0.0.1", port + offset)).is_ok());
    let mut free = (10_000_u16..50_000).step_by(1000).filter(is_free);
    free.next().zip(free.next()).ok_or_else(|| Failure::io("no ports are free for two servers"))
}
