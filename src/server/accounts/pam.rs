//! Users of the system, whose passwords PAM checks, by a service of its own (`/etc/pam.d/NAME`).
//!
//! Who has a mailbox is what the system's list of users says (`getpwnam`: files, LDAP by sssd, …), above a least number: the system's own users get
//! none. The password goes to PAM under the name before the `@`, whether there is such a user or not, so that the service's modules take the same
//! time for both; what they do in it (hash, ask, delay) is theirs.

use std::ffi::{OsStr, OsString};

use nix::unistd::User;
use nonstick::{AuthnFlags, ConversationAdapter, ErrorCode, Transaction, TransactionBuilder};

use crate::secret::Secret;
use crate::server::accounts::directory::{Costs, Directory};
use crate::server::accounts::kind::Pam as Config;
use crate::server::store::Error;

/// A service of PAM for the users of one domain.
pub(super) struct Pam {
    config: Config,
    domain: String,
}

/// Answers the modules: they ask for a name and a password, and for nothing else that could be answered.
struct Answers<'p> {
    name: &'p str,
    password: &'p OsStr,
}

impl ConversationAdapter for Answers<'_> {
    fn prompt(&self, _: impl AsRef<OsStr>) -> nonstick::Result<OsString> {
        Ok(self.name.into())
    }

    fn masked_prompt(&self, _: impl AsRef<OsStr>) -> nonstick::Result<OsString> {
        Ok(self.password.to_owned())
    }

    // nobody is there to read them
    fn error_msg(&self, _: impl AsRef<OsStr>) {}

    fn info_msg(&self, _: impl AsRef<OsStr>) {}
}

impl Pam {
    pub(super) fn new(config: &Config, domain: &str) -> Self {
        Self { config: config.clone(), domain: domain.to_owned() }
    }

    fn failed(&self, why: &dyn std::fmt::Display) -> Error {
        Error::Broken(format!("the service {} of PAM for {} – {why}", self.config.service, self.domain))
    }

    /// The name of a user in the system.
    fn name<'a>(&self, address: &'a str) -> Option<&'a str> {
        let (name, domain) = address.rsplit_once('@')?;
        // what no list of users can hold is not asked for, nor is what a module may take for a path or an option
        let is_good = !name.is_empty()
            && name.len() <= NAME
            && !name.starts_with('-')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte))
            && name.bytes().any(|byte| byte != b'.');
        (is_good && domain == self.domain).then_some(name)
    }

    /// Whether the system has such a user with a mailbox.
    fn is_user(&self, name: &str) -> Result<bool, Error> {
        let found = User::from_name(name).map_err(|error| self.failed(&error))?;
        Ok(found.is_some_and(|user| user.uid.as_raw() >= self.config.least_uid))
    }

    /// Whether PAM lets somebody in; an error where it cannot tell.
    fn is_let_in(&self, name: &str, password: &Secret<Vec<u8>>) -> Result<bool, Error> {
        // a module would hear less of it than was said
        if password.expose().contains(&0) {
            return Ok(false);
        }
        let password = std::os::unix::ffi::OsStrExt::from_bytes(password.expose().as_slice());
        let answers = Answers { name, password }.into_conversation();
        let begun = TransactionBuilder::new_with_service(&self.config.service).username(name).build(answers);
        let mut transaction = begun.map_err(|error| self.failed(&error))?;
        let flags = AuthnFlags::SILENT | AuthnFlags::DISALLOW_NULL_AUTHTOK;
        let judged = transaction.authenticate(flags).and_then(|()| transaction.account_management(flags));
        match judged {
            Ok(()) => Ok(true),
            Err(
                ErrorCode::AuthenticationError
                | ErrorCode::UserUnknown
                | ErrorCode::MaxTries
                | ErrorCode::PermissionDenied
                | ErrorCode::CredentialsInsufficient
                | ErrorCode::NewAuthTokRequired
                | ErrorCode::AuthTokExpired
                | ErrorCode::AccountExpired,
            ) => Ok(false),
            Err(error) => Err(self.failed(&error)),
        }
    }
}

impl Directory for Pam {
    /// Nothing is kept here: what is remembered of a login is good for its seconds.
    fn kept(&self, _address: &str) -> Result<Secret<String>, Error> {
        Ok(Secret::default())
    }

    fn check(&self, address: &str, _kept: &Secret<String>, password: &Secret<Vec<u8>>) -> Result<Option<String>, Error> {
        let Some(name) = self.name(address) else { return Ok(None) };
        let is_let_in = self.is_let_in(name, password)?;
        Ok((is_let_in && self.is_user(name)?).then(|| address.to_owned()))
    }

    fn mailbox(&self, address: &str) -> Result<Option<String>, Error> {
        let Some(name) = self.name(address) else { return Ok(None) };
        Ok(self.is_user(name)?.then(|| address.to_owned()))
    }

    fn costs(&self) -> Costs {
        Costs::Asking
    }
}

/// Bytes of a name: the longest that Linux's tools make.
const NAME: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_system_has_are_not_asked_for() {
        let pam = Pam::new(&Config { service: "sealpost-test".to_owned(), least_uid: 0 }, "a.example");
        assert_eq!(pam.name("jane.doe@a.example"), Some("jane.doe"));
        for bad in
            ["@a.example", "-x@a.example", "..@a.example", "a/b@a.example", "a b@a.example", "jané@a.example", "jane@b.example"]
        {
            assert_eq!(pam.name(bad), None, "{bad}");
        }
        assert_eq!(pam.name(&format!("{}@a.example", "x".repeat(NAME + 1))), None);
        assert!(pam.mailbox("root@a.example").expect("looked up").is_some());
        let people = Pam::new(&Config { service: "sealpost-test".to_owned(), least_uid: 1000 }, "a.example");
        assert_eq!(people.mailbox("root@a.example").expect("looked up"), None, "one of the system's own");
        assert_eq!(pam.mailbox("nobody-of-this-name@a.example").expect("looked up"), None);
    }
}
