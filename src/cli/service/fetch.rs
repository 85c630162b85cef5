//! `sealpost fetch`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use sealpost::proto::pop3::Credentials;
use sealpost::proto::pop3::client::{Afterwards, Client, ClientStep, Error, Secure, Wish};
use sealpost::server::Service;
use sealpost::smime::{Code, Finding};

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, on_file};
use crate::cli::service::client::{self, ClientArgs, Server, TlsStart};
use crate::cli::{output, report, service};

/// Fetch the messages of a mailbox by POP3
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost fetch --user joe@a.example -o inbox                         from the home's own server
  sealpost fetch --from mail.a.example:110 --user joe@a.example -o inbox --delete --passphrase-file pw
  sealpost fetch --user joe@a.example/Junk -o junk                     what a filter put into a folder
  sealpost fetch --user joe@a.example -o inbox --wait 30               until something is there, 30 seconds at most")]
pub(crate) struct FetchArgs {
    /// The server (default: the POP3 service of this home)
    #[arg(long, value_name = "HOST:PORT")]
    from: Option<String>,
    /// Write each message to a file of its own in DIR (made if need be); those that are there already are not fetched again
    #[arg(short = 'o', long = "output", value_name = "DIR", default_value = ".")]
    output: PathBuf,
    /// Delete what was fetched from the server, once it is on disk here
    #[arg(long)]
    delete: bool,
    /// Ask again until there is a new message, this many seconds at most
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
    #[command(flatten)]
    client: ClientArgs,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &FetchArgs) -> Result<Exit, Failure> {
    let hop = match &args.from {
        Some(from) => client::hop("--from", from, 110)?,
        None => service::own(context, Service::Pop3).map_err(|failure| failure.hint("name the server with --from HOST:PORT"))?,
    };
    if args.client.tls == TlsStart::None {
        return Err(Failure::usage("a mailbox is opened with a password, and a password is sent under TLS only"));
    }
    let credentials = service::credentials(context, args.client.user.as_deref())?
        .ok_or_else(|| Failure::usage("whose mailbox?").hint("name the user with --user USER"))?;
    std::fs::create_dir_all(&args.output).map_err(on_file("make", &args.output))?;
    let afterwards = if args.delete { Afterwards::Delete } else { Afterwards::Keep };
    let server = Server::new(context, hop, &args.client)?;
    let begin = Instant::now();
    let bound = context.limits.message_bytes.min(MESSAGE);
    let (files, too_large) = loop {
        let mut folder =
            Folder { path: &args.output, user: &credentials.user, afterwards, files: Vec::new(), too_large: Vec::new() };
        fetch(&server, &credentials, bound, &mut folder)?;
        if !folder.files.is_empty() || begin.elapsed() >= Duration::from_secs(args.wait) {
            break (folder.files, folder.too_large);
        }
        std::thread::sleep(Duration::from_millis(250));
    };
    let told = |uid: &String| {
        let text = format!("limit reached: the message {uid} is over {bound} bytes; it was not fetched, and stays on the server");
        Finding::error(Code::Limit, text)
    };
    let findings: Vec<Finding> = too_large.iter().map(told).collect();
    let exit = if findings.is_empty() { Exit::Good } else { Exit::Refused };
    if context.json {
        let messages: Vec<_> =
            files.iter().map(|(uid, path)| json!({ "uid": uid, "file": path.display().to_string() })).collect();
        let findings = report::findings_json(&findings);
        context.print_json(
            &json!({ "schema": "sealpost.fetch/1", "exit": exit.code(), "messages": messages, "findings": findings }),
        )?;
    } else {
        files.iter().try_for_each(|(_, path)| output::stdout(format!("{}\n", path.display()).as_bytes()))?;
    }
    report::print_findings(&findings);
    eprintln!("{} new messages of {}", files.len(), credentials.user);
    Ok(exit)
}

/// Where fetched messages go.
pub(crate) trait Inbox {
    /// What is wanted with a message.
    fn wish(&self, uid: &str) -> Wish;
    /// Has the message on disk when this returns; says what becomes of it on the server.
    fn keep(&mut self, uid: String, message: &[u8]) -> Result<Afterwards, Failure>;
    /// A message that was wanted is over the bound, and stays on the server.
    fn pass_over(&mut self, uid: String);
}

/// A folder with a file for each message.
struct Folder<'a> {
    path: &'a Path,
    user: &'a str,
    afterwards: Afterwards,
    files: Vec<(String, PathBuf)>,
    too_large: Vec<String>,
}

impl Folder<'_> {
    /// Numbers are unique in a mailbox, and the folder may hold several.
    fn file(&self, uid: &str) -> PathBuf {
        self.path.join(file_name(&format!("{}-{uid}", self.user)))
    }
}

impl Inbox for Folder<'_> {
    fn wish(&self, uid: &str) -> Wish {
        match (self.file(uid).exists(), self.afterwards) {
            (false, _) => Wish::Fetch,
            // from an earlier time, whose session may have ended before its QUIT
            (true, Afterwards::Delete) => Wish::Delete,
            (true, Afterwards::Keep) => Wish::Leave,
        }
    }

    fn keep(&mut self, uid: String, message: &[u8]) -> Result<Afterwards, Failure> {
        let path = self.file(&uid);
        output::write_file(&path, message, false)?;
        // on disk, its name too, before the server may forget it
        let synced = File::open(&path).and_then(|file| file.sync_all()).and_then(|()| File::open(self.path)?.sync_all());
        synced.map_err(on_file("write", &path))?;
        self.files.push((uid, path));
        Ok(self.afterwards)
    }

    fn pass_over(&mut self, uid: String) {
        self.too_large.push(uid);
    }
}

/// Fetches the messages that the inbox wants.
pub(crate) fn fetch(server: &Server, credentials: &Credentials, max_message: u64, inbox: &mut dyn Inbox) -> Result<(), Failure> {
    let (mut connection, is_secure) = server.connect()?;
    let secure = if is_secure { Secure::Already } else { Secure::NotYet };
    let mut client = Client::new(credentials.clone(), secure, max_message).nonce(&client::nonce());
    client.channel(connection.channel());
    loop {
        connection.show(&client.spoken());
        let went = match client.step() {
            ClientStep::Send(bytes) => connection.send(&bytes),
            ClientStep::StartTls => {
                connection.start_tls()?;
                client.channel(connection.channel());
                client.tls_started();
                Ok(())
            }
            ClientStep::Wait => connection.receive().map(|bytes| client.receive(&bytes)),
            ClientStep::Choose(_) => {
                client.choose(|uid| inbox.wish(uid));
                Ok(())
            }
            ClientStep::Message(uid, message) => {
                client.received(inbox.keep(uid, &message)?);
                Ok(())
            }
            ClientStep::TooLarge(uid) => {
                inbox.pass_over(uid);
                Ok(())
            }
            ClientStep::Done(ended) => {
                return ended.map_err(|error| match error {
                    Error::TooLarge(_) => Failure::refused(format!("limit reached: message bytes – {error}")),
                    other => Failure::io(other),
                });
            }
        };
        if let Err(why) = went {
            client.disconnected(&why);
        }
    }
}

/// Bytes of one message. 1 GiB: it is held whole, and servers take some dozens of MiB.
const MESSAGE: u64 = 1 << 30;

/// A message's name on the server as a file name: letters, digits, `-`, `_`, `@` and `.` inside; everything else as `=` and hex.
fn file_name(uid: &str) -> PathBuf {
    let mut name = String::new();
    for byte in uid.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'@' => name.push(char::from(byte)),
            b'.' if !name.is_empty() => name.push('.'),
            other => name.push_str(&format!("={other:02x}")),
        }
    }
    Path::new(&name).with_file_name(format!("{name}.eml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_a_server_leaves_the_folder() {
        for (uid, name) in
            [("m1", "m1.eml"), ("../x", "=2e.=2fx.eml"), ("/etc", "=2fetc.eml"), (".a", "=2ea.eml"), ("a.b", "a.b.eml")]
        {
            assert_eq!(file_name(uid), Path::new(name), "{uid}");
        }
    }
}
