use crate::asn1::reader::Reader;
use crate::asn1::writer::Writer;
use crate::asn1::{Cursor, Error, Tag, encode, oid};
use crate::limits::Limits;
use crate::time::Timestamp;

/// A tree of values, written with definite or with indefinite lengths by the same seed.
fn tree(seed: &mut u64, depth: usize, indefinite: bool) -> Vec<u8> {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let pick = *seed >> 60;
    if depth == 0 || pick < 6 {
        return encode::octet_string(&vec![7; usize::try_from(*seed >> 50 & 0x1ff).unwrap_or(0)]);
    }
    let children: Vec<Vec<u8>> = (0..pick % 4).map(|_| tree(seed, depth - 1, indefinite)).collect();
    if !indefinite {
        return encode::sequence(&children);
    }
    let mut out = vec![0x30, 0x80];
    children.iter().for_each(|child| out.extend_from_slice(child));
    out.extend_from_slice(&[0, 0]);
    out
}

fn shape(mut cursor: Cursor<'_>) -> Vec<usize> {
    let mut out = Vec::new();
    while !cursor.is_empty() {
        let element = cursor.any().expect("a whole value");
        if element.tag.constructed {
            out.push(usize::MAX);
            out.extend(shape(element.cursor().expect("not too deep")));
            out.push(usize::MAX - 1);
        } else {
            out.push(element.content.len());
        }
    }
    out
}

#[test]
fn definite_and_indefinite_trees_read_the_same() {
    for start in 0..200_u64 {
        let (mut a, mut b) = (start, start);
        let (definite, indefinite) = (tree(&mut a, 6, false), tree(&mut b, 6, true));
        assert_eq!(shape(Cursor::new(&definite)), shape(Cursor::new(&indefinite)));
        for bytes in [&definite, &indefinite] {
            let mut reader = Reader::new(bytes.as_slice(), &Limits::default());
            assert_eq!(&reader.raw().expect("one value"), bytes);
            reader.finish().expect("nothing follows");
        }
    }
}

#[test]
fn truncation_anywhere_is_an_error() {
    let mut seed = 3;
    let bytes = encode::sequence(&[tree(&mut seed, 6, true), encode::integer_u64(70_000), tree(&mut seed, 6, false)]);
    for end in 0..bytes.len() {
        let cut = &bytes[..end];
        assert!(Cursor::new(cut).any().is_err());
        assert!(
            matches!(Reader::new(cut, &Limits::default()).raw(), Err(Error::Truncated { .. } | Error::Unexpected { .. })),
            "at {end}"
        );
    }
}

#[test]
fn nesting_is_bounded_in_both_readers() {
    let mut deep = [0x30, 0x80].repeat(200_000);
    deep.extend([0, 0].repeat(200_000));
    assert!(matches!(Cursor::new(&deep).any(), Err(Error::Limit(_))));
    assert!(matches!(Reader::new(deep.as_slice(), &Limits::default()).raw(), Err(Error::Limit(_))));
}

#[test]
fn both_readers_name_the_bound_in_force() {
    let limits = Limits { ber_depth: 3, ..Limits::default() };
    let reached = |error: Error| assert_eq!(error.to_string(), "limit reached: ber depth – at most 3");
    let open = [0x30, 0x80].repeat(9);
    let deep = [&open[..], &[0; 18]].concat();
    reached(Cursor::with_limits(&deep, &limits).any().expect_err("too deep"));
    reached(Reader::new(deep.as_slice(), &limits).raw().expect_err("too deep"));
    // of definite lengths each is found when it is entered
    let mut cursor = Cursor::with_limits(&[0x30, 8, 0x30, 6, 0x30, 4, 0x30, 2, 0x30, 0], &limits);
    for _ in 0..3 {
        cursor = cursor.sequence().expect("three are allowed");
    }
    reached(cursor.sequence().expect_err("too deep"));
}

#[test]
fn octets_in_pieces_of_every_form_are_joined() {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out);
    writer.open(Tag::context(0)).expect("memory");
    writer.piece(&[1; 100_000]).expect("memory");
    writer.piece(&[2; 3]).expect("memory");
    writer.close().expect("memory");
    writer.finish().expect("memory");
    let mut reader = Reader::new(out.as_slice(), &Limits::default());
    let mut octets = reader.octets(Tag::context(0)).expect("an octet string");
    let mut joined = Vec::new();
    while let Some(piece) = reader.next_piece(&mut octets).expect("whole") {
        joined.extend_from_slice(piece);
    }
    reader.finish().expect("nothing follows");
    assert_eq!(joined.len(), 100_003);
    let element = Cursor::new(&out).any().expect("whole");
    assert_eq!(element.bytes().expect("octets"), joined);
}

#[test]
fn nested_constructed_pieces_with_non_minimal_lengths_are_joined() {
    let ber = [0x24, 0x80, 0x24, 0x84, 0, 0, 0, 6, 4, 0x82, 0, 2, b'a', b'b', 4, 0x81, 1, b'c', 0, 0];
    let mut reader = Reader::new(&ber[..], &Limits::default());
    let mut octets = reader.octets(Tag::OCTET_STRING).expect("an octet string");
    let mut joined = Vec::new();
    while let Some(piece) = reader.next_piece(&mut octets).expect("whole") {
        joined.extend_from_slice(piece);
    }
    assert_eq!(joined, b"abc");
    assert_eq!(Cursor::new(&ber).octet_string().expect("octets").as_ref(), b"abc");
}

#[test]
fn a_value_longer_than_the_one_around_it_is_refused() {
    let ber = [0x30, 0x04, 0x04, 0x05, 1, 2, 3, 4, 5];
    let mut reader = Reader::new(&ber[..], &Limits::default());
    reader.enter(Tag::SEQUENCE).expect("a sequence");
    assert!(matches!(reader.octets(Tag::OCTET_STRING), Err(Error::Malformed { .. })));
}

#[test]
fn times_are_read_with_and_without_seconds() {
    let read = |tag: Tag, text: &str| Cursor::new(&encode::tlv(tag, text.as_bytes())).time().map(Timestamp::unix).ok();
    assert_eq!(read(Tag::UTC_TIME, "260411093000Z"), Some(1_775_899_800));
    assert_eq!(read(Tag::UTC_TIME, "2604110930Z"), Some(1_775_899_800));
    assert_eq!(read(Tag::UTC_TIME, "260411113000+0200"), Some(1_775_899_800));
    assert_eq!(read(Tag::GENERALIZED_TIME, "20260411093000.5Z"), Some(1_775_899_800));
    assert_eq!(read(Tag::UTC_TIME, "261311093000Z"), None);
    let late = Timestamp::from_unix(2_600_000_000);
    assert_eq!(Cursor::new(&encode::time(late)).time().ok(), Some(late));
}

#[test]
fn der_is_what_the_standard_writes() {
    assert_eq!(encode::integer(&[0, 0x80]), [2, 2, 0, 0x80]);
    assert_eq!(encode::integer_u64(0), [2, 1, 0]);
    assert_eq!(encode::named_bits(&[0, 5]), [3, 2, 2, 0x84]);
    assert_eq!(encode::oid(&oid::ID_DATA), [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1]);
    assert_eq!(encode::set_of(vec![encode::integer_u64(9), encode::integer_u64(2)]), [0x31, 6, 2, 1, 2, 2, 1, 9]);
    assert_eq!(encode::implicit(1, &encode::octet_string(b"x")), [0x81, 1, b'x']);
    assert_eq!(encode::tlv(Tag::context(70), &[]), [0x9f, 70, 0]);
    assert_eq!(encode::octet_string(&[0; 300]).get(..4), Some(&[4, 0x82, 1, 44][..]));
}
