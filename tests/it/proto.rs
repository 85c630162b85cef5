//! Tests of `proto`.
