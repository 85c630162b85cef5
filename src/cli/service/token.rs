//! `sealpost token`: who may use the admin API.

use clap::{Subcommand, ValueEnum};

use sealpost::server::manage::json;
use sealpost::server::store::Scope;

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::{output, report, service};

/// What is done to tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenVerb {
    /// Make a token; it is printed this once, and only its digest is kept
    New {
        /// What to call it
        name: String,
        /// What its bearer may do: look, or change everything
        #[arg(long, value_enum, default_value_t = Word::Read)]
        scope: Word,
        /// It is good for so many days (default: until it is revoked)
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=36_500))]
        days: Option<i64>,
    },
    /// List the tokens, without what they are
    List,
    /// Make a token good for nothing, at once
    Revoke {
        /// Its name
        name: String,
    },
}

impl TokenVerb {
    /// Its name, as JSON results have it.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::New { .. } => "token.new",
            Self::List => "token.list",
            Self::Revoke { .. } => "token.revoke",
        }
    }
}

/// A scope, as it is typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Word {
    /// GET alone
    Read,
    /// All
    Admin,
}

/// Runs `token`.
pub(crate) fn run(context: &Context, verb: &TokenVerb) -> Result<Exit, Failure> {
    let manage = service::manage(context)?;
    match verb {
        TokenVerb::New { name, scope, days } => {
            let scope = match scope {
                Word::Read => Scope::Read,
                Word::Admin => Scope::Admin,
            };
            let made = manage.new_token(name, scope, (context.now, *days), &mut context.random());
            let made = made.map_err(service::from_manage)?;
            match context.json {
                true => context.print_json(&json::token_made(&made.kept, made.secret.expose()))?,
                false => output::stdout(format!("{}\n", made.secret.expose()).as_bytes())?,
            }
            eprintln!(
                "token: {} may {}; it is shown this once",
                report::safe(name),
                if scope == Scope::Read { "look" } else { "change everything" }
            );
            Ok(Exit::Good)
        }
        TokenVerb::List => {
            let tokens = manage.tokens().map_err(service::from_manage)?;
            if context.json {
                context.print_json(&json::tokens(&tokens))?;
                return Ok(Exit::Good);
            }
            for token in tokens {
                let expires = match token.expires {
                    Some(at) if at <= context.now => format!("expired {at}"),
                    Some(at) => format!("expires {at}"),
                    None => "does not expire".to_owned(),
                };
                let line = format!("{}  {}  made {}  {expires}\n", report::safe(&token.name), token.scope.name(), token.created);
                output::stdout(line.as_bytes())?;
            }
            Ok(Exit::Good)
        }
        TokenVerb::Revoke { name } => {
            manage.revoke_token(name).map_err(service::from_manage)?;
            service::done(context, verb.name())
        }
    }
}
