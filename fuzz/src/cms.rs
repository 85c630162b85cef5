//! Every kind of cryptographic message is read to its end with the keys of the cast, held and streamed alike.

use std::io::Read;

use sealpost::cms::{self, Content, Error, SignatureCheck};
use sealpost::crypto::random::Seeded;

use super::cast::Cast;
use super::pieces::Pieces;

/// Reads bytes as a ContentInfo.
pub fn run(bytes: &[u8]) {
    thread_local!(static CAST: Cast = Cast::load());
    let pem = cms::from_pem(bytes);
    let bytes = pem.as_deref().unwrap_or(bytes);
    CAST.with(|cast| {
        let held = read(|| bytes, cast);
        let streamed = read(|| Pieces::new(bytes), cast);
        assert_eq!(held, streamed);
    });
}

/// What was read, in words.
fn read<R: Read>(source: impl Fn() -> R, cast: &Cast) -> String {
    match cms::open(source(), &cast.limits) {
        Ok(Content::Signed(reader)) => {
            let mut content = Vec::new();
            let data = match reader.read(None, &mut content) {
                Ok(data) => data,
                Err(error) => return said(&error),
            };
            let mut checks = Vec::new();
            for signer in &data.signers {
                for certificate in data.certificates.iter().chain(&cast.known) {
                    if signer.id.names(certificate) {
                        checks.push(signer.verify(certificate, &data));
                    }
                }
            }
            let is_valid = checks.iter().any(|check| matches!(check, SignatureCheck::Valid(_)));
            format!("{} bytes, {checks:?}, {is_valid}, {:?}, {}", content.len(), data.oddities, data.certificates.len())
        }
        Ok(Content::Enveloped(reader)) => {
            let keys = cast.keys();
            let tried = reader.candidates(&keys).into_iter().take(3);
            let tried: Vec<String> = tried.map(|candidate| decrypt(source(), candidate, cast)).collect();
            format!("{:?} {} {tried:?}", reader.recipients(), reader.cipher_name())
        }
        Ok(Content::Compressed(mut reader)) => {
            let (mut total, mut out) = (0, vec![0; 5000]);
            loop {
                match reader.read(&mut out) {
                    Ok(0) => return format!("{total} bytes, {:?}", reader.finish().map_err(|error| said(&error))),
                    Ok(read) => total += read,
                    Err(error) => return said(&error),
                }
            }
        }
        Ok(Content::Other(kind)) => kind.to_string(),
        Err(error) => said(&error),
    }
}

fn decrypt<R: Read>(source: R, candidate: cms::Candidate, cast: &Cast) -> String {
    let Ok(Content::Enveloped(reader)) = cms::open(source, &cast.limits) else { panic!("it was one a moment ago") };
    let reader = reader.knowing(&cast.known);
    let key = match reader.content_key(candidate, &cast.keys(), &mut Seeded::new(b"key")) {
        Ok(key) => key,
        Err(error) => return said(&error),
    };
    let mut content = Vec::new();
    match reader.decrypt(&key, &mut content) {
        Ok(opened) => format!("{} bytes, {opened:?}", content.len()),
        Err(error) => said(&error),
    }
}

/// An error is a sentence; an error of the source is none that memory makes.
fn said(error: &Error) -> String {
    assert!(!matches!(error, Error::Io(_)), "{error}");
    let text = error.to_string();
    assert!(!text.is_empty(), "an error says nothing");
    text
}
