//! Sieve filters: what scripts do, what is refused, and what Pigeonhole says of both.
#![cfg(feature = "server")]

mod facts;
mod generated;
mod judge;
mod mistakes;
