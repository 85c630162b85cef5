//! PLAIN: `[authorization] NUL name NUL password` (RFC 4616).

use crate::proto::sasl::Credentials;
use crate::secret::Secret;

/// Reads a message: the credentials, and whether he wants to act as the one whose they are.
pub(super) fn read(message: &[u8]) -> Option<(Credentials, bool)> {
    let mut fields = message.split(|byte| *byte == 0);
    let (authorization, user, password) = (fields.next()?, fields.next()?, fields.next()?);
    if fields.next().is_some() {
        return None;
    }
    Some((credentials(user, password)?, authorization.is_empty() || authorization == user))
}

/// Writes what [`read`] reads.
pub(super) fn encode(credentials: &Credentials) -> Secret<Vec<u8>> {
    Secret::new([b"\0", credentials.user.as_bytes(), b"\0", credentials.password.expose()].concat())
}

/// A name that may be one, with its password.
fn credentials(user: &[u8], password: &[u8]) -> Option<Credentials> {
    Some(Credentials { user: name(user)?, password: Secret::new(password.to_vec()) })
}

/// A name: UTF-8, with something in it and nothing that cannot be seen.
pub(super) fn name(user: &[u8]) -> Option<String> {
    String::from_utf8(user.to_vec()).ok().filter(|user| !user.is_empty() && !user.contains(char::is_control))
}
