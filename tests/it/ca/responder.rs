//! What the authority answers over OCSP, judged by our own validator and by Python's `cryptography`.

use std::fs;
use std::sync::{Arc, Mutex};

use sealpost::asn1::{Cursor, encode, oid};
use sealpost::ca::responder::{Folder, Known, Nonces, Responder, States};
use sealpost::ca::{Error, Issuer, RevocationReason, Uses};
use sealpost::crypto::algorithm::{DigestAlgorithm, KeyAlgorithm};
use sealpost::crypto::random::{OsRandom, Random, Seeded};
use sealpost::limits::Limits;
use sealpost::pki::ocsp::{CertId, Refusal, Request, Response, Status};
use sealpost::pki::{self, Certificate, ChainStatus, Judgement, Purpose, Revocation, RevocationStatus, TrustAnchors};
use sealpost::time::Timestamp;

use super::{Bench, at, key};
use crate::support;

/// An authority with two certificates for mail and one for a server, published.
struct Desk {
    bench: Bench,
    jane: Certificate,
    joe: Certificate,
    host: Certificate,
}

impl Desk {
    fn new() -> Self {
        let bench = Bench::new(KeyAlgorithm::P384);
        let person = key(KeyAlgorithm::P256);
        let [jane, joe] = ["jane@a.example", "joe@a.example"].map(|address| bench.issue(address, &person, Uses::Dual));
        let host = bench.server(&["mail.a.example"], KeyAlgorithm::P256).certificate().clone();
        let desk = Self { bench, jane, joe, host };
        desk.publish(at());
        desk
    }

    fn publish(&self, at: Timestamp) -> (usize, usize) {
        let states = Folder::new(&self.bench.ca());
        let published = self.bench.store.publish(&[], &states, at, &mut OsRandom).expect("published");
        (published.answers.signed, published.answers.kept)
    }

    fn open(&self, nonces: Nonces) -> Responder {
        let states = Box::new(Folder::new(&self.bench.ca()));
        Responder::open(&self.bench.ca(), states, nonces, Box::new(OsRandom)).expect("a responder")
    }

    fn id(&self, certificate: &Certificate, digest: DigestAlgorithm) -> CertId {
        CertId::new(certificate, self.issuer(certificate), digest).expect("an identifier")
    }

    fn issuer(&self, certificate: &Certificate) -> &Certificate {
        let authority = self.bench.store.authority();
        if certificate.issuer().matches(authority.servers().subject()) { authority.servers() } else { authority.issuing() }
    }

    fn request(&self, certificate: &Certificate) -> Vec<u8> {
        Request::new(self.id(certificate, DigestAlgorithm::Sha1)).to_der()
    }

    /// What our own validator learns from an answer about a certificate: by the answer alone, at that moment.
    fn judge(&self, certificate: &Certificate, der: &[u8], at: Timestamp) -> (RevocationStatus, String) {
        let authority = self.bench.store.authority();
        // only the leaf is asked about: the root's list tells about the issuer
        let issuer = self.issuer(certificate);
        let verdict = pki::judge(&Judgement {
            leaf: certificate,
            pool: std::slice::from_ref(issuer),
            anchors: &TrustAnchors::from_iter([authority.root().clone()]),
            crls: &[self.bench.store.root_crl(None, super::at(), 365, &mut OsRandom).expect("a list")],
            ocsp: &[Response::from_der(der, &Limits::default()).expect("a response")],
            purpose: Purpose::Any,
            at,
            revocation: Revocation::Hard,
            limits: &Limits::default(),
        });
        let reasons: Vec<String> = verdict.reasons.iter().map(|reason| reason.text.clone()).collect();
        assert_eq!(verdict.revocation == RevocationStatus::Good, verdict.status == ChainStatus::Trusted);
        (verdict.revocation, reasons.join("\n"))
    }
}

fn status(der: &[u8]) -> Result<Status, Refusal> {
    let response = Response::from_der(der, &Limits::default()).expect("a response");
    response.content().map(|basic| basic.answers()[0].status)
}

#[test]
fn answers_are_good_for_what_was_issued_and_revoked_with_date_and_reason() {
    let desk = Desk::new();
    let responder = desk.open(Nonces::Ignored);
    for certificate in [&desk.jane, &desk.joe, &desk.host] {
        let reply = responder.respond(&desk.request(certificate), at());
        assert_eq!(desk.judge(certificate, &reply.der, at()), (RevocationStatus::Good, String::new()));
    }
    desk.bench.store.revoke(&desk.jane.serial_hex(), RevocationReason::KeyCompromise, at().plus_seconds(60)).expect("revoked");
    let later = at().plus_seconds(120);
    let reply = responder.respond(&desk.request(&desk.jane), later);
    let (found, words) = desk.judge(&desk.jane, &reply.der, later);
    assert_eq!(found, RevocationStatus::Revoked);
    assert!(words.contains("was revoked on 2026-06-01T00:01:00Z – key compromise"), "{words}");
    assert_eq!(status(&responder.respond(&desk.request(&desk.joe), later).der), Ok(Status::Good));
}

#[test]
fn what_was_on_hold_and_came_back_is_good_again() {
    let desk = Desk::new();
    let responder = desk.open(Nonces::Ignored);
    let (serial, request) = (desk.jane.serial_hex(), desk.request(&desk.jane));
    let ask = |seconds| status(&responder.respond(&request, at().plus_seconds(seconds)).der);
    desk.bench.store.revoke(&serial, RevocationReason::CertificateHold, at().plus_seconds(10)).expect("on hold");
    assert_eq!(ask(20), Ok(Status::Revoked { date: at().plus_seconds(10), reason: Some(6) }));
    assert_eq!(desk.publish(at().plus_seconds(25)), (1, 2), "what was signed before says so, too");
    desk.bench.store.release(&serial, at().plus_seconds(30)).expect("released");
    assert_eq!(ask(40), Ok(Status::Good));
    assert_eq!(desk.publish(at().plus_seconds(45)), (1, 2));
    assert_eq!(ask(50), Ok(Status::Good));
}

#[test]
fn what_changes_leaves_the_answers_that_were_signed_before_until_they_age() {
    let desk = Desk::new();
    let states = Folder::new(&desk.bench.ca());
    let changes = |seconds| {
        let published = desk.bench.store.publish_changes(&[], &states, at().plus_seconds(seconds), &mut OsRandom);
        let answers = published.expect("published").answers;
        (answers.signed, answers.kept)
    };
    let file = desk.bench.ca().join("responder/issuing.answers");
    let before = fs::read(&file).expect("answers");
    desk.bench.store.revoke(&desk.jane.serial_hex(), RevocationReason::Superseded, at().plus_seconds(10)).expect("revoked");
    assert_eq!(changes(20), (0, 3));
    assert_eq!(fs::read(&file).expect("answers"), before);
    // whoever answers sees what changed
    let responder = desk.open(Nonces::Ignored);
    let asked = responder.respond(&desk.request(&desk.jane), at().plus_seconds(30));
    assert_eq!(status(&asked.der), Ok(Status::Revoked { date: at().plus_seconds(10), reason: Some(4) }));
    assert_eq!(status(&responder.respond(&desk.request(&desk.joe), at().plus_seconds(30)).der), Ok(Status::Good));
    assert_eq!(changes(4 * 86_400), (3, 0), "half of a week is over");
    fs::remove_file(&file).expect("removed");
    assert_eq!(changes(4 * 86_400 + 1), (2, 1), "what is missing is signed");
}

#[test]
fn each_digest_that_may_name_an_issuer_is_answered_in_its_own_words() {
    let desk = Desk::new();
    let responder = desk.open(Nonces::Ignored);
    use DigestAlgorithm::{Md5, Sha1, Sha256, Sha384, Sha512};
    for digest in [Sha1, Sha256, Sha384, Sha512] {
        let id = desk.id(&desk.jane, digest);
        let reply = responder.respond(&Request::new(id.clone()).to_der(), at());
        let response = Response::from_der(&reply.der, &Limits::default()).expect("a response");
        assert_eq!(response.content().expect("it tells").answers()[0].id, id, "{digest:?}");
        assert_eq!(desk.judge(&desk.jane, &reply.der, at()).0, RevocationStatus::Good);
    }
    let reply = responder.respond(&Request::new(desk.id(&desk.jane, Md5)).to_der(), at());
    assert_eq!(status(&reply.der), Err(Refusal::Unauthorized), "anyone finds a second by MD5");
}

#[test]
fn nothing_good_is_said_of_what_was_never_issued() {
    let desk = Desk::new();
    let responder = desk.open(Nonces::Ignored);
    let with_serial = |serial: &[u8]| {
        let der = desk.request(&desk.jane);
        let (ours, other) = (encode::integer(desk.jane.serial()), encode::tlv(sealpost::asn1::Tag::INTEGER, serial));
        assert_eq!(ours.len(), other.len());
        let place = der.windows(ours.len()).position(|window| window == ours).expect("the serial number");
        [&der[..place], &other, &der[place + ours.len()..]].concat()
    };
    let mut other = desk.jane.serial().to_vec();
    other[5] ^= 1;
    let reply = responder.respond(&with_serial(&other), at());
    assert_eq!(status(&reply.der), Ok(Status::Unknown));
    let fresh = reply.fresh.expect("it holds a while");
    assert_eq!(fresh.next_update, at().plus_seconds(8 * 3600));
    // a negative number is nobody's
    other[0] = 0x80;
    assert_eq!(status(&responder.respond(&with_serial(&other), at()).der), Ok(Status::Unknown));
    // the serial number of another issuer's certificate
    let swapped = CertId::new(&desk.host, desk.bench.store.authority().servers(), DigestAlgorithm::Sha1).expect("an identifier");
    assert_eq!(status(&responder.respond(&Request::new(swapped).to_der(), at()).der), Ok(Status::Good));
    assert_eq!(status(&responder.respond(&with_serial(desk.host.serial()), at()).der), Ok(Status::Unknown));
}

#[test]
fn what_was_signed_before_is_given_while_it_is_so_and_costs_no_signature() {
    let desk = Desk::new();
    let responder = desk.open(Nonces::Ignored);
    let (request, later) = (desk.request(&desk.jane), at().plus_days(2));
    let before = responder.respond(&request, at());
    assert_eq!(responder.respond(&request, later).der, before.der, "the same bytes");
    // without the key nothing can be signed any more, and what was signed is given still
    fs::remove_file(desk.bench.ca().join("responder/issuing.pem")).expect("removed");
    assert_eq!(responder.respond(&request, later).der, before.der);
    desk.bench.store.revoke(&desk.jane.serial_hex(), RevocationReason::Superseded, later).expect("revoked");
    let reply = responder.respond(&request, later);
    assert_eq!(status(&reply.der), Err(Refusal::TryLater), "a stale answer is worse than none");
    assert!(reply.trouble.expect("told").contains("`sealpost ca publish`"));
    assert_eq!(status(&responder.respond(&desk.request(&desk.joe), later).der), Ok(Status::Good));
}

#[test]
fn an_answer_that_is_too_old_is_signed_anew_and_kept() {
    let desk = Desk::new();
    let responder = desk.open(Nonces::Ignored);
    let request = desk.request(&desk.jane);
    let (first, late) = (responder.respond(&request, at()), at().plus_days(8));
    let anew = responder.respond(&request, late);
    assert_ne!(first.der, anew.der);
    assert_eq!(desk.judge(&desk.jane, &anew.der, late).0, RevocationStatus::Good);
    assert_eq!(responder.respond(&request, late.plus_days(1)).der, anew.der, "kept");
    // the responder's own certificate is short
    let reply = responder.respond(&request, at().plus_days(31));
    assert_eq!(status(&reply.der), Err(Refusal::TryLater));
    assert_eq!(responder.good_until().expect("read"), Some(at().plus_days(30)));
    // and near its end no answer holds beyond it
    let reply = responder.respond(&request, at().plus_days(28));
    assert_eq!(reply.fresh.expect("it tells").next_update, at().plus_days(30));
}

#[test]
fn publishing_signs_only_what_changed_or_is_half_over_and_renews_responders() {
    let desk = Desk::new();
    assert_eq!(desk.publish(at().plus_seconds(60)), (0, 3));
    desk.bench.store.revoke(&desk.jane.serial_hex(), RevocationReason::Superseded, at().plus_seconds(90)).expect("revoked");
    let later = at().plus_seconds(120);
    let joe = desk.bench.store.issue(
        &super::profile("joe@b.example", Uses::Sign),
        key(KeyAlgorithm::P256).public_key(),
        later,
        &mut OsRandom,
    );
    let joe = joe.expect("issued");
    let responder = desk.open(Nonces::Ignored);
    // before it is published, too
    assert_eq!(status(&responder.respond(&desk.request(&joe), later).der), Ok(Status::Good));
    assert_eq!(desk.publish(later), (2, 2));
    let revoked = Status::Revoked { date: at().plus_seconds(90), reason: Some(4) };
    fs::rename(desk.bench.ca().join("responder/issuing.pem"), desk.bench.path("aside")).expect("moved");
    assert_eq!(status(&responder.respond(&desk.request(&desk.jane), later).der), Ok(revoked), "signed before");
    assert_eq!(status(&responder.respond(&desk.request(&joe), later).der), Ok(Status::Good));
    fs::rename(desk.bench.path("aside"), desk.bench.ca().join("responder/issuing.pem")).expect("moved");
    assert_eq!(desk.publish(at().plus_days(4)), (4, 0), "half of a week is over");
    let ends = |responder: &Responder| responder.good_until().expect("read").expect("it has one");
    assert_eq!(ends(&responder), at().plus_days(30));
    assert_eq!(desk.publish(at().plus_days(21)), (4, 0));
    assert_eq!(ends(&responder), at().plus_days(51), "renewed, and seen by who serves");
    // the certificates end in a year, and with them their answers
    assert_eq!(desk.publish(at().plus_days(400)), (0, 0));
    let gone = responder.respond(&desk.request(&desk.jane), at().plus_days(400));
    assert_eq!(status(&gone.der), Ok(revoked), "an old signature is judged by it still");
    let events = sealpost::ca::store::ledger(&desk.bench.ca()).expect("whole");
    assert_eq!(events.iter().filter(|event| event.event == "responder").count(), 6, "each is in the ledger");
}

#[test]
fn answers_that_were_damaged_are_signed_anew_and_somebody_is_told() {
    let desk = Desk::new();
    let file = desk.bench.ca().join("responder/issuing.answers");
    let whole = fs::read(&file).expect("answers");
    for (length, byte) in [(whole.len() - 1, 0), (10, 0), (whole.len(), 9)] {
        let mut bytes = whole[..length].to_vec();
        // the kind of the first record
        if let Some(kind) = whole.len().checked_sub(2 * 176).and_then(|start| bytes.get_mut(start + 20)) {
            *kind = byte;
        }
        fs::write(&file, bytes).expect("written");
        let responder = desk.open(Nonces::Ignored);
        let told: Vec<String> = [&desk.jane, &desk.joe]
            .map(|certificate| responder.respond(&desk.request(certificate), at()))
            .into_iter()
            .filter_map(|reply| {
                assert_eq!(status(&reply.der), Ok(Status::Good));
                reply.trouble
            })
            .collect();
        assert!(!told.is_empty(), "{length}");
    }
    assert_eq!(desk.publish(at().plus_seconds(1)).0, 2, "written anew");
}

#[test]
fn a_ledger_that_was_changed_gives_no_answer() {
    let desk = Desk::new();
    let responder = desk.open(Nonces::Ignored);
    let ledger = desk.bench.ca().join("ledger");
    let text = fs::read_to_string(&ledger).expect("text");
    fs::write(&ledger, text.replacen("issue", "revoke", 1)).expect("written");
    let reply = responder.respond(&desk.request(&desk.jane), at());
    assert_eq!(status(&reply.der), Err(Refusal::InternalError));
    assert!(reply.trouble.expect("told").contains("the ledger was changed"));
}

/// A request about several certificates, or with extensions.
fn request_of(ids: &[&[u8]], extensions: &[Vec<u8>]) -> Vec<u8> {
    let list: Vec<Vec<u8>> = ids.iter().map(|id| encode::sequence(&[id])).collect();
    let extensions = if extensions.is_empty() { Vec::new() } else { encode::explicit(2, &encode::sequence(extensions)) };
    encode::sequence(&[encode::sequence(&[encode::sequence(&list), extensions])])
}

/// The encoded identifier in a request about one certificate.
fn id_of(request: &[u8]) -> Vec<u8> {
    let mut list = Cursor::new(request).sequence().and_then(|mut whole| whole.sequence()?.sequence()).expect("a request");
    list.sequence().expect("one").any().expect("an identifier").raw.to_vec()
}

fn extension(which: sealpost::asn1::Oid, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { encode::boolean(true) } else { Vec::new() };
    encode::sequence(&[encode::oid(&which), critical, encode::octet_string(value)])
}

/// An identifier beside that of the nonce.
fn foreign(last: u8) -> sealpost::asn1::Oid {
    let mut bytes = oid::OCSP_NONCE.as_bytes().to_vec();
    *bytes.last_mut().expect("some") = last;
    sealpost::asn1::Oid::from_bytes(&bytes).expect("an identifier")
}

fn nonce(bytes: usize) -> Vec<u8> {
    extension(oid::OCSP_NONCE, false, &encode::octet_string(&vec![7; bytes]))
}

#[test]
fn several_certificates_of_one_issuer_are_answered_in_one_response() {
    let desk = Desk::new();
    let responder = desk.open(Nonces::Ignored);
    desk.bench.store.revoke(&desk.joe.serial_hex(), RevocationReason::Superseded, at()).expect("revoked");
    let [jane, joe, host] = [&desk.jane, &desk.joe, &desk.host].map(|certificate| id_of(&desk.request(certificate)));
    let reply = responder.respond(&request_of(&[&jane, &joe], &[]), at());
    assert_eq!(desk.judge(&desk.jane, &reply.der, at()).0, RevocationStatus::Good);
    assert_eq!(desk.judge(&desk.joe, &reply.der, at()).0, RevocationStatus::Revoked);
    let of_two = responder.respond(&request_of(&[&jane, &host], &[]), at());
    assert_eq!(status(&of_two.der), Err(Refusal::Unauthorized), "no responder speaks for both");
    let many = |count| responder.respond(&request_of(&vec![jane.as_slice(); count], &[]), at());
    assert_eq!(status(&many(32).der), Ok(Status::Good));
    assert_eq!(status(&many(33).der), Err(Refusal::MalformedRequest));
}

#[test]
fn a_nonce_is_left_out_or_answered_as_it_was_chosen() {
    let desk = Desk::new();
    let (ignores, answers) = (desk.open(Nonces::Ignored), desk.open(Nonces::Answered));
    let plain = Request::new(desk.id(&desk.jane, DigestAlgorithm::Sha256));
    let request = plain.clone().nonce(&mut Seeded::new(b"nonce"));
    let read = |responder: &Responder, request: &Request| {
        let reply = responder.respond(&request.to_der(), at());
        (Response::from_der(&reply.der, &Limits::default()).expect("a response"), reply)
    };
    let (response, _) = read(&answers, &request);
    assert_eq!(response.check_nonce(&request), Ok(()));
    assert_eq!(desk.judge(&desk.jane, response.der(), at()).0, RevocationStatus::Good);
    let (response, reply) = read(&ignores, &request);
    assert!(response.content().expect("it tells").nonce().is_none());
    assert_eq!(reply.der, read(&answers, &plain).1.der, "both were signed before");
    let id = id_of(&desk.request(&desk.jane));
    for (bytes, is_read) in [(0, false), (1, true), (16, true), (128, true), (129, false)] {
        for responder in [&ignores, &answers] {
            let reply = responder.respond(&request_of(&[&id], &[nonce(bytes)]), at());
            let expected = if is_read { Ok(Status::Good) } else { Err(Refusal::MalformedRequest) };
            assert_eq!(status(&reply.der), expected, "{bytes}");
        }
    }
    let reply = answers.respond(&request_of(&[&id], &[nonce(32)]), at());
    assert!(reply.fresh.is_none(), "no cache may keep it");
}

#[test]
fn refuses_what_is_no_request_and_never_panics() {
    let desk = Desk::new();
    let responder = desk.open(Nonces::Answered);
    let id = id_of(&desk.request(&desk.jane));
    let full = request_of(&[&id, &id], &[nonce(16)]);
    assert_eq!(status(&responder.respond(&full, at()).der), Ok(Status::Good));
    let refused = |bytes: &[u8], what: &str| {
        assert_eq!(status(&responder.respond(bytes, at()).der), Err(Refusal::MalformedRequest), "{what}");
    };
    for length in 0..full.len() {
        refused(&full[..length], &format!("cut at {length}"));
    }
    refused(&[full.as_slice(), &[0]].concat(), "more behind it");
    refused(&request_of(&[], &[]), "about nothing");
    let other = foreign(99);
    refused(&request_of(&[&id], &[extension(other, true, &[5, 0])]), "a critical extension");
    refused(&request_of(&[&id], &[nonce(16), nonce(16)]), "two nonces");
    refused(&request_of(&[&id], &[extension(oid::OCSP_NONCE, false, &[7; 16])]), "a nonce that is not wrapped");
    let many: Vec<Vec<u8>> = (40..80).map(|n| extension(foreign(n), false, &[])).collect();
    refused(&request_of(&[&id], &many), "many extensions");
    let version = encode::sequence(&[encode::sequence(&[
        encode::explicit(0, &encode::integer_u64(1)),
        encode::sequence(&[encode::sequence(&[id.as_slice()])]),
    ])]);
    refused(&version, "version 2");
    let serial = encode::integer(desk.jane.serial());
    let place = id.windows(serial.len()).position(|window| window == serial).expect("the serial number");
    for number in [&[0; 21][..], &[0, 1], &[0xff, 0xff], &[0x40; 21]] {
        let fields =
            [&Cursor::new(&id).any().expect("whole").content[..place - 2], &encode::tlv(sealpost::asn1::Tag::INTEGER, number)]
                .concat();
        refused(&request_of(&[&encode::tlv(sealpost::asn1::Tag::SEQUENCE, &fields)], &[]), "a serial number");
    }
    // what may be there and does not matter
    let accepted = |bytes: &[u8], what: &str| assert_eq!(status(&responder.respond(bytes, at()).der), Ok(Status::Good), "{what}");
    accepted(&request_of(&[&id], &[extension(other, false, &[5, 0])]), "an extension that is not critical");
    let name = encode::explicit(1, &encode::explicit(4, desk.jane.subject().der()));
    let list = encode::sequence(&[encode::sequence(&[id.as_slice()])]);
    let signature = encode::explicit(
        0,
        &encode::sequence(&[encode::sequence(&[encode::oid(&oid::ECDSA_SHA256)]), encode::bit_string(&[1, 2])]),
    );
    accepted(&encode::sequence(&[encode::sequence(&[name, list]), signature]), "a requestor's name and his signature");
    let mut seeded = Seeded::new(b"noise");
    for _ in 0..2_000 {
        let (mut bytes, mut noise) = (full.clone(), [0; 2]);
        seeded.fill(&mut noise);
        let place = usize::from(noise[0]) % bytes.len();
        bytes[place] ^= noise[1];
        let reply = responder.respond(&bytes, at());
        Response::from_der(&reply.der, &Limits::default()).expect("an answer whatever comes");
    }
}

#[test]
fn signatures_are_counted_and_beyond_so_many_a_second_the_client_comes_later() {
    let desk = Desk::new();
    let responder = desk.open(Nonces::Answered);
    let id = id_of(&desk.request(&desk.jane));
    let both = [id.clone(), id_of(&desk.request(&desk.joe))];
    let both = request_of(&[&both[0], &both[1]], &[nonce(16)]);
    let ask = |at| status(&responder.respond(&both, at).der);
    let answered = (0..600).filter(|_| ask(at()) == Ok(Status::Good)).count();
    assert_eq!(answered, 500);
    assert_eq!(ask(at()), Err(Refusal::TryLater));
    let before = responder.respond(&desk.request(&desk.jane), at());
    assert_eq!(status(&before.der), Ok(Status::Good), "signed before");
    let reply = responder.respond(&request_of(&[&id], &[nonce(16)]), at());
    assert_eq!(reply.der, before.der, "who floods with nonces keeps nobody from an answer that was signed before");
    assert_eq!(ask(at().plus_seconds(1)), Ok(Status::Good));
    let reply = responder.respond(&request_of(&[&id], &[nonce(16)]), at().plus_seconds(1));
    assert!(reply.fresh.is_none() && reply.der != before.der, "its nonce is answered again");
}

#[test]
fn who_asks_much_does_not_keep_a_revocation_from_others() {
    let desk = Desk::new();
    let responder = desk.open(Nonces::Ignored);
    let both = request_of(&[&id_of(&desk.request(&desk.jane)), &id_of(&desk.request(&desk.joe))], &[]);
    let later = at().plus_seconds(60);
    desk.bench.store.revoke(&desk.jane.serial_hex(), RevocationReason::KeyCompromise, at().plus_seconds(30)).expect("revoked");
    let answered = (0..700).filter(|_| status(&responder.respond(&both, later).der).is_ok()).count();
    assert_eq!(answered, 500);
    let revoked = Status::Revoked { date: at().plus_seconds(30), reason: Some(1) };
    let request = desk.request(&desk.jane);
    for _ in 0..200 {
        assert_eq!(status(&responder.respond(&request, later).der), Ok(revoked));
    }
    assert_eq!(status(&responder.respond(&both, later).der), Err(Refusal::TryLater));
}

/// States as an authority with many certificates has them.
#[derive(Debug, Clone)]
struct Many(Arc<Mutex<Vec<Known>>>);

impl States for Many {
    fn state(&self, _: Issuer, serial: &[u8]) -> Result<Status, Error> {
        let known = self.0.lock().expect("no panic");
        let found = known.binary_search_by(|known| known.serial.as_slice().cmp(serial));
        Ok(found.map_or(Status::Unknown, |at| known[at].status))
    }

    fn all(&self, by: Issuer) -> Result<Vec<Known>, Error> {
        Ok(if by == Issuer::Mail { self.0.lock().expect("no panic").clone() } else { Vec::new() })
    }
}

#[test]
fn many_answers_are_signed_once_and_each_is_found() {
    // SEALPOST_ANSWERS=1000000 in an optimised build: the figures of docs/performance.md
    let count: usize = std::env::var("SEALPOST_ANSWERS").ok().and_then(|text| text.parse().ok()).unwrap_or(500);
    let bench = Bench::new(KeyAlgorithm::P384);
    let mut random = Seeded::new(b"serials");
    let known = |status| {
        let mut serial = vec![0; 16];
        random.fill(&mut serial);
        serial[0] = serial[0] & 0x7f | 0x40;
        Known { serial, not_after: at().plus_days(300), status }
    };
    let revoked = Status::Revoked { date: at(), reason: Some(1) };
    let mut all: Vec<Known> = (0..count).map(|n| if n % 50 == 0 { revoked } else { Status::Good }).map(known).collect();
    all.sort_by(|a, b| a.serial.cmp(&b.serial));
    let many = Many(Arc::new(Mutex::new(all)));
    let timed = |what: &str, seconds: i64, expected: (usize, usize)| {
        let begin = std::time::Instant::now();
        let tally = bench.store.publish(&[], &many, at().plus_seconds(seconds), &mut OsRandom).expect("published").answers;
        eprintln!("{what}: {:?}", begin.elapsed());
        assert_eq!((tally.signed, tally.kept), expected);
    };
    timed("signed", 0, (count, 0));
    let changed = many.0.lock().expect("no panic").len() / 3;
    many.0.lock().expect("no panic")[changed].status = revoked;
    timed("one changed", 60, (1, count - 1));
    let file = fs::metadata(bench.ca().join("responder/issuing.answers")).expect("answers").len();
    assert!(file < 176 * u64::try_from(count).expect("small") + 2_000, "{file} bytes");
    fs::remove_file(bench.ca().join("responder/issuing.pem")).expect("nothing can be signed");
    let responder = Responder::open(&bench.ca(), Box::new(many.clone()), Nonces::Ignored, Box::new(OsRandom)).expect("opened");
    let name = sealpost::crypto::digest::of(DigestAlgorithm::Sha1, bench.store.authority().issuing().subject().der());
    let public = bench.store.authority().issuing().public_key().expect("a key");
    let key = sealpost::crypto::digest::of(DigestAlgorithm::Sha1, public.key_bits());
    let asked = many.0.lock().expect("no panic").clone();
    let begin = std::time::Instant::now();
    let step = (count / 20_000).max(1);
    for known in asked.iter().step_by(step) {
        let id = encode::sequence(&[
            DigestAlgorithm::Sha1.identifier_with_null().to_der(),
            encode::octet_string(&name),
            encode::octet_string(&key),
            encode::integer(&known.serial),
        ]);
        let reply = responder.respond(&request_of(&[&id], &[]), at().plus_days(1));
        assert_eq!(status(&reply.der), Ok(known.status));
    }
    eprintln!("each answer: {:?}", begin.elapsed() / u32::try_from(asked.len().div_ceil(step)).expect("small"));
}

#[test]
fn pyca_reads_answers_and_its_requests_are_answered() {
    let Some(python) = support::named_peer("SEALPOST_PYTHON") else { return };
    let desk = Desk::new();
    let responder = desk.open(Nonces::Answered);
    desk.bench.store.revoke(&desk.joe.serial_hex(), RevocationReason::CessationOfOperation, at()).expect("revoked");
    let script = format!("{}/tests/peers/ocsp.py", env!("CARGO_MANIFEST_DIR"));
    let files = [("jane", &desk.jane), ("joe", &desk.joe), ("host", &desk.host)];
    for (name, certificate) in files {
        let leaf = desk.bench.write(name, certificate);
        let issuer = desk.bench.path(if name == "host" { "servers" } else { "issuing" });
        for (digest, nonce) in
            [("sha1", None), ("sha256", None), ("sha384", None), ("sha1", Some("00112233445566778899aabbccddeeff"))]
        {
            let mut args = vec![script.as_str(), &issuer, &leaf, digest];
            args.extend(nonce);
            let (code, request, talk) = support::run(&python, &args, b"");
            assert_eq!(code, 0, "{talk}");
            let reply = responder.respond(&request, at());
            let (code, words, talk) = support::run(&python, &args, &reply.der);
            assert_eq!(code, 0, "{name} {digest}: {talk}");
            let words = String::from_utf8_lossy(&words).into_owned();
            let expected = if name == "joe" { "certificate REVOKED\n" } else { "certificate GOOD\n" };
            assert!(words.starts_with("status SUCCESSFUL\n") && words.contains(expected), "{words}");
            assert!(words.contains("this 2026-06-01T00:00:00+00:00 next 2026-06-08T00:00:00+00:00\n"), "{words}");
            assert_eq!(words.contains("revoked 2026-06-01T00:00:00+00:00 cessation_of_operation\n"), name == "joe", "{words}");
            assert_eq!(words.contains("nonce 00112233445566778899aabbccddeeff\n"), nonce.is_some(), "{words}");
        }
    }
}
