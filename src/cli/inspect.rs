//! `sealpost inspect`.

use std::io::{Seek, SeekFrom};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use sealpost::crypto::{self, key::PrivateKey};
use sealpost::limits::Limits;
use sealpost::lint;
use sealpost::pki::{self, ocsp};
use sealpost::smime::{self, Finding, Inspection, Layer, Severity};

use crate::cli::context::Context;
use crate::cli::details;
use crate::cli::failure::{Exit, Failure};
use crate::cli::input::Source;
use crate::cli::keyring::certificate_json;
use crate::cli::report;

/// Show the layers, algorithms, recipients and certificates of anything; no key needed
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost inspect message.eml
  sealpost inspect smime.p7m --json
  sealpost inspect certificate.pem --lint")]
pub(crate) struct InspectArgs {
    /// A message, a .p7m or .p7s, a certificate, a revocation list, an OCSP response (default: standard input)
    #[arg(value_name = "ANYTHING")]
    file: Option<PathBuf>,
    /// Hold every certificate against the rules, too; `sealpost cert lint` tells more
    #[arg(long)]
    lint: bool,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &InspectArgs) -> Result<Exit, Failure> {
    let mut source = Source(args.file.clone()).open("inspecting", &context.limits)?;
    let small =
        if is_likely(source.len(), &source.beginning()?) { look(&source.read_whole(SMALL)?, &context.limits) } else { None };
    let (kind, mut inspection, extra) = match small {
        Some(found) => found,
        None => {
            source.seek(SeekFrom::Start(0)).map_err(Failure::io)?;
            let inspection = smime::inspect_stream(&mut source, &context.limits).map_err(Failure::io)?;
            (if inspection.is_message { "message" } else { "cms" }, inspection, Vec::new())
        }
    };
    if args.lint {
        let certificates = inspection.certificates.iter().flat_map(lint_findings).collect::<Vec<_>>();
        inspection.findings.extend(certificates);
    }
    let is_bad = inspection.findings.iter().any(|finding| finding.severity == Severity::Error);
    if context.json {
        context.print_json(&to_json(kind, &inspection))?;
    } else {
        print(kind, &inspection, &extra)?;
    }
    Ok(if is_bad { Exit::Refused } else { Exit::Good })
}

/// What breaks the rules, as findings.
fn lint_findings(certificate: &pki::Certificate) -> Vec<Finding> {
    let one = |found: lint::Finding| {
        let text = format!("certificate of {certificate}: {} [{}, {}]", found.text, found.code, found.source);
        match found.severity {
            lint::Severity::Error => Finding::error(smime::Code::RuleBroken, text),
            lint::Severity::Warning => Finding::warning(smime::Code::RuleBroken, text),
            lint::Severity::Notice => Finding::info(smime::Code::RuleBroken, text),
        }
    };
    lint::certificate(certificate, &lint::Against::all()).into_iter().map(one).collect()
}

/// Bytes of a file that is looked at whole. 64 MiB: a list with a million entries.
const SMALL: u64 = 64 << 20;

/// Bytes of a file that is looked at whole whatever it begins with.
const TINY: u64 = 512 << 10;

/// Whether a file may be a certificate, a list or a key, which are read whole; messages of any size stream.
fn is_likely(len: u64, beginning: &[u8]) -> bool {
    let is_der = beginning.first() == Some(&0x30) && !sealpost::cms::looks_like(beginning);
    let is_pem = beginning.trim_ascii_start().starts_with(b"-----BEGIN ") && sealpost::cms::pem_start(beginning).is_none();
    len <= TINY || (len <= SMALL && (is_der || is_pem))
}

/// What it is: a certificate, a list, an OCSP response, a key file; `None` where it is a cryptographic structure or a message.
fn look(bytes: &[u8], limits: &Limits) -> Option<(&'static str, Inspection, Vec<String>)> {
    let text = String::from_utf8_lossy(bytes.get(..bytes.len().min(4096)).unwrap_or_default()).into_owned();
    let mut inspection = Inspection::default();
    if text.contains("PRIVATE KEY-----") {
        return Some(("key", inspection, vec![key_line(bytes, limits).unwrap_or_else(|| "a private key".to_owned())]));
    }
    if text.contains("-----BEGIN PKCS12-----") {
        return Some(("pkcs12", inspection, vec!["a PKCS#12 file".to_owned()]));
    }
    if text.contains("CERTIFICATE REQUEST-----") {
        let mut lines = Vec::new();
        match sealpost::ca::Request::read(bytes) {
            Ok(request) => {
                lines.push(format!("a request for a key of the kind {}, signed with it", request.key().algorithm()));
                lines.push(format!("subject: {}", request.subject()));
                lines.extend(request.addresses().iter().map(|address| format!("address: {address}")));
            }
            Err(error) => inspection.findings.push(Finding::error(smime::Code::Malformed, error.to_string())),
        }
        return Some(("csr", inspection, lines));
    }
    // a bundle of certificates is a cryptographic message
    let is_bundle = sealpost::cms::looks_like(bytes) || sealpost::cms::from_pem(bytes).is_some();
    if !is_bundle
        && let Ok(certificates) = pki::load::certificates(bytes)
        && !certificates.is_empty()
    {
        inspection.certificates = certificates;
        return Some(("certificate", inspection, Vec::new()));
    }
    if pki::load::is_ocsp(bytes) || text.contains("-----BEGIN OCSP RESPONSE-----") {
        let mut lines = Vec::new();
        match pki::load::ocsp(bytes, limits) {
            Ok(responses) => responses.iter().for_each(|response| {
                lines.extend(response_lines(response));
                let brought = response.content().map(|content| content.certificates().to_vec());
                inspection.certificates.extend(brought.unwrap_or_default());
            }),
            Err(error) => inspection.findings.push(Finding::error(smime::Code::Malformed, error.to_string())),
        }
        return Some(("ocsp", inspection, lines));
    }
    if !is_bundle
        && let Ok(lists) = pki::load::crls(bytes)
        && let Some(list) = lists.first()
    {
        let next = list.next_update().map_or_else(|| "never".to_owned(), |time| time.to_string());
        let line =
            format!("revocation list of {}: {} entries, made {}, next {next}", list.issuer(), list.len(), list.this_update());
        return Some(("crl", inspection, vec![line]));
    }
    if sealpost::keys::pkcs12::looks_like(bytes) {
        return Some(("pkcs12", inspection, vec!["a PKCS#12 file".to_owned()]));
    }
    key_line(bytes, limits).map(|line| ("key", inspection, vec![line]))
}

/// Which private key it is, where it is one.
fn key_line(bytes: &[u8], limits: &Limits) -> Option<String> {
    match PrivateKey::from_any(bytes, None, limits) {
        Ok(key) => Some(format!("a private key ({})", key.algorithm())),
        Err(crypto::Error::PassphraseNeeded) => Some("a private key under a passphrase".to_owned()),
        Err(_) => None,
    }
}

/// What a response says, with nothing checked.
fn response_lines(response: &ocsp::Response) -> Vec<String> {
    let content = match response.content() {
        Ok(content) => content,
        Err(refusal) => return vec![format!("an OCSP response that tells nothing: {}", refusal.name())],
    };
    let first = format!("OCSP response of {}, made {}", content.responder(), content.produced_at());
    let answers = content.answers().iter().map(|answer| {
        let serial = details::hex(answer.id.serial());
        let next = answer.next_update.map_or_else(|| "not said".to_owned(), |time| time.to_string());
        format!("serial {serial}: {}, as of {}, next {next}", answer.status.describe(), answer.this_update)
    });
    std::iter::once(first).chain(answers).collect()
}

fn to_json(kind: &str, inspection: &Inspection) -> Value {
    let layers: Vec<Value> = inspection.layers.iter().map(without_verdict).collect();
    let parts = inspection.parts.iter().map(|part| {
        json!({
            "path": part.path, "content_type": part.content_type, "name": part.name, "size": part.size,
            "sha256": details::hex(&part.sha256),
        })
    });
    json!({
        "schema": "sealpost.inspect/1",
        "kind": kind,
        "layers": layers,
        "parts": parts.collect::<Vec<_>>(),
        "certificates": inspection.certificates.iter().map(certificate_json).collect::<Vec<_>>(),
        "findings": report::findings_json(&inspection.findings),
    })
}

/// A layer as `open` shows it, less everything that only a check could say.
fn without_verdict(layer: &Layer) -> Value {
    let mut value = report::layer_json(layer);
    if let Some(signers) = value.get_mut("signers").and_then(Value::as_array_mut) {
        for signer in signers.iter_mut().filter_map(Value::as_object_mut) {
            for verdict in ["signature", "chain", "from_match", "finding"] {
                signer.remove(verdict);
            }
        }
    }
    if let Some(object) = value.as_object_mut() {
        object.remove("authenticated");
    }
    if let Some(recipients) = value.get_mut("recipients").and_then(Value::as_array_mut) {
        recipients.iter_mut().filter_map(Value::as_object_mut).for_each(|recipient| drop(recipient.remove("used")));
    }
    value
}

fn print(kind: &str, inspection: &Inspection, extra: &[String]) -> Result<(), Failure> {
    let mut lines = vec![format!("kind: {kind}")];
    lines.extend(extra.iter().map(|line| report::safe(line)));
    for layer in &inspection.layers {
        match layer {
            Layer::Signed(signed) => {
                lines.push(format!(
                    "signed ({}), covers {}",
                    if signed.form == smime::Form::Clear { "clear" } else { "opaque" },
                    signed.covers.name()
                ));
                lines.extend(details::content_lines(signed).into_iter().map(|line| format!("  {line}")));
                for signer in &signed.signers {
                    lines.push(format!("  signer {} – {}", report::safe(&signer.subject), signer.algorithm));
                    let said = details::lines(&signer.details).into_iter().chain(details::program_lines(&signer.details));
                    lines.extend(said.map(|line| format!("    {line}")));
                }
            }
            Layer::Encrypted(encrypted) => {
                lines.push(format!("{} with {}", encrypted.kind.name(), encrypted.cipher));
                for recipient in &encrypted.recipients {
                    lines.push(format!("  to {} – {} {}", report::safe(&recipient.id), recipient.kind, recipient.algorithm));
                }
            }
            Layer::Compressed => lines.push("compressed".to_owned()),
        }
    }
    for part in &inspection.parts {
        let name = part.name.as_deref().map_or_else(String::new, |name| format!(" \"{}\"", report::safe(name)));
        lines.push(format!("part {}: {}{name}, {} bytes", part.path, report::safe(&part.content_type), part.size));
    }
    for certificate in &inspection.certificates {
        lines.push(format!("certificate\n{}", report::safe_lines(&certificate.describe())));
    }
    report::print_findings(&inspection.findings);
    crate::cli::output::stdout(format!("{}\n", lines.join("\n")).as_bytes())
}
