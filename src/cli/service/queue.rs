//! `sealpost queue`: the mail that waits for other servers.

use clap::{Args, Subcommand};

use sealpost::server::admin::Question;
use sealpost::server::manage::json;
use sealpost::server::store::{HELD, Waiting, Which};

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::service::{self, running};
use crate::cli::{output, report};

/// What is done to the queue.
#[derive(Debug, Subcommand)]
pub(crate) enum QueueVerb {
    /// List what waits for other servers
    List(Selection),
    /// Show a message of the queue
    Show {
        /// Its number
        id: i64,
    },
    /// Try messages again now, also at servers that failed a moment ago; without a choice, everything that is not held
    Retry(Selection),
    /// Hold messages until `queue retry` names them
    Hold(Selection),
    /// Take messages out of the queue; nobody is told
    Drop(Selection),
    /// How TLS went with other servers on a day, by domain, policy and server
    Tls {
        /// So many days ago; 0 is today
        #[arg(long, value_name = "N", default_value_t = 0)]
        days_ago: i64,
        /// Have the server send the reports of the last days that are due to the domains that ask for them (RFC 8460)
        #[arg(long, conflicts_with = "days_ago")]
        send: bool,
    },
}

impl QueueVerb {
    /// Its name, as JSON results have it.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::List(_) => "queue.list",
            Self::Show { .. } => "queue.show",
            Self::Retry(_) => "queue.retry",
            Self::Hold(_) => "queue.hold",
            Self::Drop(_) => "queue.drop",
            Self::Tls { send: true, .. } => "queue.tls.send",
            Self::Tls { .. } => "queue.tls",
        }
    }
}

/// Which messages.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct Selection {
    /// The number of a message
    id: Option<i64>,
    /// The recipients of this domain
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    /// The messages of this sender
    #[arg(long, value_name = "ADDRESS")]
    user: Option<String>,
}

impl Selection {
    fn which(&self) -> Which {
        match (self.id, &self.domain, &self.user) {
            (Some(id), _, _) => Which::Message(id),
            (None, Some(domain), _) => Which::Domain(domain.to_lowercase()),
            (None, None, Some(user)) => Which::User(user.to_lowercase()),
            (None, None, None) => Which::All,
        }
    }
}

/// Runs `queue`.
pub(crate) fn run(context: &Context, verb: &QueueVerb) -> Result<Exit, Failure> {
    let manage = service::manage(context)?;
    let result = match verb {
        QueueVerb::List(selection) => {
            let waiting = manage.waiting(&selection.which()).map_err(service::from_manage)?;
            if context.json {
                context.print_json(&json::queue(&waiting))?;
            } else {
                waiting.iter().try_for_each(|one| output::stdout(waiting_line(one).as_bytes()))?;
            }
            return Ok(Exit::Good);
        }
        QueueVerb::Show { id } => {
            let waiting = manage.waiting(&Which::Message(*id)).map_err(service::from_manage)?;
            if context.json {
                context.print_json(&json::queued(&waiting, manage.queued_size(*id).map_err(service::from_manage)?))?;
            } else {
                let message = manage.queued(*id).map_err(service::from_manage)?;
                waiting.iter().for_each(|one| eprint!("{}", waiting_line(one)));
                output::stdout(&message)?;
            }
            return Ok(Exit::Good);
        }
        QueueVerb::Retry(selection) => {
            manage.retry(&selection.which(), context.now).map_err(service::from_manage)?;
            if running::ask(context, &Question::Wake).is_err() {
                eprintln!("note: the server does not run; it tries when it does");
            }
            Ok(())
        }
        QueueVerb::Hold(selection) => manage.hold(&selection.which()),
        QueueVerb::Drop(selection) => manage.drop_queued(&selection.which()),
        QueueVerb::Tls { send: true, .. } => return send_reports(context),
        QueueVerb::Tls { days_ago, .. } => {
            let day = context.now.unix().div_euclid(86_400).saturating_sub(*days_ago);
            let counted = manage.tls_results(day).map_err(service::from_manage)?;
            if context.json {
                context.print_json(&json::tls(day, &counted))?;
                return Ok(Exit::Good);
            }
            for (one, count) in counted {
                let line = format!(
                    "{}  {}  {}  {}  {count}\n",
                    report::safe(&one.domain),
                    one.policy,
                    report::safe(&one.mx),
                    one.result
                );
                output::stdout(line.as_bytes())?;
            }
            return Ok(Exit::Good);
        }
    };
    result.map_err(service::from_manage)?;
    service::done(context, verb.name())
}

/// Asks the server that runs: it has the names and the way out.
fn send_reports(context: &Context) -> Result<Exit, Failure> {
    let lines = running::answer(context, &Question::Report)?;
    if context.json {
        context.print_json(&serde_json::json!({ "schema": "sealpost.queue.tls.send/1", "reports": lines }))?;
        return Ok(Exit::Good);
    }
    lines.iter().try_for_each(|line| output::stdout(format!("{}\n", report::safe(line)).as_bytes()))?;
    Ok(Exit::Good)
}

fn waiting_line(one: &Waiting) -> String {
    let why = if one.error.is_empty() { "not tried yet" } else { &one.error };
    let next = if one.next == HELD { "held".to_owned() } else { format!("next {}", one.next) };
    format!(
        "{}  <{}> to <{}>  tried {} times, {next}  {}\n",
        one.id,
        report::safe(&one.sender),
        report::safe(&one.recipient),
        one.attempts,
        report::safe(why)
    )
}
