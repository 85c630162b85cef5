//! Users of the store: an argon2id hash for passwords that are sent, keys for SCRAM, a line each.

use std::sync::Arc;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::crypto::random::{OsRandom, Random};
use crate::proto::sasl::scram::{ITERATIONS, Keys, SALT};
use crate::secret::Secret;
use crate::server::accounts::directory::Directory;
use crate::server::store::{Error, Store};

/// The users of the store.
pub(super) struct Own {
    store: Arc<dyn Store>,
    /// The hash that is checked for users that do not exist, so that they take as long as others.
    nobody: String,
}

impl Own {
    pub(super) fn new(store: Arc<dyn Store>) -> Result<Self, Error> {
        Ok(Self { store, nobody: hash(&Secret::new(b"nobody has this password".to_vec()))? })
    }
}

impl Directory for Own {
    fn kept(&self, address: &str) -> Result<Secret<String>, Error> {
        Ok(Secret::new(self.store.password_hash(address)?.unwrap_or_default()))
    }

    fn check(&self, address: &str, kept: &Secret<String>, password: &Secret<Vec<u8>>) -> Result<Option<String>, Error> {
        let known = kept.expose().lines().next();
        let parsed = PasswordHash::new(known.unwrap_or(&self.nobody));
        let parsed = parsed.map_err(|error| Error::Broken(format!("the password hash of {address} – {error}")))?;
        #[cfg(test)]
        tests::COMPUTED.with_borrow_mut(|computed| computed.extend(parsed.params.get_str("m").map(str::to_owned)));
        let fits = argon2()?.verify_password(password.expose(), &parsed).is_ok();
        Ok((fits && known.is_some()).then(|| address.to_owned()))
    }

    fn mailbox(&self, address: &str) -> Result<Option<String>, Error> {
        Ok(self.store.password_hash(address)?.map(|_| address.to_owned()))
    }

    fn keys(&self, address: &str) -> Result<Option<Keys>, Error> {
        Ok(self.kept(address)?.expose().lines().find_map(Keys::parse))
    }
}

/// What the store keeps of a password.
pub(super) fn kept(password: &Secret<Vec<u8>>) -> Result<Secret<String>, Error> {
    let mut salt = [0; SALT];
    OsRandom.fill(&mut salt);
    let keys = Keys::derive(password, &salt, ITERATIONS);
    Ok(Secret::new(format!("{}\n{}", hash(password)?, keys.to_text().expose())))
}

/// argon2id with 19 MiB and two passes: OWASP's first choice.
fn argon2() -> Result<Argon2<'static>, Error> {
    let parameters = Params::new(19_456, 2, 1, None).map_err(|error| Error::Broken(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters))
}

fn hash(password: &Secret<Vec<u8>>) -> Result<String, Error> {
    let mut salt = [0; SALT];
    OsRandom.fill(&mut salt);
    let salt = SaltString::encode_b64(&salt).map_err(|error| Error::Broken(error.to_string()))?;
    let hashed = argon2()?.hash_password(password.expose(), &salt).map_err(|error| Error::Broken(error.to_string()))?;
    Ok(hashed.to_string())
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::RefCell;

    thread_local! {
        /// The memory of each hash that this thread computed for a login.
        pub(in crate::server::accounts) static COMPUTED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }
}
