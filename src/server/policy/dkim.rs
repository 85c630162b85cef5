//! Signing what users send, in the name of their domain (RFC 6376, RFC 8463).

use std::path::Path;
use std::sync::Arc;

use mail_auth::common::crypto::{Ed25519Key, RsaKey, Sha256, SigningKey};
use mail_auth::common::headers::HeaderWriter;
use mail_auth::dkim::{DkimSigner, Done};
use rustls::pki_types::PrivateKeyDer;

use crate::keys::Error;
use crate::keys::domain::{DomainKey, Kind};
use crate::time::Timestamp;

/// The keys of our domains, ready to sign.
#[derive(Clone, Default)]
pub(in crate::server) struct Signer {
    keys: Arc<Vec<Ready>>,
}

/// A key that is ready, with its template.
struct Ready {
    key: DomainKey,
    signer: Either,
}

enum Either {
    Rsa(DkimSigner<RsaKey<Sha256>, Done>),
    Ed25519(DkimSigner<Ed25519Key, Done>),
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({} keys)", self.keys.len())
    }
}

/// Fields that are signed once more than they occur: nobody adds another one in front for readers to see (RFC 6376 8.15).
const SEALED: [&str; 7] = ["From", "To", "Cc", "Subject", "Date", "Reply-To", "Message-ID"];

/// Fields that are signed where they are: what a reader sees, what a program acts on, what makes the content what it is (RFC 6376 5.4.1).
const SIGNED: [&str; 13] = [
    "From",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Reply-To",
    "Message-ID",
    "Sender",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
];

impl Signer {
    /// Reads every key below a folder. Keys whose day has not come are read too: the server runs on that day.
    pub(in crate::server) fn load(folder: &Path) -> Result<Self, Error> {
        let keys: Result<Vec<Ready>, Error> = DomainKey::all(folder)?.into_iter().map(Ready::new).collect();
        Ok(Self { keys: Arc::new(keys?) })
    }

    /// Whether there is no key at all.
    pub(in crate::server) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether there is a key of this domain.
    pub(in crate::server) fn has(&self, domain: &str) -> bool {
        self.keys.iter().any(|ready| ready.key.domain.eq_ignore_ascii_case(domain))
    }

    /// The DKIM-Signature fields for a message of this domain: one by each kind of key that it has, Ed25519 behind RSA. Empty where it has none.
    ///
    /// The message is signed as it goes out, with the fields that this host puts in front of it.
    pub(in crate::server) fn sign(
        &self,
        domain: &str,
        (front, message): (&[u8], &[u8]),
        now: Timestamp,
    ) -> Result<String, String> {
        let mut fields = String::new();
        for kind in [Kind::Rsa, Kind::Ed25519] {
            let fits =
                |ready: &&Ready| ready.key.kind == kind && ready.key.domain.eq_ignore_ascii_case(domain) && ready.key.from <= now;
            let Some(ready) = self.keys.iter().filter(fits).max_by_key(|ready| ready.key.from) else { continue };
            let signed = match &ready.signer {
                Either::Rsa(signer) => signer.sign_chained([front, message]),
                Either::Ed25519(signer) => signer.sign_chained([front, message]),
            };
            let signed = signed.map_err(|error| format!("{} cannot sign – {error}", ready.key.name()))?;
            fields.push_str(&signed.to_header());
        }
        Ok(fields)
    }
}

impl Ready {
    fn new(key: DomainKey) -> Result<Self, Error> {
        let pkcs8 = key.pkcs8()?;
        let unusable = |error: mail_auth::Error| Error::Malformed(format!("the key {} cannot be used – {error}", key.name()));
        let signer = match key.kind {
            Kind::Rsa => {
                let der = PrivateKeyDer::try_from(pkcs8.expose().as_slice()).map_err(|why| Error::Malformed(why.to_owned()))?;
                Either::Rsa(template(RsaKey::<Sha256>::from_key_der(der).map_err(unusable)?, &key))
            }
            Kind::Ed25519 => {
                Either::Ed25519(template(Ed25519Key::from_pkcs8_maybe_unchecked_der(pkcs8.expose()).map_err(unusable)?, &key))
            }
        };
        Ok(Self { key, signer })
    }
}

fn template<K: SigningKey>(signing: K, key: &DomainKey) -> DkimSigner<K, Done> {
    // a name that stands a second time is listed once more than the field occurs
    let names = SIGNED.iter().chain(&SEALED).copied();
    DkimSigner::from_key(signing).domain(&key.domain).selector(&key.selector).headers(names)
}
