//! What is said on every connection, live, for people who learn or debug; and notes of what the server did.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::broadcast;

use crate::proto::{Party, Spoken};
use crate::time::Timestamp;

/// One line of the trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Which conversation; 0 for notes.
    pub conversation: u64,
    /// When.
    pub at: Timestamp,
    /// What is served (`smtp`, `pop3`, …), `delivery` for mail that goes out, `note` for notes.
    pub service: &'static str,
    /// The other side; empty for notes.
    pub peer: String,
    /// The user, once he is authenticated.
    pub user: String,
    /// Who spoke; `None` for notes.
    pub by: Option<Party>,
    /// What; secrets are masked.
    pub text: String,
}

/// Tells events to everyone who listens.
#[derive(Debug, Clone)]
pub struct Tracer {
    sender: broadcast::Sender<Event>,
    count: Arc<AtomicU64>,
}

/// One connection's part of the trace.
#[derive(Debug)]
pub(in crate::server) struct Conversation {
    tracer: Tracer,
    number: u64,
    service: &'static str,
    peer: String,
}

/// Events that wait for a slow listener; he misses older ones.
const BACKLOG: usize = 4096;

impl Default for Tracer {
    fn default() -> Self {
        Self { sender: broadcast::channel(BACKLOG).0, count: Arc::default() }
    }
}

impl Tracer {
    /// Listens from now on.
    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.sender.subscribe()
    }

    /// Conversations since the start.
    pub fn conversations(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Says what the server did.
    pub(in crate::server) fn note(&self, at: Timestamp, text: &str) {
        self.tell(Event {
            conversation: 0,
            at,
            service: "note",
            peer: String::new(),
            user: String::new(),
            by: None,
            text: text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
        });
    }

    /// Begins a conversation.
    pub(in crate::server) fn begin(&self, service: &'static str, peer: SocketAddr) -> Conversation {
        let number = self.count.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        Conversation { tracer: self.clone(), number, service, peer: peer.to_string() }
    }

    fn tell(&self, event: Event) {
        // nobody listens: nothing is lost
        let _ = self.sender.send(event);
    }
}

impl Conversation {
    /// Tells what was said.
    pub(in crate::server) fn say(&mut self, at: Timestamp, user: Option<&str>, spoken: Vec<Spoken>) {
        if self.tracer.sender.receiver_count() == 0 {
            return;
        }
        for Spoken { by, text } in spoken {
            self.tracer.tell(Event {
                conversation: self.number,
                at,
                service: self.service,
                peer: self.peer.clone(),
                user: user.unwrap_or_default().to_owned(),
                by: Some(by),
                text,
            });
        }
    }
}
