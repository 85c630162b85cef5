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

use crate::server::drive::now;
use crate::server::manage::Overview;
use crate::server::queue::Queue;
use crate::server::tlsrpt::Reports;
use crate::server::trace::{Event, Level, Tracer};

/// What a server can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Its state, a line of two fields for each fact.
    Status,
    /// Everything that is said from now on.
    Trace,
    /// To look at the queue now, also at destinations that failed a moment ago.
    Wake,
    /// To send the reports of the last days that are due (RFC 8460); a line for each domain.
    Report,
}

impl Question {
    fn verb(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Trace => "trace",
            Self::Wake => "wake",
            Self::Report => "report",
        }
    }

    fn parse(line: &str) -> Option<Self> {
        [Self::Status, Self::Trace, Self::Wake, Self::Report].into_iter().find(|question| question.verb() == line.trim())
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

/// Bytes of a question.
const QUESTION: u64 = 64;

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
    pub(in crate::server) async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
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
            let admin = Arc::clone(&self);
            // how a connection ends is the other side's affair
            open.spawn(async move { drop(admin.answer(stream).await) });
        }
        // nobody can be told any more; a name that stays is replaced by the next server
        let _ = std::fs::remove_file(&self.path);
    }

    async fn answer(&self, stream: tokio::net::UnixStream) -> std::io::Result<()> {
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
