//! Whether the store is whole.

use crate::server::doctor::{Concern, Finding};
use crate::server::store::{Error, Fault};

/// Whether the store was mended before it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mended {
    /// As far as it can be.
    Tried,
    /// Not yet.
    No,
}

/// Judges what the store says of itself.
pub fn judge(faults: Result<Vec<Fault>, Error>, mended: Mended) -> Vec<Finding> {
    let faults = match faults {
        Ok(faults) => faults,
        Err(why) => {
            let text = format!("the store cannot be looked at – {why}");
            return vec![Finding::error("database-damaged", Concern::Integrity, text).fix("sealpost restore FILE")];
        }
    };
    // a damaged index is made anew from the rows; what is damaged after that is in a backup alone
    let damaged = if mended == Mended::No { "sealpost doctor --repair" } else { "sealpost restore FILE" };
    let found = |fault: &Fault| {
        let text = fault.to_string();
        match fault {
            Fault::Database(_) => Finding::error("database-damaged", Concern::Integrity, text).fix(damaged),
            Fault::Missing { .. } => Finding::error("message-missing", Concern::Integrity, text).fix("sealpost doctor --repair"),
            Fault::Changed { .. } => Finding::error("message-changed", Concern::Integrity, text).fix("sealpost restore FILE"),
            Fault::Orphan { .. } => Finding::warning("orphan-file", Concern::Integrity, text).fix("sealpost doctor --repair"),
        }
    };
    faults.iter().map(found).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_database_is_mended_first_and_restored_where_that_did_not_help() {
        let fix = |faults, mended| judge(faults, mended).pop().and_then(|finding| finding.fix);
        let faults = || Ok(vec![Fault::Database("row 1 missing from index due".to_owned())]);
        assert_eq!(fix(faults(), Mended::No).as_deref(), Some("sealpost doctor --repair"));
        assert_eq!(fix(faults(), Mended::Tried).as_deref(), Some("sealpost restore FILE"));
        // one that cannot be opened cannot be mended
        let unread = || Err(Error::Broken("file is not a database".to_owned()));
        assert_eq!(fix(unread(), Mended::No).as_deref(), Some("sealpost restore FILE"));
    }
}
