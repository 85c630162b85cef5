//! `sealpost server`, `ban`: the servers of the process that runs, and who is shut out of them.

use std::net::IpAddr;

use clap::Subcommand;
use serde_json::Value;

use sealpost::server::admin::Question;
use sealpost::server::doors::Order;
use sealpost::server::manage::json;

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::service::{self, running};
use crate::cli::{output, report};

/// What is done to a virtual server.
#[derive(Debug, Subcommand)]
pub(crate) enum ServerVerb {
    /// List them: the main one, and each `[[server]]` of the configuration
    List,
    /// Listen again, and let everybody in
    Start {
        /// Its name; `main` is the one that the configuration as a whole describes
        name: String,
    },
    /// Listen no more; open sessions are told, the others of the process go on
    Stop {
        /// Its name
        name: String,
    },
    /// Tell who comes to try again later; open sessions go on
    Pause {
        /// Its name
        name: String,
    },
}

/// What is done about bans.
#[derive(Debug, Subcommand)]
pub(crate) enum BanVerb {
    /// List who is banned for failed logins, and until when
    List,
    /// End a ban
    Lift {
        /// The address
        address: IpAddr,
    },
}

/// Runs `server`.
pub(crate) fn server(context: &Context, verb: ServerVerb) -> Result<Exit, Failure> {
    let (order, name, verb) = match verb {
        ServerVerb::Start { name } => (Order::Start, name, "server.start"),
        ServerVerb::Stop { name } => (Order::Stop, name, "server.stop"),
        ServerVerb::Pause { name } => (Order::Pause, name, "server.pause"),
        ServerVerb::List => {
            return list(context, &Question::Servers, |lines| json::servers(lines.iter().map(String::as_str)));
        }
    };
    order_one(context, &Question::Server(order, name), verb)
}

/// Runs `ban`.
pub(crate) fn ban(context: &Context, verb: &BanVerb) -> Result<Exit, Failure> {
    match verb {
        BanVerb::List => list(context, &Question::Bans, |lines| json::bans(lines.iter().map(String::as_str))),
        BanVerb::Lift { address } => order_one(context, &Question::LiftBan(*address), "ban.lift"),
    }
}

fn order_one(context: &Context, question: &Question, verb: &str) -> Result<Exit, Failure> {
    for line in running::answer(context, question)? {
        match line.split_once('\t') {
            Some(("error", why)) => return Err(Failure::usage(report::safe(why))),
            Some((_, done)) if !context.json => output::stdout(format!("{}\n", report::safe(done)).as_bytes())?,
            _ => {}
        }
    }
    service::done(context, verb)
}

/// Lines of fields, as a table or as JSON.
fn list(context: &Context, question: &Question, json: impl Fn(&[String]) -> Value) -> Result<Exit, Failure> {
    let lines = running::answer(context, question)?;
    if context.json {
        context.print_json(&json(&lines))?;
        return Ok(Exit::Good);
    }
    for line in lines {
        output::stdout(format!("{}\n", report::safe(&line.replace('\t', "  "))).as_bytes())?;
    }
    Ok(Exit::Good)
}
