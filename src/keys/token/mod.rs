//! Keys on tokens and smart cards, through PKCS#11 (OASIS PKCS#11 3.1), named by URIs (RFC 7512).
//!
//! Uses: pki, crypto, asn1. Never: messages, the environment.
//! Holds always: the key does not leave its token; a token gets one PIN a process, so that a wrong one costs one try; nothing is asked of a
//! token before its key has work.

#[cfg(not(feature = "pkcs11"))]
#[path = "absent.rs"]
mod module;
#[cfg(feature = "pkcs11")]
mod module;
mod uri;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::crypto;
use crate::crypto::key::{PrivateKey, PublicKey, Why};
use crate::keys::{Error, Identity, files, load};
use crate::pki::Certificate;
use crate::secret::Secret;

pub use uri::Uri;

/// A PIN.
pub type Pin = Secret<Vec<u8>>;

/// Who knows the PIN of a token. Asked once a token and process, when a key on it has work.
pub trait Pins: Send + Sync {
    /// The PIN of the token called so; `None` where nobody knows.
    fn pin(&self, token: &str, tries: Tries) -> Result<Option<Pin>, String>;
}

/// How many wrong PINs a token still takes, as far as it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tries {
    /// It says nothing, or that none was wrong.
    Enough,
    /// A wrong one was given since the last right one.
    Few,
    /// The next wrong one locks it.
    Last,
}

impl Tries {
    /// The warning in words; empty where there is none.
    pub const fn warning(self) -> &'static str {
        match self {
            Self::Enough => "",
            Self::Few => "a wrong PIN was given before, and few tries are left",
            Self::Last => "one try is left, then the PIN is locked",
        }
    }
}

/// How tokens are reached: through which module, and who knows their PINs.
#[derive(Clone, Default)]
pub struct Access {
    module: Option<PathBuf>,
    pins: Option<Arc<dyn Pins>>,
}

/// A key that was found on a token.
pub struct Found {
    /// What names this key alone.
    pub uri: Uri,
    /// The key.
    pub key: PrivateKey,
    /// Every certificate on the token.
    pub certificates: Vec<Certificate>,
}

impl Access {
    /// Through the module that a URI names, else p11-kit's, which knows those that the system has.
    pub fn new() -> Self {
        Self::default()
    }

    /// Uses this module where a URI names none.
    #[must_use]
    pub fn module(mut self, path: PathBuf) -> Self {
        self.module = Some(path);
        self
    }

    /// Asks this one for PINs, where the URI names no file that holds it.
    #[must_use]
    pub fn pins(mut self, pins: Arc<dyn Pins>) -> Self {
        self.pins = Some(pins);
        self
    }

    /// The key of a URI whose public key is known; the token is asked when the key first has work.
    pub fn key(&self, uri: &Uri, public: PublicKey) -> PrivateKey {
        PrivateKey::external(Arc::new(module::TokenKey::new(self.clone(), uri.clone(), public)))
    }

    /// Looks for the key of a URI, and for the certificates beside it.
    pub fn find(&self, uri: &Uri) -> Result<Found, Error> {
        let (uri, public, certificates) = module::find(self, uri)?;
        let key = self.key(&uri, public);
        Ok(Found { uri, key, certificates })
    }

    #[cfg_attr(not(feature = "pkcs11"), allow(dead_code, reason = "no module is looked for"))]
    /// The file of the module for a URI; `None` where p11-kit's is to be looked for.
    fn module_of<'a>(&'a self, uri: &'a Uri) -> Option<&'a Path> {
        uri.module_path.as_deref().or(self.module.as_deref())
    }

    #[cfg_attr(not(feature = "pkcs11"), allow(dead_code, reason = "no token is asked"))]
    /// The PIN of a token: from the file that the URI names, else from who knows it.
    fn pin_of(&self, uri: &Uri, token: &str, tries: Tries) -> Result<Option<Pin>, crypto::Error> {
        let nobody = |text: String| crypto::Error::Unavailable { why: Why::PinNeeded, text };
        if let Some(path) = &uri.pin_source {
            let text = Secret::new(files::read(path).map_err(|error| nobody(format!("the PIN of token {token}: {error}")))?);
            let line = text.expose().split(|byte| *byte == b'\n').next().unwrap_or_default();
            return Ok(Some(Secret::new(line.strip_suffix(b"\r").unwrap_or(line).to_vec())));
        }
        let Some(pins) = &self.pins else { return Ok(None) };
        pins.pin(token, tries).map_err(nobody)
    }
}

impl Found {
    /// The key with its certificate, the newest of those on the token that belong to it.
    pub fn identity(self) -> Result<Identity, Error> {
        let named = self.uri.to_string();
        load::pair(self.key, self.certificates)
            .map_err(|_| Error::NotFound(format!("the token holds no certificate of the key {named} – it must come from a file")))
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("module", &self.module).finish_non_exhaustive()
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Found({})", self.uri)
    }
}
