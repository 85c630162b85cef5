//! Why no path holds, as a tree: each path that was tried, each certificate, each reason, what helps.

use serde_json::{Value, json};

use sealpost::pki::{Certificate, ChainVerdict, Reason, ReasonCode, Rejected, Weight};
use sealpost::smime::Trust;

use crate::cli::fix;
use crate::cli::report::safe;

/// The reason with the option that helps here, where it names none itself.
pub(super) fn with_help(mut reason: Reason) -> Reason {
    let of_leaf = reason.at == Some(0);
    let help = match reason.code {
        ReasonCode::Expired | ReasonCode::NotYetValid => Some("--at TIME"),
        ReasonCode::NotForMail => Some("--purpose any"),
        ReasonCode::KeyUsage if of_leaf => Some("--purpose any"),
        _ => None,
    };
    reason.fix = reason.fix.or_else(|| help.map(str::to_owned));
    reason
}

pub(super) fn to_json(rejected: &Rejected, trust: &Trust) -> Value {
    let reason = |reason: Reason| {
        let fix = reason.fix.as_deref().map(fix::command);
        json!({ "code": reason.code.code(), "severity": severity(&reason), "text": reason.text, "fix": fix })
    };
    let certificate = |(at, certificate): (usize, &Certificate)| {
        json!({
            "subject": certificate.to_string(),
            "sha256": certificate.fingerprint_hex(),
            "anchor": trust.anchors.contains(certificate),
            "reasons": reasons(rejected, at).map(reason).collect::<Vec<_>>(),
        })
    };
    json!({
        "status": rejected.status.name(),
        "certificates": rejected.path.iter().enumerate().map(certificate).collect::<Vec<_>>(),
    })
}

pub(super) fn to_text(verdict: &ChainVerdict, trust: &Trust) -> String {
    let mut text = String::new();
    for (number, rejected) in verdict.rejected.iter().enumerate() {
        text.push_str(&format!("  path {}: {}\n", number.saturating_add(1), rejected.status.name()));
        for (at, certificate) in rejected.path.iter().enumerate() {
            let mark = if trust.anchors.contains(certificate) { " (trust anchor)" } else { "" };
            text.push_str(&format!("    {}{mark}\n", safe(&certificate.to_string())));
            for reason in reasons(rejected, at) {
                let word = severity(&reason);
                text.push_str(&format!("      {word}: {} [{}]\n", safe(&reason.text), reason.code.code()));
                reason.fix.iter().for_each(|fix| text.push_str(&format!("        try: {}\n", safe(&fix::command(fix)))));
            }
        }
    }
    if verdict.rejected_untold > 0 {
        text.push_str(&format!("  and {} more paths, which there was no room for\n", verdict.rejected_untold));
    }
    text
}

/// What is wrong with one certificate of the path.
fn reasons(rejected: &Rejected, at: usize) -> impl Iterator<Item = Reason> {
    rejected.reasons.iter().filter(move |reason| reason.at.unwrap_or(0) == at).cloned().map(with_help)
}

fn severity(reason: &Reason) -> &'static str {
    match reason.weight {
        Weight::Error => "error",
        Weight::Warning => "warning",
    }
}
