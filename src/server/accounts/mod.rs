//! Who may log in.
//!
//! Uses: store, proto (SASL), keys (LDAP), pki (client certificates). Never: sessions; sockets in `ldap` only.
//! Holds always: a name that does not exist takes as long as a wrong password and is answered alike; what is remembered of a login is a keyed
//! hash, and good only while what it was checked against is the same; no password is kept that can be read.
//!
//! Each domain has one `Directory`: the store (our own users), a password file, an LDAP directory, or PAM.

pub(in crate::server) mod certificate;
mod crypt;
mod directory;
mod file;
mod found;
pub(in crate::server) mod kind;
mod ldap;
mod own;
#[cfg(feature = "pam")]
mod pam;
mod remembered;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::crypto::random::{OsRandom, Random};
use crate::proto::sasl::scram::Keys;
use crate::proto::sasl::{Answer, Credentials, Kept, Question};
use crate::secret::Secret;
use crate::server::accounts::directory::{Costs, Directory};
use crate::server::accounts::found::Found;
use crate::server::accounts::kind::Kind;
use crate::server::accounts::own::Own;
use crate::server::accounts::remembered::Remembered;
use crate::server::addressing::has_two_forms;
use crate::server::config;
use crate::server::forward::Srs;
use crate::server::store::{Error, Room, Standing, Store};
use crate::server::turns::Turns;

/// Accounts over a store.
#[derive(Clone)]
pub struct Accounts {
    store: Arc<dyn Store>,
    own: Arc<Own>,
    /// Domains whose passwords are kept elsewhere.
    others: Arc<HashMap<String, Arc<dyn Directory>>>,
    remembered: Arc<Remembered>,
    /// What the salts of users that do not exist are made of.
    secret: Arc<Secret<Vec<u8>>>,
    /// Makes senders of ours for what is forwarded, where that is wanted.
    srs: Option<Arc<Srs>>,
    hashing: Turns,
    asking: Turns,
    /// Domains that have no mailboxes, whatever the store says.
    without: Arc<[String]>,
    /// What was found a moment ago.
    found: Arc<Found>,
}

/// Hashes that are computed at once, and no more than there are processors: each takes 19 MiB and one of them, and whoever connects may ask for one.
const HASHING: usize = 4;
/// Questions to directories at once: they cost waiting, and one that is slow must not hold up the users of others.
const ASKING: usize = 32;

impl Accounts {
    /// Accounts of this store.
    pub fn new(store: Arc<dyn Store>) -> Result<Self, Error> {
        let own = Arc::new(Own::new(Arc::clone(&store))?);
        let (remembered, secret) = (Arc::new(Remembered::new()), Arc::new(random()));
        let (hashing, asking) = (Turns::of_processors(HASHING), Turns::new(ASKING));
        let (without, found) = (Arc::new([]), Arc::default());
        Ok(Self { store, own, others: Arc::default(), remembered, secret, srs: None, hashing, asking, without, found })
    }

    /// Domains whose passwords are kept elsewhere; the error says what is wrong with them, a line each.
    pub fn with(mut self, kinds: &[(String, Kind)]) -> Result<Self, String> {
        let (mut others, mut wrong): (HashMap<_, Arc<dyn Directory>>, _) = (HashMap::new(), Vec::new());
        for (domain, kind) in kinds {
            let made: Result<Arc<dyn Directory>, String> = match kind {
                Kind::File(path) => file::PasswordFile::open(path, domain).map(|file| Arc::new(file) as _),
                Kind::Ldap(config) => ldap::Ldap::new(config, domain).map(|ldap| Arc::new(ldap) as _),
                #[cfg(feature = "pam")]
                Kind::Pam(config) => Ok(Arc::new(pam::Pam::new(config, domain)) as _),
                #[cfg(not(feature = "pam"))]
                Kind::Pam(_) => Err(kind::NO_PAM.to_owned()),
            };
            match made {
                Ok(directory) => drop(others.insert(domain.clone(), directory)),
                Err(why) => wrong.push(why),
            }
        }
        if !wrong.is_empty() {
            return Err(wrong.join("\n"));
        }
        (self.others, self.found) = (Arc::new(others), Arc::default());
        Ok(self)
    }

    /// Without mailboxes in these domains: their mail goes elsewhere.
    pub(in crate::server) fn without(self, domains: &[String]) -> Self {
        Self { without: domains.into(), found: Arc::default(), ..self }
    }

    /// The secret of this data folder, so that salts of users that do not exist stay the same from one start to the next.
    pub fn with_secret_of(mut self, folder: &Path) -> Result<Self, String> {
        let path = folder.join("login.secret");
        let told = |error: &dyn std::fmt::Display| format!("{} cannot be used – {error}", path.display());
        if !path.exists() {
            crate::keys::files::write(&path, random().expose()).map_err(|error| told(&error))?;
        }
        self.secret = Arc::new(Secret::new(std::fs::read(&path).map_err(|error| told(&error))?));
        Ok(self)
    }

    /// Makes senders of ours for what is forwarded, or not; [`Accounts::with_secret_of`] comes before.
    pub fn with_srs(mut self, srs: config::Srs) -> Self {
        self.srs = (srs == config::Srs::On).then(|| Arc::new(Srs::new(&self.secret)));
        self
    }

    pub(in crate::server) fn srs(&self) -> Option<&Srs> {
        self.srs.as_deref()
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Whether SCRAM works for everybody: no domain keeps its passwords elsewhere, and none of our own users has a password from the time
    /// before SCRAM. That reads every user once.
    pub fn kept(&self) -> Result<Kept, Error> {
        if !self.others.is_empty() {
            return Ok(Kept::PasswordsOnly);
        }
        for user in self.store.users()? {
            // who has no password at all comes from a domain that kept it elsewhere, and comes in by none
            let is_old = !self.own.kept(&user)?.expose().is_empty() && self.own.keys(&user)?.is_none();
            if is_old {
                return Ok(Kept::PasswordsOnly);
            }
        }
        Ok(Kept::Scram)
    }

    /// Adds a user of one of our domains.
    pub fn add_user(&self, address: &str, password: &Secret<Vec<u8>>) -> Result<(), Error> {
        let address = normal(address);
        if !self.is_ours(&address)? {
            return Err(Error::NotFound(format!("the domain of {address} – add it first")));
        }
        if self.others.contains_key(address.rsplit_once('@').map_or("", |(_, domain)| domain)) {
            return Err(Error::Exists(format!("the passwords of the domain of {address} elsewhere – add the user there")));
        }
        self.store.add_user(&address, own::kept(password)?.expose())
    }

    /// Changes a password.
    pub fn set_password(&self, address: &str, password: &Secret<Vec<u8>>) -> Result<(), Error> {
        self.store.set_password(&normal(address), own::kept(password)?.expose())
    }

    /// The address that a login means by a name: in lower case, its domain in our form where it is one of ours outside ASCII.
    pub(in crate::server) fn login_name(&self, name: &str) -> String {
        let address = normal(name);
        match address.rsplit_once('@') {
            // what cannot be asked now is asked again by who looks for the password
            Some((_, domain)) if has_two_forms(domain) => self.in_our_form(&address).ok().flatten().unwrap_or(address),
            _ => address,
        }
    }

    /// The turns for this question, where it costs. Who wants one waits without a thread, so that mail goes on meanwhile, and each address has one
    /// after the other; who was let in just now needs none, so that he does not wait for strangers that guess. That reads one row.
    pub(in crate::server) fn turns(&self, question: &Question) -> Option<Turns> {
        let directory = self.directory(&self.login_name(question.name()));
        match (directory.costs(), question) {
            (_, Question::Password(credentials)) if self.is_remembered(credentials) => None,
            (Costs::Hashing, Question::Password(_)) => Some(self.hashing.clone()),
            (Costs::Hashing, _) => None,
            (Costs::Asking, _) => Some(self.asking.clone()),
        }
    }

    /// Answers what an exchange asks.
    pub fn login(&self, question: &Question) -> Result<Answer, Error> {
        Ok(match question {
            Question::Password(credentials) => self.password(credentials)?.map_or(Answer::No, Answer::User),
            Question::Keys(name) => {
                let address = self.login_name(name);
                // made for everybody, so that it takes the same time
                let nobody = Keys::of_nobody(&self.secret, &address);
                let keys = self.directory(&address).keys(&address)?;
                // who is suspended has no keys that fit; asked of names that do not exist, too
                let is_admitted = self.admitted(Some(address.clone())).is_ok_and(|user| user.is_some());
                let keys = keys.filter(|_| is_admitted).unwrap_or(nobody);
                let mut nonce = [0; 18];
                OsRandom.fill(&mut nonce);
                Answer::Keys(address, keys, base64_simd::STANDARD.encode_to_string(nonce))
            }
            Question::Certificate(address) => {
                let address = self.login_name(address);
                self.admitted(self.directory(&address).mailbox(&address)?)?.map_or(Answer::No, Answer::User)
            }
        })
    }

    /// The user of this name and password. It takes as long for names that do not exist.
    pub fn authenticate(&self, name: &str, password: &Secret<Vec<u8>>) -> Result<Option<String>, Error> {
        self.password(&Credentials { user: name.to_owned(), password: password.clone() })
    }

    fn password(&self, credentials: &Credentials) -> Result<Option<String>, Error> {
        // last, so that it takes as long
        self.admitted(self.checked(credentials)?)
    }

    /// The user, unless he is suspended.
    fn admitted(&self, user: Option<String>) -> Result<Option<String>, Error> {
        match user {
            Some(user) if self.store.standing(&user)? == Some(Standing::Suspended) => Ok(None),
            other => Ok(other),
        }
    }

    fn checked(&self, credentials: &Credentials) -> Result<Option<String>, Error> {
        let address = self.login_name(&credentials.user);
        // whoever looks for one in a directory with an empty one is let in by many as nobody in particular (RFC 4513 5.1.2)
        if credentials.password.expose().is_empty() {
            return Ok(None);
        }
        let directory = self.directory(&address);
        let kept = directory.kept(&address)?;
        let proof = self.remembered.proof(&address, &kept, &credentials.password);
        if let Some(user) = self.remembered.user(&proof, Instant::now()) {
            return Ok(Some(user));
        }
        let user = directory.check(&address, &kept, &credentials.password)?;
        if let Some(user) = &user {
            self.keep_mailbox(user)?;
            self.remembered.keep(proof, user, Instant::now());
        }
        Ok(user)
    }

    fn is_remembered(&self, credentials: &Credentials) -> bool {
        let address = self.login_name(&credentials.user);
        let Ok(kept) = self.directory(&address).kept(&address) else { return false };
        let proof = self.remembered.proof(&address, &kept, &credentials.password);
        self.remembered.user(&proof, Instant::now()).is_some()
    }

    fn directory(&self, address: &str) -> &dyn Directory {
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        self.others.get(domain).map_or(&*self.own, |directory| &**directory)
    }

    /// Whether the users of an address's domain are in the store, and nowhere else.
    pub(in crate::server) fn is_own(&self, address: &str) -> bool {
        !self.others.contains_key(address.rsplit_once('@').map_or("", |(_, domain)| domain))
    }

    /// Whether all of them are in the store: nobody else is asked.
    pub(in crate::server) fn are_at_hand(&self) -> bool {
        self.others.is_empty()
    }

    /// The mailbox of an address, where it is one of a user; who is new in a directory gets one.
    pub(in crate::server) fn mailbox(&self, address: &str) -> Result<Option<String>, Error> {
        let directory = self.directory(address);
        // strangers must not make mailboxes by writing to names that nobody can say no to
        if !directory.knows_names() && self.store.password_hash(address)?.is_none() {
            return Ok(None);
        }
        let user = directory.mailbox(address)?;
        user.iter().try_for_each(|user| self.keep_mailbox(user))?;
        Ok(user)
    }

    /// Where addresses led a moment ago, where the store alone knows it.
    pub(in crate::server) fn found(&self) -> Option<&Found> {
        self.are_at_hand().then_some(&*self.found)
    }

    /// What a mailbox may still hold; nothing where no quota bounds it.
    pub(in crate::server) fn bound(&self, mailbox: &str) -> Result<Option<Room>, Error> {
        let (changes, now) = (self.store.changes(), Instant::now());
        if self.found.is_unbounded(mailbox, changes, now) {
            return Ok(None);
        }
        let room = self.store.room(mailbox)?;
        if room.is_unbounded() {
            self.found.has_no_bound(mailbox, changes, now);
            return Ok(None);
        }
        Ok(Some(room))
    }

    /// Makes the mailbox of a user whose password is kept elsewhere; the store keeps none for him.
    fn keep_mailbox(&self, user: &str) -> Result<(), Error> {
        if self.store.password_hash(user)?.is_some() {
            return Ok(());
        }
        match self.store.add_user(user, "") {
            Err(Error::Exists(_)) => Ok(()),
            other => other,
        }
    }

    /// Whether the domain of an address is one of ours.
    pub(in crate::server) fn is_ours(&self, address: &str) -> Result<bool, Error> {
        let Some((_, domain)) = address.rsplit_once('@') else { return Ok(false) };
        Ok(!self.without.iter().any(|known| known == domain) && self.store.domains()?.iter().any(|known| known == domain))
    }
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Accounts")
    }
}

/// Addresses are kept in lower case: nobody tells two people apart by it.
pub fn normal(address: &str) -> String {
    address.trim().to_lowercase()
}

fn random() -> Secret<Vec<u8>> {
    let mut secret = Secret::new(vec![0; 32]);
    OsRandom.fill(secret.expose_mut());
    secret
}

#[cfg(test)]
pub(in crate::server) mod tests {
    use super::*;
    use crate::server::store::SqliteStore;

    /// The accounts of a.example, where Jane is, in a folder that goes with the test.
    pub(in crate::server) fn accounts() -> (tempfile::TempDir, Accounts) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let accounts = Accounts::new(Arc::new(SqliteStore::open(folder.path()).expect("opens"))).expect("hashes");
        accounts.store().add_domain("a.example").expect("new");
        accounts.add_user("Jane@A.example", &Secret::new(b"secret".to_vec())).expect("new");
        (folder, accounts)
    }

    #[test]
    fn only_the_right_password_of_a_user_opens() {
        let (_folder, accounts) = accounts();
        let check = |name: &str, password: &[u8]| accounts.authenticate(name, &Secret::new(password.to_vec())).expect("checked");
        assert_eq!(check("jane@a.example", b"secret").as_deref(), Some("jane@a.example"));
        assert_eq!(check("jane@a.example", b"Secret"), None);
        assert_eq!(check("nobody@a.example", b"nobody has this password"), None);
        let elsewhere = accounts.add_user("x@b.example", &Secret::new(b"x".to_vec()));
        assert!(matches!(elsewhere, Err(Error::NotFound(_))));
    }

    #[test]
    fn what_is_kept_serves_passwords_and_scram_and_goes_with_a_new_password() {
        let (_folder, accounts) = accounts();
        let kept = |accounts: &Accounts| accounts.store().password_hash("jane@a.example").expect("read").expect("a user");
        let keys = |name: &str| match accounts.login(&Question::Keys(name.to_owned())).expect("read") {
            Answer::Keys(_, keys, nonce) => (keys, nonce),
            other => panic!("{other:?}"),
        };
        let before = kept(&accounts);
        assert!(before.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && !before.contains("secret"), "{before}");
        let (jane, nonce) = keys("Jane@a.example");
        assert_eq!(jane, Keys::derive(&Secret::new(b"secret".to_vec()), &jane.salt, jane.iterations));
        assert_ne!(keys("jane@a.example").1, nonce);
        // nobody looks like somebody
        let (nobody, _) = keys("nobody@a.example");
        assert!(
            nobody == keys("nobody@a.example").0 && nobody.iterations == jane.iterations && nobody.salt.len() == jane.salt.len()
        );
        let check = |password: &[u8]| accounts.authenticate("jane@a.example", &Secret::new(password.to_vec())).expect("checked");
        assert!(check(b"secret").is_some() && check(b"secret").is_some(), "the second time from memory");
        accounts.set_password("jane@a.example", &Secret::new(b"new".to_vec())).expect("set");
        assert!(check(b"secret").is_none(), "what was remembered is forgotten");
        assert!(check(b"new").is_some() && check(b"").is_none());
        assert_ne!(keys("jane@a.example").0, jane);
    }

    #[test]
    fn who_was_let_in_just_now_does_not_wait_for_those_who_guess() {
        let (_folder, accounts) = accounts();
        let question = |password: &[u8]| {
            let password = Secret::new(password.to_vec());
            Question::Password(Credentials { user: "jane@a.example".to_owned(), password })
        };
        assert!(accounts.turns(&question(b"secret")).is_some());
        assert_ne!(accounts.login(&question(b"secret")).expect("checked"), Answer::No);
        assert!(accounts.turns(&question(b"secret")).is_none());
        assert!(accounts.turns(&question(b"guess")).is_some());
        assert!(accounts.turns(&Question::Keys("jane@a.example".to_owned())).is_none());
    }

    #[test]
    fn who_is_suspended_comes_in_by_no_way_and_sends_nothing_until_he_is_let_in_again() {
        let (_folder, accounts) = accounts();
        let check = || accounts.authenticate("jane@a.example", &Secret::new(b"secret".to_vec())).expect("checked");
        let keys = || match accounts.login(&Question::Keys("jane@a.example".to_owned())).expect("read") {
            Answer::Keys(_, keys, _) => keys,
            other => panic!("{other:?}"),
        };
        let (hers, certificate) = (keys(), Question::Certificate("jane@a.example".to_owned()));
        assert!(check().is_some(), "and it is remembered");
        accounts.store().set_standing("jane@a.example", Standing::Suspended).expect("set");
        assert!(check().is_none() && keys() != hers && keys() == keys());
        assert_eq!(accounts.login(&certificate).expect("read"), Answer::No);
        assert!(!accounts.may_send_as("jane@a.example", "jane@a.example").expect("read"), "nor in a session that is open");
        assert!(accounts.mailbox("jane@a.example").expect("read").is_some(), "mail for her is kept");
        accounts.store().set_standing("jane@a.example", Standing::Active).expect("set");
        assert!(check().is_some() && keys() == hers);
        assert!(matches!(accounts.store().set_standing("x@a.example", Standing::Active), Err(Error::NotFound(_))));
    }

    #[test]
    fn who_writes_to_any_name_of_a_domain_makes_no_mailbox_there() {
        let (_folder, accounts) = accounts();
        accounts.store().add_domain("c.example").expect("new");
        let url = crate::keys::directory::ldap::Url::parse("ldaps://127.0.0.1:1/dc=c").expect("a URL");
        let bind = kind::Bind::Template("{address}".to_owned());
        let kind = Kind::Ldap(kind::Ldap { url, trust: None, bind });
        let accounts = accounts.with(&[("c.example".to_owned(), kind)]).expect("a directory");
        assert_eq!(accounts.mailbox("anybody@c.example").expect("nobody is asked"), None);
        assert_eq!(accounts.store().users().expect("read"), ["jane@a.example"]);
        // who has logged in has one
        accounts.keep_mailbox("joe@c.example").expect("made");
        assert_eq!(accounts.mailbox("joe@c.example").expect("known").as_deref(), Some("joe@c.example"));
    }

    #[test]
    fn scram_is_offered_where_everybody_can_log_in_by_it() {
        let (_folder, accounts) = accounts();
        assert_eq!(accounts.kept().expect("read"), Kept::Scram);
        let hash = accounts.store().password_hash("jane@a.example").expect("read").expect("a user");
        let (old, _) = hash.split_once('\n').expect("two lines");
        accounts.store().set_password("jane@a.example", old).expect("set");
        assert_eq!(accounts.kept().expect("read"), Kept::PasswordsOnly, "her password was set before SCRAM");
        assert!(accounts.authenticate("jane@a.example", &Secret::new(b"secret".to_vec())).expect("checked").is_some());
    }

    #[test]
    fn nobody_takes_as_long_as_a_wrong_password() {
        let (_folder, accounts) = accounts();
        // the same hash is computed for all of them: a clock would tell no more, and depends on the machine
        for name in ["jane@a.example", "nobody@a.example", "jane@elsewhere.example"] {
            assert_eq!(accounts.authenticate(name, &Secret::new(b"wrong".to_vec())).expect("checked"), None);
            assert_eq!(own::tests::COMPUTED.take(), ["19456"], "{name}");
        }
    }

    #[test]
    fn salts_of_nobody_survive_a_restart() {
        let (folder, accounts) = accounts();
        let salt = |accounts: &Accounts| match accounts.login(&Question::Keys("x@a.example".to_owned())).expect("read") {
            Answer::Keys(_, keys, _) => keys.salt,
            other => panic!("{other:?}"),
        };
        let first = accounts.with_secret_of(folder.path()).expect("written");
        let again = Accounts::new(Arc::clone(first.store())).expect("hashes").with_secret_of(folder.path()).expect("read");
        assert_eq!(salt(&first), salt(&again));
        assert_ne!(salt(&first), salt(&Accounts::new(Arc::clone(first.store())).expect("hashes")), "another server's differ");
    }

    #[test]
    fn a_domain_outside_ascii_is_logged_in_to_in_both_of_its_forms() {
        let (ascii, unicode) = ("xn--bcher-kva.example", "b\u{fc}cher.example");
        for (kept, other) in [(ascii, unicode), (unicode, ascii)] {
            let (_folder, accounts) = accounts();
            accounts.store().add_domain(kept).expect("new");
            let (joe, right) = (format!("joe@{kept}"), Secret::new(b"secret".to_vec()));
            accounts.add_user(&joe, &right).expect("new");
            for domain in [kept, other, "BU\u{308}CHER.example"] {
                let name = format!("Joe@{domain}");
                assert_eq!(accounts.authenticate(&name, &right).expect("checked"), Some(joe.clone()), "{name}");
                assert_eq!(accounts.authenticate(&name, &Secret::new(b"wrong".to_vec())).expect("checked"), None, "{name}");
                let known = accounts.login(&Question::Certificate(name.clone())).expect("read");
                assert_eq!(known, Answer::User(joe.clone()), "{name}");
                let keys = accounts.login(&Question::Keys(name.clone())).expect("read");
                assert!(matches!(&keys, Answer::Keys(user, ..) if *user == joe), "{name}");
                // whoever guesses has no more tries for it
                assert_eq!(accounts.login_name(&name), joe);
            }
            for name in ["joe@xn--bcher-kvb.example", "joe@b\u{fc}chers.example", "joe@xn--.example", "joe@\u{fc}"] {
                assert_eq!(accounts.authenticate(name, &right).expect("checked"), None, "{name}");
            }
        }
    }

    #[test]
    fn a_certificate_names_a_user_or_nobody() {
        let (_folder, accounts) = accounts();
        let login = |address: &str| accounts.login(&Question::Certificate(address.to_owned())).expect("read");
        assert_eq!(login("Jane@a.example"), Answer::User("jane@a.example".to_owned()));
        assert_eq!(login("nobody@a.example"), Answer::No);
        assert_eq!(login("jane@b.example"), Answer::No);
    }
}
