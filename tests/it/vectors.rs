//! Tests of `vectors`.
