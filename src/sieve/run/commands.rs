//! The commands of a run: control, actions, variables.

use crate::limits::LimitReached;
use crate::sieve::program::{Command, FlagChange, Implicit, Modifier, Refusal, ReplyForm, Vacation, What};
use crate::sieve::reply::{self, Reply};
use crate::sieve::run::{Action, Flow, Keep, Run};
use crate::sieve::text::Text;
use crate::sieve::{Failure, flags, place};

impl Run<'_> {
    pub(super) fn block(&mut self, commands: &[Command]) -> Result<Flow, Failure> {
        for command in commands {
            self.steps.spend(1_u64)?;
            if self.command(command)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::On)
    }

    fn command(&mut self, command: &Command) -> Result<Flow, Failure> {
        let line = command.line;
        match &command.what {
            What::If(branches) => {
                for (test, block) in branches {
                    let holds = match test {
                        Some(test) => self.test(test)?,
                        None => true,
                    };
                    if holds {
                        return self.block(block);
                    }
                }
            }
            What::Stop => return Ok(Flow::Stop),
            What::Discard => self.implicit = Keep::Cancelled,
            What::Keep { flags } => {
                let flags = self.chosen(flags.as_deref())?;
                self.implicit = Keep::Cancelled;
                self.deliver(line, Action::Keep { flags })?;
            }
            What::FileInto { folder, flags, copy } => {
                let folder = self.text(folder)?;
                let folder = place::folder(&folder).map_err(|text| Failure::Value { line, text })?;
                let flags = self.chosen(flags.as_deref())?;
                self.cancel(*copy);
                let action = match folder.eq_ignore_ascii_case("inbox") {
                    true => Action::Keep { flags },
                    false => Action::FileInto { folder, flags },
                };
                self.deliver(line, action)?;
            }
            What::Redirect { address, copy } => {
                let address = self.text(address)?;
                let address = place::address(&address).map_err(|text| Failure::Value { line, text })?;
                self.cancel(*copy);
                self.deliver(line, Action::Redirect { address })?;
            }
            What::Reject { reason, way } => self.reject(line, reason, *way)?,
            What::Vacation(vacation) => self.vacation(line, vacation)?,
            What::Set { name, value, modifiers } => {
                let value = modifiers.iter().fold(self.text(value)?, |value, modifier| apply(*modifier, &value));
                self.set(name, value)?;
            }
            What::Flags { change, variable, flags } => self.change_flags(*change, variable.as_deref(), flags)?,
        }
        Ok(Flow::On)
    }

    fn cancel(&mut self, copy: Implicit) {
        if copy == Implicit::Replaced {
            self.implicit = Keep::Cancelled;
        }
    }

    /// The flags of an action: those that it names, or those that were set before.
    fn chosen(&mut self, named: Option<&[Text]>) -> Result<Vec<String>, Failure> {
        match named {
            Some(named) => self.flag_list(named),
            None => Ok(self.flags.clone()),
        }
    }

    /// An action that delivers, which does not go with a refusal (RFC 5429 2.2).
    fn deliver(&mut self, line: usize, action: Action) -> Result<(), Failure> {
        if self.actions.iter().any(|other| matches!(other, Action::Reject { .. })) {
            return Err(Failure::Conflict {
                line,
                text: "the message was refused before, and cannot be delivered, too".to_owned(),
            });
        }
        self.store(action)
    }

    /// Notes an action; what was noted before is done once (RFC 5228 2.10.3), with the later flags.
    pub(super) fn store(&mut self, action: Action) -> Result<(), Failure> {
        for before in &mut self.actions {
            match (before, &action) {
                (Action::Keep { flags: known }, Action::Keep { flags: more }) => {
                    known.clone_from(more);
                    return Ok(());
                }
                (Action::FileInto { folder, flags: known }, Action::FileInto { folder: other, flags: more })
                    if folder == other =>
                {
                    known.clone_from(more);
                    return Ok(());
                }
                (Action::Redirect { address }, Action::Redirect { address: other }) if is_same(address, other) => {
                    return Ok(());
                }
                _ => {}
            }
        }
        let reached = |name, limit: usize| LimitReached { name, limit: u64::try_from(limit).unwrap_or(u64::MAX) };
        if self.actions.len() >= self.limits.sieve_actions {
            return Err(reached("sieve actions", self.limits.sieve_actions).into());
        }
        let redirects = self.actions.iter().filter(|action| matches!(action, Action::Redirect { .. })).count();
        if matches!(action, Action::Redirect { .. }) && redirects >= self.limits.sieve_redirects {
            return Err(reached("sieve redirects", self.limits.sieve_redirects).into());
        }
        self.actions.push(action);
        Ok(())
    }

    fn reject(&mut self, line: usize, reason: &Text, way: Refusal) -> Result<(), Failure> {
        let conflict = |text: &str| Err(Failure::Conflict { line, text: text.to_owned() });
        match self.actions.iter().find(|action| !matches!(action, Action::Vacation(_))) {
            Some(Action::Reject { .. }) => return conflict("the message was refused before"),
            Some(_) => return conflict("the message was delivered before, and cannot be refused, too"),
            None => {}
        }
        if self.has_answered {
            return conflict("the sender gets a reply, and cannot be refused, too");
        }
        self.implicit = Keep::Cancelled;
        let reason = self.text(reason)?;
        self.store(Action::Reject { reason, way })
    }

    /// RFC 5230 4: one reply for one message; who may get none, or got one lately, gets none.
    fn vacation(&mut self, line: usize, vacation: &Vacation) -> Result<(), Failure> {
        let conflict = |text: &str| Err(Failure::Conflict { line, text: text.to_owned() });
        if self.has_answered {
            return conflict("`vacation` ran before, and one message gets one reply");
        }
        if self.actions.iter().any(|action| matches!(action, Action::Reject { .. })) {
            return conflict("the message was refused before, and the sender cannot get a reply, too");
        }
        self.has_answered = true;
        let subject = vacation.subject.as_ref().map(|text| self.text(text)).transpose()?;
        let from = match &vacation.from {
            Some(text) => {
                let written = self.text(text)?;
                Some(place::author(&written).map_err(|text| Failure::Value { line, text })?)
            }
            None => None,
        };
        let body = self.text(&vacation.reason)?;
        let handle = match &vacation.handle {
            Some(handle) => self.text(handle)?,
            None => {
                let form = if vacation.form == ReplyForm::Entity { "mime" } else { "text" };
                let parts = [subject.as_deref().unwrap_or_default(), from.as_deref().unwrap_or_default(), form, &body];
                parts.join("\0")
            }
        };
        let mut own = self.texts(&vacation.addresses)?;
        own.push(self.envelope.to.clone());
        own.extend(self.envelope.own.iter().cloned());
        let to = self.envelope.from.clone();
        let seconds = i64::try_from(vacation.seconds).unwrap_or(i64::MAX);
        // no silence is longer than the script says: one that is was written by a clock that was ahead
        let longest = self.now.plus_seconds(seconds);
        let is_silent = self.memory.silent_until(&handle, &to).is_some_and(|until| until > self.now && until <= longest);
        if is_silent || !reply::may_answer(self.message, self.envelope, &own) {
            return Ok(());
        }
        let first = |name: &str| self.message.values(name).into_iter().next();
        // RFC 5322 2.1.1: each may have to stand on a line of its own, behind the name of its field
        let is_id = |id: &str| (1..=ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        let in_reply_to = first("message-id").map(|value| value.unfolded).filter(|id| is_id(id));
        let before = first("references").or_else(|| first("in-reply-to")).map(|value| value.unfolded).unwrap_or_default();
        let mut references: Vec<&str> = before.split_ascii_whitespace().rev().filter(|id| is_id(id)).take(20).collect();
        references.reverse();
        references.extend(in_reply_to.as_deref());
        let subject = subject.unwrap_or_else(|| match first("subject") {
            Some(original) => format!("Auto: {}", original.text),
            None => "Automated reply".to_owned(),
        });
        let reply = Reply {
            to,
            from,
            subject: subject.chars().map(|c| if c.is_control() { ' ' } else { c }).take(900).collect(),
            form: vacation.form,
            body,
            handle,
            silent_until: self.now.plus_seconds(seconds),
            references: references.join(" "),
            in_reply_to,
        };
        self.store(Action::Vacation(reply))
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), Failure> {
        let value = self.cut(value);
        if !self.variables.contains_key(name) && self.variables.len() >= self.limits.sieve_variables {
            let limit = u64::try_from(self.limits.sieve_variables).unwrap_or(u64::MAX);
            return Err(LimitReached { name: "sieve variables", limit }.into());
        }
        self.variables.insert(name.to_owned(), value);
        Ok(())
    }

    fn change_flags(&mut self, change: FlagChange, variable: Option<&str>, texts: &[Text]) -> Result<(), Failure> {
        let mut list = match (change, variable) {
            (FlagChange::Set, _) => Vec::new(),
            (_, None) => self.flags.clone(),
            (_, Some(name)) => {
                let mut known = Vec::new();
                let value = self.variables.get(name).map_or("", String::as_str);
                flags::add(&mut known, value, self.limits.sieve_flags);
                known
            }
        };
        for text in texts {
            let text = self.text(text)?;
            match change {
                FlagChange::Remove => flags::remove(&mut list, &text),
                FlagChange::Set | FlagChange::Add => flags::add(&mut list, &text, self.limits.sieve_flags),
            }
        }
        match variable {
            None => self.flags = list,
            Some(name) => self.set(name, list.join(" "))?,
        }
        Ok(())
    }
}

/// Bytes of an identifier of a message.
const ID: usize = 900;

/// Whether two addresses are one: the domain whatever its case, the local part as it is (RFC 5321 2.4).
fn is_same(one: &str, other: &str) -> bool {
    match (one.rsplit_once('@'), other.rsplit_once('@')) {
        (Some((local, domain)), Some((local2, domain2))) => local == local2 && domain.eq_ignore_ascii_case(domain2),
        _ => one == other,
    }
}

/// Modifiers change ASCII letters alone (RFC 5229 4.1).
fn apply(modifier: Modifier, value: &str) -> String {
    let first = |change: fn(&char) -> char| {
        let mut chars = value.chars();
        chars.next().map(|c| change(&c)).into_iter().chain(chars).collect()
    };
    match modifier {
        Modifier::Lower => value.to_ascii_lowercase(),
        Modifier::Upper => value.to_ascii_uppercase(),
        Modifier::LowerFirst => first(char::to_ascii_lowercase),
        Modifier::UpperFirst => first(char::to_ascii_uppercase),
        Modifier::QuoteWildcard => {
            let mut quoted = String::with_capacity(value.len());
            for c in value.chars() {
                if matches!(c, '*' | '?' | '\\') {
                    quoted.push('\\');
                }
                quoted.push(c);
            }
            quoted
        }
        Modifier::Length => value.chars().count().to_string(),
    }
}
