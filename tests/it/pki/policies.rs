//! Certificate policies: what PKITS asks and expects, and what no suite has.

use std::collections::BTreeSet;

use rcgen::{CertificateParams, CustomExtension, Issuer, KeyPair, KeyUsagePurpose};
use serde_json::Value;

use sealpost::asn1::{Cursor, Oid, encode, oid};
use sealpost::limits::Limits;
use sealpost::pki::{
    self, Certificate, ChainStatus, ChainVerdict, Judgement, PolicyInputs, Purpose, ReasonCode, Revocation, TrustAnchors,
};
use sealpost::time::Timestamp;

use crate::support;

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
        ocsp: &[],
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

/// A number below `most` from a seed that moves on.
fn below(seed: &mut u64, most: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) % most
}

/// Some of three policies and of "any".
fn some_policies(seed: &mut u64) -> Vec<u8> {
    let mut named: Vec<Oid> = (1..4).filter(|_| below(seed, 2) == 0).map(oid).collect();
    if below(seed, 3) == 0 || named.is_empty() {
        named.push(oid::ANY_POLICY);
    }
    encode::sequence(&named.iter().map(|policy| encode::sequence(&[encode::oid(policy)])).collect::<Vec<_>>())
}

/// What an authority may say of policies, drawn by lot.
fn drawn(name: &str, seed: &mut u64) -> CertificateParams {
    let mut params = authority(name, &[], &[]);
    params.use_authority_key_identifier_extension = true;
    params.custom_extensions.clear();
    let mut add = |last: u64, value: Vec<u8>| {
        let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, last], value);
        extension.set_criticality(last != 32);
        params.custom_extensions.push(extension);
    };
    if below(seed, 8) != 0 {
        add(32, some_policies(seed));
    }
    if below(seed, 3) == 0 {
        let pair = |seed: &mut u64| {
            let [from, to] = [0; 2].map(|_| encode::oid(&oid(1 + below(seed, 3))));
            encode::sequence(&[from, to])
        };
        let pairs: Vec<Vec<u8>> = (0..=below(seed, 3)).map(|_| pair(seed)).collect();
        add(33, encode::sequence(&pairs));
    }
    if below(seed, 3) == 0 {
        let fields = [0, 1].map(|number| encode::implicit(number, &encode::integer_u64(below(seed, 3))));
        let [explicit, mapping] = fields;
        let fields = match below(seed, 3) {
            0 => vec![explicit],
            1 => vec![mapping],
            _ => vec![explicit, mapping],
        };
        add(36, encode::sequence(&fields));
    }
    if below(seed, 4) == 0 {
        add(54, encode::integer_u64(below(seed, 3)));
    }
    params
}

/// Whether it names "any" and maps a policy that it names in no other way. OpenSSL 3 lets such a policy stand even where "any" is
/// inhibited, and where the certificate below says "any", it goes on with the name from before the mapping. RFC 5280 6.1.4 (b) (1)
/// wants a node of "any" for it, and 6.1.3 (d) (2) goes on with the expected names.
fn maps_what_only_any_names(certificate: &Certificate) -> bool {
    let named: Vec<Oid> = certificate.policies().unwrap_or_default().iter().map(|policy| policy.oid).collect();
    let Some(extension) = certificate.extension(&oid::POLICY_MAPPINGS) else { return false };
    let mut mappings = Cursor::new(&extension.value).sequence().expect("mappings");
    let mut issuers = std::iter::from_fn(|| mappings.sequence().ok()?.oid().ok());
    named.contains(&oid::ANY_POLICY) && issuers.any(|issuer| !named.contains(&issuer))
}

#[test]
fn openssl_says_the_same_of_chains_drawn_by_lot() {
    if !support::peer("openssl") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let root_key = KeyPair::generate().expect("a key");
    let mut root = authority("Root", &[], &[]);
    root.custom_extensions.clear();
    let root_certificate = root.self_signed(&root_key).expect("signed");
    std::fs::write(path("root"), root_certificate.pem()).expect("written");
    let root = Issuer::new(root, root_key);
    let (mut seed, mut wrong, mut trusted, mut explained) = (20_260_601, Vec::new(), 0, 0);
    for number in 0..CHAINS {
        let mut pool = Vec::new();
        let mut issuer: Option<Issuer<'_, KeyPair>> = None;
        let mut name = String::new();
        for depth in 0..=below(&mut seed, 4) {
            // one in four vouches for its own next key
            if depth == 0 || below(&mut seed, 4) != 0 {
                name = format!("Authority {depth}");
            }
            let (params, key) = (drawn(&name, &mut seed), KeyPair::generate().expect("a key"));
            pool.push(params.signed_by(&key, issuer.as_ref().unwrap_or(&root)).expect("signed"));
            issuer = Some(Issuer::new(params, key));
        }
        let mut leaf = extended("Jane", &[], &[]);
        leaf.use_authority_key_identifier_extension = true;
        leaf.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 32], some_policies(&mut seed))];
        let leaf = leaf.signed_by(&KeyPair::generate().expect("a key"), issuer.as_ref().unwrap_or(&root)).expect("signed");
        let (mut inputs, mut options) = (PolicyInputs::new(), vec!["-policy_check".to_owned()]);
        for policy in (1..3).filter(|_| below(&mut seed, 3) == 0).collect::<Vec<_>>() {
            inputs = inputs.accept(oid(policy));
            options.extend(["-policy".to_owned(), oid(policy).to_string()]);
        }
        if options.len() == 1 {
            // its default is no policy at all
            options.extend(["-policy".to_owned(), oid::ANY_POLICY.to_string()]);
        }
        if below(&mut seed, 3) != 0 {
            inputs = inputs.require_explicit();
            options.push("-explicit_policy".to_owned());
        }
        if below(&mut seed, 6) == 0 {
            inputs = inputs.inhibit_mapping();
            options.push("-inhibit_map".to_owned());
        }
        if below(&mut seed, 6) == 0 {
            inputs = inputs.inhibit_any();
            options.push("-inhibit_any".to_owned());
        }
        let certificates: Vec<Certificate> = pool.iter().map(read).collect();
        let verdict = judged(&read(&leaf), &certificates, read(&root_certificate), &inputs, &Limits::default());
        std::fs::write(path("pool"), pool.iter().map(rcgen::Certificate::pem).collect::<String>()).expect("written");
        std::fs::write(path("leaf"), leaf.pem()).expect("written");
        let line = ["verify", "-attime", "1780272000", "-CAfile", &path("root"), "-untrusted", &path("pool")].map(str::to_owned);
        let line: Vec<String> = line.into_iter().chain(options).chain([path("leaf")]).collect();
        let (code, out, talk) = support::run("openssl", &line.iter().map(String::as_str).collect::<Vec<_>>(), b"");
        let is_trusted = verdict.status == ChainStatus::Trusted;
        trusted += usize::from(is_trusted);
        let is_explained = certificates.iter().any(maps_what_only_any_names);
        if is_trusted == (code == 0) {
            continue;
        }
        if is_explained {
            explained += 1;
        } else {
            let reasons: Vec<&str> = verdict.reasons.iter().map(|reason| reason.text.as_str()).collect();
            wrong.push(format!(
                "{number} {line:?}: {is_trusted} {reasons:?}, openssl {code} {}{talk}",
                String::from_utf8_lossy(&out)
            ));
        }
    }
    eprintln!(
        "policies by lot: {CHAINS} chains, {trusted} trusted, {explained} otherwise with a reason, {} without",
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(explained < CHAINS / 20, "{explained}");
    assert!(trusted > CHAINS / 5 && trusted < CHAINS * 4 / 5, "{trusted} of {CHAINS} trusted: both kinds shall be many");
}

/// 4 000 give the same; each costs a process.
const CHAINS: usize = 200;
