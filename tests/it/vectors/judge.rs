//! One message: what its index states, what we find, and where the two differ.

use serde_json::Value;

use sealpost::crypto::algorithm::DigestAlgorithm;
use sealpost::crypto::digest;
use sealpost::crypto::random::OsRandom;
use sealpost::limits::Limits;
use sealpost::mime;
use sealpost::secret::Secret;
use sealpost::smime::{
    Accept, Code, EncryptedKind, Finding, Layer, Open, Opened, Outcome, Released, Severity, SignatureStatus, Verdict,
};

use super::index::Folder;

/// In what we and an index differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Differs {
    /// Which layers there are.
    Layers,
    /// Whether a signature or a ciphertext fits.
    Fits,
    /// The bytes inside.
    Content,
    /// Who signed.
    Signer,
    /// With which algorithms.
    Algorithm,
    /// Whether the chain is good.
    Chain,
    /// Released, and must not be; or the other way round.
    Release,
    /// Whether it is good to a client that follows rules of its own.
    Client,
}

/// What became of one message.
pub(super) struct Judged {
    pub(super) differs: Vec<(Differs, String)>,
    /// The errors, where it is not good: their codes and sentences.
    pub(super) errors: Vec<(Code, String)>,
}

/// Opens a message twice, once with all that may be excused and once as a careful reader, and compares it with its entry.
pub(super) fn judge(folder: &Folder, entry: &Value) -> Judged {
    let message = folder.read(entry["file"].as_str().expect("a file"));
    let content = entry["content_file"].as_str().map(|file| folder.read(file));
    let lenient = open(folder, entry, &message, content.as_deref(), &Accept::CODES);
    let strict = open(folder, entry, &message, content.as_deref(), &["weak-algorithm", "from-mismatch"]);
    let mut differs = Vec::new();
    match entry["nested"].as_array() {
        Some(nested) => parts(folder, &message, nested, &lenient, &mut differs),
        None => compare(&stated(entry), entry, &lenient, &mut differs),
    }
    compare_chain(entry, &strict, &mut differs);
    let client = &entry["thunderbird_expects"];
    if client["signature_good"] == true {
        let careful = open(folder, entry, &message, content.as_deref(), &[]);
        compare_client(client, &careful, &mut differs);
    }
    if let Some(text) = client["text"].as_str()
        && !lenient.released().is_some_and(|released| String::from_utf8_lossy(released.content()).contains(text))
    {
        differs.push((Differs::Content, format!("{text:?} is not in it")));
    }
    let errors = strict.verdict().findings.iter().filter(|finding| finding.severity == Severity::Error);
    let errors = errors.map(|finding| (finding.code, finding.text.clone())).collect();
    differs.sort_by_key(|(differs, _)| *differs);
    differs.dedup_by_key(|(differs, _)| *differs);
    Judged { differs, errors }
}

fn open(folder: &Folder, entry: &Value, message: &[u8], content: Option<&[u8]>, accept: &[&'static str]) -> Opened {
    // whoever wrapped a key for a password or a key-encryption key did not say which
    let secret = Secret::new(vec![0; 16]);
    let (limits, named) = (Limits::default(), folder.named_keys(entry));
    let mut open = Open::new(&folder.trust).limits(&limits).known(&folder.known).password(&secret).kek(&secret);
    open = open.accept(Accept::from_codes(accept.iter().copied()).expect("known codes"));
    for identity in &folder.identities {
        open = open.identity(identity);
    }
    for key in &named {
        open = open.key(key);
    }
    match content {
        Some(content) => open.verify_detached(content, message),
        None => open.run(message, &mut OsRandom),
    }
}

/// A layer as its index states it.
struct Stated<'a> {
    kind: &'a str,
    fits: bool,
    algorithms: &'a Value,
    addresses: Vec<String>,
}

fn stated(entry: &Value) -> Vec<Stated<'_>> {
    // messages of the path suite state one signed layer, flat
    if let Some(fits) = entry["crypto_ok"].as_bool() {
        return vec![Stated { kind: "signedData", fits, algorithms: &entry["algs"], addresses: Vec::new() }];
    }
    let layers = entry["layers"].as_array().into_iter().flatten();
    // "?": multipart/signed with OpenPGP
    let layers = layers.filter(|layer| layer["type"] != "?").map(|layer| Stated {
        kind: layer["type"].as_str().expect("a type"),
        fits: layer["crypto_ok"].as_bool().or_else(|| layer["decrypt_ok"].as_bool()).expect("an outcome"),
        algorithms: &layer["algs"],
        addresses: texts(&layer["signer_emails"]).map(str::to_ascii_lowercase).collect(),
    });
    layers.collect()
}

fn compare(stated: &[Stated<'_>], entry: &Value, opened: &Opened, differs: &mut Vec<(Differs, String)>) {
    let verdict = opened.verdict();
    let must_open = stated.iter().all(|layer| layer.fits);
    let (theirs, ours): (Vec<_>, Vec<_>) = (stated.iter().map(|s| s.kind).collect(), verdict.layers.iter().map(kind).collect());
    // peeling ends at a layer that cannot be read
    let is_same = if must_open { ours == theirs } else { theirs.starts_with(&ours) || ours.starts_with(&theirs) };
    if !is_same {
        differs.push((Differs::Layers, format!("stated {theirs:?}, found {ours:?}")));
    }
    for (stated, layer) in stated.iter().zip(&verdict.layers) {
        if stated.fits != fits(layer) {
            differs.push((Differs::Fits, format!("{} stated {}, found {}", stated.kind, stated.fits, fits(layer))));
        }
        compare_layer(stated, layer, differs);
    }
    match opened.released() {
        Some(_) if !must_open || stated.is_empty() => differs.push((Differs::Release, "released".to_owned())),
        // whether the chain is good is another question
        None if must_open && !stated.is_empty() && !fails_by_chain_alone(verdict) => {
            differs.push((Differs::Release, format!("not released – {}", errors(verdict).join("; "))));
        }
        Some(released) => compare_content(&entry["leaf"], released.content(), differs),
        None => {}
    }
}

fn compare_content(leaf: &Value, content: &[u8], differs: &mut Vec<(Differs, String)>) {
    if !is_content(leaf, content) {
        differs.push((Differs::Content, format!("other content, {} bytes, stated {}", content.len(), leaf["len"])));
    }
}

fn is_content(leaf: &Value, content: &[u8]) -> bool {
    let sum = digest::of(DigestAlgorithm::Sha256, content).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    leaf["sha256"].as_str().is_none_or(|stated| stated == sum)
}

fn compare_layer(stated: &Stated<'_>, layer: &Layer, differs: &mut Vec<(Differs, String)>) {
    let mut algorithms = |ours: String, theirs: Option<String>| {
        if theirs.as_ref().is_some_and(|theirs| *theirs != ours) {
            differs.push((Differs::Algorithm, format!("stated {}, found {ours}", theirs.unwrap_or_default())));
        }
    };
    match layer {
        Layer::Signed(signed) => {
            let ours: Vec<&str> = signed.signers.iter().map(|signer| signer.algorithm.as_str()).collect();
            algorithms(ours.join(" "), signature_algorithms(stated.algorithms));
            let mut ours: Vec<String> =
                signed.signers.iter().flat_map(|s| &s.addresses).map(|a| a.to_ascii_lowercase()).collect();
            ours.sort();
            if !stated.addresses.is_empty() && ours != stated.addresses {
                differs.push((Differs::Signer, format!("stated {:?}, found {ours:?}", stated.addresses)));
            }
        }
        Layer::Encrypted(encrypted) => {
            algorithms(encrypted.cipher.replace('-', ""), cipher(stated.algorithms));
            let ours: Vec<_> = encrypted.recipients.iter().map(|r| transport(r.kind, &r.algorithm)).collect();
            algorithms(ours.join(" "), recipients(stated.algorithms));
        }
        Layer::Compressed => {}
    }
}

/// The chain is judged with what a careful reader excuses: weak algorithms of old, and that a file is no message from anyone.
fn compare_chain(entry: &Value, strict: &Opened, differs: &mut Vec<(Differs, String)>) {
    let layers: Vec<&Value> = entry["layers"].as_array().into_iter().flatten().collect();
    let layers = layers.into_iter().filter(|layer| layer["crypto_ok"] == true && layer["chain_ok"].is_boolean());
    let stated: Vec<bool> = layers.map(|layer| layer["chain_ok"] == true).collect();
    if stated.is_empty() {
        return;
    }
    let bad = strict.verdict().findings.iter().filter(|finding| finding.severity == Severity::Error && is_of_chain(finding));
    let bad: Vec<String> = bad.map(ToString::to_string).collect();
    if stated.iter().all(|ok| *ok) != bad.is_empty() {
        differs.push((Differs::Chain, format!("stated {stated:?}, found {bad:?}")));
    }
}

/// What a client shows as good must be good here with nothing excused, and by the same signer.
fn compare_client(client: &Value, careful: &Opened, differs: &mut Vec<(Differs, String)>) {
    if careful.verdict().outcome() != Outcome::Good {
        differs.push((Differs::Client, format!("good in a client, here {:?}", errors(careful.verdict()))));
    }
    let signer = client["signer"].as_str().expect("a signer");
    let addresses: Vec<&String> = careful.verdict().signers().flat_map(|signer| &signer.addresses).collect();
    if !addresses.iter().any(|address| address.to_ascii_lowercase().starts_with(signer)) {
        differs.push((Differs::Signer, format!("stated {signer}, found {addresses:?}")));
    }
}

/// S/MIME parts below a root that is none: each opens alone; the whole gives nothing but one of them, and says that there is more.
fn parts(folder: &Folder, message: &[u8], nested: &[Value], whole: &Opened, differs: &mut Vec<(Differs, String)>) {
    let root = mime::parse(message, &Limits::default()).expect("a message");
    for stated_part in nested {
        let path = stated_part["path"].as_str().expect("a path").replace('m', "1");
        let part = root.walk().into_iter().find(|part| part.path() == path).unwrap_or_else(|| panic!("no part {path}"));
        let opened = open(folder, stated_part, part.bytes(message), None, &Accept::CODES);
        compare(&stated(stated_part), stated_part, &opened, differs);
    }
    let says_so = |code: Code| whole.verdict().findings.iter().any(|f| f.code == code && f.severity >= Severity::Warning);
    if !says_so(Code::Uncovered) || (nested.len() > 1 && !says_so(Code::OtherSmimePart)) {
        differs.push((Differs::Release, format!("a part stands for the whole – {:?}", errors(whole.verdict()))));
    }
    let alone = |released: &Released| nested.iter().any(|part| is_content(&part["leaf"], released.content()));
    if whole.released().is_some_and(|released| !alone(released)) {
        differs.push((Differs::Content, "the parts are merged".to_owned()));
    }
}

fn is_of_chain(finding: &Finding) -> bool {
    matches!(finding.code.outcome(), Outcome::Untrusted | Outcome::Expired) && finding.code != Code::SignerCertificateMissing
}

fn fails_by_chain_alone(verdict: &Verdict) -> bool {
    let mut errors = verdict.findings.iter().filter(|finding| finding.severity == Severity::Error);
    errors.all(is_of_chain)
}

fn errors(verdict: &Verdict) -> Vec<String> {
    verdict.findings.iter().map(ToString::to_string).collect()
}

fn kind(layer: &Layer) -> &'static str {
    match layer {
        Layer::Signed(_) => "signedData",
        Layer::Encrypted(layer) if layer.kind == EncryptedKind::Enveloped => "envelopedData",
        Layer::Encrypted(_) => "authEnvelopedData",
        Layer::Compressed => "compressedData",
    }
}

fn fits(layer: &Layer) -> bool {
    match layer {
        Layer::Signed(signed) => {
            !signed.signers.is_empty() && signed.signers.iter().all(|signer| signer.signature == SignatureStatus::Valid)
        }
        Layer::Encrypted(encrypted) => encrypted.recipients.iter().any(|recipient| recipient.used),
        Layer::Compressed => true,
    }
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// The signers' algorithms in our words, as far as the index could read them.
fn signature_algorithms(algorithms: &Value) -> Option<String> {
    let name = |signer: &Value| {
        let name = match (signer["sig"].as_str()?, signer["digest"].as_str()?) {
            ("rsassa_pkcs1v15", digest) if digest.starts_with("sha") => format!("rsa-pkcs1-{digest}"),
            ("sha1_dsa", _) => "dsa-sha1".to_owned(),
            ("sha256_ecdsa", _) => "ecdsa-sha256".to_owned(),
            ("ed25519", _) => "ed25519".to_owned(),
            _ => return None,
        };
        Some(name)
    };
    let names: Option<Vec<String>> = algorithms["signers"].as_array()?.iter().map(name).collect();
    Some(names?.join(" "))
}

fn cipher(algorithms: &Value) -> Option<String> {
    let name = match algorithms["cea"].as_str()? {
        "tripledes_3key" => "3descbc".to_owned(),
        // the index says nothing of its effective key bits
        "rc2" => return None,
        other => other.replace('_', ""),
    };
    Some(name)
}

/// The recipients' kinds and, where a key travels, how it does.
fn recipients(algorithms: &Value) -> Option<String> {
    let name = |recipient: &Value| {
        let algorithm = match recipient["kea"].as_str() {
            Some("rsaes_oaep") => "rsa-oaep",
            Some("rsaes_pkcs1v15") | None => "rsa-pkcs1",
            Some(other) => other,
        };
        transport(if recipient["kind"] == "ori" { "kemri" } else { recipient["kind"].as_str().unwrap_or_default() }, algorithm)
    };
    let recipients = algorithms["recipients"].as_array()?;
    Some(recipients.iter().map(name).collect::<Vec<_>>().join(" "))
}

fn transport(kind: &str, algorithm: &str) -> String {
    match kind {
        "ktri" if algorithm.starts_with("rsa-oaep") => "ktri:rsa-oaep".to_owned(),
        "ktri" => format!("ktri:{algorithm}"),
        other => other.to_owned(),
    }
}
