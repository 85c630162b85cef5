//! The client's side of an exchange.

use crate::crypto::mac;
use crate::proto::sasl::scram::Salted;
use crate::proto::sasl::{Channel, Credentials, Mechanism, plain};
use crate::secret::Secret;

/// The strongest of the mechanisms that a server offers and we know: SCRAM where there is a nonce for it, bound to the channel where that can
/// be, then PLAIN, then LOGIN, then LOGIN.
pub(in crate::proto) fn choose<'a>(
    offered: impl Iterator<Item = &'a str>,
    channel: &Channel,
    nonce: Option<&str>,
) -> Option<Mechanism> {
    let offered: Vec<Mechanism> = offered.filter_map(Mechanism::parse).collect();
    Mechanism::ALL.into_iter().find(|mechanism| {
        let is_possible = match mechanism {
            Mechanism::ScramPlus => nonce.is_some() && channel.best().is_some(),
            Mechanism::Scram => nonce.is_some(),
            Mechanism::Plain | Mechanism::Login => true,
            Mechanism::External => false,
        };
        is_possible && offered.contains(mechanism)
    })
}

/// One exchange.
pub(in crate::proto) struct Exchange {
    credentials: Credentials,
    state: State,
}

enum State {
    Plain,
    /// LOGIN: the name is to be said, or the password.
    Name,
    Password,
    /// The header with what binds the channel, the bare first message, and our half of the nonce.
    First {
        header: String,
        data: Vec<u8>,
        bare: String,
        nonce: String,
    },
    /// The signature that only who knows the password can make.
    Signed(Vec<u8>),
    /// The server proved that it knows the password, or need not.
    Proven,
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Exchange({})", self.credentials.user)
    }
}

/// Rounds that a server may ask for: fewer make guessing cheap for whoever plays the server (RFC 7677 4), more hold the client up.
const ITERATIONS: std::ops::RangeInclusive<u32> = 4096..=5_000_000;

impl Exchange {
    /// An exchange by this mechanism; `nonce` is random and its characters are from `!` to `~` without a comma.
    pub(in crate::proto) fn new(mechanism: Mechanism, credentials: Credentials, channel: &Channel, nonce: &str) -> Self {
        let bare = format!("n={},r={nonce}", escaped(&credentials.user));
        let (header, data) = match (mechanism, channel.best()) {
            (Mechanism::ScramPlus, Some((name, data))) => (format!("p={name},,"), data.to_vec()),
            // `y`: we could bind the channel, and the server has not offered it
            (_, Some(_)) => ("y,,".to_owned(), Vec::new()),
            (_, None) => ("n,,".to_owned(), Vec::new()),
        };
        let state = match mechanism {
            Mechanism::Scram | Mechanism::ScramPlus => State::First { header, data, bare, nonce: nonce.to_owned() },
            Mechanism::Login => State::Name,
            Mechanism::Plain | Mechanism::External => State::Plain,
        };
        Self { credentials, state }
    }

    /// The first message, where it goes with the command.
    pub(in crate::proto) fn first(&mut self) -> Option<Secret<Vec<u8>>> {
        let first = match &self.state {
            // nobody has written down that LOGIN takes the name at once
            State::Name => return None,
            State::First { header, bare, .. } => Secret::new(format!("{header}{bare}").into_bytes()),
            _ => {
                self.state = State::Proven;
                plain::encode(&self.credentials)
            }
        };
        Some(first)
    }

    /// The words of the command: the mechanism, and the first message in base64.
    pub(in crate::proto) fn command(&mut self, mechanism: Mechanism) -> String {
        let first = self.first().map(|first| format!(" {}", super::encode(first.expose())));
        format!("AUTH {}{}", mechanism.name(), first.unwrap_or_default())
    }

    /// Answers what the server says; an error says why it is not trusted.
    pub(in crate::proto) fn respond(&mut self, challenge: &[u8]) -> Result<Secret<Vec<u8>>, &'static str> {
        const UNREADABLE: &str = "its message of SCRAM cannot be read";
        match std::mem::replace(&mut self.state, State::Plain) {
            State::First { header, data, bare, nonce } => {
                let text = std::str::from_utf8(challenge).map_err(|_| UNREADABLE)?;
                let mut fields = text.split(',');
                let mut field = |name: &str| fields.next().and_then(|field| field.strip_prefix(name)).ok_or(UNREADABLE);
                let (whole, salt, iterations) = (field("r=")?, field("s=")?, field("i=")?);
                if whole.len() <= nonce.len() || !whole.starts_with(&nonce) {
                    return Err("its nonce does not go on from ours");
                }
                let salt = super::decode(salt.as_bytes()).ok_or(UNREADABLE)?;
                let iterations: u32 = iterations.parse().map_err(|_| UNREADABLE)?;
                if !ITERATIONS.contains(&iterations) {
                    return Err("it asks for too few or too many rounds");
                }
                let salted = Salted::of(&self.credentials.password, salt.expose(), iterations);
                let keys = salted.keys(salt.expose(), iterations);
                let binding = super::encode(&[header.as_bytes(), &data].concat());
                let without_proof = format!("c={binding},r={whole}");
                let messages = format!("{bare},{text},{without_proof}");
                let proof = super::encode(&salted.proof(&keys, &messages));
                self.state = State::Signed(keys.signature(&messages));
                Ok(Secret::new(format!("{without_proof},p={proof}").into_bytes()))
            }
            State::Signed(expected) => {
                let text = std::str::from_utf8(challenge).map_err(|_| UNREADABLE)?;
                let signature =
                    text.split(',').next().and_then(|field| field.strip_prefix("v=")).ok_or("it says that the proof is wrong")?;
                let signature = super::decode(signature.as_bytes()).ok_or(UNREADABLE)?;
                if !mac::equal(signature.expose(), &expected) {
                    return Err("it does not know the password itself");
                }
                self.state = State::Proven;
                Ok(Secret::default())
            }
            State::Name => {
                self.state = State::Password;
                Ok(Secret::new(self.credentials.user.as_bytes().to_vec()))
            }
            State::Password => {
                self.state = State::Proven;
                Ok(self.credentials.password.clone())
            }
            State::Plain | State::Proven => Err("it asks for more than there is to say"),
        }
    }

    /// Whether all was said that this mechanism needs; a yes that comes before it is no yes.
    pub(in crate::proto) fn is_proven(&self) -> bool {
        matches!(self.state, State::Proven)
    }
}

fn escaped(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}
