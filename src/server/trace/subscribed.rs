//! The same events for whoever subscribed to `tracing`.

use tracing::{debug, error, info, warn};

use crate::server::trace::{Event, Level, shown};

/// Says an event at its level; what is not known is empty, or 0.
macro_rules! say {
    ($say:ident, $event:expr) => {{
        let Event { conversation, service, peer, user, queue, text, .. } = $event;
        let (user, queue) = (shown(user), queue.unwrap_or_default());
        $say!(target: "sealpost", session = *conversation, service = &**service, peer = peer.as_str(), user = user.as_str(), queue,
            by = $event.letter(), "{}", shown(text));
    }};
}

impl Event {
    /// Says it to the subscriber; nothing is made where there is none.
    pub(super) fn trace(&self) {
        if !Self::is_traced(self.level) {
            return;
        }
        match self.level {
            Level::Error => say!(error, self),
            Level::Warning => say!(warn, self),
            Level::Info => say!(info, self),
            Level::Debug => say!(debug, self),
        }
    }

    /// Whether a subscriber wants events of this level.
    pub(super) fn is_traced(level: Level) -> bool {
        match level {
            Level::Error => tracing::enabled!(target: "sealpost", tracing::Level::ERROR),
            Level::Warning => tracing::enabled!(target: "sealpost", tracing::Level::WARN),
            Level::Info => tracing::enabled!(target: "sealpost", tracing::Level::INFO),
            Level::Debug => tracing::enabled!(target: "sealpost", tracing::Level::DEBUG),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Metadata, Subscriber};

    use crate::proto::{Party, Spoken};
    use crate::server::trace::Tracer;
    use crate::time::Timestamp;

    /// Keeps what it hears, a line each.
    #[derive(Debug, Clone)]
    struct Kept(Arc<Mutex<Vec<String>>>, tracing::Level);

    struct Fields(String);

    impl Visit for Fields {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            self.0.push_str(&format!(" {}={value:?}", field.name()));
        }
    }

    impl Subscriber for Kept {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == "sealpost" && metadata.level() <= &self.1
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            let mut fields = Fields(event.metadata().level().to_string());
            event.record(&mut fields);
            self.0.lock().expect("whole").push(fields.0);
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    fn heard(level: tracing::Level) -> Vec<String> {
        let kept = Kept(Arc::default(), level);
        tracing::subscriber::with_default(kept.clone(), || {
            let tracer = Tracer::default();
            let at = Timestamp::from_unix(5);
            let mut conversation = tracer.begin("smtp", "192.0.2.1:25".parse().expect("an address"));
            let said = |by, text: &str| Spoken { by, text: text.to_owned() };
            let spoken = vec![said(Party::Client, "AUTH PLAIN (secret)"), said(Party::Server, "535 5.7.8 wrong")];
            conversation.say(at, Some("jane\u{1b}@a.example"), spoken);
            tracer.note(at, "queue 7: done");
        });
        let heard = kept.0.lock().expect("whole");
        heard.clone()
    }

    #[test]
    fn a_subscriber_hears_notes_with_their_fields_and_every_word_where_it_wants_them() {
        let fields = "session=1 service=\"smtp\" peer=\"192.0.2.1:25\" user=\"jane\\\\u{1b}@a.example\" queue=0";
        let refused = format!("WARN message=login by PLAIN refused: 535 5.7.8 wrong {fields} by=\"-\"");
        let note = "INFO message=queue 7: done session=0 service=\"note\" peer=\"\" user=\"\" queue=7 by=\"-\"";
        let client = format!("DEBUG message=AUTH PLAIN (secret) {fields} by=\"C\"");
        let server = format!("DEBUG message=535 5.7.8 wrong {fields} by=\"S\"");
        assert_eq!(heard(tracing::Level::DEBUG), [client.as_str(), &server, &refused, note]);
        assert_eq!(heard(tracing::Level::INFO), [refused.as_str(), note]);
        assert_eq!(heard(tracing::Level::ERROR), [""; 0]);
    }
}
