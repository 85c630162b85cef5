//! `sealpost trust`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::{keyring, report};

/// The certificates that you trust to vouch for others
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost trust add root.pem               after you checked its fingerprint with its owner
  sealpost trust list
  sealpost trust remove 3f9a1c20")]
pub(crate) struct TrustArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Trust the certificates in FILE
    Add {
        /// PEM or DER
        file: PathBuf,
    },
    /// List what you trust
    List,
    /// No longer trust the certificate with this fingerprint (its first 8 digits or more)
    Remove {
        /// SHA-256, hexadecimal
        fingerprint: String,
    },
}

impl TrustArgs {
    /// The name of the verb, as JSON results have it.
    pub(crate) const fn name(&self) -> &'static str {
        match self.verb {
            Verb::Add { .. } => "trust.add",
            Verb::List => "trust.list",
            Verb::Remove { .. } => "trust.remove",
        }
    }
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: TrustArgs) -> Result<Exit, Failure> {
    let home = context.open_home()?;
    match args.verb {
        Verb::Add { file } => {
            let certificates = keyring::certificates(context, &file)?;
            for certificate in &certificates {
                home.add_trust(certificate).map_err(Failure::io)?;
                eprintln!("trusted: {} (SHA-256 {})", report::safe(&certificate.to_string()), certificate.fingerprint_hex());
            }
            keyring::list(context, "trust.add", &certificates)
        }
        Verb::List => keyring::list(context, "trust.list", &home.trust_anchors().map_err(Failure::io)?),
        Verb::Remove { fingerprint } => {
            let removed = home.remove_trust(&fingerprint).map_err(Failure::io)?;
            if removed.is_empty() {
                return Err(Failure::usage(format!("nothing with the fingerprint {fingerprint} is trusted"))
                    .hint("`sealpost trust list` shows the fingerprints; give at least 8 digits"));
            }
            for certificate in &removed {
                eprintln!("no longer trusted: {}", report::safe(&certificate.to_string()));
            }
            if context.json {
                let fingerprints: Vec<String> = removed.iter().map(sealpost::pki::Certificate::fingerprint_hex).collect();
                context.print_json(&json!({ "schema": "sealpost.trust.remove/1", "removed": fingerprints }))?;
            }
            Ok(Exit::Good)
        }
    }
}
