//! `sealpost demo`: the chapters of secure mail, run for real on this machine.

mod peers;
mod servers;
mod stage;

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use sealpost::mime::compose::Composer;

use crate::cli::context::now;
use crate::cli::demo::servers::Servers;
use crate::cli::demo::stage::Stage;
use crate::cli::failure::{Exit, Failure, on_file, reason};

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
    let mut stage = Stage::new(folder)?;
    stage.write("passphrase", b"correct horse battery staple\n")?;
    let servers = if cfg!(feature = "server") { Some(Servers::start(&mut stage)?) } else { None };
    if let Some(servers) = &servers {
        servers.dialogue(&mut stage)?;
    }
    certificates(&mut stage)?;
    letter(&mut stage)?;
    sealed(&mut stage)?;
    match &servers {
        Some(servers) => servers.carry(&mut stage)?,
        None => std::fs::copy(stage.path("sealed.eml"), stage.path("received.eml")).map(drop).map_err(Failure::io)?,
    }
    opened(&mut stage)?;
    refused(&mut stage)?;
    peers::judge(&mut stage)?;
    drop(servers);
    let seconds = begin.elapsed().as_secs_f32();
    stage.say(&format!("\nAll chapters went as they should, in {seconds:.1} seconds."))?;
    if args.keep || args.directory.is_some() {
        let folder = stage.path("").display().to_string();
        stage.say(&format!("Everything is in {folder}"))?;
        if cfg!(feature = "server") {
            stage.say(&format!("The servers run again with: sealpost --home {folder}server-a serve"))?;
            stage.say(&format!("                       and: sealpost --home {folder}server-b serve"))?;
        }
    }
    Ok(Exit::Good)
}

fn certificates(stage: &mut Stage) -> Result<(), Failure> {
    stage.chapter("A certificate authority, and two people with mail certificates")?;
    stage.good("authority", "ca init --name Demo --passphrase-file passphrase")?;
    stage.good("authority", "ca export root -o root.pem")?;
    for (person, address) in [("jane", "jane@a.example"), ("cherry", "cherry@b.example")] {
        let files = format!("--p12 {person}.p12 --for modern -o {person}.pem --passphrase-file passphrase");
        stage.good("authority", &format!("ca issue {address} --name {person} {files}"))?;
        stage.good(person, &format!("id import {person}.p12 --passphrase-file passphrase"))?;
        stage.good(person, "trust add root.pem")?;
    }
    stage.good("authority", "ca crl -o lists.pem --passphrase-file passphrase")?;
    stage.good("jane", "contact add cherry.pem")
}

fn letter(stage: &mut Stage) -> Result<(), Failure> {
    stage.chapter("A letter with a Chinese subject, an HTML form and a picture")?;
    let letter = Composer::new("Jane Doe <jane@a.example>", now(), "demo-1@a.example")
        .to("Cherry <cherry@b.example>")
        .subject("你好，Cherry：安全邮件")
        .text("Dear Cherry,\n\nthis letter is for you only.\n\nJane\n")
        .html("<p>Dear Cherry,</p><p>this letter is for <b>you</b> only.</p><p>Jane</p>")
        .attach("图片.png", "image/png", PICTURE.to_vec())
        .build();
    stage.write("letter.eml", &letter)?;
    stage.show("letter.eml")
}

fn sealed(stage: &mut Stage) -> Result<(), Failure> {
    stage.chapter("Signed by Jane, encrypted to Cherry")?;
    stage.good("jane", "seal letter.eml -o sealed.eml --passphrase-file passphrase")?;
    stage.say("  what everyone on the way sees:")?;
    let sealed = stage.read("sealed.eml")?;
    for line in String::from_utf8_lossy(&sealed).lines().take(14) {
        stage.say(&format!("    {line}"))?;
    }
    stage.good("jane", "inspect sealed.eml")
}

fn opened(stage: &mut Stage) -> Result<(), Failure> {
    stage.chapter("Opened by Cherry, who is told who signed it")?;
    stage.good("cherry", "open received.eml -o opened.eml --crl lists.pem --revocation hard --passphrase-file passphrase")?;
    stage.show("opened.eml")
}

fn refused(stage: &mut Stage) -> Result<(), Failure> {
    stage.chapter("What is refused, each with its own exit code")?;
    stage.say("a copy that someone changed on the way:")?;
    let mut bytes = stage.read("received.eml")?;
    let at = bytes.len().saturating_sub(100);
    if let Some(byte) = bytes.get_mut(at) {
        *byte = if *byte == b'A' { b'B' } else { b'A' };
    }
    stage.write("changed.eml", &bytes)?;
    stage.step("cherry", "open changed.eml --passphrase-file passphrase", Exit::Bad)?;
    stage.say("a letter that Mallory signed, and that says it is from Jane:")?;
    let files = "--p12 mallory.p12 --for modern -o mallory.pem --passphrase-file passphrase";
    stage.good("authority", &format!("ca issue mallory@b.example --name mallory --algorithm p256 {files}"))?;
    stage.good("mallory", "sign letter.eml --p12 mallory.p12 -o spoofed.eml --passphrase-file passphrase")?;
    stage.step("cherry", "verify spoofed.eml --crl lists.pem", Exit::FromMismatch)?;
    stage.say("a letter signed with a certificate of an authority that nobody knows:")?;
    stage.good("stranger", "ca init --name Stranger --algorithm p256 --batch")?;
    stage.good("stranger", "id new jane@a.example --algorithm p256 --batch")?;
    stage.good("stranger", "sign letter.eml -o stranger.eml")?;
    stage.step("cherry", "verify stranger.eml", Exit::Untrusted)?;
    stage.say("the sealed letter, and somebody without the key:")?;
    stage.step("stranger", "open received.eml", Exit::NoKey)
}

/// A red dot: a PNG of one pixel.
const PICTURE: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0,
    0x90, 0x77, 0x53, 0xde, 0, 0, 0, 0x0c, b'I', b'D', b'A', b'T', 0x08, 0xd7, 0x63, 0xf8, 0xcf, 0xc0, 0, 0, 3, 1, 1, 0, 0x18,
    0xdd, 0x8d, 0xb0, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];
