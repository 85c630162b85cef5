//! The keyring of the operating system.

use ::keyring::v1::{Entry, Error};

use crate::cli::passphrase::Passphrase;

/// The passphrase of an entry; `None` where there is none, and where no keyring is there.
pub(super) fn recall(entry: &str) -> Option<Passphrase> {
    if !is_near() {
        return None;
    }
    let secret = Entry::new(SERVICE, entry).and_then(|entry| entry.get_secret());
    secret.ok().map(Passphrase::new)
}

pub(super) fn remember(entry: &str, passphrase: &Passphrase) -> Result<(), String> {
    opened(entry)?.set_secret(passphrase.expose()).map_err(|error| error.to_string())
}

pub(super) fn forget(entry: &str) -> Result<bool, String> {
    match opened(entry)?.delete_credential() {
        Ok(()) => Ok(true),
        Err(Error::NoEntry) => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}

fn opened(entry: &str) -> Result<Entry, String> {
    Entry::new(SERVICE, entry).map_err(|error| match Entry::store_status() {
        Err(reason) => reason.to_string(),
        Ok(()) => error.to_string(),
    })
}

/// Whether a keyring can be there at all: on Linux it is reached by the bus of the session, which servers have none of.
fn is_near() -> bool {
    if !cfg!(target_os = "linux") || std::env::var_os("DBUS_SESSION_BUS_ADDRESS").is_some() {
        return true;
    }
    std::env::var_os("XDG_RUNTIME_DIR").is_some_and(|folder| std::path::Path::new(&folder).join("bus").exists())
}

const SERVICE: &str = "sealpost";
