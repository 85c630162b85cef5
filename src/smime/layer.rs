//! Which part of a message is S/MIME, and in what form it came.

use crate::cms::{self, Content, RecipientKind};
use crate::limits::Limits;
use crate::mime::{self, Entity};

/// The form of what was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::smime) enum Input {
    /// A MIME message or entity.
    Message(Vec<u8>),
    /// A bare cryptographic message, in BER.
    Cms(Vec<u8>),
}

/// Looks what was given: PEM, DER or BER, base64 alone, else a message.
pub(in crate::smime) fn detect(bytes: &[u8]) -> Input {
    let is_cms = |bytes: &[u8]| cms::looks_like(bytes);
    if is_cms(bytes) {
        return Input::Cms(bytes.to_vec());
    }
    if let Some(der) = cms::from_pem(bytes) {
        return Input::Cms(der);
    }
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || byte.is_ascii_whitespace() || matches!(byte, b'+' | b'/' | b'=');
    if bytes.first().is_some_and(|first| matches!(first, b'M')) && bytes.iter().all(is_base64) {
        let decoded = mime::transfer::decode_base64(bytes);
        if is_cms(&decoded) {
            return Input::Cms(decoded);
        }
    }
    Input::Message(bytes.to_vec())
}

/// How an entity is S/MIME.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::smime) enum Kind {
    /// multipart/signed with a PKCS#7 signature.
    ClearSigned,
    /// A CMS structure, encoded.
    Opaque,
}

/// How an entity is S/MIME, if it is.
pub(in crate::smime) fn kind(entity: &Entity, source: &[u8]) -> Option<Kind> {
    let content_type = entity.content_type();
    if content_type.is("multipart", "signed") {
        let protocol = content_type.parameter("protocol").unwrap_or_default().to_ascii_lowercase();
        let by_part = || entity.children().get(1).is_some_and(|second| is_signature(second, source));
        return (is_pkcs7_signature(&protocol) || by_part()).then_some(Kind::ClearSigned);
    }
    let subtype = content_type.subtype.as_str();
    if content_type.kind == "application" && matches!(subtype, "pkcs7-mime" | "x-pkcs7-mime") {
        return Some(Kind::Opaque);
    }
    // by file name only, as old gateways write it (RFC 8551 3.9)
    let by_name = content_type.kind == "application" && matches!(subtype, "octet-stream" | "pkcs7" | "x-pkcs7");
    let name = entity.file_name(source).unwrap_or_default().to_ascii_lowercase();
    (by_name && (name.ends_with(".p7m") || name.ends_with(".p7c"))).then_some(Kind::Opaque)
}

fn is_signature(part: &Entity, source: &[u8]) -> bool {
    is_pkcs7_signature(&part.content_type().essence())
        || part.file_name(source).is_some_and(|name| name.to_ascii_lowercase().ends_with(".p7s"))
}

fn is_pkcs7_signature(essence: &str) -> bool {
    matches!(essence, "application/pkcs7-signature" | "application/x-pkcs7-signature")
}

/// What reading a message will need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// A private key: some part is encrypted to certificates.
    pub private_key: bool,
    /// A password: some part is encrypted with one.
    pub password: bool,
}

/// Looks, without keys, what reading the outermost layer will need.
pub fn needs(message: &[u8], limits: &Limits) -> Needs {
    let bodies = match detect(message) {
        Input::Cms(cms) => vec![cms],
        Input::Message(source) => match mime::parse(&source, limits) {
            Ok(root) => {
                let opaque = root.walk().into_iter().filter(|e| kind(e, &source) == Some(Kind::Opaque));
                opaque.map(|e| e.decoded_body(&source)).collect()
            }
            Err(_) => Vec::new(),
        },
    };
    let mut needs = Needs::default();
    for body in bodies {
        match cms::open(body.as_slice(), limits) {
            Ok(Content::Enveloped(reader)) => {
                for recipient in reader.recipients() {
                    match recipient.kind {
                        RecipientKind::Password { .. } => needs.password = true,
                        RecipientKind::Transport(_) | RecipientKind::Agreement { .. } => needs.private_key = true,
                        _ => {}
                    }
                }
            }
            // what is signed outside may be encrypted inside
            Ok(Content::Signed(_)) => needs.private_key = true,
            _ => {}
        }
    }
    needs
}
