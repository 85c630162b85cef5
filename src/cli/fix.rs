//! The command that helps, whole: the library knows which option does, and not the command line that lacks it.

use std::borrow::Cow;
use std::ffi::OsString;

use clap::Parser;

use crate::cli::{Arguments, message_verb};

/// A fix as it can be typed: an option is put into the command that runs, everything else is a command already.
pub(crate) fn command(fix: &str) -> Cow<'_, str> {
    if !fix.starts_with("--") {
        return Cow::Borrowed(fix);
    }
    let arguments: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    Cow::Owned(complete(&arguments, fix))
}

/// These arguments with the option; where their command does not take it, the command that does.
fn complete(arguments: &[String], option: &str) -> String {
    // who asks the network already can but bring the list himself
    let option = if option == "--fetch" && arguments.iter().any(|word| word == option) { "--crl FILE" } else { option };
    let line = match REPEATED.iter().any(|name| option.starts_with(name)) {
        true => with(arguments, option),
        false => with(&without(arguments, option), option),
    };
    if is_understood(&line) {
        return line.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    }
    let of_message = format!("sealpost open {option} MSG");
    if is_understood(&of_message.split(' ').map(str::to_owned).collect::<Vec<_>>()) {
        return of_message;
    }
    format!("sealpost cert verify {option} CERT")
}

/// The command line with the option behind the others; what follows `--` is no option.
fn with(arguments: &[String], option: &str) -> Vec<String> {
    let end = arguments.iter().position(|word| word == "--").unwrap_or(arguments.len());
    let (options, rest) = arguments.split_at(end);
    let added = option.split(' ').map(str::to_owned);
    std::iter::once("sealpost".to_owned()).chain(options.iter().cloned()).chain(added).chain(rest.iter().cloned()).collect()
}

fn without(arguments: &[String], option: &str) -> Vec<String> {
    let name = option.split(' ').next().unwrap_or(option);
    let glued = format!("{name}=");
    let takes_value = option != name;
    let mut words = arguments.iter();
    let mut left = Vec::new();
    while let Some(word) = words.next() {
        if word == "--" {
            left.push(word.clone());
            left.extend(words.cloned());
            break;
        }
        if word == name {
            if takes_value {
                words.next();
            }
        } else if !word.starts_with(&glued) {
            left.push(word.clone());
        }
    }
    left
}

/// Whether the whole line can be typed; the descriptions of single verbs are asked first, being small.
fn is_understood(line: &[String]) -> bool {
    let line: Vec<OsString> = line.iter().map(OsString::from).collect();
    message_verb(&line).is_some() || Arguments::try_parse_from(&line).is_ok()
}

/// Options that may stand more than once; of others, the new one takes the place of the one that is there.
const REPEATED: [&str; 3] = ["--intermediates", "--crl", "--accept"];

/// A word as shells read it.
pub(crate) fn quoted(word: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', "'\\''")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    const RUNNING: [&str; 9] = [
        "--home h open msg -o out --trust root.pem --at 2026-01-01T00:00:00Z",
        "open --fetch msg",
        "verify msg --crl a.crl",
        "decrypt msg",
        "explain --json msg",
        "cert verify jane.pem --trust root.pem --purpose mail-sign --at=2026-01-01T00:00:00Z",
        "contact find jane@a.example --dns",
        "contact add -- -msg",
        "inspect msg",
    ];

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    /// The string literals of these rooms that are fixes: an option, or a command.
    fn fixes() -> BTreeSet<String> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut folders: Vec<_> = ["pki", "smime", "cli/cert", "cli/online"].map(|room| source.join(room)).into();
        let mut found = BTreeSet::new();
        while let Some(folder) = folders.pop() {
            for path in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).expect("a source");
                let code = text.lines().filter(|line| !line.trim_start().starts_with("//") && !line.starts_with("  sealpost"));
                for line in code {
                    let literals = line.split('"').skip(1).step_by(2);
                    let is_option = |text: &str| {
                        text.strip_prefix("--").is_some_and(|name| name.starts_with(|c: char| c.is_ascii_lowercase()))
                    };
                    let is_fix = |text: &&str| text.starts_with("sealpost ") || is_option(text);
                    found.extend(literals.filter(is_fix).map(|text| text.replace("{t}", "2026-01-01T00:00:00Z")));
                }
            }
        }
        found
    }

    #[test]
    fn every_fix_is_a_command_that_can_be_typed() {
        let fixes = fixes();
        for known in ["--fetch", "--crl FILE", "--at TIME", "--accept only-compressed", "sealpost trust add FILE"] {
            assert!(fixes.contains(known), "{known}: {fixes:?}");
        }
        for fix in &fixes {
            for running in RUNNING {
                let whole = if fix.starts_with("--") { complete(&words(running), fix) } else { fix.clone() };
                for command in whole.split(" && ") {
                    assert!(command.starts_with("sealpost ") && !command.contains('{'), "{fix}: {command}");
                    let line: Vec<String> = words(command);
                    assert!(Arguments::try_parse_from(&line).is_ok(), "{running} with {fix}: {command}");
                }
            }
        }
    }

    #[test]
    fn an_option_is_put_into_the_command_that_runs() {
        let cases = [
            ("cert verify jane.pem --trust root.pem", "--fetch", "sealpost cert verify jane.pem --trust root.pem --fetch"),
            ("open --fetch msg", "--fetch", "sealpost open --fetch msg --crl FILE"),
            ("open msg --at=2020-01-01T00:00:00Z", "--at TIME", "sealpost open msg --at TIME"),
            ("--at 2020-01-01T00:00:00Z open msg", "--at TIME", "sealpost open msg --at TIME"),
            ("verify --crl a -- -msg", "--crl FILE", "sealpost verify --crl a --crl FILE -- -msg"),
            ("explain a'b;c", "--accept only-compressed", "sealpost explain 'a'\\''b;c' --accept only-compressed"),
            ("inspect msg", "--intermediates FILE", "sealpost open --intermediates FILE MSG"),
            ("inspect msg", "--purpose any", "sealpost cert verify --purpose any CERT"),
        ];
        for (running, option, whole) in cases {
            assert_eq!(complete(&words(running), option), whole);
        }
    }
}
