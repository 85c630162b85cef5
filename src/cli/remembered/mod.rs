//! Passphrases that the keyring of the operating system remembers: asked where the options give none, before a prompt.
//!
//! One entry for each address of a home: service `sealpost`, user name `ADDRESS HOME`.

#[cfg(not(feature = "keyring"))]
#[path = "absent.rs"]
mod os;
#[cfg(feature = "keyring")]
mod os;

use sealpost::keys::{Home, Identity, Stored};

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::passphrase::Passphrase;
use crate::cli::report;

/// Unlocks an identity with what the keyring remembers; `None` where it remembers nothing that does.
pub(crate) fn unlock(context: &Context, stored: &Stored) -> Option<Identity> {
    if !stored.locked || context.passphrase.is_given() {
        return None;
    }
    let passphrase = os::recall(&entry(context, stored))?;
    let unlocked = stored.unlock(Some(&passphrase)).ok();
    if unlocked.is_none() {
        let address = address(stored);
        let (shown, word) = (report::safe(&address), "sealpost id remember");
        eprintln!("note: what the keyring remembers does not open the key of {shown}; `{word} {shown}` corrects it");
    }
    unlocked
}

/// Every identity of the home that the keyring unlocks.
pub(crate) fn unlock_all(context: &Context, home: &Home) -> Result<Vec<Identity>, Failure> {
    let stored = home.identities().map_err(Failure::io)?;
    Ok(stored.iter().filter_map(|stored| unlock(context, stored)).collect())
}

/// Has the keyring remember the passphrase of an identity.
pub(crate) fn remember(context: &Context, stored: &Stored, passphrase: &Passphrase) -> Result<(), Failure> {
    os::remember(&entry(context, stored), passphrase).map_err(|reason| unusable(&reason))
}

/// Has the keyring forget it; says whether it remembered any.
pub(crate) fn forget(context: &Context, stored: &Stored) -> Result<bool, Failure> {
    os::forget(&entry(context, stored)).map_err(|reason| unusable(&reason))
}

fn unusable(reason: &str) -> Failure {
    Failure::io(format!("the keyring of this system cannot be used – {reason}"))
        .hint("on Linux it is the Secret Service of the session (GNOME Keyring, KWallet, KeePassXC); `--passphrase-file FILE` needs none")
}

/// What names the entry: an address may stand in several homes, under another passphrase in each.
fn entry(context: &Context, stored: &Stored) -> String {
    let home = std::fs::canonicalize(context.home_path()).unwrap_or_else(|_| context.home_path().to_owned());
    format!("{} {}", address(stored), home.display())
}

fn address(stored: &Stored) -> String {
    stored.certificate.addresses().into_iter().next().unwrap_or_else(|| stored.certificate.to_string())
}
