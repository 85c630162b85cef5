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
mod directory;
mod forms;
mod fuzz;
mod headers;
#[cfg(feature = "keyring")]
mod keyring;
mod keys;
mod limits;
mod lint;
mod milter;
mod mime;
mod online;
mod packaging;
mod pki;
mod proto;
mod readers;
mod relay;
mod rfc9788;
mod rules;
mod server;
#[cfg(feature = "server")]
mod sieve;
mod smime;
mod support;
#[cfg(feature = "pkcs11")]
mod token;
mod truncation;
mod vectors;
mod words;
