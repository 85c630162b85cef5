//! Whether the store is whole.

use crate::server::doctor::{Concern, Finding};
use crate::server::store::{Error, Fault};

/// Judges what the store says of itself.
pub fn judge(faults: Result<Vec<Fault>, Error>) -> Vec<Finding> {
    let faults = match faults {
        Ok(faults) => faults,
        Err(why) => {
            let text = format!("the store cannot be looked at – {why}");
            return vec![Finding::error("database-damaged", Concern::Integrity, text).fix("sealpost restore FILE")];
        }
    };
    let found = |fault: &Fault| {
        let text = fault.to_string();
        match fault {
            Fault::Database(_) => Finding::error("database-damaged", Concern::Integrity, text).fix("sealpost restore FILE"),
            Fault::Missing { .. } => Finding::error("message-missing", Concern::Integrity, text).fix("sealpost doctor --repair"),
            Fault::Changed { .. } => Finding::error("message-changed", Concern::Integrity, text).fix("sealpost restore FILE"),
            Fault::Orphan { .. } => Finding::warning("orphan-file", Concern::Integrity, text).fix("sealpost doctor --repair"),
        }
    };
    faults.iter().map(found).collect()
}
