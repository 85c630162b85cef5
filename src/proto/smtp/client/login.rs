//! The client logs in, where it was told to (RFC 4954).

use super::{Client, Outcome, State, TlsWish};
use crate::proto::sasl::{self, ClientExchange};

impl Client {
    /// A password goes out under TLS only.
    pub(super) fn authenticate(&mut self) {
        let Some(credentials) = self.credentials.clone() else { return self.mail() };
        if self.tls != TlsWish::Active {
            return self.leave(&Outcome::Temporary("the server offers no TLS, and a password is sent under TLS only".to_owned()));
        }
        let names = self.offer("AUTH").unwrap_or_default().split(' ');
        let mechanism = sasl::choose(names, &self.channel, self.nonce.as_deref()).unwrap_or(sasl::Mechanism::Plain);
        let nonce = self.nonce.clone().unwrap_or_default();
        let mut exchange = ClientExchange::new(mechanism, credentials, &self.channel, &nonce);
        let line = exchange.command(mechanism);
        self.exchange = Some(exchange);
        self.say(&line, State::Auth);
    }

    pub(super) fn challenged(&mut self, reply: &str) {
        let challenge = sasl::decode(reply.get(4..).unwrap_or_default().as_bytes()).ok_or("its message cannot be read");
        let exchange = self.exchange.as_mut().ok_or("nothing was begun");
        match exchange.and_then(|exchange| exchange.respond(challenge?.expose())) {
            Ok(response) => self.say_secret(&sasl::encode(response.expose()), State::Auth),
            Err(why) => self.untrusted(why),
        }
    }

    /// Its mail waits: nobody's message is to blame.
    pub(super) fn untrusted(&mut self, why: &str) {
        self.fail(&Outcome::Temporary(format!("the server is not trusted with the login – {why}")));
    }
}
