//! Chains drawn by lot: most are sound, and each rule of a path is broken in some.

use sealpost::asn1::{Oid, Tag, encode, oid};
use sealpost::crypto::algorithm::{DigestAlgorithm, KeyAlgorithm, SignatureAlgorithm};
use sealpost::crypto::digest;
use sealpost::crypto::key::PrivateKey;
use sealpost::crypto::random::Seeded;
use sealpost::crypto::signature::{self, Input};
use sealpost::time::Timestamp;

/// The moment for which everything is judged: 2026-06-01.
pub(super) const AT: i64 = 1_780_272_000;

/// A source of lots: the same seed draws the same.
pub(super) struct Lots(u64);

impl Lots {
    pub(super) fn new(seed: u64) -> Self {
        let mut lots = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5ea1);
        for _ in 0..4 {
            lots.below(2);
        }
        lots
    }

    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    /// True once in so many.
    fn once_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()].clone()
    }
}

/// The keys that all chains share; making them is slow.
pub(super) struct Keys(Vec<PrivateKey>);

impl Keys {
    pub(super) fn new() -> Self {
        let random = &mut Seeded::new(b"oracles");
        Self((0..6).map(|_| PrivateKey::generate(KeyAlgorithm::P256, random).unwrap()).collect())
    }
}

/// An extension before it is encoded.
#[derive(Clone)]
struct Extension {
    oid: Oid,
    critical: bool,
    value: Vec<u8>,
}

/// A certificate before it is signed.
struct Draft {
    version: u64,
    serial: Vec<u8>,
    issuer: Vec<u8>,
    subject: Vec<u8>,
    dates: (Timestamp, Timestamp),
    key: usize,
    extensions: Vec<Extension>,
}

/// A chain: the anchor, those between from the anchor down, the leaf; what was broken on the way, in words.
pub(super) struct Chain {
    pub(super) anchor: Vec<u8>,
    pub(super) between: Vec<Vec<u8>>,
    pub(super) leaf: Vec<u8>,
    pub(super) broken: Vec<String>,
}

fn new_oid() -> Oid {
    Oid::from_dotted("1.3.6.1.4.1.55738.77").unwrap()
}

/// A name of these attributes, in UTF-8 strings.
fn name(attributes: &[(Oid, &str)]) -> Vec<u8> {
    let one = |(oid, text): &(Oid, &str)| encode::tlv(Tag::SET, &encode::sequence(&[encode::oid(oid), encode::utf8(text)]));
    encode::sequence(&attributes.iter().map(one).collect::<Vec<_>>())
}

fn person(organization: &str, common: &str) -> Vec<u8> {
    name(&[(oid::ORGANIZATION, organization), (oid::COMMON_NAME, common)])
}

fn key_id(key: &PrivateKey) -> Vec<u8> {
    digest::of(DigestAlgorithm::Sha1, key.public_key().key_bits())
}

/// The general names that certificates of the lottery speak for.
fn general_name(lots: &mut Lots) -> Vec<u8> {
    let mails = [
        "jane@a.example",
        "jane@a.example",
        "jane@a.example",
        "JANE@A.EXAMPLE",
        "jane@sub.a.example",
        "bob@b.example",
        "bob@xa.example",
        "jane",
        "@a.example",
        "jane@a.example.",
    ];
    let hosts = ["a.example", "www.a.example", "b.example", "WWW.A.EXAMPLE", "xa.example", "*.a.example"];
    let places = ["http://a.example/x", "http://www.a.example/x", "https://b.example:8443/", "http://A.EXAMPLE", "urn:x:y"];
    match lots.below(10) {
        0 => encode::implicit(2, &encode::ia5(lots.pick(&hosts))),
        1 => encode::implicit(6, &encode::ia5(lots.pick(&places))),
        2 => encode::tlv(Tag::context(7), lots.pick(&[&[10, 1, 2, 3][..], &[192, 168, 0, 1], &[10, 1, 2, 3, 4]])),
        3 => encode::explicit(4, &person(lots.pick(&["A", "a", "B"]), "Somebody")),
        _ => encode::implicit(1, &encode::ia5(lots.pick(&mails))),
    }
}

/// What an authority may be bound to.
fn subtree(lots: &mut Lots) -> Vec<u8> {
    let mails = ["a.example", "a.example", ".a.example", "jane@a.example", "A.EXAMPLE", "b.example", "example", "sub.a.example"];
    let hosts = ["a.example", "", "b.example", "www.a.example", "A.EXAMPLE", ".a.example"];
    let places = ["a.example", ".a.example", "www.a.example", "b.example"];
    let base = match lots.below(8) {
        0 => encode::implicit(2, &encode::ia5(lots.pick(&hosts))),
        1 => encode::implicit(6, &encode::ia5(lots.pick(&places))),
        2 => {
            let nets = [&[10, 0, 0, 0, 255, 0, 0, 0][..], &[192, 168, 0, 0, 255, 255, 0, 0], &[10, 1, 2, 3, 255, 255, 255, 255]];
            encode::tlv(Tag::context(7), lots.pick(&nets))
        }
        3 => encode::explicit(4, &name(&[(oid::ORGANIZATION, lots.pick(&["A", "a", "B"]))])),
        _ => encode::implicit(1, &encode::ia5(lots.pick(&mails))),
    };
    encode::sequence(&[base])
}

fn constraints(lots: &mut Lots) -> Vec<u8> {
    let some = |lots: &mut Lots, number: u32| {
        let trees: Vec<Vec<u8>> = (0..=lots.below(3)).map(|_| subtree(lots)).collect();
        encode::implicit(number, &encode::sequence(&trees))
    };
    match lots.below(4) {
        0 => encode::sequence(&[some(lots, 1)]),
        1 => encode::sequence(&[some(lots, 0), some(lots, 1)]),
        _ => encode::sequence(&[some(lots, 0)]),
    }
}

fn usages(of: &[Oid]) -> Vec<u8> {
    encode::sequence(&of.iter().map(encode::oid).collect::<Vec<_>>())
}

impl Draft {
    fn dated(lots: &mut Lots, issuer: Vec<u8>, subject: Vec<u8>, key: usize) -> Self {
        let at = Timestamp::from_unix(AT);
        let serial = (0..8).map(|_| u8::try_from(lots.below(256)).unwrap()).collect::<Vec<u8>>();
        let serial = [&[0x41][..], &serial].concat();
        Self { version: 2, serial, issuer, subject, dates: (at.plus_days(-100), at.plus_days(100)), key, extensions: Vec::new() }
    }

    fn add(&mut self, oid: Oid, critical: bool, value: Vec<u8>) {
        self.extensions.push(Extension { oid, critical, value });
    }

    fn remove(&mut self, oid: Oid) {
        self.extensions.retain(|extension| extension.oid != oid);
    }

    fn replace(&mut self, oid: Oid, critical: bool, value: Vec<u8>) {
        self.remove(oid);
        self.add(oid, critical, value);
    }

    fn authority(&mut self, lots: &mut Lots, below: u64) {
        let limit = if lots.once_in(4) { encode::integer_u64(below + lots.below(2)) } else { Vec::new() };
        self.add(oid::BASIC_CONSTRAINTS, true, encode::sequence(&[encode::boolean(true), limit]));
        self.add(oid::KEY_USAGE, true, encode::named_bits(&[5, 6]));
        if lots.once_in(3) {
            self.add(oid::EXTENDED_KEY_USAGE, false, usages(&[oid::EMAIL_PROTECTION]));
        }
        if lots.once_in(3) {
            self.add(oid::NAME_CONSTRAINTS, true, constraints(lots));
        }
    }

    fn leaf(&mut self, lots: &mut Lots) {
        self.add(oid::KEY_USAGE, true, encode::named_bits(lots.pick(&[&[0, 4][..], &[0], &[1]])));
        self.add(oid::EXTENDED_KEY_USAGE, false, usages(&[oid::EMAIL_PROTECTION]));
        let names: Vec<Vec<u8>> = (0..=lots.below(2)).map(|_| general_name(lots)).collect();
        self.add(oid::SUBJECT_ALT_NAME, false, encode::sequence(&names));
        if lots.once_in(5) {
            self.add(oid::BASIC_CONSTRAINTS, false, encode::sequence(&[Vec::<u8>::new()]));
        }
    }

    fn identify(&mut self, own: &PrivateKey, issuer: &PrivateKey) {
        self.add(oid::SUBJECT_KEY_IDENTIFIER, false, encode::octet_string(&key_id(own)));
        self.add(oid::AUTHORITY_KEY_IDENTIFIER, false, encode::sequence(&[encode::tlv(Tag::context(0), &key_id(issuer))]));
    }

    /// Breaks one rule, or changes what no rule forbids; says which.
    fn mutate(&mut self, lots: &mut Lots, is_leaf: bool) -> &'static str {
        let at = Timestamp::from_unix(AT);
        match lots.below(24) {
            0 => {
                self.dates.1 = at.plus_seconds(lots.pick(&[-1, 0, 1, -86_400]));
                "end"
            }
            1 => {
                self.dates.0 = at.plus_seconds(lots.pick(&[-1, 0, 1, 86_400]));
                "begin"
            }
            2 => {
                self.issuer = person("A", "Nobody");
                "issuer"
            }
            3 => {
                self.subject = lots.pick(&[name(&[]), person("A", "Another"), name(&[(oid::COMMON_NAME, "jane@b.example")])]);
                "subject"
            }
            4 => {
                self.remove(oid::BASIC_CONSTRAINTS);
                "no basic constraints"
            }
            5 => {
                let not = encode::sequence(&[encode::boolean(false)]);
                let bare = encode::sequence(&[encode::boolean(true), encode::integer_u64(0)]);
                let value = lots.pick(&[encode::sequence(&[Vec::<u8>::new()]), not, bare]);
                let critical = lots.once_in(2);
                self.replace(oid::BASIC_CONSTRAINTS, critical, value);
                "basic constraints"
            }
            6 => {
                self.remove(oid::KEY_USAGE);
                "no key usage"
            }
            7 => {
                let bits = lots.pick(&[&[0][..], &[2], &[4], &[5], &[6], &[0, 5], &[]]);
                self.replace(oid::KEY_USAGE, true, encode::named_bits(bits));
                "key usage"
            }
            8 => {
                self.remove(oid::EXTENDED_KEY_USAGE);
                "no extended key usage"
            }
            9 => {
                let wanted = [
                    usages(&[oid::SERVER_AUTH]),
                    usages(&[oid::ANY_EXTENDED_KEY_USAGE]),
                    usages(&[oid::SERVER_AUTH, oid::EMAIL_PROTECTION]),
                    usages(&[new_oid()]),
                    usages(&[oid::OCSP_SIGNING]),
                ];
                let critical = lots.once_in(3);
                self.replace(oid::EXTENDED_KEY_USAGE, critical, lots.pick(&wanted));
                "extended key usage"
            }
            10 => {
                self.replace(oid::NAME_CONSTRAINTS, !lots.once_in(3), constraints(lots));
                "name constraints"
            }
            11 => {
                self.add(new_oid(), true, encode::null());
                "unknown critical extension"
            }
            12 => {
                self.add(new_oid(), false, encode::null());
                "unknown extension"
            }
            13 => {
                if let Some(again) = self.extensions.first().cloned() {
                    self.extensions.push(again);
                }
                "extension twice"
            }
            14 => {
                self.version = lots.pick(&[0, 1, 3]);
                if lots.once_in(2) {
                    self.extensions.clear();
                }
                "version"
            }
            15 => {
                self.serial = lots.pick(&[vec![0], vec![0x7f; 21], vec![1]]);
                "serial number"
            }
            16 => {
                self.remove(oid::SUBJECT_KEY_IDENTIFIER);
                self.remove(oid::AUTHORITY_KEY_IDENTIFIER);
                "no key identifiers"
            }
            17 => {
                let names: Vec<Vec<u8>> = (0..lots.below(4)).map(|_| general_name(lots)).collect();
                self.replace(oid::SUBJECT_ALT_NAME, lots.once_in(2), encode::sequence(&names));
                "alternative names"
            }
            18 => {
                self.subject = name(&[(oid::COMMON_NAME, "Jane"), (oid::EMAIL_ADDRESS, "jane@a.example")]);
                "mail address in the subject"
            }
            19 => {
                self.dates = (at.plus_days(10), at.plus_days(-10));
                "ends before it begins"
            }
            20 => {
                self.extensions.clear();
                "no extensions"
            }
            21 if is_leaf => {
                self.authority(lots, 0);
                "an authority as leaf"
            }
            _ => "nothing",
        }
    }

    fn sign(&self, keys: &Keys, signer: usize, lots: &mut Lots, broken: &mut Vec<String>) -> Vec<u8> {
        let algorithm = SignatureAlgorithm::default_for(KeyAlgorithm::P256, DigestAlgorithm::Sha256).unwrap();
        let identifier = algorithm.identifier().to_der();
        let encoded = |extension: &Extension| {
            let critical = if extension.critical { encode::boolean(true) } else { Vec::new() };
            encode::sequence(&[encode::oid(&extension.oid), critical, encode::octet_string(&extension.value)])
        };
        let extensions: Vec<Vec<u8>> = self.extensions.iter().map(encoded).collect();
        let mut tbs = encode::sequence(&[
            if self.version == 0 { Vec::new() } else { encode::explicit(0, &encode::integer_u64(self.version)) },
            encode::integer(&self.serial),
            identifier.clone(),
            self.issuer.clone(),
            encode::sequence(&[encode::time(self.dates.0), encode::time(self.dates.1)]),
            self.subject.clone(),
            keys.0[self.key].public_key().spki().to_vec(),
            if extensions.is_empty() { Vec::new() } else { encode::explicit(3, &encode::sequence(&extensions)) },
        ]);
        if lots.once_in(12) {
            let at = usize::try_from(lots.below(tbs.len() as u64)).unwrap();
            tbs[at] = u8::try_from(lots.below(256)).unwrap();
            broken.push(format!("byte {at}"));
        }
        let mut signed = signature::sign(&keys.0[signer], algorithm, Input::Message(&tbs), &mut Seeded::new(b"sign")).unwrap();
        if lots.once_in(60) {
            let last = signed.len() - 1;
            signed[last] ^= 1;
            broken.push("signature".to_owned());
        }
        encode::sequence(&[tbs, identifier, encode::bit_string(&signed)])
    }
}

/// Draws a chain.
pub(super) fn chain(seed: u64, keys: &Keys) -> Chain {
    let lots = &mut Lots::new(seed);
    let mut broken = Vec::new();
    let root_name = person("A", "Root");
    let mut root = Draft::dated(lots, root_name.clone(), root_name.clone(), 0);
    root.add(oid::BASIC_CONSTRAINTS, true, encode::sequence(&[encode::boolean(true)]));
    root.add(oid::KEY_USAGE, true, encode::named_bits(&[5, 6]));
    root.add(oid::SUBJECT_KEY_IDENTIFIER, false, encode::octet_string(&key_id(&keys.0[0])));
    let root_lots = &mut Lots(u64::MAX / 7);
    let anchor = loop {
        // the anchor itself is sound
        let mut damage = Vec::new();
        let made = root.sign(keys, 0, root_lots, &mut damage);
        if damage.is_empty() {
            break made;
        }
    };
    let count = lots.below(4);
    let (mut issuer, mut signer) = (root_name, 0);
    let mut between = Vec::new();
    for depth in 0..count {
        // one in five vouches for its own next key
        let subject = if depth > 0 && lots.once_in(5) { issuer.clone() } else { person("A", &format!("Authority {depth}")) };
        let key = usize::try_from(depth).unwrap() + 1;
        let mut draft = Draft::dated(lots, issuer.clone(), subject, key);
        draft.authority(lots, count - depth - 1);
        draft.identify(&keys.0[key], &keys.0[signer]);
        if lots.once_in(4) {
            broken.push(format!("{} of {depth}", draft.mutate(lots, false)));
        }
        between.push(draft.sign(keys, signer, lots, &mut broken));
        (issuer, signer) = (draft.subject, key);
    }
    let mut leaf = Draft::dated(lots, issuer, person("A", "Jane"), 5);
    leaf.leaf(lots);
    leaf.identify(&keys.0[5], &keys.0[signer]);
    for _ in 0..lots.pick(&[0, 0, 1, 1, 2]) {
        broken.push(format!("{} of the leaf", leaf.mutate(lots, true)));
    }
    let leaf = leaf.sign(keys, signer, lots, &mut broken);
    Chain { anchor, between, leaf, broken }
}
