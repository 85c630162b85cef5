//! Tests of `smime`.

use std::fs;
use std::path::Path;

use sealpost::smime::Code;

#[test]
fn every_finding_is_documented() {
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/findings.md")).expect("docs/findings.md exists");
    for code in Code::all() {
        assert!(page.contains(&format!("| `{}`", code.code())), "docs/findings.md does not explain {}", code.code());
    }
}
