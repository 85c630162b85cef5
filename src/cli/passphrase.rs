//! Where passphrases come from: a file, a descriptor, or a prompt; never the command line. What the system's keyring remembers is asked for
//! in `remembered`.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{BufRead, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clap::Args;

use sealpost::secret::Secret;

use crate::cli::failure::{Failure, on_file, reason};
use crate::cli::report;

/// The passphrase options of every verb.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PassphraseArgs {
    /// Read the passphrase from the first line of FILE (`-` is standard input)
    ///
    /// What needs two takes the line after it: `id export` for the file that it writes, and a token for its PIN where the first line opens
    /// or protects keys in files.
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "passphrase_fd")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Read the passphrase from the first line of descriptor N
    #[arg(long, value_name = "N", global = true)]
    pub(crate) passphrase_fd: Option<u32>,
    /// Never prompt
    #[arg(long, global = true)]
    pub(crate) batch: bool,
    #[arg(skip)]
    given: Given,
}

/// A passphrase.
pub(crate) type Passphrase = Secret<Vec<u8>>;

/// What the options gave: pipes give it once, however many ask for it.
#[derive(Clone, Default)]
struct Given(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    /// Those that were read; none before somebody asked.
    read: Vec<Passphrase>,
    /// Which of them open or protect files.
    of_files: BTreeSet<usize>,
    /// Which of them is the PIN of tokens.
    pin: Option<usize>,
}

impl Lines {
    /// The line that is the PIN of tokens: the first one that is no passphrase of files.
    fn pin_line(&self) -> usize {
        self.pin.unwrap_or_else(|| (0..).find(|at| !self.of_files.contains(at)).unwrap_or_default())
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Given")
    }
}

impl PassphraseArgs {
    /// The passphrase of the options, if one is given.
    pub(crate) fn given(&self) -> Result<Option<Passphrase>, Failure> {
        Ok(self.lines(1)?.read.first().cloned())
    }

    /// Whether the options give one.
    pub(crate) fn is_given(&self) -> bool {
        self.passphrase_file.is_some() || self.passphrase_fd.is_some()
    }

    /// The passphrase for reading `what`: from the options, else from a prompt; `None` where neither is possible.
    pub(crate) fn to_unlock(&self, what: &str) -> Result<Option<Passphrase>, Failure> {
        if let Some(first) = self.given()? {
            return Ok(Some(first));
        }
        if !self.may_prompt() {
            return Ok(None);
        }
        ask(&format!("Passphrase of {what}: ")).map(Some)
    }

    /// Says that the passphrase of the options opened keys in files: it is no PIN.
    pub(crate) fn opened_keys(&self) {
        self.held().of_files.insert(0);
    }

    /// The PIN of a token: from the options, else from a prompt; `None` where neither is possible. A token locks after a few wrong ones, so
    /// what is known to be the passphrase of other keys is not tried; the line after it is.
    pub(crate) fn pin(&self, token: &str) -> Result<Option<Passphrase>, Failure> {
        let at = self.held().pin_line();
        let found = self.lines(at.saturating_add(1))?.read.get(at).cloned();
        match found.filter(|pin| !pin.expose().is_empty()) {
            Some(pin) => {
                self.held().pin = Some(at);
                Ok(Some(pin))
            }
            None if at > 0 && self.is_given() => {
                let text =
                    format!("the passphrase that was given opens other keys, and is not tried as the PIN of the token {token}");
                Err(Failure::usage(format!("{text} – write the PIN into the line after it")))
            }
            None if self.may_prompt() => ask(&format!("PIN of the token {token}: ")).map(Some),
            None => Ok(None),
        }
    }

    /// The passphrase that shall protect `what` from now on: line `line` of the options (the last one where there are fewer; the one after it
    /// where that is a PIN), else asked twice. `None` where no one can be asked, or where the person wants none.
    pub(crate) fn to_protect(&self, what: &str, line: usize) -> Result<Option<Passphrase>, Failure> {
        let mut given = self.lines(line.saturating_add(1))?;
        let wanted = given.read.len().checked_sub(1).map(|last| line.min(last));
        let is_pin = wanted.is_some() && wanted == given.pin;
        if let Some(at) = wanted.map(|wanted| wanted.saturating_add(usize::from(is_pin))) {
            drop(given);
            given = self.lines(at.saturating_add(1))?;
            let Some(found) = given.read.get(at).cloned() else {
                return Err(Failure::usage(format!(
                    "the PIN of a token protects no file, and no passphrase was given for {what}"
                ))
                .hint("write it into the line after the PIN"));
            };
            given.of_files.insert(at);
            return Ok(Some(found));
        }
        drop(given);
        if !self.may_prompt() {
            return Ok(None);
        }
        let answer = ask_new(&format!("{what} (empty: none)"))?;
        Ok((!answer.expose().is_empty()).then_some(answer))
    }

    /// Whether a person can be asked.
    pub(crate) fn may_prompt(&self) -> bool {
        !self.batch && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// What the options give, with so many lines at least where there are that many. Of standard input no more is read: a message may follow.
    fn lines(&self, count: usize) -> Result<MutexGuard<'_, Lines>, Failure> {
        let mut lines = self.held();
        match (&self.passphrase_file, self.passphrase_fd) {
            (Some(path), _) if path.as_os_str() == "-" => {
                while lines.read.len() < count {
                    let mut text = Secret::new(Vec::new());
                    let read = std::io::stdin().lock().read_until(b'\n', text.expose_mut());
                    let read = read
                        .map_err(|e| Failure::io(format!("cannot read the passphrase from standard input – {}", reason(&e))))?;
                    if read == 0 && !lines.read.is_empty() {
                        break;
                    }
                    lines.read.extend(split(&text));
                }
            }
            (Some(path), _) if lines.read.is_empty() => lines.read = split(&read_file(path)?),
            (None, Some(descriptor)) if lines.read.is_empty() => {
                lines.read = split(&read_file(&PathBuf::from(format!("/dev/fd/{descriptor}")))?);
            }
            _ => {}
        }
        Ok(lines)
    }

    fn held(&self) -> MutexGuard<'_, Lines> {
        self.given.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_file(path: &Path) -> Result<Secret<Vec<u8>>, Failure> {
    let mut text = Secret::new(Vec::with_capacity(ROOM));
    let read = std::fs::File::open(path).and_then(|mut file| file.read_to_end(text.expose_mut()));
    read.map_err(on_file("read the passphrase from", path))?;
    Ok(text)
}

/// The lines of a text, at least one; what follows the last line end is none where nothing follows.
fn split(text: &Secret<Vec<u8>>) -> Vec<Passphrase> {
    let lines = text.expose().strip_suffix(b"\n").unwrap_or(text.expose()).split(|byte| *byte == b'\n');
    lines.map(|line| Secret::new(line.strip_suffix(b"\r").unwrap_or(line).to_vec())).collect()
}

/// Bytes that are reserved for what is read: a buffer that grows leaves what it held behind.
const ROOM: usize = 4 << 10;

/// Asks for a passphrase that shall protect something from now on, twice; an empty one is asked once.
pub(crate) fn ask_new(what: &str) -> Result<Passphrase, Failure> {
    loop {
        let first = ask(&format!("New passphrase for {what}: "))?;
        if first.expose().is_empty() || first.expose() == ask("The same again: ")?.expose() {
            return Ok(first);
        }
        eprintln!("the two differ");
    }
}

/// The first line of a file.
pub(crate) fn first_line(path: &Path) -> Result<Passphrase, Failure> {
    Ok(split(&read_file(path)?).into_iter().next().unwrap_or_default())
}

/// Asks a person on the terminal; names of files and labels of tokens are the choice of others.
pub(crate) fn ask(text: &str) -> Result<Passphrase, Failure> {
    let answer = rpassword::prompt_password(report::safe(text))
        .map_err(|e| Failure::io(format!("cannot ask for the passphrase – {}", reason(&e))))?;
    Ok(Secret::new(answer.into_bytes()))
}
