//! As whom the server runs, and how much of the machine it sees: `[process]`.

use toml_edit::Table;

use crate::server::config::Reader;

/// As whom the server runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Process {
    /// The user that root becomes once the ports are bound.
    pub user: Option<String>,
    /// Whether the file system is closed but for what the server needs.
    pub sandbox: Sandbox,
    /// Whether system calls are closed that the server never makes.
    pub system_calls: Sandbox,
}

/// Whether something is closed to the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sandbox {
    /// Where the kernel can.
    #[default]
    Auto,
    /// Or the server does not start.
    On,
    /// It is not.
    Off,
}

impl Reader<'_> {
    pub(super) fn process(&mut self, root: &Table) -> Process {
        let mut found = Process::default();
        let Some(process) = self.section(root, "process") else { return found };
        self.known(process, "process.", &["user", "sandbox", "system_calls"]);
        if process.contains_key("user") {
            found.user = self.string(process, "process.", "user").filter(|user| !user.is_empty());
        }
        let words = [("auto", Sandbox::Auto), ("on", Sandbox::On), ("off", Sandbox::Off)];
        for (key, wish) in [("sandbox", &mut found.sandbox), ("system_calls", &mut found.system_calls)] {
            if process.contains_key(key) {
                *wish = self.word(process, "process.", key, &words).unwrap_or_default();
            }
        }
        found
    }
}
