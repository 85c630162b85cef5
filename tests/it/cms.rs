//! Tests of `cms`: by itself, against peers, against what others made, against hostile input.

mod attributes;
mod batch;
mod bouncycastle;
mod cast;
mod clocks;
mod compressed;
mod details;
mod gpgsm;
mod hostile;
mod javascript;
mod mail;
mod matrix;
mod nss;
mod openssl;
mod own;
mod post_quantum;
mod pss;
mod pyca;
mod recipients;
mod rules;
mod timestamps;
mod vectors;

use sealpost::cms::{self, Content, Decrypting, EnvelopedReader, Error, Key, SignatureCheck, SignedData};
use sealpost::crypto;
use sealpost::crypto::random::Seeded;
use sealpost::limits::Limits;
use sealpost::pki::Certificate;

/// Reads a SignedData; gives the content that was inside.
fn read_signed(message: &[u8], detached: Option<&[u8]>) -> Result<(SignedData, Vec<u8>), Error> {
    let mut inside = Vec::new();
    match cms::open(message, &Limits::default())? {
        Content::Signed(reader) => {
            let mut data = reader.read(detached, &mut inside)?;
            let content = detached.unwrap_or(&inside);
            data.supply_digests(content);
            if data.signers.iter().any(cms::Signer::needs_content) {
                data.supply_content(content.to_vec());
            }
            Ok((data, inside))
        }
        _ => Err(Error::Malformed("no SignedData")),
    }
}

/// What each signer's signature is worth; `more` are certificates beside those of the message.
fn checks(data: &SignedData, more: &[&Certificate]) -> Vec<SignatureCheck> {
    let known: Vec<&Certificate> = data.certificates.iter().chain(more.iter().copied()).collect();
    let check = |signer: &cms::Signer| match known.iter().find(|certificate| signer.id.names(certificate)) {
        Some(certificate) => signer.verify(certificate, data),
        None => SignatureCheck::Invalid(format!("no certificate of {}", signer.id)),
    };
    data.signers.iter().map(check).collect()
}

/// Whether there are signers and every signature fits.
fn is_good(data: &SignedData) -> bool {
    let checks = checks(data, &[]);
    !checks.is_empty() && checks.iter().all(|check| matches!(check, SignatureCheck::Valid(_)))
}

/// Opens an encrypted message as far as its recipients.
fn read_enveloped(message: &[u8]) -> Result<EnvelopedReader<&[u8]>, Error> {
    match cms::open(message, &Limits::default())? {
        Content::Enveloped(reader) => Ok(reader),
        _ => Err(Error::Malformed("no EnvelopedData")),
    }
}

/// Decrypts with the first candidate that opens it, in a second pass where the cipher must know first what comes last.
fn decrypt(message: &[u8], keys: &[Key<'_>]) -> Result<Vec<u8>, Error> {
    let mut last = Error::Malformed("no key fits");
    for candidate in read_enveloped(message)?.candidates(keys) {
        let mut foreknown = None;
        loop {
            let reader = read_enveloped(message)?;
            let key = match reader.content_key(candidate, keys, &mut Seeded::new(b"decrypt")) {
                Ok(key) => key,
                Err(error) => {
                    last = error;
                    break;
                }
            };
            let mut decrypting = reader.decrypting(&key, foreknown.as_ref())?;
            match read_plain(&mut decrypting) {
                Ok(plain) => return decrypting.finish().map(|_| plain),
                Err(Error::Crypto(crypto::Error::Foreknowledge)) if foreknown.is_none() => {
                    foreknown = Some(decrypting.foreknown());
                }
                Err(error) => {
                    last = error;
                    break;
                }
            }
        }
    }
    Err(last)
}

fn read_plain(decrypting: &mut Decrypting<&[u8]>) -> Result<Vec<u8>, Error> {
    let mut plain = Vec::new();
    while let Some(piece) = decrypting.next_piece()? {
        plain.extend_from_slice(piece);
    }
    Ok(plain)
}
