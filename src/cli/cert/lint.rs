//! `sealpost cert lint`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use sealpost::lint::{self, Against, BaselineType, Finding, Scope, Severity};
use sealpost::pki::{self, Certificate};

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::input::Source;
use crate::cli::keyring::certificate_json;
use crate::cli::output;
use crate::cli::report::safe;

/// Its name, as JSON results have it.
pub(super) const NAME: &str = "cert.lint";

/// Hold certificates, revocation lists and OCSP responses against the rules
///
/// Rules are those of RFC 5280, of the Baseline Requirements of the CA/Browser Forum where a certificate claims to keep them, and of mail
/// programs. What one mail program does not take is a warning, unless --for names that program. The exit code is 8 where there is an error.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost cert lint jane.pem
  sealpost cert lint jane.pem --for outlook
  sealpost cert lint jane.pem --for cabf --type sponsor-multipurpose
  sealpost cert lint issuing.crl --json")]
pub(crate) struct LintArgs {
    /// A file of certificates, revocation lists or an OCSP response (PEM or DER)
    #[arg(value_name = "CERT")]
    file: PathBuf,
    /// Whose rules, beside those of RFC 5280 (default: all)
    #[arg(long = "for", value_name = "WHOM", value_parser = ["cabf", "outlook", "gmail", "apple", "thunderbird"])]
    scope: Option<String>,
    /// The type of mail certificate that it shall be (default: what its policy says)
    #[arg(long = "type", value_name = "TYPE", value_parser = PossibleValuesParser::new(BaselineType::names().into_iter().map(|name| &*name.leak())))]
    baseline: Option<String>,
}

/// Something that was held against the rules.
struct Judged {
    name: String,
    kind: String,
    certificate: Option<Certificate>,
    findings: Vec<Finding>,
}

/// Runs the verb.
pub(super) fn run(context: &Context, args: &LintArgs) -> Result<Exit, Failure> {
    let source = Source(Some(args.file.clone()));
    let bytes = source.read(&context.limits)?;
    let mut against = args.scope.as_deref().and_then(Scope::from_name).map_or_else(Against::all, Against::only);
    if let Some(baseline) = args.baseline.as_deref().and_then(BaselineType::from_name) {
        against = against.as_type(baseline);
    }
    let judged = judge(context, bytes, &against).map_err(|why| {
        Failure::refused(format!("{} holds no certificate, list or response that can be read – {why}", source.name()))
    })?;
    let is_bad = judged.iter().flat_map(|one| &one.findings).any(|finding| finding.severity == Severity::Error);
    let exit = if is_bad { Exit::Refused } else { Exit::Good };
    if context.json {
        context.print_json(&json!({
            "schema": format!("sealpost.{NAME}/1"),
            "result": if is_bad { "bad" } else { "ok" },
            "exit": exit.code(),
            "linted": judged.iter().map(to_json).collect::<Vec<_>>(),
        }))?;
        return Ok(exit);
    }
    let text: String = judged.iter().map(to_text).collect();
    output::stdout(text.as_bytes())?;
    Ok(exit)
}

fn judge(context: &Context, bytes: Vec<u8>, against: &Against) -> Result<Vec<Judged>, String> {
    if let Ok(certificates) = pki::load::certificates(&bytes)
        && !certificates.is_empty()
    {
        return Ok(certificates.into_iter().map(|certificate| of_certificate(certificate, against)).collect());
    }
    let (lists, responses) = pki::load::revocation(bytes, &context.limits).map_err(|error| error.to_string())?;
    let list = |list: &pki::Crl| Judged {
        name: list.issuer().to_string(),
        kind: "revocation list".to_owned(),
        certificate: None,
        findings: lint::list(list, against),
    };
    let response = |response: &pki::ocsp::Response| {
        let brought = response.content().map(|content| content.certificates().to_vec()).unwrap_or_default();
        let name = response.content().map_or_else(|refusal| refusal.name().to_owned(), |content| content.responder().to_string());
        let itself =
            Judged { name, kind: "OCSP response".to_owned(), certificate: None, findings: lint::response(response, against) };
        std::iter::once(itself)
            .chain(brought.into_iter().map(|certificate| of_certificate(certificate, against)))
            .collect::<Vec<_>>()
    };
    let judged: Vec<Judged> = lists.iter().map(list).chain(responses.iter().flat_map(response)).collect();
    if judged.is_empty() { Err("it is empty".to_owned()) } else { Ok(judged) }
}

fn of_certificate(certificate: Certificate, against: &Against) -> Judged {
    let kind = match lint::kind(&certificate) {
        (kind, Some(baseline)) => format!("{}, {baseline}", kind.name()),
        (kind, None) => kind.name().to_owned(),
    };
    let findings = lint::certificate(&certificate, against);
    Judged { name: certificate.to_string(), kind, certificate: Some(certificate), findings }
}

fn to_json(judged: &Judged) -> Value {
    let one = |finding: &Finding| {
        json!({
            "code": finding.code,
            "severity": finding.severity.name(),
            "scope": finding.scope.name(),
            "source": finding.source,
            "text": finding.text,
        })
    };
    json!({
        "name": judged.name,
        "kind": judged.kind,
        "certificate": judged.certificate.as_ref().map(certificate_json),
        "findings": judged.findings.iter().map(one).collect::<Vec<_>>(),
    })
}

/// The findings by whose rules they are, the gravest first.
fn to_text(judged: &Judged) -> String {
    let mut text = format!("{} ({})\n", safe(&judged.name), judged.kind);
    if judged.findings.is_empty() {
        text.push_str("  nothing to say\n");
    }
    for scope in Scope::ALL {
        let of_scope: Vec<&Finding> = judged.findings.iter().filter(|finding| finding.scope == scope).collect();
        if of_scope.is_empty() {
            continue;
        }
        text.push_str(&format!("  {}\n", scope.title()));
        for finding in of_scope {
            let (word, rule) = (finding.severity.name(), format!("{}, {}", finding.code, finding.source));
            text.push_str(&format!("    {word}: {} [{rule}]\n", safe(&finding.text)));
        }
    }
    text
}
