//! `sealpost status`, `reload`, `trace`: what the home's server does.

use clap::{Args, ValueEnum};
use serde_json::json;

use sealpost::proto::Party;
use sealpost::server::admin::Question;
use sealpost::server::manage::{Status, json as told_as};
use sealpost::server::trace::{Event, Explainer, Language, Wanted};

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::service::{self, running};
use crate::cli::{output, report};

/// Show what is said on every connection of the running server, with secrets masked
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost trace                          until Ctrl-C
  sealpost trace --user joe@a.example     once he has logged in
  sealpost trace --queue 17               what becomes of one message of the queue
  sealpost trace --explain --language zh  with what each line means, in Chinese
  sealpost trace --peer 192.0.2.7 --json")]
pub(crate) struct TraceArgs {
    /// Only conversations of this user
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only conversations with this address
    #[arg(long, value_name = "IP")]
    peer: Option<std::net::IpAddr>,
    /// Only what is about this message of the queue
    #[arg(long, value_name = "ID")]
    queue: Option<i64>,
    /// Say what each command and reply means
    #[arg(long)]
    explain: bool,
    /// The language of the explanations
    #[arg(long, value_enum, default_value_t = Word::En, requires = "explain")]
    language: Word,
}

/// A language, as it is typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Word {
    /// English
    En,
    /// Chinese
    Zh,
}

/// Runs `status`.
pub(crate) fn status(context: &Context) -> Result<Exit, Failure> {
    let lines = running::answer(context, &Question::Status)?;
    let facts = lines.iter().filter_map(|line| Status::fact(line));
    if context.json {
        let mut object = json!({ "schema": "sealpost.status/1" });
        for (name, value) in facts {
            if let Some(map) = object.as_object_mut() {
                map.insert(name, value);
            }
        }
        context.print_json(&object)?;
        return Ok(Exit::Good);
    }
    for (name, value) in facts {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        output::stdout(format!("{name:<20} {}\n", report::safe(&value)).as_bytes())?;
    }
    Ok(Exit::Good)
}

/// Runs `reload`.
pub(crate) fn reload(context: &Context) -> Result<Exit, Failure> {
    // whoever cannot read it here knows already what the server would say
    let stays = |text: &str| format!("the old configuration stays – {text}");
    service::data(context).map_err(|failure| Failure { message: stays(&failure.message), ..failure })?;
    let lines = running::answer(context, &Question::Reload)?;
    let of = |kind: &str| -> Vec<&str> {
        lines.iter().filter_map(|line| line.split_once('\t')).filter(|(known, _)| *known == kind).map(|(_, text)| text).collect()
    };
    let (changed, kept, wrong) = (of("changed"), of("kept"), of("error"));
    if !wrong.is_empty() {
        return Err(Failure::usage(stays(&wrong.join("\n"))).hint("`sealpost serve --check` tells every mistake"));
    }
    if context.json {
        context.print_json(&told_as::reloaded(&changed, &kept))?;
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
    let wanted = Wanted { user: args.user.clone(), peer: args.peer, queue: args.queue };
    let mut explainer = Explainer::new(match args.language {
        Word::En => Language::English,
        Word::Zh => Language::Chinese,
    });
    for line in running::ask(context, &Question::Trace)? {
        let line = line.map_err(|e| Failure::io(format!("the trace ends – {e}")))?;
        let Some(event) = Event::from_line(&line) else { continue };
        // a reply is explained by its command, whether that is shown or not
        let meaning = if args.explain { explainer.explain(&event) } else { None };
        if !wanted.has(&event) {
            continue;
        }
        if context.json {
            let mut value = event.to_json();
            if args.explain {
                value["meaning"] = json!(meaning);
            }
            context.print_json(&value)?;
            continue;
        }
        output::stdout(shown(&event).as_bytes())?;
        if let Some(meaning) = meaning {
            output::stdout(format!("      = {meaning}\n").as_bytes())?;
        }
    }
    Ok(Exit::Good)
}

fn shown(event: &Event) -> String {
    let (text, peer) = (report::safe(&event.text), report::safe(&event.peer));
    match (event.by, event.conversation) {
        (Some(Party::Client), number) => format!("{number} {} [{peer}] C: {text}\n", event.service),
        (Some(Party::Server), number) => format!("{number} {} [{peer}] S: {text}\n", event.service),
        (None, 0) => format!("{}  {text}\n", event.at),
        (None, number) => format!("{}  {number} {} [{peer}] {text}\n", event.at, event.service),
    }
}
