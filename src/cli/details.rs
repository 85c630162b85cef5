//! What stands beside a signature, for people and for programs.

use serde_json::{Map, Value, json};

use sealpost::asn1::oid;
use sealpost::cms::ess::{Receipt, ReceiptRequest, ReceiptsFrom, SecurityLabel};
use sealpost::pki::GeneralName;
use sealpost::smime::{CountersignerVerdict, Proof, SignatureStatus, SignedLayer, SignerDetails, TimestampVerdict};

use crate::cli::report::safe;

/// Adds the details to the JSON object of a signer; what was not checked has no verdict in it.
pub(crate) fn add_json(signer: &mut Map<String, Value>, details: &SignerDetails) {
    let lists = details.mailing_lists.iter().map(|e| json!({ "list": e.list.to_string(), "time": e.time.to_string() }));
    let hints = details.content_hints.as_ref();
    let values = [
        ("timestamps", details.timestamps.iter().map(timestamp_json).collect()),
        ("countersigners", details.countersigners.iter().map(countersigner_json).collect()),
        ("receipt_request", details.receipt_request.as_ref().map_or(Value::Null, request_json)),
        ("security_label", details.security_label.as_ref().map_or(Value::Null, label_json)),
        ("equivalent_labels", details.equivalent_labels.iter().map(label_json).collect()),
        ("capabilities", details.capabilities.iter().flat_map(|c| c.names()).map(Value::from).collect()),
        ("encryption_key_preference", json!(details.encryption_key_preference.as_ref().map(ToString::to_string))),
        (
            "content_hints",
            json!(hints.map(|h| json!({ "description": h.description, "content_type": h.content_type.to_string() }))),
        ),
        ("mailing_lists", lists.collect()),
    ];
    signer.extend(values.map(|(name, value)| (name.to_owned(), value)));
}

fn timestamp_json(stamp: &TimestampVerdict) -> Value {
    let mut value = json!({ "time": stamp.time.map(|time| time.to_string()), "authority": stamp.authority });
    let verdict = match &stamp.proof {
        Proof::Unchecked => return value,
        Proof::Proven => (true, None),
        Proof::Unproven(why) => (false, Some(why)),
    };
    if let Some(object) = value.as_object_mut() {
        object.insert("valid".to_owned(), json!(verdict.0));
        object.insert("problem".to_owned(), json!(verdict.1));
    }
    value
}

fn countersigner_json(counter: &CountersignerVerdict) -> Value {
    let mut value = json!({
        "subject": counter.subject,
        "addresses": counter.addresses,
        "algorithm": counter.algorithm,
        "time": { "claimed": counter.claimed_time.map(|time| time.to_string()) },
    });
    if let (Some((signature, chain)), Some(object)) = (counter.check, value.as_object_mut()) {
        let word = if signature == SignatureStatus::Valid { "valid" } else { "invalid" };
        object.insert("signature".to_owned(), json!(word));
        object.insert("chain".to_owned(), json!({ "status": chain.name() }));
    }
    value
}

fn request_json(request: &ReceiptRequest) -> Value {
    let (from, list) = match &request.from {
        ReceiptsFrom::All => ("all", Vec::new()),
        ReceiptsFrom::FirstTier => ("first-tier", Vec::new()),
        ReceiptsFrom::List(list) => ("list", names(list)),
    };
    json!({ "from": from, "list": list, "to": names(&request.to), "content_identifier": hex(&request.content_identifier) })
}

fn label_json(label: &SecurityLabel) -> Value {
    json!({
        "policy": label.policy.to_string(),
        "classification": label.classification_name(),
        "privacy_mark": label.privacy_mark,
        "categories": label.categories.iter().map(|category| category.kind.to_string()).collect::<Vec<_>>(),
    })
}

/// The receipt that a signed content is.
pub(crate) fn receipt_json(receipt: &Receipt) -> Value {
    json!({
        "content_type": receipt.content_type.to_string(),
        "content_identifier": hex(&receipt.content_identifier),
        "signature": hex(&receipt.signature),
    })
}

/// What the content of a signed layer is, where it is no mail.
pub(crate) fn content_lines(signed: &SignedLayer) -> Vec<String> {
    let kind = &signed.content_type;
    if *kind == oid::ID_DATA {
        return Vec::new();
    }
    let mut lines = vec![format!("content: {} ({kind})", oid::name(kind).unwrap_or("an unknown type"))];
    if let Some(receipt) = &signed.receipt {
        let beginning = receipt.signature.get(..RECEIPT.min(receipt.signature.len())).unwrap_or_default();
        lines.push(format!(
            "a receipt for the message that its sender named {} and whose signature begins with {} – the message itself is not at hand",
            identifier(&receipt.content_identifier),
            hex(beginning)
        ));
    }
    lines
}

/// An identifier as its text where it is one, else in hexadecimal; nobody's text passes for ours.
fn identifier(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.len() <= IDENTIFIER && text.bytes().all(|byte| byte.is_ascii_graphic()) => format!("\"{}\"", safe(text)),
        _ => hex(bytes.get(..IDENTIFIER.min(bytes.len())).unwrap_or_default()),
    }
}

/// Bytes of a signature that are shown, and of an identifier.
const RECEIPT: usize = 8;
const IDENTIFIER: usize = 128;

/// The lines for people, without what everybody's programs say of themselves.
pub(crate) fn lines(details: &SignerDetails) -> Vec<String> {
    let mut lines = Vec::new();
    for stamp in &details.timestamps {
        let time = stamp.time.map_or_else(|| "an unknown time".to_owned(), |time| time.to_string());
        let by = stamp.authority.as_deref().map_or_else(String::new, |authority| format!(" by {}", safe(authority)));
        lines.push(match &stamp.proof {
            Proof::Unchecked => format!("time-stamp of {time}{by}"),
            Proof::Proven => format!("the signature was there at {time}, as proven{by}"),
            Proof::Unproven(why) => format!("the time-stamp of {time}{by} proves nothing – {}", safe(why)),
        });
    }
    for counter in &details.countersigners {
        let verdict = match counter.check {
            None => String::new(),
            Some((SignatureStatus::Valid, chain)) => format!(" – the signature fits, certificate {}", chain.name()),
            Some((SignatureStatus::Invalid, _)) => " – NOT validly".to_owned(),
        };
        lines.push(format!("countersigned by {}{verdict} ({})", safe(&counter.subject), counter.algorithm));
    }
    if let Some(request) = &details.receipt_request {
        let from = match &request.from {
            ReceiptsFrom::All => "everybody".to_owned(),
            ReceiptsFrom::FirstTier => "those who got it directly".to_owned(),
            ReceiptsFrom::List(list) => names(list).join(", "),
        };
        lines.push(format!("asks for receipts from {}, to {}", safe(&from), safe(&names(&request.to).join(", "))));
    }
    lines.extend(details.security_label.iter().map(|label| format!("security label: {}", safe(&label.to_string()))));
    lines.extend(details.equivalent_labels.iter().map(|label| format!("equivalent label: {}", safe(&label.to_string()))));
    if let Some(description) = details.content_hints.as_ref().and_then(|hints| hints.description.as_ref()) {
        lines.push(format!("says of the content: {}", safe(description)));
    }
    lines.extend(
        details.mailing_lists.iter().map(|e| format!("came through the list {} on {}", safe(&e.list.to_string()), e.time)),
    );
    lines
}

/// What a signer's program says of itself.
pub(crate) fn program_lines(details: &SignerDetails) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(capabilities) = &details.capabilities {
        lines.push(format!("can read {}", capabilities.names().join(", ")));
    }
    if let Some(id) = &details.encryption_key_preference {
        lines.push(format!("wants mail encrypted to {}", safe(&id.to_string())));
    }
    lines
}

/// Everybody by the first of his names.
fn names(list: &[Vec<GeneralName>]) -> Vec<String> {
    list.iter().filter_map(|names| names.first()).map(ToString::to_string).collect()
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
