//! Certificate policies: what PKITS asks and expects, and what no suite has.

use std::collections::BTreeSet;

use serde_json::Value;

use sealpost::asn1::Oid;
use sealpost::pki::{ChainVerdict, PolicyInputs};

/// The inputs that the document of PKITS states for a test.
pub(super) fn inputs(test: &Value, names: &Value) -> PolicyInputs {
    let is_set = |name: &str| test[name].as_bool().expect("a flag");
    let mut inputs = PolicyInputs::new();
    for oid in named(&test["initial_policy_set"], names) {
        inputs = inputs.accept(Oid::from_dotted(&oid).expect("an identifier"));
    }
    if is_set("initial_explicit_policy") {
        inputs = inputs.require_explicit();
    }
    if is_set("initial_policy_mapping_inhibit") {
        inputs = inputs.inhibit_mapping();
    }
    if is_set("initial_inhibit_any_policy") {
        inputs = inputs.inhibit_any();
    }
    inputs
}

/// The user-constrained policies, where they are others than the test states.
pub(super) fn other_than_stated(test: &Value, verdict: &ChainVerdict, names: &Value) -> Option<String> {
    let found: BTreeSet<String> = verdict.policies.iter().map(|policy| policy.oid.to_string()).collect();
    let stated = named(&test["user_constrained_policy_set"], names);
    // of a path that fails, PKITS states at times what it would have had
    let is_stated = found == stated || (test["should_validate"] == false && found.is_empty());
    (!is_stated).then(|| format!("{found:?}, not {stated:?}"))
}

/// Policies by the names of the suite.
fn named(list: &Value, names: &Value) -> BTreeSet<String> {
    let names = list.as_array().expect("a list").iter().map(|name| &names[name.as_str().expect("a name")]);
    names.map(|oid| oid.as_str().expect("an identifier").to_owned()).collect()
}
