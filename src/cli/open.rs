//! `sealpost open`.

use std::path::PathBuf;

use clap::Args;

use sealpost::smime::{Opened, Outcome};

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::input::Source;
use crate::cli::keyring::ReadArgs;
use crate::cli::output::Output;
use crate::cli::progress::Progress;
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
    let message = Source(args.message.clone()).read(&context.limits)?;
    let materials = args.read.materials(context, &message)?;
    let progress = Progress::bar("opening", message.len());
    let tell = |bytes| progress.advance(bytes);
    let opened = materials.open(context).progress(&tell).run(&message, &mut context.random());
    drop(progress);
    finish(context, "open", &opened, &args.output, if args.raw { Want::Content } else { Want::Message })
}

/// Which bytes the person wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// A message: header fields over the innermost body.
    Message,
    /// The innermost content's bytes.
    Content,
    /// The verdict alone.
    Nothing,
}

/// Gives the verdict, and the result where the verdict allows it.
pub(crate) fn finish(context: &Context, verb: &str, opened: &Opened, output: &Output, want: Want) -> Result<Exit, Failure> {
    let verdict = opened.verdict();
    report::print(verdict);
    if let Some(released) = opened.released() {
        let wanted = want != Want::Nothing && !(context.json && output.is_stdout());
        match want {
            Want::Message if wanted => output.write(&released.message())?,
            Want::Content if wanted => output.write(released.content())?,
            _ => {}
        }
    } else {
        eprintln!("nothing was released");
    }
    if context.json {
        context.print_json(&report::to_json(verb, verdict))?;
    }
    Ok(match verdict.outcome() {
        Outcome::Good => Exit::Good,
        other => report::exit(other),
    })
}
