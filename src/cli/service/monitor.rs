//! `sealpost queue`, `status`, `trace`: what the home's server does.

use clap::{Args, Subcommand};
use serde_json::json;

use sealpost::server::admin::{self, Question};
use sealpost::server::store::Waiting;

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::{output, report, service};

/// What is done to the queue.
#[derive(Debug, Subcommand)]
pub(crate) enum QueueVerb {
    /// List what waits for other servers
    List,
    /// Show a message of the queue
    Show {
        /// Its number
        id: i64,
    },
    /// Try a message again now; without a number, everything
    Retry {
        /// Its number
        id: Option<i64>,
    },
    /// Take a message out of the queue; nobody is told
    Drop {
        /// Its number
        id: i64,
    },
}

/// Show what is said on every connection of the running server, with secrets masked
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost trace                          until Ctrl-C
  sealpost trace --user joe@a.example     once he has logged in
  sealpost trace --peer 192.0.2.7 --json")]
pub(crate) struct TraceArgs {
    /// Only conversations of this user
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only conversations with this address
    #[arg(long, value_name = "IP")]
    peer: Option<std::net::IpAddr>,
}

/// Runs `queue`.
pub(crate) fn queue(context: &Context, verb: &QueueVerb) -> Result<Exit, Failure> {
    let accounts = service::accounts(context)?;
    let store = accounts.store();
    match verb {
        QueueVerb::List => {
            let waiting = store.waiting().map_err(service::from_store)?;
            if context.json {
                let list: Vec<_> = waiting.iter().map(waiting_json).collect();
                context.print_json(&json!({ "schema": "sealpost.queue.list/1", "queue": list }))?;
            } else {
                waiting.iter().try_for_each(|one| output::stdout(waiting_line(one).as_bytes()))?;
            }
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
        }
        QueueVerb::Retry { id } => {
            store.retry(*id, context.now).map_err(service::from_store)?;
            match admin::ask(&service::data(context)?, Question::Wake) {
                Ok(_) => {}
                Err(_) => eprintln!("note: the server does not run; it tries when it does"),
            }
            return service::done(context, "queue.retry");
        }
        QueueVerb::Drop { id } => {
            store.drop_queued(*id).map_err(service::from_store)?;
            return service::done(context, "queue.drop");
        }
    }
    Ok(Exit::Good)
}

fn waiting_json(one: &Waiting) -> serde_json::Value {
    json!({
        "id": one.id, "sender": one.sender, "recipient": one.recipient, "attempts": one.attempts,
        "next": one.next.to_string(), "error": if one.error.is_empty() { None } else { Some(&one.error) },
    })
}

fn waiting_line(one: &Waiting) -> String {
    let why = if one.error.is_empty() { "not tried yet" } else { &one.error };
    format!(
        "{}  <{}> to <{}>  tried {} times, next {}  {}\n",
        one.id,
        report::safe(&one.sender),
        report::safe(&one.recipient),
        one.attempts,
        one.next,
        report::safe(why)
    )
}

/// Runs `status`.
pub(crate) fn status(context: &Context) -> Result<Exit, Failure> {
    let lines: Vec<String> =
        ask(context, Question::Status)?.collect::<std::io::Result<_>>().map_err(|e| Failure::io(format!("no answer – {e}")))?;
    let facts = lines.iter().filter_map(|line| line.split_once('\t'));
    if context.json {
        let mut object = json!({ "schema": "sealpost.status/1" });
        for (name, value) in facts {
            let value = value.parse::<u64>().map_or_else(|_| json!(value), |number| json!(number));
            if let Some(map) = object.as_object_mut() {
                map.insert(name.to_owned(), value);
            }
        }
        context.print_json(&object)?;
        return Ok(Exit::Good);
    }
    for (name, value) in facts {
        output::stdout(format!("{name:<14} {value}\n").as_bytes())?;
    }
    Ok(Exit::Good)
}

/// Runs `trace`: until the server stops, or nobody reads any more.
pub(crate) fn trace(context: &Context, args: &TraceArgs) -> Result<Exit, Failure> {
    for line in ask(context, Question::Trace)? {
        let line = line.map_err(|e| Failure::io(format!("the trace ends – {e}")))?;
        let Some(event) = admin::event(&line) else { continue };
        let is_user = args.user.as_ref().is_none_or(|user| event.user.eq_ignore_ascii_case(user));
        let is_peer =
            args.peer.is_none_or(|peer| event.peer.parse::<std::net::SocketAddr>().is_ok_and(|known| known.ip() == peer));
        if !is_user || !is_peer {
            continue;
        }
        if context.json {
            context.print_json(&json!({
                "schema": "sealpost.trace/1", "conversation": event.conversation, "at": event.at.to_string(),
                "service": event.service, "peer": event.peer, "user": event.user, "by": event.by, "text": event.text,
            }))?;
            continue;
        }
        let text = match event.by.as_str() {
            "-" => format!("{}  {}\n", event.at, report::safe(&event.text)),
            by => format!("{} {} [{}] {by}: {}\n", event.conversation, event.service, event.peer, report::safe(&event.text)),
        };
        output::stdout(text.as_bytes())?;
    }
    Ok(Exit::Good)
}

fn ask(context: &Context, question: Question) -> Result<impl Iterator<Item = std::io::Result<String>> + use<>, Failure> {
    let data = service::data(context)?;
    admin::ask(&data, question).map_err(|error| {
        Failure::io(format!("no server runs with the data of {} – {error}", data.display()))
            .hint("start it with `sealpost serve`")
    })
}
