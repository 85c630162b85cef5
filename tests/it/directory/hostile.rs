//! Directories that flood, hang, trickle or speak something else.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, IsCa, Issuer, KeyPair, SanType, SerialNumber};

use sealpost::asn1::{Class, Tag, encode};

use super::Bench;

/// A server that does one thing with whoever connects.
pub(crate) fn serve(act: impl Fn(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || listener.incoming().flatten().take(1).for_each(act));
    format!("ldap://127.0.0.1:{port}/dc=example")
}

/// What came of asking, and how long it took.
fn ask(url: &str, tls: &str, seconds: &str) -> (i32, String, Duration) {
    let begin = Instant::now();
    let args = ["--ldap", url, "--ldap-tls", tls, "--timeout", seconds];
    let (code, found, _) = Bench::new().find("alice@example.com", &args);
    (code, found["sources"][0]["error"].as_str().unwrap_or_default().to_owned(), begin.elapsed())
}

pub(crate) fn reply(id: u64, operation: u32, content: &[u8]) -> Vec<u8> {
    let tag = Tag { class: Class::Application, constructed: true, number: operation };
    encode::sequence(&[encode::integer_u64(id), encode::tlv(tag, content)])
}

pub(crate) fn entry(value: &[u8]) -> Vec<u8> {
    let pair =
        encode::sequence(&[encode::octet_string(b"userCertificate;binary"), encode::set_of(vec![encode::octet_string(value)])]);
    reply(1, 4, &[encode::octet_string(b"cn=a"), encode::sequence(&[pair])].concat())
}

/// Takes the question; then sends the same bytes until nobody takes them.
fn flood(bytes: Vec<u8>) -> String {
    serve(move |mut stream| {
        drop(stream.read(&mut [0; 4096]));
        while stream.write_all(&bytes).is_ok() {}
    })
}

#[test]
fn a_flood_of_entries_or_of_bytes_ends_at_its_bound() {
    let (code, why, _) = ask(&flood(entry(b"x")), "none", "60");
    assert!(code == 8 && why.contains("limit reached: directory entries – at most 64"), "{code} {why}");
    let (code, why, _) = ask(&flood(entry(&vec![b'x'; 1 << 20])), "none", "60");
    assert!(code == 8 && why.contains("limit reached: directory bytes"), "{code} {why}");
    // referrals count for nothing but their bytes
    let (code, why, _) = ask(&flood(reply(1, 19, &encode::octet_string(b"ldap://127.0.0.1:1/"))), "none", "1");
    assert!((code == 8 && why.contains("directory bytes")) || code == 9 && why.contains("its time is over"), "{code} {why}");
    // a message of 2 GiB is refused before it comes
    let huge = serve(|mut stream| {
        drop(stream.read(&mut [0; 4096]));
        drop(stream.write_all(&[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff]));
        drop(stream.read(&mut [0; 4096]));
    });
    let (code, why, _) = ask(&huge, "none", "60");
    assert!(code == 8 && why.contains("directory bytes"), "{code} {why}");
}

#[test]
fn certificates_that_cost_much_to_judge_share_one_bound() {
    let mut above = crate::support::params("Labyrinth");
    above.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = Issuer::new(above.clone(), KeyPair::generate().expect("a key"));
    // authorities of one name and one key, each of which vouches for all: ways without end
    let mut values: Vec<Vec<u8>> = Vec::new();
    for serial in 1..=20_u64 {
        above.serial_number = Some(SerialNumber::from(serial));
        values.push(above.signed_by(issuer.key(), &issuer).expect("signed").der().to_vec());
    }
    let key = KeyPair::generate().expect("a key");
    for serial in 100..=163_u64 {
        let mut leaf = crate::support::params("Alice");
        leaf.subject_alt_names = vec![SanType::Rfc822Name("alice@example.com".try_into().expect("ASCII"))];
        leaf.serial_number = Some(SerialNumber::from(serial));
        values.push(leaf.signed_by(&key, &issuer).expect("signed").der().to_vec());
    }
    let ended = [encode::enumerated(0), encode::octet_string(b""), encode::octet_string(b"")].concat();
    let mut answer: Vec<u8> = Vec::new();
    for some in values.chunks(2) {
        let all = encode::set_of(some.iter().map(|value| encode::octet_string(value)).collect());
        let pair = encode::sequence(&[encode::octet_string(b"userCertificate;binary"), all]);
        answer.extend(reply(1, 4, &[encode::octet_string(b"cn=a"), encode::sequence(&[pair])].concat()));
    }
    answer.extend(reply(1, 5, &ended));
    let url = serve(move |mut stream| {
        drop(stream.read(&mut [0; 4096]));
        drop(stream.write_all(&answer));
        drop(stream.read(&mut [0; 4096]));
    });
    let (code, found, talk) = Bench::trusting().find("alice@example.com", &["--ldap", &url, "--ldap-tls", "none"]);
    assert_eq!(code, 3, "{found} {talk}");
    let judged = found["certificates"].as_array().expect("certificates").len();
    // 200 ways are looked at for each
    assert!((40..=50).contains(&judged), "{judged}");
    assert_eq!(found["left_out"]["over_limit"], 64 - judged, "{found}");
}

#[test]
fn a_server_that_hangs_or_trickles_is_left_in_time() {
    let hangs = || {
        serve(|mut stream| {
            let mut buffer = [0; 4096];
            while stream.read(&mut buffer).is_ok_and(|read| read > 0) {}
        })
    };
    let trickles = serve(|mut stream| {
        drop(stream.read(&mut [0; 4096]));
        let bytes = entry(&[b'x'; 10_000]);
        for byte in bytes {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    // StartTLS is granted, and then the handshake comes in drops
    let drops = serve(|mut stream| {
        drop(stream.read(&mut [0; 4096]));
        let granted = [encode::enumerated(0), encode::octet_string(b""), encode::octet_string(b"")].concat();
        drop(stream.write_all(&reply(1, 24, &granted)));
        // the hello of the client: what came together with the grant would be refused at once
        drop(stream.read(&mut [0; 4096]));
        for byte in [0x16, 3, 3, 0x40, 0].into_iter().chain(std::iter::repeat_n(0, 10_000)) {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    for (url, how) in [(hangs(), "none"), (hangs(), "auto"), (trickles, "none"), (drops, "starttls")] {
        let (code, why, took) = ask(&url, how, "1");
        assert!(code == 9 && why.contains("its time is over"), "{how}: {code} {why}");
        // in drops it would take 500 seconds, and for ever where nothing comes
        assert!(took < Duration::from_secs(150), "{how}: {took:?}");
    }
}

#[test]
fn what_is_no_directory_is_told_so() {
    let says = |bytes: Vec<u8>| {
        serve(move |mut stream| {
            drop(stream.read(&mut [0; 4096]));
            drop(stream.write_all(&bytes));
            drop(stream.read(&mut [0; 4096]));
        })
    };
    let ended = |id, operation, code| {
        reply(id, operation, &[encode::enumerated(code), encode::octet_string(b""), encode::octet_string(b"why")].concat())
    };
    for (bytes, reason) in [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "no LDAP message"),
        (b"220 mail.example ESMTP\r\n".to_vec(), "no LDAP message"),
        (vec![0x30, 2, 0xff, 0xff], "cannot be read"),
        (ended(0, 24, 52), "it is unavailable (why)"),
        (ended(9, 5, 0), "an answer to another question"),
        (ended(1, 1, 0), "an answer that nobody asked for"),
        (ended(1, 5, 50), "access is not allowed"),
        (ended(1, 5, 10), "referrals are not followed"),
    ] {
        let (code, why, _) = ask(&says(bytes), "none", "60");
        assert!(code == 9 && why.contains(reason), "{reason}: {code} {why}");
    }
    // what follows the grant of StartTLS in the clear would be taken for an answer under TLS
    let (code, why, _) = ask(&says([ended(1, 24, 0), ended(2, 5, 0)].concat()), "starttls", "60");
    assert!(code == 9 && why.contains("in the clear where TLS begins"), "{code} {why}");
    let (code, why, _) = ask(&serve(drop), "none", "60");
    assert!(code == 9 && !why.is_empty(), "{code} {why}");
    // bytes that are no certificate are told of, and stop nothing
    let odd = says([entry(b"no certificate"), ended(1, 5, 0)].concat());
    let (code, found, _) = Bench::new().find("alice@example.com", &["--ldap", &odd, "--ldap-tls", "none"]);
    assert_eq!(code, 7);
    assert!(found["sources"][0]["notes"][0].as_str().expect("a note").contains("is no certificate"), "{found}");
}
