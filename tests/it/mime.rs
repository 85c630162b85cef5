//! Tests of `mime`.
