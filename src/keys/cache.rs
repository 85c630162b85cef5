//! The home's cache: revocation lists, OCSP responses and issuers' certificates that were fetched before.
//!
//! ```text
//! HOME/cache/KIND-ISSUER-NAME     KIND: list, response, issuer; ISSUER, NAME: the beginnings of SHA-256 digests
//!   SEQUENCE { fetched GeneralizedTime, until GeneralizedTime, name UTF8String, digest OCTET STRING }, and the content
//! ```
//!
//! Holds always: nothing here is trusted more than what came over the network; a file that is damaged, or is another one's, is not there;
//! files are replaced whole, so that several processes may use it at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::asn1::{Cursor, encode};
use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::digest;
use crate::keys::{Error, files};
use crate::limits::{Budget, Limits};
use crate::pki::Name;
use crate::time::Timestamp;

/// What was fetched before.
#[derive(Debug, Clone)]
pub struct Cache(PathBuf);

/// The kinds of what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Revocation lists, by URL; those of one issuer are found by his name, too.
    List,
    /// OCSP responses, by the request.
    Response,
    /// Certificates of issuers, by URL.
    Issuer,
}

/// What is kept of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The content.
    pub bytes: Vec<u8>,
    /// When.
    pub fetched: Timestamp,
    /// Until when it need not be fetched again.
    pub until: Timestamp,
    /// Where it came from.
    pub name: String,
}

/// Seconds for which what says when the next is due is kept without asking again, at most: 7 days. A list of a root may be due in a year.
const LONGEST: i64 = 7 * 86_400;

/// Seconds for what does not say when the next is due: an hour.
const UNSAID: i64 = 3_600;

/// Seconds for certificates, which do not become other ones: 30 days, since the file may hold more then.
const CERTIFICATES: i64 = 30 * 86_400;

/// Lists of one issuer that are given. 16: a complete one, one of changes, and some parts.
const LISTS: usize = 16;

/// Bytes of what stands before the content. 8 KiB: a URL of 2 KiB and some dozens more.
const HEAD: usize = 8 << 10;

/// Seconds after which a file that was never finished is taken away: a day.
const UNFINISHED: u64 = 86_400;

impl Kept {
    /// Whether it need not be fetched again. What comes from the future comes from a clock that was wrong.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.fetched <= now && now < self.until
    }

    /// Reads a file; nothing where it is damaged.
    fn read(mut bytes: Vec<u8>) -> Option<Self> {
        let head = Cursor::new(bytes.get(..bytes.len().min(HEAD))?).any().ok()?.raw;
        let mut fields = Cursor::new(head).sequence().ok()?;
        let (fetched, until) = (fields.time().ok()?, fields.time().ok()?);
        let name = fields.any().ok()?.text().ok()?;
        let digest = fields.octet_string().ok()?.into_owned();
        fields.finish().ok()?;
        let length = head.len();
        // a large list is in memory once
        bytes.drain(..length);
        (digest::of(DigestAlgorithm::Sha256, &bytes) == digest).then_some(Self { bytes, fetched, until, name })
    }
}

impl Cache {
    /// The cache in this folder, which need not be there.
    pub(in crate::keys) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Whether anything was ever kept.
    pub fn exists(&self) -> bool {
        self.0.is_dir()
    }

    /// What is kept under a name; nothing where there is nothing, or it is damaged.
    pub fn get(&self, kind: Kind, name: &str) -> Option<Kept> {
        let end = format!("-{}", short(name.as_bytes()));
        let is_it = |path: &&PathBuf| file_name(path).starts_with(kind.word()) && file_name(path).ends_with(&end);
        let found = files::list(&self.0).ok()?;
        let kept = found.iter().filter(is_it).filter_map(|path| Self::kept(path)).filter(|kept| kept.name == name);
        // whose list it is stands in the name of the file: an authority may have had another name before
        kept.max_by_key(|kept| kept.fetched)
    }

    /// The revocation lists of an issuer, wherever they came from: as many as are in memory at once, the smallest first, which are the most.
    /// One that is left out makes nothing good: what it is about stays unknown.
    pub fn lists_of(&self, issuer: &Name, limits: &Limits) -> Vec<Kept> {
        let begin = format!("{}-{}-", Kind::List.word(), short(issuer.der()));
        let found = files::list(&self.0).unwrap_or_default();
        let of_issuer = found.iter().filter(|path| file_name(path).starts_with(&begin));
        let mut sized: Vec<(u64, &PathBuf)> = of_issuer.filter_map(|path| Some((fs::metadata(path).ok()?.len(), path))).collect();
        sized.sort();
        let mut bytes = Budget::new("cached list bytes", limits.cached_list_bytes);
        let held = sized.into_iter().take(LISTS).take_while(|(size, _)| bytes.spend(*size).is_ok());
        held.filter_map(|(_, path)| Self::kept(path)).collect()
    }

    /// Keeps what was fetched now, in place of what was there under this name, until the next is due, or for some time where that is not
    /// said. `issuer` is whose list it is.
    pub fn put(
        &self,
        kind: Kind,
        name: &str,
        issuer: Option<&Name>,
        bytes: &[u8],
        (now, next): (Timestamp, Option<Timestamp>),
    ) -> Result<(), Error> {
        let until = match (kind, next) {
            (Kind::Issuer, _) => now.plus_seconds(CERTIFICATES),
            (_, Some(next)) => next.min(now.plus_seconds(LONGEST)),
            (_, None) => now.plus_seconds(UNSAID),
        };
        let head = encode::sequence(&[
            encode::generalized_time(now),
            encode::generalized_time(until),
            encode::utf8(name),
            encode::octet_string(&digest::of(DigestAlgorithm::Sha256, bytes)),
        ]);
        files::make_folder(&self.0)?;
        let issuer = issuer.map_or_else(|| "0".to_owned(), |issuer| short(issuer.der()));
        let path = self.0.join(format!("{}-{issuer}-{}", kind.word(), short(name.as_bytes())));
        files::write_parts(&path, &[&head, bytes])
    }

    /// Takes the oldest away until what is left keeps to the bounds.
    pub fn tidy(&self, now: Timestamp, limits: &Limits) {
        let mut found: Vec<(u64, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            let modified = modified.unwrap_or_default().as_secs();
            let is_hidden = file_name(&entry.path()).starts_with('.');
            let is_old = u64::try_from(now.unix()).unwrap_or(0) > modified.saturating_add(UNFINISHED);
            match (is_hidden, is_old) {
                (false, _) => found.push((modified, metadata.len(), entry.path())),
                // another process may have taken it away: then it is gone, as wanted
                (true, true) => drop(fs::remove_file(entry.path())),
                (true, false) => {}
            }
        }
        found.sort();
        let mut bytes = found.iter().fold(0u64, |all, (_, size, _)| all.saturating_add(*size));
        let mut count = found.len();
        for (_, size, path) in found {
            if bytes <= limits.cache_bytes && count <= limits.cache_files {
                break;
            }
            drop(fs::remove_file(path));
            bytes = bytes.saturating_sub(size);
            count = count.saturating_sub(1);
        }
    }

    fn kept(path: &Path) -> Option<Kept> {
        Kept::read(files::read(path).ok()?)
    }
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Response => "response",
            Self::Issuer => "issuer",
        }
    }
}

fn short(bytes: &[u8]) -> String {
    let digest = digest::of(DigestAlgorithm::Sha256, bytes);
    crate::pki::hex(digest.get(..16).unwrap_or_default())
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_775_000_000);

    fn cache() -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::new(folder.path().join("cache"));
        (folder, cache)
    }

    fn put(cache: &Cache, name: &str, bytes: &[u8], next: Option<i64>) {
        let next = next.map(|seconds| NOW.plus_seconds(seconds));
        cache.put(Kind::Response, name, None, bytes, (NOW, next)).expect("kept");
    }

    #[test]
    fn what_is_kept_is_found_by_its_name_and_kind_until_the_next_is_due() {
        let (_folder, cache) = cache();
        assert_eq!(cache.get(Kind::Response, "a"), None);
        put(&cache, "a", b"old", Some(60));
        put(&cache, "a", b"new", Some(60));
        let kept = cache.get(Kind::Response, "a").expect("kept");
        assert_eq!((kept.bytes.as_slice(), kept.name.as_str()), (&b"new"[..], "a"));
        assert!(
            kept.is_fresh(NOW.plus_seconds(59)) && !kept.is_fresh(NOW.plus_seconds(60)) && !kept.is_fresh(NOW.plus_seconds(-1))
        );
        assert_eq!(cache.get(Kind::Issuer, "a"), None);
        assert_eq!(cache.get(Kind::Response, "b"), None);
    }

    #[test]
    fn nothing_is_fresh_for_ever() {
        let (_folder, cache) = cache();
        put(&cache, "a", b"", Some(365 * 86_400));
        assert_eq!(cache.get(Kind::Response, "a").expect("kept").until, NOW.plus_seconds(LONGEST));
        put(&cache, "a", b"", None);
        assert_eq!(cache.get(Kind::Response, "a").expect("kept").until, NOW.plus_seconds(UNSAID));
    }

    #[test]
    fn a_damaged_file_is_not_there_and_is_written_anew() {
        let (_folder, cache) = cache();
        put(&cache, "a", &[7; 100], None);
        let path = files::list(&cache.0).expect("files").remove(0);
        let whole = fs::read(&path).expect("a file");
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).expect("written");
            assert_eq!(cache.get(Kind::Response, "a"), None, "cut at {length}");
        }
        for at in [0, 1, 5, 40, whole.len() - 1] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(&path, &changed).expect("written");
            assert_ne!(cache.get(Kind::Response, "a").map(|kept| (kept.fetched, kept.bytes)), Some((NOW, vec![7; 100])), "{at}");
        }
        put(&cache, "a", &[7; 100], None);
        assert!(cache.get(Kind::Response, "a").is_some());
    }

    #[test]
    fn the_oldest_go_first_where_there_is_no_room() {
        let (_folder, cache) = cache();
        for name in ["a", "b", "c"] {
            put(&cache, name, &[0; 1_000], None);
            let path =
                files::list(&cache.0).expect("files").into_iter().find(|path| file_name(path).ends_with(&short(name.as_bytes())));
            let file = fs::File::options().write(true).open(path.expect("a file")).expect("opened");
            let age = u64::from(b'z' - name.as_bytes()[0]);
            file.set_modified(UNIX_EPOCH + std::time::Duration::from_secs(1_000_000 - age)).expect("set");
        }
        let limits = |bytes, files| {
            let mut limits = Limits::default();
            (limits.cache_bytes, limits.cache_files) = (bytes, files);
            limits
        };
        let names = || ["a", "b", "c"].into_iter().filter(|name| cache.get(Kind::Response, name).is_some()).collect::<String>();
        cache.tidy(NOW, &limits(10_000, 10));
        assert_eq!(names(), "abc");
        cache.tidy(NOW, &limits(2_500, 10));
        assert_eq!(names(), "bc");
        cache.tidy(NOW, &limits(10_000, 1));
        assert_eq!(names(), "c");
    }

    #[test]
    fn lists_are_found_by_their_issuer() {
        let (_folder, cache) = cache();
        let name = |cn: &str| {
            crate::pki::Certificate::from_der(&crate::asn1::pem::parse_all(cn.as_bytes()).expect("PEM")[0].der).expect("read")
        };
        let root = name(include_str!("../../certs/root.pem"));
        for url in ["http://a/1", "http://a/2"] {
            cache.put(Kind::List, url, Some(root.subject()), url.as_bytes(), (NOW, None)).expect("kept");
        }
        // the same place, after the authority took another name
        let alice = name(include_str!("../../certs/alice.pem"));
        for (number, issuer) in (0_i64..).zip([root.subject(), alice.subject(), root.subject()]) {
            let bytes = format!("{number}");
            cache.put(Kind::List, "http://b/", Some(issuer), bytes.as_bytes(), (NOW.plus_seconds(number), None)).expect("kept");
            assert_eq!(cache.get(Kind::List, "http://b/").expect("kept").bytes, bytes.as_bytes());
        }
        fs::remove_dir_all(&cache.0).expect("removed");
        for url in ["http://a/1", "http://a/2"] {
            cache.put(Kind::List, url, Some(root.subject()), url.as_bytes(), (NOW, None)).expect("kept");
        }
        cache.put(Kind::List, "http://a/3", Some(alice.subject()), b"", (NOW, None)).expect("kept");
        assert_eq!(cache.lists_of(root.subject(), &Limits::default()).len(), 2);
        cache.put(Kind::List, "http://a/4", Some(root.subject()), &[0; 5_000], (NOW, None)).expect("kept");
        assert_eq!(cache.lists_of(root.subject(), &Limits::default()).len(), 3);
        let limits = Limits { cached_list_bytes: 5_000, ..Limits::default() };
        let held = cache.lists_of(root.subject(), &limits);
        assert_eq!(held.iter().map(|kept| kept.bytes.len()).collect::<Vec<_>>(), [10, 10], "no more than is in memory at once");
        assert_eq!(cache.get(Kind::List, "http://a/2").expect("kept").bytes, b"http://a/2");
    }
}
