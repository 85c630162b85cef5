//! Who may log in, and where an address leads.

use std::sync::Arc;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::secret::Secret;
use crate::server::store::{Error, Store};

/// Accounts over a store.
#[derive(Clone)]
pub struct Accounts {
    store: Arc<dyn Store>,
    /// The hash that is checked for users that do not exist, so that they take as long as others.
    nobody: String,
}

/// Where an address leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Our domain: these mailboxes here, and these addresses elsewhere that aliases lead to.
    Ours {
        /// Users of ours.
        mailboxes: Vec<String>,
        /// Addresses at other domains.
        elsewhere: Vec<String>,
    },
    /// Our domain, and nobody there.
    Unknown,
    /// Another domain.
    Elsewhere,
}

/// Aliases that lead to aliases: so many times at most.
const DEPTH: usize = 10;

impl Accounts {
    /// Accounts of this store.
    pub fn new(store: Arc<dyn Store>) -> Result<Self, Error> {
        let nobody = hash(&Secret::new(b"nobody has this password".to_vec()))?;
        Ok(Self { store, nobody })
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Adds a user of one of our domains.
    pub fn add_user(&self, address: &str, password: &Secret<Vec<u8>>) -> Result<(), Error> {
        let address = normal(address);
        if !self.is_ours(&address)? {
            return Err(Error::NotFound(format!("the domain of {address} – add it first")));
        }
        self.store.add_user(&address, &hash(password)?)
    }

    /// Changes a password.
    pub fn set_password(&self, address: &str, password: &Secret<Vec<u8>>) -> Result<(), Error> {
        self.store.set_password(&normal(address), &hash(password)?)
    }

    /// The user of this name and password. It takes as long for names that do not exist.
    pub fn authenticate(&self, name: &str, password: &Secret<Vec<u8>>) -> Result<Option<String>, Error> {
        let address = normal(name);
        let known = self.store.password_hash(&address)?;
        let hash = known.as_deref().unwrap_or(&self.nobody);
        let parsed =
            PasswordHash::new(hash).map_err(|error| Error::Broken(format!("the password hash of {address} – {error}")))?;
        let argon2 = argon2()?;
        let fits = argon2.verify_password(password.expose(), &parsed).is_ok();
        Ok((fits && known.is_some()).then_some(address))
    }

    /// Where an address leads: through aliases, and without what follows a `+`.
    pub fn destination(&self, address: &str) -> Result<Destination, Error> {
        let address = normal(address);
        if !self.is_ours(&address)? {
            return Ok(Destination::Elsewhere);
        }
        let (mut mailboxes, mut elsewhere) = (Vec::new(), Vec::new());
        self.expand(&address, DEPTH, &mut mailboxes, &mut elsewhere)?;
        let is_unknown = mailboxes.is_empty() && elsewhere.is_empty();
        Ok(if is_unknown { Destination::Unknown } else { Destination::Ours { mailboxes, elsewhere } })
    }

    fn expand(&self, address: &str, depth: usize, found: &mut Vec<String>, elsewhere: &mut Vec<String>) -> Result<(), Error> {
        let Some(depth) = depth.checked_sub(1) else { return Ok(()) };
        if !self.is_ours(address)? {
            if !elsewhere.iter().any(|known| known == address) {
                elsewhere.push(address.to_owned());
            }
            return Ok(());
        }
        let plain =
            address.split_once('@').and_then(|(local, domain)| local.split_once('+').map(|(base, _)| format!("{base}@{domain}")));
        for candidate in [Some(address.to_owned()), plain].into_iter().flatten() {
            if self.store.password_hash(&candidate)?.is_some() {
                if !found.contains(&candidate) {
                    found.push(candidate);
                }
                return Ok(());
            }
            let targets = self.store.targets(&candidate)?;
            if !targets.is_empty() {
                return targets.iter().try_for_each(|target| self.expand(target, depth, found, elsewhere));
            }
        }
        Ok(())
    }

    /// Whether a user may send as this address: his own, or an alias that leads to him.
    pub fn may_send_as(&self, user: &str, address: &str) -> Result<bool, Error> {
        match self.destination(address)? {
            Destination::Ours { mailboxes, .. } => Ok(mailboxes.iter().any(|mailbox| mailbox == user)),
            _ => Ok(false),
        }
    }

    fn is_ours(&self, address: &str) -> Result<bool, Error> {
        let Some((_, domain)) = address.rsplit_once('@') else { return Ok(false) };
        Ok(self.store.domains()?.iter().any(|known| known == domain))
    }
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Accounts")
    }
}

/// Addresses are kept in lower case: nobody tells two people apart by it.
pub fn normal(address: &str) -> String {
    address.trim().to_lowercase()
}

/// argon2id with 19 MiB and two passes: OWASP's first choice.
fn argon2() -> Result<Argon2<'static>, Error> {
    let parameters = Params::new(19_456, 2, 1, None).map_err(|error| Error::Broken(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters))
}

fn hash(password: &Secret<Vec<u8>>) -> Result<String, Error> {
    let mut salt = [0; 16];
    crate::keys::files::random_name(&mut salt);
    let salt = SaltString::encode_b64(&salt).map_err(|error| Error::Broken(error.to_string()))?;
    let hashed = argon2()?.hash_password(password.expose(), &salt).map_err(|error| Error::Broken(error.to_string()))?;
    Ok(hashed.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::store::SqliteStore;

    fn accounts() -> (tempfile::TempDir, Accounts) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let accounts = Accounts::new(Arc::new(SqliteStore::open(folder.path()).expect("opens"))).expect("hashes");
        accounts.store().add_domain("a.example").expect("new");
        accounts.add_user("Jane@A.example", &Secret::new(b"secret".to_vec())).expect("new");
        (folder, accounts)
    }

    #[test]
    fn only_the_right_password_of_a_user_opens() {
        let (_folder, accounts) = accounts();
        let check = |name: &str, password: &[u8]| accounts.authenticate(name, &Secret::new(password.to_vec())).expect("checked");
        assert_eq!(check("jane@a.example", b"secret").as_deref(), Some("jane@a.example"));
        assert_eq!(check("jane@a.example", b"Secret"), None);
        assert_eq!(check("nobody@a.example", b"nobody has this password"), None);
        let elsewhere = accounts.add_user("x@b.example", &Secret::new(b"x".to_vec()));
        assert!(matches!(elsewhere, Err(Error::NotFound(_))));
    }

    #[test]
    fn aliases_and_plus_addresses_lead_to_mailboxes_and_circles_end() {
        let (_folder, accounts) = accounts();
        for (alias, target) in [
            ("info@a.example", "all@a.example"),
            ("all@a.example", "jane@a.example"),
            ("away@a.example", "jane@b.example"),
            ("away@a.example", "jane@a.example"),
            ("x@a.example", "y@a.example"),
            ("y@a.example", "x@a.example"),
        ] {
            accounts.store().add_alias(alias, target).expect("new");
        }
        let jane = Destination::Ours { mailboxes: vec!["jane@a.example".to_owned()], elsewhere: Vec::new() };
        for address in ["jane@a.example", "JANE+lists@a.example", "info@a.example"] {
            assert_eq!(accounts.destination(address).expect("read"), jane, "{address}");
        }
        assert_eq!(accounts.destination("x@a.example").expect("read"), Destination::Unknown);
        assert_eq!(accounts.destination("jane@b.example").expect("read"), Destination::Elsewhere);
        let both =
            Destination::Ours { mailboxes: vec!["jane@a.example".to_owned()], elsewhere: vec!["jane@b.example".to_owned()] };
        assert_eq!(accounts.destination("away@a.example").expect("read"), both);
        assert!(accounts.may_send_as("jane@a.example", "info@a.example").expect("read"));
        assert!(!accounts.may_send_as("jane@a.example", "joe@a.example").expect("read"));
    }
}
