//! From the tree to the program: which commands and tests there are, what each takes, what it requires (RFC 5228 2.10.5, 3 to 5).

mod arguments;
mod commands;
mod tests;

use std::collections::BTreeSet;

use crate::sieve::Mistake;
use crate::sieve::extension::Extension;
use crate::sieve::program::{Command, What};
use crate::sieve::text::{self, Text};
use crate::sieve::tree::{Node, Tests, Value};

pub(super) use tests::{is_address_field, is_field_name};

/// Mistakes that are told at once. 50: whoever mended these asks again.
const MISTAKES: usize = 50;

/// Checks a tree; the error holds every mistake.
pub(super) fn check(tree: &[Node]) -> Result<(Vec<Command>, BTreeSet<Extension>), Vec<Mistake>> {
    let mut checker = Checker { extensions: BTreeSet::new(), mistakes: Vec::new() };
    let begin = tree.iter().take_while(|node| node.name == "require").count();
    let (requires, rest) = tree.split_at_checked(begin).unwrap_or((&[], tree));
    for node in requires {
        checker.require(node);
    }
    let commands = checker.block(rest);
    checker.mistakes.sort_by_key(|mistake| mistake.line);
    match checker.mistakes.is_empty() {
        true => Ok((commands, checker.extensions)),
        false => Err(checker.mistakes),
    }
}

struct Checker {
    extensions: BTreeSet<Extension>,
    mistakes: Vec<Mistake>,
}

fn mistake(line: usize, text: impl Into<String>) -> Mistake {
    Mistake { line, text: text.into() }
}

impl Checker {
    fn tell(&mut self, mistake: Mistake) {
        if self.mistakes.len() < MISTAKES {
            self.mistakes.push(mistake);
        }
    }

    fn require(&mut self, node: &Node) {
        let names: &[String] = match node.arguments.iter().map(|argument| &argument.value).collect::<Vec<_>>().as_slice() {
            [Value::Text(name)] => std::slice::from_ref(name),
            [Value::List(names)] => names,
            _ => return self.tell(mistake(node.line, "`require` takes a list of names – as in require [\"fileinto\"];")),
        };
        if !matches!(node.tests, Tests::None) || node.block.is_some() {
            self.tell(mistake(node.line, "`require` takes no test and no block – it ends with `;`"));
        }
        for name in names {
            match Extension::named(name) {
                Some(extension) => drop(self.extensions.insert(extension)),
                None => {
                    let known = Extension::ALL.iter().map(|(_, known, _)| *known);
                    let hint = match nearest(name, known) {
                        Some(near) => format!("did you mean \"{near}\"?"),
                        None => "take it away, with all that needs it".to_owned(),
                    };
                    self.tell(mistake(node.line, format!("there is no extension \"{name}\" here – {hint}")));
                }
            }
        }
    }

    /// Whether what `what` names may be used.
    fn needs(&self, extension: Extension, line: usize, what: &str) -> Result<(), Mistake> {
        if self.extensions.contains(&extension) {
            return Ok(());
        }
        let name = extension.name();
        Err(mistake(line, format!("{what} needs an extension – write require \"{name}\"; at the beginning of the script")))
    }

    /// A string as the extensions of the script read it.
    fn string(&self, line: usize, written: &str) -> Result<Text, Mistake> {
        let decoded = match self.extensions.contains(&Extension::EncodedCharacter) {
            true => text::decode_characters(written).map_err(|text| mistake(line, text))?,
            false => written.to_owned(),
        };
        match self.extensions.contains(&Extension::Variables) {
            true => Text::with_variables(&decoded).map_err(|text| mistake(line, text)),
            false => Ok(Text::literal(&decoded)),
        }
    }

    fn block(&mut self, nodes: &[Node]) -> Vec<Command> {
        let mut commands: Vec<Command> = Vec::new();
        for node in nodes {
            let is_branch = matches!(node.name.as_str(), "elsif" | "else");
            let checked = match (is_branch, commands.last_mut()) {
                (true, last) => {
                    let open = match last.map(|last| &mut last.what) {
                        Some(What::If(branches)) if branches.last().is_some_and(|(test, _)| test.is_some()) => true,
                        // the `if` before it had a mistake of its own, which was told
                        _ => false,
                    };
                    match self.branch(node) {
                        Ok(branch) if open => {
                            if let Some(Command { what: What::If(branches), .. }) = commands.last_mut() {
                                branches.push(branch);
                            }
                            continue;
                        }
                        Ok(_) if !self.mistakes.is_empty() => continue,
                        Ok(_) => Err(mistake(node.line, format!("`{}` follows the block of an `if` or `elsif`", node.name))),
                        Err(wrong) => Err(wrong),
                    }
                }
                (false, _) => self.command(node),
            };
            match checked {
                Ok(what) => commands.push(Command { line: node.line, what }),
                Err(wrong) => self.tell(wrong),
            }
        }
        commands
    }
}

/// The known name that one may have meant.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known.map(|candidate| (distance(candidate, name), candidate)).min().filter(|(far, _)| *far <= 2).map(|(_, near)| near)
}

/// Letters to change, add or take away; names longer than 40 are near to none.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().take(40).collect(), right.chars().take(40).collect());
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (number, from) in left.iter().enumerate() {
        let mut diagonal = number;
        let mut before = number.saturating_add(1);
        for (at, to) in right.iter().enumerate() {
            let above = row.get(at.saturating_add(1)).copied().unwrap_or(usize::MAX);
            let change = diagonal.saturating_add(usize::from(from != to));
            if let Some(cell) = row.get_mut(at) {
                *cell = before;
            }
            before = change.min(above.saturating_add(1)).min(before.saturating_add(1));
            diagonal = above;
        }
        if let Some(cell) = row.last_mut() {
            *cell = before;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}
