//! What the configuration says about whom mail is taken from.

use std::path::PathBuf;

use crate::server::policy::access::{Access, Name};
use crate::server::policy::authentication::Check;
use crate::server::policy::bans::Logins;
use crate::server::policy::blocklist::Zone;
use crate::server::policy::greylist::Greylisting;
use crate::server::policy::rates::Rates;
use crate::server::policy::relay::Relay;

/// Whose names are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Names {
    /// Those of clients that a rule names.
    #[default]
    WhereRulesNeedThem,
    /// Those of all clients of other machines: scanners hear them.
    All,
}

/// The rules of one server. The default relays for users alone, has generous rates, and asks DNS nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Who is welcome, and who is not.
    pub access: Access,
    /// For whom mail to others is taken.
    pub relay: Relay,
    /// How much, in which time.
    pub rates: Rates,
    /// Whose names are asked for.
    pub names: Names,
    /// Failed logins.
    pub logins: Logins,
    /// The greylist, where there is one.
    pub greylist: Option<Greylisting>,
    /// DNS lists.
    pub zones: Vec<Zone>,
    /// Whether SPF, DKIM, DMARC and ARC are checked, and what follows.
    pub check: Check,
    /// Whose seal counts (ARC): what they saw pass is taken although DMARC fails here.
    pub sealers: Vec<Name>,
    /// Where the keys lie with which domains sign what their users send.
    pub dkim: Option<PathBuf>,
}
