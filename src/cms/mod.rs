//! Reads and writes Cryptographic Message Syntax (RFC 5652, 5083); decides no trust.
