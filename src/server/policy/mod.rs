//! Whom the server takes mail from, for whom, and how much: access and relay lists, rates and bans, greylists, DNS lists; and whether a message is
//! from whom it says (SPF, DKIM, DMARC, ARC).
//!
//! Uses: mail-auth (authentication, arc, dkim), keys (whose keys sign), mime (who the author is), the resolver (resolver.rs alone). Never: sockets, the
//! store. The time is an argument, but where the greylist comes from its file and goes there.
//! Holds always: decisions are pure, and what DNS told is given to them as a value; what DNS cannot tell now refuses nobody for good; memory is
//! bounded whatever peers send; nothing is relayed but for users, listed networks and listed domains.
//! RFC 5782, 6376, 6647, 7208, 7489, 8463, 8601, 8617.

mod access;
mod arc;
mod authentication;
mod bans;
mod blocklist;
mod bucket;
mod by_hand;
mod dkim;
mod dns;
mod gate;
mod greylist;
mod keep;
mod network;
mod own;
mod rates;
mod refusal;
mod relay;
mod resolver;
mod results;
mod room;
mod settings;

pub use access::{Access, Client, Mailbox, Name};
pub use authentication::Check;
pub use bans::Logins;
pub use blocklist::{Kind, Zone};
pub use bucket::Rate;
pub use by_hand::Whom;
pub use greylist::Greylisting;
pub use network::Network;
pub use rates::Rates;
pub use relay::Relay;
pub use settings::{Names, Settings};

pub(in crate::server) use by_hand::Until;
pub(in crate::server) use dkim::Signer;
pub(in crate::server) use gate::{Gate, Judged, Login, Sends};
pub(in crate::server) use keep::keep;
pub(in crate::server) use network::peer;
pub(in crate::server) use own::{Own, author_domain};
pub(in crate::server) use refusal::Refusal;
pub(in crate::server) use relay::Place;
