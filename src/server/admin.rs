//! The local socket by which the program talks to a server that runs: its state, its trace, a nudge for the queue.
//!
//! A client sends one line, a verb, and reads lines of fields between tabs until the server closes. The socket is for the
//! owner of the data alone (mode 0600 in a folder of mode 0700).

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::proto::Party;
use crate::server::Service;
use crate::server::accounts::Accounts;
use crate::server::config::Acme;
use crate::server::drive::now;
use crate::server::privileges::Standing;
use crate::server::queue::Queue;
use crate::server::reload::{Reloaded, Reloader};
use crate::server::trace::{Event, Tracer};
use crate::time::Timestamp;

/// What a server can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Its state, a line of two fields for each fact.
    Status,
    /// Everything that is said from now on.
    Trace,
    /// To look at the queue now, also at destinations that failed a moment ago.
    Wake,
    /// To read its configuration again: a line for each thing that changed or was kept, or why the old one stays.
    Reload,
}

impl Question {
    const ALL: [Self; 4] = [Self::Status, Self::Trace, Self::Wake, Self::Reload];

    fn verb(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Trace => "trace",
            Self::Wake => "wake",
            Self::Reload => "reload",
        }
    }

    fn parse(line: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|question| question.verb() == line.trim())
    }
}

/// Asks the server of a data folder; gives its answer line by line. An error means that none runs there.
pub fn ask(data: &Path, question: Question) -> std::io::Result<impl Iterator<Item = std::io::Result<String>> + use<>> {
    let mut stream = UnixStream::connect(socket(data))?;
    writeln!(stream, "{}", question.verb())?;
    Ok(BufReader::new(stream).lines())
}

fn socket(data: &Path) -> PathBuf {
    data.join("admin.sock")
}

/// Writes an event as a line.
fn line(event: &Event) -> String {
    let by = match event.by {
        Some(Party::Client) => "C",
        Some(Party::Server) => "S",
        None => "-",
    };
    format!(
        "{}\t{}\t{}\t{}\t{}\t{by}\t{}\n",
        event.conversation,
        event.at.unix(),
        event.service,
        event.peer,
        event.user,
        event.text
    )
}

/// Reads an event from its line.
pub fn event(line: &str) -> Option<TracedLine> {
    let mut fields = line.splitn(7, '\t');
    let mut field = || fields.next().map(str::to_owned);
    Some(TracedLine {
        conversation: field()?.parse().ok()?,
        at: Timestamp::from_unix(field()?.parse().ok()?),
        service: field()?,
        peer: field()?,
        user: field()?,
        by: field()?,
        text: field()?,
    })
}

/// An event of the trace, as it came over the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedLine {
    /// Which conversation; 0 for notes.
    pub conversation: u64,
    /// When.
    pub at: Timestamp,
    /// What is served, `delivery`, or `note`.
    pub service: String,
    /// The other side.
    pub peer: String,
    /// The user, once he is authenticated.
    pub user: String,
    /// `C` for the client, `S` for the server, `-` for notes.
    pub by: String,
    /// What was said.
    pub text: String,
}

/// The server's end of the socket.
#[derive(Debug)]
pub(in crate::server) struct Admin {
    listener: UnixListener,
    path: PathBuf,
    accounts: Accounts,
    tracer: Tracer,
    queue: Queue,
    started: Timestamp,
}

/// What runs.
#[derive(Debug, Clone)]
pub(in crate::server) struct Operating {
    /// Where it listens.
    pub(in crate::server) addresses: Vec<(Service, SocketAddr)>,
    /// With which rights.
    pub(in crate::server) standing: Standing,
    /// What changes it.
    pub(in crate::server) reloader: Arc<Reloader>,
}

/// Bytes of a question.
const QUESTION: u64 = 64;

impl Admin {
    /// Binds the socket; what a server that died has left is replaced.
    pub(in crate::server) fn bind(data: &Path, accounts: Accounts, tracer: Tracer, queue: Queue) -> Result<Arc<Self>, String> {
        let path = socket(data);
        if UnixStream::connect(&path).is_ok() {
            return Err(format!("a server runs already with the data of {} – stop it first", data.display()));
        }
        let told = |error: std::io::Error| format!("{} cannot be made – {error}", path.display());
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(told(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(told)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(told)?;
        Ok(Arc::new(Self { listener, path, accounts, tracer, queue, started: now() }))
    }

    /// Answers until the server stops.
    pub(in crate::server) async fn run(self: Arc<Self>, running: Operating, mut stop: watch::Receiver<bool>) {
        let mut open = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = stop.wait_for(|stops| *stops) => break,
            };
            while open.try_join_next().is_some() {}
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            };
            let (admin, running) = (Arc::clone(&self), running.clone());
            // how a connection ends is the other side's affair
            open.spawn(async move { drop(admin.answer(stream, &running).await) });
        }
        // nobody can be told any more; a name that stays is replaced by the next server
        let _ = std::fs::remove_file(&self.path);
    }

    async fn answer(&self, stream: tokio::net::UnixStream, running: &Operating) -> std::io::Result<()> {
        use tokio::io::AsyncReadExt;
        let (reader, mut writer) = stream.into_split();
        let mut question = String::new();
        tokio::io::BufReader::new(reader).take(QUESTION).read_line(&mut question).await?;
        match Question::parse(&question) {
            Some(Question::Wake) => self.queue.retry_now(),
            Some(Question::Status) => writer.write_all(self.status(running).as_bytes()).await?,
            Some(Question::Reload) => writer.write_all(reloaded(running.reloader.reload().await).as_bytes()).await?,
            Some(Question::Trace) => {
                let mut events = self.tracer.listen();
                loop {
                    match events.recv().await {
                        Ok(event) => writer.write_all(line(&event).as_bytes()).await?,
                        Err(RecvError::Lagged(missed)) => {
                            let at = now().unix();
                            writer.write_all(format!("0\t{at}\tnote\t\t\t-\t({missed} lines were missed)\n").as_bytes()).await?;
                        }
                        Err(RecvError::Closed) => break,
                    }
                }
            }
            None => writer.write_all(b"error\tunknown question\n").await?,
        }
        writer.shutdown().await
    }

    fn status(&self, Operating { addresses, standing, .. }: &Operating) -> String {
        let mut text = format!("pid\t{}\nstarted\t{}\n", std::process::id(), self.started);
        for (service, address) in addresses {
            text.push_str(&format!("{}\t{address}\n", service.name()));
        }
        text.push_str(&format!("user\t{}\nsandbox\t{}\n", standing.user, standing.sandbox));
        let data = self.path.parent().unwrap_or(&self.path);
        if let Ok(why) = std::fs::read_to_string(Acme::failure(data)) {
            text.push_str(&format!("acme\tfailed: {}\n", why.trim()));
        }
        text.push_str(&format!("conversations\t{}\n", self.tracer.conversations()));
        match self.accounts.store().waiting() {
            Ok(waiting) => text.push_str(&format!("queued\t{}\n", waiting.len())),
            Err(error) => text.push_str(&format!("queued\tunknown – {error}\n")),
        }
        text
    }
}

/// A line for each thing: `changed`, `kept`, or `error`.
fn reloaded(answer: Result<Reloaded, String>) -> String {
    let line = |kind: &str, text: &str| format!("{kind}\t{text}\n");
    match answer {
        Ok(Reloaded { changed, kept }) => {
            let changed = changed.iter().map(|text| line("changed", text));
            changed.chain(kept.iter().map(|text| line("kept", text))).collect()
        }
        Err(why) => why.lines().map(|text| line("error", text)).collect(),
    }
}
