//! `sealpost open`.

use std::path::PathBuf;

use clap::Args;

use sealpost::smime::{Finding, Layers, Opened, Outcome, Want};

use crate::cli::behind::Writer;
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::input::{Message, Source};
use crate::cli::keyring::{Materials, ReadArgs};
use crate::cli::output::{OutSpool, Output};
use crate::cli::report;

/// Decrypt and verify every layer; the clean message is the result
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost open sealed.eml                                    with the keys and the trust of your home
  sealpost open --p12 cherry.p12 --trust root.pem sealed.eml -o letter.eml
  sealpost open --json sealed.eml -o letter.eml               the verdict as JSON")]
pub(crate) struct OpenArgs {
    /// The message (default: standard input)
    #[arg(value_name = "MSG")]
    message: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
    /// Give the innermost content's bytes exactly instead of a message
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    read: ReadArgs,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &OpenArgs) -> Result<Exit, Failure> {
    args.output.check()?;
    let mut message = Source(args.message.clone()).open("opening", &context.limits)?;
    let mut materials = args.read.materials(context, &mut message)?;
    let want = if args.raw { Want::Content } else { Want::Message };
    read(context, &Verb { name: "open", layers: Layers::Every, want }, &mut materials, &mut message, &args.output)
}

/// What a verb takes off, and what it gives.
pub(crate) struct Verb {
    /// Its name.
    pub(crate) name: &'static str,
    /// Which layers.
    pub(crate) layers: Layers,
    /// Which bytes.
    pub(crate) want: Want,
}

/// Takes layers off; gives the verdict, and the result where the verdict allows it.
pub(crate) fn read(
    context: &Context,
    verb: &Verb,
    materials: &mut Materials,
    message: &mut Message,
    output: &Output,
) -> Result<Exit, Failure> {
    // with JSON on standard output there is no room for the result
    let want = if context.json && output.is_stdout() { Want::Nothing } else { verb.want };
    // where content is hashed, the second thread does that
    let writer = if verb.layers == Layers::OneEncrypted { Writer::Beside } else { Writer::Here };
    let mut spool = output.spool(writer, message.wishes())?;
    let mut stream = |materials: &Materials| {
        let opened = materials.open(context).stream(message, verb.layers, want, &mut spool, &mut context.random());
        opened.map_err(Failure::io)
    };
    let mut opened = stream(materials)?;
    if materials.complete(context, opened.verdict())? {
        opened = stream(materials)?;
    }
    materials.keep_seen(context, &opened);
    finish(context, verb.name, &opened, &materials.told, spool, want)
}

/// Gives the verdict, and keeps the result where the verdict allows it.
pub(crate) fn finish(
    context: &Context,
    verb: &str,
    opened: &Opened,
    told: &[Finding],
    spool: OutSpool<'_>,
    want: Want,
) -> Result<Exit, Failure> {
    let mut verdict = opened.verdict().clone();
    verdict.findings.extend(told.iter().cloned());
    report::print(&verdict);
    match (opened.may_release(), want) {
        (true, Want::Nothing) if context.json => eprintln!("hint: with --json the result goes to a file only – add -o FILE"),
        (true, Want::Nothing) => {}
        (true, _) => spool.keep()?,
        (false, _) => eprintln!("nothing was released"),
    }
    if context.json {
        context.print_json(&report::to_json(verb, &verdict))?;
    }
    Ok(match verdict.outcome() {
        Outcome::Good => Exit::Good,
        other => report::exit(other),
    })
}
