//! Tests of `cms`.
