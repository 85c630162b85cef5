//! SCRAM-SHA-256 (RFC 5802, 7677): what a server keeps of a password, and the arithmetic of both sides.
//!
//! ```text
//! SaltedPassword = PBKDF2(prepared password, salt, iterations)
//! ClientKey = HMAC(SaltedPassword, "Client Key")      StoredKey = SHA-256(ClientKey)
//! ServerKey = HMAC(SaltedPassword, "Server Key")
//! proof = ClientKey XOR HMAC(StoredKey, AuthMessage)  signature = HMAC(ServerKey, AuthMessage)
//! ```

use crate::crypto::algorithm::DigestAlgorithm::Sha256;
use crate::crypto::{digest, kdf, mac};
use crate::secret::Secret;

/// Rounds for new passwords. 120 000: 30 times what RFC 7677 4 asks for at least. A client computes them at every login, and 600 000
/// (OWASP's figure for passwords that lie on a server) take old telephones seconds.
pub const ITERATIONS: u32 = 120_000;

/// What a server keeps of a password for SCRAM. A thief of it can be taken for the server, and has to guess to be taken for the user.
#[derive(Clone)]
pub struct Keys {
    /// The salt.
    pub salt: Vec<u8>,
    /// Rounds of PBKDF2.
    pub iterations: u32,
    /// The digest of the client's key.
    pub stored: Secret<Vec<u8>>,
    /// The server's key.
    pub server: Secret<Vec<u8>>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({} rounds)", self.iterations)
    }
}

impl PartialEq for Keys {
    fn eq(&self, other: &Self) -> bool {
        self.salt == other.salt && self.iterations == other.iterations && mac::equal(self.stored.expose(), other.stored.expose())
    }
}

impl Eq for Keys {}

impl Keys {
    /// The keys of a password.
    pub fn derive(password: &Secret<Vec<u8>>, salt: &[u8], iterations: u32) -> Self {
        Salted::of(password, salt, iterations).keys(salt, iterations)
    }

    /// Keys that no password has, for users that there are not: the same for the same name, so that they look like a user's.
    pub fn of_nobody(secret: &Secret<Vec<u8>>, name: &str) -> Self {
        let made = |what: &str| mac::hmac(Sha256, secret.expose(), format!("{what}\0{name}").as_bytes());
        let mut salt = made("salt");
        salt.truncate(SALT);
        Self { salt, iterations: ITERATIONS, stored: Secret::new(made("stored key")), server: Secret::new(made("server key")) }
    }

    /// The form in which they are kept, that of RFC 5803 and PostgreSQL: `SCRAM-SHA-256$iterations:salt$stored:server`.
    pub fn to_text(&self) -> Secret<String> {
        let [salt, stored, server] = [self.salt.as_slice(), self.stored.expose(), self.server.expose()]
            .map(|bytes| base64_simd::STANDARD.encode_to_string(bytes));
        Secret::new(format!("{NAME}${}:{salt}${stored}:{server}", self.iterations))
    }

    /// Reads that form.
    pub fn parse(text: &str) -> Option<Self> {
        let (first, second) = text.strip_prefix(NAME)?.strip_prefix('$')?.split_once('$')?;
        let ((iterations, salt), (stored, server)) = (first.split_once(':')?, second.split_once(':')?);
        let decoded = |text: &str| base64_simd::STANDARD.decode_to_vec(text.as_bytes()).ok();
        let key = |text: &str| decoded(text).filter(|key| key.len() == KEY).map(Secret::new);
        let iterations = iterations.parse().ok().filter(|rounds| *rounds > 0)?;
        Some(Self { salt: decoded(salt)?, iterations, stored: key(stored)?, server: key(server)? })
    }

    /// Whether a client's proof for these messages fits.
    pub(super) fn proves(&self, messages: &str, proof: &[u8]) -> bool {
        let signature = mac::hmac(Sha256, self.stored.expose(), messages.as_bytes());
        let key = Secret::new(xor(proof, &signature));
        proof.len() == KEY && mac::equal(&digest::of(Sha256, key.expose()), self.stored.expose())
    }

    /// The server's signature over these messages.
    pub(super) fn signature(&self, messages: &str) -> Vec<u8> {
        mac::hmac(Sha256, self.server.expose(), messages.as_bytes())
    }
}

/// A salted password: the client's secret.
pub(super) struct Salted(Secret<Vec<u8>>);

impl Salted {
    pub(super) fn of(password: &Secret<Vec<u8>>, salt: &[u8], iterations: u32) -> Self {
        Self(kdf::pbkdf2(Sha256, prepared(password).expose(), salt, u64::from(iterations), KEY))
    }

    pub(super) fn keys(&self, salt: &[u8], iterations: u32) -> Keys {
        let stored = Secret::new(digest::of(Sha256, self.client_key().expose()));
        let server = Secret::new(mac::hmac(Sha256, self.0.expose(), b"Server Key"));
        Keys { salt: salt.to_vec(), iterations, stored, server }
    }

    /// The client's proof for these messages.
    pub(super) fn proof(&self, keys: &Keys, messages: &str) -> Vec<u8> {
        xor(self.client_key().expose(), &mac::hmac(Sha256, keys.stored.expose(), messages.as_bytes()))
    }

    fn client_key(&self) -> Secret<Vec<u8>> {
        Secret::new(mac::hmac(Sha256, self.0.expose(), b"Client Key"))
    }
}

fn xor(a: &[u8], b: &[u8]) -> Vec<u8> {
    a.iter().zip(b).map(|(a, b)| a ^ b).collect()
}

/// The password as SASLprep has it (RFC 4013 2.1, 2.2): what looks like a space is one, what is invisible is dropped, and the rest is in
/// form KC. One that is no text, or holds what SASLprep forbids, is taken as it is.
fn prepared(password: &Secret<Vec<u8>>) -> Secret<Vec<u8>> {
    if password.expose().is_ascii() {
        return password.clone();
    }
    let Ok(text) = std::str::from_utf8(password.expose()) else { return password.clone() };
    let mapped: Secret<String> =
        Secret::new(text.chars().filter(|c| !is_dropped(*c)).map(|c| if is_space(c) { ' ' } else { c }).collect());
    let normal = icu_normalizer::ComposingNormalizerBorrowed::new_nfkc().normalize(mapped.expose()).into_owned();
    Secret::new(normal.into_bytes())
}

/// RFC 3454 table C.1.2.
fn is_space(c: char) -> bool {
    matches!(c, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200b}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

/// RFC 3454 table B.1.
fn is_dropped(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{1806}' | '\u{180b}'..='\u{180d}' | '\u{200c}' | '\u{200d}' | '\u{2060}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

const NAME: &str = "SCRAM-SHA-256";
/// Bytes of a key.
const KEY: usize = 32;
/// Bytes of a salt.
pub const SALT: usize = 16;
