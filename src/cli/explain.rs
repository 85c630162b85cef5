//! `sealpost explain`.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use sealpost::smime::{Change, Explained, Explanation, Outcome};

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::input::{self, Source};
use crate::cli::keyring::{Materials, ReadArgs};
use crate::cli::{fix, output, report};

/// Say why a message is not valid or not readable, what changed on the way, and what helps
///
/// The message stays what it is: the exit code is that of `open`, and nothing of its content is given.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost explain odd.eml                                    with the keys and the trust of your home
  sealpost explain --trust root.pem odd.eml
  sealpost explain contract.pdf --signature contract.pdf.p7s
  sealpost explain --json odd.eml")]
pub(crate) struct ExplainArgs {
    /// The message, or the file that a detached signature covers (default: standard input)
    #[arg(value_name = "MSG")]
    message: Option<PathBuf>,
    /// The detached signature
    #[arg(long, value_name = "P7S")]
    signature: Option<PathBuf>,
    #[command(flatten)]
    read: ReadArgs,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &ExplainArgs) -> Result<Exit, Failure> {
    let message = Source(args.message.clone()).read(&context.limits)?;
    let signature = args.signature.as_ref().map(|path| input::file(path, &context.limits)).transpose()?;
    let mut materials = match &signature {
        Some(_) => args.read.materials_without_keys(context)?,
        None => args.read.materials(context, &mut std::io::Cursor::new(&message))?,
    };
    let explain = |materials: &Materials| match &signature {
        Some(signature) => materials.open(context).explain_detached(&message, signature),
        None => materials.open(context).explain(&message, &mut context.random()),
    };
    let mut explained = explain(&materials);
    if materials.complete(context, &explained.verdict)? {
        explained = explain(&materials);
    }
    explained.verdict.findings.extend(materials.told);
    let exit = report::exit(explained.verdict.outcome());
    if context.json {
        context.print_json(&to_json(&explained, exit))?;
    } else {
        report::print(&explained.verdict);
        output::stdout(to_text(&explained).as_bytes())?;
    }
    Ok(exit)
}

fn to_json(explained: &Explained, exit: Exit) -> Value {
    let one = |explanation: &Explanation| {
        json!({
            "finding": explanation.finding.code(),
            "change": explanation.change.map(Change::name),
            "where": explanation.place,
            "text": explanation.text,
            "fix": explanation.fix.as_deref().map(fix::command),
        })
    };
    json!({
        "schema": "sealpost.explain/1",
        "result": if exit == Exit::Good { "ok" } else { "bad" },
        "exit": exit.code(),
        "findings": report::findings_json(&explained.verdict.findings),
        "explanations": explained.explanations.iter().map(one).collect::<Vec<_>>(),
    })
}

fn to_text(explained: &Explained) -> String {
    let mut text = String::new();
    if explained.verdict.outcome() == Outcome::Good {
        text.push_str("nothing stands against this message\n");
    }
    for explanation in &explained.explanations {
        let place = explanation.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
        let change = explanation.change.map(|change| format!(" [{}]", change.name())).unwrap_or_default();
        text.push_str(&format!("\n{}{}{change}\n", report::safe(&place), report::safe(&explanation.text)));
        if let Some(fix) = &explanation.fix {
            text.push_str(&format!("  try: {}\n", report::safe(&fix::command(fix))));
        }
    }
    text
}
