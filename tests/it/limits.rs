//! Every bound that a message can reach is reached: refused, and said by name, held and streamed.

use sealpost::asn1::{Tag, encode, oid};
use sealpost::ca::{Authority, MailProfile, Uses};
use sealpost::cms::{self, EnvelopedBuilder, To};
use sealpost::crypto::algorithm::{AlgorithmIdentifier, ContentCipher, DigestAlgorithm, KeyAlgorithm, SignatureAlgorithm};
use sealpost::crypto::key::PrivateKey;
use sealpost::crypto::random::Seeded;
use sealpost::keys::Identity;
use sealpost::limits::Limits;
use sealpost::mime;
use sealpost::pki::TrustAnchors;
use sealpost::smime::{self, Code, Layers, Open, Outcome, Severity, Sign, Trust, Want};
use sealpost::time::Timestamp;

use crate::fuzz::seeds;
use crate::fuzz::targets::cast::Cast;
use crate::fuzz::targets::pieces::Pieces;

fn with(change: impl Fn(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

fn seed(folder: &str, name: &str) -> Vec<u8> {
    let found = seeds::of(folder).into_iter().find(|(known, _)| known == name);
    found.unwrap_or_else(|| panic!("no seed {name}")).1
}

/// Opening ends with this bound: exit 8, whatever else is wrong, and nothing is released.
fn reaches(name: &str, message: &[u8], limits: &Limits) {
    let cast = Cast::load();
    let open = Open::new(&cast.trust).limits(limits).known(&cast.known).identity(&cast.carol).password(&cast.password);
    reaches_with(&open, name, message);
}

fn reaches_with(open: &Open<'_>, name: &str, message: &[u8]) {
    let mut spool = Vec::new();
    let random = &mut Seeded::new(b"limits");
    let streamed = open.stream(&mut Pieces::new(message), Layers::Every, Want::Content, &mut spool, random).expect("memory");
    let held = open.run(message, &mut Seeded::new(b"limits"));
    for (way, opened) in [("streamed", &streamed), ("held", &held)] {
        let findings = &opened.verdict().findings;
        let begin = format!("limit reached: {name} – at most ");
        let is_named = |f: &smime::Finding| f.code == Code::Limit && f.severity == Severity::Error && f.text.contains(&begin);
        assert!(findings.iter().any(is_named), "{name}, {way}: {findings:?}");
        assert_eq!(opened.verdict().outcome(), Outcome::Refused, "{name}, {way}: {findings:?}");
        assert!(!opened.may_release() && opened.released().is_none(), "{name}, {way}");
    }
}

#[test]
fn certificates_that_a_signer_may_want_to_be_written_to_are_bounded() {
    let (random, at) = (&mut Seeded::new(b"many"), Timestamp::parse_rfc3339("2026-06-01T00:00:00Z").expect("a time"));
    let mut authority = |name| Authority::create(name, &["a.example"], KeyAlgorithm::P256, at, random).expect("made").0;
    let (own, stranger) = (authority("Own"), authority("Stranger"));
    let mut issue = |by: &Authority, uses| {
        let key = PrivateKey::generate(KeyAlgorithm::P256, random).expect("a key");
        let profile = MailProfile::new("jane@a.example").uses(uses).days(300);
        let certificate = by.issue(&profile, key.public_key(), at, random).expect("issued");
        (key, certificate)
    };
    let (key, signer) = issue(&own, Uses::Sign);
    // no signature covers the certificates beside it: anybody may put more of them there
    let others = (0..4).map(|_| issue(&stranger, Uses::Encrypt).1);
    let chain = std::iter::once(own.issuing().clone()).chain(others).collect();
    let identity = Identity::new(key, signer, chain).expect("an identity");
    let message = Sign::new(&identity).run(b"From: jane@a.example\r\n\r\nhi\r\n", at, random).expect("signed");
    let trust = Trust::new(TrustAnchors::from_iter([own.root().clone()]), at);
    assert_eq!(Open::new(&trust).verify(&message).verdict().outcome(), Outcome::Good);
    reaches_with(&Open::new(&trust).limits(&with(|limits| limits.signers = 3)), "signers", &message);
}

/// Looking ends with this bound.
fn inspect_reaches(name: &str, message: &[u8], limits: &Limits) {
    let streamed = smime::inspect_stream(&mut Pieces::new(message), limits).expect("memory");
    for seen in [smime::inspect(message, limits), streamed] {
        let begin = format!("limit reached: {name} – at most ");
        let is_named = |f: &smime::Finding| f.code == Code::Limit && f.severity == Severity::Error && f.text.contains(&begin);
        assert!(seen.findings.iter().any(is_named), "{name}: {:?}", seen.findings);
    }
}

#[test]
fn bounds_of_mime_are_named() {
    let parts = seed("mime", "parts.eml");
    let long = format!("Subject: {}", "x".repeat(20_000)).into_bytes();
    let clear = seed("open", "clear.eml");
    let more = String::from_utf8(clear.clone()).expect("ASCII");
    let boundary = more.split("boundary=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a boundary");
    let more =
        more.replace(&format!("--{boundary}--"), &format!("--{boundary}\r\n\r\na\r\n--{boundary}\r\n\r\nb\r\n--{boundary}--"));
    for (name, message, limits) in [
        ("mime depth", &parts, with(|limits| limits.mime_depth = 1)),
        ("mime parts", &parts, with(|limits| limits.mime_parts = 3)),
        ("header bytes", &parts, with(|limits| limits.header_bytes = 100)),
        ("header bytes", &long, with(|limits| limits.header_bytes = 10_000)),
        ("all header bytes", &parts, with(|limits| limits.all_header_bytes = 300)),
        ("header fields", &parts, with(|limits| limits.header_fields = 3)),
    ] {
        reaches(name, message, &limits);
        inspect_reaches(name, message, &limits);
        if name != "all header bytes" {
            let Err(error) = mime::parse(message, &limits) else { panic!("{name}") };
            assert!(error.to_string().starts_with(&format!("limit reached: {name} – at most ")), "{error}");
        }
    }
    // parts behind the signature are counted, too
    reaches("mime parts", more.as_bytes(), &with(|limits| limits.mime_parts = 1));
    reaches("message bytes", &clear, &with(|limits| limits.message_bytes = 1000));
    reaches("header bytes", &clear, &with(|limits| limits.header_bytes = 150));
}

#[test]
fn bounds_of_structures_are_named() {
    let (opaque, gcm, triple) = (seed("open", "opaque.eml"), seed("open", "sealed-gcm.eml"), seed("open", "triple.eml"));
    for (name, message, limits) in [
        ("smime layers", &triple, with(|limits| limits.smime_layers = 1)),
        ("ber depth", &opaque, with(|limits| limits.ber_depth = 3)),
        ("ber value bytes", &opaque, with(|limits| limits.ber_value_bytes = 300)),
        ("structure bytes", &opaque, with(|limits| limits.structure_bytes = 1000)),
        ("structure bytes", &gcm, with(|limits| limits.structure_bytes = 100)),
        ("certificates", &opaque, with(|limits| limits.certificates = 0)),
        ("signers", &opaque, with(|limits| limits.signers = 0)),
        ("attribute bytes", &opaque, with(|limits| limits.attribute_bytes = 10)),
        ("attributes", &opaque, with(|limits| limits.attributes = 3)),
        ("recipients", &gcm, with(|limits| limits.recipients = 1)),
    ] {
        reaches(name, message, &limits);
        // what is encrypted is not seen by those who only look
        if name != "smime layers" {
            inspect_reaches(name, message, &limits);
        }
    }
    // a signer without certificates that count is worse than a bound
    let cast = Cast::load();
    let limits = with(|limits| limits.signer_certificates = 0);
    let opened = Open::new(&cast.trust).limits(&limits).known(&cast.known).run(&opaque, &mut Seeded::new(b"limits"));
    assert!(opened.verdict().has_error(Code::Limit) && !opened.may_release(), "{:?}", opened.verdict().findings);
    reaches("recipient trials", &gcm, &with(|limits| limits.recipient_trials = 0));
}

#[test]
fn layers_that_can_be_seen_are_bounded_by_name() {
    let compressed = seed("open", "compressed.eml");
    inspect_reaches("smime layers", &compressed, &with(|limits| limits.smime_layers = 0));
}

#[test]
fn bounds_of_paths_are_named() {
    let opaque = seed("open", "opaque.eml");
    reaches("path length", &opaque, &with(|limits| limits.path_length = 2));
    reaches("path signature checks", &opaque, &with(|limits| limits.path_signature_checks = 1));
    reaches("name checks", &opaque, &with(|limits| limits.name_checks = 0));
}

#[test]
fn bounds_of_decompression_are_named() {
    let compressed = seed("open", "compressed.eml");
    let limits = with(|limits| limits.decompressed_bytes = 100);
    reaches("decompressed bytes", &compressed, &limits);
    inspect_reaches("decompressed bytes", &compressed, &limits);
    // two layers, neither of which gives too much for what it takes
    let (mut inner, mut nested) = (Vec::new(), Vec::new());
    cms::compress(&mut vec![b' '; 1 << 20].as_slice(), &mut inner).expect("compressed");
    cms::compress(&mut inner.as_slice(), &mut nested).expect("compressed");
    let limits = with(|limits| (limits.decompression_free_bytes, limits.decompression_ratio) = (1000, 2000));
    for (name, message, is_beyond) in [("one", &inner, false), ("two", &nested, true)] {
        let seen = smime::inspect(message, &limits);
        assert_eq!(seen.findings.iter().any(|f| f.code == Code::Limit), is_beyond, "{name}: {:?}", seen.findings);
    }
    reaches("decompression ratio", &nested, &limits);
    inspect_reaches("decompression ratio", &nested, &limits);
    reaches("decompressed bytes", &nested, &with(|limits| limits.decompressed_bytes = 1 << 20));
    let mut bomb = Vec::new();
    let blanks = vec![b' '; 20 << 20];
    cms::compress(&mut blanks.as_slice(), &mut bomb).expect("compressed");
    reaches("decompression ratio", &bomb, &Limits::default());
    inspect_reaches("decompression ratio", &bomb, &Limits::default());
}

/// A structure that Carol signed over the content itself, so that it must be held; her signature does not fit.
fn over_content(content: &[u8], announced: &[DigestAlgorithm]) -> Vec<u8> {
    let carol = Cast::load().carol;
    let id = [carol.certificate().issuer().der().to_vec(), encode::tlv(Tag::INTEGER, carol.certificate().serial())];
    let (sha512, ed25519) = (DigestAlgorithm::Sha512.identifier().to_der(), SignatureAlgorithm::Ed25519.identifier().to_der());
    let signer = [encode::integer_u64(1), encode::sequence(&id), sha512, ed25519, encode::octet_string(&[0; 64])];
    let content = [encode::oid(&oid::ID_DATA), encode::explicit(0, &encode::octet_string(content))];
    let signers = encode::set_of(vec![encode::sequence(&signer)]);
    let announced = announced.iter().map(|digest| digest.identifier().to_der()).collect();
    let data = [encode::integer_u64(1), encode::set_of(announced), encode::sequence(&content), signers];
    encode::sequence(&[encode::oid(&oid::ID_SIGNED_DATA), encode::explicit(0, &encode::sequence(&data))])
}

/// Opening is not ended by a bound.
fn stays_within(message: &[u8], limits: &Limits) {
    let cast = Cast::load();
    let open = Open::new(&cast.trust).limits(limits).known(&cast.known).identity(&cast.carol).password(&cast.password);
    let opened = open.run(message, &mut Seeded::new(b"limits"));
    assert!(!opened.verdict().has_error(Code::Limit), "{:?}", opened.verdict().findings);
}

#[test]
fn content_that_must_be_held_is_bounded_in_all_layers_together() {
    let inner = over_content(&[b'x'; 1000], &[]);
    reaches("held bytes", &inner, &with(|limits| limits.held_bytes = 999));
    stays_within(&inner, &with(|limits| limits.held_bytes = 1000));
    let outer = over_content(&inner, &[]);
    reaches("held bytes", &outer, &with(|limits| limits.held_bytes = 1999));
    stays_within(&outer, &with(|limits| limits.held_bytes = 1000 + inner.len()));
}

/// Every digest that a signer can announce.
const ALL: [DigestAlgorithm; 14] = [
    DigestAlgorithm::Md5,
    DigestAlgorithm::Sha224,
    DigestAlgorithm::Sha3_224,
    DigestAlgorithm::Sha3_256,
    DigestAlgorithm::Sha3_384,
    DigestAlgorithm::Sha3_512,
    DigestAlgorithm::Shake128,
    DigestAlgorithm::Shake256,
    DigestAlgorithm::Sha512_224,
    DigestAlgorithm::Sha512_256,
    DigestAlgorithm::Sha1,
    DigestAlgorithm::Sha256,
    DigestAlgorithm::Sha384,
    DigestAlgorithm::Sha512,
];

#[test]
fn what_layers_take_is_bounded_in_all_passes_together() {
    // a pass with the content and four digests of it, one more with the content held, and it is hashed for the signature
    let most = 2 * 5 * 1000 + 1000;
    for announced in [&[][..], &ALL] {
        let message = over_content(&[b'x'; 1000], announced);
        let limits = |bytes| with(move |limits| (limits.layer_bytes, limits.layer_ratio) = (bytes, 0));
        reaches("layer bytes", &message, &limits(most - 1));
        stays_within(&message, &limits(most));
        // a larger message may take more
        stays_within(&message, &with(|limits| (limits.layer_bytes, limits.layer_ratio) = (0, 11)));
    }
    let mut compressed = Vec::new();
    cms::compress(&mut over_content(&[b'x'; 1000], &[]).as_slice(), &mut compressed).expect("compressed");
    reaches("layer bytes", &compressed, &with(|limits| (limits.layer_bytes, limits.layer_ratio) = (most + 1000, 0)));
    let gcm = seed("open", "sealed-gcm.eml");
    reaches("layer bytes", &gcm, &with(|limits| (limits.layer_bytes, limits.layer_ratio) = (10, 0)));
}

#[test]
fn a_digest_that_one_of_many_signers_could_use_is_computed_when_one_does() {
    let mut names = ALL.map(|digest| digest.micalg()).to_vec();
    names.retain(|name| *name != "sha-256");
    let clear = String::from_utf8(seed("open", "clear.eml")).expect("ASCII").replace("sha-256", &names.join(","));
    let cast = Cast::load();
    let opened = Open::new(&cast.trust).known(&cast.known).verify(clear.as_bytes());
    assert_eq!(opened.verdict().outcome(), Outcome::Good, "{:?}", opened.verdict().findings);
}

#[test]
fn addresses_of_signers_are_bounded_and_few_of_them_are_told() {
    let opaque = seed("open", "opaque.eml");
    reaches("signer addresses", &opaque, &with(|limits| limits.signer_addresses = 0));
    let from: Vec<String> =
        (0..2000).map(|at| format!("\"x{at}@b.example y\u{430}{at}@c.example\" <z\u{430}{at}@d.example>")).collect();
    let header = format!("From: {}\r\nReply-To: {}\r\n", from.join(",\r\n "), from.join(",\r\n ").replace("@d.", "@e."));
    let (cast, random) = (Cast::load(), &mut Seeded::new(b"many"));
    let message = Sign::new(&cast.carol).run(format!("{header}\r\nhi\r\n").as_bytes(), cast.trust.at, random).expect("signed");
    let opened = Open::new(&cast.trust).known(&cast.known).verify(&message);
    let findings = &opened.verdict().findings;
    for (code, most) in [(Code::MisleadingName, 2), (Code::ReplyElsewhere, 1), (Code::FromMismatch, 2)] {
        let found: Vec<_> = findings.iter().filter(|finding| finding.code == code).collect();
        assert!((1..=most).contains(&found.len()), "{code:?}: {found:?}");
        assert!(found.iter().all(|finding| finding.text.contains(" more") && finding.text.len() < 500), "{found:?}");
    }
}

/// A message to a password of so many rounds, to so many recipients.
fn to_password(rounds: u64, recipients: usize) -> Vec<u8> {
    to_passwords(rounds, &vec![1; recipients], DigestAlgorithm::Sha1)
}

/// The same, with the salts of the recipients.
fn to_passwords(rounds: u64, salts: &[u8], digest: DigestAlgorithm) -> Vec<u8> {
    let recipients: Vec<u8> = salts.iter().flat_map(|salt| password_recipient(rounds, *salt, digest)).collect();
    let cipher = encode::sequence(&[encode::oid(&oid::AES256_CBC), encode::octet_string(&[0; 16])]);
    let content = [encode::oid(&oid::ID_DATA), cipher, encode::tlv(Tag::context(0), &[2; 64])];
    let data = [encode::integer_u64(3), encode::tlv(Tag::SET, &recipients), encode::sequence(&content)];
    encode::sequence(&[encode::oid(&oid::ID_ENVELOPED_DATA), encode::explicit(0, &encode::sequence(&data))])
}

fn password_recipient(rounds: u64, salt: u8, digest: DigestAlgorithm) -> Vec<u8> {
    let mut parameters = vec![encode::octet_string(&[salt; 8]), encode::integer_u64(rounds)];
    if digest == DigestAlgorithm::Sha512 {
        parameters.push(AlgorithmIdentifier::bare(oid::HMAC_SHA512).to_der());
    }
    let derivation = AlgorithmIdentifier { oid: oid::PBKDF2, parameters: Some(encode::sequence(&parameters)) };
    let derivation = derivation.to_der();
    let content = derivation.get(2..).expect("short");
    let cipher = encode::sequence(&[encode::oid(&oid::AES256_CBC), encode::octet_string(&[0; 16])]);
    let wrap = encode::sequence(&[encode::oid(&oid::PWRI_KEK), cipher]);
    let inner =
        [encode::integer_u64(0), encode::implicit(0, &encode::sequence(&[content])), wrap, encode::octet_string(&[1; 48])];
    encode::implicit(3, &encode::sequence(&inner))
}

#[test]
fn rounds_of_a_password_are_bounded_and_so_are_passwords() {
    reaches("kdf iterations", &to_password(12_000_001, 1), &Limits::default());
    let limits = with(|limits| limits.kdf_iterations = 1000);
    // each block of SHA-1 takes all rounds
    stays_within(&to_passwords(250, &[1, 2], DigestAlgorithm::Sha1), &limits);
    reaches("kdf iterations", &to_passwords(250, &[1, 2, 3], DigestAlgorithm::Sha1), &limits);
    // the same key is derived once
    stays_within(&to_passwords(500, &[1, 1, 1], DigestAlgorithm::Sha1), &limits);
    stays_within(&to_passwords(500, &[1], DigestAlgorithm::Sha512), &limits);
    reaches("kdf iterations", &to_passwords(501, &[1], DigestAlgorithm::Sha512), &limits);
    reaches("recipient trials", &to_password(1, 5), &Limits::default());
}

#[test]
fn passes_and_what_they_read_are_bounded() {
    // a digest that the message does not announce takes another pass
    let clear = String::from_utf8(seed("open", "clear.eml")).expect("ASCII").replace("sha-256", "sha-512");
    reaches("passes", clear.as_bytes(), &with(|limits| limits.passes = 1));
    // a key without certificate is tried on every recipient, a pass for each
    let cast = Cast::load();
    let empty = EnvelopedBuilder::new(ContentCipher::Aes128Cbc);
    let builder = (0..8).fold(empty, |builder, _| builder.recipient(To::new(cast.bob.certificate())));
    let mut message = Vec::new();
    builder.encrypt(&mut seed("mime", "letter.eml").as_slice(), &mut message, &mut Seeded::new(b"eight")).expect("encrypted");
    let limits = with(|limits| limits.reread_bytes = 5_000);
    let open = Open::new(&cast.trust).limits(&limits).key(cast.alice.private_key());
    reaches_with(&open, "reread bytes", &message);
    // and within the bounds it is what it is: not for him
    let open = Open::new(&cast.trust).key(cast.alice.private_key());
    let verdict = open.run(&message, &mut Seeded::new(b"eight")).verdict().clone();
    assert!(!verdict.has_error(Code::Limit), "{:?}", verdict.findings);
}

/// Messages with levels of MIME in each of some compressed layers.
fn deep(layers: usize, levels: usize) -> Vec<u8> {
    let mut message = b"Content-Type: text/plain\r\n\r\nx\r\n".to_vec();
    for layer in 0..layers {
        let mut zipped = Vec::new();
        cms::compress(&mut message.as_slice(), &mut zipped).expect("compressed");
        let head =
            "Content-Type: application/pkcs7-mime; smime-type=compressed-data\r\nContent-Transfer-Encoding: base64\r\n\r\n";
        message = [head.as_bytes(), &mime::transfer::encode_base64(&zipped)].concat();
        for level in 0..levels {
            let boundary = format!("b{layer}.{level}");
            let head = format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n");
            message = [head.as_bytes(), &message, format!("\r\n--{boundary}--\r\n").as_bytes()].concat();
        }
    }
    message
}

/// Levels count through the layers: the stack does not end before the bound does.
#[test]
fn the_deepest_message_ends_with_a_finding() {
    let limits = Limits::default();
    let cast = Cast::load();
    for (layers, levels) in [(1, 99), (9, 11), (9, 99), (1, 101)] {
        let message = deep(layers, levels);
        let seen = smime::inspect(&message, &limits);
        let is_beyond = layers * levels > limits.mime_depth;
        let text = "limit reached: mime depth – at most 100";
        assert_eq!(seen.findings.iter().any(|f| f.text == text), is_beyond, "{layers} × {levels}: {:?}", seen.findings);
        assert_eq!(seen.layers.len() == layers, !is_beyond, "{layers} × {levels}");
        let opened = Open::new(&cast.trust).run(&message, &mut Seeded::new(b"deep"));
        assert!(!opened.verdict().is_signed() && !opened.verdict().is_encrypted(), "{layers} × {levels}");
    }
}
