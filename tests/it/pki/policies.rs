//! Certificate policies: what PKITS asks and expects, and what no suite has.

use std::collections::BTreeSet;

use rcgen::{CertificateParams, CustomExtension, Issuer, KeyPair, KeyUsagePurpose};
use serde_json::Value;

use sealpost::asn1::{Oid, encode, oid};
use sealpost::limits::Limits;
use sealpost::pki::{
    self, Certificate, ChainStatus, ChainVerdict, Judgement, PolicyInputs, Purpose, ReasonCode, Revocation, TrustAnchors,
};
use sealpost::time::Timestamp;

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

/// A certificate that names these policies and maps the first to the second of each pair.
fn extended(name: &str, policies: &[u64], mappings: &[(u64, u64)]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(2025, 1, 1), rcgen::date_time_ymd(2030, 1, 1));
    let list = |fields: Vec<Vec<u8>>| encode::sequence(&fields);
    let named = policies.iter().map(|policy| list(vec![encode::oid(&oid(*policy))])).collect();
    let mapped = mappings.iter().map(|(a, b)| list(vec![encode::oid(&oid(*a)), encode::oid(&oid(*b))])).collect();
    params.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 32], list(named)));
    if !mappings.is_empty() {
        params.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 33], list(mapped)));
    }
    params
}

fn authority(name: &str, policies: &[u64], mappings: &[(u64, u64)]) -> CertificateParams {
    let mut params = extended(name, policies, mappings);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn oid(number: u64) -> Oid {
    Oid::from_dotted(&format!("2.999.{number}")).expect("an identifier")
}

fn read(certificate: &rcgen::Certificate) -> Certificate {
    Certificate::from_der(certificate.der()).expect("a certificate")
}

fn judged(leaf: &Certificate, pool: &[Certificate], anchor: Certificate, inputs: &PolicyInputs, limits: &Limits) -> ChainVerdict {
    let question = Judgement {
        leaf,
        pool,
        anchors: &TrustAnchors::from_iter([anchor]),
        crls: &[],
        purpose: Purpose::Any,
        // 2026-06-01
        at: Timestamp::from_unix(1_780_272_000),
        revocation: Revocation::Off,
        limits,
    };
    pki::judge_under(&question, inputs)
}

#[test]
fn a_path_that_is_refused_for_its_policies_lets_another_be_tried_and_is_told_of() {
    let (root_key, key) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
    let root = authority("Root", &[1], &[]);
    let anchor = read(&root.self_signed(&root_key).expect("signed"));
    let root = Issuer::new(root, root_key);
    // one authority with two certificates, under two policies
    let [first, second] = [1, 2].map(|policy| authority("Issuing", &[policy], &[]).signed_by(&key, &root).expect("signed"));
    let pool = [read(&first), read(&second)];
    let issuing = Issuer::new(authority("Issuing", &[2], &[]), key);
    let leaf = extended("Jane", &[2], &[]).signed_by(&KeyPair::generate().expect("a key"), &issuing).expect("signed");
    let leaf = read(&leaf);
    let inputs = PolicyInputs::new().require_explicit();
    let verdict = judged(&leaf, &pool, anchor.clone(), &inputs, &Limits::default());
    assert_eq!((verdict.status, verdict.path.get(1)), (ChainStatus::Trusted, Some(&pool[1])));
    assert_eq!(verdict.policies.iter().map(|policy| policy.oid).collect::<Vec<_>>(), [oid(2)]);
    let [rejected] = &verdict.rejected[..] else { panic!("{:?}", verdict.rejected) };
    assert_eq!((rejected.status, rejected.path.get(1)), (ChainStatus::Unsuitable, Some(&pool[0])));
    let [reason] = &rejected.reasons[..] else { panic!("{:?}", rejected.reasons) };
    assert_eq!((reason.code, reason.at), (ReasonCode::Policy, Some(0)));
    assert_eq!(reason.text, "no certificate policy holds from the anchor down to CN=Jane – the verifier demands one");
    // none of both where another policy is asked for
    let verdict = judged(&leaf, &pool, anchor.clone(), &inputs.clone().accept(oid(3)), &Limits::default());
    let texts: Vec<&str> = verdict.rejected.iter().flat_map(|path| &path.reasons).map(|reason| reason.text.as_str()).collect();
    assert_eq!((verdict.status, texts.len()), (ChainStatus::Unsuitable, 2));
    assert_eq!(texts[1], "certificate of CN=Jane stands under the policies 2.999.2 – the verifier demands one of 2.999.3");
    assert!(verdict.policies.is_empty());
    // there is always room for one
    let mut limits = Limits::default();
    limits.rejection_bytes = 10;
    let verdict = judged(&leaf, &pool, anchor, &inputs.accept(oid(3)), &limits);
    assert_eq!((verdict.rejected.len(), verdict.rejected_untold), (1, 1));
}

/// Chains of 15 in which every certificate maps each of three policies to each of three others: RFC 5280 makes a tree of 3 to the 14th
/// leaves of it.
#[test]
fn a_chain_whose_ways_triple_with_each_certificate_is_judged_and_bounded() {
    let key = KeyPair::generate().expect("a key");
    let root = authority("Root", &[0], &[]);
    let anchor = read(&root.self_signed(&key).expect("signed"));
    let mut issuer = Issuer::new(root, key);
    let mut pool = Vec::new();
    for depth in 0..14 {
        let policies = [3 * depth, 3 * depth + 1, 3 * depth + 2];
        let mappings: Vec<(u64, u64)> =
            policies.iter().flat_map(|from| (0..3).map(move |to| (*from, 3 * depth + 3 + to))).collect();
        let params = authority(&format!("Authority {depth}"), &policies, &mappings);
        let key = KeyPair::generate().expect("a key");
        pool.push(read(&params.signed_by(&key, &issuer).expect("signed")));
        issuer = Issuer::new(params, key);
    }
    let leaf = extended("Jane", &[42, 43], &[]).signed_by(&KeyPair::generate().expect("a key"), &issuer).expect("signed");
    let leaf = read(&leaf);
    let inputs = PolicyInputs::new().accept(oid(1)).require_explicit();
    let verdict = judged(&leaf, &pool, anchor.clone(), &inputs, &Limits::default());
    assert_eq!(verdict.status, ChainStatus::Trusted, "{:?}", verdict.reasons);
    assert_eq!(verdict.policies.iter().map(|policy| policy.oid).collect::<Vec<_>>(), [oid(1)]);
    let mut limits = Limits::default();
    limits.policy_checks = 100;
    let verdict = judged(&leaf, &pool, anchor, &inputs, &limits);
    let reasons: Vec<&str> = verdict.reasons.iter().map(|reason| reason.text.as_str()).collect();
    assert_eq!(reasons, ["limit reached: policy checks – at most 100"]);
    assert_eq!(verdict.status, ChainStatus::Untrusted);
}

#[test]
fn a_mapping_from_or_to_any_policy_is_refused() {
    let key = KeyPair::generate().expect("a key");
    let root = authority("Root", &[0], &[]);
    let anchor = read(&root.self_signed(&key).expect("signed"));
    let root = Issuer::new(root, key);
    for (from, to) in [(oid(1), oid::ANY_POLICY), (oid::ANY_POLICY, oid(1))] {
        let mut params = authority("Issuing", &[1], &[]);
        let mapping = encode::sequence(&[encode::sequence(&[encode::oid(&from), encode::oid(&to)])]);
        params.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 33], mapping));
        let key = KeyPair::generate().expect("a key");
        let pool = [read(&params.signed_by(&key, &root).expect("signed"))];
        let leaf = extended("Jane", &[1], &[]).signed_by(&KeyPair::generate().expect("a key"), &Issuer::new(params, key));
        let verdict = judged(&read(&leaf.expect("signed")), &pool, anchor.clone(), &PolicyInputs::new(), &Limits::default());
        let reasons: Vec<(&str, Option<usize>)> =
            verdict.reasons.iter().map(|reason| (reason.text.as_str(), reason.at)).collect();
        assert_eq!(reasons, [("certificate of CN=Issuing maps from or to any policy, which none may", Some(1))]);
    }
}
