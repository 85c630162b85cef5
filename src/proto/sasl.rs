//! SASL PLAIN and LOGIN (RFC 4616, 4954).

use crate::secret::Secret;

/// A name and a password that a peer gave.
#[derive(Clone)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The password.
    pub password: Secret<Vec<u8>>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({})", self.user)
    }
}

impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        self.user == other.user && self.password.expose() == other.password.expose()
    }
}

impl Eq for Credentials {}

/// `authorization NUL name NUL password`, in base64; another authorization than the name is refused.
pub(in crate::proto) fn plain(encoded: &[u8]) -> Option<Credentials> {
    let decoded = Secret::new(decode(encoded)?);
    let mut fields = decoded.expose().split(|byte| *byte == 0);
    let (authorization, user, password) = (fields.next()?, fields.next()?, fields.next()?);
    if fields.next().is_some() || (!authorization.is_empty() && authorization != user) {
        return None;
    }
    credentials(user, password)
}

/// What [`plain`] reads.
pub(in crate::proto) fn encode_plain(credentials: &Credentials) -> String {
    let plain = Secret::new([b"\0", credentials.user.as_bytes(), b"\0", credentials.password.expose()].concat());
    base64_simd::STANDARD.encode_to_string(plain.expose())
}

/// A name and a password, each in base64.
pub(in crate::proto) fn login(user: &[u8], password: &[u8]) -> Option<Credentials> {
    let (user, password) = (decode(user)?, Secret::new(decode(password)?));
    credentials(&user, password.expose())
}

pub(in crate::proto) fn credentials(user: &[u8], password: &[u8]) -> Option<Credentials> {
    let user = String::from_utf8(user.to_vec()).ok().filter(|user| !user.is_empty() && !user.contains(char::is_control))?;
    Some(Credentials { user, password: Secret::new(password.to_vec()) })
}

/// Strict base64 (RFC 4648 section 4); `=` alone is the empty string (RFC 4954 section 4).
fn decode(encoded: &[u8]) -> Option<Vec<u8>> {
    if encoded == b"=" {
        return Some(Vec::new());
    }
    base64_simd::STANDARD.decode_to_vec(encoded).ok()
}
