//! One connection: a stream, a session, deadlines. The only code that moves bytes between them.

mod patience;

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::proto::{Agreed, Spoken, Step, pop3, sasl, smtp};
use crate::server::drive::patience::{Clock, IDLE, pause};
use crate::server::listen::ServerTls;
use crate::server::mail::{Answered, Mail, Peer};
use crate::server::mailbox::MailboxAccess;
use crate::server::spool::Spool;
use crate::server::trace;
use crate::server::turns::Turns;
use crate::time::Timestamp;

/// After that time nothing is kept at hand for a peer: most connections that say nothing for so long say nothing for longer.
const REST: Duration = Duration::from_secs(10);
/// Bytes that must be taken within the time of one command.
const PIECE: usize = 64 << 10;
/// Bytes that are read at once: some TLS records, or what a peer beside this host sends in one go.
const BUFFER: usize = 64 << 10;
/// For a TLS handshake, and to say good bye; no honest client needs longer.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// A session of any protocol, with the service behind it.
pub(in crate::server) trait Conversation: Send + 'static {
    /// Takes bytes from the peer.
    fn receive(&mut self, bytes: &[u8]);
    /// What to do next.
    fn next(&mut self) -> Next;
    /// Whether the question that stands is answered without waiting for anything.
    fn is_quick(&self) -> bool {
        false
    }
    /// Answers the question that stands, or says where the answer will come from. Blocks: on disk, on password hashes.
    fn answer(&mut self) -> Option<Later>;
    /// The answer that was to come.
    fn answered(&mut self, _answer: smtp::Answer) {}
    /// TLS has begun.
    fn tls_started(&mut self);
    /// What TLS says of the connection.
    fn channel(&mut self, channel: sasl::Channel);
    /// The version and the cipher of TLS.
    fn secured(&mut self, _how: Agreed) {}
    /// Bytes so far of a message that is coming.
    fn length(&self) -> Option<u64> {
        None
    }
    /// The server stops.
    fn shut_down(&mut self, text: &str);
    /// Nothing was said for too long.
    fn expire(&mut self) {
        self.shut_down("nothing was said for too long");
    }
    /// Nothing was said for a while: what is held so that the next answer comes sooner is let go.
    fn rest(&mut self) {}
    /// Bytes that the peer makes this connection hold.
    fn held(&self) -> usize {
        0
    }
    /// The turns for logins, where the question that stands is one.
    fn logins(&self) -> Option<Turns>;
    /// Who is at the other end.
    fn peer(&self) -> IpAddr;
    /// What he said so far that he should not have said.
    fn mistakes(&self) -> usize;
    /// What was said since the last time, and the user who is known by now.
    fn spoken(&mut self) -> (Vec<Spoken>, Option<String>);
}

/// An answer that comes when the disk has what it is about.
pub(in crate::server) type Later = oneshot::Receiver<smtp::Answer>;

/// A step whose question stays with the conversation.
pub(in crate::server) enum Next {
    Send(Vec<u8>),
    Answer,
    Later(Later),
    StartTls,
    Wait,
    Close,
}

/// An SMTP session and its service.
pub(in crate::server) struct Smtp {
    session: smtp::Session,
    mail: Mail,
    peer: Peer,
    spool: Spool,
    asked: Option<smtp::Question>,
}

impl Smtp {
    pub(in crate::server) fn new(session: smtp::Session, mail: Mail, address: IpAddr) -> Self {
        let spool = mail.spool();
        Self { session, mail, peer: Peer { address, tls: None, local: None }, spool, asked: None }
    }
}

/// A POP3 session and its service.
pub(in crate::server) struct Pop3 {
    session: pop3::Session,
    mail: Mail,
    address: IpAddr,
    access: MailboxAccess,
    asked: Option<pop3::Question>,
}

impl Pop3 {
    pub(in crate::server) fn new(session: pop3::Session, mail: Mail, address: IpAddr) -> Self {
        let access = mail.mailbox();
        Self { session, mail, address, access, asked: None }
    }
}

fn next<Q>(step: Step<Q>, asked: &mut Option<Q>) -> Next {
    match step {
        Step::Send(bytes) => Next::Send(bytes),
        Step::Ask(question) => {
            *asked = Some(question);
            Next::Answer
        }
        Step::StartTls => Next::StartTls,
        Step::Wait => Next::Wait,
        Step::Close => Next::Close,
    }
}

impl Conversation for Smtp {
    fn receive(&mut self, bytes: &[u8]) {
        self.session.receive(bytes);
    }
    fn next(&mut self) -> Next {
        let next = next(self.session.step(), &mut self.asked);
        if let Some(ended) = self.session.login_ended() {
            self.mail.login_ended(&ended, self.peer.address, now());
        }
        // a message that was not taken leaves nothing
        if self.asked.is_none() && self.session.length().is_none() {
            self.spool.clear();
        }
        next
    }
    fn is_quick(&self) -> bool {
        self.asked.as_ref().is_some_and(|question| self.mail.is_quick(question, &self.peer))
    }
    fn answer(&mut self) -> Option<Later> {
        let question = match self.asked.take()? {
            smtp::Question::Piece(piece) => {
                let answer = self.mail.piece(&piece, &mut self.spool, now());
                self.session.answer(answer);
                self.session.give_back(piece.bytes);
                return None;
            }
            question => question,
        };
        match self.mail.smtp(question, &mut self.spool, &self.peer, now()) {
            Answered::Now(answer) => {
                self.session.answer(answer);
                None
            }
            Answered::Later(later) => Some(later),
        }
    }
    fn answered(&mut self, answer: smtp::Answer) {
        self.session.answer(answer);
    }
    fn secured(&mut self, how: Agreed) {
        self.peer.tls = Some(how);
    }
    fn length(&self) -> Option<u64> {
        self.session.length()
    }
    fn tls_started(&mut self) {
        self.session.tls_started();
    }
    fn channel(&mut self, channel: sasl::Channel) {
        self.session.channel(channel);
    }
    fn shut_down(&mut self, text: &str) {
        self.session.shut_down(text);
    }
    fn held(&self) -> usize {
        self.session.held()
    }
    fn logins(&self) -> Option<Turns> {
        let Some(smtp::Question::Authenticate(question)) = &self.asked else { return None };
        self.mail.accounts().turns(question)
    }
    fn peer(&self) -> IpAddr {
        self.peer.address
    }
    fn mistakes(&self) -> usize {
        self.session.mistakes()
    }
    fn spoken(&mut self) -> (Vec<Spoken>, Option<String>) {
        (self.session.spoken(), self.session.user().map(str::to_owned))
    }
}

impl Conversation for Pop3 {
    fn is_quick(&self) -> bool {
        self.asked.as_ref().is_some_and(|question| self.access.is_quick(question))
    }
    fn receive(&mut self, bytes: &[u8]) {
        self.session.receive(bytes);
    }
    fn next(&mut self) -> Next {
        let next = next(self.session.step(), &mut self.asked);
        if let Some(ended) = self.session.login_ended() {
            self.mail.login_ended(&ended, self.address, now());
        }
        next
    }
    fn answer(&mut self) -> Option<Later> {
        if let Some(question) = self.asked.take() {
            let login = |question: &sasl::Question| self.mail.login(question, self.address);
            self.session.answer(self.access.answer(question, login));
        }
        None
    }
    fn tls_started(&mut self) {
        self.session.tls_started();
    }
    fn channel(&mut self, channel: sasl::Channel) {
        self.session.channel(channel);
    }
    fn shut_down(&mut self, text: &str) {
        self.session.shut_down(text);
    }
    fn expire(&mut self) {
        self.session.expire();
    }
    fn rest(&mut self) {
        self.access.rest();
    }
    fn held(&self) -> usize {
        self.session.held().saturating_add(self.access.held())
    }
    fn logins(&self) -> Option<Turns> {
        let Some(pop3::Question::Authenticate(question)) = &self.asked else { return None };
        self.access.accounts().turns(question)
    }
    fn peer(&self) -> IpAddr {
        self.address
    }
    fn mistakes(&self) -> usize {
        self.session.mistakes()
    }
    fn spoken(&mut self) -> (Vec<Spoken>, Option<String>) {
        (self.session.spoken(), self.access.user().map(str::to_owned))
    }
}

/// Bytes of messages that are coming, of all connections together: peers that nobody knows must not fill the memory.
const COMING: usize = 512 << 20;

/// What all connections hold.
#[derive(Debug, Clone, Default)]
pub(in crate::server) struct Memory(Arc<AtomicUsize>);

/// What one connection holds of it.
struct Held {
    memory: Memory,
    bytes: usize,
}

impl Held {
    /// Counts what is held now; whether there is room for it.
    fn set(&mut self, bytes: usize) -> bool {
        let before = std::mem::replace(&mut self.bytes, bytes);
        let all = if bytes >= before {
            let more = bytes.saturating_sub(before);
            self.memory.0.fetch_add(more, Ordering::Relaxed).saturating_add(more)
        } else {
            let less = before.saturating_sub(bytes);
            self.memory.0.fetch_sub(less, Ordering::Relaxed).saturating_sub(less)
        };
        bytes == 0 || all <= COMING
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Runs a conversation to its end.
pub(in crate::server) async fn drive<C: Conversation>(
    stream: TcpStream,
    tls: Option<Arc<ServerTls>>,
    starts_with_tls: bool,
    mut conversation: Box<C>,
    mut trace: trace::Conversation,
    (memory, handshakes): (Memory, Turns),
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let secured = Handshakes { tls, turns: handshakes, peer: conversation.peer() };
    let mut plain = Some(stream);
    let mut secure: Option<Box<dyn Stream>> = None;
    if starts_with_tls {
        // on its own: what a handshake needs is not kept while the connection lasts
        let (stream, channel, how) = Box::pin(secured.accept(plain.take())).await?;
        secure = Some(stream);
        conversation.channel(channel);
        trace.secured(&how.to_string());
        conversation.secured(how);
    }
    let mut clock = Clock::begin(Instant::now());
    let mut held = Held { memory, bytes: 0 };
    // replies to commands that came together go out together
    let (mut out, mut known) = (Vec::new(), None);
    // whether what was held for the next answer is let go already
    let mut rests = false;
    loop {
        let next = known.take().unwrap_or_else(|| conversation.next());
        // a message that is whole is held no more; whether there is room is asked where more comes
        let _ = held.set(conversation.held());
        let (spoken, user) = conversation.spoken();
        trace.say(now(), user.as_deref(), spoken);
        match next {
            Next::Send(bytes) => {
                out.extend_from_slice(&bytes);
                if out.len() >= PIECE {
                    clock.said(conversation.length());
                    send(&mut secure, &mut plain, &mut out, &trace).await?;
                }
            }
            Next::Answer if conversation.is_quick() => {
                let (back, said, next) = answer(conversation, out, C::is_quick);
                (conversation, out, known) = (back, said, Some(next));
            }
            Next::Later(later) => {
                let closed = || smtp::Answer::Reject(451, "4.3.0".into(), "the server failed – try again later".to_owned());
                conversation.answered(later.await.unwrap_or_else(|_| closed()));
            }
            Next::Answer => {
                let logins = conversation.logins();
                let _place = match &logins {
                    Some(logins) => Some(logins.take(conversation.peer()).await),
                    None => None,
                };
                let (back, said, next) = tokio::task::spawn_blocking(move || answer(conversation, out, |c| c.logins().is_none()))
                    .await
                    .map_err(std::io::Error::other)?;
                (conversation, out, known) = (back, said, Some(next));
            }
            Next::StartTls => {
                send(&mut secure, &mut plain, &mut out, &trace).await?;
                let (stream, channel, how) = Box::pin(secured.accept(plain.take())).await?;
                secure = Some(stream);
                conversation.tls_started();
                conversation.channel(channel);
                trace.secured(&how.to_string());
                conversation.secured(how);
                clock.said(None);
            }
            Next::Close => {
                send(&mut secure, &mut plain, &mut out, &trace).await?;
                break;
            }
            Next::Wait => {
                if !out.is_empty() {
                    clock.said(conversation.length());
                    send(&mut secure, &mut plain, &mut out, &trace).await?;
                }
                let patience = pause(conversation.mistakes());
                if !patience.is_zero() {
                    tokio::select! {
                        () = tokio::time::sleep(patience) => {}
                        _ = stop.wait_for(|stops| *stops) => {}
                    }
                }
                let deadline = clock.deadline(conversation.length());
                let until = if rests { deadline } else { deadline.min(Instant::now() + REST) };
                let read = poll_fn(|context| {
                    let reads = |bytes: &[u8]| {
                        conversation.receive(bytes);
                        bytes.len()
                    };
                    match (&mut secure, &mut plain) {
                        (Some(stream), _) => poll_read(Pin::new(stream), context, reads),
                        (None, Some(stream)) => poll_read(Pin::new(stream), context, reads),
                        (None, None) => Poll::Ready(Ok(0)),
                    }
                });
                tokio::select! {
                    read = timeout_at(until, read) => match read {
                        Err(_) if until < deadline => {
                            conversation.rest();
                            rests = true;
                        }
                        Err(_) => conversation.expire(),
                        Ok(Ok(0)) => return Ok(()),
                        Ok(read) => {
                            trace.moved(read?, 0);
                            rests = false;
                            if !held.set(conversation.held()) {
                                conversation.shut_down("too much mail comes at once - try again later");
                            }
                        }
                    },
                    _ = stop.wait_for(|stops| *stops) => conversation.shut_down("the server stops"),
                }
            }
        }
    }
    match (secure, plain) {
        (Some(mut stream), _) => timeout(HANDSHAKE, stream.shutdown()).await?,
        (None, Some(mut stream)) => timeout(HANDSHAKE, stream.shutdown()).await?,
        (None, None) => Ok(()),
    }
}

/// Answers what is asked, and what is asked next as long as that may be answered on this thread; gives what is to be sent, and what comes then.
fn answer<C: Conversation>(mut conversation: Box<C>, mut out: Vec<u8>, may: impl Fn(&C) -> bool) -> (Box<C>, Vec<u8>, Next) {
    let mut later = conversation.answer();
    loop {
        if let Some(later) = later.take() {
            return (conversation, out, Next::Later(later));
        }
        match conversation.next() {
            Next::Send(bytes) if out.len() < PIECE => out.extend_from_slice(&bytes),
            Next::Answer if out.len() < PIECE && may(&conversation) => later = conversation.answer(),
            next => return (conversation, out, next),
        }
    }
}

/// Sends all of it; each piece has its time: a slow line is no dead one.
async fn send(
    secure: &mut Option<Box<dyn Stream>>,
    plain: &mut Option<TcpStream>,
    out: &mut Vec<u8>,
    trace: &trace::Conversation,
) -> std::io::Result<()> {
    // its memory is free again: most connections are idle most of the time
    let out = std::mem::take(out);
    trace.moved(0, out.len());
    for piece in out.chunks(PIECE) {
        match (&mut *secure, &mut *plain) {
            (Some(stream), _) => timeout(IDLE, stream.write_all(piece)).await??,
            (None, Some(stream)) => timeout(IDLE, stream.write_all(piece)).await??,
            (None, None) => return Err(std::io::ErrorKind::NotConnected.into()),
        }
    }
    match secure {
        Some(stream) => timeout(IDLE, stream.flush()).await?,
        None => Ok(()),
    }
}

/// Reads what has come, on this thread's stack: a connection that waits, as most do, has no buffer.
fn poll_read(
    mut stream: Pin<&mut (impl AsyncRead + AsyncWrite + ?Sized)>,
    context: &mut Context<'_>,
    take: impl FnOnce(&[u8]) -> usize,
) -> Poll<std::io::Result<usize>> {
    let mut bytes = [MaybeUninit::uninit(); BUFFER];
    let mut buffer = ReadBuf::uninit(&mut bytes);
    match stream.as_mut().poll_read(context, &mut buffer) {
        // what TLS has to say of what came (no new handshake, another key) is not kept back until we have something to say, too
        Poll::Pending => match stream.poll_flush(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        },
        Poll::Ready(Ok(())) => Poll::Ready(Ok(take(buffer.filled()))),
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
    }
}

type Secured = (Box<dyn Stream>, sasl::Channel, Agreed);

/// How a connection becomes secure.
struct Handshakes {
    tls: Option<Arc<ServerTls>>,
    /// Signatures and key agreements cost most of what a stranger can ask for.
    turns: Turns,
    peer: IpAddr,
}

impl Handshakes {
    async fn accept(&self, stream: Option<TcpStream>) -> std::io::Result<Secured> {
        let (Some(tls), Some(stream)) = (&self.tls, stream) else { return Err(std::io::Error::other("no TLS here")) };
        let handshake = self.turns.run(self.peer, tls.acceptor().accept(stream));
        let stream = timeout(HANDSHAKE, handshake).await??;
        let connection = stream.get_ref().1;
        let channel = tls.channel(connection, now()).await;
        let cipher = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or("unknown");
        let version = connection.protocol_version().and_then(|version| version.as_str()).unwrap_or("unknown");
        // RFC 8314 4.3: the name that IANA has; that of rustls differs for TLS 1.3
        let how = Agreed { version: version.replacen('_', ".", 1), cipher: cipher.replacen("TLS13_", "TLS_", 1) };
        Ok((Box::new(stream), channel, how))
    }
}

/// Reads the system's clock.
pub(in crate::server) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_connections_hold_is_bounded_and_free_again_when_they_end() {
        let memory = Memory::default();
        let hold = || Held { memory: memory.clone(), bytes: 0 };
        let (mut one, mut other) = (hold(), hold());
        assert!(one.set(COMING / 2) && other.set(COMING / 2));
        assert!(!other.set(COMING / 2 + 1), "no room");
        assert!(other.set(0));
        drop(one);
        assert!(hold().set(COMING));
        assert_eq!(memory.0.load(Ordering::Relaxed), 0);
    }
}
