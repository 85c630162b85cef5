//! Escrow of encryption keys: M of N custodians together can recover one, and each recovery is in the ledger before the key is given out.
//!
//! ```text
//! CA/escrow/
//!   public.pem        the escrow's public key (P-384): keys are encrypted to it without anybody's passphrase
//!   private           its private key, under AES-256-GCM with a key that exists in shares only
//!   share-X.pem       a share of that key (Shamir), under the passphrase of custodian X
//!   keys              escrowed keys, each after its length (4 bytes); the ledger says where each begins
//! ```
//!
//! Keys that can sign are not escrowed unless someone asks for it: who recovers one could sign as its owner.

mod shamir;

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::asn1::{Cursor, encode, pem};
use crate::ca::records::event::Draft;
use crate::ca::records::{Records, Serial, Transaction, fact_of, on, read_value};
use crate::ca::{Error, store};
use crate::crypto::agreement::{self, Ephemeral};
use crate::crypto::algorithm::{AlgorithmIdentifier, CipherParameters, ContentCipher, KeyAgreement, KeyAlgorithm};
use crate::crypto::cipher::{Decryptor, Encryptor};
use crate::crypto::key::{PrivateKey, PublicKey};
use crate::crypto::pbe::{self, Cost, Passwords};
use crate::crypto::random::Random;
use crate::keys::{Identity, files};
use crate::limits::Limits;
use crate::pki::Certificate;
use crate::secret::Secret;
use crate::time::Timestamp;
use shamir::Share;

/// Whether the key of a certificate is put into escrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Escrow {
    /// Keys that only decrypt, where there is an escrow.
    #[default]
    EncryptionKeys,
    /// This one, though it signs, too; refused where there is no escrow.
    Asked,
}

/// Whether there is an escrow in the folder of an authority.
pub fn exists(folder: &Path) -> bool {
    folder.join(FOLDER).join(PUBLIC).exists()
}

/// Makes an escrow: as many custodians as passphrases, of whom `threshold` are needed.
pub fn create(
    folder: &Path,
    threshold: u8,
    passphrases: &[Secret<Vec<u8>>],
    at: Timestamp,
    random: &mut dyn Random,
) -> Result<(), Error> {
    let refuse = |why: &str| Err(Error::Refused(why.to_owned()));
    let shares = u8::try_from(passphrases.len()).ok().filter(|shares| *shares <= MOST);
    let Some(shares) = shares else { return Err(Error::Refused(format!("at most {MOST} custodians hold an escrow"))) };
    if threshold == 0 || threshold > shares {
        return Err(Error::Refused(format!("{threshold} of {shares} custodians is not possible")));
    }
    if passphrases.iter().any(|passphrase| passphrase.expose().is_empty()) {
        return refuse("a custodian's passphrase is empty");
    }
    let is_twice = |(at, one): (usize, &Secret<Vec<u8>>)| passphrases.iter().take(at).any(|other| other.expose() == one.expose());
    if passphrases.iter().enumerate().any(is_twice) {
        return refuse("two custodians have the same passphrase – one of them could act for both");
    }
    let place = folder.join(FOLDER);
    files::make_folder(&place)?;
    let _lock = files::lock(&place)?;
    if exists(folder) {
        return refuse("there is an escrow already");
    }
    // shares of one that was not made whole open nothing, and would stand among those of this one
    for stale in share_files(&place)? {
        files::remove_if_there(&stale)?;
    }
    let key = PrivateKey::generate(KeyAlgorithm::P384, random)?;
    let mut data_key = Secret::new(vec![0; 32]);
    random.fill(data_key.expose_mut());
    for share in shamir::split(&data_key, threshold, shares, random) {
        let Some(passphrase) = passphrases.get(usize::from(share.x).saturating_sub(1)) else { continue };
        let values = Secret::new(encode::octet_string(share.values.expose()));
        let plain = Secret::new(encode::sequence(&[&encode::integer_u64(u64::from(share.x)), values.expose()]));
        let (algorithm, encrypted) = pbe::encrypt(passphrase, plain.expose(), random)?;
        let der =
            encode::sequence(&[encode::integer_u64(u64::from(threshold)), algorithm.to_der(), encode::octet_string(&encrypted)]);
        files::write(&place.join(format!("share-{}.pem", share.x)), pem::encode(SHARE, &der).as_bytes())?;
    }
    let sealed = seal(&data_key, key.to_pkcs8()?.expose(), key.public_key().spki(), random)?;
    files::write(&place.join(PRIVATE), &sealed)?;
    log(folder, Draft::new("escrow", threshold.to_string(), &format!("of {shares}")), at)?;
    // the public key last: with it, keys are put into escrow
    Ok(files::write(&place.join(PUBLIC), pem::encode("PUBLIC KEY", key.public_key().spki()).as_bytes())?)
}

/// Puts a key into escrow; gives where it lies, which the ledger must say.
pub(in crate::ca) fn put(
    folder: &Path,
    key: &PrivateKey,
    certificate: &Certificate,
    random: &mut dyn Random,
) -> Result<u64, Error> {
    let serial =
        Serial::from_bytes(certificate.serial()).ok_or_else(|| Error::Refused("the serial number is too long".to_owned()))?;
    let to = public_key(folder)?;
    let mut content_key = Secret::new(vec![0; 32]);
    random.fill(content_key.expose_mut());
    let ephemeral = Ephemeral::generate(to.algorithm(), random)?;
    let agreement = KeyAgreement::usual(to.algorithm(), content_key.expose().len());
    let wrapped = ephemeral.wrap(&to, &agreement, None, content_key.expose())?;
    let sealed = seal(&content_key, key.to_pkcs8()?.expose(), &serial.to_bytes(), random)?;
    let fields = [ephemeral.public_key().spki().to_vec(), encode::octet_string(&wrapped), sealed];
    let record = encode::sequence(&fields);
    let size = u32::try_from(record.len()).map_err(|_| Error::Refused("the key is too long for the escrow".to_owned()))?;
    let place = folder.join(FOLDER);
    // what another process puts in between would lie where the ledger says that this one does
    let _lock = files::lock(&place)?;
    let path = place.join(KEYS);
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path).map_err(on(&path))?;
    // what an interrupted writer left before stays, and nothing points to it
    let offset = file.metadata().map_err(on(&path))?.len();
    let bytes = [&size.to_be_bytes(), record.as_slice()].concat();
    file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(on(&path))?;
    Ok(offset)
}

/// Recovers the key of a certificate with the passphrases of enough custodians. The ledger says so first.
pub fn recover(folder: &Path, serial: &str, passphrases: &[Secret<Vec<u8>>], at: Timestamp) -> Result<Identity, Error> {
    let unknown = || Error::Unknown(format!("no certificate with the serial number {serial} was issued here"));
    let wanted = Serial::from_hex(serial).ok_or_else(unknown)?;
    let records = Records::open(folder)?;
    let certificate = records.certificate(&wanted)?.ok_or_else(unknown)?;
    let (holder, offset) =
        holder_of(folder, wanted)?.ok_or_else(|| Error::Refused(format!("the key of {serial} is not in escrow")))?;
    let escrow = unlock(folder, passphrases)?;
    let record = read_value(&folder.join(FOLDER).join(KEYS), offset)?;
    let mut fields = Cursor::new(&record).sequence()?;
    let originator = PublicKey::from_spki(fields.any()?.raw)?;
    let wrapped = fields.octet_string()?;
    let agreement = KeyAgreement::usual(escrow.algorithm(), 32);
    let content_key = agreement::unwrap(&escrow, &originator, &agreement, None, &wrapped)?;
    let key = PrivateKey::from_pkcs8(open(&content_key, fields.any()?.raw, &holder.to_bytes())?.expose())?;
    let read = |name: &str| store::read_certificate(&folder.join(format!("{name}.pem")));
    let identity = Identity::new(key, certificate, vec![read("issuing")?, read("root")?])?;
    log(folder, Draft::new("recover", wanted.to_string(), &identity.addresses().join(",")), at)?;
    Ok(identity)
}

/// The certificate with which a key was put into escrow, and where it lies: this one, or the one that it renews for the same key.
fn holder_of(folder: &Path, serial: Serial) -> Result<Option<(Serial, u64)>, Error> {
    let mut serial = serial;
    for _ in 0..RENEWALS {
        if let Some(offset) = fact_of(folder, &serial, "escrow")?.and_then(|offset| offset.parse().ok()) {
            return Ok(Some((serial, offset)));
        }
        let Some(older) = fact_of(folder, &serial, "renews")?.and_then(|older| Serial::from_hex(&older)) else { break };
        serial = older;
    }
    Ok(None)
}

/// The escrow's private key, where enough of the passphrases open a share each.
fn unlock(folder: &Path, passphrases: &[Secret<Vec<u8>>]) -> Result<PrivateKey, Error> {
    let place = folder.join(FOLDER);
    let (mut opened, mut threshold) = (Vec::new(), 0);
    for path in shares_of(&place)? {
        let bytes = files::read(&path)?;
        let unreadable = || Error::Changed(format!("{} cannot be read", path.display()));
        let blocks = pem::parse_all(&bytes).map_err(|_| unreadable())?;
        let block = blocks.into_iter().find(|block| block.label == SHARE).ok_or_else(unreadable)?;
        let mut fields = Cursor::new(&block.der).sequence()?;
        threshold = fields.small_unsigned()?;
        let algorithm = AlgorithmIdentifier::from_cursor(&mut fields)?;
        let encrypted = fields.octet_string()?;
        for passphrase in passphrases {
            let password = Passwords::of_key(passphrase);
            let plain = match pbe::decrypt_sequence(&algorithm, &password, &encrypted, &mut Cost::new(&Limits::default())) {
                Ok(plain) => plain,
                Err(crate::crypto::Error::WrongPassphrase) => continue,
                Err(error) => return Err(error.into()),
            };
            let mut fields = Cursor::new(plain.expose()).sequence()?;
            let x = u8::try_from(fields.small_unsigned()?).map_err(|_| unreadable())?;
            opened.push(Share { x, values: Secret::new(fields.octet_string()?.into_owned()) });
            break;
        }
    }
    let have = u64::try_from(opened.len()).unwrap_or(u64::MAX);
    if have < threshold || opened.is_empty() {
        let why = format!("{have} of the custodians' passphrases open a share – {threshold} are needed");
        return Err(Error::Refused(why));
    }
    let fits = || Error::Changed("the shares do not open the escrow's key – one of them was changed".to_owned());
    let data_key = shamir::combine(&opened).ok_or_else(fits)?;
    let sealed = files::read(&place.join(PRIVATE))?;
    let plain = open(&data_key, &sealed, public_key(folder)?.spki()).map_err(|_| fits())?;
    Ok(PrivateKey::from_pkcs8(plain.expose())?)
}

fn share_files(place: &Path) -> Result<Vec<PathBuf>, Error> {
    let is_share = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("share-"));
    Ok(files::list(place)?.into_iter().filter(is_share).collect())
}

fn shares_of(place: &Path) -> Result<Vec<PathBuf>, Error> {
    let shares = share_files(place)?;
    if shares.is_empty() {
        return Err(Error::Refused("there is no escrow – make one with `sealpost ca escrow init`".to_owned()));
    }
    Ok(shares)
}

fn public_key(folder: &Path) -> Result<PublicKey, Error> {
    let path = folder.join(FOLDER).join(PUBLIC);
    let blocks = pem::parse_all(&files::read(&path)?).map_err(|error| Error::Changed(format!("{}: {error}", path.display())))?;
    let block = blocks.into_iter().next().ok_or_else(|| Error::Changed(format!("{} holds no key", path.display())))?;
    Ok(PublicKey::from_spki(&block.der)?)
}

/// `SEQUENCE { contentEncryptionAlgorithm, encrypted OCTET STRING, tag OCTET STRING }` under AES-256-GCM, bound to `about`.
fn seal(key: &Secret<Vec<u8>>, plain: &[u8], about: &[u8], random: &mut dyn Random) -> Result<Vec<u8>, Error> {
    let parameters = CipherParameters::generate(ContentCipher::Aes256Gcm, random);
    let mut encrypted = Vec::new();
    let mut encryptor = Encryptor::new(&parameters, key.expose())?;
    encryptor.update(plain, &mut encrypted);
    let tag = encryptor.finish(about, &mut encrypted)?.unwrap_or_default();
    let fields = [parameters.identifier().to_der(), encode::octet_string(&encrypted), encode::octet_string(&tag)];
    Ok(encode::sequence(&fields))
}

fn open(key: &Secret<Vec<u8>>, sealed: &[u8], about: &[u8]) -> Result<Secret<Vec<u8>>, Error> {
    let mut fields = Cursor::new(sealed).sequence()?;
    let parameters = CipherParameters::from_identifier(&AlgorithmIdentifier::from_cursor(&mut fields)?)?;
    let (encrypted, tag) = (fields.octet_string()?, fields.octet_string()?);
    let mut plain = Secret::new(Vec::with_capacity(encrypted.len()));
    let mut decryptor = Decryptor::new(&parameters, key.expose())?;
    decryptor.update(&encrypted, plain.expose_mut());
    decryptor.finish(about, Some(&tag), plain.expose_mut())?;
    Ok(plain)
}

fn log(folder: &Path, draft: Draft, at: Timestamp) -> Result<(), Error> {
    let mut records = Records::open(folder)?;
    let mut turn = Transaction::begin(&mut records, at)?;
    turn.log(draft);
    turn.commit()
}

const FOLDER: &str = "escrow";
const PUBLIC: &str = "public.pem";
const PRIVATE: &str = "private";
const KEYS: &str = "keys";
const SHARE: &str = "SEALPOST ESCROW SHARE";
/// 64: a key that is renewed each year is not used for longer.
const RENEWALS: usize = 64;
/// 16 custodians: each passphrase is tried on each share, and a try takes some tenths of a second.
const MOST: u8 = 16;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::crypto::random::Seeded;

    fn made(folder: &Path) {
        let passphrases = ["anna", "boris"].map(|one| Secret::new(one.as_bytes().to_vec()));
        let at = Timestamp::from_unix(1_780_272_000);
        create(folder, 1, &passphrases, at, &mut Seeded::new(b"escrow")).expect("an escrow");
    }

    #[test]
    fn no_two_keys_that_are_put_in_at_once_are_said_to_lie_in_one_place() {
        let folder = tempfile::tempdir().expect("a folder");
        made(folder.path());
        let alice = std::fs::read(format!("{}/certs/alice.pem", env!("CARGO_MANIFEST_DIR"))).expect("one of the cast");
        let certificate = crate::pki::load::certificates(&alice).expect("read").remove(0);
        let puts = |thread: u8| {
            let mut random = Seeded::new(&[thread]);
            let key = PrivateKey::generate(KeyAlgorithm::P256, &mut random).expect("a key");
            let put = |_| put(folder.path(), &key, &certificate, &mut random).expect("put in");
            (0..20).map(put).collect::<Vec<u64>>()
        };
        let offsets: Vec<u64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|thread| scope.spawn(move || puts(thread))).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("it ends")).collect()
        });
        assert_eq!(offsets.iter().collect::<BTreeSet<_>>().len(), 80);
        for offset in offsets {
            let record = read_value(&folder.path().join(FOLDER).join(KEYS), offset).expect("a record");
            assert!(Cursor::new(&record).sequence().is_ok());
        }
    }

    #[test]
    fn shares_of_one_that_was_not_made_whole_do_not_stand_among_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join(FOLDER);
        std::fs::create_dir(&place).expect("a folder");
        for share in ["share-1.pem", "share-3.pem"] {
            std::fs::write(place.join(share), "left behind").expect("written");
        }
        made(folder.path());
        let names: Vec<_> =
            shares_of(&place).expect("shares").into_iter().filter_map(|path| Some(path.file_name()?.to_owned())).collect();
        assert_eq!(names, ["share-1.pem", "share-2.pem"]);
        assert!(unlock(folder.path(), &[Secret::new(b"boris".to_vec())]).is_ok());
    }
}
