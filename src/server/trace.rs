//! What is said on every connection, live, for people who learn or debug; and notes of what the server did. The log and the metrics are
//! made of the same, and a program that serves mail with this library hears it through `tracing`, at the target `sealpost`.

mod event;
mod explain;
mod heard;
mod subscribed;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::broadcast;

use crate::proto::Spoken;
use crate::server::metrics::Metrics;
use crate::server::trace::heard::Heard;
use crate::time::Timestamp;

pub use event::{Event, Level, Wanted, shown};
pub use explain::{Explainer, Language};

/// Tells events to everyone who listens.
#[derive(Debug, Clone)]
pub struct Tracer {
    lines: broadcast::Sender<Event>,
    notes: broadcast::Sender<Event>,
    count: Arc<AtomicU64>,
    metrics: Arc<Metrics>,
}

/// One connection's part of the trace.
#[derive(Debug)]
pub(in crate::server) struct Conversation {
    tracer: Tracer,
    number: u64,
    service: &'static str,
    peer: String,
    heard: Heard,
}

/// Events that wait for a slow listener; he misses older ones.
const BACKLOG: usize = 4096;

tokio::task_local! {
    /// The message of the queue that this task has in hand.
    static IN_HAND: i64;
}

/// Does something for a message of the queue: what is said meanwhile is about that message.
pub(in crate::server) async fn about<T>(queue: i64, work: impl Future<Output = T>) -> T {
    IN_HAND.scope(queue, work).await
}

impl Default for Tracer {
    fn default() -> Self {
        let (lines, notes) = (broadcast::channel(BACKLOG).0, broadcast::channel(BACKLOG).0);
        Self { lines, notes, count: Arc::default(), metrics: Arc::default() }
    }
}

impl Tracer {
    /// Listens from now on to all that is said, and to notes.
    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.lines.subscribe()
    }

    /// Listens from now on to notes alone.
    pub fn notes(&self) -> broadcast::Receiver<Event> {
        self.notes.subscribe()
    }

    /// Conversations since the start.
    pub fn conversations(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Says what the server did.
    pub(in crate::server) fn note(&self, at: Timestamp, text: &str) {
        self.tell_note(Event::note(at, Level::Info, text));
    }

    /// Says what somebody should look at.
    pub(in crate::server) fn warn(&self, at: Timestamp, text: &str) {
        self.tell_note(Event::note(at, Level::Warning, text));
    }

    /// Begins a conversation.
    pub(in crate::server) fn begin(&self, service: &'static str, peer: SocketAddr) -> Conversation {
        let number = self.count.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        self.metrics.opened(service);
        Conversation { tracer: self.clone(), number, service, peer: peer.to_string(), heard: Heard::default() }
    }

    fn tell_note(&self, event: Event) {
        event.trace();
        // nobody listens: nothing is lost
        if self.lines.receiver_count() > 0 {
            let _ = self.lines.send(event.clone());
        }
        let _ = self.notes.send(event);
    }

    fn tell_line(&self, event: Event) {
        event.trace();
        let _ = self.lines.send(event);
    }

    /// Whether anybody hears every word.
    fn is_watched(&self) -> bool {
        self.lines.receiver_count() > 0 || Event::is_traced(Level::Debug)
    }
}

impl Conversation {
    /// Tells what was said.
    pub(in crate::server) fn say(&mut self, at: Timestamp, user: Option<&str>, spoken: Vec<Spoken>) {
        let is_watched = self.tracer.is_watched();
        for spoken in spoken {
            let told = self.heard.hear(self.service, &spoken, &self.tracer.metrics);
            if is_watched {
                let by = Some(spoken.by);
                self.tracer.tell_line(Event { by, text: spoken.text, ..self.event(at, user, Level::Debug) });
            }
            if let Some((level, text)) = told {
                self.tracer.tell_note(Event { text, ..self.event(at, user, level) });
            }
        }
    }

    /// TLS has begun, in this version with this cipher.
    pub(in crate::server) fn secured(&self, how: &str) {
        self.tracer.metrics.tls(self.service, how);
    }

    /// So many bytes came and went.
    pub(in crate::server) fn moved(&self, received: usize, sent: usize) {
        self.tracer.metrics.moved(self.service, received, sent);
    }

    fn event(&self, at: Timestamp, user: Option<&str>, level: Level) -> Event {
        Event {
            conversation: self.number,
            service: self.service.into(),
            peer: self.peer.clone(),
            user: user.unwrap_or_default().to_owned(),
            queue: IN_HAND.try_with(|queue| *queue).ok(),
            ..Event::note(at, level, "")
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.tracer.metrics.closed(self.service);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Party;

    fn said(by: Party, text: &str) -> Vec<Spoken> {
        vec![Spoken { by, text: text.to_owned() }]
    }

    #[tokio::test]
    async fn what_is_said_for_a_message_of_the_queue_names_it() {
        let tracer = Tracer::default();
        let mut heard = tracer.listen();
        let mut conversation = tracer.begin("delivery", "192.0.2.1:25".parse().expect("an address"));
        about(17, async { conversation.say(Timestamp::from_unix(5), None, said(Party::Server, "220 hi")) }).await;
        conversation.say(Timestamp::from_unix(6), None, said(Party::Client, "QUIT"));
        tracer.note(Timestamp::from_unix(7), "queue 18: x@b.example later");
        let queues = [heard.recv().await, heard.recv().await, heard.recv().await].map(|event| event.expect("told").queue);
        assert_eq!(queues, [Some(17), None, Some(18)]);
    }

    #[tokio::test]
    async fn the_log_hears_who_was_refused_and_not_every_word() {
        let tracer = Tracer::default();
        let mut notes = tracer.notes();
        let mut conversation = tracer.begin("submission", "192.0.2.1:25".parse().expect("an address"));
        for (by, text) in [
            (Party::Client, "AUTH PLAIN (secret)"),
            (Party::Server, "535 5.7.8 name or password are wrong"),
            (Party::Client, "MAIL FROM:<jane@a.example>"),
            (Party::Server, "250 2.1.0 go on"),
            (Party::Client, "(a message of 7 bytes)"),
            (Party::Server, "250 2.0.0 it is kept"),
        ] {
            conversation.say(Timestamp::from_unix(5), Some("jane@a.example"), said(by, text));
        }
        drop(conversation);
        let (login, message) = (notes.recv().await.expect("told"), notes.recv().await.expect("told"));
        assert_eq!(
            (login.level, login.text.as_str()),
            (Level::Warning, "login by PLAIN refused: 535 5.7.8 name or password are wrong")
        );
        assert_eq!((message.level, message.user.as_str()), (Level::Info, "jane@a.example"));
        assert_eq!(message.text, "accepted a message of 7 bytes from <jane@a.example>");
        assert!(notes.try_recv().is_err());
    }
}
