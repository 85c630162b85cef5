//! What stands in where no keyring is built in: nothing is remembered.

use crate::cli::passphrase::Passphrase;

pub(super) fn recall(_entry: &str) -> Option<Passphrase> {
    None
}

pub(super) fn remember(_entry: &str, _passphrase: &Passphrase) -> Result<(), String> {
    Err(ABSENT.to_owned())
}

pub(super) fn forget(_entry: &str) -> Result<bool, String> {
    Err(ABSENT.to_owned())
}

const ABSENT: &str = "this build was made without the feature keyring";
