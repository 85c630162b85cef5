//! Where the keys of an authority lie: in files of its folder, in a file that is kept elsewhere, on tokens.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::ca::{Error, Issuer};
use crate::crypto::algorithm::KeyAlgorithm;
use crate::crypto::key::{PrivateKey, PublicKey};
use crate::crypto::random::Random;
use crate::keys::token::{Access, Found, Uri};
use crate::keys::{Error as KeysError, files};
use crate::limits::Limits;
use crate::secret::Secret;

/// Where the key of the root goes.
#[derive(Debug, Clone, Copy, Default)]
pub enum RootKey<'a> {
    /// Beside the others; of one on a token, its URI.
    #[default]
    Home,
    /// To a file that is kept elsewhere; it must not exist yet.
    File(&'a Path),
    /// It lies on a token that the authority does not remember.
    Away,
}

/// Where the keys of a new authority go: into files of its folder, but for those that lie on tokens.
#[derive(Default)]
pub struct Custody<'a> {
    passphrase: Option<&'a Secret<Vec<u8>>>,
    root: RootKey<'a>,
    found: Vec<(Issuer, &'a Found)>,
    access: Access,
}

impl<'a> Custody<'a> {
    /// Files that this passphrase protects; without one, only their owner can read them.
    pub fn new(passphrase: Option<&'a Secret<Vec<u8>>>) -> Self {
        Self { passphrase, ..Self::default() }
    }

    /// The key of the root goes there.
    #[must_use]
    pub fn root(mut self, root: RootKey<'a>) -> Self {
        self.root = root;
        self
    }

    /// The key of this CA is one that was found on a token, and stays there.
    #[must_use]
    pub fn token(mut self, by: Issuer, found: &'a Found) -> Self {
        self.found.push((by, found));
        self
    }

    /// From now on, keys on tokens are reached so.
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// The keys that are not made, but found.
    pub(super) fn keys(&self) -> Vec<(Issuer, PrivateKey)> {
        self.found.iter().map(|(by, found)| (*by, found.key.clone())).collect()
    }

    pub(super) fn tokens(&self) -> Access {
        self.access.clone()
    }

    /// Says what cannot be, before anything is made.
    pub(super) fn check(&self) -> Result<(), Error> {
        for (at, (by, found)) in self.found.iter().enumerate() {
            let kind = found.key.algorithm();
            if !signs_for_authorities(kind) {
                return Err(Error::Refused(format!("the key {} is {kind} – {SIGNERS}", found.uri)));
            }
            let others = self.found.get(..at).unwrap_or_default();
            if let Some((other, _)) = others.iter().find(|(_, other)| other.key.public_key() == found.key.public_key()) {
                let (by, other) = (by.name(), other.name());
                return Err(Error::Refused(format!(
                    "the key {} would be that of two CAs, {other} and {by} – each needs its own",
                    found.uri
                )));
            }
        }
        match (self.root, self.found(Issuer::Root)) {
            (RootKey::File(_), Some(found)) => {
                Err(Error::Refused(format!("the root's key {} does not leave its token, and goes to no file", found.uri)))
            }
            (RootKey::Away, None) => Err(Error::Refused("the root's key would be lost – say where it goes".to_owned())),
            (RootKey::File(path), None) if path.exists() => {
                Err(Error::Refused(format!("{} exists already – choose another name for the root's key", path.display())))
            }
            _ => Ok(()),
        }
    }

    /// Writes the key of a CA to where it belongs, or what names it.
    pub(super) fn write(&self, folder: &Path, by: Issuer, key: &PrivateKey, random: &mut dyn Random) -> Result<(), Error> {
        // what was not made whole may have left another key
        files::remove_if_there(&key_path(folder, by))?;
        files::remove_if_there(&uri_path(folder, by))?;
        match (by, self.root, self.found(by)) {
            (Issuer::Root, RootKey::Away, _) => Ok(()),
            (_, _, Some(found)) => Ok(files::write(&uri_path(folder, by), format!("{}\n", found.uri).as_bytes())?),
            (Issuer::Root, RootKey::File(path), None) => write_key(path, key, self.passphrase, random),
            _ => write_key(&key_path(folder, by), key, self.passphrase, random),
        }
    }

    fn found(&self, by: Issuer) -> Option<&'a Found> {
        self.found.iter().find(|(other, _)| *other == by).map(|(_, found)| *found)
    }
}

impl fmt::Debug for Custody<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custody").field("root", &self.root).field("found", &self.found).finish_non_exhaustive()
    }
}

/// Whether this authority has the key of a CA in its folder, or knows on which token it is.
pub(super) fn has(folder: &Path, by: Issuer) -> bool {
    key_path(folder, by).exists() || uri_path(folder, by).exists()
}

/// The URI of a CA's key that lies on a token.
pub fn token_of(folder: &Path, by: Issuer) -> Result<Option<Uri>, Error> {
    let path = uri_path(folder, by);
    let Some(text) = files::read_if_there(&path)? else { return Ok(None) };
    let uri = Uri::parse(String::from_utf8_lossy(&text).trim());
    uri.map(Some).map_err(|error| Error::Refused(format!("{} cannot be read – {error}", path.display())))
}

/// Whether the file of a CA's key lies under a passphrase; one on a token does not.
pub(super) fn is_locked(folder: &Path, by: Issuer) -> Result<bool, Error> {
    match token_of(folder, by)? {
        Some(_) => Ok(false),
        None => is_file_locked(&key_path(folder, by)),
    }
}

/// Whether a passphrase protects the key of a file.
pub(super) fn is_file_locked(path: &Path) -> Result<bool, Error> {
    let bytes = Secret::new(files::read(path)?);
    Ok(String::from_utf8_lossy(bytes.expose()).contains("ENCRYPTED"))
}

/// The key of a CA of this folder: from its file, or one on a token, which is asked when the key first has work.
pub(super) fn key_of(
    (folder, access): (&Path, &Access),
    by: Issuer,
    public: &PublicKey,
    passphrase: Option<&Secret<Vec<u8>>>,
) -> Result<PrivateKey, Error> {
    match token_of(folder, by)? {
        Some(uri) => Ok(access.key(&uri, public.clone())),
        None => read_key(&key_path(folder, by), passphrase),
    }
}

/// The one place where files with keys of the authority are read.
pub(super) fn read_key(path: &Path, passphrase: Option<&Secret<Vec<u8>>>) -> Result<PrivateKey, Error> {
    let bytes = Secret::new(files::read(path)?);
    Ok(PrivateKey::from_any(bytes.expose(), passphrase, &Limits::default()).map_err(KeysError::from)?)
}

fn write_key(path: &Path, key: &PrivateKey, passphrase: Option<&Secret<Vec<u8>>>, random: &mut dyn Random) -> Result<(), Error> {
    Ok(files::write(path, key.to_pem_under(passphrase, random)?.expose())?)
}

fn key_path(folder: &Path, by: Issuer) -> PathBuf {
    folder.join(format!("{}.key", by.name()))
}

fn uri_path(folder: &Path, by: Issuer) -> PathBuf {
    folder.join(format!("{}.uri", by.name()))
}

/// S/MIME BR 6.1.5, 6.1.6: the kinds that certificates of authorities may have, and programs read.
fn signs_for_authorities(kind: KeyAlgorithm) -> bool {
    match kind {
        KeyAlgorithm::Rsa(bits) => bits >= 2048,
        KeyAlgorithm::P256 | KeyAlgorithm::P384 | KeyAlgorithm::P521 | KeyAlgorithm::Ed25519 => true,
        _ => false,
    }
}

const SIGNERS: &str = "a CA signs with RSA of 2048 bits or more, P-256, P-384, P-521 or Ed25519";
