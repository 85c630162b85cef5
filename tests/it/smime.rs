//! Tests of `smime`.
