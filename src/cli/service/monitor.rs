//! `sealpost status`, `reload`, `trace`: what the home's server does.

use clap::Args;
use serde_json::json;

use sealpost::server::admin::{self, Question};

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::{output, report, service};

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

/// Runs `reload`.
pub(crate) fn reload(context: &Context) -> Result<Exit, Failure> {
    // whoever cannot read it here knows already what the server would say
    let stays = |text: &str| format!("the old configuration stays – {text}");
    service::data(context).map_err(|failure| Failure { message: stays(&failure.message), ..failure })?;
    let lines: Vec<String> =
        ask(context, Question::Reload)?.collect::<std::io::Result<_>>().map_err(|e| Failure::io(format!("no answer – {e}")))?;
    let of = |kind: &str| -> Vec<&str> {
        lines.iter().filter_map(|line| line.split_once('\t')).filter(|(known, _)| *known == kind).map(|(_, text)| text).collect()
    };
    let (changed, kept, wrong) = (of("changed"), of("kept"), of("error"));
    if !wrong.is_empty() {
        return Err(Failure::usage(stays(&wrong.join("\n"))).hint("`sealpost serve --check` tells every mistake"));
    }
    if context.json {
        context.print_json(&json!({ "schema": "sealpost.reload/1", "exit": 0, "changed": changed, "kept": kept }))?;
        return Ok(Exit::Good);
    }
    for text in &changed {
        output::stdout(format!("changed: {}\n", report::safe(text)).as_bytes())?;
    }
    for text in &kept {
        output::stdout(format!("not changed: {}\n", report::safe(text)).as_bytes())?;
    }
    if changed.is_empty() && kept.is_empty() {
        eprintln!("nothing changed");
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
