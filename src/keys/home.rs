//! The home: identities, contacts, trust and the CA, in files.
//!
//! ```text
//! HOME/                                      0700, every file 0600
//!   identities/ADDRESS-FINGERPRINT/          one key and its certificates
//!     cert.pem  chain.pem  key.pem           key.pem: PKCS#8, encrypted (PBES2) where a passphrase protects it
//!     key.uri                                in place of key.pem: the PKCS#11 URI of a key on a token
//!     retired                                present where the key only reads old mail
//!   contacts/FINGERPRINT.pem                 other people's certificates
//!   capabilities/FINGERPRINT.pem             what the owner of a contact's certificate said that he reads, and when
//!   trust/FINGERPRINT.pem                    trust anchors
//!   intermediates/FINGERPRINT.pem            certificates that may stand between
//!   crls/*.crl                               revocation lists
//!   seen/                                    which signatures were seen, and when first (see [`Seen`])
//!   cache/                                   what was fetched, to be judged anew each time (see `keys::cache`)
//!   ca/                                      the authority (see `ca::store`)
//! ```

use std::path::{Path, PathBuf};

use crate::asn1::{Cursor, encode, pem};
use crate::crypto;
use crate::crypto::key::PrivateKey;
use crate::crypto::random::Random;
use crate::keys::cache::Cache;
use crate::keys::token::{Access, Uri};
use crate::keys::{Error, Identity, Seen, files, identity};
use crate::limits::Limits;
use crate::pki::{self, Certificate, Crl, email};
use crate::secret::Secret;
use crate::time::Timestamp;

/// A home folder.
#[derive(Debug, Clone)]
pub struct Home(PathBuf, Access);

/// An identity in the home, without its key.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The certificate.
    pub certificate: Certificate,
    /// The certificates above it.
    pub chain: Vec<Certificate>,
    /// Whether a passphrase protects the key.
    pub locked: bool,
    /// What names the key where it lies on a token.
    pub token: Option<Uri>,
    /// Whether the key only reads old mail.
    pub retired: bool,
    folder: PathBuf,
    access: Access,
}

/// The identities that could be unlocked, and the addresses of those that could not.
#[derive(Debug, Default)]
pub struct Unlocked {
    /// Those unlocked.
    pub identities: Vec<Identity>,
    /// The addresses of the others.
    pub still_locked: Vec<String>,
}

/// What somebody said that he reads, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// When he said so; the beginning of time where he did not say when.
    pub time: Timestamp,
    /// The encoded SMIMECapabilities.
    pub capabilities: Vec<u8>,
}

impl Home {
    /// Opens a home; makes its folder where there is none.
    pub fn create(path: &Path) -> Result<Self, Error> {
        files::make_folder(path)?;
        Ok(Self(path.to_owned(), Access::default()))
    }

    /// Reaches keys on tokens so.
    #[must_use]
    pub fn tokens(self, access: Access) -> Self {
        Self(self.0, access)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where the authority lives.
    pub fn ca_folder(&self) -> PathBuf {
        self.0.join("ca")
    }

    /// The signatures that were seen here.
    pub fn seen(&self) -> Seen {
        Seen::of_home(&self.0)
    }

    /// Every identity.
    pub fn identities(&self) -> Result<Vec<Stored>, Error> {
        let mut found = Vec::new();
        for folder in files::list(&self.0.join("identities"))? {
            // a folder without its certificate is one whose writing did not end
            let Some(certificate) = certificates_in(&folder.join("cert.pem"))?.into_iter().next() else { continue };
            let chain = certificates_in(&folder.join("chain.pem"))?;
            let token = token_in(&folder.join("key.uri"))?;
            let locked = token.is_none() && is_locked(&folder.join("key.pem"))?;
            let retired = folder.join("retired").exists();
            found.push(Stored { certificate, chain, locked, token, retired, folder, access: self.1.clone() });
        }
        Ok(found)
    }

    /// The identity to sign with for an address: the newest that is not retired. One that only decrypts comes last.
    pub fn find(&self, address: &str) -> Result<Option<Stored>, Error> {
        let speaks = |stored: &Stored| email::find(&stored.certificate.addresses(), address);
        let found = self.identities()?.into_iter().filter(|stored| !stored.retired && speaks(stored));
        Ok(found.max_by_key(|stored| (identity::may_sign(&stored.certificate), stored.certificate.not_before())))
    }

    /// Whether the key of an address is locked; `None` where there is none.
    pub fn is_locked(&self, address: &str) -> Result<Option<bool>, Error> {
        Ok(self.find(address)?.map(|stored| stored.locked))
    }

    /// Unlocks the identity of an address.
    pub fn unlock(&self, address: &str, passphrase: Option<&Secret<Vec<u8>>>) -> Result<Identity, Error> {
        let stored = self.find(address)?.ok_or_else(|| Error::NotFound(format!("the home has no key of {address}")))?;
        stored.unlock(passphrase)
    }

    /// Whether some key is locked.
    pub fn has_locked_keys(&self) -> Result<bool, Error> {
        Ok(self.identities()?.iter().any(|stored| stored.locked))
    }

    /// Unlocks every identity that this passphrase opens, retired ones too.
    pub fn unlock_all(&self, passphrase: Option<&Secret<Vec<u8>>>) -> Result<Unlocked, Error> {
        let mut unlocked = Unlocked::default();
        for stored in self.identities()? {
            match stored.unlock(passphrase) {
                Ok(identity) => unlocked.identities.push(identity),
                Err(Error::PassphraseNeeded | Error::WrongPassphrase) => {
                    let address = stored.certificate.addresses().into_iter().next();
                    unlocked.still_locked.push(address.unwrap_or_else(|| stored.certificate.to_string()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(unlocked)
    }

    /// Adds an identity; without a passphrase its key lies readable in a file that only the owner reads.
    pub fn add_identity(
        &self,
        identity: &Identity,
        passphrase: Option<&Secret<Vec<u8>>>,
        random: &mut dyn Random,
    ) -> Result<(), Error> {
        let key = identity.private_key().to_pem_under(passphrase, random)?;
        self.add_key((identity.certificate(), identity.chain()), "key.pem", &key)
    }

    /// Adds an identity whose key stays on its token, where this names it.
    pub fn add_token_identity(&self, identity: &Identity, uri: &Uri) -> Result<(), Error> {
        self.add_key((identity.certificate(), identity.chain()), "key.uri", &Secret::new(format!("{uri}\n").into_bytes()))
    }

    /// Adds a renewed certificate for a key that the home has, and retires the identities that the key had so far: mail that names their
    /// certificates is still read. The key's file is copied as it is, so no passphrase is needed. Gives the certificates that were retired;
    /// where the home does not have the key, there are none, and nothing is done.
    pub fn add_renewed(&self, certificate: &Certificate, chain: &[Certificate]) -> Result<Vec<Certificate>, Error> {
        let public = certificate.public_key()?;
        let mut old = self.identities()?;
        old.retain(|stored| !stored.retired && stored.certificate != *certificate);
        old.retain(|stored| stored.certificate.public_key().is_ok_and(|known| known == public));
        let Some(first) = old.first() else { return Ok(Vec::new()) };
        let file = if first.token.is_some() { "key.uri" } else { "key.pem" };
        let key = Secret::new(files::read(&first.folder.join(file))?);
        self.add_key((certificate, chain), file, &key)?;
        self.retire_where(|known| old.iter().any(|stored| stored.certificate == *known))
    }

    fn add_key(
        &self,
        (certificate, chain): (&Certificate, &[Certificate]),
        file: &str,
        key: &Secret<Vec<u8>>,
    ) -> Result<(), Error> {
        let address = certificate.addresses().into_iter().next().unwrap_or_else(|| "key".to_owned());
        let fingerprint = certificate.fingerprint_hex();
        let name = format!("{}-{}", safe_name(&address), fingerprint.get(..16).unwrap_or_default());
        let folder = self.0.join("identities").join(name);
        let _lock = self.write_in(&folder)?;
        // keys could lie in what a crash left in the folders of other identities, too
        files::list(&self.0.join("identities"))?.iter().try_for_each(|folder| files::sweep(folder))?;
        let other = folder.join(if file == "key.uri" { "key.pem" } else { "key.uri" });
        if other.exists() && file == "key.uri" {
            return Err(Error::Exists("the home holds this key in a file already".to_owned()));
        }
        // the certificate last: a folder without it is not an identity yet
        files::write(&folder.join(file), key.expose())?;
        files::remove_if_there(&other)?;
        files::write(&folder.join("chain.pem"), bundle(chain).as_bytes())?;
        files::write(&folder.join("cert.pem"), pem::encode("CERTIFICATE", certificate.der()).as_bytes())
    }

    /// Retires every identity of an address: it signs no more, and still decrypts what was encrypted to it. Gives those retired.
    pub fn retire(&self, address: &str) -> Result<Vec<Certificate>, Error> {
        self.retire_where(|certificate| email::find(&certificate.addresses(), address))
    }

    /// Retires the identity of this certificate.
    pub fn retire_one(&self, certificate: &Certificate) -> Result<(), Error> {
        self.retire_where(|other| other == certificate).map(drop)
    }

    fn retire_where(&self, is_meant: impl Fn(&Certificate) -> bool) -> Result<Vec<Certificate>, Error> {
        let mut retired = Vec::new();
        for stored in self.identities()? {
            if !stored.retired && is_meant(&stored.certificate) {
                let _lock = self.write_in(&stored.folder)?;
                files::write(&stored.folder.join("retired"), b"")?;
                retired.push(stored.certificate);
            }
        }
        Ok(retired)
    }

    /// The certificates of our own identities that speak for an address; retired ones are encrypted to no more.
    pub fn identity_certificates(&self, address: &str) -> Result<Vec<Certificate>, Error> {
        let speaks = |stored: &Stored| !stored.retired && email::find(&stored.certificate.addresses(), address);
        Ok(self.identities()?.into_iter().filter(speaks).map(|stored| stored.certificate).collect())
    }

    /// Every contact's certificate.
    pub fn contacts(&self) -> Result<Vec<Certificate>, Error> {
        self.certificates("contacts")
    }

    /// The certificates of one contact.
    pub fn contact(&self, address: &str) -> Result<Vec<Certificate>, Error> {
        Ok(self.contacts()?.into_iter().filter(|certificate| email::find(&certificate.addresses(), address)).collect())
    }

    /// Adds a contact's certificate.
    pub fn add_contact(&self, certificate: &Certificate) -> Result<(), Error> {
        self.add("contacts", certificate)
    }

    /// Removes the certificates of one contact, and what he said that he reads; gives those removed.
    pub fn remove_contact(&self, address: &str) -> Result<Vec<Certificate>, Error> {
        let _lock = files::lock(&self.0)?;
        let removed = self.contact(address)?;
        for certificate in &removed {
            let name = file_name(certificate);
            files::remove_if_there(&self.0.join("capabilities").join(&name))?;
            files::remove_if_there(&self.0.join("contacts").join(&name))?;
        }
        Ok(removed)
    }

    /// Keeps what the owner of a certificate said that he reads (an encoded SMIMECapabilities), and when he said so: it replaces what he
    /// said before (RFC 8551 2.7.1), and what has no time replaces nothing. Gives whether it was kept.
    ///
    /// Only what a verified message said may come here, and a time that has not come yet counts as `now`.
    pub fn learn(
        &self,
        certificate: &Certificate,
        said: Option<Timestamp>,
        capabilities: &[u8],
        now: Timestamp,
    ) -> Result<bool, Error> {
        let folder = self.0.join("capabilities");
        let _lock = self.write_in(&folder)?;
        let time = said.map_or(Timestamp::from_unix(0), |said| said.min(now));
        if let Some(before) = self.learnt(certificate)?
            && before.time.max(Timestamp::from_unix(1)) > time
        {
            return Ok(false);
        }
        let record = encode::sequence(&[encode::generalized_time(time), capabilities.to_vec()]);
        files::write(&folder.join(file_name(certificate)), pem::encode(CAPABILITIES, &record).as_bytes())?;
        Ok(true)
    }

    /// What the owner of a certificate said that he reads.
    pub fn learnt(&self, certificate: &Certificate) -> Result<Option<Said>, Error> {
        let path = self.0.join("capabilities").join(file_name(certificate));
        let Some(bytes) = files::read_if_there(&path)? else { return Ok(None) };
        // a record that cannot be read says nothing
        let read = || {
            let record = pem::parse_all(&bytes).ok()?.into_iter().find(|found| found.label == CAPABILITIES)?;
            let mut fields = Cursor::new(&record.der).sequence().ok()?;
            let time = fields.time().ok()?;
            Some(Said { time, capabilities: fields.any().ok()?.raw.to_vec() })
        };
        Ok(read())
    }

    /// Every certificate of a person that we hold: contacts' and our own.
    pub fn known_certificates(&self) -> Result<Vec<Certificate>, Error> {
        let mut found = self.contacts()?;
        found.extend(self.identities()?.into_iter().map(|stored| stored.certificate));
        Ok(found)
    }

    /// The trust anchors.
    pub fn trust_anchors(&self) -> Result<Vec<Certificate>, Error> {
        self.certificates("trust")
    }

    /// Adds a trust anchor.
    pub fn add_trust(&self, certificate: &Certificate) -> Result<(), Error> {
        self.add("trust", certificate)
    }

    /// Removes the trust anchors whose fingerprint begins so; gives those removed.
    pub fn remove_trust(&self, fingerprint: &str) -> Result<Vec<Certificate>, Error> {
        let wanted: String = fingerprint.chars().filter(|c| *c != ':').collect::<String>().to_ascii_lowercase();
        let _lock = files::lock(&self.0)?;
        let mut removed = Vec::new();
        for certificate in self.trust_anchors()? {
            // fewer than 8 digits could mean another one
            if wanted.len() >= 8 && certificate.fingerprint_hex().starts_with(&wanted) {
                files::remove_if_there(&self.0.join("trust").join(format!("{}.pem", certificate.fingerprint_hex())))?;
                removed.push(certificate);
            }
        }
        Ok(removed)
    }

    /// Certificates that may stand between.
    pub fn intermediates(&self) -> Result<Vec<Certificate>, Error> {
        self.certificates("intermediates")
    }

    /// Adds a certificate that may stand between.
    pub fn add_intermediate(&self, certificate: &Certificate) -> Result<(), Error> {
        self.add("intermediates", certificate)
    }

    /// The revocation lists.
    pub fn crls(&self) -> Result<Vec<Crl>, Error> {
        let mut found = Vec::new();
        for path in files::list(&self.0.join("crls"))? {
            let Some(bytes) = files::read_if_there(&path)? else { continue };
            found.extend(pki::load::crls(bytes).map_err(|error| damaged(&path, &error))?);
        }
        Ok(found)
    }

    /// Keeps a revocation list under a name.
    pub fn write_crl(&self, name: &str, der: &[u8]) -> Result<(), Error> {
        let folder = self.0.join("crls");
        let _lock = self.write_in(&folder)?;
        files::write(&folder.join(format!("{}.crl", safe_name(name))), der)
    }

    /// What was fetched before.
    pub fn cache(&self) -> Cache {
        Cache::new(self.0.join("cache"))
    }

    fn certificates(&self, kind: &str) -> Result<Vec<Certificate>, Error> {
        let mut found = Vec::new();
        for path in files::list(&self.0.join(kind))? {
            let Some(bytes) = files::read_if_there(&path)? else { continue };
            found.extend(pki::load::certificates(&bytes).map_err(|error| damaged(&path, &error))?);
        }
        Ok(found)
    }

    /// Waits until no other process writes in the home; makes a folder of it ready for writing.
    fn write_in(&self, folder: &Path) -> Result<files::Lock, Error> {
        let lock = files::lock(&self.0)?;
        files::make_folder(folder)?;
        files::sweep(folder)?;
        Ok(lock)
    }

    fn add(&self, kind: &str, certificate: &Certificate) -> Result<(), Error> {
        let folder = self.0.join(kind);
        let _lock = self.write_in(&folder)?;
        let path = folder.join(file_name(certificate));
        files::write(&path, pem::encode("CERTIFICATE", certificate.der()).as_bytes())
    }
}

impl Stored {
    /// Unlocks the key. One on a token needs no passphrase here: its token asks for the PIN when the key has work.
    pub fn unlock(&self, passphrase: Option<&Secret<Vec<u8>>>) -> Result<Identity, Error> {
        if let Some(uri) = &self.token {
            let key = self.access.key(uri, self.certificate.public_key()?);
            return Identity::new(key, self.certificate.clone(), self.chain.clone());
        }
        let bytes = Secret::new(files::read(&self.folder.join("key.pem"))?);
        let key = match PrivateKey::from_any(bytes.expose(), passphrase, &Limits::default()) {
            Err(crypto::Error::PassphraseNeeded) => return Err(Error::PassphraseNeeded),
            other => other?,
        };
        Identity::new(key, self.certificate.clone(), self.chain.clone())
    }
}

/// The URI that a file holds; `None` where there is no file.
fn token_in(path: &Path) -> Result<Option<Uri>, Error> {
    let text = files::read_if_there(path)?;
    let parse = |text: Vec<u8>| Uri::parse(String::from_utf8_lossy(&text).trim()).map_err(|error| damaged(path, &error));
    text.map(parse).transpose()
}

/// Whether the key of a file lies under a passphrase.
fn is_locked(path: &Path) -> Result<bool, Error> {
    let bytes = Secret::new(files::read(path)?);
    Ok(String::from_utf8_lossy(bytes.expose()).contains(ENCRYPTED))
}

/// What it means that a file of the home is not what was written.
fn damaged(path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::Malformed(format!("{} cannot be read – {why}; move it away, and bring again what it held", path.display()))
}

/// The certificates of a file; none where there is no file or nothing in it.
fn certificates_in(path: &Path) -> Result<Vec<Certificate>, Error> {
    match files::read_if_there(path)? {
        Some(bytes) if !bytes.is_empty() => pki::load::certificates(&bytes).map_err(|error| damaged(path, &error)),
        _ => Ok(Vec::new()),
    }
}

/// Certificates as PEM, one after another.
pub(crate) fn bundle(certificates: &[Certificate]) -> String {
    certificates.iter().map(|certificate| pem::encode("CERTIFICATE", certificate.der())).collect()
}

/// A name that cannot leave its folder: everything but letters, digits and a few marks is replaced.
fn safe_name(name: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() || matches!(c, '@' | '.' | '-' | '_' | '+') { c } else { '_' };
    let safe: String = name.to_lowercase().chars().map(safe).take(80).collect();
    safe.trim_start_matches('.').to_owned()
}

fn file_name(certificate: &Certificate) -> String {
    format!("{}.pem", certificate.fingerprint_hex())
}

const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";
const CAPABILITIES: &str = "SMIME CAPABILITIES";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_folder() {
        for name in ["../../etc/passwd", "/etc", "a/../b@c", "..", "a\0b"] {
            let safe = safe_name(name);
            assert!(!safe.contains('/') && !safe.starts_with('.') && !safe.contains('\0'), "{safe}");
        }
    }
}
