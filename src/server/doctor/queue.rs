//! Whether mail for others goes on.

use std::path::Path;

use crate::server::doctor::{Concern, Finding, days};
use crate::server::store::{Error, HELD, Waiting};
use crate::time::Timestamp;

/// Judges what waits; `warn_hours` is when senders are told.
pub fn judge(waiting: Result<&[Waiting], &Error>, warn_hours: i64, now: Timestamp) -> Vec<Finding> {
    let waiting = match waiting {
        Ok(waiting) => waiting,
        Err(why) => {
            return vec![Finding::error("queue-unreadable", Concern::Integrity, format!("the queue cannot be read – {why}"))];
        }
    };
    let mut found = Vec::new();
    let (held, rest): (Vec<&Waiting>, Vec<&Waiting>) = waiting.iter().partition(|one| one.next == HELD);
    if let Some(first) = held.first() {
        let text = format!("{} recipients are held in the queue, as <{}> of message {}", held.len(), first.recipient, first.id);
        found.push(Finding::info("queue-held", text).fix(format!("sealpost queue retry {}", first.id)));
    }
    let age = |one: &Waiting| now.unix().saturating_sub(one.created.unix());
    let old: Vec<&&Waiting> = rest.iter().filter(|one| age(one) > warn_hours.saturating_mul(3600)).collect();
    if let Some(oldest) = old.iter().max_by_key(|one| age(one)) {
        let (count, waits) = (old.len(), days(age(oldest)));
        let why = if oldest.error.is_empty() { "it was not tried yet" } else { oldest.error.as_str() };
        let text = format!(
            "{count} recipients wait in the queue longer than {warn_hours} hours; the oldest, <{}> of message {}, since {waits} – {why}",
            oldest.recipient, oldest.id
        );
        found.push(Finding::warning("queue-old", Concern::Machine, text).fix(format!("sealpost queue show {}", oldest.id)));
    }
    found
}

/// Judges the files of the pickup folder that were tried and wait: how many, and since when the oldest does.
pub fn pickup(folder: &Path, (count, oldest): (usize, Option<Timestamp>), now: Timestamp) -> Option<Finding> {
    let age = now.unix().saturating_sub(oldest?.unix());
    let text = || {
        let (folder, waits) = (folder.display(), days(age));
        format!(
            "{count} files of the pickup folder {folder} wait, the oldest since {waits}: some of their recipients cannot get them now"
        )
    };
    (age >= PICKED_UP).then(|| Finding::warning("pickup-waits", Concern::Machine, text()).fix("sealpost trace"))
}

/// Judges the files that were put aside because they could not be sent.
pub fn bad(folder: &Path, count: usize) -> Option<Finding> {
    let bad = folder.join("Badmail");
    let many = if count == 1 { "a message".to_owned() } else { format!("{count} messages") };
    let text = format!("{many} of the pickup folder could not be sent: in {}, with the reason beside it", bad.display());
    let finding = || Finding::warning("pickup-bad", Concern::Machine, text).fix(format!("head {}/*.why", quoted(&bad)));
    (count > 0).then(finding)
}

/// A path between quotation marks of a shell, where it needs them.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Seconds after which a file of the pickup folder should be gone, whatever else the server does; it is tried again each minute.
const PICKED_UP: i64 = 600;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::store::Priority;

    #[test]
    fn what_waits_for_long_is_told_with_its_reason() {
        let one = |id, created, next| Waiting {
            id,
            sender: "jane@a.example".to_owned(),
            recipient: "x@b.example".to_owned(),
            attempts: 3,
            next,
            created: Timestamp::from_unix(created),
            error: "4.4.1 b.example does not answer".to_owned(),
            priority: Priority::Normal,
        };
        let now = Timestamp::from_unix(1_000_000);
        let waiting = [one(1, 999_000, now), one(2, 1_000_000 - 2 * 86_400, now), one(3, 0, HELD)];
        let found = judge(Ok(&waiting), 4, now);
        let [held, old] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((held.code, old.code), ("queue-held", "queue-old"));
        assert!(old.text.contains("since 2 days – 4.4.1 b.example does not answer"), "{}", old.text);
        assert_eq!(old.fix.as_deref(), Some("sealpost queue show 2"));
        assert_eq!(judge(Ok(&waiting[..1]), 4, now), []);
    }

    #[test]
    fn files_of_the_pickup_folder_that_wait_are_told() {
        let (folder, now) = (tempfile::tempdir().expect("a folder"), Timestamp::from_unix(1_000_000));
        let judged = |waiting| pickup(folder.path(), waiting, now);
        assert_eq!(judged(crate::server::pickup::waiting(folder.path())), None);
        let found = judged((2, Some(Timestamp::from_unix(1_000_000 - 7200)))).expect("told");
        assert!(found.code == "pickup-waits" && found.text.contains("since 2 hours"), "{}", found.text);
        assert_eq!(judged((1, Some(Timestamp::from_unix(1_000_000 - 60)))), None, "it has just come");
        std::fs::write(folder.path().join(".taking-1-x"), "x").expect("written");
        std::fs::write(folder.path().join("x.ready"), "x").expect("written");
        assert_eq!(crate::server::pickup::waiting(folder.path()).0, 1);
    }

    #[test]
    fn messages_that_were_put_aside_are_told_with_where_the_reasons_are() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("it's");
        let count = || crate::server::pickup::bad(&place);
        assert_eq!(bad(&place, count()), None);
        std::fs::create_dir_all(place.join("Badmail")).expect("made");
        std::fs::write(place.join("Badmail/1-x"), "x").expect("written");
        std::fs::write(place.join("Badmail/1-x.why"), "x").expect("written");
        assert_eq!(count(), 1);
        let found = bad(&place, count()).expect("told");
        assert!(found.code == "pickup-bad" && found.text.starts_with("a message of the pickup folder"), "{}", found.text);
        let fix = found.fix.expect("a command");
        assert!(fix.starts_with("head '/") && fix.ends_with("/it'\\''s/Badmail'/*.why"), "{fix}");
    }
}
