//! What stands in where PKCS#11 is not built in: no token is reached.

use crate::crypto;
use crate::crypto::key::{ExternalKey, Oaep, PublicKey, ToSign, Why};
use crate::keys::Error;
use crate::keys::token::{Access, Uri};
use crate::pki::Certificate;
use crate::secret::Secret;

/// A key that is not reached.
pub(super) struct TokenKey(PublicKey);

impl TokenKey {
    pub(super) fn new(_access: Access, _uri: Uri, public: PublicKey) -> Self {
        Self(public)
    }
}

impl ExternalKey for TokenKey {
    fn public_key(&self) -> &PublicKey {
        &self.0
    }

    fn sign(&self, _what: ToSign<'_>) -> Result<Vec<u8>, crypto::Error> {
        Err(absent())
    }

    fn decrypt_pkcs1(&self, _encrypted: &[u8]) -> Result<Secret<Vec<u8>>, crypto::Error> {
        Err(absent())
    }

    fn decrypt_oaep(&self, _oaep: Oaep<'_>, _encrypted: &[u8]) -> Result<Secret<Vec<u8>>, crypto::Error> {
        Err(absent())
    }

    fn decrypt_raw(&self, _encrypted: &[u8]) -> Result<Secret<Vec<u8>>, crypto::Error> {
        Err(absent())
    }

    fn agree(&self, _theirs: &PublicKey) -> Result<Secret<Vec<u8>>, crypto::Error> {
        Err(absent())
    }
}

pub(super) fn find(_access: &Access, _uri: &Uri) -> Result<(Uri, PublicKey, Vec<Certificate>), Error> {
    Err(absent().into())
}

fn absent() -> crypto::Error {
    let text = "this build does not read tokens – it was made without the feature pkcs11".to_owned();
    crypto::Error::Unavailable { why: Why::NoModule, text }
}
