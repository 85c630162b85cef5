//! What every command shares: the home, the time, how to talk.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;

use sealpost::crypto::random::OsRandom;
use sealpost::keys::Home;
use sealpost::keys::token::Access;
use sealpost::limits::Limits;
use sealpost::time::Timestamp;

use crate::cli::failure::Failure;
use crate::cli::output::{self, Output};
use crate::cli::passphrase::PassphraseArgs;
use crate::cli::{report, token};

/// The options of every verb.
#[derive(Debug, Clone, Args)]
pub(crate) struct GlobalArgs {
    /// Where identities, contacts, trust and the CA live (default: the environment's SEALPOST_HOME, else the XDG data folder)
    #[arg(long, value_name = "DIR", global = true)]
    home: Option<PathBuf>,
    /// Validate as of TIME (RFC 3339), as 2026-04-11T09:30:00Z
    #[arg(long, value_name = "TIME", global = true)]
    at: Option<String>,
    /// Print one JSON object on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// What every command shares.
#[derive(Debug)]
pub(crate) struct Context {
    home: PathBuf,
    /// Whether the result is one JSON object.
    pub(crate) json: bool,
    /// The moment for which certificates are judged.
    pub(crate) at: Timestamp,
    /// Whether the user named it.
    pub(crate) is_at_given: bool,
    /// The present moment.
    pub(crate) now: Timestamp,
    /// Where passphrases come from.
    pub(crate) passphrase: PassphraseArgs,
    /// The bounds on hostile input.
    pub(crate) limits: Limits,
}

impl Context {
    /// Reads the options.
    pub(crate) fn new(args: &GlobalArgs) -> Result<Self, Failure> {
        let now = now();
        let at = match &args.at {
            None => now,
            Some(text) => Timestamp::parse_rfc3339(text)
                .ok_or_else(|| Failure::usage(format!("--at {text} is not a time")).hint("write it as 2026-04-11T09:30:00Z"))?,
        };
        let home = args
            .home
            .clone()
            .or_else(|| std::env::var_os("SEALPOST_HOME").filter(|home| !home.is_empty()).map(PathBuf::from))
            .or_else(default_home)
            .ok_or_else(|| Failure::usage("no home folder is known").hint("give one with --home DIR or SEALPOST_HOME"))?;
        let is_at_given = args.at.is_some();
        Ok(Self { home, json: args.json, at, is_at_given, now, passphrase: args.passphrase.clone(), limits: Limits::default() })
    }

    /// Where the home is.
    pub(crate) fn home_path(&self) -> &std::path::Path {
        &self.home
    }

    /// The home, if there is one.
    pub(crate) fn existing_home(&self) -> Result<Option<Home>, Failure> {
        if !self.home.is_dir() {
            return Ok(None);
        }
        self.open_home().map(Some)
    }

    /// The home; made where there is none.
    pub(crate) fn open_home(&self) -> Result<Home, Failure> {
        let home = Home::create(&self.home).map(|home| home.tokens(self.tokens()));
        home.map_err(|e| Failure::io(format!("cannot use the home {} – {e}", self.home.display())))
    }

    /// How keys on tokens are reached.
    pub(crate) fn tokens(&self) -> Access {
        token::access(&self.passphrase)
    }

    /// Randomness of the operating system.
    pub(crate) fn random(&self) -> OsRandom {
        OsRandom
    }

    /// Refuses early what writing a message to this place would refuse at the end, and the place where the JSON result goes.
    pub(crate) fn check_output(&self, output: &Output) -> Result<(), Failure> {
        if self.json && output.is_stdout() {
            let text = "--json prints its object on standard output, where the message would go, too";
            return Err(Failure::usage(text).hint("add -o FILE"));
        }
        output.check()
    }

    /// Prints the JSON result.
    pub(crate) fn print_json(&self, value: &serde_json::Value) -> Result<(), Failure> {
        print_json(value)
    }
}

/// Prints one JSON object on standard output.
pub(crate) fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(Failure::io)?;
    output::stdout(format!("{}\n", report::safe_json(&text)).as_bytes())
}

/// Reads the system's clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// The XDG data folder.
fn default_home() -> Option<PathBuf> {
    let data = std::env::var_os("XDG_DATA_HOME").filter(|v| !v.is_empty()).map(PathBuf::from);
    let data = data.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share")))?;
    Some(data.join("sealpost"))
}
