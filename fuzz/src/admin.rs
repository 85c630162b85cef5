//! What a server says over its local socket is read or refused, line by line, and a field is what it was.

use sealpost::proto::Party;
use sealpost::server::trace::Event;

/// Takes the bytes as lines of a server's answer.
pub fn run(bytes: &[u8]) {
    for line in String::from_utf8_lossy(bytes).lines() {
        let Some(event) = Event::from_line(line) else { continue };
        assert!([&*event.service, &event.peer, &event.user].iter().all(|field| !field.contains('\t')), "{event:?}");
        let by = match event.by {
            Some(Party::Client) => "C",
            Some(Party::Server) => "S",
            None => "-",
        };
        let written = format!(
            "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{by}\t{}",
            event.conversation,
            event.at.unix(),
            event.level.name(),
            event.service,
            event.peer,
            event.user,
            event.queue.map(|id| id.to_string()).unwrap_or_default(),
            event.text
        );
        assert_eq!(Event::from_line(&written), Some(event));
    }
}
