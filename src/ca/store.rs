//! The authority on disk: keys, certificates, and the ledger.
//!
//! ```text
//! CA/
//!   root.pem root.key  issuing.pem issuing.key  servers.pem servers.key     keys: PKCS#8, encrypted where a passphrase protects them
//!   base-url
//!   issued/SERIAL.pem                                                       every certificate given out
//!   ledger                                                                  one line an event, each with the hash of all before
//! ```

use std::path::{Path, PathBuf};

use crate::asn1::pem;
use crate::ca::{Authority, Error, MailProfile, RevocationReason, Revoked, ServerProfile, revoke};
use crate::crypto::algorithm::{DigestAlgorithm, KeyAlgorithm};
use crate::crypto::digest;
use crate::crypto::key::{PrivateKey, PublicKey};
use crate::crypto::random::Random;
use crate::keys::{Error as KeysError, Identity, files};
use crate::limits::Limits;
use crate::pki::{self, Certificate, Crl, hex};
use crate::secret::Secret;
use crate::time::Timestamp;

/// An authority that was opened.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    authority: Authority,
    _lock: files::Lock,
}

/// A certificate that was given out.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate: Certificate,
    /// When and why it was revoked, if it was.
    pub revoked: Option<Revoked>,
}

impl Store {
    /// Whether there is an authority in this folder.
    pub fn exists(folder: &Path) -> bool {
        folder.join("root.pem").exists()
    }

    /// Whether a passphrase protects its keys.
    pub fn is_locked(folder: &Path) -> Result<bool, Error> {
        let bytes = files::read(&folder.join("issuing.key"))?;
        Ok(String::from_utf8_lossy(&bytes).contains("ENCRYPTED"))
    }

    /// Makes an authority in this folder.
    pub fn create(
        folder: &Path,
        (name, domains): (&str, &[String]),
        algorithm: KeyAlgorithm,
        passphrase: Option<&Secret<Vec<u8>>>,
        at: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Self, Error> {
        if Self::exists(folder) {
            return Err(Error::Refused(format!("{} holds an authority already", folder.display())));
        }
        files::make_folder(&folder.join("issued"))?;
        let lock = files::lock(folder)?;
        let (authority, root_key) = Authority::create(name, domains, algorithm, at, random)?;
        write_key(&folder.join("root.key"), &root_key, passphrase, random)?;
        for (identity, name) in [(authority.issuing_identity(), "issuing"), (authority.servers_identity(), "servers")] {
            write_key(&folder.join(format!("{name}.key")), identity.private_key(), passphrase, random)?;
            write_certificate(&folder.join(format!("{name}.pem")), identity.certificate())?;
        }
        files::write(&folder.join("base-url"), authority.base_url().as_bytes())?;
        // the root last: it says that all the rest is there
        write_certificate(&folder.join("root.pem"), authority.root())?;
        let store = Self { folder: folder.to_owned(), authority, _lock: lock };
        store.log(at, "init", &store.authority.root().serial_hex(), name)?;
        Ok(store)
    }

    /// Opens the authority of this folder.
    pub fn open(folder: &Path, passphrase: Option<&Secret<Vec<u8>>>) -> Result<Self, Error> {
        if !Self::exists(folder) {
            return Err(Error::Refused(format!(
                "{} holds no authority – make one with `sealpost ca init --name NAME`",
                folder.display()
            )));
        }
        let lock = files::lock(folder)?;
        let root = read_certificate(&folder.join("root.pem"))?;
        let identity = |name: &str| -> Result<Identity, Error> {
            let certificate = read_certificate(&folder.join(format!("{name}.pem")))?;
            let bytes = Secret::new(files::read(&folder.join(format!("{name}.key")))?);
            let key = PrivateKey::from_any(bytes.expose(), passphrase, &Limits::default()).map_err(KeysError::from)?;
            Ok(Identity::new(key, certificate, vec![root.clone()])?)
        };
        let base_url = String::from_utf8_lossy(&files::read(&folder.join("base-url"))?).into_owned();
        let authority = Authority::from_parts(root.clone(), identity("issuing")?, identity("servers")?, base_url);
        Ok(Self { folder: folder.to_owned(), authority, _lock: lock })
    }

    /// The authority.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Issues a mail certificate for a key.
    pub fn issue(
        &self,
        profile: &MailProfile,
        public: &PublicKey,
        at: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Certificate, Error> {
        let certificate = self.authority.issue(profile, public, at, random)?;
        self.record(&certificate, at, &profile.addresses.join(","))?;
        Ok(certificate)
    }

    /// Makes a key and a mail certificate for it.
    pub fn new_identity(
        &self,
        profile: &MailProfile,
        algorithm: KeyAlgorithm,
        at: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Identity, Error> {
        let key = PrivateKey::generate(algorithm, random)?;
        let certificate = self.issue(profile, key.public_key(), at, random)?;
        Ok(Identity::new(key, certificate, vec![self.authority.issuing().clone(), self.authority.root().clone()])?)
    }

    /// Makes a key and a TLS server's certificate for it.
    pub fn new_server(
        &self,
        profile: &ServerProfile,
        algorithm: KeyAlgorithm,
        at: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Identity, Error> {
        let identity = self.authority.new_server(profile, algorithm, at, random)?;
        self.record(identity.certificate(), at, &profile.hosts.join(","))?;
        Ok(identity)
    }

    /// Everything that was given out, with its revocation.
    pub fn issued(&self) -> Result<Vec<Issued>, Error> {
        issued(&self.folder)
    }

    /// Revokes a certificate by its serial number in hexadecimal.
    pub fn revoke(&self, serial: &str, reason: RevocationReason, at: Timestamp) -> Result<Certificate, Error> {
        let wanted = serial.to_ascii_lowercase();
        let found = self.issued()?.into_iter().find(|issued| issued.certificate.serial_hex() == wanted);
        let found =
            found.ok_or_else(|| Error::Refused(format!("no certificate with the serial number {serial} was issued here")))?;
        if found.revoked.is_some() {
            return Err(Error::Refused(format!("the certificate {serial} is revoked already")));
        }
        self.log(at, "revoke", &wanted, reason.name())?;
        Ok(found.certificate)
    }

    /// Signs the current revocation list of the CA for mail.
    pub fn crl(&self, at: Timestamp, days: i64, random: &mut dyn Random) -> Result<Crl, Error> {
        self.sign_list(self.authority.issuing_identity(), (at, at.plus_days(days)), random)
    }

    /// Signs the current revocation list of the CA for TLS servers.
    pub fn server_crl(&self, at: Timestamp, days: i64, random: &mut dyn Random) -> Result<Crl, Error> {
        self.sign_list(self.authority.servers_identity(), (at, at.plus_days(days)), random)
    }

    /// Signs the current revocation list of the root; its key is opened for that alone.
    pub fn root_crl(
        &self,
        passphrase: Option<&Secret<Vec<u8>>>,
        at: Timestamp,
        days: i64,
        random: &mut dyn Random,
    ) -> Result<Crl, Error> {
        let bytes = Secret::new(files::read(&self.folder.join("root.key"))?);
        let key = PrivateKey::from_any(bytes.expose(), passphrase, &Limits::default()).map_err(KeysError::from)?;
        let root = Identity::new(key, self.authority.root().clone(), Vec::new())?;
        self.sign_list(&root, (at, at.plus_days(days)), random)
    }

    fn sign_list(&self, issuer: &Identity, dates: (Timestamp, Timestamp), random: &mut dyn Random) -> Result<Crl, Error> {
        let number = u64::try_from(ledger(&self.folder)?.len()).unwrap_or(u64::MAX);
        let is_its_own = |issued: &Issued| issued.certificate.issuer().matches(issuer.certificate().subject());
        let revoked: Vec<Revoked> = self.issued()?.into_iter().filter(is_its_own).filter_map(|issued| issued.revoked).collect();
        let crl = revoke::sign_list(issuer.certificate(), issuer.private_key(), &revoked, number, dates, random)?;
        self.log(dates.0, "crl", &number.to_string(), &revoked.len().to_string())?;
        Ok(crl)
    }

    /// The ledger first, then the file: a certificate that was given out is never unknown.
    fn record(&self, certificate: &Certificate, at: Timestamp, whom: &str) -> Result<(), Error> {
        let serial = certificate.serial_hex();
        self.log(at, "issue", &serial, whom)?;
        write_certificate(&self.folder.join("issued").join(format!("{serial}.pem")), certificate)
    }

    fn log(&self, at: Timestamp, event: &str, subject: &str, detail: &str) -> Result<(), Error> {
        let path = self.folder.join("ledger");
        let before = ledger(&self.folder)?.last().map(|line| line.hash.clone()).unwrap_or_default();
        let detail: String = detail.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let text = format!("{at} {event} {subject} {detail}");
        files::append(&path, &format!("{} {text}", chain_hash(&before, &text)))?;
        Ok(())
    }
}

/// One event of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    hash: String,
    /// When.
    pub time: Timestamp,
    /// What: `init`, `issue`, `revoke`, `crl`.
    pub event: String,
    /// The serial number, or the number of the list.
    pub subject: String,
    /// For whom, or why.
    pub detail: String,
}

/// Reads the ledger and checks its chain of hashes.
pub fn ledger(folder: &Path) -> Result<Vec<Event>, Error> {
    let bytes = match files::read(&folder.join("ledger")) {
        Ok(bytes) => bytes,
        Err(KeysError::Io { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let text = String::from_utf8_lossy(&bytes);
    let mut before = String::new();
    let mut events = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let broken = || {
            Error::Refused(format!("the ledger was changed – line {} does not follow from those before", at.saturating_add(1)))
        };
        let (hash, rest) = line.split_once(' ').ok_or_else(broken)?;
        if chain_hash(&before, rest) != hash {
            return Err(broken());
        }
        before = hash.to_owned();
        let mut words = rest.splitn(4, ' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let time = Timestamp::parse_rfc3339(&word()).ok_or_else(broken)?;
        events.push(Event { hash: hash.to_owned(), time, event: word(), subject: word(), detail: word() });
    }
    Ok(events)
}

/// Everything that was given out, with its revocation; needs no key.
pub fn issued(folder: &Path) -> Result<Vec<Issued>, Error> {
    let events = ledger(folder)?;
    let mut found = Vec::new();
    for path in files::list(&folder.join("issued"))? {
        let certificate = read_certificate(&path)?;
        let serial = certificate.serial_hex();
        let event = events.iter().find(|event| event.event == "revoke" && event.subject == serial);
        let revoked = event.map(|event| Revoked {
            serial: certificate.serial().to_vec(),
            date: event.time,
            reason: RevocationReason::from_name(&event.detail).unwrap_or(RevocationReason::Unspecified),
        });
        found.push(Issued { certificate, revoked });
    }
    found.sort_by_key(|issued| issued.certificate.not_before());
    Ok(found)
}

fn chain_hash(before: &str, text: &str) -> String {
    let digest = digest::of(DigestAlgorithm::Sha256, format!("{before}\n{text}").as_bytes());
    hex(&digest)
}

fn write_key(path: &Path, key: &PrivateKey, passphrase: Option<&Secret<Vec<u8>>>, random: &mut dyn Random) -> Result<(), Error> {
    let text = match passphrase {
        Some(passphrase) => pem::encode("ENCRYPTED PRIVATE KEY", &key.to_encrypted_pkcs8(passphrase, random)?),
        None => pem::encode("PRIVATE KEY", key.to_pkcs8()?.expose()),
    };
    Ok(files::write(path, Secret::new(text.into_bytes()).expose())?)
}

fn write_certificate(path: &Path, certificate: &Certificate) -> Result<(), Error> {
    Ok(files::write(path, pem::encode("CERTIFICATE", certificate.der()).as_bytes())?)
}

/// Reads the first certificate of a file.
pub fn read_certificate(path: &Path) -> Result<Certificate, Error> {
    let found = pki::load::certificates(&files::read(path)?)?.into_iter().next();
    found.ok_or_else(|| Error::Refused(format!("{} holds no certificate", path.display())))
}
