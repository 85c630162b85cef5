//! Which command helps, where the whole verdict or the whole message tells more than the place that found it.

use std::io::{self, SeekFrom};

use crate::pki::email;
use crate::smime::finding::{Code, Finding};
use crate::smime::inspect::inspect_stream;
use crate::smime::open::{Layers, Open};
use crate::smime::spool::Input;
use crate::smime::verdict::{EncryptedLayer, Layer, Verdict};

/// Adds to the findings the commands that help.
pub(in crate::smime) fn add(open: &Open<'_>, layers: Layers, verdict: &mut Verdict, message: &mut dyn Input) -> io::Result<()> {
    let closed = verdict.layers.iter().rev().find_map(|layer| match layer {
        Layer::Encrypted(layer) if !layer.recipients.iter().any(|recipient| recipient.used) => Some(layer.clone()),
        _ => None,
    });
    for finding in &mut verdict.findings {
        match (finding.code, finding.fix.as_deref()) {
            (Code::NoKey, Some(BRING_KEY)) => {
                closed.iter().for_each(|layer| to_read(open, layer, finding));
            }
            (Code::NotSigned, None) if layers == Layers::OneSigned && is_encrypted(open, message)? => {
                finding.fix = Some("sealpost open MSG".to_owned());
            }
            (Code::CertificatesOnly, None) => finding.fix = Some("sealpost contact add MSG".to_owned()),
            _ => {}
        }
    }
    Ok(())
}

/// Whether something in the message can be read with a key alone.
fn is_encrypted(open: &Open<'_>, message: &mut dyn Input) -> io::Result<bool> {
    message.seek(SeekFrom::Start(0))?;
    let seen = inspect_stream(message, &open.limits)?;
    Ok(seen.layers.iter().any(|layer| matches!(layer, Layer::Encrypted(_))))
}

/// What opens a layer that stays closed: a certificate that is brought opens no layer for a password alone.
fn to_read(open: &Open<'_>, layer: &EncryptedLayer, finding: &mut Finding) {
    let is_for_none_but = |kinds: &[&str]| layer.recipients.iter().all(|recipient| kinds.contains(&recipient.kind));
    let addresses = layer.recipients.iter().flat_map(|recipient| &recipient.addresses);
    let locked = addresses.into_iter().find(|address| email::find(open.locked, address));
    let (text, fix) = if layer.recipients.is_empty() {
        return;
    } else if let Some(address) = locked {
        (format!("the key of {address} is locked"), "--passphrase-file FILE")
    } else if is_for_none_but(&["kekri"]) {
        ("a key-encryption key opens it".to_owned(), "--kek FILE")
    } else if is_for_none_but(&["pwri", "kekri"]) {
        ("a password opens it".to_owned(), "--passphrase-file FILE")
    } else {
        return;
    };
    finding.text = format!("{} – {text}", finding.text);
    finding.fix = Some(fix.to_owned());
}

/// What is said where nothing more is known.
const BRING_KEY: &str = "sealpost id import FILE";
