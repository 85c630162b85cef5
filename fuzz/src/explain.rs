//! `explain` never makes a verdict better, and ends.

use sealpost::crypto::random::Seeded;
use sealpost::smime::{Open, Outcome};

use super::cast::Cast;

/// Explains bytes.
pub fn run(bytes: &[u8]) {
    thread_local!(static CAST: Cast = Cast::load());
    CAST.with(|cast| {
        let open = Open::new(&cast.trust).limits(&cast.limits).known(&cast.known).identity(&cast.carol);
        let opened = open.run(bytes, &mut Seeded::new(b"explain"));
        let explained = open.explain(bytes, &mut Seeded::new(b"explain"));
        assert_eq!(format!("{:?}", opened.verdict()), format!("{:?}", explained.verdict));
        for explanation in &explained.explanations {
            assert!(!explanation.text.is_empty(), "an explanation says nothing");
        }
        let is_good = explained.verdict.outcome() == Outcome::Good;
        assert!(!is_good || explained.explanations.iter().all(|e| e.change.is_none()), "a good message was changed");
    });
}
