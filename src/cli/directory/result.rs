//! What a search for certificates gave: for people, and for programs.

use serde_json::{Value, json};

use sealpost::keys::directory::smimea::{Record, Usage};
use sealpost::keys::directory::{Address, Candidate, Confirmation, Picked, Place, Standing};
use sealpost::pki::{Certificate, ChainStatus, Purpose};
use sealpost::smime::Finding;

use crate::cli::directory::{NAME, dns, ldap};
use crate::cli::failure::{Exit, Failure};
use crate::cli::keyring;
use crate::cli::report::{self, safe};

/// A place that was asked, and what it gave.
pub(super) enum Source {
    /// A directory.
    Ldap {
        /// Its address.
        url: String,
        /// What it gave.
        asked: Result<ldap::Asked, Failure>,
    },
    /// The DNS.
    Dns {
        /// What it gave.
        asked: Result<dns::Asked, Failure>,
    },
}

impl Source {
    /// The records that DNSSEC proves.
    pub(super) fn records(&self) -> &[Record] {
        match self {
            Self::Dns { asked: Ok(asked) } => &asked.records,
            _ => &[],
        }
    }

    /// The certificates that it gave.
    pub(super) fn certificates(&self) -> Vec<(Place, Certificate)> {
        match self {
            Self::Ldap { asked: Ok(asked), .. } => asked.certificates.iter().map(|c| (Place::Ldap, c.clone())).collect(),
            Self::Dns { asked: Ok(asked) } => {
                asked.records.iter().filter_map(Record::certificate).map(|c| (Place::Dns, c)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Ldap { asked: Err(failure), .. } | Self::Dns { asked: Err(failure) } => Some(failure),
            _ => None,
        }
    }

    /// Why an answer of the DNS is not used.
    fn refusal(&self) -> Option<&str> {
        match self {
            Self::Dns { asked: Ok(asked) } => asked.security.refusal(),
            _ => None,
        }
    }

    fn to_json(&self) -> Value {
        let error = self.failure().map(|failure| failure.message.clone());
        match self {
            Self::Ldap { url, asked } => {
                let asked = asked.as_ref().ok();
                json!({
                    "kind": "ldap",
                    "url": url,
                    "tls": asked.map(|asked| asked.secure),
                    "entries": asked.map(|asked| asked.entries),
                    "certificates": asked.map(|asked| asked.certificates.len()),
                    "notes": asked.map(|asked| asked.notes.clone()).unwrap_or_default(),
                    "error": error,
                })
            }
            Self::Dns { asked } => {
                let asked = asked.as_ref().ok();
                let record = |record: &Record| {
                    json!({
                        "usage": record.usage().name(), "selector": record.selector_name(), "matching": record.matching_name(),
                    })
                };
                json!({
                    "kind": "dns",
                    "name": asked.map(|asked| asked.name.clone()),
                    "dnssec": asked.map(|asked| asked.security.name()),
                    "records": asked.map(|asked| asked.records.iter().map(record).collect::<Vec<_>>()).unwrap_or_default(),
                    "notes": asked.map(|asked| asked.unusable.clone()).unwrap_or_default(),
                    "error": error.or_else(|| self.refusal().map(str::to_owned)),
                })
            }
        }
    }

    /// What there is to say of it, on standard error.
    fn talk(&self) {
        match self {
            Self::Ldap { url, asked: Ok(asked) } => {
                let (entries, certificates) = (asked.entries, asked.certificates.len());
                eprintln!("{}: {entries} entries, {certificates} certificates", safe(url));
                asked.notes.iter().for_each(|note| eprintln!("  note: {}", safe(note)));
            }
            Self::Dns { asked: Ok(asked) } => {
                let what = match (&asked.security, asked.security.refusal()) {
                    (_, Some(why)) => format!("{} answer, not used – {why}", asked.security.name()),
                    (dns::Security::Absent, _) => "no SMIMEA record (proven by DNSSEC)".to_owned(),
                    _ => format!("{} SMIMEA records (proven by DNSSEC)", asked.records.len()),
                };
                eprintln!("{}: {}", safe(&asked.name), safe(&what));
                asked.records.iter().for_each(|record| eprintln!("  record: {record}"));
                asked.unusable.iter().for_each(|why| eprintln!("  note: {}", safe(why)));
            }
            Self::Ldap { asked: Err(failure), .. } | Self::Dns { asked: Err(failure) } => eprintln!("{failure}"),
        }
    }
}

/// Everything that was found.
pub(super) struct Outcome {
    pub(super) address: Address,
    pub(super) sources: Vec<Source>,
    pub(super) picked: Picked,
    /// What came from the cache and the network to judge them by, and what did not.
    pub(super) told: Vec<Finding>,
    /// The certificates that became contacts.
    pub(super) added: Vec<Certificate>,
}

impl Outcome {
    /// The certificates that may be used.
    pub(super) fn good(&self) -> impl Iterator<Item = &Candidate> {
        self.picked.candidates.iter().filter(|candidate| candidate.standing.is_good())
    }

    /// How it ends: with a good certificate, else with what is wrong with those that were found, the most severe first, else with what is
    /// wrong with the places.
    pub(super) fn exit(&self) -> Exit {
        if self.good().next().is_some() {
            return Exit::Good;
        }
        let of_standing = |candidate: &Candidate| match candidate.standing {
            Standing::Not(ChainStatus::Expired | ChainStatus::Revoked) => Exit::Expired,
            Standing::Contradicted => Exit::Refused,
            _ => Exit::Untrusted,
        };
        let failed = self.sources.iter().find_map(Source::failure).map(|failure| failure.exit);
        let refused = || self.sources.iter().any(|source| source.refusal().is_some()).then_some(Exit::Refused);
        let severity = |exit: &Exit| [Exit::Untrusted, Exit::Expired].iter().position(|of| of == exit).unwrap_or(usize::MAX);
        let worst = self.picked.candidates.iter().map(of_standing).min_by_key(severity);
        worst.or(failed).or_else(refused).unwrap_or(Exit::NothingToDo)
    }

    /// The JSON object.
    pub(super) fn to_json(&self, exit: Exit) -> Value {
        json!({
            "schema": format!("sealpost.{NAME}/1"),
            "result": if exit == Exit::Good { "ok" } else { "bad" },
            "exit": exit.code(),
            "address": self.address.as_str(),
            "sources": self.sources.iter().map(Source::to_json).collect::<Vec<_>>(),
            "certificates": self.picked.candidates.iter().map(|candidate| self.candidate_json(candidate)).collect::<Vec<_>>(),
            "left_out": {
                "of_others": self.picked.of_others, "not_for_mail": self.picked.unsuitable, "over_limit": self.picked.untold,
            },
            "findings": report::findings_json(&self.told),
        })
    }

    fn candidate_json(&self, candidate: &Candidate) -> Value {
        let mut value = keyring::certificate_json(&candidate.certificate);
        let findings: Vec<Finding> = candidate.chain.reasons.iter().cloned().map(Finding::from).collect();
        let more = json!({
            "found_in": candidate.places.iter().map(|place| place.name()).collect::<Vec<_>>(),
            "purposes": candidate.purposes.iter().map(|purpose| purpose_name(*purpose)).collect::<Vec<_>>(),
            "chain": {
                "status": candidate.chain.status.name(),
                "path": candidate.chain.path.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "revocation": candidate.chain.revocation.name(),
            },
            "dns": candidate.confirmation.map(confirmation_text),
            "good": candidate.standing.is_good(),
            "standing": standing_text(candidate.standing),
            "added": self.added.contains(&candidate.certificate),
            "findings": report::findings_json(&findings),
        });
        if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
            value.extend(more);
        }
        value
    }

    /// A line for each certificate.
    pub(super) fn to_text(&self) -> String {
        let line = |candidate: &Candidate| {
            let certificate = &candidate.certificate;
            let purposes: Vec<&str> = candidate.purposes.iter().map(|purpose| purpose_name(*purpose)).collect();
            let places: Vec<&str> = candidate.places.iter().map(|place| place.name()).collect();
            format!(
                "{}  {}  until {}  to {}  from {}  {}\n",
                certificate.fingerprint_hex(),
                safe(&certificate.addresses().join(", ")),
                certificate.not_after(),
                purposes.join(" and "),
                places.join(", "),
                standing_text(candidate.standing),
            )
        };
        self.picked.candidates.iter().map(line).collect()
    }

    /// Everything else, on standard error.
    pub(super) fn talk(&self, adds: bool) {
        self.sources.iter().for_each(Source::talk);
        report::print_findings(&self.told);
        for candidate in self.picked.candidates.iter().filter(|candidate| candidate.chain.status != ChainStatus::Trusted) {
            eprintln!("{}: {}", safe(&candidate.certificate.to_string()), candidate.chain.status.name());
            for reason in &candidate.chain.reasons {
                eprintln!("  {} [{}]", safe(&reason.text), reason.code.code());
            }
        }
        let left_out = [
            (self.picked.of_others, "do not speak for the address"),
            (self.picked.unsuitable, "are neither for signatures nor for encryption of mail"),
            (self.picked.untold, "are more than are looked at"),
        ];
        for (count, why) in left_out.iter().filter(|(count, _)| *count > 0) {
            eprintln!("note: {count} certificates {why}");
        }
        if self.picked.candidates.is_empty() {
            eprintln!("no certificate of {} was found", safe(self.address.as_str()));
            let is_dns = self.sources.iter().any(|source| matches!(source, Source::Dns { .. }));
            if is_dns && self.address.local().chars().any(char::is_uppercase) {
                eprintln!("hint: the DNS knows an address by its very letters – try it in lower case");
            }
        }
        if self.good().next().is_some() && !adds {
            eprintln!("hint: the same with --add keeps what is good as a contact");
        }
    }
}

/// The word for what a certificate is for.
fn purpose_name(purpose: Purpose) -> &'static str {
    if purpose == Purpose::MailEncrypt { "encrypt" } else { "sign" }
}

fn usage_text(usage: Usage) -> String {
    format!("{} (DNSSEC secure)", usage.name())
}

fn confirmation_text(confirmation: Confirmation) -> String {
    match confirmation {
        Confirmation::By(usage) => usage_text(usage),
        Confirmation::Contradicted => "contradicted (DNSSEC secure)".to_owned(),
    }
}

fn standing_text(standing: Standing) -> String {
    match standing {
        Standing::Trusted => "trusted".to_owned(),
        Standing::Dane(usage) => usage_text(usage),
        Standing::Not(status) => status.name().to_owned(),
        Standing::Contradicted => "contradicted by the domain's SMIMEA records".to_owned(),
    }
}
