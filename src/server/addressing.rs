//! Where an address of ours leads: to a mailbox, through aliases and lists, or to the domain's catch-all.

use std::collections::{HashSet, VecDeque};
use std::time::Instant;

use crate::server::accounts::{Accounts, normal};
use crate::server::store::{Error, Standing};

/// Where an address leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Our domain: these mailboxes here, and these addresses elsewhere that aliases lead to.
    Ours {
        /// Users of ours.
        mailboxes: Vec<String>,
        /// Addresses at other domains.
        elsewhere: Vec<String>,
    },
    /// Our domain, and nobody there.
    Unknown,
    /// Our domain, and a list of lists that leads to more addresses than one letter may go to.
    TooMany,
    /// Another domain.
    Elsewhere,
}

/// Whether a domain, in lower case, may be outside ASCII.
pub(in crate::server) fn has_two_forms(domain: &str) -> bool {
    !domain.is_ascii() || domain.contains("xn--")
}

/// Aliases of a way that is looked for: longer than mail follows, so that who makes a circle hears of all of it.
const LONGEST: usize = 100;
/// Addresses that one address may lead to, aliases on the way among them: lists of lists grow fast, and one letter must not become a million.
/// Beyond it nobody gets the letter, and who sent it is told: a part of a list would not know what it misses.
pub(in crate::server) const WIDTH: usize = 10_000;

impl Accounts {
    /// Where an address leads: through aliases, without what follows a `+`, and last to the catch-all `@domain`.
    pub fn destination(&self, address: &str) -> Result<Destination, Error> {
        if let Some(back) = self.back(address)? {
            return Ok(back);
        }
        let address = unquoted(normal(address));
        let (found, changes, now) = (self.found(), self.store().changes(), Instant::now());
        if let Some(known) = found.and_then(|found| found.destination(&address, changes, now)) {
            return Ok(known);
        }
        let Some(ours) = self.in_our_form(&address)? else { return Ok(Destination::Elsewhere) };
        let ours = self.expand(ours)?;
        if !matches!(ours, Destination::Ours { .. }) {
            return Ok(ours);
        }
        if let Some(found) = found {
            found.leads(&address, &ours, changes, now);
        }
        Ok(ours)
    }

    /// Whether a user may send as this address: his own, or an alias that leads to him; who was suspended meanwhile, as none.
    pub fn may_send_as(&self, user: &str, address: &str) -> Result<bool, Error> {
        if self.store().standing(user)? == Some(Standing::Suspended) {
            return Ok(false);
        }
        match self.destination(address)? {
            Destination::Ours { mailboxes, .. } => Ok(mailboxes.iter().any(|mailbox| mailbox == user)),
            _ => Ok(false),
        }
    }

    /// The way from an address to another, through aliases as they are: each address on it, both ends among them.
    pub(in crate::server) fn way(&self, from: &str, to: &str) -> Result<Option<Vec<String>>, Error> {
        let mut seen = HashSet::new();
        self.follow(from, to, LONGEST, &mut seen)
    }

    fn follow(&self, at: &str, to: &str, depth: usize, seen: &mut HashSet<String>) -> Result<Option<Vec<String>>, Error> {
        if at == to {
            return Ok(Some(vec![at.to_owned()]));
        }
        let Some(depth) = depth.checked_sub(1) else { return Ok(None) };
        // who is there in a directory is asked when mail comes; a command does not wait for it
        if seen.len() >= WIDTH || !seen.insert(at.to_owned()) || !self.is_own(at) || !self.is_ours(at)? {
            return Ok(None);
        }
        for candidate in candidates(at) {
            if candidate == to {
                return Ok(Some(vec![at.to_owned()]));
            }
            if self.store().password_hash(&candidate)?.is_some() {
                return Ok(None);
            }
            let targets = self.store().targets(&candidate)?;
            for target in &targets {
                if let Some(rest) = self.follow(target, to, depth, seen)? {
                    return Ok(Some([vec![at.to_owned()], rest].concat()));
                }
            }
            if !targets.is_empty() {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// An address of ours, its domain as we have it: a name outside ASCII has two forms (RFC 5890 2.3.2.1). `None` for others.
    pub(in crate::server) fn in_our_form(&self, address: &str) -> Result<Option<String>, Error> {
        if self.is_ours(address)? {
            return Ok(Some(address.to_owned()));
        }
        let Some((local, domain)) = address.rsplit_once('@').filter(|(_, domain)| has_two_forms(domain)) else { return Ok(None) };
        for other in idna::domain_to_ascii(domain).into_iter().chain([idna::domain_to_unicode(domain).0]) {
            let other = format!("{local}@{other}");
            if self.is_ours(&other)? {
                return Ok(Some(other));
            }
        }
        Ok(None)
    }

    /// Everybody whom an address of ours leads to, each once; circles end.
    fn expand(&self, address: String) -> Result<Destination, Error> {
        let (mut mailboxes, mut elsewhere) = (Vec::new(), Vec::new());
        let (mut seen, mut next) = (HashSet::from([address.clone()]), VecDeque::from([address]));
        while let Some(address) = next.pop_front() {
            let Some(ours) = self.in_our_form(&address)? else {
                elsewhere.push(address);
                continue;
            };
            for candidate in candidates(&ours) {
                let mailbox = if candidate.starts_with('@') { None } else { self.mailbox(&candidate)? };
                if let Some(mailbox) = mailbox {
                    if !mailboxes.contains(&mailbox) {
                        mailboxes.push(mailbox);
                    }
                    break;
                }
                let targets = self.store().targets(&candidate)?;
                if !targets.is_empty() {
                    next.extend(targets.into_iter().filter(|target| seen.insert(target.clone())));
                    break;
                }
            }
            if seen.len() > WIDTH {
                return Ok(Destination::TooMany);
            }
        }
        let is_nobody = mailboxes.is_empty() && elsewhere.is_empty();
        Ok(if is_nobody { Destination::Unknown } else { Destination::Ours { mailboxes, elsewhere } })
    }
}

/// An address whose local part is quoted for nothing, without the quotes (RFC 5322 3.4.1: both are the same).
fn unquoted(address: String) -> String {
    let inner = address.strip_prefix('"').and_then(|rest| rest.rsplit_once("\"@"));
    let plain = inner.filter(|(local, _)| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
        local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_plain))
    });
    plain.map(|(local, domain)| format!("{local}@{domain}")).unwrap_or(address)
}

/// The names under which an address may be known, the most exact first.
pub(in crate::server) fn candidates(address: &str) -> impl Iterator<Item = String> {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let plain = local.split_once('+').filter(|(base, _)| !base.is_empty()).map(|(base, _)| format!("{base}@{domain}"));
    [Some(address.to_owned()), plain, Some(format!("@{domain}"))].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::server::accounts::tests::accounts;

    fn jane() -> Destination {
        Destination::Ours { mailboxes: vec!["jane@a.example".to_owned()], elsewhere: Vec::new() }
    }

    #[test]
    fn aliases_and_plus_addresses_lead_to_mailboxes_and_circles_end() {
        let (_folder, accounts) = accounts();
        for (alias, target) in [
            ("info@a.example", "all@a.example"),
            ("all@a.example", "jane@a.example"),
            ("away@a.example", "jane@b.example"),
            ("away@a.example", "jane@a.example"),
            ("x@a.example", "y@a.example"),
            ("y@a.example", "x@a.example"),
        ] {
            accounts.store().add_alias(alias, target).expect("new");
        }
        for address in ["jane@a.example", "\"Jane\"@a.example", "JANE+lists@a.example", "info@a.example", "info+x@a.example"] {
            assert_eq!(accounts.destination(address).expect("read"), jane(), "{address}");
        }
        assert_eq!(accounts.destination("x@a.example").expect("read"), Destination::Unknown);
        assert_eq!(accounts.destination("jane@b.example").expect("read"), Destination::Elsewhere);
        let both =
            Destination::Ours { mailboxes: vec!["jane@a.example".to_owned()], elsewhere: vec!["jane@b.example".to_owned()] };
        assert_eq!(accounts.destination("away@a.example").expect("read"), both);
        assert!(accounts.may_send_as("jane@a.example", "info@a.example").expect("read"));
        assert!(!accounts.may_send_as("jane@a.example", "joe@a.example").expect("read"));
    }

    #[test]
    fn a_catch_all_takes_what_nobody_else_takes() {
        let (_folder, accounts) = accounts();
        accounts.store().add_domain("c.example").expect("new");
        accounts.add_user("joe@a.example", &Secret::new(b"secret".to_vec())).expect("new");
        accounts.store().add_alias("@a.example", "joe@a.example").expect("new");
        let joe = Destination::Ours { mailboxes: vec!["joe@a.example".to_owned()], elsewhere: Vec::new() };
        assert_eq!(accounts.destination("anybody@a.example").expect("read"), joe);
        assert_eq!(accounts.destination("+tag@a.example").expect("read"), joe);
        assert_eq!(accounts.destination("jane+tag@a.example").expect("read"), jane());
        assert_eq!(accounts.destination("anybody@c.example").expect("read"), Destination::Unknown);
    }

    #[test]
    fn a_member_of_two_lists_gets_one_copy_and_lists_of_lists_end() {
        let (_folder, accounts) = accounts();
        for level in 0..9 {
            for to in 0..2 {
                for from in 0..2 {
                    let alias = format!("l{level}-{from}@a.example");
                    let target = if level == 8 { format!("m{to}@b.example") } else { format!("l{}-{to}@a.example", level + 1) };
                    accounts.store().add_alias(&alias, &target).expect("new");
                }
            }
        }
        let Destination::Ours { elsewhere, .. } = accounts.destination("l0-0@a.example").expect("read") else { panic!("ours") };
        assert_eq!(elsewhere, ["m0@b.example", "m1@b.example"]);
    }

    #[test]
    fn nobody_is_left_out_however_long_the_way_to_him_is() {
        let (_folder, accounts) = accounts();
        accounts.add_user("joe@a.example", &Secret::new(b"secret".to_vec())).expect("new");
        let add = |alias: String, target: String| accounts.store().add_alias(&alias, &target).expect("new");
        // the team stands at the end of a long way, and beside its beginning
        (0..60).for_each(|at| add(format!("d{at}@a.example"), format!("d{}@a.example", at + 1)));
        add("d60@a.example".to_owned(), "team@a.example".to_owned());
        for (alias, target) in [("all", "d0"), ("all", "team"), ("team", "jane"), ("team", "joe"), ("far", "d0")] {
            add(format!("{alias}@a.example"), format!("{target}@a.example"));
        }
        let both = ["jane@a.example", "joe@a.example"].map(str::to_owned).to_vec();
        for address in ["all@a.example", "team@a.example", "far@a.example"] {
            let there = Destination::Ours { mailboxes: both.clone(), elsewhere: Vec::new() };
            assert_eq!(accounts.destination(address).expect("read"), there, "{address}");
        }
        // nobody gets it where some would be left out
        let many: Vec<String> = (0..WIDTH).map(|at| format!("m{at}@b.example")).collect();
        many.iter().for_each(|member| add("list@a.example".to_owned(), member.clone()));
        assert_eq!(accounts.destination("list@a.example").expect("read"), Destination::TooMany);
        accounts.store().remove_alias("list@a.example").expect("there");
        many.iter().skip(1).for_each(|member| add("list@a.example".to_owned(), member.clone()));
        let Destination::Ours { elsewhere, .. } = accounts.destination("list@a.example").expect("read") else { panic!("ours") };
        assert_eq!(elsewhere.len(), WIDTH - 1);
    }

    #[test]
    fn a_domain_outside_ascii_has_two_forms() {
        let (_folder, accounts) = accounts();
        accounts.store().add_domain("xn--bcher-kva.example").expect("new");
        accounts.store().add_alias("info@xn--bcher-kva.example", "jane@a.example").expect("new");
        accounts.store().add_alias("also@a.example", "info@b\u{fc}cher.example").expect("new");
        for address in ["info@xn--bcher-kva.example", "info@b\u{fc}cher.example", "INFO@B\u{dc}CHER.example", "also@a.example"] {
            assert_eq!(accounts.destination(address).expect("read"), jane(), "{address}");
        }
        assert_eq!(accounts.destination("x@xn--b.example").expect("read"), Destination::Elsewhere);
    }
}
