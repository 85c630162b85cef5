//! Password hashes that others wrote, in the forms of `crypt(3)` and of PHC.

use argon2::Argon2;
use argon2::password_hash::PasswordVerifier as _;
use sha_crypt::password_hash::PasswordVerifier as _;

use crate::secret::Secret;

/// A hash.
pub(super) struct Hash {
    scheme: Scheme,
    text: Secret<String>,
}

#[derive(Clone, Copy)]
enum Scheme {
    Argon2,
    Bcrypt,
    ShaCrypt,
    Yescrypt,
}

impl Hash {
    /// Reads a hash; the error says why it is not taken.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let starts = |begins: &[&str]| begins.iter().any(|begin| text.starts_with(begin));
        let scheme = match () {
            () if starts(&["$argon2"]) => Scheme::Argon2,
            () if starts(&["$2a$", "$2b$", "$2y$"]) => Scheme::Bcrypt,
            () if starts(&["$5$", "$6$"]) => Scheme::ShaCrypt,
            () if starts(&["$y$"]) => Scheme::Yescrypt,
            () if starts(&["$1$", "$apr1$"]) => {
                return Err("its hash is by MD5, which is guessed at once – make another with htpasswd -B");
            }
            () if starts(&["{"]) => return Err("its hash is a digest without rounds – make another with htpasswd -B"),
            () if starts(&["!", "*"]) || text.is_empty() => return Err("it has no password"),
            () => return Err("its hash is of no known kind – make another with htpasswd -B"),
        };
        let is_readable = match scheme {
            Scheme::Argon2 => argon2::PasswordHash::new(text).is_ok_and(|hash| hash.hash.is_some()),
            Scheme::Bcrypt => text.parse::<bcrypt::HashParts>().is_ok(),
            Scheme::ShaCrypt | Scheme::Yescrypt => sha_crypt::PasswordHashRef::new(text).is_ok(),
        };
        if is_readable { Ok(Self { scheme, text: Secret::new(text.to_owned()) }) } else { Err("its hash cannot be read") }
    }

    /// Its text.
    pub(super) fn text(&self) -> &Secret<String> {
        &self.text
    }

    /// Whether it is the password's.
    pub(super) fn fits(&self, password: &Secret<Vec<u8>>) -> bool {
        let (text, password) = (self.text.expose().as_str(), password.expose().as_slice());
        match self.scheme {
            Scheme::Argon2 => {
                argon2::PasswordHash::new(text).is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
            }
            // bcrypt reads 72 bytes and no more; who hashed more of them hashed those
            Scheme::Bcrypt => bcrypt::verify(password, text).unwrap_or(false),
            Scheme::ShaCrypt => sha_crypt::PasswordHashRef::new(text)
                .is_ok_and(|hash| sha_crypt::ShaCrypt::default().verify_password(password, hash).is_ok()),
            Scheme::Yescrypt => yescrypt::Yescrypt::default().verify_password(password, text).is_ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes that libxcrypt 4.4 made, and one of the argon2 program.
    #[test]
    fn hashes_of_others_fit_their_passwords_and_no_other() {
        for (hash, password) in [
            ("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"),
            ("$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a", "secret"),
            ("$2y$07$BCryptRequires22Chrcte/VlQH0piJtjXl.0t1XkA8pw9dMXTpOq", "rasmuslerdorf"),
            ("$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", "Hello world!"),
            ("$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA", "Hello world!"),
            (
                "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
                "Hello world!",
            ),
            ("$y$j9T$F5Jx5fExrKuPp53xLKQ..1$GmcwIgvdUC9qLWcKCi6gklUa1dM3ziD43YxYNURLKy0", "secret"),
            // of the argon2 program's own tests
            ("$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8", "password"),
        ] {
            let parsed = Hash::parse(hash).unwrap_or_else(|why| panic!("{hash}: {why}"));
            assert!(parsed.fits(&Secret::new(password.as_bytes().to_vec())), "{hash}");
            assert!(!parsed.fits(&Secret::new(b"another".to_vec())), "{hash}");
        }
    }

    #[test]
    fn hashes_that_protect_nobody_are_refused_with_the_reason() {
        for (hash, reason) in [
            ("$apr1$salt$hash", "MD5"),
            ("$1$salt$hash", "MD5"),
            ("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "without rounds"),
            ("rqXexS6ZhobKA", "no known kind"),
            ("secret", "no known kind"),
            ("!", "no password"),
            ("", "no password"),
            ("$2y$05$short", "cannot be read"),
            ("$argon2id$v=19", "cannot be read"),
        ] {
            assert!(Hash::parse(hash).err().is_some_and(|why| why.contains(reason)), "{hash}");
        }
    }
}
