//! Signing what the server writes itself (reports, answers of filters) by the domain that it is from, as users' mail is.

use std::sync::{Arc, PoisonError, RwLock};

use crate::mime::address;
use crate::server::head::Head;
use crate::server::policy::dkim::Signer;
use crate::server::trace::Tracer;
use crate::time::Timestamp;

/// The keys with which all sign who write in the server's name; other keys come for all of them at once.
#[derive(Debug, Clone, Default)]
pub(in crate::server) struct Own(Arc<RwLock<Signer>>);

impl Own {
    /// From now on with these keys.
    pub(in crate::server) fn set(&self, signer: Signer) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = signer;
    }

    /// A message of the server's own, behind its signatures.
    pub(in crate::server) fn signed(&self, message: Vec<u8>, now: Timestamp, tracer: &Tracer) -> Vec<u8> {
        let signer = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        signer.signed(message, now, tracer)
    }
}

impl Signer {
    /// A message of the server's own, behind its signatures. One that cannot be signed goes without: whom it tells something hears it all the same.
    pub(in crate::server) fn signed(&self, message: Vec<u8>, now: Timestamp, tracer: &Tracer) -> Vec<u8> {
        let signatures = self.signing(&message).map_or(Ok(String::new()), |domain| self.sign(&domain, (b"", &message), now));
        match signatures {
            Ok(none) if none.is_empty() => message,
            Ok(signatures) => [signatures.as_bytes(), &message].concat(),
            Err(why) => {
                tracer.warn(now, &format!("a message of the server's own goes out without a signature – {why}"));
                message
            }
        }
    }

    /// Who signs a message: the domain of its author, or else the one above it, which is aligned with it unless it asks for strictness (RFC 7489 3.1.1):
    /// reports are from the host, and keys are of the domain.
    fn signing(&self, message: &[u8]) -> Option<String> {
        if self.is_empty() {
            return None;
        }
        let domain = author_domain(&Head::of(message, true)?)?;
        let above = domain.split_once('.').map(|(_, above)| above.to_owned());
        std::iter::once(domain).chain(above).find(|domain| self.has(domain))
    }
}

/// The domain of the author, in lower case; of the first one where there are several.
pub(in crate::server) fn author_domain(head: &Head) -> Option<String> {
    let mut authors = head.values("from").flat_map(|value| address::parse(value).mailboxes);
    authors.next()?.address().rsplit_once('@').map(|(_, domain)| domain.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::domain::{Kind, tests::made};

    #[test]
    fn the_domain_of_the_author_signs_or_the_one_above_it_and_no_other() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let day = Timestamp::parse_rfc3339("2026-11-01").expect("a day");
        made(folder.path(), Kind::Ed25519, day);
        let signer = Signer::load(folder.path()).expect("keys");
        let signed = |author: &str| {
            let message = format!("From: Mail Delivery System <{author}>\r\nSubject: x\r\n\r\nhi\r\n");
            let signed = String::from_utf8(signer.signed(message.clone().into_bytes(), day, &Tracer::default())).expect("text");
            let fields = signed.strip_suffix(&message).expect("nothing else is touched").to_owned();
            assert_eq!(fields.is_empty(), !fields.contains("d=a.example;"), "{fields}");
            !fields.is_empty()
        };
        assert!(signed("jane@A.example") && signed("postmaster@mail.a.example"));
        assert!(
            !signed("postmaster@deep.mail.a.example") && !signed("x@b.example") && !signed("x@notaa.example") && !signed("x")
        );
        let own = Own::default();
        let message = b"From: x@a.example\r\n\r\n".to_vec();
        assert_eq!(own.signed(message.clone(), day, &Tracer::default()), message, "no key, no signature");
        own.clone().set(signer);
        assert_ne!(own.signed(message.clone(), day, &Tracer::default()), message, "it is the same for all");
    }
}
