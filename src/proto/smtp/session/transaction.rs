//! One message within a session: sender, recipients, content (RFC 5321 3.3; chunks: RFC 3030).

use std::borrow::Cow;
use std::sync::Arc;

use super::{Chunk, Coming, Dots, Fault, Pending, Question, Reply, Role, Session, State};
use crate::proto::Tls;
use crate::proto::dialogue::Party;
use crate::proto::smtp::command::Last;
use crate::proto::smtp::envelope::{Addressee, Body, Envelope, RequireTls};
use crate::proto::smtp::parameters::MailParameters;
use crate::proto::smtp::path::Path;

impl Session {
    pub(super) fn mail(&mut self, sender: Path, parameters: MailParameters) {
        let MailParameters { size, is_utf8, terms } = parameters;
        match self.state {
            State::Greeted => return self.mistake(503, "5.5.1", "EHLO comes first"),
            State::Mail(_) | State::Chunks(_) => return self.mistake(503, "5.5.1", "a sender is given already"),
            _ => {}
        }
        if self.config.role == Role::Submission && self.user().is_none() {
            return self.mistake(530, "5.7.0", "authentication comes first");
        }
        // RFC 8689 3: it is offered under TLS only
        if terms.tls == RequireTls::Yes && self.config.tls != Tls::Active {
            return self.mistake(530, "5.7.10", "REQUIRETLS is for messages that come under TLS – STARTTLS first");
        }
        if size.is_some_and(|size| size > self.config.max_size) {
            let (code, enhanced, text) = self.said(Fault::TooLarge);
            return self.mistake(code, &enhanced, &text);
        }
        (self.excess, self.refused) = (0, [0; 2]);
        let envelope = Arc::new(Envelope {
            helo: self.helo.clone(),
            hello: self.hello,
            user: self.user().map(str::to_owned),
            mechanism: self.login.as_ref().map(|(_, mechanism)| *mechanism),
            sender,
            size: size.unwrap_or(0),
            recipients: Vec::new(),
            is_secure: self.config.tls == Tls::Active,
            is_utf8,
            terms,
        });
        self.ask(Pending::Sender(Arc::clone(&envelope)), Question::Sender(envelope));
    }

    pub(super) fn rcpt(&mut self, recipient: Addressee) {
        let State::Mail(envelope) = &self.state else { return self.mistake(503, "5.5.1", "MAIL comes first") };
        if envelope.recipients.len() >= self.config.max_recipients {
            // RFC 5321 4.5.3.1.10: he sends the others in another message; who goes on and on does not listen
            self.excess = self.excess.saturating_add(1);
            self.reply(452, "4.5.3", "too many recipients – send the rest in another message");
            if self.excess > self.config.max_recipients {
                self.shut_down("too many recipients");
            }
            return;
        }
        if !envelope.is_utf8 && !recipient.address.is_ascii() {
            return self.mistake(553, "5.6.7", "an address outside ASCII needs SMTPUTF8");
        }
        let envelope = Arc::clone(envelope);
        self.ask(Pending::Recipient(Arc::clone(&envelope), recipient.clone()), Question::Recipient(envelope, recipient));
    }

    pub(super) fn data(&mut self) {
        match std::mem::replace(&mut self.state, State::Ready) {
            State::Mail(envelope) if envelope.recipients.is_empty() => {
                self.state = State::Mail(envelope);
                self.mistake(554, "5.5.1", "no valid recipients");
            }
            // RFC 3030 3: what has any bytes has no line that ends it
            State::Mail(envelope) if envelope.terms.body == Body::Binary => {
                self.state = State::Mail(envelope);
                self.mistake(503, "5.5.1", "a binary message comes by BDAT");
            }
            State::Mail(envelope) => {
                self.send("354 send the message, and end it with a dot on a line of its own\r\n".to_owned());
                self.state = State::Data(Coming::new(envelope, self.config.max_size, self.config.hold), Dots::LineStart);
            }
            // RFC 3030 2: the two do not mix
            State::Chunks(coming) => {
                self.state = State::Chunks(coming);
                self.mistake(503, "5.5.1", "the message comes by BDAT – RSET, or the last chunk");
            }
            other => {
                self.state = other;
                self.mistake(503, "5.5.1", "MAIL and RCPT come first");
            }
        }
    }

    /// A chunk is announced; its bytes follow, wanted or not (RFC 3030 2).
    pub(super) fn bdat(&mut self, size: u64, last: Last) {
        let refused = |code: u16, text: &str| (code, Cow::Borrowed("5.5.1"), text.to_owned());
        let (state, reply) = match std::mem::replace(&mut self.state, State::Ready) {
            State::Mail(envelope) if !envelope.recipients.is_empty() => {
                let coming = Coming::new(envelope, self.config.max_size, self.config.hold);
                return self.begin_chunk(coming, size, last);
            }
            State::Chunks(coming) => return self.begin_chunk(coming, size, last),
            state @ State::Mail(_) => (state, refused(554, "no valid recipients")),
            other => (other, refused(503, "MAIL and RCPT come first")),
        };
        if size > self.config.max_size {
            return self.endless();
        }
        self.state = State::Skip(size, Box::new(state), reply);
    }

    fn begin_chunk(&mut self, mut coming: Coming, size: u64, last: Last) {
        coming.announce(size);
        // nobody who reads what we announce sends it, and waiting for its end would be waiting for ever
        if size > self.config.max_size {
            return self.endless();
        }
        self.state = State::Chunk(coming, Chunk { size, left: size, last });
    }

    fn endless(&mut self) {
        let (code, enhanced, text) = self.said(Fault::TooLarge);
        self.part(code, &enhanced, &format!("{text} – the connection ends"));
    }

    /// Takes what has come of a message or a chunk; whether there is something to do, and not more to wait for.
    pub(super) fn receive_content(&mut self) -> bool {
        match std::mem::replace(&mut self.state, State::Ready) {
            State::Data(coming, dots) => self.receive_data(coming, dots),
            State::Chunk(coming, chunk) => self.receive_chunk(coming, chunk),
            State::Skip(left, then, reply) => {
                let left = left.saturating_sub(length(&self.lines.take_up_to(left)));
                if left > 0 {
                    self.state = State::Skip(left, then, reply);
                    return false;
                }
                self.state = *then;
                self.mistake(reply.0, &reply.1, &reply.2);
                true
            }
            other => {
                self.state = other;
                false
            }
        }
    }

    fn receive_data(&mut self, mut coming: Coming, mut dots: Dots) -> bool {
        let mut bytes = self.lines.take();
        let ended = dots.receive(&bytes, &mut coming);
        if let Some(end) = ended {
            let rest = bytes.split_off(end.min(bytes.len()));
            self.lines.put_back(rest);
            match coming.fault() {
                // a server in between may have seen no end here, and then what follows is not its own (`CR CR LF . CR LF`)
                Some(Fault::BareLineEnd | Fault::Nul) => {
                    let (code, enhanced, text) = self.said(coming.fault().cloned().unwrap_or(Fault::BareLineEnd));
                    self.part(code, &enhanced, &format!("{text} – the connection ends"));
                }
                _ => self.end(coming),
            }
            return true;
        }
        self.go_on(State::Data(coming, dots))
    }

    fn receive_chunk(&mut self, mut coming: Coming, mut chunk: Chunk) -> bool {
        let bytes = self.lines.take_up_to(chunk.left);
        chunk.left = chunk.left.saturating_sub(length(&bytes));
        coming.chunk(&bytes);
        match (chunk.left, chunk.last, coming.fault().cloned()) {
            (1.., ..) => return self.go_on(State::Chunk(coming, chunk)),
            (0, Last::Yes, _) => self.end(coming),
            (0, Last::No, Some(fault)) => {
                let (code, enhanced, text) = self.said(fault);
                self.state = State::Chunks(coming);
                self.mistake(code, &enhanced, &text);
            }
            (0, Last::No, None) => {
                self.state = State::Chunks(coming);
                self.reply(250, "2.0.0", &format!("{} bytes are here", chunk.size));
            }
        }
        true
    }

    /// More is to come; what is too much to hold goes to the service.
    fn go_on(&mut self, mut state: State) -> bool {
        let piece = match &mut state {
            State::Data(coming, _) | State::Chunk(coming, _) => coming.piece(),
            _ => None,
        };
        match piece {
            Some(piece) => {
                self.ask(Pending::Piece(Box::new(state)), Question::Piece(piece));
                true
            }
            None => {
                self.state = state;
                false
            }
        }
    }

    fn end(&mut self, coming: Coming) {
        let size = coming.length();
        match coming.end() {
            Ok((envelope, content)) => {
                self.idle = 0;
                self.dialogue.message(Party::Client, size);
                self.ask(Pending::Message, Question::Message(envelope, content));
            }
            Err(fault) => {
                let (code, enhanced, text) = self.said(fault);
                self.reply(code, &enhanced, &text);
            }
        }
    }

    pub(super) fn coming(&self) -> Option<&Coming> {
        match &self.state {
            State::Data(coming, _) | State::Chunk(coming, _) | State::Chunks(coming) => Some(coming),
            State::Asked(Pending::Piece(state)) => match &**state {
                State::Data(coming, _) | State::Chunk(coming, _) => Some(coming),
                _ => None,
            },
            _ => None,
        }
    }

    fn said(&self, fault: Fault) -> Reply {
        match fault {
            Fault::TooLarge => (552, "5.3.4".into(), format!("the message is over {} bytes", self.config.max_size)),
            Fault::BareLineEnd => {
                (554, "5.6.0".into(), "the message holds a CR or an LF alone, which servers read differently".to_owned())
            }
            Fault::Nul => {
                (554, "5.6.0".into(), "the message holds a NUL, which is binary and comes by BDAT (RFC 3030)".to_owned())
            }
            Fault::Refused(code, enhanced, text) => (code, enhanced, text),
        }
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
