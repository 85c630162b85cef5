//! The command line: arguments in, exit code out.
//!
//! Uses: the public API only, and clap. One file a command: its arguments, its `run`, nothing clever.
//! Holds always: the result is on stdout, talk is on stderr; a failed command leaves no output file; exit codes are those of
//! [`failure::Exit`].

mod ahead;
mod behind;
mod beside;
mod ca;
mod cert;
mod contact;
mod context;
mod copies;
mod decrypt;
mod demo;
mod details;
#[cfg(feature = "server")]
mod directory;
mod dkim;
mod encrypt;
mod explain;
mod export;
mod failure;
mod fix;
mod id;
mod input;
mod inspect;
mod keyring;
mod man;
mod online;
mod open;
mod output;
mod passphrase;
mod progress;
mod recipients;
mod remembered;
mod report;
mod resolve;
mod seal;
#[cfg(feature = "server")]
mod service;
mod sign;
mod token;
mod trust;
mod verify;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::cli::context::{Context, GlobalArgs};
use crate::cli::failure::{Exit, Failure};

/// Runs the command of the process's arguments.
pub(crate) fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    #[cfg(feature = "server")]
    if let Some(code) = service::sendmail::main(&arguments) {
        return code;
    }
    let parsed = match message_verb(&arguments) {
        Some(parsed) => Ok(parsed),
        None => Arguments::try_parse_from(&arguments).map(|arguments| (arguments.global, arguments.verb)),
    };
    let (global, verb) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            let _ = error.print();
            if error.use_stderr() && arguments.iter().any(|argument| argument == "--json") {
                let _ = context::print_json(&misused(&error).to_json(&verb_among(&arguments)));
            }
            return ExitCode::from(if error.use_stderr() { Exit::Usage.code() } else { Exit::Good.code() });
        }
    };
    let name = verb.name();
    let ended = Context::new(&global).and_then(|context| run(&context, verb));
    match ended {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(failure) => {
            eprintln!("{failure}");
            // whoever reads JSON gets an object however it ends; where standard output itself failed, there is nobody to tell
            if global.json {
                let _ = context::print_json(&failure.to_json(name));
            }
            ExitCode::from(failure.exit.code())
        }
    }
}

/// What was wrong with the arguments, for whoever reads JSON.
fn misused(error: &clap::Error) -> Failure {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    Failure::usage(first.strip_prefix("error: ").unwrap_or(first))
}

/// The first argument that is a verb, with the verb below it where it has those, as JSON results have it.
fn verb_among(arguments: &[OsString]) -> String {
    let description = Arguments::command();
    let mut words = arguments.iter().skip(1).filter_map(|argument| argument.to_str());
    let Some(verb) = words.find_map(|word| description.find_subcommand(word)) else { return "sealpost".to_owned() };
    match words.find_map(|word| verb.find_subcommand(word)) {
        Some(below) => match (verb.get_name(), below.get_name()) {
            ("id", "new" | "renew" | "import") => id::NAME.to_owned(),
            ("ca", "server-cert") => ca::ISSUED.to_owned(),
            (verb, below) => format!("{verb}.{below}"),
        },
        None => verb.get_name().to_owned(),
    }
}

/// Reads the arguments of a verb that works on a message by its own description alone: describing all the others costs more time and
/// memory than a small message. What cannot be read so, and what asks for help, is for the whole description to answer.
fn message_verb(arguments: &[OsString]) -> Option<(GlobalArgs, Verb)> {
    fn one<A: Args>(arguments: &[OsString], verb: impl Fn(A) -> Verb) -> Option<(GlobalArgs, Verb)> {
        let parsed = One::<A>::try_parse_from(arguments).ok()?;
        Some((parsed.global, verb(parsed.args)))
    }
    let (_, after) = arguments.split_first()?;
    let before = options_before_verb(after)?;
    let mut after = after.to_vec();
    after[..=before].rotate_right(1);
    let after = after.as_slice();
    match after.first()?.to_str()? {
        "sign" => one(after, Verb::Sign),
        "encrypt" => one(after, Verb::Encrypt),
        "seal" => one(after, Verb::Seal),
        "open" => one(after, Verb::Open),
        "verify" => one(after, Verb::Verify),
        "decrypt" => one(after, Verb::Decrypt),
        "inspect" => one(after, Verb::Inspect),
        _ => None,
    }
}

/// How many arguments before the verb are options of every verb, and their values.
fn options_before_verb(arguments: &[OsString]) -> Option<usize> {
    let mut at = 0;
    loop {
        let argument = arguments.get(at)?.to_str()?;
        let (name, value) = argument.split_once('=').unzip();
        at += match (name.unwrap_or(argument), value) {
            ("--json" | "--batch", None) | ("--home" | "--at" | "--passphrase-file" | "--passphrase-fd", Some(_)) => 1,
            ("--home" | "--at" | "--passphrase-file" | "--passphrase-fd", None) => 2,
            _ if argument.starts_with('-') => return None,
            _ => return Some(at),
        };
    }
}

/// One verb alone.
#[derive(Debug, Parser)]
#[command(disable_help_flag = true)]
struct One<A: Args> {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(flatten)]
    args: A,
}

fn run(context: &Context, verb: Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::Sign(args) => sign::run(context, &args),
        Verb::Encrypt(args) => encrypt::run(context, &args),
        Verb::Seal(args) => seal::run(context, &args),
        Verb::Open(args) => open::run(context, &args),
        Verb::Verify(args) => verify::run(context, &args),
        Verb::Decrypt(args) => decrypt::run(context, &args),
        Verb::Inspect(args) => inspect::run(context, &args),
        Verb::Explain(args) => explain::run(context, &args),
        Verb::Id(args) => id::run(context, args),
        Verb::Contact(args) => contact::run(context, args),
        Verb::Trust(args) => trust::run(context, args),
        Verb::Cert(args) => cert::run(context, &args),
        Verb::Ca(args) => ca::run(context, args),
        Verb::Dkim(args) => dkim::run(context, &args),
        #[cfg(feature = "server")]
        Verb::Service(verb) => service::run(context, verb),
        Verb::Demo(args) => demo::run(&args),
        Verb::Man(args) => man::run(Arguments::command(), &args),
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "sealpost", &mut script);
            output::stdout(&script).map(|()| Exit::Good)
        }
    }
}

/// Secure mail: sign, encrypt, open; certificates; a mail server.
#[derive(Debug, Parser)]
#[command(name = "sealpost", version, about, before_help = EXAMPLES, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Sign a message
    Sign(sign::SignArgs),
    /// Encrypt a message to its recipients
    Encrypt(encrypt::EncryptArgs),
    /// Sign, then encrypt
    Seal(seal::SealArgs),
    /// Decrypt and verify every layer; the clean message is the result
    Open(open::OpenArgs),
    /// Verify one signed layer
    Verify(verify::VerifyArgs),
    /// Decrypt one encrypted layer
    Decrypt(decrypt::DecryptArgs),
    /// Show the layers, algorithms, recipients and certificates of anything; no key needed
    Inspect(inspect::InspectArgs),
    /// Say why a message is not valid or not readable, what changed on the way, and what helps
    Explain(explain::ExplainArgs),
    /// Your own keys and certificates
    Id(id::IdArgs),
    /// Other people's certificates
    Contact(contact::ContactArgs),
    /// The certificates that you trust to vouch for others
    Trust(trust::TrustArgs),
    /// Certificates of anybody: are they good?
    Cert(cert::CertArgs),
    /// A small certificate authority
    Ca(ca::CaArgs),
    /// The keys with which domains sign the mail of their users (DKIM)
    Dkim(dkim::DkimArgs),
    #[cfg(feature = "server")]
    #[command(flatten)]
    Service(service::ServiceVerb),
    /// See secure mail work on this machine, step by step
    Demo(demo::DemoArgs),
    /// Print a completion script for your shell
    #[command(before_help = "Example:\n  sealpost completions bash > /etc/bash_completion.d/sealpost")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder
    #[command(hide = true)]
    Man(man::ManArgs),
}

impl Verb {
    /// Its name, as JSON results have it.
    const fn name(&self) -> &'static str {
        match self {
            Self::Sign(_) => "sign",
            Self::Encrypt(_) => "encrypt",
            Self::Seal(_) => "seal",
            Self::Open(_) => "open",
            Self::Verify(_) => "verify",
            Self::Decrypt(_) => "decrypt",
            Self::Inspect(_) => "inspect",
            Self::Explain(_) => "explain",
            Self::Id(args) => args.name(),
            Self::Contact(args) => args.name(),
            Self::Trust(args) => args.name(),
            Self::Cert(args) => args.name(),
            Self::Ca(args) => args.name(),
            Self::Dkim(args) => args.name(),
            #[cfg(feature = "server")]
            Self::Service(verb) => verb.name(),
            Self::Demo(_) => "demo",
            Self::Completions { .. } => "completions",
            Self::Man(_) => "man",
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  sealpost demo                                   see secure mail work, step by step
  sealpost ca init --name 'Example Org'           make a certificate authority
  sealpost id new jane@a.example                  a key and a certificate from it
  sealpost seal letter.eml -o sealed.eml          sign, and encrypt to the recipients of the message
  sealpost open sealed.eml                        decrypt, verify, and say who signed
  sealpost cert verify jane.pem --trust root.pem  whether a certificate is good, and why not
  sealpost explain odd.eml                        why it is not valid or readable, and what helps
  sealpost up --domain a.example --user jane      set up a mail server here; `sealpost serve` runs it
";

#[cfg(test)]
mod tests {
    use super::*;

    fn fast(line: &str) -> Option<(GlobalArgs, Verb)> {
        message_verb(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn message_verbs_are_known_behind_the_options_of_every_verb_alone() {
        for line in ["--json sign a", "--home sign --at=2026-01-01T00:00:00Z --json sign a", "--passphrase-file - --json sign a"]
        {
            let (global, verb) = fast(&format!("sealpost {line}")).expect(line);
            assert!(global.json && verb.name() == "sign", "{line}");
        }
        for line in
            ["--cert=a sign a", "--cert a sign a", "--home sign", "--home", "-- sign a", "--json", "--json demo", "--help sign"]
        {
            assert!(fast(&format!("sealpost {line}")).is_none(), "{line}");
        }
    }
}
