//! The log: what the trace tells, kept on standard error or in a file, a line each, for people or for programs.
//!
//! Never: a password, content of a message – the trace has none; a character that controls a terminal or ends a line.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::server::config::{Form, LogConfig, LogTo};
use crate::server::drive::now;
use crate::server::trace::{Event, Level, Tracer, shown};

/// A log that is open.
#[derive(Debug)]
pub struct Log {
    form: Form,
    level: Level,
    file: Option<File>,
    events: Receiver<Event>,
}

/// A log that is being written.
#[derive(Debug)]
pub struct Writing {
    ended: std::sync::mpsc::Receiver<()>,
}

impl Writing {
    /// Waits so long until all is written that was said before the server ended.
    pub fn end(self, patience: Duration) {
        // what is not written by then is not waited for
        let _ = self.ended.recv_timeout(patience);
    }
}

/// Bytes that are written at once.
const TOGETHER: usize = 32 << 10;

/// How long a line waits for others. The trace keeps some thousand of them meanwhile: what a busy server says of messages in some hundred times
/// that long, and every word of it in ten times.
const REST: Duration = Duration::from_millis(10);

impl Log {
    /// Opens the log and listens; the error says what to do where the file cannot be used.
    pub fn open(config: &LogConfig, tracer: &Tracer) -> Result<Self, String> {
        let file = match &config.to {
            LogTo::Stderr => None,
            LogTo::File(path) => {
                let mut options = OpenOptions::new();
                options.append(true).create(true);
                // addresses of people are in it
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
                Some(options.open(path).map_err(|error| format!("the log {} cannot be written – {error}", path.display()))?)
            }
        };
        // every word of every connection only where somebody reads it
        let events = if config.level >= Level::Debug { tracer.listen() } else { tracer.notes() };
        Ok(Self { form: config.form, level: config.level, file, events })
    }

    /// Writes until the server ended, on a thread of its own: whoever reads slowly must not hold up mail.
    pub fn begin(mut self) -> Result<Writing, String> {
        let (done, ended) = sync_channel(1);
        let run = move || {
            self.run();
            // nobody may wait for it
            let _ = done.send(());
        };
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn(run);
        thread.map(|_| Writing { ended }).map_err(|error| format!("the log cannot be written – {error}"))
    }

    fn run(&mut self) {
        loop {
            let event = match self.events.blocking_recv() {
                Ok(event) => event,
                Err(RecvError::Lagged(missed)) => missing(missed),
                Err(RecvError::Closed) => break,
            };
            let mut lines = self.line(&event).unwrap_or_default();
            // who says something wakes this thread only where it waits: while it rests, saying costs a copy and nothing else
            std::thread::sleep(REST);
            loop {
                let event = match self.events.try_recv() {
                    Ok(event) => event,
                    Err(TryRecvError::Lagged(missed)) => missing(missed),
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                };
                lines.push_str(&self.line(&event).unwrap_or_default());
                if lines.len() >= TOGETHER {
                    self.write(&lines);
                    lines.clear();
                }
            }
            self.write(&lines);
        }
    }

    fn line(&self, event: &Event) -> Option<String> {
        (event.level <= self.level).then(|| match self.form {
            Form::Text => text(event),
            Form::Json => format!("{}\n", object(event)),
        })
    }

    fn write(&mut self, lines: &str) {
        // there is nobody who could be told that the log cannot be written
        let _ = match &mut self.file {
            Some(file) => file.write_all(lines.as_bytes()),
            None => std::io::stderr().write_all(lines.as_bytes()),
        };
    }
}

fn missing(missed: u64) -> Event {
    Event::note(now(), Level::Warning, &format!("({missed} lines were missed)"))
}

/// `2026-05-01T10:00:00Z info smtp#7 [192.0.2.1:5000] user=jane@a.example queue=3 text`
fn text(event: &Event) -> String {
    let mut line = format!("{} {}", event.at, event.level.name());
    if event.conversation != 0 {
        line.push_str(&format!(" {}#{} [{}]", event.service, event.conversation, event.peer));
    }
    if !event.user.is_empty() {
        line.push_str(&format!(" user={}", shown(&event.user)));
    }
    // a note about a message of the queue says so itself
    if let Some(queue) = event.queue.filter(|queue| !event.text.starts_with(&format!("queue {queue}:"))) {
        line.push_str(&format!(" queue={queue}"));
    }
    match event.by {
        Some(crate::proto::Party::Client) => line.push_str(" C:"),
        Some(crate::proto::Party::Server) => line.push_str(" S:"),
        None => {}
    }
    format!("{line} {}\n", shown(&event.text))
}

/// What is not known is left out.
fn object(event: &Event) -> Value {
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| drop(object.insert(name.to_owned(), value));
    put("time", json!(event.at.to_string()));
    put("level", json!(event.level.name()));
    put("service", json!(event.service));
    if event.conversation != 0 {
        put("session", json!(event.conversation));
        put("peer", json!(event.peer));
    }
    if !event.user.is_empty() {
        put("user", json!(shown(&event.user)));
    }
    if let Some(queue) = event.queue {
        put("queue", json!(queue));
    }
    match event.by {
        Some(crate::proto::Party::Client) => put("by", json!("client")),
        Some(crate::proto::Party::Server) => put("by", json!("server")),
        None => {}
    }
    put("text", json!(shown(&event.text)));
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Party, Spoken};
    use crate::time::Timestamp;

    fn hostile() -> Event {
        Event {
            conversation: 7,
            service: "smtp".into(),
            peer: "192.0.2.1:5000".to_owned(),
            user: "jane\u{1b}[31m@a.example".to_owned(),
            queue: Some(3),
            ..Event::note(
                Timestamp::from_unix(0),
                Level::Info,
                "x\r\n2026-01-01T00:00:00Z info admin did it\u{9b}2J\u{202e}\u{2028}\u{7f}",
            )
        }
    }

    #[test]
    fn what_a_peer_says_forges_no_line_and_controls_no_terminal() {
        let line = text(&hostile());
        assert_eq!(
            line,
            "1970-01-01T00:00:00Z info smtp#7 [192.0.2.1:5000] user=jane\\u{1b}[31m@a.example queue=3 \
             x\\u{d}\\u{a}2026-01-01T00:00:00Z info admin did it\\u{9b}2J\\u{202e}\\u{2028}\\u{7f}\n"
        );
        let json = object(&hostile()).to_string();
        assert!(!json.chars().any(char::is_control) && !json.contains(['\u{202e}', '\u{2028}']), "{json}");
        let value: Value = serde_json::from_str(&json).expect("JSON");
        let fields: Vec<_> = value.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(fields, ["time", "level", "service", "session", "peer", "user", "queue", "text"]);
    }

    #[test]
    fn a_log_has_what_matters_and_every_word_only_where_it_is_asked_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let tracer = Tracer::default();
        let open = |name: &str, level, form| {
            let to = LogTo::File(folder.path().join(name));
            Log::open(&LogConfig { form, level, to }, &tracer).expect("opens")
        };
        let logs = [open("warnings", Level::Warning, Form::Text), open("all", Level::Debug, Form::Json)];
        let logs = logs.map(|log| log.begin().expect("begins"));
        tracer.note(Timestamp::from_unix(0), "queue 3: sent");
        tracer.warn(Timestamp::from_unix(1), "the disk is full");
        let mut conversation = tracer.begin("smtp", "192.0.2.1:5000".parse().expect("an address"));
        conversation.say(Timestamp::from_unix(2), None, vec![Spoken { by: Party::Client, text: "EHLO x".to_owned() }]);
        drop((conversation, tracer));
        logs.into_iter().for_each(|log| log.end(Duration::from_secs(20)));
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("written");
        assert_eq!(read("warnings"), "1970-01-01T00:00:01Z warning the disk is full\n");
        let all: Vec<Value> = read("all").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!((all.len(), &all[0]["queue"], &all[2]["by"], &all[2]["session"]), (3, &json!(3), &json!("client"), &json!(1)));
    }
}
