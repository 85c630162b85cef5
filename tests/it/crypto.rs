//! Tests of `crypto` against Project Wycheproof, on every provider that is built in.
//!
//! A vector says `valid`, `invalid` or `acceptable`. The first two must come out so; where they do not, the flag of the vector stands in
//! the test with the reason.

mod peers;
mod recipients;
mod signatures;
mod symmetric;

use std::path::Path;

use serde_json::Value;

use crate::support;
use sealpost::crypto::algorithm::DigestAlgorithm;
use sealpost::crypto::provider::Provider;

const PROVIDERS: [Provider; 2] = [Provider::Rust, Provider::Fastest];

/// One vector and the group that it stands in.
struct Case<'a> {
    group: &'a Value,
    test: &'a Value,
}

impl Case<'_> {
    /// The bytes of a field; of the group where the vector has none. Numbers come with an odd count of digits, too.
    fn bytes(&self, field: &str) -> Vec<u8> {
        unhex(self.text(field))
    }

    fn text(&self, field: &str) -> &str {
        let value = self.test.get(field).or_else(|| self.group.get(field));
        value.and_then(Value::as_str).unwrap_or_else(|| panic!("field {field}"))
    }

    fn number(&self, field: &str) -> u64 {
        let value = self.test.get(field).or_else(|| self.group.get(field));
        value.and_then(Value::as_u64).unwrap_or_else(|| panic!("field {field}"))
    }

    fn digest(&self, field: &str) -> DigestAlgorithm {
        DigestAlgorithm::from_name(self.text(field)).expect("a digest that is known")
    }

    fn result(&self) -> &str {
        self.text("result")
    }

    fn has_flag(&self, flag: &str) -> bool {
        self.test["flags"].as_array().is_some_and(|flags| flags.iter().any(|f| f == flag))
    }
}

/// Runs every vector of a file: `accepts` says whether the primitive takes it. `otherwise` names flags whose vectors we judge
/// otherwise than the file does, whatever the reason is that stands beside them.
fn run(file: &str, otherwise: &[&str], accepts: impl Fn(&Case<'_>) -> bool) {
    let Some(folder) = support::vectors("wycheproof") else { return };
    let all = read(&folder.join(file));
    let (mut counted, mut wrong) = (0, Vec::new());
    for group in all["testGroups"].as_array().expect("groups") {
        for test in group["tests"].as_array().expect("tests") {
            let case = Case { group, test };
            let mut wanted = match case.result() {
                "valid" => Some(true),
                "invalid" => Some(false),
                _ => None,
            };
            if otherwise.iter().any(|flag| case.has_flag(flag)) {
                wanted = wanted.map(|wanted| !wanted);
            }
            counted += 1;
            let accepted = accepts(&case);
            if wanted.is_some_and(|wanted| wanted != accepted) {
                wrong.push(format!("{} {} {} – accepted: {accepted}", test["tcId"], test["flags"], test["comment"]));
            }
        }
    }
    assert!(counted > 0, "{file} has no vectors");
    assert!(wrong.is_empty(), "{file}: {} of {counted} come out otherwise\n{}", wrong.len(), wrong.join("\n"));
}

fn read(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).expect("JSON")
}

fn unhex(text: &str) -> Vec<u8> {
    let even = if text.len().is_multiple_of(2) { text.to_owned() } else { format!("0{text}") };
    let byte = |at| u8::from_str_radix(&even[at..at + 2], 16).expect("hexadecimal");
    (0..even.len()).step_by(2).map(byte).collect()
}
