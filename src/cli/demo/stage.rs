//! Where the demo plays: its folder, the commands that are run and shown, what they must end with.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use sealpost::mime::view;

use crate::cli::failure::{Exit, Failure, on_file, reason};
use crate::cli::output;

/// The folder of the demo, and the program that plays every person in it.
pub(crate) struct Stage {
    folder: PathBuf,
    program: PathBuf,
    chapters: usize,
}

/// Lines of one command that are shown.
const SHOWN: usize = 24;

impl Stage {
    /// A stage in this folder.
    pub(crate) fn new(folder: PathBuf) -> Result<Self, Failure> {
        let program = std::env::current_exe().map_err(|e| Failure::io(reason(&e)))?;
        Ok(Self { folder, program, chapters: 0 })
    }

    /// A file of the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Shows a heading.
    pub(crate) fn chapter(&mut self, title: &str) -> Result<(), Failure> {
        self.chapters += 1;
        let title = format!("{}. {title}", self.chapters);
        self.say(&format!("\n{title}\n{}", "─".repeat(title.chars().count())))
    }

    /// Shows a line.
    pub(crate) fn say(&self, text: &str) -> Result<(), Failure> {
        output::stdout(format!("{text}\n").as_bytes())
    }

    /// Shows what a command said.
    pub(crate) fn came_back(&self, text: &str) -> Result<(), Failure> {
        text.lines().take(SHOWN).try_for_each(|line| self.say(&format!("    {line}")))
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        output::write_file(&self.path(name), bytes, true)
    }

    /// Reads a file.
    pub(crate) fn read(&self, name: &str) -> Result<Vec<u8>, Failure> {
        let path = self.path(name);
        std::fs::read(&path).map_err(on_file("read", &path))
    }

    /// Runs a command that must go well.
    pub(crate) fn good(&self, person: &str, line: &str) -> Result<(), Failure> {
        self.step(person, line, Exit::Good)
    }

    /// Runs one command in the home of a person, shows it and what came back; another exit code than expected ends the demo.
    pub(crate) fn step(&self, person: &str, line: &str, expected: Exit) -> Result<(), Failure> {
        let text = self.run(person, line, expected)?;
        self.came_back(&text)?;
        if expected != Exit::Good {
            self.say(&format!("    (exit code {}, as it should be)", expected.code()))?;
        }
        Ok(())
    }

    /// Runs one command in the home of a person, shows it, and gives what came back.
    pub(crate) fn run(&self, person: &str, line: &str, expected: Exit) -> Result<String, Failure> {
        self.say(&format!("\n  {person}$ sealpost {line}"))?;
        let ended = self.command(person, line).output();
        let ended = ended.map_err(|e| Failure::io(format!("cannot run {} – {}", self.program.display(), reason(&e))))?;
        let text = [String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr)].concat();
        let code = ended.status.code().unwrap_or(-1);
        if code != i32::from(expected.code()) {
            self.came_back(&text)?;
            let what = format!("`sealpost {line}` ended with {code}, and {} was expected", expected.code());
            return Err(Failure::new(Exit::Bad, what));
        }
        Ok(text)
    }

    /// Starts a command that goes on in the background; its standard output can be read.
    pub(crate) fn background(&self, person: &str, line: &str) -> Result<Child, Failure> {
        self.say(&format!("\n  {person}$ sealpost {line} &"))?;
        let child = self.command(person, line).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        child.map_err(|e| Failure::io(format!("cannot run {} – {}", self.program.display(), reason(&e))))
    }

    fn command(&self, person: &str, line: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.folder).env("SEALPOST_HOME", person).args(line.split_whitespace()).stdin(Stdio::null());
        command
    }

    /// Shows a message as its reader sees it.
    pub(crate) fn show(&self, name: &str) -> Result<(), Failure> {
        let seen = view::view_plain(&self.read(name)?);
        self.say(&format!("    from     {}\n    to       {}\n    subject  {}", seen.from, seen.to, seen.subject))?;
        seen.text.lines().try_for_each(|line| self.say(&format!("    | {line}")))?;
        for (name, kind, size) in seen.attachments {
            self.say(&format!("    attached {name} ({kind}, {size} bytes)"))?;
        }
        Ok(())
    }
}
