//! OCSP requests and responses are read or refused; what asks about one certificate of ours is written again as it was read.

use sealpost::ca::responder::Asked;
use sealpost::limits::Limits;
use sealpost::pki::ocsp::{Request, Response};

/// Reads bytes as a request and as a response, with bounds as they are and with narrow ones.
pub fn run(bytes: &[u8]) {
    let mut narrow = Limits::default();
    (narrow.ocsp_questions, narrow.ocsp_answers, narrow.ber_depth) = (1, 1, 8);
    let wide = Limits::default();
    let asked = Asked::from_der(bytes, &wide);
    if let Ok(within) = Asked::from_der(bytes, &narrow) {
        assert!(asked.is_ok_and(|asked| asked == within), "narrow bounds refuse, and change nothing");
    }
    let Ok(response) = Response::from_der(bytes, &wide) else { return };
    let Ok(basic) = response.content() else { return };
    for answer in basic.answers() {
        let _ = answer.status.describe();
        // who asks about what is answered is read by those who answer, unless its number is none
        let again = Request::new(answer.id.clone()).to_der();
        if let Ok(asked) = Asked::from_der(&again, &narrow) {
            assert!(Asked::from_der(&again, &wide).is_ok_and(|wide| wide == asked));
        }
    }
    let _ = (basic.responder().to_string(), basic.produced_at(), basic.nonce());
    for certificate in basic.certificates() {
        if let Ok(key) = certificate.public_key() {
            let _ = basic.verify_signature(&key);
        }
    }
}
