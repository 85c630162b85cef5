//! How many connections a listener has: so many that the store always finds a file to open.

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::server::Service;

/// Files that this process may have open, and what follows for its listeners.
#[derive(Debug, Clone, Copy)]
pub(in crate::server) struct Places {
    files: usize,
}

/// Connections of one listener at once; one more waits in the kernel's queue. 10 000 that idle take less than 300 MB.
const MOST: usize = 10_000;
/// Files of the program itself: the database with its readers, messages that are read, mail that goes out.
const OWN: usize = 512;
/// Where the system does not say: what it gives everybody.
const USUAL: usize = 1024;

impl Places {
    /// Takes as many files as the system lets this process have: what it gives at first is for programs that use an old call (`select`).
    pub(in crate::server) fn of_this_process() -> Self {
        let mut limit = getrlimit(Resource::Nofile);
        if limit.current != limit.maximum {
            let before = limit.current;
            limit.current = limit.maximum;
            if setrlimit(Resource::Nofile, limit).is_err() {
                limit.current = before;
            }
        }
        let files = limit.current.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX));
        Self { files: if files == 0 { USUAL } else { files } }
    }

    /// Connections of a listener. A third of the files is for each listener of POP3, a third for those of SMTP together, where a message that
    /// comes has a file of its own.
    pub(in crate::server) fn of(self, service: Service) -> usize {
        let third = self.files.saturating_sub(OWN.min(self.files / 4)) / 3;
        let share = match service {
            Service::Pop3 | Service::Pop3s => third,
            Service::Smtp | Service::Submission | Service::Submissions => third / 6,
        };
        share.clamp(1, MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_connections_together_leave_files_for_the_store() {
        for files in [256, 1024, 4096, 20_000, 1 << 20] {
            let places = Places { files };
            let used: usize = Service::ALL
                .iter()
                .map(|(service, ..)| match service {
                    Service::Pop3 | Service::Pop3s => places.of(*service),
                    _ => 2 * places.of(*service),
                })
                .sum();
            assert!(used + OWN.min(files / 4) <= files, "{used} of {files}");
        }
        assert_eq!(Places { files: 1 << 20 }.of(Service::Pop3), MOST);
    }
}
