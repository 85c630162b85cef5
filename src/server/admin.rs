//! The local socket by which the program talks to a server that runs: its state, its trace, a nudge for the queue.
//!
//! A client sends one line, a verb, and reads lines of fields between tabs until the server closes. The socket is for the
//! owner of the data alone (mode 0600 in a folder of mode 0700).

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::server::doors::{Doors, Order};
use crate::server::drive::now;
use crate::server::manage::Overview;
use crate::server::policy::Whom;
use crate::server::queue::Queue;
use crate::server::reload::{Reloaded, Reloader};
use crate::server::tlsrpt::Reports;
use crate::server::trace::{Event, Level, Tracer};

/// What a server can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Its state, a line for each fact: its name, and its value as JSON ([`Status::fact`](crate::server::manage::Status::fact)).
    Status,
    /// Everything that is said from now on.
    Trace,
    /// To look at the queue now, also at destinations that failed a moment ago.
    Wake,
    /// To send the reports of the last days that are due (RFC 8460); a line for each domain.
    Report,
    /// To read its configuration again: a line for each thing that changed or was kept, or why the old one stays.
    Reload,
    /// Its servers, a line each: name, state, addresses.
    Servers,
    /// To start, stop or pause one of them.
    Server(Order, String),
    /// Who is banned, a line each: who, until when, what for.
    Bans,
    /// To ban somebody, for so many seconds or until it is lifted.
    Ban(Whom, Option<u64>),
    /// To end a ban.
    LiftBan(Whom),
}

impl Question {
    fn line(&self) -> String {
        match self {
            Self::Status => "status".to_owned(),
            Self::Trace => "trace".to_owned(),
            Self::Wake => "wake".to_owned(),
            Self::Report => "report".to_owned(),
            Self::Reload => "reload".to_owned(),
            Self::Servers => "servers".to_owned(),
            Self::Server(order, name) => format!("server {} {name}", order.word()),
            Self::Bans => "bans".to_owned(),
            Self::Ban(whom, None) => format!("ban {whom}"),
            Self::Ban(whom, Some(seconds)) => format!("ban {whom} {seconds}"),
            Self::LiftBan(whom) => format!("lift {whom}"),
        }
    }

    fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["status"] => Some(Self::Status),
            ["trace"] => Some(Self::Trace),
            ["wake"] => Some(Self::Wake),
            ["report"] => Some(Self::Report),
            ["reload"] => Some(Self::Reload),
            ["servers"] => Some(Self::Servers),
            ["server", order, name] => Some(Self::Server(Order::parse(order)?, (*name).to_owned())),
            ["bans"] => Some(Self::Bans),
            ["ban", whom] => Some(Self::Ban(Whom::parse(whom).ok()?, None)),
            ["ban", whom, seconds] => Some(Self::Ban(Whom::parse(whom).ok()?, Some(seconds.parse().ok()?))),
            ["lift", whom] => Whom::parse(whom).ok().map(Self::LiftBan),
            _ => None,
        }
    }
}

/// Asks the server of a data folder; gives its answer line by line. An error means that none runs there.
pub fn ask(data: &Path, question: &Question) -> std::io::Result<impl Iterator<Item = std::io::Result<String>> + use<>> {
    let mut stream = UnixStream::connect(socket(data))?;
    writeln!(stream, "{}", question.line())?;
    Ok(BufReader::new(stream).lines())
}

fn socket(data: &Path) -> PathBuf {
    data.join("admin.sock")
}

/// The server's end of the socket.
#[derive(Debug)]
pub(in crate::server) struct Admin {
    listener: UnixListener,
    path: PathBuf,
    overview: Arc<Overview>,
    tracer: Tracer,
    queue: Queue,
    reports: Reports,
}

/// What changes while the server runs.
#[derive(Debug, Clone)]
pub(in crate::server) struct Levers {
    pub(in crate::server) reloader: Arc<Reloader>,
    pub(in crate::server) doors: Arc<Doors>,
}

/// Bytes of a question. The longest names a sender, whose address may have 320 characters.
const QUESTION: u64 = 2048;

impl Admin {
    /// Binds the socket; what a server that died has left is replaced.
    pub(in crate::server) fn bind(
        data: &Path,
        overview: Arc<Overview>,
        tracer: Tracer,
        (queue, reports): (Queue, Reports),
    ) -> Result<Arc<Self>, String> {
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
        Ok(Arc::new(Self { listener, path, overview, tracer, queue, reports }))
    }

    /// Answers until the server stops.
    pub(in crate::server) async fn run(self: Arc<Self>, levers: Levers, mut stop: watch::Receiver<bool>) {
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
            let (admin, levers) = (Arc::clone(&self), levers.clone());
            // how a connection ends is the other side's affair
            open.spawn(async move { drop(admin.answer(stream, &levers).await) });
        }
        // nobody can be told any more; a name that stays is replaced by the next server
        let _ = std::fs::remove_file(&self.path);
    }

    async fn answer(&self, stream: tokio::net::UnixStream, levers: &Levers) -> std::io::Result<()> {
        use tokio::io::AsyncReadExt;
        let (reader, mut writer) = stream.into_split();
        let mut question = String::new();
        tokio::io::BufReader::new(reader).take(QUESTION).read_line(&mut question).await?;
        match Question::parse(&question) {
            Some(Question::Wake) => self.queue.retry_now(),
            Some(Question::Report) => {
                for line in self.reports.send(now()).await {
                    writer.write_all(format!("{}\n", line.replace(char::is_control, " ")).as_bytes()).await?;
                }
            }
            Some(Question::Status) => {
                let overview = Arc::clone(&self.overview);
                let status = tokio::task::spawn_blocking(move || overview.status(now()).to_lines());
                writer.write_all(status.await.map_err(std::io::Error::other)?.as_bytes()).await?;
            }
            Some(Question::Reload) => writer.write_all(reloaded(levers.reloader.reload().await).as_bytes()).await?,
            Some(Question::Servers) => writer.write_all(levers.doors.list().as_bytes()).await?,
            Some(Question::Server(order, name)) => {
                let (doors, of) = (Arc::clone(&levers.doors), name.clone());
                let done = tokio::task::spawn_blocking(move || doors.order(order, &of)).await.map_err(std::io::Error::other)?;
                let told = match done {
                    Ok(()) => format!("changed\t{name}: {}\n", order.done()),
                    Err(why) => format!("error\t{}\n", why.to_string().replace(char::is_control, " ")),
                };
                writer.write_all(told.as_bytes()).await?;
            }
            Some(Question::Bans) => writer.write_all(levers.doors.list_bans(now()).as_bytes()).await?,
            Some(Question::Ban(whom, seconds)) => {
                let told = match levers.doors.ban(&whom, seconds) {
                    Ok(()) => format!("changed\t{whom} is banned\n"),
                    Err(why) => format!("error\t{why}\n"),
                };
                writer.write_all(told.as_bytes()).await?;
            }
            Some(Question::LiftBan(whom)) => {
                let told = match levers.doors.lift_ban(&whom) {
                    true => format!("changed\t{whom} is banned no more\n"),
                    false => format!("error\t{whom} is not banned\n"),
                };
                writer.write_all(told.as_bytes()).await?;
            }
            Some(Question::Trace) => {
                let mut events = self.tracer.listen();
                loop {
                    match events.recv().await {
                        Ok(event) => writer.write_all(event.to_line().as_bytes()).await?,
                        Err(RecvError::Lagged(missed)) => {
                            let event = Event::note(now(), Level::Warning, &format!("({missed} lines were missed)"));
                            writer.write_all(event.to_line().as_bytes()).await?;
                        }
                        Err(RecvError::Closed) => break,
                    }
                }
            }
            None => writer.write_all(b"error\tunknown question\n").await?,
        }
        writer.shutdown().await
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
