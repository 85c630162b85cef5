//! What no suite has: the bound, the qualifiers, and what cannot be read.

use super::*;
use crate::asn1::encode;
use crate::pki::policy::extensions::Mapping;

const MOST: usize = 50_000;

fn oid(number: u64) -> Oid {
    Oid::from_dotted(&format!("2.999.{number}")).expect("an identifier")
}

fn named(oids: impl IntoIterator<Item = Oid>) -> Vec<CertificatePolicy> {
    oids.into_iter().map(|oid| CertificatePolicy { oid, qualifiers: Vec::new() }).collect()
}

/// Each of `width` policies mapped to each of the next certificate's.
fn crossed(from: u64, to: u64, width: u64) -> Vec<Mapping> {
    (0..width).flat_map(|a| (0..width).map(move |b| Mapping { issuer: oid(from + a), subject: oid(to + b) })).collect()
}

#[test]
fn ways_that_double_with_each_certificate_cost_what_their_names_cost() {
    let mut budget = Budget::new("policy checks", MOST);
    let mut graph = Graph::new();
    let depths = 64;
    // a tree of RFC 5280 has 2 nodes at the first depth and 2 to the 64th at the last
    for depth in 0..depths {
        assert_eq!(graph.add(&named([oid(2 * depth), oid(2 * depth + 1)]), false, &mut budget), Ok(true));
        graph.map(&crossed(2 * depth, 2 * depth + 2, 2), Vec::new(), &mut budget).expect("within the bound");
    }
    let found = graph.authority_constrained(&mut budget).expect("within the bound");
    assert_eq!(found.iter().map(|policy| policy.oid).collect::<Vec<_>>(), [oid(0), oid(1)]);
    let left = (0..).take_while(|_| budget.spend(1_u64).is_ok()).count();
    assert!(MOST - left < 4_000, "{} steps for {depths} certificates", MOST - left);
}

#[test]
fn a_chain_with_more_names_than_any_has_ends_at_the_bound_that_is_named() {
    let mut budget = Budget::new("policy checks", 10_000_u64);
    let mut graph = Graph::new();
    let mut ended = None;
    for depth in 0..16 {
        let width = 100;
        let step = graph.add(&named((0..width).map(|n| oid(width * depth + n))), false, &mut budget);
        let step = step.and_then(|_| graph.map(&crossed(width * depth, width * (depth + 1), width), Vec::new(), &mut budget));
        ended = ended.or(step.err());
    }
    assert_eq!(ended.expect("the bound").to_string(), "limit reached: policy checks – at most 10000");
}

#[test]
fn qualifiers_of_a_policy_are_those_along_its_way_once_each() {
    let mut budget = Budget::new("policy checks", MOST);
    let statement = |text: &str| PolicyQualifier::Statement(text.to_owned());
    let with = |oid, texts: &[&str]| CertificatePolicy { oid, qualifiers: texts.iter().map(|text| statement(text)).collect() };
    let mut graph = Graph::new();
    assert_eq!(graph.add(&[with(oid::ANY_POLICY, &["any"])], true, &mut budget), Ok(true));
    assert_eq!(graph.add(&[with(oid(1), &["middle"]), with(oid(2), &["other"])], true, &mut budget), Ok(true));
    graph.map(&[Mapping { issuer: oid(1), subject: oid(5) }], Vec::new(), &mut budget).expect("within the bound");
    assert_eq!(graph.add(&[with(oid(5), &["leaf", "middle"])], true, &mut budget), Ok(true));
    let found = graph.authority_constrained(&mut budget).expect("within the bound");
    assert_eq!(found, [with(oid(1), &["any", "middle", "leaf"])]);
}

#[test]
fn qualifiers_are_read_and_what_is_none_is_refused() {
    let policies =
        |qualifiers: &[Vec<u8>]| encode::sequence(&[encode::sequence(&[encode::oid(&oid(1)), encode::sequence(qualifiers)])]);
    let statement = encode::sequence(&[encode::oid(&oid::ID_QT_CPS), encode::ia5("http://a.example/cps")]);
    let reference =
        encode::sequence(&[encode::utf8("Example Org"), encode::sequence(&[encode::integer_u64(1), encode::integer_u64(2)])]);
    let notice = encode::sequence(&[encode::oid(&oid::ID_QT_UNOTICE), encode::sequence(&[reference, encode::utf8("Read me")])]);
    let odd = encode::sequence(&[encode::oid(&oid::ID_QT_UNOTICE), encode::null()]);
    let read = extensions::policies(&policies(&[statement, notice, odd])).expect("policies");
    let shown: Vec<String> = read[0].qualifiers.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["http://a.example/cps", "Read me (Example Org, 1, 2)", "a qualifier 1.3.6.1.5.5.7.2.2"]);
    for (value, why) in [
        (policies(&[]), "an empty list of policy qualifiers"),
        (encode::sequence(&[] as &[Vec<u8>]), "an empty list"),
        (
            encode::sequence(&[encode::sequence(&[encode::oid(&oid(1))]), encode::sequence(&[encode::oid(&oid(1))])]),
            "stands twice",
        ),
        ([policies(&[encode::sequence(&[encode::oid(&oid(1)), encode::null()])]), encode::null()].concat(), ""),
    ] {
        let error = extensions::policies(&value).expect_err(why).to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn numbers_of_certificates_of_any_size_are_read_and_negative_ones_refused() {
    let inhibit = |content: &[u8]| extensions::inhibit_any(&encode::tlv(crate::asn1::Tag::INTEGER, content)).ok();
    assert_eq!(inhibit(&[5]), Some(5));
    assert_eq!(inhibit(&[0, 255]), Some(255));
    assert_eq!(inhibit(&[1; 9]), Some(u64::MAX), "as good as no limit");
    assert_eq!((inhibit(&[0xff]), inhibit(&[])), (None, None));
    let constraints = |fields: &[Vec<u8>]| extensions::constraints(&encode::sequence(fields)).ok();
    let both = [encode::implicit(0, &encode::integer_u64(0)), encode::implicit(1, &encode::integer_u64(3))];
    let read = constraints(&both).expect("constraints");
    assert_eq!((read.require_explicit, read.inhibit_mapping), (Some(0), Some(3)));
    assert_eq!(constraints(&[]), None, "they constrain nothing");
}
