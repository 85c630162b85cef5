//! Tests of `pki`.
