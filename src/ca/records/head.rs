//! How far the ledger was written.
//!
//! `head` says what was acknowledged: a ledger that is shorter was cut, not torn. `head.pem` says the same under the signature of the
//! issuing CA; who keeps a copy of it elsewhere can tell whether the ledger was rewritten since.

use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::asn1::{Cursor, Tag, encode, pem};
use crate::ca::Error;
use crate::ca::profile::algorithm_of;
use crate::ca::records::event::Chain;
use crate::ca::records::on;
use crate::crypto::algorithm::{AlgorithmIdentifier, DigestAlgorithm, SignatureAlgorithm};
use crate::crypto::digest;
use crate::crypto::key::{PrivateKey, PublicKey};
use crate::crypto::random::Random;
use crate::crypto::signature::{self, Input};
use crate::keys::files;
use crate::pki::hex;
use crate::time::Timestamp;

/// What `head` says; `None` where there is none, or where it was torn: then the checkpoint alone tells.
pub(in crate::ca) fn read(folder: &Path) -> Result<Option<Chain>, Error> {
    let path = folder.join(HEAD);
    let mut text = String::new();
    match std::fs::File::open(&path).and_then(|file| file.take(LENGTH).read_to_string(&mut text)) {
        Ok(_) => Ok(parse(&text)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => Ok(None),
        Err(error) => Err(on(&path)(error)),
    }
}

/// Writes it in place and in one go; not synced, for an older one is right, too.
pub(in crate::ca) fn write(folder: &Path, chain: &Chain) -> Result<(), Error> {
    let path = folder.join(HEAD);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path).map_err(on(&path))?;
    let text = format!("{:020} {:020} {}", chain.count, chain.length, chain.hash);
    let text = format!("{text} {}\n", check(&text));
    file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(text.as_bytes())).map_err(on(&path))
}

fn parse(text: &str) -> Option<Chain> {
    let (text, sum) = text.trim_end().rsplit_once(' ')?;
    let mut words = text.split(' ');
    let count = words.next()?.parse().ok()?;
    let length = words.next()?.parse().ok()?;
    let hash = words.next()?.to_owned();
    (check(text) == sum).then_some(Chain { hash, count, length })
}

fn check(text: &str) -> String {
    hex(&digest::of(DigestAlgorithm::Sha256, text.as_bytes()))
}

/// A head that the issuing CA signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ca) struct SignedHead {
    pub(in crate::ca) chain: Chain,
    pub(in crate::ca) time: Timestamp,
}

/// Signs where the chain stands.
///
/// `SEQUENCE { statement UTF8String, signatureAlgorithm AlgorithmIdentifier, signature BIT STRING }`
pub(in crate::ca) fn sign(
    folder: &Path,
    chain: &Chain,
    key: &PrivateKey,
    at: Timestamp,
    random: &mut dyn Random,
) -> Result<(), Error> {
    let statement = format!("{STATEMENT} {} {} {} {at}", chain.count, chain.length, chain.hash);
    let algorithm = algorithm_of(key)?;
    let signed = signature::sign(key, algorithm, Input::Message(statement.as_bytes()), random)?;
    let fields = [encode::utf8(&statement), algorithm.identifier().to_der(), encode::bit_string(&signed)];
    Ok(files::write(&folder.join(SIGNED_HEAD), pem::encode(LABEL, &encode::sequence(&fields)).as_bytes())?)
}

/// Reads a signed head and checks its signature; `None` where there is none.
pub(in crate::ca) fn read_signed(path: &Path, key: &PublicKey) -> Result<Option<SignedHead>, Error> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(on(path)(error)),
    };
    let changed = |why: &str| Error::Changed(format!("{} was changed – {why}", path.display()));
    let blocks = pem::parse_all(&bytes).map_err(|error| changed(&error.to_string()))?;
    let block = blocks.into_iter().find(|block| block.label == LABEL).ok_or_else(|| changed("it holds no signed head"))?;
    let (statement, algorithm, signed) = fields(&block.der).map_err(|error| changed(&error.to_string()))?;
    signature::verify(key, algorithm, Input::Message(statement.as_bytes()), &signed)
        .map_err(|_| changed("the issuing CA did not sign it"))?;
    let read = || {
        let mut words = statement.strip_prefix(STATEMENT)?.trim_start().split(' ');
        let count = words.next()?.parse().ok()?;
        let length = words.next()?.parse().ok()?;
        let hash = words.next()?.to_owned();
        Some(SignedHead { chain: Chain { hash, count, length }, time: Timestamp::parse_rfc3339(words.next()?)? })
    };
    read().map(Some).ok_or_else(|| changed("it cannot be understood"))
}

/// The statement, and how it is signed.
fn fields(der: &[u8]) -> Result<(String, SignatureAlgorithm, Vec<u8>), Error> {
    let mut fields = Cursor::new(der).sequence()?;
    let statement = fields.expect(Tag::UTF8_STRING)?.text()?.to_string();
    let identifier = AlgorithmIdentifier::from_cursor(&mut fields)?;
    let (_, signed) = fields.bit_string()?;
    Ok((statement, SignatureAlgorithm::from_identifier(&identifier, None)?, signed.to_vec()))
}

const HEAD: &str = "head";
pub(in crate::ca) const SIGNED_HEAD: &str = "head.pem";
const LABEL: &str = "SEALPOST LEDGER HEAD";
const STATEMENT: &str = "sealpost ledger";
/// Two numbers of 20 digits, two hashes of 64, blanks and a line feed.
const LENGTH: u64 = 172;
