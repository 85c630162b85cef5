//! The tree of a message that is held, and the walk over one that streams, see the same parts.

use std::collections::BTreeMap;

use sealpost::crypto::algorithm::DigestAlgorithm;
use sealpost::crypto::digest;
use sealpost::limits::Limits;
use sealpost::mime::{self, Entity};
use sealpost::smime::{self, Code, Part};
use sealpost::time::Timestamp;

use super::pieces::{Pieces, choice};

/// Reads bytes as a message, in every way there is.
pub fn run(bytes: &[u8]) {
    let limits = limits(bytes);
    trees_are_the_same(bytes, &limits);
    what_is_made_safe_is_safe(bytes, &limits);
    let view = mime::view::view(bytes);
    assert_eq!(mime::view::terminal_safe(&view.subject), view.subject, "a subject is not safe for a terminal");
    let _ = mime::address::parse(&String::from_utf8_lossy(bytes));
    let _ = mime::submission::Submission::of(bytes, Timestamp::from_unix(0), |_| "1@x".to_owned(), &limits);
}

/// The usual bounds, and for some bytes such as are reached.
fn limits(bytes: &[u8]) -> Limits {
    let mut limits = Limits::default();
    if choice(bytes).is_multiple_of(4) {
        (limits.mime_depth, limits.mime_parts, limits.header_bytes, limits.header_fields) = (3, 6, 600, 8);
    }
    limits
}

fn trees_are_the_same(bytes: &[u8], limits: &Limits) {
    let seen = smime::inspect_stream(&mut Pieces::new(bytes), limits).expect("memory does not fail");
    if !seen.is_message {
        return;
    }
    let tree = match mime::parse(bytes, limits) {
        Ok(tree) => tree,
        Err(error) => {
            assert!(matches!(error, mime::Error::Limit(_)), "{error}");
            let is_limit = seen.findings.iter().any(|finding| finding.code == Code::Limit);
            // what a signature or a structure holds beside what it should is not walked
            assert!(
                is_limit || seen.layers.len() + seen.certificates.len() > 0 || has_opaque(&seen.parts),
                "held: {error}; streamed: {seen:?}"
            );
            return;
        }
    };
    if seen.findings.iter().any(|finding| finding.code == Code::Limit) {
        return;
    }
    let held: BTreeMap<String, &Entity> = tree.walk().into_iter().map(|entity| (entity.path(), entity)).collect();
    let streamed: BTreeMap<String, Part> = seen.parts.into_iter().map(|part| (part.path.clone(), part)).collect();
    for (path, part) in &streamed {
        let entity = held.get(path).unwrap_or_else(|| panic!("part {path} is streamed, not held"));
        let is_pem = entity.decoded_body(bytes).trim_ascii_start().starts_with(b"-----BEGIN ");
        let is_taken = is_closed(part) && (is_pem || structures_of(entity, bytes).contains(part));
        assert!(is_taken || *part == part_of(entity, bytes), "streamed: {part:?}, held: {:?}", part_of(entity, bytes));
    }
    for path in held.keys() {
        let is_inside = |outer: &&Part| path.starts_with(&format!("{}.", outer.path)) && is_closed(outer);
        assert!(
            streamed.contains_key(path) || streamed.values().any(|outer| is_inside(&outer)),
            "part {path} is held, not streamed"
        );
    }
}

/// Whether a part may be taken for a structure: by its type, its name, or its place.
fn is_closed(part: &Part) -> bool {
    let name = part.name.as_deref().unwrap_or_default().to_ascii_lowercase();
    let is_named = [".p7m", ".p7z", ".p7c", ".p7s"].iter().any(|end| name.ends_with(end));
    is_named || part.content_type.starts_with("application/") || part.path.ends_with('2')
}

fn has_opaque(parts: &[Part]) -> bool {
    parts.iter().any(is_closed)
}

fn part_of(entity: &Entity, bytes: &[u8]) -> Part {
    let has_parts = entity.content_type().is_multipart() && entity.content_type().parameter("boundary").is_some();
    part_with(entity, bytes, &if has_parts { entity.body(bytes).to_vec() } else { entity.decoded_body(bytes) })
}

/// What may be taken for a structure: the body as its header says, were it a multipart, and as base64 where the header says nothing.
fn structures_of(entity: &Entity, bytes: &[u8]) -> Vec<Part> {
    let mut found = vec![part_with(entity, bytes, &entity.decoded_body(bytes))];
    if entity.transfer_encoding().is_identity() {
        found.push(part_with(entity, bytes, &mime::transfer::decode_base64(entity.body(bytes))));
    }
    found
}

fn part_with(entity: &Entity, bytes: &[u8], body: &[u8]) -> Part {
    Part {
        path: entity.path(),
        content_type: entity.content_type().essence(),
        name: entity.file_name(bytes),
        size: body.len() as u64,
        sha256: digest::of(DigestAlgorithm::Sha256, body),
    }
}

fn what_is_made_safe_is_safe(bytes: &[u8], limits: &Limits) {
    let Ok(safe) = mime::canonical::to_safe(bytes, limits) else { return };
    // what is kept verbatim may be unsafe: it was signed by somebody
    if !mime::canonical::is_safe(&safe) {
        return;
    }
    let Ok(again) = mime::canonical::to_safe(&safe, limits) else { return };
    assert!(mime::canonical::is_safe(&again), "what is safe was made unsafe");
    if let (Ok(one), Ok(two)) = (mime::parse(&safe, limits), mime::parse(&again, limits)) {
        let leaves = |tree: &Entity, source: &[u8]| -> Vec<Vec<u8>> {
            tree.walk().iter().filter(|e| e.children().is_empty()).map(|e| e.decoded_body(source)).collect()
        };
        assert_eq!(leaves(&one, &safe), leaves(&two, &again), "what is safe has another content");
    }
}
