//! For whom a message is encrypted, which keys are here, and why none fits.

use crate::cms::Key;
use crate::pki::{Certificate, email};
use crate::smime::explain::Explanation;
use crate::smime::finding::Code;
use crate::smime::open::Open;
use crate::smime::verdict::{EncryptedLayer, Layer, Verdict};

/// Explains why an encrypted layer did not open.
pub(super) fn explain(open: &Open<'_>, verdict: &Verdict) -> Vec<Explanation> {
    let closed = verdict.layers.iter().rev().find_map(|layer| match layer {
        Layer::Encrypted(layer) if !layer.recipients.iter().any(|recipient| recipient.used) => Some(layer),
        _ => None,
    });
    let Some(layer) = closed else { return Vec::new() };
    let own: Vec<&Certificate> = open
        .keys
        .iter()
        .filter_map(|key| match key {
            Key::Private { certificate, .. } => *certificate,
            _ => None,
        })
        .collect();
    let code = if verdict.has_error(Code::NoKey) { Code::NoKey } else { Code::DecryptionFailed };
    let say = |text: String, fix: Option<&str>| Explanation {
        finding: code,
        change: None,
        place: None,
        text,
        fix: fix.map(str::to_owned),
    };
    let mut found: Vec<Explanation> = layer
        .recipients
        .iter()
        .take(SHOWN)
        .map(|recipient| {
            let who =
                if recipient.addresses.is_empty() { String::new() } else { format!(" – {}", recipient.addresses.join(", ")) };
            say(format!("it is encrypted to {}{who} ({}, {})", recipient.id, recipient.kind, recipient.algorithm), None)
        })
        .collect();
    if layer.recipients.len() > SHOWN {
        found.push(say(format!("… and to {} more", layer.recipients.len().saturating_sub(SHOWN)), None));
    }
    for certificate in &own {
        let who = if certificate.addresses().is_empty() { certificate.to_string() } else { certificate.addresses().join(", ") };
        let serial = certificate.serial_hex();
        found
            .push(say(format!("a key is here of {who}, with the certificate serial {serial} of {}", certificate.issuer()), None));
    }
    found.extend(advice(open, layer, &own).into_iter().map(|(text, fix)| say(text, fix)));
    found
}

/// What to do.
fn advice(open: &Open<'_>, layer: &EncryptedLayer, own: &[&Certificate]) -> Vec<(String, Option<&'static str>)> {
    let has = |kind: &str| layer.recipients.iter().any(|recipient| recipient.kind == kind);
    let mut found = Vec::new();
    if has("pwri") && !open.keys.iter().any(|key| matches!(key, Key::Password(_))) {
        found.push(("a password opens it".to_owned(), Some("sealpost open --passphrase-file FILE MSG")));
    }
    if has("kekri") && !open.keys.iter().any(|key| matches!(key, Key::Kek(_))) {
        found.push(("a key-encryption key opens it".to_owned(), Some("sealpost open --kek FILE MSG")));
    }
    if !(has("ktri") || has("kari") || has("kemri")) {
        return found;
    }
    let own_addresses: Vec<String> = own.iter().flat_map(|certificate| certificate.addresses()).collect();
    let same_person = layer.recipients.iter().flat_map(|recipient| &recipient.addresses).any(|a| email::find(&own_addresses, a));
    let bare = open.keys.iter().any(|key| matches!(key, Key::Private { certificate: None, .. }));
    let text = if same_person {
        "it is encrypted to another certificate of yours than the keys here have – an older or a newer one; bring that key, too"
    } else if own.is_empty() && bare {
        "the key that was given is none of these recipients'"
    } else if own.is_empty() {
        "no private key is here at all; bring yours"
    } else {
        "none of the keys here is named by the message; if one of the recipients is you, bring that key – retired keys still read old mail – else \
         the sender has to send it to you"
    };
    found.push((text.to_owned(), Some("sealpost id import FILE")));
    found
}

/// Recipients that are listed.
const SHOWN: usize = 20;
