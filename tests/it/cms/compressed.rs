//! CompressedData: what others compressed is read, what we compress others read, bombs and damage are refused.

use std::io::Read;

use sealpost::cms::{self, Content, Error};
use sealpost::limits::Limits;

use crate::support;

/// Decompresses, asking for so many bytes at a time.
fn decompress(message: &[u8], step: usize, limits: &Limits) -> Result<(Vec<u8>, bool), Error> {
    decompress_from(message, step, limits)
}

fn decompress_from(message: impl Read, step: usize, limits: &Limits) -> Result<(Vec<u8>, bool), Error> {
    let Content::Compressed(mut reader) = cms::open(message, limits)? else { panic!("it is compressed") };
    assert_eq!(reader.content_type().to_string(), "1.2.840.113549.1.7.1");
    let (mut content, mut piece) = (Vec::new(), vec![0; step]);
    loop {
        match reader.read(&mut piece)? {
            0 => break,
            given => content.extend_from_slice(&piece[..given]),
        }
    }
    Ok((content, reader.finish()?.has_trailing))
}

/// Content that compresses well, yet not to nothing.
fn content(length: u32) -> Vec<u8> {
    (0..length).map(|n| b"the quick brown fox"[(n as usize * n as usize / 7) % 19]).collect()
}

fn compressed(content: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    cms::compress(&mut &content[..], &mut message).unwrap();
    message
}

/// A DER CompressedData around these bytes.
fn around(zlib: &[u8]) -> Vec<u8> {
    use sealpost::asn1::{encode, oid};
    let algorithm = encode::sequence(&[encode::oid(&oid::ZLIB_COMPRESS)]);
    let inner = encode::sequence(&[encode::oid(&oid::ID_DATA), encode::explicit(0, &encode::octet_string(zlib))]);
    let data = encode::sequence(&[encode::integer_u64(0), algorithm, inner]);
    encode::sequence(&[encode::oid(&oid::ID_COMPRESSED_DATA), encode::explicit(0, &data)])
}

/// zlib by Python, an implementation that is not ours.
fn python_zlib(content: &[u8], level: u8) -> Option<Vec<u8>> {
    if !support::peer("python3") {
        return None;
    }
    let program = format!("import sys,zlib;sys.stdout.buffer.write(zlib.compress(sys.stdin.buffer.read(),{level}))");
    let (code, out, error) = support::run("python3", &["-c", &program], content);
    assert_eq!(code, 0, "{error}");
    Some(out)
}

#[test]
fn reads_the_zlib_of_others_in_any_pieces() {
    for length in [0, 1, 5_000, 300_000] {
        let content = content(length);
        for level in [0, 1, 9] {
            let Some(zlib) = python_zlib(&content, level) else { return };
            let message = around(&zlib);
            for step in [1, 7, 4096, 1 << 20] {
                if step == 1 && length > 5_000 {
                    continue;
                }
                assert_eq!(decompress(&message, step, &Limits::default()).unwrap(), (content.clone(), false), "{length} {level}");
            }
        }
    }
}

#[test]
fn python_reads_what_is_compressed_here() {
    if !support::peer("python3") {
        return;
    }
    // walks the indefinite lengths down to the pieces of the string; knows nothing of our encoder
    let program = "
import sys, zlib
d = sys.stdin.buffer.read()
head = bytes.fromhex('3080060b2a864886f70d0109100109a0803080020100300d060b2a864886f70d0109100308308006092a864886f70d010701a0802480')
assert d.startswith(head), d[:60].hex()
at, z = len(head), b''
while d[at] == 4:
    n, at = d[at + 1], at + 2
    if n >= 128:
        k = n - 128
        n, at = int.from_bytes(d[at:at + k], 'big'), at + k
    z, at = z + d[at:at + n], at + n
assert d[at:] == bytes(12), d[at:].hex()
o = zlib.decompressobj()
out = o.decompress(z)
assert o.eof and not o.unused_data
sys.stdout.buffer.write(out)
";
    for length in [0, 1, 70_000, 1_000_000] {
        let content = content(length);
        let message = compressed(&content);
        assert!(length < 1000 || message.len() < content.len());
        let (code, out, error) = support::run("python3", &["-c", program], &message);
        assert_eq!(code, 0, "{error}");
        assert!(out == content, "{length}");
        assert!(decompress(&message, 65_536, &Limits::default()).unwrap() == (content, false));
    }
}

#[test]
fn refuses_what_was_cut_or_changed() {
    let message = compressed(&content(3_000));
    for end in 0..message.len() {
        let cut = &message[..end];
        match cms::open(cut, &Limits::default()) {
            Ok(Content::Compressed(_)) => assert!(decompress(cut, 4096, &Limits::default()).is_err(), "cut at {end}"),
            Ok(_) => panic!("it is compressed"),
            Err(_) => {}
        }
    }
    let zlib_at = message.windows(2).position(|two| two == [0x78, 0x9c]).unwrap();
    let original = decompress(&message, 4096, &Limits::default()).unwrap().0;
    for at in zlib_at..message.len() - 12 {
        let mut changed = message.clone();
        changed[at] ^= 0x10;
        match decompress(&changed, 4096, &Limits::default()) {
            Ok((content, _)) => assert!(content == original, "a change at {at} gave other content"),
            Err(error) => assert!(!matches!(error, Error::Io(_)), "{error}"),
        }
    }
}

#[test]
fn refuses_a_stream_without_its_checksum_and_bytes_after_it() {
    let Some(zlib) = python_zlib(&content(2_000), 6) else { return };
    let cut = decompress(&around(&zlib[..zlib.len() - 4]), 4096, &Limits::default()).unwrap_err();
    assert!(cut.to_string().contains("ends too early"), "{cut}");
    let mut wrong = zlib.clone();
    *wrong.last_mut().unwrap() ^= 1;
    assert!(decompress(&around(&wrong), 4096, &Limits::default()).is_err());
    let more = decompress(&around(&[&zlib[..], b"x"].concat()), 4096, &Limits::default()).unwrap_err();
    assert!(more.to_string().contains("bytes follow the compressed content"), "{more}");
    let twice = decompress(&around(&[&zlib[..], &zlib[..]].concat()), 4096, &Limits::default()).unwrap_err();
    assert!(twice.to_string().contains("bytes follow the compressed content"), "{twice}");
    let (_, has_trailing) = decompress(&[&around(&zlib)[..], b"\r\n"].concat(), 4096, &Limits::default()).unwrap();
    assert!(has_trailing);
}

#[test]
fn no_stream_at_all_is_no_content_and_a_begun_one_is_cut() {
    assert_eq!(decompress(&around(b""), 4096, &Limits::default()).unwrap(), (Vec::new(), false));
    let cut = decompress(&around(b"\x78"), 4096, &Limits::default()).unwrap_err();
    assert!(cut.to_string().contains("ends too early"), "{cut}");
}

#[test]
fn an_end_that_was_not_asked_for_is_still_checked() {
    let message = compressed(&content(100));
    let Ok(Content::Compressed(mut reader)) = cms::open(&message[..], &Limits::default()) else { panic!("compressed") };
    let mut all = vec![0; 100];
    assert_eq!(reader.read(&mut all).unwrap(), 100);
    assert!(reader.finish().is_ok());
    let Ok(Content::Compressed(mut reader)) = cms::open(&message[..], &Limits::default()) else { panic!("compressed") };
    assert_eq!(reader.read(&mut all[..10]).unwrap(), 10);
    assert!(reader.finish().unwrap_err().to_string().contains("not read to its end"));
}

#[test]
fn refuses_other_algorithms_and_missing_content() {
    use sealpost::asn1::{encode, oid};
    let message = around(b"x");
    let id = encode::oid(&oid::ZLIB_COMPRESS);
    let at = message.windows(id.len()).position(|window| window == id).unwrap();
    let mut other = message.clone();
    other[at + id.len() - 1] ^= 1;
    assert!(matches!(cms::open(&other[..], &Limits::default()), Err(Error::Unsupported(what)) if what.contains("compression")));
    let inner = encode::sequence(&[encode::oid(&oid::ID_DATA)]);
    let data = encode::sequence(&[encode::integer_u64(0), encode::sequence(&[id]), inner]);
    let empty = encode::sequence(&[encode::oid(&oid::ID_COMPRESSED_DATA), encode::explicit(0, &data)]);
    assert!(matches!(cms::open(&empty[..], &Limits::default()), Err(Error::Malformed(what)) if what.contains("without content")));
}

#[test]
fn bombs_reach_a_bound_with_its_name() {
    let name = |result: Result<(Vec<u8>, bool), Error>| match result {
        Err(Error::Limit(limit)) => limit.name,
        other => panic!("no bound reached: {:?}", other.map(|(content, _)| content.len())),
    };
    let bomb = compressed(&vec![0; 16 << 20]);
    assert_eq!(name(decompress(&bomb, 4096, &Limits::default())), "decompression ratio");
    // short content may be all blanks
    assert_eq!(decompress(&compressed(&vec![b' '; 1 << 20]), 4096, &Limits::default()).unwrap().0.len(), 1 << 20);
    let mut limits = Limits::default();
    limits.decompressed_bytes = 1000;
    assert_eq!(name(decompress(&compressed(&content(1_001)), 4096, &limits)), "decompressed bytes");
    assert!(decompress(&compressed(&content(1_000)), 4096, &limits).is_ok());
}

#[test]
fn a_source_that_fails_is_an_error() {
    struct Broken<'a>(&'a [u8]);
    impl Read for Broken<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.0.is_empty() { Err(std::io::Error::other("gone")) } else { self.0.read(buffer) }
        }
    }
    let message = compressed(&content(200_000));
    let result = decompress_from(Broken(&message[..message.len() / 2]), 4096, &Limits::default());
    assert!(matches!(result, Err(Error::Io(_))));
}
