//! What a server says over its local socket is read or refused, line by line, and a field is what it was.

use sealpost::server::admin;

/// Takes the bytes as lines of a server's answer.
pub fn run(bytes: &[u8]) {
    for line in String::from_utf8_lossy(bytes).lines() {
        let Some(event) = admin::event(line) else { continue };
        let first = [&event.service, &event.peer, &event.user, &event.by];
        assert!(first.iter().all(|field| !field.contains('\t')), "{event:?}");
        let written = format!(
            "{}\t{}\t{}\t{}\t{}\t{}\t{}",
            event.conversation,
            event.at.unix(),
            event.service,
            event.peer,
            event.user,
            event.by,
            event.text
        );
        assert_eq!(admin::event(&written), Some(event));
    }
}
