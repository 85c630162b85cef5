//! A verdict for people (standard error) and for programs (JSON).

use serde_json::{Value, json};

use sealpost::smime::{
    Clock, Code, EncryptedKind, EncryptedLayer, Finding, Form, Layer, Outcome, Severity, SignatureStatus, SignedLayer,
    SignerVerdict, Verdict,
};

use crate::cli::failure::Exit;
use crate::cli::{details, fix};

/// The exit code of an outcome.
pub(crate) const fn exit(outcome: Outcome) -> Exit {
    match outcome {
        Outcome::Good => Exit::Good,
        Outcome::Bad => Exit::Bad,
        Outcome::Untrusted => Exit::Untrusted,
        Outcome::FromMismatch => Exit::FromMismatch,
        Outcome::Expired => Exit::Expired,
        Outcome::NoKey => Exit::NoKey,
        Outcome::NothingToDo => Exit::NothingToDo,
        Outcome::Refused => Exit::Refused,
    }
}

/// The JSON object of `open`, `verify` and `decrypt`.
pub(crate) fn to_json(verb: &str, verdict: &Verdict) -> Value {
    let outcome = verdict.outcome();
    json!({
        "schema": format!("sealpost.{verb}/1"),
        "result": if outcome == Outcome::Good { "ok" } else { "bad" },
        "exit": exit(outcome).code(),
        "layers": verdict.layers.iter().map(layer_json).collect::<Vec<_>>(),
        "headers": {
            "protected": verdict.headers.protected,
            "hidden": verdict.headers.hidden,
            "fields": verdict.headers.fields.iter().map(|f| json!({ "name": f.name, "state": f.state.name() })).collect::<Vec<_>>(),
        },
        "uncovered": verdict.uncovered.iter().map(|u| json!({ "part": u.part, "content_type": u.content_type })).collect::<Vec<_>>(),
        "findings": findings_json(&verdict.findings),
    })
}

/// The JSON array of findings.
pub(crate) fn findings_json(findings: &[Finding]) -> Value {
    let one = |f: &Finding| {
        let fix = f.fix.as_deref().map(fix::command);
        json!({ "code": f.code.code(), "severity": f.severity.name(), "text": f.text, "fix": fix })
    };
    Value::Array(findings.iter().map(one).collect())
}

pub(crate) fn layer_json(layer: &Layer) -> Value {
    match layer {
        Layer::Signed(signed) => json!({
            "type": "signed",
            "detached": signed.form == Form::Clear,
            "covers": signed.covers.name(),
            "content_type": signed.content_type.to_string(),
            "receipt": signed.receipt.as_ref().map(details::receipt_json),
            "signers": signed.signers.iter().map(signer_json).collect::<Vec<_>>(),
        }),
        Layer::Encrypted(encrypted) => json!({
            "type": encrypted.kind.name(),
            "cipher": encrypted.cipher,
            "content_type": encrypted.content_type.to_string(),
            "authenticated": encrypted.authenticated,
            "recipients": encrypted.recipients.iter().map(|r| json!({
                "kind": r.kind, "id": r.id, "addresses": r.addresses, "algorithm": r.algorithm, "used": r.used,
            })).collect::<Vec<_>>(),
        }),
        Layer::Compressed => json!({ "type": "compressed" }),
    }
}

fn signer_json(signer: &SignerVerdict) -> Value {
    let mut value = json!({
        "addresses": signer.addresses,
        "subject": signer.subject,
        "algorithm": signer.algorithm,
        "signature": if signer.signature == SignatureStatus::Valid { "valid" } else { "invalid" },
        "chain": { "status": signer.chain.name(), "path": signer.path, "revocation": signer.revocation.name() },
        "time": {
            "claimed": signer.claimed_time.map(|t| t.to_string()),
            "proven": signer.details.proven_time().map(|t| t.to_string()),
            "first_seen": signer.first_seen.map(|t| t.to_string()),
            "judged": signer.judged.map(|judged| json!({ "clock": judged.clock.name(), "at": judged.at.to_string() })),
        },
        "from_match": signer.from_match,
        "finding": signer.finding.map(|code| code.code()),
    });
    if let Some(object) = value.as_object_mut() {
        details::add_json(object, &signer.details);
    }
    value
}

/// The verdict in words, on standard error.
pub(crate) fn print(verdict: &Verdict) {
    for layer in &verdict.layers {
        match layer {
            Layer::Signed(signed) => print_signed(signed),
            Layer::Encrypted(encrypted) => print_encrypted(encrypted),
            Layer::Compressed => eprintln!("compressed"),
        }
    }
    if !verdict.headers.protected.is_empty() {
        eprintln!("  protected header fields: {}", safe(&verdict.headers.protected.join(", ")));
    }
    if !verdict.headers.hidden.is_empty() {
        eprintln!("  hidden on the way: {}", safe(&verdict.headers.hidden.join(", ")));
    }
    for part in &verdict.uncovered {
        eprintln!("  not covered: part {} ({})", part.part, safe(&part.content_type));
    }
    print_findings(&verdict.findings);
}

/// The findings in words, on standard error.
pub(crate) fn print_findings(findings: &[Finding]) {
    for finding in findings {
        let word = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "note",
        };
        eprintln!("{word}: {} [{}]", safe(&finding.text), finding.code.code());
        if let Some(fix) = &finding.fix {
            eprintln!("hint: {}", safe(&fix::command(fix)));
        }
    }
}

fn print_signed(signed: &SignedLayer) {
    for signer in &signed.signers {
        let who = if signer.addresses.is_empty() { signer.subject.clone() } else { signer.addresses.join(", ") };
        match signer.signature {
            SignatureStatus::Invalid if matches!(signer.finding, Some(Code::SignerCertificateMissing | Code::Unsupported)) => {
                eprintln!("NOT checked whether {} signed it ({})", safe(&who), signer.algorithm);
            }
            SignatureStatus::Valid => eprintln!("signed by {} – the signature fits ({})", safe(&who), signer.algorithm),
            SignatureStatus::Invalid => eprintln!("NOT validly signed, though it names {} ({})", safe(&who), signer.algorithm),
        }
        match signer.from_match {
            // a signature that does not fit says nothing of who sent it
            Some(true) if signer.signature != SignatureStatus::Valid => {}
            Some(true) => eprintln!("  the signer is the sender"),
            Some(false) => eprintln!("  the signer is NOT the sender"),
            None => {}
        }
        let path = signer.path.iter().map(|name| safe(name)).collect::<Vec<_>>().join(" ← ");
        eprintln!("  certificate: {} – {}", signer.chain.name(), if path.is_empty() { safe(&signer.subject) } else { path });
        eprintln!("  revocation: {}", signer.revocation.name());
        if let Some(time) = signer.claimed_time {
            eprintln!("  the signer claims the time {time}");
        }
        if let Some(time) = signer.first_seen {
            eprintln!("  this home saw the signature on {time} first");
        }
        if let Some(judged) = signer.judged.filter(|judged| judged.clock != Clock::Now) {
            eprintln!("  the certificate is judged for {}", judged.at);
        }
        for line in details::lines(&signer.details) {
            eprintln!("  {line}");
        }
    }
    details::content_lines(signed).iter().for_each(|line| eprintln!("  {line}"));
    eprintln!("  covers: {}", signed.covers.name());
}

fn print_encrypted(encrypted: &EncryptedLayer) {
    let is_read = encrypted.recipients.iter().any(|recipient| recipient.used);
    let proof = match (encrypted.kind, encrypted.authenticated) {
        (_, true) => "its tag fits",
        (_, false) if !is_read => "not decrypted",
        (EncryptedKind::AuthEnveloped, false) => "its tag does not fit",
        (EncryptedKind::Enveloped, false) => "without a tag",
    };
    eprintln!("encrypted with {} ({proof})", if encrypted.cipher.is_empty() { "an unknown cipher" } else { &encrypted.cipher });
    for recipient in &encrypted.recipients {
        let who = if recipient.addresses.is_empty() { recipient.id.clone() } else { recipient.addresses.join(", ") };
        let mark = if recipient.used { " – opened with this key" } else { "" };
        eprintln!("  to {} ({}, {}){mark}", safe(&who), recipient.kind, recipient.algorithm);
    }
}

/// Makes text from a message harmless for a terminal.
pub(crate) fn safe(text: &str) -> String {
    sealpost::mime::view::terminal_safe(text)
}

/// The same for several lines.
pub(crate) fn safe_lines(text: &str) -> String {
    sealpost::mime::view::terminal_safe_lines(text)
}

/// The same for JSON, which stays the same value: such characters stand as the escapes of JSON.
pub(crate) fn safe_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut units = [0; 2];
    for c in text.chars() {
        if c.is_ascii() && !c.is_ascii_control() || safe(c.encode_utf8(&mut [0; 4])).starts_with(c) {
            out.push(c);
        } else {
            c.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        }
    }
    out
}
