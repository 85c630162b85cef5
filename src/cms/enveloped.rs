//! EnvelopedData (RFC 5652 6) and AuthEnvelopedData (RFC 5083): read in one pass.

use std::io::{Read, Write};

use crate::asn1::reader::{Octets, Reader};
use crate::asn1::{Cursor, Oid, Tag, encode};
use crate::cms::reader::{end, read_oid, read_version};
use crate::cms::{Error, Material, Recipient, RecipientKind};
use crate::crypto::algorithm::{AlgorithmIdentifier, CipherParameters};
use crate::crypto::cipher::{Decryptor, Foreknown};
use crate::crypto::key::PrivateKey;
use crate::crypto::pbe::Cost;
use crate::crypto::random::Random;
use crate::limits::{Budget, LimitReached, Limits};
use crate::pki::Certificate;
use crate::secret::Secret;
use crate::secret::scratch::Piece;

/// An encrypted message whose content is still to be read.
#[derive(Debug)]
pub struct EnvelopedReader<R> {
    reader: Reader<R>,
    limits: Limits,
    authenticated: bool,
    originator: Box<Material>,
    /// Certificates beside those of the message, among which the originator's is looked for.
    known: Vec<Certificate>,
    recipients: Vec<Recipient>,
    content_type: Oid,
    algorithm: AlgorithmIdentifier,
}

/// A key to try.
#[derive(Clone, Copy)]
pub enum Key<'a> {
    /// A private key; with its certificate it is tried where the certificate is named, without one on every recipient that it fits.
    Private {
        /// The certificate.
        certificate: Option<&'a Certificate>,
        /// The private key.
        key: &'a PrivateKey,
    },
    /// A password.
    Password(&'a Secret<Vec<u8>>),
    /// A key-encryption key.
    Kek(&'a Secret<Vec<u8>>),
}

/// A recipient and a key that may open it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Which recipient.
    pub recipient: usize,
    /// Which key.
    pub key: usize,
    /// Whether the recipient names the key; else it is a guess.
    pub is_named: bool,
}

/// How many trials of private keys a password counts for: its derivation may take seconds, and a message names one password or two.
const PASSWORD_TRIALS: usize = 16;

/// A message none of whose recipients can be read is malformed; one of which some can is another's, and stays readable to him.
fn refuse_all_unreadable(recipients: &[Recipient]) -> Result<(), Error> {
    let is_unreadable = |recipient: &Recipient| matches!(recipient.kind, RecipientKind::Unreadable(_));
    if !recipients.is_empty() && recipients.iter().all(is_unreadable) {
        return Err(Error::Malformed("an encrypted message none of whose recipients can be read"));
    }
    Ok(())
}

/// What a decryption learnt beside the content.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The type of the content.
    pub content_type: Oid,
    /// Whether bytes follow the structure.
    pub has_trailing: bool,
}

impl<R: Read> EnvelopedReader<R> {
    pub(in crate::cms) fn new(mut reader: Reader<R>, authenticated: bool, limits: &Limits) -> Result<Self, Error> {
        reader.enter(Tag::SEQUENCE)?;
        read_version(&mut reader, 4)?;
        let mut originator = Box::<Material>::default();
        if reader.peek()? == Some(Tag::context_constructed(0)) {
            *originator = Material::of_originator(&reader.raw()?, limits)?;
        }
        let mut budget = Budget::new("recipients", limits.recipients);
        let mut held = Budget::new("structure bytes", limits.structure_bytes);
        let mut recipients = Vec::new();
        reader.enter(Tag::SET)?;
        while reader.peek()?.is_some() {
            let raw = reader.raw()?;
            held.spend(raw.len())?;
            let found = Recipient::from_der(&raw, limits)?;
            budget.spend(found.len())?;
            recipients.extend(found);
        }
        reader.leave()?;
        refuse_all_unreadable(&recipients)?;
        reader.enter(Tag::SEQUENCE)?;
        let content_type = read_oid(&mut reader)?;
        let algorithm = AlgorithmIdentifier::from_der(&reader.raw()?)?;
        let (limits, known) = (limits.clone(), Vec::new());
        Ok(Self { reader, limits, authenticated, originator, known, recipients, content_type, algorithm })
    }

    /// The type of the content.
    pub fn content_type(&self) -> Oid {
        self.content_type
    }

    /// Whether it is AuthEnvelopedData.
    pub fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// The recipients.
    pub fn recipients(&self) -> &[Recipient] {
        &self.recipients
    }

    /// What the originator brought along.
    pub fn originator(&self) -> &Material {
        &self.originator
    }

    /// Looks for the certificate of an originator who is named by it among these, too (RFC 6278 2.1).
    #[must_use]
    pub fn knowing(mut self, certificates: &[Certificate]) -> Self {
        self.known.extend_from_slice(certificates);
        self
    }

    /// The content cipher for people.
    pub fn cipher_name(&self) -> String {
        self.parameters().map_or_else(|_| self.algorithm.name(), |parameters| parameters.cipher.name())
    }

    /// The content cipher and its parameters, as far as they go together with the structure: an AEAD inside EnvelopedData would be
    /// read without its tag, a CBC inside AuthEnvelopedData would only seem authenticated (RFC 5083, 5084).
    pub fn parameters(&self) -> Result<CipherParameters, Error> {
        let parameters = CipherParameters::from_identifier(&self.algorithm)?;
        match (self.authenticated, parameters.cipher.is_authenticated()) {
            (true, false) => Err(Error::Malformed("AuthEnvelopedData with a cipher that has no tag")),
            (false, true) => Err(Error::Malformed("EnvelopedData with a cipher whose tag it cannot carry")),
            _ => Ok(parameters),
        }
    }

    /// The recipients and keys worth trying, named ones first, within the bound on trials.
    ///
    /// A guess under RSA v1.5 gives a random key where it is wrong, and under CBC one wrong key in 256 ends with a padding that
    /// fits: whoever tries guesses opens the source again for each, and takes no content from CBC for the message's unless it reads
    /// as one.
    pub fn candidates(&self, keys: &[Key<'_>]) -> Vec<Candidate> {
        self.within_trials(keys).0
    }

    /// The bound on trials, where it leaves out some of those worth trying.
    pub fn beyond_trials(&self, keys: &[Key<'_>]) -> Option<LimitReached> {
        self.within_trials(keys).1
    }

    fn within_trials(&self, keys: &[Key<'_>]) -> (Vec<Candidate>, Option<LimitReached>) {
        let mut budget = Budget::new("recipient trials", self.limits.recipient_trials);
        let mut within = Vec::new();
        for candidate in self.all_candidates(keys) {
            let is_password = matches!(keys.get(candidate.key), Some(Key::Password(_)));
            if let Err(limit) = budget.spend(if is_password { PASSWORD_TRIALS } else { 1 }) {
                return (within, Some(limit));
            }
            within.push(candidate);
        }
        (within, None)
    }

    fn all_candidates(&self, keys: &[Key<'_>]) -> Vec<Candidate> {
        let (mut named, mut guessed) = (Vec::new(), Vec::new());
        for (at, recipient) in self.recipients.iter().enumerate() {
            for (key_at, key) in keys.iter().enumerate() {
                let candidate = |is_named| Candidate { recipient: at, key: key_at, is_named };
                match (key, &recipient.kind) {
                    (Key::Private { certificate: Some(certificate), key }, _)
                        if recipient.fits(key) && recipient.id.names(certificate) =>
                    {
                        named.push(candidate(true));
                    }
                    (Key::Private { certificate: None, key }, _) if recipient.fits(key) => guessed.push(candidate(false)),
                    (Key::Password(_), RecipientKind::Password { .. })
                    | (Key::Kek(_), RecipientKind::Kek(_) | RecipientKind::Password { derivation: None, .. }) => {
                        guessed.push(candidate(false));
                    }
                    _ => {}
                }
            }
        }
        named.extend(guessed);
        named
    }

    /// Recovers the content key of a candidate.
    pub fn content_key(&self, candidate: Candidate, keys: &[Key<'_>], random: &mut dyn Random) -> Result<Secret<Vec<u8>>, Error> {
        self.content_key_within(candidate, keys, random, &mut Cost::new(&self.limits))
    }

    /// The same, where the keys that passwords give to several candidates may cost so much together.
    pub fn content_key_within(
        &self,
        candidate: Candidate,
        keys: &[Key<'_>],
        random: &mut dyn Random,
        cost: &mut Cost,
    ) -> Result<Secret<Vec<u8>>, Error> {
        let missing = || Error::Malformed("no such recipient");
        let recipient = self.recipients.get(candidate.recipient).ok_or_else(missing)?;
        let cipher = self.parameters()?.cipher;
        let key = match keys.get(candidate.key).ok_or_else(missing)? {
            Key::Private { key, .. } => {
                let originators = [&self.originator.certificates[..], &self.known].concat();
                recipient.unwrap(key, cipher, &originators, random)?
            }
            Key::Password(password) => recipient.unwrap_password(password, cost)?,
            Key::Kek(kek) => recipient.unwrap_kek(kek)?,
        };
        // a key of another length would be cut or stretched by someone: refuse it; RSA v1.5 gives a key of the right length in
        // any case, so this tells nothing about its padding
        if key.expose().len() != cipher.key_len() {
            return Err(Error::DecryptionFailed);
        }
        Ok(key)
    }

    /// Passes over the content without a key, to the end of the structure; says whether bytes follow it.
    pub fn pass_over(mut self) -> Result<bool, Error> {
        if self.reader.peek()?.is_some_and(|tag| tag.same_type(Tag::context(0))) {
            let mut octets = self.reader.octets(Tag::context(0))?;
            while self.reader.next_piece(&mut octets)?.is_some() {}
        }
        self.reader.leave()?;
        self.reader.skip_rest()?;
        end(self.reader)
    }

    /// Begins to decrypt. What the pieces hold is not to be released before the last one was given: until then nothing is checked.
    ///
    /// `foreknown` is what a first pass ended with that could not decrypt in one go (see [`Decrypting::foreknown`]).
    pub fn decrypting(mut self, key: &Secret<Vec<u8>>, foreknown: Option<&Foreknown>) -> Result<Decrypting<R>, Error> {
        let parameters = self.parameters()?;
        let decryptor = match foreknown {
            Some(foreknown) => Decryptor::knowing(&parameters, key.expose(), foreknown)?,
            None => Decryptor::new(&parameters, key.expose())?,
        };
        if !self.reader.peek()?.is_some_and(|tag| tag.same_type(Tag::context(0))) {
            return Err(Error::Malformed("an encrypted message without encrypted content"));
        }
        let octets = self.reader.octets(Tag::context(0))?;
        Ok(Decrypting {
            reader: self.reader,
            authenticated: self.authenticated,
            octets,
            decryptor: Some(decryptor),
            plain: Piece::empty(),
            seen: Foreknown { aad: Vec::new(), content_len: 0 },
        })
    }

    /// Decrypts to the end. `sink` gets content before its check: it must be a spool that nobody reads until this says `Ok`.
    pub fn decrypt(self, key: &Secret<Vec<u8>>, sink: &mut dyn Write) -> Result<Opened, Error> {
        let content_type = self.content_type;
        let mut decrypting = self.decrypting(key, None)?;
        while let Some(piece) = decrypting.next_piece()? {
            sink.write_all(piece)?;
        }
        Ok(Opened { content_type, has_trailing: decrypting.finish()? })
    }
}

/// An encrypted content that is being decrypted.
pub struct Decrypting<R> {
    reader: Reader<R>,
    authenticated: bool,
    octets: Octets,
    /// `None` when the last piece was given and everything fits.
    decryptor: Option<Decryptor>,
    plain: Piece,
    seen: Foreknown,
}

impl<R: Read> Decrypting<R> {
    /// The next piece of content. `None` at its end, and then the tag or the padding fits, and all that was given may be released.
    pub fn next_piece(&mut self) -> Result<Option<&[u8]>, Error> {
        self.plain.clear();
        let mut plain = std::mem::replace(&mut self.plain, Piece::empty());
        let result = self.append(plain.expose_mut());
        self.plain = plain;
        result?;
        let piece = self.plain.expose().as_slice();
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }

    /// Appends the next piece, as [`Decrypting::next_piece`] gives it; nothing at the end.
    pub fn append(&mut self, plain: &mut Vec<u8>) -> Result<(), Error> {
        let before = plain.len();
        while let Some(decryptor) = &mut self.decryptor {
            let Some(piece) = self.reader.next_piece(&mut self.octets)? else {
                return self.check(plain);
            };
            let len = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            self.seen.content_len = self.seen.content_len.saturating_add(len);
            decryptor.update(piece, plain);
            if plain.len() > before {
                break;
            }
        }
        Ok(())
    }

    /// What a second pass over the same message must know, where this one ended with
    /// [`Foreknowledge`](crate::crypto::Error::Foreknowledge).
    pub fn foreknown(&self) -> Foreknown {
        self.seen.clone()
    }

    /// Leaves the structure; says whether bytes follow it.
    pub fn finish(mut self) -> Result<bool, Error> {
        while self.next_piece()?.is_some() {}
        self.reader.skip_rest()?;
        end(self.reader)
    }

    /// Ends the content: the tag or the padding must fit.
    fn check(&mut self, plain: &mut Vec<u8>) -> Result<(), Error> {
        self.reader.leave()?;
        let tag = self.authentication()?;
        let Some(decryptor) = self.decryptor.take() else { return Ok(()) };
        Ok(decryptor.finish(&self.seen.aad, tag.as_deref(), plain)?)
    }

    /// The authenticated attributes as the DER of a SET OF, and the tag (RFC 5083 2.1, 2.2).
    fn authentication(&mut self) -> Result<Option<Vec<u8>>, Error> {
        if !self.authenticated {
            return Ok(None);
        }
        if self.reader.peek()? == Some(Tag::context_constructed(1)) {
            let raw = self.reader.raw()?;
            self.seen.aad = encode::tlv(Tag::SET, Cursor::new(&raw).any()?.content);
        }
        let raw = self.reader.raw()?;
        Ok(Some(Cursor::new(&raw).octet_string()?.into_owned()))
    }
}
