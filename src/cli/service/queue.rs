//! `sealpost queue`: the mail that waits for other servers.

use clap::{Args, Subcommand};
use serde_json::json;

use sealpost::server::admin::{self, Question};
use sealpost::server::store::{HELD, Priority, Waiting, Which};

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::{output, report, service};

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

    /// What is said to a verb that is not done to everything by accident.
    fn one(&self, verb: &str) -> Result<Which, Failure> {
        match self.which() {
            Which::All => Err(Failure::usage(format!("nothing was said of what to {verb}"))
                .hint("name a message by its number, or several with --domain DOMAIN or --user ADDRESS")),
            which => Ok(which),
        }
    }

    fn has(&self, one: &Waiting) -> bool {
        match self.which() {
            Which::All => true,
            Which::Message(id) => one.id == id,
            Which::Domain(domain) => one.recipient.rsplit_once('@').is_some_and(|(_, of)| of.eq_ignore_ascii_case(&domain)),
            Which::User(user) => one.sender.eq_ignore_ascii_case(&user),
        }
    }
}

/// Runs `queue`.
pub(crate) fn run(context: &Context, verb: &QueueVerb) -> Result<Exit, Failure> {
    let accounts = service::accounts(context)?;
    let store = accounts.store();
    match verb {
        QueueVerb::List(selection) => {
            let mut waiting = store.waiting().map_err(service::from_store)?;
            waiting.retain(|one| selection.has(one));
            if context.json {
                let list: Vec<_> = waiting.iter().map(waiting_json).collect();
                context.print_json(&json!({ "schema": "sealpost.queue.list/1", "queue": list }))?;
            } else {
                waiting.iter().try_for_each(|one| output::stdout(waiting_line(one).as_bytes()))?;
            }
            Ok(Exit::Good)
        }
        QueueVerb::Show { id } => {
            let message = store.queued(*id).map_err(service::from_store)?;
            let waiting = store.waiting().map_err(service::from_store)?;
            let of_it: Vec<_> = waiting.iter().filter(|one| one.id == *id).collect();
            if context.json {
                let list: Vec<_> = of_it.iter().map(|one| waiting_json(one)).collect();
                let size = message.len();
                context.print_json(&json!({ "schema": "sealpost.queue.show/1", "queue": list, "size": size }))?;
            } else {
                of_it.iter().for_each(|one| eprint!("{}", waiting_line(one)));
                output::stdout(&message)?;
            }
            Ok(Exit::Good)
        }
        QueueVerb::Retry(selection) => {
            store.retry(&selection.which(), context.now).map_err(service::from_store)?;
            match admin::ask(&service::data(context)?, Question::Wake) {
                Ok(_) => {}
                Err(_) => eprintln!("note: the server does not run; it tries when it does"),
            }
            service::done(context, "queue.retry")
        }
        QueueVerb::Hold(selection) => {
            store.hold(&selection.one("hold")?).map_err(service::from_store)?;
            service::done(context, "queue.hold")
        }
        QueueVerb::Drop(selection) => {
            store.drop_queued(&selection.one("drop")?).map_err(service::from_store)?;
            service::done(context, "queue.drop")
        }
        QueueVerb::Tls { send: true, .. } => send_reports(context),
        QueueVerb::Tls { days_ago, .. } => {
            let day = context.now.unix().div_euclid(86_400).saturating_sub(*days_ago);
            let counted = store.tls_results(day).map_err(service::from_store)?;
            if context.json {
                let list: Vec<_> = counted
                    .iter()
                    .map(|(one, count)| {
                        let text = (!one.wording.is_empty()).then(|| one.wording.lines().collect::<Vec<_>>());
                        json!({
                            "domain": one.domain, "policy": one.policy, "policy_text": text, "mx": one.mx, "result": one.result,
                            "count": count,
                        })
                    })
                    .collect();
                context.print_json(&json!({ "schema": "sealpost.queue.tls/1", "day": day, "results": list }))?;
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
            Ok(Exit::Good)
        }
    }
}

/// Asks the server that runs: it has the names and the way out.
fn send_reports(context: &Context) -> Result<Exit, Failure> {
    let lines = admin::ask(&service::data(context)?, Question::Report)
        .map_err(|error| Failure::io(format!("the server does not run – {error}")).hint("start it with `sealpost serve`"))?;
    let lines: Vec<String> = lines.collect::<Result<_, _>>().map_err(|error| Failure::io(error.to_string()))?;
    if context.json {
        context.print_json(&json!({ "schema": "sealpost.queue.tls.send/1", "reports": lines }))?;
        return Ok(Exit::Good);
    }
    lines.iter().try_for_each(|line| output::stdout(format!("{}\n", report::safe(line)).as_bytes()))?;
    Ok(Exit::Good)
}

const fn word(priority: Priority) -> &'static str {
    match priority {
        Priority::High => "high",
        Priority::Normal => "normal",
        Priority::Low => "low",
    }
}

fn waiting_json(one: &Waiting) -> serde_json::Value {
    let next = if one.next == HELD { None } else { Some(one.next.to_string()) };
    json!({
        "id": one.id, "sender": one.sender, "recipient": one.recipient, "attempts": one.attempts, "created": one.created.to_string(),
        "priority": word(one.priority), "held": one.next == HELD, "next": next,
        "error": if one.error.is_empty() { None } else { Some(&one.error) },
    })
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
