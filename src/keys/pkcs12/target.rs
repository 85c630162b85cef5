//! For whom a PKCS#12 file is written, and what these programs read.

use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::pbe::{self, Scheme};

/// For whom a file is written.
///
/// | target | keys and certificates | code | read by |
/// |---|---|---|---|
/// | `modern` | AES-256, PBKDF2-HMAC-SHA-256 | HMAC-SHA-256 | OpenSSL 1.1, NSS 3.59, Java 8u301, GnuTLS 3.6 and later |
/// | `thunderbird` | the same | the same | Thunderbird 78 and later |
/// | `windows` | the same, fewer rounds | the same | Windows 10 1709, Server 2019 and later; .NET |
/// | `apple` | Triple DES, PKCS#12's own derivation | HMAC-SHA-1 | macOS and iOS of every version; gpgsm 2.2, old Windows and Java |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Today's programs.
    Modern,
    /// macOS and iOS.
    Apple,
    /// Windows and Outlook.
    Windows,
    /// Thunderbird and what else is built on NSS.
    Thunderbird,
}

/// How a file is protected.
#[derive(Debug, Clone, Copy)]
pub(super) struct Protection {
    pub(super) scheme: Scheme,
    /// Of each part, and of the code over all of them: a passphrase is tried on what costs least.
    pub(super) rounds: u64,
    pub(super) digest: DigestAlgorithm,
}

impl Target {
    /// The names, as `--for` has them.
    pub const NAMES: [&str; 4] = ["modern", "apple", "windows", "thunderbird"];

    /// The target called so.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Modern, Self::Apple, Self::Windows, Self::Thunderbird].into_iter().find(|target| target.name() == name)
    }

    /// Its name, as `modern`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Modern => "modern",
            Self::Apple => "apple",
            Self::Windows => "windows",
            Self::Thunderbird => "thunderbird",
        }
    }

    pub(super) fn protection(self) -> Protection {
        let aes = |rounds| Protection { scheme: Scheme::Aes256, rounds, digest: DigestAlgorithm::Sha256 };
        match self {
            Self::Modern | Self::Thunderbird => aes(pbe::ITERATIONS),
            // .NET 9 takes 300 000 for each part and 1 000 000 for all together
            Self::Windows => aes(250_000),
            // Apple's own reader answers anything newer with "wrong password", even macOS 26 where nobody tells it the format
            Self::Apple => Protection { scheme: Scheme::TripleDes, rounds: 100_000, digest: DigestAlgorithm::Sha1 },
        }
    }
}
