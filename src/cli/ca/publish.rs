//! `sealpost ca publish`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use sealpost::ca::responder::Tally;

use crate::cli::ca::lists::{self, Which};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, on_file};
use crate::cli::output;

/// Where copies go.
#[derive(Debug, Args)]
pub(super) struct PublishArgs {
    /// Copy the certificates and lists into this folder, too: for another web server
    #[arg(short = 'o', long = "output", value_name = "DIR")]
    copies: Option<PathBuf>,
    /// The key of a root that is kept offline: a file, or the PKCS#11 URI of one on a token
    #[arg(long, value_name = "FILE")]
    root_key: Option<PathBuf>,
}

/// Publishes everything; with a folder, copies what everyone may have there, too.
pub(super) fn publish(context: &Context, args: &PublishArgs) -> Result<Exit, Failure> {
    let published = lists::sign(context, &Which::complete(args.root_key.clone()))?.published;
    if let Some(copies) = &args.copies {
        std::fs::create_dir_all(copies).map_err(on_file("make the folder", copies))?;
        for file in &published.files {
            let Some(name) = file.file_name() else { continue };
            let bytes = std::fs::read(file).map_err(on_file("read", file))?;
            output::write_file(&copies.join(name), &bytes, true)?;
        }
    }
    let Tally { signed, kept, .. } = published.answers;
    if context.json {
        let files: Vec<String> = published.files.iter().map(|file| file.display().to_string()).collect();
        let answers = json!({ "signed": signed, "kept": kept });
        context.print_json(&json!({ "schema": "sealpost.ca.publish/1", "exit": 0, "files": files, "answers": answers }))?;
    } else {
        eprintln!(
            "published: {} files; OCSP answers about {} certificates, {signed} of them signed now",
            published.files.len(),
            signed + kept
        );
    }
    Ok(Exit::Good)
}
