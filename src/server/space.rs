//! Whether the disk has room for more mail: asked before a message comes, so that a full disk is told early and politely.

use std::path::{Path, PathBuf};

/// The disk on which mail is kept.
#[derive(Debug, Clone)]
pub(in crate::server) struct Space(PathBuf);

/// What a file system has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes that are free to who is no root, and all.
    pub bytes: (u64, u64),
    /// Names of files that are free, and all; (0, 0) where the file system does not count them.
    pub names: (u64, u64),
}

impl Room {
    /// Asks the system for the room where this folder is.
    pub(in crate::server) fn of(folder: &Path) -> std::io::Result<Self> {
        let disk = rustix::fs::statvfs(folder)?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Ok(Self { bytes: (bytes(disk.f_bavail), bytes(disk.f_blocks)), names: (disk.f_favail, disk.f_files) })
    }
}

/// What incoming mail leaves free: users must be able to delete what they have, and the queue to write down what it delivered, or a full disk
/// could never be emptied by those who fill it. 64 MiB, and a twentieth of a small disk.
const RESERVE: u64 = 64 << 20;

impl Space {
    /// The disk of this folder.
    pub(in crate::server) fn of(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// Whether a message of so many bytes may come. Where the system does not say, it may: the write will tell.
    pub(in crate::server) fn has_room(&self, bytes: u64) -> bool {
        let Ok(Room { bytes: (free, all), names: (free_names, names) }) = Room::of(&self.0) else { return true };
        let has_names = names == 0 || free_names > 0;
        has_names && fits(bytes, free, all)
    }
}

fn fits(bytes: u64, free: u64, all: u64) -> bool {
    bytes.saturating_add(RESERVE.min(all / 20)) <= free
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_of_a_disk_stays_free_and_not_too_much_of_a_small_one() {
        assert!(fits(0, RESERVE, 1 << 40) && !fits(1, RESERVE, 1 << 40));
        assert!(fits(1 << 20, 2 << 20, 20 << 20) && !fits(1 << 20, (2 << 20) - 1, 20 << 20));
        assert!(!fits(u64::MAX, u64::MAX - 1, 1 << 40));
        assert!(Space::of(Path::new("/nowhere/at/all")).has_room(1), "nobody knows");
    }
}
