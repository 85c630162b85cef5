//! `sealpost cert verify`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use sealpost::asn1::{Oid, oid};
use sealpost::pki::{self, Certificate, CertificatePolicy, ChainStatus, ChainVerdict, Inquiry, Judgement, PolicyInputs, Purpose};
use sealpost::smime::{Code, Finding, Severity, Trust};

use crate::cli::cert::tree;
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::keyring::{self, TrustArgs};
use crate::cli::report::{self, safe};
use crate::cli::{input::Source, output};

/// Its name, as JSON results have it.
pub(super) const NAME: &str = "cert.verify";

/// Say whether a certificate reaches a trust anchor and is good for mail, and why not
///
/// Every path is tried. Where none holds, each is shown with its certificates, what is wrong with each, and what helps.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost cert verify jane.pem                                     with what your home trusts
  sealpost cert verify jane.pem --trust root.pem --intermediates issuing.pem --crl issuing.crl
  sealpost cert verify jane.pem --purpose mail-encrypt --email jane@a.example
  sealpost cert verify jane.pem --policy 2.16.840.1.101.3.2.1.48.1 --require-explicit-policy
  sealpost cert verify old.pem --at 2020-01-01T00:00:00Z --json")]
pub(crate) struct VerifyArgs {
    /// The certificate (PEM or DER); others in its file may stand between
    #[arg(value_name = "CERT")]
    certificate: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
    /// What it shall be good for
    #[arg(long, value_name = "PURPOSE", default_value = "mail-sign")]
    purpose: PurposeArg,
    /// The address that it shall speak for
    #[arg(long, value_name = "ADDR")]
    email: Option<String>,
    /// A certificate policy that is welcome, as the anchor calls it (default: any)
    #[arg(long, value_name = "OID", value_parser = policy)]
    policy: Vec<Oid>,
    /// Refuse a path without a policy that is welcome
    #[arg(long)]
    require_explicit_policy: bool,
    /// Let no authority call a policy by another name
    #[arg(long)]
    inhibit_policy_mapping: bool,
    /// Take "any policy" in certificates for none
    #[arg(long)]
    inhibit_any_policy: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PurposeArg {
    /// Signatures on mail
    MailSign,
    /// Encryption of mail
    MailEncrypt,
    /// Anything
    Any,
}

fn policy(text: &str) -> Result<Oid, String> {
    match text {
        "anyPolicy" => Ok(oid::ANY_POLICY),
        _ => Oid::from_dotted(text).ok_or_else(|| "it is no object identifier, as 2.16.840.1.101.3.2.1.48.1".to_owned()),
    }
}

/// Runs the verb.
pub(super) fn run(context: &Context, args: &VerifyArgs) -> Result<Exit, Failure> {
    let source = Source(Some(args.certificate.clone()));
    let unreadable =
        |e: &dyn std::fmt::Display| Failure::refused(format!("{} holds no certificate that can be read – {e}", source.name()));
    let mut found = pki::load::certificates(&source.read(&context.limits)?).map_err(|e| unreadable(&e))?.into_iter();
    let leaf = found.next().ok_or_else(|| unreadable(&"there is none in it"))?;
    let trust = args.trust.trust(context, context.existing_home()?.as_ref())?;
    let pool: Vec<Certificate> = found.chain(trust.intermediates.iter().cloned()).collect();
    let question = Judgement {
        leaf: &leaf,
        pool: &pool,
        anchors: &trust.anchors,
        crls: &trust.crls,
        ocsp: &trust.ocsp,
        purpose: match args.purpose {
            PurposeArg::MailSign => Purpose::MailSign,
            PurposeArg::MailEncrypt => Purpose::MailEncrypt,
            PurposeArg::Any => Purpose::Any,
        },
        at: trust.at,
        revocation: trust.revocation,
        limits: &context.limits,
    };
    let mut verdict = pki::judge_under(&question, &args.policies());
    let lacking = (!verdict.wanted.is_empty()).then(|| Inquiry::new(&question, &args.policies()));
    let got = args.trust.online.complete(context, lacking.as_slice())?;
    if let Some(inquiry) = lacking.filter(|_| got.is_something()) {
        verdict = inquiry.ask(&got.had);
    }
    let of_chain: Vec<Finding> = verdict.reasons.iter().cloned().map(tree::with_help).map(Finding::from).collect();
    let beside = args.beside(&leaf, &verdict);
    let errors = of_chain.iter().chain(&beside).filter(|finding| finding.severity == Severity::Error);
    let exit = errors.map(|finding| finding.code.outcome()).min().map_or(Exit::Good, report::exit);
    if context.json {
        let findings: Vec<Finding> = of_chain.into_iter().chain(beside).chain(got.findings).collect();
        context.print_json(&to_json(&leaf, &verdict, &trust, &findings, exit))?;
        return Ok(exit);
    }
    output::stdout(to_text(&leaf, &verdict, &trust).as_bytes())?;
    // where the chain does not hold, the tree has told of it
    let is_told = verdict.status != ChainStatus::Trusted && verdict.rejected_untold == 0;
    let rest: Vec<Finding> = of_chain.into_iter().filter(|_| !is_told).chain(beside).chain(got.findings).collect();
    report::print_findings(&rest);
    Ok(exit)
}

impl VerifyArgs {
    fn policies(&self) -> PolicyInputs {
        let mut inputs = self.policy.iter().fold(PolicyInputs::new(), |inputs, oid| inputs.accept(*oid));
        if self.require_explicit_policy {
            inputs = inputs.require_explicit();
        }
        if self.inhibit_policy_mapping {
            inputs = inputs.inhibit_mapping();
        }
        if self.inhibit_any_policy {
            inputs = inputs.inhibit_any();
        }
        inputs
    }

    /// What is not about the chain: the address, and policies that nobody demands.
    fn beside(&self, leaf: &Certificate, verdict: &ChainVerdict) -> Vec<Finding> {
        let mut found = Vec::new();
        if let Some(email) = &self.email
            && !pki::email::find(&leaf.addresses(), email)
        {
            let known = if leaf.addresses().is_empty() { "nobody by address".to_owned() } else { leaf.addresses().join(", ") };
            found.push(Finding::error(
                Code::FromMismatch,
                format!("certificate of {leaf} speaks for {known} – {email} was asked for"),
            ));
        }
        if !self.policy.is_empty() && verdict.status == ChainStatus::Trusted && verdict.policies.is_empty() {
            let text =
                format!("certificate of {leaf} stands under none of the policies that were asked for, and nobody demands one");
            found.push(Finding::warning(Code::Unsuitable, text).fix("--require-explicit-policy"));
        }
        found
    }
}

fn to_json(leaf: &Certificate, verdict: &ChainVerdict, trust: &Trust, findings: &[Finding], exit: Exit) -> Value {
    let qualifiers = verdict.policies.iter().flat_map(|policy| {
        let one = |qualifier: &pki::PolicyQualifier| json!({ "policy": policy.oid.to_string(), "text": qualifier.to_string() });
        policy.qualifiers.iter().map(one)
    });
    json!({
        "schema": format!("sealpost.{NAME}/1"),
        "result": if exit == Exit::Good { "ok" } else { "bad" },
        "exit": exit.code(),
        "certificate": keyring::certificate_json(leaf),
        "chain": {
            "status": verdict.status.name(),
            "path": verdict.path.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "revocation": verdict.revocation.name(),
        },
        "policies": verdict.policies.iter().map(|policy| policy.oid.to_string()).collect::<Vec<_>>(),
        "policy_qualifiers": qualifiers.collect::<Vec<_>>(),
        "rejected": verdict.rejected.iter().map(|rejected| tree::to_json(rejected, trust)).collect::<Vec<_>>(),
        "rejected_untold": verdict.rejected_untold,
        "findings": report::findings_json(findings),
    })
}

fn to_text(leaf: &Certificate, verdict: &ChainVerdict, trust: &Trust) -> String {
    if verdict.status != ChainStatus::Trusted {
        let mut text = format!("{}: NOT trusted – {}\n", safe(&leaf.to_string()), verdict.status.name());
        text.push_str(&tree::to_text(verdict, trust));
        return text;
    }
    let path: Vec<String> = verdict.path.iter().map(|certificate| safe(&certificate.to_string())).collect();
    let mut text = format!("{}: trusted\n", safe(&leaf.to_string()));
    text.push_str(&format!("  path: {}\n  revocation: {}\n", path.join(" ← "), verdict.revocation.name()));
    verdict.policies.iter().for_each(|policy| text.push_str(&policy_text(policy)));
    text
}

fn policy_text(policy: &CertificatePolicy) -> String {
    let name = if policy.oid == oid::ANY_POLICY { "any".to_owned() } else { policy.oid.to_string() };
    let lines = policy.qualifiers.iter().map(|qualifier| format!("    {}\n", safe(&qualifier.to_string())));
    std::iter::once(format!("  policy: {name}\n")).chain(lines).collect()
}
