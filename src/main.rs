//! The program `sealpost`.

mod cli;

fn main() {}
