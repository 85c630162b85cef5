//! The clocks by which a signer's certificate may be judged.
//!
//! A certificate that has expired by now may have been valid when the signature was made. What the signer says of the time proves nothing;
//! a time-stamp does, and so does this home, which saw the signature on an earlier day. Both excuse that a certificate *expired*, and
//! nothing else: what was revoked, at whatever time, stays revoked.

use crate::keys::{Seen, SignatureId};
use crate::time::Timestamp;

/// What says which moment a certificate is judged for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Clock {
    /// The present (or the moment that the reader asks about).
    Now,
    /// A time-stamp over the signature, of an authority that is trusted (RFC 3161).
    Timestamp,
    /// The moment at which this home saw the signature first.
    #[default]
    FirstSeen,
}

impl Clock {
    /// Every clock, the strictest first.
    pub const ALL: [Self; 3] = [Self::Now, Self::Timestamp, Self::FirstSeen];

    /// The word of the JSON output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Timestamp => "timestamp",
            Self::FirstSeen => "first-seen",
        }
    }

    /// The clock of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|clock| clock.name() == name)
    }

    /// What it says of a moment at which the signature was there.
    pub(in crate::smime) const fn proves(self) -> &'static str {
        match self {
            Self::Now => "it is there now",
            Self::Timestamp => "as a time-stamp proves",
            Self::FirstSeen => "when this home saw it first",
        }
    }
}

/// By which clock a certificate was judged, and for which moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// The clock.
    pub clock: Clock,
    /// What it shows.
    pub at: Timestamp,
}

/// Knows when signatures were seen first.
pub trait FirstSeen {
    /// When this signature was seen first, if it was.
    fn first_seen(&self, id: &SignatureId) -> Option<Timestamp>;
}

impl FirstSeen for Seen {
    fn first_seen(&self, id: &SignatureId) -> Option<Timestamp> {
        self.first(id)
    }
}
