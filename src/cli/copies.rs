//! The copies of an encrypted message: one for those in To and Cc, and one for each of Bcc, whom the others must not see in it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use sealpost::mime::submission::BCC_COPY;
use sealpost::smime::{Chosen, Encrypt, Recipient, Spool};

use crate::cli::ahead::Wishes;
use crate::cli::behind::Writer;
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::recipients::{Addressees, RecipientArgs};
use crate::cli::report;

/// Writes every copy, or none; says what was chosen and why.
pub(crate) fn write(
    context: &Context,
    verb: &str,
    output: &Output,
    recipients: &RecipientArgs,
    addressees: &Addressees,
    wishes: Option<&Wishes>,
    mut write: impl FnMut(&Encrypt, &mut dyn Spool) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    let copies = copies(output, addressees)?;
    let mut told = Vec::new();
    let mut written: Vec<&Path> = Vec::new();
    let mut each = || -> Result<(), Failure> {
        for copy in &copies {
            let encrypt = recipients.encryption(copy.readers)?;
            copy.output.write_by(Writer::Beside, wishes.cloned(), |sink| match copy.address {
                Some(_) => write(&encrypt, &mut Marked::begin(sink).map_err(Failure::io)?),
                None => write(&encrypt, sink),
            })?;
            written.extend(copy.output.file.as_deref());
            told.push((copy, encrypt.chosen()));
        }
        Ok(())
    };
    if let Err(failure) = each() {
        // the copies without the main one would be sent by somebody who thinks that all went well
        written.iter().for_each(|path| drop(std::fs::remove_file(path)));
        return Err(failure);
    }
    if !addressees.sender_reads {
        eprintln!("warning: you will not be able to read this message – no certificate of the sender is known that encrypts");
        eprintln!("hint: {}", report::safe(&addressees.sender_hint));
    }
    if !addressees.left_out.is_empty() {
        let named = report::safe(&addressees.left_out.join(", "));
        eprintln!("warning: the message is encrypted to no certificate of {named}, whom it names");
        eprintln!("hint: {}", report::safe(&addressees.left_out_hint));
    }
    // the copies come before the main one on disk, and after it here
    told.reverse();
    for (copy, chosen) in &told {
        eprintln!("{}", report::safe(&chosen.reason()));
        let names: Vec<String> = copy.readers.iter().map(Recipient::name).collect();
        chosen.key_reasons(&names).iter().for_each(|reason| eprintln!("{}", report::safe(reason)));
        if let (Some(address), Some(file)) = (copy.address, &copy.output.file) {
            let (address, file) = (report::safe(address), file.display());
            eprintln!("a copy for {address}, whom the others do not see: {file}");
            eprintln!("hint: send it with `sealpost send {file} --to {address}`");
        }
    }
    if context.json {
        let mut value = told.first().map(|(copy, chosen)| copy_json(copy, chosen)).unwrap_or_default();
        if let Value::Object(fields) = &mut value {
            let others = told.iter().skip(1).map(|(copy, chosen)| copy_json(copy, chosen)).collect();
            fields.insert("schema".to_owned(), json!(format!("sealpost.{verb}/1")));
            fields.insert("result".to_owned(), json!("ok"));
            fields.insert("exit".to_owned(), json!(0));
            fields.insert("sender_reads".to_owned(), json!(addressees.sender_reads));
            fields.insert("left_out".to_owned(), json!(addressees.left_out));
            fields.insert("copies".to_owned(), Value::Array(others));
        }
        context.print_json(&value)?;
    }
    Ok(Exit::Good)
}

/// One copy: where it goes, who reads it, and for whom it is where the others do not see him.
struct Copy<'a> {
    output: Output,
    readers: &'a [Recipient],
    address: Option<&'a str>,
}

/// A copy of somebody in Bcc: its first field says so, lest `send` take To and Cc for those who get it.
struct Marked<'a>(&'a mut dyn Spool);

impl<'a> Marked<'a> {
    fn begin(sink: &'a mut dyn Spool) -> io::Result<Self> {
        sink.write_all(BCC_COPY.as_bytes())?;
        Ok(Self(sink))
    }
}

impl Spool for Marked<'_> {
    fn restart(&mut self) -> io::Result<()> {
        self.0.restart()?;
        self.0.write_all(BCC_COPY.as_bytes())
    }

    fn lend(&mut self, bytes: usize) -> io::Result<Option<&mut [u8]>> {
        self.0.lend(bytes)
    }

    fn begin_base64(&mut self) -> io::Result<bool> {
        self.0.begin_base64()
    }

    fn end_base64(&mut self) -> io::Result<()> {
        self.0.end_base64()
    }
}

impl Write for Marked<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The copies in the order in which they are written: the main one last.
fn copies<'a>(output: &Output, addressees: &'a Addressees) -> Result<Vec<Copy<'a>>, Failure> {
    let mut found = Vec::new();
    for (number, (address, readers)) in (1..).zip(&addressees.hidden) {
        let path = output.file.as_deref().filter(|path| !output.is_stdout() && (!path.exists() || path.is_file()));
        let path = path.ok_or_else(|| {
            Failure::usage(format!("{address} gets a copy of its own, and standard output holds only one message"))
                .hint("write to a file with -o FILE; the copies come beside it, as FILE.bcc-1")
        })?;
        let output = Output { file: Some(beside(path, number)), force: output.force };
        output.check()?;
        found.push(Copy { output, readers, address: Some(address) });
    }
    if addressees.seen.is_empty() && !found.is_empty() {
        eprintln!("note: nobody but Bcc is written to – only their copies are made");
        return Ok(found);
    }
    found.push(Copy { output: output.clone(), readers: &addressees.seen, address: None });
    Ok(found)
}

/// `sealed.eml` gives `sealed.bcc-1.eml`.
fn beside(path: &Path, number: u32) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match path.extension() {
        Some(extension) => format!("{stem}.bcc-{number}.{}", extension.to_string_lossy()),
        None => format!("{stem}.bcc-{number}"),
    };
    path.with_file_name(name)
}

fn copy_json(copy: &Copy<'_>, chosen: &Chosen) -> Value {
    let readers = copy.readers.iter().zip(chosen.ways.iter().zip(&chosen.because));
    json!({
        "bcc": copy.address,
        "file": copy.output.file.as_ref().map(|path| path.display().to_string()),
        "cipher": chosen.cipher.name(),
        "why": chosen.why,
        "limited_by": chosen.limited_by,
        "recipients": readers
            .map(|(reader, (way, because))| {
                json!({ "addresses": reader.certificate().addresses(), "algorithm": way.name(), "why": because.text() })
            })
            .collect::<Vec<_>>(),
    })
}
