//! `sealpost man`: the manual pages, made of what `--help` and the configuration's template say.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_mangen::Man;

use crate::cli::failure::{Exit, Failure, on_file};

/// Write the manual pages into a folder
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The folder, made if need be
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// When the pages were last looked through.
const DATE: &str = "2026-11-26";

/// Runs the verb: a page of section 1 for each command, one of section 8 for its role as sendmail, one of section 5 for the configuration.
pub(crate) fn run(command: Command, args: &ManArgs) -> Result<Exit, Failure> {
    std::fs::create_dir_all(&args.folder).map_err(on_file("make", &args.folder))?;
    let mut command = command.disable_help_subcommand(true);
    command.build();
    pages(&command, &args.folder)?;
    #[cfg(feature = "server")]
    for (name, text) in
        [("sealpost-sendmail.8", heading("SEALPOST-SENDMAIL", 8) + SENDMAIL), ("sealpost.toml.5", configuration())]
    {
        let path = args.folder.join(name);
        std::fs::write(&path, text).map_err(on_file("write", &path))?;
    }
    Ok(Exit::Good)
}

fn pages(command: &Command, folder: &Path) -> Result<(), Failure> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        pages(below, folder)?;
    }
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let path = folder.join(format!("{name}.1"));
    let page = page(command, &name).map_err(on_file("write", &path))?;
    std::fs::write(&path, page).map_err(on_file("write", &path))
}

fn page(command: &Command, name: &str) -> std::io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let man = Man::new(command.clone());
    let title = name.to_uppercase();
    page.write_all(heading(&title, 1).as_bytes())?;
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    writeln!(page, ".SH NAME\n{} \\- {}", escaped(name), escaped(&about))?;
    let mut sections = Vec::new();
    man.render_synopsis_section(&mut sections)?;
    man.render_description_section(&mut sections)?;
    man.render_options_section(&mut sections)?;
    // an empty line ends the one before it already, and `mandoc` says so
    let sections = String::from_utf8_lossy(&sections).replace(".br\n\n.br\n", ".sp\n");
    page.extend_from_slice(sections.as_bytes());
    let below: Vec<&Command> = command.get_subcommands().filter(|below| !below.is_hide_set()).collect();
    if !below.is_empty() {
        writeln!(page, ".SH COMMANDS")?;
        for command in &below {
            let name = command.get_display_name().unwrap_or_else(|| command.get_name());
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            writeln!(page, ".TP\n.BR {} (1)\n{}", escaped(name), escaped(&about))?;
        }
    }
    if let Some(examples) = command.get_before_help() {
        writeln!(page, ".SH EXAMPLES")?;
        page.extend_from_slice(
            verbatim(examples.to_string().trim_start_matches("Examples:").trim_start_matches("Example:")).as_bytes(),
        );
    }
    Ok(page)
}

/// The first line of a page.
fn heading(title: &str, section: u8) -> String {
    format!(".TH {title} {section} \"{DATE}\" \"sealpost {}\" \"Sealpost\"\n", env!("CARGO_PKG_VERSION"))
}

/// Text as it stands in a page, line by line.
fn verbatim(text: &str) -> String {
    let lines: String = text.trim_matches('\n').lines().map(|line| format!("{}\n", escaped(line))).collect();
    format!(".nf\n{lines}.fi\n")
}

/// A line without what means something to the formatter.
fn escaped(line: &str) -> String {
    let text =
        line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq").replace('`', "\\(ga").replace('\u{2013}', "\\(en");
    if text.starts_with('.') { format!("\\&{text}") } else { text }
}

/// The page of the configuration: its template says what each line is for.
#[cfg(feature = "server")]
fn configuration() -> String {
    let template = sealpost::server::Config::template("mail.a.example", 0, &[]);
    format!(
        "{}.SH NAME\nsealpost.toml \\- configuration of the mail server sealpost\n\
         .SH DESCRIPTION\nThe file\n.B sealpost.toml\nin the home of the server says what it serves, where, and for whom. It is written in TOML.\n\
         .B sealpost up\nmakes one, and\n.B sealpost serve \\-\\-check\ntells every mistake in it with its line. Paths are relative to its folder.\n\
         .PP\nThis is the file as it is made; what stands behind a\n.B #\nis not in force, and shows how it is written.\n\
         .SH FORMAT\n{}.SH FILES\n.TP\n.I ~/.local/share/sealpost/sealpost.toml\nThe configuration where no home is named.\n\
         .TP\n.I /var/lib/sealpost/sealpost.toml\nThat of the service of the system.\n\
         .SH SEE ALSO\n.BR sealpost\\-serve (1),\n.BR sealpost\\-up (1),\n.BR sealpost\\-sendmail (8)\n",
        heading("SEALPOST.TOML", 5),
        verbatim(&template)
    )
}

#[cfg(feature = "server")]
const SENDMAIL: &str = "\
.SH NAME
sealpost\\-sendmail \\- hand mail to a server as sendmail does
.SH SYNOPSIS
.B sendmail
.RI [ options ]
.RI [ address \\ ... ]
.br
.B sealpost send
.RI [ options ]
.RI [ address \\ ... ]
.SH DESCRIPTION
Where the program is run under the name
.BR sendmail ,
or
.B sealpost send
has one of the options below, it reads a message from standard input and puts it into the pickup folder of the server, which takes it from
there within some seconds. The server need not run meanwhile. Lines end in LF or CRLF. Date, Message\\-ID and From are added where they are
missing, Bcc is taken out, and names without a domain get the one of the server.
.SH OPTIONS
.TP
.B \\-t
Take the recipients of To, Cc and Bcc, besides those that are named.
.TP
.BI \\-f \\ address \\fR,\\fP\\ \\-r \\ address
Where bounces go; without it the address of Sender or From.
.TP
.BI \\-F \\ name
The name in a From field that is added.
.TP
.BR \\-i ,\\  \\-oi
A line that is a lone dot does not end the message.
.TP
.BI \\-N \\ when
.BR never ,
or some of
.BR success,failure,delay :
when the sender is told what became of the message.
.TP
.BI \\-R \\ full|hdrs
How much of the message comes back with a bounce.
.TP
.BI \\-V \\ id
A word that comes back with a bounce.
.TP
.B \\-v
Say what is done.
.TP
.B \\-\\-
What follows are addresses.
.PP
.BR \\-bm ,
.BR \\-q ,
.BR \\-bi ,
.B \\-o
with other words, and the remaining options of sendmail are taken and do nothing;
.BR \\-bs ,
.BR \\-bp ,
.B \\-bd
and
.B \\-bv
are refused with the reason. The options
.BR \\-\\-home ,
.BR \\-\\-pickup ,
.B \\-\\-via
and
.B \\-\\-user
of
.BR sealpost\\-send (1)
may stand among them.
.SH EXIT STATUS
.TP
.B 0
The message is on disk, or the server took it.
.TP
.B 64
The options make no sense, or no recipient is named.
.TP
.B 65
The message cannot be sent as it is.
.TP
.B 67
A recipient does not exist (over SMTP).
.TP
.B 69
The server refuses.
.TP
.B 75
Not now: no server, or no room. Try again.
.TP
.B 77
The pickup folder may not be written to.
.TP
.B 78
There is no server here to hand mail to.
.SH ENVIRONMENT
.TP
.B SEALPOST_HOME
The home of the server.
.TP
.B SEALPOST_PICKUP
The pickup folder.
.TP
.BR LOGNAME ,\\  USER
Who sends.
.SH FILES
.TP
.I /var/spool/sealpost/pickup
The pickup folder of the service of the system, where neither is named and the user has no server of his own.
.TP
.I /etc/mailname
The domain of names without one, where mail goes over SMTP.
.SH SEE ALSO
.BR sealpost\\-send (1),
.BR sealpost.toml (5)
";
