//! Tokens of the admin API: made, shown once, kept as their SHA-256.

use subtle::ConstantTimeEq;

use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::digest;
use crate::crypto::random::Random;
use crate::secret::Secret;
use crate::server::manage::{Error, Manage};
use crate::server::store::{Scope, Token};
use crate::time::Timestamp;

/// A token that was made just now.
pub struct NewToken {
    /// What is kept of it.
    pub kept: Token,
    /// What it is: shown once.
    pub secret: Secret<String>,
}

/// Why a token opens nothing. To the one who sent it, both are told alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// There is none like it.
    None,
    /// It was good until then: its name.
    Expired(String),
}

/// Begins every token, so that people and scanners for lost secrets know what it is.
const PREFIX: &str = "sealpost_";
/// 256 bits.
const BYTES: usize = 32;
/// Bytes of a name.
const NAME: usize = 64;

impl Manage {
    /// Makes a token under a name that no other has.
    pub fn new_token(
        &self,
        name: &str,
        scope: Scope,
        (now, days): (Timestamp, Option<i64>),
        random: &mut dyn Random,
    ) -> Result<NewToken, Error> {
        let is_name =
            !name.is_empty() && name.len() <= NAME && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-".contains(&c));
        if !is_name {
            return Err(Error::Wrong(name.to_owned(), "a name of 1 to 64 letters, digits, dots and dashes"));
        }
        let mut bytes = Secret::new(vec![0; BYTES]);
        random.fill(bytes.expose_mut());
        let secret = Secret::new(format!("{PREFIX}{}", base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes.expose())));
        let expires = days.map(|days| now.plus_days(days));
        let kept = Token { name: name.to_owned(), scope, digest: digest_of(secret.expose().as_bytes()), created: now, expires };
        self.store().add_token(kept.clone())?;
        Ok(NewToken { kept, secret })
    }

    /// Every token, without what it is.
    pub fn tokens(&self) -> Result<Vec<Token>, Error> {
        Ok(self.store().tokens()?)
    }

    /// Makes a token good for nothing, at once.
    pub fn revoke_token(&self, name: &str) -> Result<(), Error> {
        Ok(self.store().remove_token(name)?)
    }

    /// The token that somebody bears.
    pub fn bearer(&self, secret: &str, now: Timestamp) -> Result<Result<Token, Unknown>, Error> {
        let digest = digest_of(secret.as_bytes());
        let mut found = None;
        // all are looked at, and each in the same time
        for token in self.store().tokens()? {
            if bool::from(token.digest.ct_eq(&digest)) {
                found = Some(token);
            }
        }
        Ok(match found {
            Some(token) if token.expires.is_some_and(|expires| expires <= now) => Err(Unknown::Expired(token.name)),
            found => found.ok_or(Unknown::None),
        })
    }
}

fn digest_of(bytes: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    for (to, from) in digest.iter_mut().zip(digest::of(DigestAlgorithm::Sha256, bytes)) {
        *to = from;
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::OsRandom;
    use crate::server::accounts::tests::accounts;
    use crate::server::store;

    #[test]
    fn a_token_opens_until_it_expires_or_is_revoked_and_is_not_kept() {
        let (folder, accounts) = accounts();
        let manage = Manage::new(accounts, folder.path());
        let now = Timestamp::from_unix(1000);
        let make = |name: &str, days| manage.new_token(name, Scope::Read, (now, days), &mut OsRandom);
        let (day, ever) = (make("day", Some(1)).expect("made"), make("ever", None).expect("made"));
        let open = |secret: &str, at| manage.bearer(secret, Timestamp::from_unix(at)).expect("read").map(|token| token.name);
        assert_eq!(open(day.secret.expose(), 1000 + 86_399), Ok("day".to_owned()));
        assert_eq!(open(day.secret.expose(), 1000 + 86_400), Err(Unknown::Expired("day".to_owned())));
        assert_eq!(open(ever.secret.expose(), i64::MAX), Ok("ever".to_owned()));
        assert_eq!(open("sealpost_", 1000), Err(Unknown::None));
        assert_eq!(open(&ever.secret.expose().to_lowercase(), 1000), Err(Unknown::None));
        assert_eq!(ever.secret.expose().len(), PREFIX.len() + 43);
        assert!(matches!(make("day", None), Err(Error::Store(store::Error::Exists(_)))));
        assert!(matches!(make("a b", None), Err(Error::Wrong(..))));
        manage.revoke_token("ever").expect("revoked");
        assert_eq!(open(ever.secret.expose(), 1000), Err(Unknown::None));
        for file in
            std::fs::read_dir(folder.path()).expect("read").map(|file| file.expect("an entry").path()).filter(|f| f.is_file())
        {
            let bytes = std::fs::read(&file).expect("read");
            let secret = day.secret.expose().as_bytes();
            assert!(memchr::memmem::find(&bytes, secret).is_none(), "{}", file.display());
        }
    }
}
