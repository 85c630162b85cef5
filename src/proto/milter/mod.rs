//! Scanners of others (rspamd, ClamAV, SpamAssassin, OpenDKIM): the client's side of sendmail's milter protocol, version 6 and down to 2.
//!
//! Uses: limits. Never: sockets, clocks, mime; whoever drives it takes messages apart and puts changes in.
//! Holds always: nothing that a scanner asks for happens before it has seen the whole message and said its last word; what it says is
//! bounded, and whole lines of a header section cannot be smuggled into one field; the same bytes in any pieces give the same verdict.

mod packet;
mod session;
mod verdict;

pub use session::{Field, Milter, MilterStep, Offer};
pub use verdict::{Broken, Change, Decision, Refusal, Verdict};
