//! `sealpost send`.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use sealpost::mime::submission::{Audience, Submission};
use sealpost::proto::smtp::Credentials;
use sealpost::proto::smtp::client::{Client, ClientStep, Outcome, Outgoing, TlsWish};
use sealpost::server::config::Hop;

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, on_file};
use crate::cli::input::Source;
use crate::cli::service::client::{self, ClientArgs, Server, TlsStart};
use crate::cli::service::handover::{self, Way};
use crate::cli::{report, service};

/// Hand a message to a mail server
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost send sealed.eml                                             into the pickup folder of the home's own server
  sealpost send sealed.eml --user jane@a.example                       to the home's own server, by submission
  sealpost send sealed.eml --via mail.a.example:587 --user jane@a.example --passphrase-file pw
  sealpost send letter.eml --via mail.b.example:25 --dialogue          without a login, and show what is said
  sealpost send -t -i < letter.eml                                     as sendmail: -t -f -F -i -N -R -V -v, addresses, exit codes

Run under the name `sendmail` (by a link), it is sendmail for cron, mail programs and scripts.")]
pub(crate) struct SendArgs {
    /// The message (default: standard input)
    #[arg(value_name = "MSG")]
    message: Option<PathBuf>,
    /// The server (default: the pickup folder of this home's server; with --user its submission service)
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) via: Option<String>,
    /// Put it into this pickup folder of a server
    #[arg(long, value_name = "DIR", env = "SEALPOST_PICKUP", conflicts_with = "via")]
    pub(crate) pickup: Option<PathBuf>,
    /// Send to this address (default: those of To, Cc and Bcc)
    #[arg(long = "to", value_name = "ADDR")]
    to: Vec<String>,
    /// The envelope's sender, where bounces go (default: that of Sender or From)
    #[arg(long, value_name = "ADDR")]
    from: Option<String>,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &SendArgs) -> Result<Exit, Failure> {
    let message = Source(args.message.clone()).read(&context.limits)?;
    let way = handover::way(context, args)?;
    let unique = |author: Option<&str>| handover::message_id(context, author.or(args.from.as_deref()));
    let submission = Submission::of(&message, context.now, unique, &context.limits)
        .map_err(|error| Failure::refused(format!("the message cannot be sent – {error}")))?;
    let sender =
        args.from.clone().or(submission.sender).ok_or_else(|| {
            Failure::usage("the message has no From field").hint("add one, or name the sender with --from ADDR")
        })?;
    let recipients = match submission.audience {
        _ if !args.to.is_empty() => args.to.clone(),
        Audience::Named(recipients) => recipients,
        // those in To and Cc must not learn of him, not even by a message that they cannot read
        Audience::Hidden => {
            return Err(Failure::usage("the message is the copy of somebody in Bcc, whom it does not name – nothing was sent")
                .hint("say to whom it goes with --to ADDR, as `encrypt` and `seal` said when they wrote it"));
        }
    };
    if recipients.is_empty() {
        return Err(Failure::usage("the message names no recipient").hint("add a To field, or name them with --to ADDR"));
    }
    let outgoing = Outgoing::new(sender, recipients, submission.message.into());
    let outcomes = match way {
        Way::Server(hop) => {
            let credentials = service::credentials(context, args.client.user.as_deref())?;
            send(&handover::server(context, args, &hop)?, credentials, &outgoing)?.settled()?
        }
        Way::Pickup(folder) => {
            if let Some(why) = handover::unfit(context, &folder, &outgoing) {
                return Err(Failure::refused(format!("the message cannot be sent – {why}")));
            }
            let put = handover::put(&folder, &outgoing).map_err(on_file("put a message into", &folder))?;
            let told = Outcome::Delivered(format!("put into the pickup folder as {}", put.display()));
            outgoing.recipients.iter().map(|to| (to.address.clone(), told.clone())).collect()
        }
    };
    let mut exit = Exit::Good;
    for (address, outcome) in &outcomes {
        let (what, reply) = words(outcome);
        if what != "accepted" {
            exit = Exit::Io;
        }
        eprintln!("{}: {what} – {}", report::safe(address), report::safe(reply));
    }
    if context.json {
        context.print_json(&to_json(&outcomes, exit.code()))?;
    }
    Ok(exit)
}

/// What became of each recipient, and how the program ends.
pub(crate) fn to_json(outcomes: &[(String, Outcome)], exit: u8) -> Value {
    let recipient = |(address, outcome): &(String, Outcome)| {
        let (status, reply) = words(outcome);
        json!({ "address": address, "status": status, "reply": reply })
    };
    json!({ "schema": "sealpost.send/1", "exit": exit, "recipients": outcomes.iter().map(recipient).collect::<Vec<_>>() })
}

fn words(outcome: &Outcome) -> (&'static str, &str) {
    match outcome {
        Outcome::Delivered(reply) => ("accepted", reply),
        Outcome::Temporary(reply) => ("not now", reply),
        Outcome::Permanent(reply) => ("refused", reply),
    }
}

/// How it went with a server.
pub(crate) enum Ended {
    /// Each recipient with what became of it.
    Settled(Vec<(String, Outcome)>),
    /// Nothing was sent: the login is refused for good.
    NoLogin(Failure),
}

impl Ended {
    /// What became of each recipient.
    pub(crate) fn settled(self) -> Result<Vec<(String, Outcome)>, Failure> {
        match self {
            Self::Settled(outcomes) => Ok(outcomes),
            Self::NoLogin(failure) => Err(failure),
        }
    }
}

/// The login is refused for good: nothing was sent, and nothing will be until it is another one.
fn refused(server: &Server, reply: &str) -> Failure {
    let Hop { host, port } = &server.hop;
    Failure::io(format!("{host}:{port} refused the login, and nothing was sent – {}", report::safe(reply)))
        .hint("check the name of --user and the password; `sealpost user passwd ADDRESS` sets another one on a server of yours")
}

/// Hands a message to a server.
pub(crate) fn send(server: &Server, credentials: Option<Credentials>, outgoing: &Outgoing) -> Result<Ended, Failure> {
    let (mut connection, is_secure) = server.connect()?;
    let wish = match server.tls {
        _ if is_secure => TlsWish::Active,
        TlsStart::None => TlsWish::Without,
        _ => TlsWish::Required,
    };
    let helo = outgoing.sender.rsplit_once('@').map_or("localhost", |(_, domain)| domain).to_owned();
    let mut client = Client::new(&helo, wish, credentials, outgoing.announced()).nonce(&client::nonce());
    client.channel(connection.channel());
    loop {
        connection.show(&client.spoken());
        let went = match client.step() {
            ClientStep::Send(bytes) => connection.send(&bytes),
            ClientStep::Read(at) => {
                client.piece(outgoing.piece(at));
                Ok(())
            }
            ClientStep::StartTls => {
                connection.start_tls()?;
                client.channel(connection.channel());
                client.tls_started();
                Ok(())
            }
            ClientStep::Wait => connection.receive().map(|bytes| client.receive(&bytes)),
            ClientStep::Done(outcomes) => {
                let refused = client.refused_login().map(|reply| Ended::NoLogin(refused(server, reply)));
                return Ok(refused.unwrap_or(Ended::Settled(outcomes)));
            }
        };
        if let Err(why) = went {
            client.disconnected(&why);
        }
    }
}
