//! The authority on disk: its keys, its certificates, and what it does with them.
//!
//! ```text
//! CA/
//!   root.pem root.key  issuing.pem issuing.key  servers.pem servers.key     keys: PKCS#8, encrypted where a passphrase protects them;
//!                                                                           an offline root has no root.key here
//!   root.uri issuing.uri servers.uri                                        in place of NAME.key: the PKCS#11 URI of a key on a token
//!   base-url
//!   ledger certificates head …                                              what was done (see `ca::records`)
//! ```

mod batch;
mod custody;
mod life;
mod lists;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::asn1::pem;
use crate::ca::escrow::{self, Escrow};
use crate::ca::records::event::Draft;
use crate::ca::records::{self, Event, Records, Transaction};
use crate::ca::{Authority, Error, Issuer, MailProfile, Organization, Plan, Request, Revoked, ServerProfile, Uses, request};
use crate::crypto::algorithm::KeyAlgorithm;
use crate::crypto::key::{PrivateKey, PublicKey};
use crate::crypto::random::Random;
use crate::keys::token::{Access, Uri};
use crate::keys::{Identity, files};
use crate::pki::{self, Certificate};
use crate::secret::Secret;
use crate::time::Timestamp;

pub use batch::{Made, Order, OrderKey};
pub use custody::{Custody, RootKey, token_of};
pub use life::{Renewal, ending};
pub use lists::ListKind;

/// An authority that was opened. It waits for others only while it writes.
#[derive(Debug)]
pub struct Store {
    folder: std::path::PathBuf,
    authority: Authority,
    records: Mutex<Records>,
    tokens: Access,
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

    /// Whether a passphrase protects the key of an issuing CA.
    pub fn is_locked(folder: &Path) -> Result<bool, Error> {
        Ok(custody::is_locked(folder, Issuer::Mail)? || custody::is_locked(folder, Issuer::Servers)?)
    }

    /// Whether a passphrase protects the key of the root, in its file or in that of the home; none does where it is not there.
    pub fn is_root_locked(folder: &Path, file: Option<&Path>) -> Result<bool, Error> {
        match file {
            Some(file) if uri_in(file)?.is_some() => Ok(false),
            Some(file) => custody::is_file_locked(file),
            None if custody::has(folder, Issuer::Root) => custody::is_locked(folder, Issuer::Root),
            None => Ok(false),
        }
    }

    /// Makes an authority in this folder.
    pub fn create(
        folder: &Path,
        (organization, domains): (impl Into<Organization>, &[String]),
        algorithm: KeyAlgorithm,
        passphrase: Option<&Secret<Vec<u8>>>,
        at: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Self, Error> {
        Self::make(folder, &Plan::new(organization, algorithm).domains(domains), &Custody::new(passphrase), at, random)
    }

    /// Makes an authority after a plan in this folder.
    pub fn make(
        folder: &Path,
        plan: &Plan,
        custody: &Custody<'_>,
        at: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Self, Error> {
        files::make_folder(folder)?;
        let lock = files::lock(folder)?;
        if Self::exists(folder) {
            return Err(Error::Refused(format!("{} holds an authority already", folder.display())));
        }
        custody.check()?;
        let (authority, root_key) = Authority::make_with(plan, &custody.keys(), at, random)?;
        custody.write(folder, Issuer::Root, &root_key, random)?;
        for (by, identity) in [(Issuer::Mail, authority.issuing_identity()), (Issuer::Servers, authority.servers_identity())] {
            custody.write(folder, by, identity.private_key(), random)?;
            write_certificate(&folder.join(format!("{}.pem", by.name())), identity.certificate())?;
        }
        files::write(&folder.join("base-url"), authority.base_url().as_bytes())?;
        // an authority that was not made whole may have left a line
        let mut records = Records::open(folder)?;
        let mut turn = Transaction::begin_locked(&mut records, lock, at)?;
        turn.log(Draft::new("init", authority.root().serial_hex(), plan.name()));
        turn.commit()?;
        // the root last: it says that all the rest is there
        write_certificate(&folder.join("root.pem"), authority.root())?;
        Ok(Self { folder: folder.to_owned(), authority, records: Mutex::new(records), tokens: custody.tokens() })
    }

    /// Opens the authority of this folder. Records of version 0.1.0 are taken over.
    pub fn open(folder: &Path, passphrase: Option<&Secret<Vec<u8>>>) -> Result<Self, Error> {
        Self::open_with(folder, passphrase, Access::default())
    }

    /// The same where keys may lie on tokens, which are reached so; a token is asked when its key first has work.
    pub fn open_with(folder: &Path, passphrase: Option<&Secret<Vec<u8>>>, tokens: Access) -> Result<Self, Error> {
        if !Self::exists(folder) {
            return Err(Error::Refused(format!(
                "{} holds no authority – make one with `sealpost ca init --name NAME`",
                folder.display()
            )));
        }
        let root = read_certificate(&folder.join("root.pem"))?;
        let identity = |by: Issuer| -> Result<Identity, Error> {
            let certificate = read_certificate(&folder.join(format!("{}.pem", by.name())))?;
            let key = custody::key_of((folder, &tokens), by, &certificate.public_key()?, passphrase)?;
            Ok(Identity::new(key, certificate, vec![root.clone()])?)
        };
        let base_url = Self::base_url_of(folder)?;
        let authority = Authority::from_parts(root.clone(), identity(Issuer::Mail)?, identity(Issuer::Servers)?, base_url);
        Ok(Self { folder: folder.to_owned(), authority, records: Mutex::new(Records::open(folder)?), tokens })
    }

    /// The address that certificates of the authority in this folder name; needs no key.
    pub fn base_url_of(folder: &Path) -> Result<String, Error> {
        Ok(String::from_utf8_lossy(&files::read(&folder.join("base-url"))?).into_owned())
    }

    /// Writes one event that is no certificate of somebody's.
    pub(in crate::ca) fn log(&self, draft: Draft, at: Timestamp) -> Result<(), Error> {
        let mut records = self.locked();
        let mut turn = Transaction::begin(&mut records, at)?;
        turn.log(draft);
        turn.commit()
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
        self.record((&certificate, Issuer::Mail), &profile.addresses.join(","), at)?;
        Ok(certificate)
    }

    /// Issues a mail certificate for the key of a request that asks for nothing beyond the profile. A key of another person, and one that
    /// was compromised, is refused.
    pub fn issue_request(
        &self,
        profile: &MailProfile,
        request: &Request,
        at: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Certificate, Error> {
        // within the turn: of two who ask for one key at once, the second is refused
        let mut records = self.locked();
        let mut turn = Transaction::begin(&mut records, at)?;
        if let Some((_, error)) = self.refused(turn.records(), &[(profile, request)], at)?.into_iter().next() {
            return Err(error);
        }
        let certificate = self.authority.issue_request(profile, request, at, random)?;
        turn.certificate("issue", (&certificate, Issuer::Mail), &profile.addresses.join(","))?;
        turn.commit()?;
        Ok(certificate)
    }

    /// Says which of some requests would get no certificate, each by its place, and why; nothing is signed.
    pub fn check_requests(&self, asked: &[(&MailProfile, &Request)], at: Timestamp) -> Result<Vec<(usize, Error)>, Error> {
        if asked.is_empty() { Ok(Vec::new()) } else { self.refused(&self.records()?, asked, at) }
    }

    /// The same, held against these records.
    fn refused(
        &self,
        records: &Records,
        asked: &[(&MailProfile, &Request)],
        at: Timestamp,
    ) -> Result<Vec<(usize, Error)>, Error> {
        let mut refused = BTreeMap::new();
        let mut places: HashMap<&[u8], Vec<usize>> = HashMap::new();
        for (place, (profile, request)) in asked.iter().enumerate() {
            if let Err(error) = self.authority.check_request(profile, request, at) {
                refused.insert(place, error);
            }
            places.entry(request.key().key_bits()).or_default().push(place);
        }
        // what was given out is read once, however many are asked about
        for entry in records.entries()? {
            let entry = entry?;
            let certificate = records.certificate_of(&entry)?;
            let Ok(known) = certificate.public_key() else { continue };
            let Some(places) = places.get(known.key_bits()) else { continue };
            let issued = Issued { certificate, revoked: entry.revoked };
            for place in places {
                let Some((profile, _)) = asked.get(*place).filter(|(_, request)| known == *request.key()) else { continue };
                if let Err(error) = request::check_history(&issued, &profile.addresses) {
                    refused.entry(*place).or_insert(error);
                }
            }
        }
        Ok(refused.into_iter().collect())
    }

    /// Makes a key and a mail certificate for it. Where there is an escrow, a key that only decrypts goes into it.
    pub fn new_identity(
        &self,
        profile: &MailProfile,
        algorithm: KeyAlgorithm,
        at: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Identity, Error> {
        self.new_identity_with((profile, Escrow::EncryptionKeys), algorithm, at, random)
    }

    /// The same, and says whether a key goes into escrow that signs, too. One that only signs never does: nothing is lost with it.
    pub fn new_identity_with(
        &self,
        (profile, wish): (&MailProfile, Escrow),
        algorithm: KeyAlgorithm,
        at: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Identity, Error> {
        let has_escrow = escrow::exists(&self.folder);
        if wish == Escrow::Asked && (!has_escrow || profile.uses == Uses::Sign) {
            let why = if has_escrow { "a key that only signs is not put into escrow" } else { NO_ESCROW };
            return Err(Error::Refused(why.to_owned()));
        }
        let key = PrivateKey::generate(algorithm, random)?;
        let is_escrowed = has_escrow && (wish == Escrow::Asked || profile.uses == Uses::Encrypt);
        let certificate = if is_escrowed {
            let certificate = self.authority.issue(profile, key.public_key(), at, random)?;
            // before the ledger names it: what it names is there
            let offset = escrow::put(&self.folder, &key, &certificate, random)?;
            let mut records = self.locked();
            let mut turn = Transaction::begin(&mut records, at)?;
            let facts = [("escrow", offset.to_string())];
            turn.certificate_with((&certificate, Issuer::Mail), &profile.addresses.join(","), &facts)?;
            turn.commit()?;
            certificate
        } else {
            self.issue(profile, key.public_key(), at, random)?
        };
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
        self.record((identity.certificate(), Issuer::Servers), &profile.hosts.join(","), at)?;
        Ok(identity)
    }

    /// What was done so far; others may write meanwhile.
    pub fn records(&self) -> Result<Records, Error> {
        Records::open(&self.folder)
    }

    /// Everything that was given out, with its revocation.
    pub fn issued(&self) -> Result<Vec<Issued>, Error> {
        issued(&self.folder)
    }

    /// Whether the key of the root is kept elsewhere.
    pub fn is_root_offline(&self) -> bool {
        !custody::has(&self.folder, Issuer::Root)
    }

    /// Lets the root certify the keys of the issuing CAs anew; certificates that they signed stay good.
    pub fn renew_issuing(&mut self, root_key: &PrivateKey, at: Timestamp, random: &mut dyn Random) -> Result<(), Error> {
        let authority = self.authority.renew_issuing(root_key, at, random)?;
        let mut records = self.locked();
        let mut turn = Transaction::begin(&mut records, at)?;
        for by in [Issuer::Mail, Issuer::Servers] {
            let Some(identity) = authority.identity(by) else { continue };
            let certificate = identity.certificate();
            turn.log(Draft::new("renew-issuing", certificate.serial_hex(), by.name()).fact("until", certificate.not_after()));
        }
        turn.commit()?;
        for by in [Issuer::Mail, Issuer::Servers] {
            let Some(identity) = authority.identity(by) else { continue };
            write_certificate(&self.folder.join(format!("{}.pem", by.name())), identity.certificate())?;
        }
        drop(records);
        self.authority = authority;
        Ok(())
    }

    /// The key of the root: of a file or a token (a PKCS#11 URI), or of the home where it is not offline.
    pub fn root_key(&self, file: Option<&Path>, passphrase: Option<&Secret<Vec<u8>>>) -> Result<PrivateKey, Error> {
        let public = self.authority.root().public_key()?;
        let Some(file) = file else {
            if self.is_root_offline() {
                let why =
                    "the root is offline – give its key with --root-key FILE, which may be the PKCS#11 URI of one on a token";
                return Err(Error::Refused(why.to_owned()));
            }
            let key = custody::key_of((&self.folder, &self.tokens), Issuer::Root, &public, passphrase)?;
            return self.is_roots(key, &self.folder.join("root.key"));
        };
        match uri_in(file)? {
            Some(uri) => Ok(self.tokens.key(&uri, public)),
            None => self.is_roots(custody::read_key(file, passphrase)?, file),
        }
    }

    fn is_roots(&self, key: PrivateKey, path: &Path) -> Result<PrivateKey, Error> {
        if *key.public_key() != self.authority.root().public_key()? {
            return Err(Error::Refused(format!("{} is not the key of the root {}", path.display(), self.authority.root())));
        }
        Ok(key)
    }

    /// The ledger first: a certificate that was given out is never unknown.
    fn record(&self, issued: (&Certificate, Issuer), whom: &str, at: Timestamp) -> Result<(), Error> {
        let mut records = self.locked();
        let mut turn = Transaction::begin(&mut records, at)?;
        turn.certificate("issue", issued, whom)?;
        turn.commit()
    }

    pub(in crate::ca) fn folder(&self) -> &Path {
        &self.folder
    }

    fn locked(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const NO_ESCROW: &str = "there is no escrow – make one with `sealpost ca escrow init`";

/// Reads the ledger and checks its chain of hashes.
pub fn ledger(folder: &Path) -> Result<Vec<Event>, Error> {
    records::events(folder)?.collect()
}

/// Everything that was given out, with its revocation; needs no key. For many certificates, [`Records::entries`] streams.
pub fn issued(folder: &Path) -> Result<Vec<Issued>, Error> {
    let records = Records::open(folder)?;
    let mut found = Vec::new();
    for entry in records.entries()? {
        let entry = entry?;
        found.push(Issued { certificate: records.certificate_of(&entry)?, revoked: entry.revoked });
    }
    found.sort_by_key(|issued| issued.certificate.not_before());
    Ok(found)
}

/// The URI that stands where a file could.
fn uri_in(file: &Path) -> Result<Option<Uri>, Error> {
    let text = file.to_str().filter(|text| Uri::looks_like(text));
    Ok(text.map(Uri::parse).transpose()?)
}

fn write_certificate(path: &Path, certificate: &Certificate) -> Result<(), Error> {
    Ok(files::write(path, pem::encode("CERTIFICATE", certificate.der()).as_bytes())?)
}

/// Reads the first certificate of a file.
pub fn read_certificate(path: &Path) -> Result<Certificate, Error> {
    let found = pki::load::certificates(&files::read(path)?)?.into_iter().next();
    found.ok_or_else(|| Error::Refused(format!("{} holds no certificate", path.display())))
}
