//! `sealpost send` in the place of sendmail: what cron, mail programs and scripts call.
//!
//! It is so where the program is run as `sendmail`, or where `send` has one of sendmail's options. Exit codes are those of `sysexits.h` then.

mod options;

use std::ffi::OsString;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;

use sealpost::mime::ascii;
use sealpost::mime::qualified;
use sealpost::mime::submission::{Audience, Submission};
use sealpost::proto::smtp::Terms;
use sealpost::proto::smtp::client::{Addressee, Outcome, Outgoing};

use crate::cli::context::{self, Context, GlobalArgs};
use crate::cli::failure::{Exit, Failure, reason};
use crate::cli::service::handover::{self, Way};
use crate::cli::service::send::{self, Ended, SendArgs};
use crate::cli::service::sendmail::options::Options;
use crate::cli::{One, report};

/// How a call ends that does not end well (`sysexits.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    Usage = 64,
    Data = 65,
    NoUser = 67,
    Unavailable = 69,
    Temporary = 75,
    NoPermission = 77,
    Config = 78,
}

/// A call that did not do its work.
type Refused = (Code, Failure);

/// Does what the arguments ask for, where they are sendmail's.
pub(crate) fn main(arguments: &[OsString]) -> Option<ExitCode> {
    let words = called(arguments)?;
    let (object, code) = match run(&words).map(|outcomes| (judged(&outcomes), outcomes)) {
        Ok((Ok(()), outcomes)) => (send::to_json(&outcomes, 0), 0),
        Ok((Err((code, failure)), outcomes)) => {
            eprintln!("{failure}");
            (send::to_json(&outcomes, code as u8), code as u8)
        }
        Err((code, failure)) => {
            eprintln!("{failure}");
            let mut object = failure.to_json("send");
            object["exit"] = (code as u8).into();
            (object, code as u8)
        }
    };
    if words.iter().take_while(|word| *word != "--").any(|word| word == "--json") {
        // where standard output itself failed, there is nobody to tell
        let _ = context::print_json(&object);
    }
    Some(ExitCode::from(code))
}

/// Each recipient with what became of it.
type Outcomes = Vec<(String, Outcome)>;

/// The words for sendmail, our global options among them; `None` where something else is meant.
fn called(arguments: &[OsString]) -> Option<Vec<OsString>> {
    let (program, rest) = arguments.split_first()?;
    if Path::new(program).file_name().is_some_and(|name| name == "sendmail") {
        return Some(rest.to_vec());
    }
    if !rest.iter().any(|word| word == "send") {
        return None;
    }
    // it may be the value of an option, or of another verb
    let mut verb: usize = 0;
    while let Some(long) = rest.get(verb)?.to_str().and_then(|word| word.strip_prefix("--")) {
        verb = verb.checked_add(if !long.contains('=') && takes_value(long) { 2 } else { 1 })?;
    }
    if rest.get(verb)? != "send" {
        return None;
    }
    let (before, after) = (rest.get(..verb)?, rest.get(verb.checked_add(1)?..)?);
    let is_letter = |word: &OsString| {
        let text = word.to_str().unwrap_or_default();
        text.len() > 1 && text.starts_with('-') && !text.starts_with("--") && text != "-h"
    };
    let is_sendmail = after.iter().take_while(|word| *word != "--").any(is_letter);
    is_sendmail.then(|| [before, after].concat())
}

/// Whether one of our own options takes a value.
fn takes_value(long: &str) -> bool {
    let command = One::<SendArgs>::command();
    let found = command.get_arguments().find(|argument| argument.get_long() == Some(long));
    found.is_some_and(|argument| argument.get_action().takes_values())
}

fn run(words: &[OsString]) -> Result<Outcomes, Refused> {
    let usage = |why: String| (Code::Usage, Failure::usage(why));
    let options = Options::parse(words, takes_value).map_err(usage)?;
    let own = [&[OsString::from("sendmail")][..], &options.own].concat();
    let parsed = <One<SendArgs> as clap::Parser>::try_parse_from(own);
    let One { global, args } = parsed.map_err(|error| (Code::Usage, Failure::usage(error.to_string().trim().to_owned())))?;
    if options.is_idle {
        return Ok(Vec::new());
    }
    let context = Context::new(&GlobalArgs::clone(&global)).map_err(|failure| (Code::Config, failure))?;
    if options.recipients.is_empty() && !options.reads_recipients {
        return Err(usage("no recipient is named – give addresses, or -t to take those of the message".to_owned()));
    }
    let message = read(&context, &options)?;
    let way = handover::way(&context, &args).map_err(|failure| (Code::Config, failure))?;
    let letter = letter(&context, &options, message, &way)?;
    hand_over(&context, &options, &args, &letter, &way)
}

/// The message of standard input.
fn read(context: &Context, options: &Options) -> Result<Vec<u8>, Refused> {
    let (mut bytes, most) = (Vec::new(), context.limits.message_bytes);
    let read = std::io::stdin().lock().take(most.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| (Code::Temporary, Failure::io(format!("cannot read standard input – {}", reason(&error)))))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
        return Err((
            Code::Data,
            Failure::refused(format!("limit reached: message bytes – standard input holds more than {most}")),
        ));
    }
    if !options.ignores_dots {
        cut_at_dot(&mut bytes);
    }
    // what mailboxes in files have before each message is none of its fields
    if bytes.starts_with(b"From ") {
        let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
        bytes.drain(..end);
    }
    Ok(bytes)
}

/// A line that is a lone dot ends the message.
fn cut_at_dot(bytes: &mut Vec<u8>) {
    let mut at = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if matches!(line, b".\n" | b".\r\n" | b".") {
            break;
        }
        at += line.len();
    }
    bytes.truncate(at);
}

/// Stands in for the domain that the server of the pickup folder puts behind a name.
const BARE: &str = "bare.invalid";

/// The message with its envelope.
fn letter(context: &Context, options: &Options, mut message: Vec<u8>, way: &Way) -> Result<Outgoing, Refused> {
    let data = |why: &dyn std::fmt::Display| (Code::Data, Failure::refused(format!("the message cannot be sent – {why}")));
    let domain = match way {
        Way::Pickup(_) => BARE.to_owned(),
        Way::Server(_) => handover::origin(context),
    };
    let own = |address: String| address.strip_suffix(&format!("@{BARE}")).map_or(address.clone(), str::to_owned);
    let login = handover::login();
    let mark = message.len().saturating_sub(sealpost::mime::header::without_mark(&message).len());
    message.drain(..mark);
    let author = options.name.as_ref().map_or_else(|| login.clone(), |name| format!("\"{}\" <{login}>", escaped(name)));
    let entity = sealpost::mime::parse(&message, &context.limits).map_err(|why| data(&why))?;
    if entity.field("from").is_none() {
        let field = format!("From: {author}\r\n");
        message = [&*ascii::field("From", field.as_bytes()), &message].concat();
    }
    let named = qualified::message(&message, &domain, &context.limits).map_err(|why| data(&why))?;
    // a name alone gets its domain from the server of the folder
    let unique =
        |author: Option<&str>| handover::message_id(context, author.filter(|author| !author.ends_with(&format!("@{BARE}"))));
    let mut submission = Submission::of(&named, context.now, unique, &context.limits).map_err(|why| data(&why))?;
    let mut recipients = Vec::new();
    for given in &options.recipients {
        let list = qualified::addresses(given, &domain);
        if list.is_empty() {
            return Err((Code::Usage, Failure::usage(format!("{given} is not an address"))));
        }
        recipients.extend(list);
    }
    if options.reads_recipients {
        match std::mem::replace(&mut submission.audience, Audience::Hidden) {
            Audience::Named(named) => recipients.extend(named),
            Audience::Hidden if recipients.is_empty() => {
                return Err(data(&"it is the copy of somebody in Bcc, whom it does not name"));
            }
            Audience::Hidden => {}
        }
    }
    let mut seen = std::collections::HashSet::new();
    recipients.retain(|address| seen.insert(address.to_lowercase()));
    if recipients.is_empty() {
        return Err(data(&"it names no recipient in To, Cc or Bcc"));
    }
    let sender = match &options.sender {
        Some(given) if given.is_empty() => String::new(),
        Some(given) => qualified::addresses(given, &domain)
            .into_iter()
            .next()
            .ok_or_else(|| (Code::Usage, Failure::usage(format!("-f {given} is not an address"))))?,
        None => submission.sender.unwrap_or_else(|| format!("{login}@{domain}")),
    };
    // the server of the folder knows which domain is its own
    let message = match way {
        Way::Pickup(_) => Submission::of(&message, context.now, unique, &context.limits).map_err(|why| data(&why))?.message,
        Way::Server(_) => submission.message,
    };
    let to = |address: String| Addressee { address: own(address), notify: options.notify.clone(), original: String::new() };
    let letter = Outgoing {
        sender: own(sender),
        recipients: recipients.into_iter().map(to).collect(),
        message: message.into(),
        terms: Terms { ret: options.ret.clone(), envid: options.envid.clone(), ..Terms::default() },
    };
    // who calls hears it, and not nobody later
    match way {
        Way::Pickup(folder) => handover::unfit(context, folder, &letter).map_or(Ok(letter), |why| Err(data(&why))),
        Way::Server(_) => Ok(letter),
    }
}

/// A name as it stands between quotes.
fn escaped(name: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    name.replace('\\', "\\\\").replace('"', "\\\"")
}

fn hand_over(context: &Context, options: &Options, args: &SendArgs, letter: &Outgoing, way: &Way) -> Result<Outcomes, Refused> {
    match way {
        Way::Pickup(folder) => {
            let put = handover::put(folder, letter).map_err(|error| {
                let code =
                    if error.kind() == std::io::ErrorKind::PermissionDenied { Code::NoPermission } else { Code::Temporary };
                (code, Failure::io(format!("cannot put the message into {} – {}", folder.display(), reason(&error))))
            })?;
            if options.is_verbose {
                eprintln!("put into the pickup folder as {}", put.display());
            }
            let told = Outcome::Delivered(format!("put into the pickup folder as {}", put.display()));
            Ok(letter.recipients.iter().map(|to| (to.address.clone(), told.clone())).collect())
        }
        Way::Server(hop) => {
            let server = handover::server(context, args, hop).map_err(|failure| (Code::Config, failure))?;
            let server = crate::cli::service::client::Server { dialogue: server.dialogue || options.is_verbose, ..server };
            let credentials = crate::cli::service::credentials(context, args.client.user.as_deref());
            let credentials = credentials.map_err(|failure| (Code::Config, failure))?;
            match send::send(&server, credentials, letter).map_err(|failure| (Code::Temporary, failure))? {
                Ended::Settled(outcomes) => Ok(outcomes),
                // who tries again with this login is refused again
                Ended::NoLogin(failure) => Err((Code::NoPermission, failure)),
            }
        }
    }
}

/// The worst of what became of the recipients.
fn judged(outcomes: &[(String, Outcome)]) -> Result<(), Refused> {
    let mut worst: Option<Refused> = None;
    for (address, outcome) in outcomes {
        let (code, reply) = match outcome {
            Outcome::Delivered(_) => continue,
            Outcome::Temporary(reply) => (Code::Temporary, reply),
            Outcome::Permanent(reply) if reply.contains(" 5.1.") => (Code::NoUser, reply),
            Outcome::Permanent(reply) => (Code::Unavailable, reply),
        };
        let failure = Failure::new(Exit::Io, format!("{} – {}", report::safe(address), report::safe(reply)));
        match &worst {
            // what will never go outweighs what may go later: who tries again sends it twice to the others
            Some((known, _)) if *known != Code::Temporary || code == Code::Temporary => eprintln!("{failure}"),
            _ => worst = Some((code, failure)),
        }
    }
    worst.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_called(line: &str) -> bool {
        called(&line.split(' ').map(OsString::from).collect::<Vec<_>>()).is_some()
    }

    #[test]
    fn it_is_sendmail_by_its_name_or_by_an_option() {
        for yes in [
            "/usr/sbin/sendmail joe@b.example",
            "sendmail",
            "sealpost send -t",
            "sealpost --home send send -i joe@b",
            "sealpost --json send -oi",
        ] {
            assert!(is_called(yes), "{yes}");
        }
        for no in [
            "sealpost send letter.eml",
            "sealpost send --via x:25 letter.eml",
            "sealpost send -h",
            "sealpost send -",
            "sealpost seal send -o x",
            "sealpost --home send fetch",
        ] {
            assert!(!is_called(no), "{no}");
        }
    }

    #[test]
    fn a_lone_dot_ends_a_message() {
        for (message, left) in [
            (&b"a\n.\nb\n"[..], &b"a\n"[..]),
            (b"a\r\n.\r\nb", b"a\r\n"),
            (b"a\n..\n. \n", b"a\n..\n. \n"),
            (b".", b""),
            (b"a.\n", b"a.\n"),
        ] {
            let mut bytes = message.to_vec();
            cut_at_dot(&mut bytes);
            assert_eq!(bytes, left);
        }
    }
}
