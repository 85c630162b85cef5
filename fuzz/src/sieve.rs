//! Scripts are read and run: what is refused has a line, what runs ends, and the same input does the same.

use sealpost::limits::Limits;
use sealpost::sieve::{Action, Envelope, NoMemory, Script};
use sealpost::time::Timestamp;

/// Reads what stands before the first NUL as a script, and what follows as a message.
pub fn run(bytes: &[u8]) {
    let (script, message) = match bytes.iter().position(|byte| *byte == 0) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &b"Subject: hello\r\n\r\nhi\r\n"[..]),
    };
    let mut limits = Limits::default();
    limits.sieve_steps = 1_000_000;
    let lines = script.split(|byte| *byte == b'\n').count();
    let checked = match Script::parse(script, &limits) {
        Ok(checked) => checked,
        Err(mistakes) => {
            assert!(!mistakes.is_empty());
            assert!(mistakes.iter().all(|mistake| (1..=lines).contains(&mistake.line)), "{mistakes:?}");
            return;
        }
    };
    let envelope = Envelope::new("jane@a.example", "bob+x@b.example");
    let run = || checked.run(message, &envelope, Timestamp::from_unix(1_800_000_000), &NoMemory, &limits);
    let outcome = run();
    assert_eq!(outcome, run());
    assert!(outcome.actions.len() <= limits.sieve_actions);
    if outcome.failure.is_some() {
        assert_eq!(outcome.actions, [Action::Keep { flags: Vec::new() }]);
    }
    for action in &outcome.actions {
        match action {
            Action::FileInto { folder, .. } => {
                assert!(!folder.contains(char::is_control) && folder.split('/').all(|part| !matches!(part, "" | "." | "..")));
            }
            Action::Redirect { address } => assert!(!address.contains(|c: char| c.is_control() || c.is_whitespace())),
            Action::Vacation(reply) => {
                let written = reply.message("bob@b.example", Timestamp::from_unix(0), "x@b.example");
                let end = written.windows(4).position(|window| window == b"\r\n\r\n").expect("a header section");
                let fields = String::from_utf8_lossy(&written[..end]).into_owned();
                assert_eq!(fields.lines().filter(|line| line.starts_with("To:")).count(), 1, "{fields}");
                assert!(!fields.lines().any(|line| line.starts_with("Bcc:")), "{fields}");
            }
            _ => {}
        }
    }
}
