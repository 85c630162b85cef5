//! `sealpost demo`: the chapters of secure mail, run for real on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use clap::Args;

use sealpost::mime::compose::Composer;
use sealpost::mime::view;

use crate::cli::context::now;
use crate::cli::failure::{Exit, Failure, on_file, reason};
use crate::cli::output;

/// See secure mail work on this machine, step by step
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost demo                           everything happens in a temporary folder, which is removed at the end
  sealpost demo --keep                    … which stays, to play with
  sealpost demo --directory lesson        … in a folder of your choice, which stays")]
pub(crate) struct DemoArgs {
    /// Work in DIR (made if need be) and leave it
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Leave the folder behind
    #[arg(long)]
    keep: bool,
}

/// Runs the chapters in order.
pub(crate) fn run(args: &DemoArgs) -> Result<Exit, Failure> {
    let begin = Instant::now();
    let temporary = tempfile::Builder::new().prefix("sealpost-demo-").tempdir().map_err(|e| Failure::io(reason(&e)))?;
    let folder = match &args.directory {
        Some(folder) => {
            std::fs::create_dir_all(folder).map_err(on_file("make", folder))?;
            folder.clone()
        }
        None if args.keep => temporary.keep(),
        None => temporary.path().to_owned(),
    };
    let program = std::env::current_exe().map_err(|e| Failure::io(reason(&e)))?;
    let demo = Demo { folder, program };
    demo.certificates()?;
    demo.letter()?;
    demo.sealed()?;
    demo.opened()?;
    demo.refused()?;
    let seconds = begin.elapsed().as_secs_f32();
    say(&format!("\nAll chapters went as they should, in {seconds:.1} seconds."))?;
    if args.keep || args.directory.is_some() {
        say(&format!("Everything is in {}", demo.folder.display()))?;
    }
    Ok(Exit::Good)
}

struct Demo {
    folder: PathBuf,
    program: PathBuf,
}

impl Demo {
    fn certificates(&self) -> Result<(), Failure> {
        chapter("1. A certificate authority, and two people with mail certificates")?;
        self.write("passphrase", b"correct horse battery staple\n")?;
        self.step(
            "authority",
            "ca init --name Demo --domain a.example --domain b.example --passphrase-file passphrase",
            Exit::Good,
        )?;
        self.step("authority", "ca export root -o root.pem", Exit::Good)?;
        for (person, address) in [("jane", "jane@a.example"), ("cherry", "cherry@b.example")] {
            let issue = format!(
                "ca issue {address} --name {person} --p12 {person}.p12 --for modern -o {person}.pem --passphrase-file passphrase"
            );
            self.step("authority", &issue, Exit::Good)?;
            self.step(person, &format!("id import {person}.p12 --passphrase-file passphrase"), Exit::Good)?;
            self.step(person, "trust add root.pem", Exit::Good)?;
        }
        self.step("jane", "contact add cherry.pem", Exit::Good)
    }

    fn letter(&self) -> Result<(), Failure> {
        chapter("2. A letter with a Chinese subject, an HTML form and a picture")?;
        let letter = Composer::new("Jane Doe <jane@a.example>", now(), "demo-1@a.example")
            .to("Cherry <cherry@b.example>")
            .subject("你好，Cherry：安全邮件")
            .text("Dear Cherry,\n\nthis letter is for you only.\n\nJane\n")
            .html("<p>Dear Cherry,</p><p>this letter is for <b>you</b> only.</p><p>Jane</p>")
            .attach("图片.png", "image/png", PICTURE.to_vec())
            .build();
        self.write("letter.eml", &letter)?;
        self.show("letter.eml")
    }

    fn sealed(&self) -> Result<(), Failure> {
        chapter("3. Signed by Jane, encrypted to Cherry")?;
        self.step("jane", "seal letter.eml -o sealed.eml --passphrase-file passphrase", Exit::Good)?;
        let sealed = std::fs::read(self.folder.join("sealed.eml")).map_err(on_file("read", &self.folder.join("sealed.eml")))?;
        say("what everyone on the way sees:")?;
        for line in String::from_utf8_lossy(&sealed).lines().take(14) {
            say(&format!("    {line}"))?;
        }
        self.step("jane", "inspect sealed.eml", Exit::Good)
    }

    fn opened(&self) -> Result<(), Failure> {
        chapter("4. Opened by Cherry, who is told who signed it")?;
        self.step("cherry", "open sealed.eml -o opened.eml --passphrase-file passphrase", Exit::Good)?;
        self.show("opened.eml")
    }

    fn refused(&self) -> Result<(), Failure> {
        chapter("5. What is refused, each with its own exit code")?;
        say("a copy that someone changed on the way:")?;
        let sealed = std::fs::read_to_string(self.folder.join("sealed.eml")).unwrap_or_default();
        let mut bytes = sealed.into_bytes();
        let at = bytes.len().saturating_sub(100);
        if let Some(byte) = bytes.get_mut(at) {
            *byte = if *byte == b'A' { b'B' } else { b'A' };
        }
        self.write("changed.eml", &bytes)?;
        self.step("cherry", "open changed.eml --passphrase-file passphrase", Exit::Bad)?;
        say("a letter that Mallory signed, and that says it is from Jane:")?;
        let issue = "ca issue mallory@b.example --name mallory --algorithm p256 --p12 mallory.p12 --for modern -o mallory.pem --passphrase-file passphrase";
        self.step("authority", issue, Exit::Good)?;
        self.step("mallory", "sign letter.eml --p12 mallory.p12 -o spoofed.eml --passphrase-file passphrase", Exit::Good)?;
        self.step("cherry", "verify spoofed.eml", Exit::FromMismatch)?;
        say("a letter signed with a certificate of an authority that nobody knows:")?;
        self.step("stranger", "ca init --name Stranger --algorithm p256 --batch", Exit::Good)?;
        self.step("stranger", "id new jane@a.example --algorithm p256 --batch", Exit::Good)?;
        self.step("stranger", "sign letter.eml -o stranger.eml", Exit::Good)?;
        self.step("cherry", "verify stranger.eml", Exit::Untrusted)?;
        say("the sealed letter, and somebody without the key:")?;
        self.step("stranger", "open sealed.eml", Exit::NoKey)
    }

    /// Runs one command in the home of a person, shows it and what came back; another exit code than expected ends the demo.
    fn step(&self, person: &str, line: &str, expected: Exit) -> Result<(), Failure> {
        say(&format!("\n  {person}$ sealpost {line}"))?;
        let mut command = Command::new(&self.program);
        command
            .current_dir(&self.folder)
            .env("SEALPOST_HOME", person)
            .args(line.split_whitespace())
            .stdin(std::process::Stdio::null());
        let ended =
            command.output().map_err(|e| Failure::io(format!("cannot run {} – {}", self.program.display(), reason(&e))))?;
        let shown = [String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr)].concat();
        for text in shown.lines().take(24) {
            say(&format!("    {text}"))?;
        }
        let code = ended.status.code().unwrap_or(-1);
        if code != i32::from(expected.code()) {
            return Err(Failure::new(
                Exit::Bad,
                format!("`sealpost {line}` ended with {code}, and {} was expected", expected.code()),
            ));
        }
        if expected != Exit::Good {
            say(&format!("    (exit code {code}, as it should be)"))?;
        }
        Ok(())
    }

    fn show(&self, name: &str) -> Result<(), Failure> {
        let path = self.folder.join(name);
        let message = std::fs::read(&path).map_err(on_file("read", &path))?;
        let seen = view::view(&message);
        say(&format!("    from     {}\n    to       {}\n    subject  {}", seen.from, seen.to, seen.subject))?;
        for line in seen.text.lines() {
            say(&format!("    | {line}"))?;
        }
        for (name, kind, size) in seen.attachments {
            say(&format!("    attached {name} ({kind}, {size} bytes)"))?;
        }
        Ok(())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        output::write_file(Path::new(&self.folder.join(name)), bytes, true)
    }
}

fn chapter(title: &str) -> Result<(), Failure> {
    say(&format!("\n{title}\n{}", "─".repeat(title.chars().count())))
}

fn say(text: &str) -> Result<(), Failure> {
    output::stdout(format!("{text}\n").as_bytes())
}

/// A red dot: a PNG of one pixel.
const PICTURE: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0,
    0x90, 0x77, 0x53, 0xde, 0, 0, 0, 0x0c, b'I', b'D', b'A', b'T', 0x08, 0xd7, 0x63, 0xf8, 0xcf, 0xc0, 0, 0, 3, 1, 1, 0, 0x18,
    0xdd, 0x8d, 0xb0, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];
