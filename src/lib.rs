//! Secure mail: sign, encrypt, verify and decrypt MIME messages with mail certificates (S/MIME, RFC 8551).
//!
//! [`smime`] holds the verbs, [`keys`] whose keys there are, [`pki`] whom to trust, [`ca`] how to issue certificates,
//! [`lint`] what is wrong with them, [`mime`] messages without cryptography. Bytes come in and values go out: time and randomness are arguments.
//!
//! ```
//! use sealpost::{ca, crypto, pki, smime, time::Timestamp};
//!
//! let (now, mut random) = (Timestamp::from_unix(1_775_000_000), crypto::random::OsRandom);
//! let p256 = crypto::algorithm::KeyAlgorithm::P256;
//! let (authority, _) = ca::Authority::create("Example Org", &["a.example"], p256, now, &mut random)?;
//! let jane = authority.new_identity("jane@a.example", "Jane Doe", p256, now, &mut random)?;
//!
//! let letter = b"From: jane@a.example\r\nTo: jane@a.example\r\nSubject: hello\r\n\r\nA secret.\r\n";
//! let sealed = smime::seal(letter, &jane, &[jane.certificate().clone()], now, &mut random)?;
//!
//! let trust = smime::Trust::new(pki::TrustAnchors::from_iter([authority.root().clone()]), now);
//! let opened = smime::open(&sealed, &trust, &jane, &mut random);
//! let verified = opened.into_verified().map_err(|verdict| format!("{:?}", verdict.findings))?;
//! assert!(verified.get().message().ends_with(b"A secret.\r\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod asn1;
pub mod ca;
pub mod cms;
pub mod crypto;
pub mod http;
pub mod keys;
pub mod limits;
pub mod lint;
pub mod mime;
pub mod pki;
#[cfg(feature = "server")]
pub mod proto;
pub mod secret;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod sieve;
pub mod smime;
pub mod time;

/// The code of README.md, compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
