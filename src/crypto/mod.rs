//! Every cryptographic primitive; the only room that names cryptography crates.
