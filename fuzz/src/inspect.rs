//! `inspect` says the same whatever the pieces.

use sealpost::limits::Limits;
use sealpost::smime;

use super::pieces::{Pieces, choice};

/// Looks into bytes, held and streamed.
pub fn run(bytes: &[u8]) {
    let mut limits = Limits::default();
    if choice(bytes).is_multiple_of(4) {
        (limits.mime_depth, limits.mime_parts, limits.smime_layers, limits.ber_depth) = (4, 8, 2, 9);
        (limits.signers, limits.recipients, limits.certificates, limits.attributes) = (1, 1, 2, 5);
        (limits.ber_value_bytes, limits.attribute_bytes, limits.decompressed_bytes) = (1500, 150, 700);
    }
    let held = smime::inspect(bytes, &limits);
    let streamed = smime::inspect_stream(&mut Pieces::new(bytes), &limits).expect("memory does not fail");
    assert_eq!(format!("{held:?}"), format!("{streamed:?}"));
    assert!(held.layers.len() <= limits.smime_layers, "more layers than the bound");
    assert!(held.parts.len() <= limits.mime_parts, "more parts than the bound");
}
