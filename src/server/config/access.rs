//! The sections of the configuration that say whom mail is taken from: `[access]`, `[relay]`, `[rates]`, `[greylist]`, `[blocklists]`,
//! `[authentication]` and `[dkim]`.

use toml_edit::{Item, Table, Value};

use super::{Mistake, Reader, line_of};
use crate::server::policy::{
    Access, Check, Client, Greylisting, Kind, Logins, Mailbox, Name, Names, Network, Rate, Rates, Relay, Settings, Zone,
};

/// The sections of this file.
pub(super) const SECTIONS: [&str; 7] = ["access", "relay", "rates", "greylist", "blocklists", "authentication", "dkim"];

impl Reader<'_> {
    /// Reads every section that is there.
    pub(super) fn policy(&mut self, root: &Table) -> Settings {
        Settings {
            access: self.section(root, "access").map(|section| self.access(section)).unwrap_or_default(),
            relay: self.section(root, "relay").map(|section| self.relay(section)).unwrap_or_default(),
            // scanners, which hear them, are of the whole configuration
            names: Names::default(),
            rates: self.section(root, "rates").map(|section| self.rates(section)).unwrap_or_default(),
            logins: self.section(root, "rates").map(|section| self.failed_logins(section)).unwrap_or_default(),
            greylist: self.section(root, "greylist").map(|section| self.greylist(section)),
            zones: self.section(root, "blocklists").map(|section| self.zones(section)).unwrap_or_default(),
            check: self.section(root, "authentication").map(|section| self.check(section)).unwrap_or_default(),
            sealers: self.section(root, "authentication").map(|section| self.sealers(section)).unwrap_or_default(),
            dkim: self.section(root, "dkim").and_then(|section| {
                self.known(section, "dkim.", &["folder"]);
                self.path(section, "dkim.", "folder", super::Must::Anything)
            }),
        }
    }

    fn access(&mut self, section: &Table) -> Access {
        let known = ["allow", "deny", "allow_senders", "deny_senders", "allow_recipients", "deny_recipients"];
        self.known(section, "access.", &known);
        let open = self.list(section, "access.", "allow_recipients", Mailbox::parse);
        Access {
            allowed: self.list(section, "access.", "allow", Client::parse),
            denied: self.list(section, "access.", "deny", Client::parse),
            allowed_senders: self.list(section, "access.", "allow_senders", Mailbox::parse),
            denied_senders: self.list(section, "access.", "deny_senders", Mailbox::parse),
            allowed_recipients: [open, Access::default().allowed_recipients].concat(),
            denied_recipients: self.list(section, "access.", "deny_recipients", Mailbox::parse),
        }
    }

    fn relay(&mut self, section: &Table) -> Relay {
        self.known(section, "relay.", &["networks", "domains"]);
        let network = |text: &str| match Network::parse(text) {
            Ok(network) if text.ends_with("/0") => Err(format!("{network} is everybody – this would be an open relay")),
            other => other,
        };
        Relay {
            networks: self.list(section, "relay.", "networks", network),
            domains: self.list(section, "relay.", "domains", Name::parse),
        }
    }

    fn rates(&mut self, section: &Table) -> Rates {
        let known = [
            "connections",
            "messages",
            "recipients",
            "sender_messages",
            "user_messages",
            "user_recipients",
            "failed_logins",
            "failed_logins_of_a_user",
            "first_ban_minutes",
            "longest_ban_minutes",
        ];
        self.known(section, "rates.", &known);
        let usual = Rates::default();
        Rates {
            connections: self.rate(section, "connections", usual.connections),
            messages: self.rate(section, "messages", usual.messages),
            recipients: self.rate(section, "recipients", usual.recipients),
            sender_messages: self.rate(section, "sender_messages", usual.sender_messages),
            user_messages: self.rate(section, "user_messages", usual.user_messages),
            user_recipients: self.rate(section, "user_recipients", usual.user_recipients),
        }
    }

    fn failed_logins(&mut self, section: &Table) -> Logins {
        let usual = Logins::default();
        let first = self.bounded(section, "rates.", "first_ban_minutes", 1..=43_200, usual.first_ban / 60);
        let longest = self.bounded(section, "rates.", "longest_ban_minutes", 1..=43_200, (usual.longest_ban / 60).max(first));
        if longest < first {
            self.wrong(section, "longest_ban_minutes", "rates.longest_ban_minutes is shorter than the first ban".to_owned());
        }
        Logins {
            per_address: self.rate(section, "failed_logins", usual.per_address),
            per_user: self.rate(section, "failed_logins_of_a_user", usual.per_user),
            first_ban: first.saturating_mul(60),
            longest_ban: longest.saturating_mul(60),
        }
    }

    fn greylist(&mut self, section: &Table) -> Greylisting {
        self.known(section, "greylist.", &["delay_seconds"]);
        Greylisting { delay: self.bounded(section, "greylist.", "delay_seconds", 1..=86_400, Greylisting::default().delay) }
    }

    fn zones(&mut self, section: &Table) -> Vec<Zone> {
        self.known(section, "blocklists.", &["addresses", "domains"]);
        let mut zones = self.list(section, "blocklists.", "addresses", |text| Zone::parse(text, Kind::Addresses));
        zones.extend(self.list(section, "blocklists.", "domains", |text| Zone::parse(text, Kind::Domains)));
        zones
    }

    fn sealers(&mut self, section: &Table) -> Vec<Name> {
        self.list(section, "authentication.", "trusted_sealers", Name::parse)
    }

    fn check(&mut self, section: &Table) -> Check {
        self.known(section, "authentication.", &["check", "trusted_sealers"]);
        match self.string(section, "authentication.", "check").as_deref() {
            Some("off") | None => Check::Off,
            Some("report") => Check::Report,
            Some("reject") => Check::Reject,
            Some(other) => {
                self.wrong(
                    section,
                    "check",
                    format!("authentication.check = \"{other}\" is not one of \"off\", \"report\", \"reject\""),
                );
                Check::Off
            }
        }
    }

    /// A list of texts; each that means nothing is told with its own line.
    fn list<T>(&mut self, section: &Table, prefix: &str, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let Some(item) = section.get(key) else { return Vec::new() };
        let Item::Value(Value::Array(array)) = item else {
            self.wrong(section, key, format!("{prefix}{key} must be a list of texts: [\"one\", \"two\"]"));
            return Vec::new();
        };
        let mut found = Vec::new();
        for value in array {
            let line = value.span().map_or(0, |span| line_of(self.text, span.start));
            let parsed = value.as_str().ok_or_else(|| "it must be text in quotes".to_owned()).and_then(&parse);
            match parsed {
                Ok(one) => found.push(one),
                Err(why) => self.mistakes.push(Mistake { line, text: format!("{prefix}{key}: {why}") }),
            }
        }
        found
    }

    /// `"100/hour"`.
    fn rate(&mut self, section: &Table, key: &str, usual: Rate) -> Rate {
        if !section.contains_key(key) {
            return usual;
        }
        let Some(text) = self.string(section, "rates.", key) else { return usual };
        let parsed = text.split_once('/').and_then(|(amount, unit)| {
            let seconds = match unit.trim() {
                "second" => 1,
                "minute" => 60,
                "hour" => 3600,
                "day" => 86_400,
                _ => return None,
            };
            amount.trim().parse().ok().filter(|amount| *amount > 0).map(|amount| Rate { amount, seconds })
        });
        parsed.unwrap_or_else(|| {
            self.wrong(section, key, format!("rates.{key} = \"{text}\" is not a rate, as \"100/minute\" or \"1000/hour\""));
            usual
        })
    }

    fn bounded(&mut self, section: &Table, prefix: &str, key: &str, fits: std::ops::RangeInclusive<u32>, usual: u32) -> u32 {
        match section.get(key).map(|item| item.as_integer().and_then(|number| u32::try_from(number).ok())) {
            None => usual,
            Some(Some(number)) if fits.contains(&number) => number,
            Some(_) => {
                self.wrong(section, key, format!("{prefix}{key} is a number from {} to {}", fits.start(), fits.end()));
                usual
            }
        }
    }
}

/// What the configuration of a new server says of these sections.
pub(super) const TEMPLATE: &str = "\
# Who is welcome and who is not: networks, names of hosts (\".example\" is all below it), addresses and domains of senders and recipients.
# [access]
# allow = [\"192.0.2.0/24\", \"mail.friend.example\"]
# deny = [\"198.51.100.0/24\", \"2001:db8::/32\", \".dynamic.example\"]
# deny_senders = [\"spam.example\", \"casino@\"]
# deny_recipients = [\"everybody@our.example\"]

# Users may send to everybody. So may hosts of these networks; and mail for these domains is taken from everybody and sent on.
# [relay]
# networks = [\"10.0.0.0/8\"]
# domains = [\"second.example\"]

# How much in which time, of an address and of a user; and when who guesses passwords is shut out, each time for longer.
# [rates]
# connections = \"120/minute\"
# user_messages = \"600/hour\"
# failed_logins = \"10/hour\"
# first_ban_minutes = 10

# Who is new here is asked to send again after this time; programs that only spam do not.
# [greylist]
# delay_seconds = 240

# Lists in DNS of addresses and domains that send spam; \"=2,3\" has only the answers 127.0.0.2 and 127.0.0.3 count.
# [blocklists]
# addresses = [\"bl.example.org\"]

# SPF, DKIM, DMARC and ARC: \"report\" writes Authentication-Results, \"reject\" refuses as well what DMARC asks to refuse. What lists and forwarders
# changed, who seal what they saw before (ARC), is taken although DMARC fails, where they are named here.
# [authentication]
# check = \"report\"
# trusted_sealers = [\"lists.example.org\", \".friend.example\"]

# The keys that `sealpost dkim new` makes, with which the mail of our domains is signed.
# [dkim]
# folder = \"dkim\"
";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::server::Config;

    const BASE: &str =
        "hostname = \"mx.our.example\"\ndata = \"mail\"\n[tls]\ncertificate = \"Cargo.toml\"\nkey = \"Cargo.toml\"\n[listen]\n";

    fn read(text: &str) -> Result<Settings, Vec<String>> {
        let read = Config::parse(&format!("{BASE}{text}"), Path::new(env!("CARGO_MANIFEST_DIR")));
        read.map(|config| config.policy).map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn every_rule_is_read() {
        let settings = read(
            "[access]\nallow = [\"192.0.2.0/24\"]\ndeny = [\".bad.example\"]\n[relay]\nnetworks = [\"10.0.0.0/8\"]\ndomains = [\"b.example\"]\n\
             [rates]\nmessages = \"7/day\"\nfirst_ban_minutes = 1\n[greylist]\n[blocklists]\naddresses = [\"bl.example=2\"]\n\
             [authentication]\ncheck = \"reject\"\ntrusted_sealers = [\"lists.example\"]\n[dkim]\nfolder = \"keys\"\n",
        )
        .expect("good");
        assert_eq!(settings.access.allowed, [Client::parse("192.0.2.0/24").expect("a network")]);
        assert_eq!(settings.access.allowed_recipients.len(), 2, "postmaster and abuse");
        assert_eq!(settings.relay.domains, [Name::parse("b.example").expect("a name")]);
        assert_eq!(settings.rates.messages, Rate { amount: 7, seconds: 86_400 });
        assert_eq!(settings.logins.first_ban, 60);
        assert_eq!(settings.greylist, Some(Greylisting::default()));
        assert_eq!((settings.zones.len(), settings.check), (1, Check::Reject));
        assert_eq!(settings.sealers, [Name::parse("lists.example").expect("a name")]);
        assert!(settings.dkim.is_some_and(|folder| folder.ends_with("keys")));
    }

    #[test]
    fn nothing_said_is_the_default_and_the_template_is_good() {
        assert_eq!(read(""), Ok(Settings::default()));
        let live: String = TEMPLATE
            .lines()
            .filter_map(|line| line.strip_prefix("# "))
            .filter(|line| line.starts_with('[') || line.contains(" = "))
            .map(|line| format!("{line}\n"))
            .collect();
        let settings = read(&live).expect("what the template offers is good");
        assert_eq!((settings.access.denied.len(), settings.zones.len(), settings.check), (3, 1, Check::Report));
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let told = read(
            "[access]\nallow = [\n \"192.0.2.0/24\",\n \"192.0.2.1/24\",\n 7]\ndenied = []\ndeny = \"x\"\n[relay]\nnetworks = [\"0.0.0.0/0\"]\n\
             [rates]\nmessages = \"many\"\nrecipients = \"0/hour\"\nfirst_ban_minutes = 0\n[authentication]\ncheck = \"yes\"\ntrusted_sealers = [\"a b\"]\n\
             [greylist]\ndelay_seconds = -1\n[blocklists]\naddresses = [\"zen\"]\n",
        )
        .expect_err("many");
        let expected = [
            "line 10: access.allow: 192.0.2.1/24 has bits beyond its prefix – the network is 192.0.2.0/24",
            "line 11: access.allow: it must be text in quotes",
            "line 12: access.denied is not known – did you mean deny?",
            "line 13: access.deny must be a list of texts: [\"one\", \"two\"]",
            "line 15: relay.networks: 0.0.0.0/0 is everybody – this would be an open relay",
            "line 17: rates.messages = \"many\" is not a rate, as \"100/minute\" or \"1000/hour\"",
            "line 18: rates.recipients = \"0/hour\" is not a rate, as \"100/minute\" or \"1000/hour\"",
            "line 19: rates.first_ban_minutes is a number from 1 to 43200",
            "line 21: authentication.check = \"yes\" is not one of \"off\", \"report\", \"reject\"",
            "line 22: authentication.trusted_sealers: a b is no name of a host or domain",
            "line 24: greylist.delay_seconds is a number from 1 to 86400",
            "line 26: blocklists.addresses: zen is no domain of a list",
        ];
        assert_eq!(told, expected);
    }
}
