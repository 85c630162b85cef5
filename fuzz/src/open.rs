//! Opening says and gives the same whatever the pieces, gives nothing where the outcome is bad, and verifies nothing that nobody signed.

use std::collections::BTreeSet;
use std::io::Cursor;

use sealpost::crypto::random::Seeded;
use sealpost::pki::ChainStatus;
use sealpost::smime::{Layers, Open, Opened, Outcome, SignatureStatus, Want};

use super::cast::Cast;
use super::pieces::{Pieces, choice};

/// What the cast ever signed: whatever is verified is the content of one of these.
const SIGNED: &[&[u8]] = &[
    include_bytes!("../seeds/open/clear.eml"),
    include_bytes!("../seeds/open/opaque.eml"),
    include_bytes!("../seeds/open/sealed.eml"),
    include_bytes!("../seeds/open/sealed-gcm.eml"),
    include_bytes!("../seeds/open/triple.eml"),
    include_bytes!("../seeds/open/compressed.eml"),
];

struct Stage {
    cast: Cast,
    signed: BTreeSet<Vec<u8>>,
}

impl Stage {
    fn build() -> Self {
        let cast = Cast::load();
        let content = |message: &&[u8]| {
            let opened = opener(&cast).run(message, &mut Seeded::new(b"open"));
            opened
                .into_verified()
                .unwrap_or_else(|verdict| panic!("a seed is not verified: {verdict:?}"))
                .get()
                .content()
                .to_vec()
        };
        let signed = SIGNED.iter().map(content).collect();
        Self { cast, signed }
    }
}

fn opener(cast: &Cast) -> Open<'_> {
    let open = Open::new(&cast.trust).limits(&cast.limits).known(&cast.known);
    open.identity(&cast.bob).identity(&cast.carol).key(cast.alice.private_key()).password(&cast.password).kek(&cast.kek)
}

/// Opens bytes in every way there is.
pub fn run(bytes: &[u8]) {
    thread_local!(static STAGE: Stage = Stage::build());
    STAGE.with(|stage| {
        let open = opener(&stage.cast);
        let held = open.run(bytes, &mut Seeded::new(b"open"));
        check(&held);
        same(&held, &open, bytes, Layers::Every, Want::Content);
        match choice(bytes) >> 8 & 7 {
            0 => same(&held, &open, bytes, Layers::Every, Want::Message),
            1 => same(&held, &open, bytes, Layers::Every, Want::Nothing),
            2 => same(&open.verify(bytes), &open, bytes, Layers::OneSigned, Want::Content),
            3 => same(&open.decrypt(bytes, &mut Seeded::new(b"open")), &open, bytes, Layers::OneEncrypted, Want::Content),
            4 => detached(&open, b"some content\n", bytes),
            5 => {
                let half = bytes.len() / 2;
                detached(&open, &bytes[..half], &bytes[half..]);
            }
            _ => {}
        }
        if let Ok(verified) = held.into_verified() {
            let is_valid =
                verified.signers().iter().all(|s| s.signature == SignatureStatus::Valid && s.chain == ChainStatus::Trusted);
            assert!(is_valid && !verified.signers().is_empty(), "verified without a good signer");
            assert!(stage.signed.contains(verified.get().content()), "something that nobody signed is verified");
        }
    });
}

/// What always holds of an opening.
fn check(opened: &Opened) {
    let verdict = opened.verdict();
    if verdict.outcome() == Outcome::Good {
        assert!(opened.may_release(), "good, and not whole");
        assert!(!verdict.layers.is_empty(), "good without a layer");
        let is_good = verdict.signers().all(|signer| signer.signature == SignatureStatus::Valid);
        assert!(is_good, "good with a signature that is not");
        return;
    }
    assert!(!opened.may_release() && opened.released().is_none(), "released with an error");
    assert!(verdict.findings.iter().any(|finding| !finding.text.is_empty()), "nothing is said");
}

fn same(held: &Opened, open: &Open<'_>, bytes: &[u8], layers: Layers, want: Want) {
    check(held);
    let mut spool = Vec::new();
    let random = &mut Seeded::new(b"open");
    let streamed = open.stream(&mut Pieces::new(bytes), layers, want, &mut spool, random).expect("memory does not fail");
    check(&streamed);
    assert_eq!(format!("{:?}", held.verdict()), format!("{:?}", streamed.verdict()), "held, streamed");
    let Some(released) = held.released() else { return };
    match want {
        Want::Message => assert_eq!(released.message(), spool),
        Want::Content => assert_eq!(released.content(), spool),
        Want::Nothing => assert!(spool.is_empty(), "what nobody wants is in the spool"),
    }
}

fn detached(open: &Open<'_>, content: &[u8], signature: &[u8]) {
    let held = open.verify_detached(content, signature);
    check(&held);
    let mut spool = Vec::new();
    let streamed = open.stream_detached(&mut Pieces::new(content), signature, &mut spool).expect("memory does not fail");
    assert_eq!(format!("{:?}", held.verdict()), format!("{:?}", streamed.verdict()), "held, streamed");
    if let Some(released) = held.released() {
        assert_eq!(released.content(), spool);
    }
    let mut again = Vec::new();
    let streamed = open.stream_detached(&mut Cursor::new(content), signature, &mut again).expect("memory does not fail");
    assert_eq!(held.may_release(), streamed.may_release());
}
