//! Where passphrases come from: a file, a descriptor, or a prompt; never the command line. What the system's keyring remembers is asked for
//! in `remembered`.

use std::io::{BufRead, IsTerminal, Read};
use std::path::PathBuf;

use clap::Args;
use zeroize::Zeroize;

use sealpost::secret::Secret;

use crate::cli::failure::{Failure, on_file, reason};

/// The passphrase options of every verb.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PassphraseArgs {
    /// Read the passphrase from the first line of FILE (`-` is standard input)
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "passphrase_fd")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Read the passphrase from the first line of descriptor N
    #[arg(long, value_name = "N", global = true)]
    pub(crate) passphrase_fd: Option<u32>,
    /// Never prompt
    #[arg(long, global = true)]
    pub(crate) batch: bool,
}

/// A passphrase.
pub(crate) type Passphrase = Secret<Vec<u8>>;

impl PassphraseArgs {
    /// The passphrase of the options, if one is given. Its lines after the first serve verbs that need two.
    pub(crate) fn given(&self) -> Result<Vec<Passphrase>, Failure> {
        let mut text = Vec::new();
        match (&self.passphrase_file, self.passphrase_fd) {
            (Some(path), _) if path.as_os_str() == "-" => {
                let read = std::io::stdin().lock().read_until(b'\n', &mut text);
                read.map_err(|e| Failure::io(format!("cannot read the passphrase from standard input – {}", reason(&e))))?;
            }
            (Some(path), _) => {
                text = std::fs::read(path).map_err(on_file("read the passphrase from", path))?;
            }
            (None, Some(descriptor)) => {
                let path = PathBuf::from(format!("/dev/fd/{descriptor}"));
                let mut file = std::fs::File::open(&path).map_err(on_file("read the passphrase from", &path))?;
                file.read_to_end(&mut text).map_err(on_file("read the passphrase from", &path))?;
            }
            (None, None) => return Ok(Vec::new()),
        }
        let lines = text
            .split(|b| *b == b'\n')
            .map(|line| Secret::new(line.strip_suffix(b"\r").unwrap_or(line).to_vec()))
            .collect::<Vec<_>>();
        let last_is_empty = lines.len() > 1 && lines.last().is_some_and(|line| line.expose().is_empty());
        let count = lines.len() - usize::from(last_is_empty);
        text.zeroize();
        Ok(lines.into_iter().take(count).collect())
    }

    /// Whether the options give one.
    pub(crate) fn is_given(&self) -> bool {
        self.passphrase_file.is_some() || self.passphrase_fd.is_some()
    }

    /// The passphrase for reading `what`: from the options, else from a prompt; `None` where neither is possible.
    pub(crate) fn to_unlock(&self, what: &str) -> Result<Option<Passphrase>, Failure> {
        if let Some(first) = self.given()?.into_iter().next() {
            return Ok(Some(first));
        }
        if !self.may_prompt() {
            return Ok(None);
        }
        prompt(&format!("Passphrase of {what}: ")).map(Some)
    }

    /// The passphrase that shall protect `what` from now on: line `line` of the options (the last one where there are fewer), else asked twice.
    /// `None` where no one can be asked, or where the person wants none.
    pub(crate) fn to_protect(&self, what: &str, line: usize) -> Result<Option<Passphrase>, Failure> {
        let mut given = self.given()?;
        if !given.is_empty() {
            let at = line.min(given.len() - 1);
            return Ok(Some(given.swap_remove(at)));
        }
        if !self.may_prompt() {
            return Ok(None);
        }
        loop {
            let first = prompt(&format!("New passphrase for {what} (empty: none): "))?;
            if first.expose().is_empty() {
                return Ok(None);
            }
            let second = prompt("The same again: ")?;
            if first.expose() == second.expose() {
                return Ok(Some(first));
            }
            eprintln!("the two differ");
        }
    }

    /// Whether a person can be asked.
    pub(crate) fn may_prompt(&self) -> bool {
        !self.batch && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }
}

fn prompt(text: &str) -> Result<Passphrase, Failure> {
    let answer =
        rpassword::prompt_password(text).map_err(|e| Failure::io(format!("cannot ask for the passphrase – {}", reason(&e))))?;
    Ok(Secret::new(answer.into_bytes()))
}
