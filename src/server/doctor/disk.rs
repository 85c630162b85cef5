//! Whether there is room for mail.

use std::path::Path;

use crate::server::doctor::{Concern, Finding};
pub use crate::server::space::Room;

/// Asks the system.
pub fn gather(path: &Path) -> Result<Room, String> {
    Room::of(path).map_err(|error| format!("{} – {error}", path.display()))
}

/// Judges the room at a place, where messages have so many bytes at most.
pub fn judge(path: &Path, room: Result<Room, String>, max_message: u64) -> Vec<Finding> {
    let room = match room {
        Ok(room) => room,
        Err(why) => {
            let text = format!("the room of the disk cannot be asked – {why}");
            return vec![Finding::warning("disk-unreadable", Concern::Machine, text)];
        }
    };
    let mut found = Vec::new();
    let place = path.display();
    let mut low = |(free, all): (u64, u64), least: u64, what: &str, shown: String| {
        let percent = free.saturating_mul(100).checked_div(all).unwrap_or(100);
        let text = format!("{shown} {what} ({percent} %) are free where {place} is");
        if all > 0 && free < least {
            let why = "the next messages will not be taken (452)";
            found.push(Finding::error("disk-full", Concern::Machine, format!("{text}: {why}")).fix(format!("df -h {place}")));
        } else if all > 0 && percent < 10 {
            found.push(Finding::warning("disk-low", Concern::Machine, text).fix(format!("du -sh {place}/*")));
        }
    };
    // a message lies in the spool and in the store for a moment
    low(room.bytes, max_message.saturating_mul(2), "MiB", (room.bytes.0 >> 20).to_string());
    low(room.names, 1000, "names of files", room.names.0.to_string());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_full_before_the_last_message_is_on_it() {
        let judged = |free: u64, names: u64| {
            let room = Room { bytes: (free, 100 << 30), names: (names, 1_000_000) };
            judge(Path::new("/home"), Ok(room), 50 << 20).iter().map(|finding| finding.code).collect::<Vec<_>>()
        };
        assert_eq!(judged(50 << 30, 900_000), [""; 0]);
        assert_eq!(judged(5 << 30, 900_000), ["disk-low"]);
        assert_eq!(judged(99 << 20, 900_000), ["disk-full"]);
        assert_eq!(judged(50 << 30, 10), ["disk-full"]);
        let none = Room { bytes: (50 << 30, 100 << 30), names: (0, 0) };
        assert_eq!(judge(Path::new("/"), Ok(none), 1), []);
        assert!(gather(Path::new("/")).is_ok_and(|room| room.bytes.1 > 0));
        assert!(
            judge(Path::new("/none"), gather(Path::new("/none/x")), 1).iter().all(|finding| finding.code == "disk-unreadable")
        );
    }
}
