//! What is written from any bytes is opened again: signed, encrypted and sealed.

use sealpost::crypto::random::Seeded;
use sealpost::mime;
use sealpost::pki::ChainStatus;
use sealpost::smime::{self, Form, HeaderConfidentiality, Open, SignatureStatus};

use super::cast::{Cast, NOW};
use super::pieces::{Pieces, choice};

/// Takes bytes for a message to write.
pub fn run(bytes: &[u8]) {
    thread_local!(static CAST: Cast = Cast::load());
    CAST.with(|cast| {
        let random = &mut Seeded::new(b"write");
        let open = Open::new(&cast.trust).limits(&cast.limits).known(&cast.known).identity(&cast.carol);
        let form = if choice(bytes) & 16 == 0 { Form::Clear } else { Form::Opaque };
        let sign = smime::Sign::new(&cast.carol).form(form);
        let Ok(signed) = sign.run(bytes, NOW, random) else { return };
        let mut streamed = Vec::new();
        let again = sign.stream(&mut Pieces::new(bytes), NOW, &mut Seeded::new(b"write"), &mut streamed);
        assert!(again.is_ok(), "{again:?}");
        let opened = open.verify(&signed);
        let is_valid = |s: &smime::SignerVerdict| s.signature == SignatureStatus::Valid && s.chain == ChainStatus::Trusted;
        let verdict = opened.verdict();
        assert!(verdict.is_signed() && verdict.signers().all(is_valid), "{verdict:?}\n{}", String::from_utf8_lossy(&signed));
        // the pieces of a structure follow those of the source; what they hold does not
        let again = open.verify(&streamed);
        let content = |opened: &smime::Opened| opened.released().map(|released| released.content().to_vec());
        assert_eq!(content(&opened), content(&again), "held, streamed");
        let to = [cast.carol.certificate().clone()];
        let Ok(sealed) = smime::Seal::new(sign, smime::Encrypt::new(&to)).run(bytes, NOW, random) else { return };
        let opened = open.decrypt(&sealed, random);
        assert!(opened.verdict().is_encrypted() && opened.may_release(), "{:?}", opened.verdict());
        let inside = opened.released().map(|released| released.content().to_vec()).unwrap_or_default();
        let verdict = open.verify(&inside).verdict().clone();
        assert!(verdict.is_signed() && verdict.signers().all(is_valid), "{verdict:?}");
        // hidden fields that the text tells of are left out again
        let told = smime::Encrypt::new(&to).header_confidentiality(HeaderConfidentiality::Shy).legacy_display(true);
        let texts = |encrypt: &smime::Encrypt| {
            let encrypted = encrypt.run(bytes, &mut Seeded::new(b"told")).ok()?;
            let opened = open.decrypt(&encrypted, &mut Seeded::new(b"open"));
            let message = opened.released()?.message();
            let root = mime::parse(&message, &cast.limits).ok()?;
            Some(
                root.walk()
                    .into_iter()
                    .filter(|part| part.children().is_empty())
                    .map(|part| part.decoded_body(&message))
                    .collect(),
            )
        };
        let (plain, told): (Option<Vec<Vec<u8>>>, _) = (texts(&smime::Encrypt::new(&to)), texts(&told));
        assert_eq!(plain, told, "{}", String::from_utf8_lossy(bytes));
    });
}
