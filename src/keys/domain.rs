//! Keys with which a domain signs the mail of its users (DKIM, RFC 6376 and 8463), and when each of them is used.
//!
//! A key lies in `DOMAIN/SELECTOR.pem`. The selector begins with the day from which the key signs, so that a key is published days before, and the
//! folder alone tells which one is used: rolling a key over is making a new one. The old one stays published until no message signed with it is
//! under way any more.

#[cfg(any(feature = "cli", feature = "server"))]
pub mod json;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::crypto::algorithm::KeyAlgorithm;
use crate::crypto::key::PrivateKey;
use crate::crypto::random::Random;
use crate::keys::{Error, files};
use crate::limits::Limits;
use crate::secret::Secret;
use crate::time::{Civil, Timestamp};

/// The kinds of key that receivers can check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// RSA of 2048 bits, which every receiver checks; longer ones do not fit one string of DNS (RFC 8301 3.2).
    Rsa,
    /// Ed25519 (RFC 8463), which some receivers check: it goes beside RSA.
    Ed25519,
}

/// A key of a domain, without its secret part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainKey {
    /// The domain, in lower case.
    pub domain: String,
    /// The selector: a day and a letter, as `20261126r`.
    pub selector: String,
    /// The kind.
    pub kind: Kind,
    /// When it begins to sign: midnight of its day, UTC.
    pub from: Timestamp,
    path: PathBuf,
}

/// What a key is good for at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Its day has not come: it is published, so that every receiver finds it by then.
    Waits,
    /// It signs.
    Signs,
    /// A newer one signs, and messages signed with this one are still under way.
    Stays,
    /// Nothing needs it any more: its record may be taken from DNS, and its file removed.
    Over,
}

impl Use {
    /// The word of the JSON output.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waits => "waits",
            Self::Signs => "signs",
            Self::Stays => "stays",
            Self::Over => "over",
        }
    }
}

/// Days for which a key stays published after a newer one signs: servers try for five days, and people forward later.
pub const STAYS: i64 = 14;

/// Days after which a record is known everywhere: those that asked in vain before ask again within one.
pub const SPREADS: i64 = 2;

impl DomainKey {
    /// Makes a key that signs from a day on, and writes it below a folder.
    pub fn make(folder: &Path, domain: &str, kind: Kind, from: Timestamp, random: &mut dyn Random) -> Result<Self, Error> {
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        let is_label = |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !domain.contains('.') || !domain.split('.').all(is_label) {
            return Err(Error::Malformed(format!("{domain} is no domain")));
        }
        let Civil { year, month, day, .. } = from.civil();
        let letter = match kind {
            Kind::Rsa => 'r',
            Kind::Ed25519 => 'e',
        };
        let selector = format!("{year:04}{month:02}{day:02}{letter}");
        let place = folder.join(&domain);
        let path = place.join(format!("{selector}.pem"));
        if path.exists() {
            return Err(Error::Exists(format!("{domain} has the key {selector} already – one a day and kind is enough")));
        }
        let key = PrivateKey::generate(kind.algorithm(), random)?;
        files::make_folder(&place)?;
        let text = key.to_pem()?;
        files::write(&path, text.expose())?;
        let from = Timestamp::from_civil(Civil { hour: 0, minute: 0, second: 0, ..from.civil() }).unwrap_or(from);
        Ok(Self { domain, selector, kind, from, path })
    }

    /// Makes a key, or one of each kind: the first of its domain signs at once, its successor when its record is known everywhere, and both on
    /// another day where one is given.
    pub fn roll(
        folder: &Path,
        domain: &str,
        (kind, from): (Option<Kind>, Option<Timestamp>),
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Vec<Self>, Error> {
        let all = Self::all(folder)?;
        let is_first =
            |kind: Kind| !all.iter().any(|key| key.kind == kind && key.domain.eq_ignore_ascii_case(domain.trim_end_matches('.')));
        let day = |kind: Kind| from.unwrap_or_else(|| if is_first(kind) { now } else { now.plus_days(SPREADS) });
        let kinds = kind.map_or_else(|| vec![Kind::Rsa, Kind::Ed25519], |kind| vec![kind]);
        kinds.into_iter().map(|kind| Self::make(folder, domain, kind, day(kind), random)).collect()
    }

    /// The keys whose records are to be published, of one domain or of all.
    pub fn published(folder: &Path, domain: Option<&str>, now: Timestamp) -> Result<Vec<Self>, Error> {
        let all = Self::all(folder)?;
        let is_wanted = |key: &&Self| domain.is_none_or(|domain| key.domain.eq_ignore_ascii_case(domain));
        let published = all.iter().filter(is_wanted).filter(|key| key.state(&all, now) != Use::Over);
        Ok(published.cloned().collect())
    }

    /// Removes a key that is over, or has not signed yet. One that signs, or whose mail is under way, stays.
    pub fn remove(folder: &Path, domain: &str, selector: &str, now: Timestamp) -> Result<(), Error> {
        let all = Self::all(folder)?;
        let found = all.iter().find(|key| key.domain.eq_ignore_ascii_case(domain) && key.selector.eq_ignore_ascii_case(selector));
        let key = found.ok_or_else(|| Error::NotFound(format!("{domain} has no key {selector}")))?;
        match key.state(&all, now) {
            Use::Signs => Err(Error::InUse(format!("{} signs the mail of {domain}", key.name()))),
            Use::Stays => Err(Error::InUse(format!("mail signed with {} is under way for {STAYS} days", key.name()))),
            Use::Waits | Use::Over => {
                std::fs::remove_file(&key.path).map_err(|error| Error::Io { path: key.path.clone(), error })
            }
        }
    }

    /// The day from which it signs, as 2026-12-01.
    pub fn day(&self) -> String {
        let Civil { year, month, day, .. } = self.from.civil();
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// Every key below a folder, the newest of each domain first. Files with other names are nobody's keys.
    pub fn all(folder: &Path) -> Result<Vec<Self>, Error> {
        let mut found = Vec::new();
        for domain in names(folder)? {
            let place = folder.join(&domain);
            if !place.is_dir() {
                continue;
            }
            for name in names(&place)? {
                let Some(selector) = name.strip_suffix(".pem") else { continue };
                let Some((from, kind)) = meaning(selector) else { continue };
                let path = place.join(&name);
                found.push(Self { domain: domain.clone(), selector: selector.to_owned(), kind, from, path });
            }
        }
        found.sort_by(|a, b| (&a.domain, b.from, a.kind).cmp(&(&b.domain, a.from, b.kind)));
        Ok(found)
    }

    /// What it is good for among all keys.
    pub fn state(&self, all: &[Self], now: Timestamp) -> Use {
        if self.from > now {
            return Use::Waits;
        }
        let newer =
            |other: &&Self| other.domain == self.domain && other.kind == self.kind && other.from > self.from && other.from <= now;
        match all.iter().filter(newer).map(|other| other.from).min() {
            None => Use::Signs,
            Some(since) if now < since.plus_days(STAYS) => Use::Stays,
            Some(_) => Use::Over,
        }
    }

    /// The name of its record.
    pub fn name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }

    /// The text of its record (RFC 6376 3.6.1, RFC 8463 4.2).
    pub fn record(&self) -> Result<String, Error> {
        let key = self.key()?;
        let spki = key.public_key().spki();
        let (kind, public) = match self.kind {
            Kind::Rsa => ("rsa", spki),
            // the key alone, which is the end of its SPKI (RFC 8410 4)
            Kind::Ed25519 => ("ed25519", spki.len().checked_sub(32).and_then(|at| spki.get(at..)).unwrap_or_default()),
        };
        Ok(format!("v=DKIM1; k={kind}; p={}", base64_simd::STANDARD.encode_to_string(public)))
    }

    /// A line of a zone file; the text is in strings of 255 bytes at most (RFC 1035 3.3.14).
    pub fn zone_line(&self) -> Result<String, Error> {
        Ok(format!("{}. IN TXT ( {} )", self.name(), zone_text(&self.record()?)))
    }

    /// The secret key as PKCS#8, for whoever signs.
    pub fn pkcs8(&self) -> Result<Secret<Vec<u8>>, Error> {
        Ok(self.key()?.to_pkcs8()?)
    }

    fn key(&self) -> Result<PrivateKey, Error> {
        let text = Secret::new(files::read(&self.path)?);
        let key = PrivateKey::from_any(text.expose(), None, &Limits::default())?;
        if key.algorithm() != self.kind.algorithm() {
            let found = key.algorithm();
            return Err(Error::Malformed(format!("{} is named {}, and holds {found}", self.path.display(), self.kind)));
        }
        Ok(key)
    }
}

impl Kind {
    const fn algorithm(self) -> KeyAlgorithm {
        match self {
            Self::Rsa => KeyAlgorithm::Rsa(2048),
            Self::Ed25519 => KeyAlgorithm::Ed25519,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa => "RSA-2048",
            Self::Ed25519 => "Ed25519",
        })
    }
}

/// The day and the kind that a selector names.
fn meaning(selector: &str) -> Option<(Timestamp, Kind)> {
    let (day, letter) = selector.split_at_checked(8)?;
    let kind = match letter {
        "r" => Kind::Rsa,
        "e" => Kind::Ed25519,
        _ => return None,
    };
    let (year, rest) = day.split_at_checked(4)?;
    let (month, day) = rest.split_at_checked(2)?;
    Timestamp::parse_rfc3339(&format!("{year}-{month}-{day}")).map(|from| (from, kind))
}

fn names(folder: &Path) -> Result<Vec<String>, Error> {
    let on = |error| Error::Io { path: folder.to_owned(), error };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(on(error)),
    };
    let names: Result<Vec<String>, Error> =
        entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()).map_err(on)).collect();
    names
}

/// A text of a zone file: strings of 255 bytes at most (RFC 1035 3.3.14).
pub(crate) fn zone_text(text: &str) -> String {
    let mut strings = String::new();
    let mut bytes = 0_usize;
    for letter in text.chars() {
        bytes = bytes.saturating_add(letter.len_utf8());
        if bytes > 255 {
            strings.push_str("\" \"");
            bytes = letter.len_utf8();
        }
        strings.push(letter);
    }
    format!("\"{strings}\"")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::crypto::random::OsRandom;

    /// A key of a.example, for those who test what is done with it.
    pub(crate) fn made(folder: &Path, kind: Kind, from: Timestamp) -> DomainKey {
        DomainKey::make(folder, "a.example", kind, from, &mut OsRandom).expect("made")
    }

    fn day(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).expect(text)
    }

    #[test]
    fn a_new_key_takes_over_on_its_day_and_the_old_one_stays_for_a_while() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let make = |from| DomainKey::make(folder.path(), "A.example.", Kind::Ed25519, day(from), &mut OsRandom);
        let old = make("2026-11-01T15:00:00Z").expect("made");
        assert_eq!((old.selector.as_str(), old.from), ("20261101e", day("2026-11-01")));
        let new = make("2026-11-20").expect("made");
        assert!(make("2026-11-20").is_err_and(|error| error.to_string().contains("20261120e already")));
        let all = DomainKey::all(folder.path()).expect("read");
        assert_eq!(all, [new.clone(), old.clone()]);
        let at = |key: &DomainKey, now| key.state(&all, day(now));
        assert_eq!((at(&old, "2026-11-19"), at(&new, "2026-11-19")), (Use::Signs, Use::Waits));
        assert_eq!((at(&old, "2026-11-20"), at(&new, "2026-11-20")), (Use::Stays, Use::Signs));
        assert_eq!((at(&old, "2026-12-04"), at(&new, "2026-12-04")), (Use::Over, Use::Signs));
    }

    #[test]
    fn a_key_is_removed_before_it_signs_and_when_nothing_needs_it_and_not_between() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let roll = |now| DomainKey::roll(folder.path(), "a.example", (Some(Kind::Ed25519), None), day(now), &mut OsRandom);
        let remove =
            |selector, now| DomainKey::remove(folder.path(), "A.example", selector, day(now)).map_err(|why| why.to_string());
        assert_eq!(roll("2026-11-01").expect("made")[0].day(), "2026-11-01", "the first signs at once");
        assert_eq!(roll("2026-11-10").expect("made")[0].day(), "2026-11-12", "its successor when it is known");
        let names = |now| DomainKey::published(folder.path(), Some("a.example"), day(now)).expect("read").len();
        assert_eq!((names("2026-11-10"), names("2026-11-25"), names("2026-11-26")), (2, 2, 1));
        assert!(remove("20261101e", "2026-11-10").is_err_and(|why| why.ends_with("signs the mail of A.example")));
        assert!(remove("20261101e", "2026-11-25").is_err_and(|why| why.contains("is under way for 14 days")));
        assert!(remove("20261112e", "2026-11-25").is_err(), "it signs");
        assert!(remove("../x", "2026-11-25").is_err_and(|why| why == "A.example has no key ../x"));
        assert_eq!(remove("20261101e", "2026-11-26"), Ok(()));
        roll("2026-11-26").expect("made");
        assert_eq!(remove("20261128e", "2026-11-26"), Ok(()), "it never signed");
        assert_eq!(DomainKey::all(folder.path()).expect("read").len(), 1);
    }

    #[test]
    fn records_are_those_of_the_rfcs() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let small = DomainKey::make(folder.path(), "a.example", Kind::Ed25519, day("2026-11-01"), &mut OsRandom).expect("made");
        assert_eq!(small.name(), "20261101e._domainkey.a.example");
        let record = small.record().expect("a record");
        assert!(record.starts_with("v=DKIM1; k=ed25519; p=") && record.len() == 22 + 44, "{record}");
        let large = DomainKey::make(folder.path(), "a.example", Kind::Rsa, day("2026-11-01"), &mut OsRandom).expect("made");
        let line = large.zone_line().expect("a line");
        assert!(
            line.starts_with("20261101r._domainkey.a.example. IN TXT ( \"v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"),
            "{line}"
        );
        assert!(line.split('"').all(|part| part.len() <= 255) && line.matches('"').count() == 4, "{line}");
    }

    #[test]
    fn what_is_no_domain_gets_no_key_and_no_path_leads_out() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for wrong in ["", "a", "../a.example", "a..example", "a/b.example"] {
            assert!(DomainKey::make(folder.path(), wrong, Kind::Ed25519, day("2026-11-01"), &mut OsRandom).is_err(), "{wrong}");
        }
        assert_eq!(DomainKey::all(&folder.path().join("none")).expect("nothing"), []);
    }

    #[cfg(unix)]
    #[test]
    fn keys_are_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let key = DomainKey::make(folder.path(), "a.example", Kind::Ed25519, day("2026-11-01"), &mut OsRandom).expect("made");
        let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&key.path), mode(&folder.path().join("a.example"))), (0o600, 0o700));
    }
}
