//! `sealpost server`, `ban`: the servers of the process that runs, and who is shut out of them.

use clap::Subcommand;
use serde_json::Value;

use sealpost::server::admin::Question;
use sealpost::server::doors::{LONGEST_BAN, Order};
use sealpost::server::manage::json;
use sealpost::server::policy::Whom;

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

impl ServerVerb {
    /// Its name, as JSON results have it.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::List => "server.list",
            Self::Start { .. } => "server.start",
            Self::Stop { .. } => "server.stop",
            Self::Pause { .. } => "server.pause",
        }
    }
}

/// What is done about bans.
#[derive(Debug, Subcommand)]
pub(crate) enum BanVerb {
    /// List who is banned, until when, and whether for failed logins or by hand
    List,
    /// Ban an address, a network or a sender, until it is lifted or the server starts anew
    Add {
        /// An address (192.0.2.7), a network (192.0.2.0/24), or a sender: x@b.example, b.example, .b.example for all below it
        #[arg(value_name = "ADDRESS|NETWORK|SENDER", value_parser = Whom::parse)]
        whom: Whom,
        /// For how long: 90s, 30m, 2h, 7d
        #[arg(long = "for", value_name = "DURATION", value_parser = seconds)]
        duration: Option<u64>,
    },
    /// End a ban
    Lift {
        /// Who, as the list has it
        #[arg(value_name = "ADDRESS|NETWORK|SENDER", value_parser = Whom::parse)]
        whom: Whom,
    },
}

impl BanVerb {
    /// Its name, as JSON results have it.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::List => "ban.list",
            Self::Add { .. } => "ban.add",
            Self::Lift { .. } => "ban.lift",
        }
    }
}

/// Runs `server`.
pub(crate) fn server(context: &Context, verb: ServerVerb) -> Result<Exit, Failure> {
    let told = verb.name();
    let (order, name) = match verb {
        ServerVerb::Start { name } => (Order::Start, name),
        ServerVerb::Stop { name } => (Order::Stop, name),
        ServerVerb::Pause { name } => (Order::Pause, name),
        ServerVerb::List => {
            return list(context, &Question::Servers, |lines| json::servers(lines.iter().map(String::as_str)));
        }
    };
    order_one(context, &Question::Server(order, name), told)
}

/// Runs `ban`.
pub(crate) fn ban(context: &Context, verb: &BanVerb) -> Result<Exit, Failure> {
    match verb {
        BanVerb::List => list(context, &Question::Bans, |lines| json::bans(lines.iter().map(String::as_str))),
        BanVerb::Add { whom, duration } => order_one(context, &Question::Ban(whom.clone(), *duration), verb.name()),
        BanVerb::Lift { whom } => order_one(context, &Question::LiftBan(whom.clone()), verb.name()),
    }
}

/// A number of seconds, minutes, hours or days.
fn seconds(text: &str) -> Result<u64, String> {
    let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];
    let found = units.iter().find_map(|(unit, seconds)| text.strip_suffix(*unit)?.parse::<u64>().ok()?.checked_mul(*seconds));
    let is_good = |seconds: &u64| (1..=LONGEST_BAN).contains(seconds);
    found.filter(is_good).ok_or_else(|| "a duration is a number with s, m, h or d, as 30m, and 3650d at most".to_owned())
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
