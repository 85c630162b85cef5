//! What a domain's accounts are asked.

use crate::proto::sasl::scram::Keys;
use crate::secret::Secret;
use crate::server::store::Error;

/// What a question costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Costs {
    /// A password costs memory and the processor; nothing else does.
    Hashing,
    /// Everything waits for another server.
    Asking,
}

/// Where the users of a domain are known. Addresses are lower case.
///
/// An error says that it cannot be told now: it is no refusal.
pub(super) trait Directory: Send + Sync + 'static {
    /// What is kept here of a user's password; nothing where there is no such user, or another keeps it. A login is remembered only while
    /// this is the same.
    fn kept(&self, address: &str) -> Result<Secret<String>, Error>;

    /// The mailbox of the user with this password. It takes as long where there is no such user.
    fn check(&self, address: &str, kept: &Secret<String>, password: &Secret<Vec<u8>>) -> Result<Option<String>, Error>;

    /// The mailbox that takes mail for this address, where it is one of a user.
    fn mailbox(&self, address: &str) -> Result<Option<String>, Error>;

    /// Whether it can say who there is; else it says only whose password is right, and knows a name once its owner has logged in.
    fn knows_names(&self) -> bool {
        true
    }

    /// What its answers cost.
    fn costs(&self) -> Costs {
        Costs::Hashing
    }

    /// What SCRAM needs, where it is kept.
    fn keys(&self, _address: &str) -> Result<Option<Keys>, Error> {
        Ok(None)
    }
}
