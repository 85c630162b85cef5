//! Whether every address leads somewhere, and everybody can log in.

use std::collections::{BTreeMap, BTreeSet};

use crate::server::doctor::{Concern, Finding};
use crate::server::store::{Error, Store};

/// Domains, users and aliases.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Our domains.
    pub domains: Vec<String>,
    /// The domains among them whose passwords are kept elsewhere: who their users are, nobody here knows.
    pub elsewhere: BTreeSet<String>,
    /// The users, and whether each has a password.
    pub users: BTreeMap<String, HasPassword>,
    /// The targets of each alias.
    pub aliases: BTreeMap<String, Vec<String>>,
}

/// Whether a user has a password here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HasPassword {
    /// One.
    Yes,
    /// None.
    No,
}

/// Reads them.
pub fn gather(store: &dyn Store, elsewhere: impl IntoIterator<Item = String>) -> Result<Facts, Error> {
    let mut facts = Facts { domains: store.domains()?, elsewhere: elsewhere.into_iter().collect(), ..Facts::default() };
    for user in store.users()? {
        let is_any = store.password_hash(&user)?.is_some_and(|hash| !hash.is_empty());
        facts.users.insert(user, if is_any { HasPassword::Yes } else { HasPassword::No });
    }
    for (alias, target) in store.aliases()? {
        facts.aliases.entry(alias).or_default().push(target);
    }
    Ok(facts)
}

/// Judges them.
pub fn judge(facts: Result<Facts, Error>) -> Vec<Finding> {
    let facts = match facts {
        Ok(facts) => facts,
        Err(why) => {
            let text = format!("domains, users and aliases cannot be read – {why}");
            return vec![Finding::error("accounts-unreadable", Concern::Integrity, text)];
        }
    };
    let mut found = Vec::new();
    if facts.domains.is_empty() {
        let text = "the server has no domain: nobody gets mail";
        found.push(Finding::warning("domain-none", Concern::Settings, text).fix("sealpost domain add DOMAIN"));
    }
    for domain in &facts.domains {
        facts.domain(domain, &mut found);
    }
    for (user, has) in &facts.users {
        if *has == HasPassword::No && !facts.elsewhere.contains(domain_of(user)) {
            let text = format!("{user} has no password and cannot log in");
            let finding = Finding::warning("user-no-password", Concern::Settings, text);
            found.push(finding.fix(format!("sealpost user passwd {user}")));
        }
    }
    for (alias, targets) in &facts.aliases {
        facts.alias(alias, targets, &mut found);
    }
    found
}

impl Facts {
    fn domain(&self, domain: &str, found: &mut Vec<Finding>) {
        if self.elsewhere.contains(domain) {
            return;
        }
        let is_in = |address: &String| domain_of(address) == domain;
        if !self.users.keys().any(is_in) && !self.aliases.keys().any(is_in) {
            let finding =
                Finding::warning("domain-empty", Concern::Settings, format!("the domain {domain} has no user and no alias"));
            found.push(finding.fix(format!("sealpost user add NAME@{domain}")));
            return;
        }
        // RFC 5321 4.5.1, RFC 2142: somebody reads what others tell of the domain; homes that `up` made once have no alias for root
        for (name, code, why) in [
            ("postmaster", "postmaster-missing", "(RFC 5321 4.5.1)"),
            ("root", "root-missing", "– what cron and other programs of the machine write has no reader"),
        ] {
            let address = format!("{name}@{domain}");
            if self.leads(&address, &mut BTreeSet::new()) {
                continue;
            }
            let user = self.users.keys().find(|user| domain_of(user) == domain).or_else(|| self.users.keys().next());
            let to = user.map_or("ADDRESS", String::as_str);
            let finding = Finding::warning(code, Concern::Settings, format!("{address} leads to nobody {why}"));
            found.push(finding.fix(format!("sealpost alias add {address} {to}")));
        }
    }

    fn alias(&self, alias: &str, targets: &[String], found: &mut Vec<Finding>) {
        let warn =
            |code, text: String| Finding::warning(code, Concern::Settings, text).fix(format!("sealpost alias remove {alias}"));
        if !self.domains.iter().any(|domain| domain == domain_of(alias)) {
            found.push(warn("alias-foreign", format!("the alias {alias} is of no domain of this server, and takes no mail")));
            return;
        }
        if self.users.contains_key(alias) {
            found.push(warn("alias-user", format!("the alias {alias} does nothing: the user of this address has its mail")));
            return;
        }
        let mut seen = BTreeSet::new();
        if self.is_circle(alias, alias, &mut seen) {
            found.push(warn("alias-loop", format!("the alias {alias} leads to itself")));
        }
        for target in targets {
            let is_loop = seen.contains(target.as_str()) && self.is_circle(alias, target, &mut BTreeSet::new());
            if !is_loop && !self.leads(target, &mut BTreeSet::from([alias.to_owned()])) {
                found.push(warn("alias-nowhere", format!("the alias {alias} leads to {target}, and nobody is there")));
            }
        }
    }

    fn is_circle(&self, start: &str, at: &str, seen: &mut BTreeSet<String>) -> bool {
        if !seen.insert(at.to_owned()) {
            return false;
        }
        let targets = self.aliases.get(at).into_iter().flatten();
        targets.into_iter().any(|target| target == start || self.is_circle(start, target, seen))
    }

    /// Whether an address leads to a mailbox, or away from here.
    fn leads(&self, address: &str, seen: &mut BTreeSet<String>) -> bool {
        let domain = domain_of(address);
        if !self.domains.iter().any(|known| known == domain) || self.elsewhere.contains(domain) {
            return true;
        }
        if !seen.insert(address.to_owned()) {
            return false;
        }
        let plain = address.split_once('+').map(|(base, _)| format!("{base}@{domain}"));
        for candidate in [Some(address.to_owned()), plain, Some(format!("@{domain}"))].into_iter().flatten() {
            if self.users.contains_key(&candidate) {
                return true;
            }
            if let Some(targets) = self.aliases.get(&candidate) {
                return targets.iter().any(|target| self.leads(target, seen));
            }
        }
        false
    }
}

fn domain_of(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_that_lead_nowhere_or_round_are_told() {
        let alias = |name: &str, to: &[&str]| (name.to_owned(), to.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>());
        let facts = Facts {
            domains: vec!["a.example".to_owned(), "b.example".to_owned(), "dir.example".to_owned()],
            elsewhere: BTreeSet::from(["dir.example".to_owned()]),
            users: BTreeMap::from([
                ("jane@a.example".to_owned(), HasPassword::Yes),
                ("joe@a.example".to_owned(), HasPassword::No),
                ("dora@dir.example".to_owned(), HasPassword::No),
            ]),
            aliases: BTreeMap::from([
                alias("postmaster@a.example", &["jane+post@a.example"]),
                alias("root@a.example", &["postmaster@a.example"]),
                alias("all@a.example", &["jane@a.example", "gone@a.example", "x@elsewhere.example", "new@dir.example"]),
                alias("joe@a.example", &["gone@a.example"]),
                alias("x@a.example", &["y@a.example"]),
                alias("y@a.example", &["x@a.example"]),
                alias("info@old.example", &["jane@a.example"]),
            ]),
        };
        let told: Vec<_> = judge(Ok(facts)).iter().map(|finding| format!("{}: {}", finding.code, finding.text)).collect();
        assert_eq!(
            told,
            [
                "domain-empty: the domain b.example has no user and no alias",
                "user-no-password: joe@a.example has no password and cannot log in",
                "alias-nowhere: the alias all@a.example leads to gone@a.example, and nobody is there",
                "alias-foreign: the alias info@old.example is of no domain of this server, and takes no mail",
                "alias-user: the alias joe@a.example does nothing: the user of this address has its mail",
                "alias-loop: the alias x@a.example leads to itself",
                "alias-loop: the alias y@a.example leads to itself",
            ]
        );
    }

    #[test]
    fn somebody_is_the_postmaster_and_somebody_is_root() {
        let told = |more: &[&str], aliases: &[(&str, &str)]| -> Vec<_> {
            let users = ["jane@a.example"].iter().chain(more).map(|user| ((*user).to_owned(), HasPassword::Yes));
            let facts = Facts {
                domains: vec!["a.example".to_owned()],
                users: users.collect(),
                aliases: aliases.iter().map(|(alias, to)| ((*alias).to_owned(), vec![(*to).to_owned()])).collect(),
                ..Facts::default()
            };
            judge(Ok(facts)).into_iter().map(|finding| (finding.code, finding.fix.unwrap_or_default())).collect()
        };
        let fix = |name: &str| format!("sealpost alias add {name}@a.example jane@a.example");
        let postmaster = ("postmaster-missing", fix("postmaster"));
        let root = ("root-missing", fix("root"));
        assert_eq!(told(&[], &[]), [postmaster.clone(), root.clone()]);
        assert_eq!(told(&[], &[("postmaster@a.example", "jane@a.example")]), [root], "a home of before");
        assert_eq!(told(&["root@a.example"], &[]), [postmaster]);
        assert_eq!(told(&[], &[("@a.example", "jane@a.example")]), [], "all of the domain has a reader");
    }
}
