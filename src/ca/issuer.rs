//! Which of the authority's CAs signed something.

/// One of the authority's CAs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Issuer {
    /// The CA for mail.
    Mail = 0,
    /// The CA for TLS servers.
    Servers = 1,
    /// The root.
    Root = 2,
}

impl Issuer {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Mail, Self::Servers, Self::Root];

    /// The word that files and URLs have for it: `issuing`, `servers`, `root`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mail => "issuing",
            Self::Servers => "servers",
            Self::Root => "root",
        }
    }

    /// The CA called so.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|issuer| issuer.name() == name)
    }

    pub(in crate::ca) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|issuer| *issuer as u8 == number)
    }
}
