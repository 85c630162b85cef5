//! The integration tests, one binary.

mod asn1;
mod attacks;
mod ca;
mod cert;
mod choice;
mod cli;
mod cms;
mod content;
mod crates;
mod crypto;
mod forms;
mod fuzz;
mod headers;
mod keys;
mod limits;
mod mime;
mod online;
mod pki;
mod proto;
mod relay;
mod rules;
mod server;
mod smime;
mod support;
mod truncation;
mod vectors;
