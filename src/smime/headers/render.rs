//! What a reader sees of protected header fields (RFC 9788 section 4).

use crate::mime::{Entity, Field, address};
use crate::pki::{ChainStatus, email::Addresses};
use crate::smime::headers::{is_structural, parameter};
use crate::smime::layer;
use crate::smime::sender::Author;
use crate::smime::verdict::{FieldProtection, Layer, ProtectedField, ProtectedHeaders, SignatureStatus};

/// The message around everything, as it arrived: its root and its bytes.
pub(in crate::smime) type Outer<'a> = Option<(&'a Entity, &'a [u8])>;

/// How header fields are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    /// `hp="clear"`: the composer signed and did not encrypt.
    Clear,
    /// `hp="cipher"`: the composer encrypted; HP-Outer says what he showed outside.
    Cipher,
    /// What came before RFC 9788: `protected-headers="v1"`, or a message as the payload (RFC 8551 3.1). What the composer showed
    /// outside is what is outside.
    Older,
}

/// The entity whose header section is protected, and how; `None` where none is.
///
/// Only the root of the payload counts (RFC 9788 4.1); the parameter on a layer or on a part inside says nothing.
fn protecting<'a>(payload: &'a Entity, source: &[u8], outer: Outer<'_>) -> Option<(Scheme, &'a Entity)> {
    if layer::kind(payload, source).is_some() {
        return None;
    }
    if let Some(scheme) = declared(payload) {
        return Some((scheme, payload));
    }
    wrapped(payload, source, outer).map(|inner| (Scheme::Older, inner))
}

/// How the root of a payload says that its header fields are protected.
fn declared(payload: &Entity) -> Option<Scheme> {
    let content_type = payload.content_type();
    match content_type.parameter("hp") {
        Some("clear") => Some(Scheme::Clear),
        Some("cipher") => Some(Scheme::Cipher),
        _ => (content_type.parameter("protected-headers") == Some("v1")).then_some(Scheme::Older),
    }
}

/// Whether the root of a payload says that its header fields are protected.
pub(in crate::smime) fn is_protecting(payload: &Entity) -> bool {
    declared(payload).is_some()
}

/// The message that is the whole payload (RFC 9788 4.10.1). One whose author is another than that of the message around was forwarded.
fn wrapped<'a>(payload: &'a Entity, source: &[u8], outer: Outer<'_>) -> Option<&'a Entity> {
    let [inner] = payload.children() else { return None };
    let is_layer = layer::kind(inner, source).is_some() || inner.content_type().parameter("hp").is_some();
    if !payload.is_message() || is_forwarded(payload) || is_layer {
        return None;
    }
    let (around, around_source) = outer?;
    let (inside, outside) = (author(inner, source)?, author(around, around_source)?);
    is_same(&inside, &outside).then_some(inner)
}

fn is_forwarded(payload: &Entity) -> bool {
    payload.content_type().parameter("forwarded").is_some_and(|value| !value.eq_ignore_ascii_case("no"))
}

/// The entity whose header section a signature over this payload covers; `None` where no header fields are protected.
pub(in crate::smime) fn covered<'a>(payload: &'a Entity, source: &[u8], outer: Outer<'_>) -> Option<&'a Entity> {
    protecting(payload, source, outer).map(|(_, entity)| entity)
}

/// The entity that is the message: the payload, or the message that it wraps.
pub(in crate::smime) fn message_entity<'a>(payload: &'a Entity, source: &[u8], outer: Outer<'_>) -> &'a Entity {
    covered(payload, source, outer).unwrap_or(payload)
}

/// Which fields are protected, how, and which of them the outside does not show (RFC 9788 4.2, 4.3).
pub(in crate::smime) fn protected(payload: &Entity, source: &[u8], outer: Outer<'_>, layers: &[Layer]) -> ProtectedHeaders {
    let mut headers = ProtectedHeaders::default();
    let Some((scheme, entity)) = protecting(payload, source, outer) else { return headers };
    let is_encrypted = layers.iter().any(|layer| matches!(layer, Layer::Encrypted(_)));
    // the word `cipher` on what was not encrypted hides nothing (10.2); encryption that the composer did not mean hides nothing either
    let shown = match scheme {
        Scheme::Cipher if is_encrypted => Some(shown_by_composer(entity, source)),
        Scheme::Older if is_encrypted => Some(outer.map(|(entity, source)| pairs(entity, source)).unwrap_or_default()),
        _ => None,
    };
    let is_signed = !certified(layers).is_empty();
    for field in entity.fields().iter().filter(|field| !is_structural(&field.name) && field.name != "hp-outer") {
        let name = String::from_utf8_lossy(field.name_as_written(source)).into_owned();
        let is_hidden = shown.as_ref().is_some_and(|shown| !shown.contains(&(field.name.clone(), value(field, source))));
        let state = match (is_signed, is_hidden) {
            (true, true) => FieldProtection::SignedAndEncrypted,
            (false, true) => FieldProtection::EncryptedOnly,
            (true, false) => FieldProtection::SignedOnly,
            (false, false) => FieldProtection::Unprotected,
        };
        if is_hidden && !headers.hidden.contains(&name) {
            headers.hidden.push(name.clone());
        }
        if state != FieldProtection::Unprotected && !headers.protected.contains(&name) {
            headers.protected.push(name.clone());
        }
        headers.fields.push(ProtectedField { name, state });
    }
    headers
}

/// The header section of the message that is released, up to and with its empty line: the fields of the payload where it protects them,
/// and what was added on the way; else those outside.
pub(in crate::smime) fn released_header(outer: Outer<'_>, payload: &Entity, source: &[u8], layers: &[Layer]) -> Vec<u8> {
    let covered = covered(payload, source, outer);
    let mut header = Vec::with_capacity(2048);
    if let Some((around, around_source)) = outer {
        let stays = |field: &&Field| covered.is_none_or(|inside| stays_outside(&field.name, inside));
        let fields = around.fields().iter().filter(|field| !is_structural(&field.name) && field.name != "hp-outer");
        fields.filter(stays).for_each(|field| push_field(&mut header, field.raw(around_source)));
    }
    let from_outside = other_from(outer, payload, source, layers).is_some();
    for field in covered.map(Entity::fields).unwrap_or_default() {
        match (field.name.as_str(), outer) {
            (name, _) if is_structural(name) || name == "hp-outer" => {}
            ("from", Some((around, around_source))) if from_outside => {
                let fields = around.fields().iter().filter(|field| field.name == "from");
                fields.for_each(|field| push_field(&mut header, field.raw(around_source)));
            }
            _ => push_field(&mut header, field.raw(source)),
        }
    }
    header.extend_from_slice(b"MIME-Version: 1.0\r\n");
    let message = covered.unwrap_or(payload);
    for field in message.fields().iter().filter(|field| field.name.starts_with("content-")) {
        match field.name.as_str() {
            // what is no longer inside a layer must not say that it is
            "content-type" => header.extend_from_slice(&parameter::without(field.raw(source), NO_LONGER_TRUE)),
            _ => push_field(&mut header, field.raw(source)),
        }
    }
    header.extend_from_slice(b"\r\n");
    header
}

/// Whether a field outside stays beside the protected ones: what was added on the way, and what no message is without where the inside has none.
/// Programs from before RFC 9788 protect some fields only, most of them the Subject alone: then the others stay as they are.
fn stays_outside(name: &str, inside: &Entity) -> bool {
    if inside.field(name).is_some() {
        return false;
    }
    let names_nobody = inside.field("from").is_none() && inside.field("sender").is_none();
    let is_some_of_them = names_nobody && inside.content_type().parameter("protected-headers") == Some("v1");
    let is_author = matches!(name, "from" | "sender");
    is_added_on_the_way(name) || is_some_of_them || matches!(name, "date" | "message-id") || (is_author && names_nobody)
}

/// Parameters that speak of the layers around.
pub(super) const NO_LONGER_TRUE: &[&str] = &["hp", "hp-legacy-display", "protected-headers"];

/// The From outside and the protected one, where they differ and no signer is known to be the protected one (RFC 9788 4.4.2): then the
/// one outside is shown, since that is what servers on the way may have checked.
pub(in crate::smime) fn other_from(
    outer: Outer<'_>,
    payload: &Entity,
    source: &[u8],
    layers: &[Layer],
) -> Option<(String, String)> {
    let (around, around_source) = outer?;
    let inside = covered(payload, source, outer)?;
    let (protected, shown) = (inside.field("from")?, around.field("from")?);
    if protected.unfolded(source) == shown.unfolded(around_source) {
        return None;
    }
    let is_bound = Author::of(inside, source).is_covered_by(&certified(layers)) == Some(true);
    let (a, b) = (author(inside, source).unwrap_or_default(), author(around, around_source).unwrap_or_default());
    (!is_bound && !is_same(&a, &b)).then(|| (shown.unfolded(around_source), protected.unfolded(source)))
}

/// The message that is the whole payload, where the header section around it names no author and so says nothing of a forwarded one: people take
/// its From for that of the message.
pub(in crate::smime) fn shown_as_message<'a>(
    shown: &Entity,
    payload: &'a Entity,
    source: &'a [u8],
) -> Option<(&'a Entity, &'a [u8])> {
    let [inner] = payload.children() else { return None };
    let is_named = shown.field("from").is_some();
    (payload.is_message() && !is_forwarded(payload) && !is_named).then_some((inner, source))
}

/// The addresses of the signers whose signatures fit and whose certificates are trusted.
fn certified(layers: &[Layer]) -> Vec<String> {
    let signers = layers.iter().flat_map(|layer| match layer {
        Layer::Signed(signed) => signed.signers.as_slice(),
        _ => &[],
    });
    let good = signers.filter(|s| s.signature == SignatureStatus::Valid && s.chain == ChainStatus::Trusted);
    good.flat_map(|signer| signer.addresses.clone()).collect()
}

/// The addresses of From; `None` where there is none.
fn author(entity: &Entity, source: &[u8]) -> Option<Vec<String>> {
    let list = address::parse(&entity.field("from")?.unfolded(source));
    let addresses: Vec<String> = list.mailboxes.iter().map(address::Mailbox::address).collect();
    (!addresses.is_empty()).then_some(addresses)
}

fn is_same(a: &[String], b: &[String]) -> bool {
    let (in_a, in_b) = (Addresses::of(a), Addresses::of(b));
    a.iter().all(|address| in_b.contains(address)) && b.iter().all(|address| in_a.contains(address))
}

/// The fields that HP-Outer says the composer put outside: names in lower case, and values (RFC 9788 4.2.1).
fn shown_by_composer(entity: &Entity, source: &[u8]) -> Vec<(String, String)> {
    let records = entity.fields().iter().filter(|field| field.name == "hp-outer");
    let split = |record: &Field| {
        let value = value(record, source);
        let (name, value) = value.split_once(':')?;
        Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
    };
    records.filter_map(split).collect()
}

fn pairs(entity: &Entity, source: &[u8]) -> Vec<(String, String)> {
    entity.fields().iter().map(|field| (field.name.clone(), value(field, source))).collect()
}

/// A value as two copies of it are compared: folded or not, with one blank or two where it was folded.
fn value(field: &Field, source: &[u8]) -> String {
    field.unfolded(source).split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// Fields that no composer can know of (RFC 9788 section 7).
fn is_added_on_the_way(name: &str) -> bool {
    const ADDED: [&str; 12] = [
        "return-path",
        "received",
        "received-spf",
        "delivered-to",
        "x-original-to",
        "envelope-to",
        "authentication-results",
        "dkim-signature",
        "arc-seal",
        "arc-message-signature",
        "arc-authentication-results",
        "archived-at",
    ];
    ADDED.contains(&name) || name.starts_with("list-")
}

/// A field as received; where the header section ends without a line break, one is added.
fn push_field(header: &mut Vec<u8>, raw: &[u8]) {
    header.extend_from_slice(raw);
    if !raw.ends_with(b"\n") {
        header.extend_from_slice(b"\r\n");
    }
}
