//! To whom `encrypt` and `seal` write.

use std::path::PathBuf;

use clap::Args;

use sealpost::cms::Capabilities;
use sealpost::crypto::algorithm::ContentCipher;
use sealpost::keys::Home;
use sealpost::pki::{Certificate, Inquiry, Judgement, PolicyInputs, Purpose, ReasonCode, Revocation, TrustAnchors, email};
use sealpost::smime::{self, CipherChoice, Encrypt, HeaderConfidentiality, Recipient, TransportChoice};

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::online::OnlineArgs;
use crate::cli::sign::warn_of_size;
use crate::cli::{fix, keyring, report};

/// The recipients, and how their copies are locked.
#[derive(Debug, Args)]
pub(crate) struct RecipientArgs {
    /// Encrypt to this address, and not to those of To, Cc and Bcc; its certificate comes from the contacts or your own identities
    #[arg(long = "to", value_name = "ADDR")]
    to: Vec<String>,
    /// Encrypt to the certificate in FILE, and not to those of To, Cc and Bcc
    #[arg(long = "to-cert", value_name = "FILE")]
    to_cert: Vec<PathBuf>,
    /// Encrypt a copy of its own to this address, so that the others do not see it (default: those of Bcc, where neither --to nor --to-cert is given)
    #[arg(long = "bcc", value_name = "ADDR")]
    bcc: Vec<String>,
    /// The content cipher
    #[arg(long, value_name = "NAME", default_value = "auto",
          value_parser = ["auto", "aes-256-gcm", "aes-128-gcm", "aes-256-cbc", "aes-128-cbc", "chacha20-poly1305"])]
    cipher: String,
    /// How RSA recipients get the key
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = ["auto", "oaep", "pkcs1"])]
    key_transport: String,
    /// What the outside shows of the header fields: not the Subject (baseline), nor names and time zone (shy), or all of them
    #[arg(long, value_name = "NAME", default_value = "baseline", value_parser = HeaderConfidentiality::NAMES.map(|(name, _)| name))]
    header_confidentiality: String,
    /// Begin the text with the hidden header fields, for readers whose programs do not show protected ones
    #[arg(long)]
    legacy_display: bool,
    #[command(flatten)]
    online: OnlineArgs,
}

/// Who gets which copy. The sender reads every one of them, where his certificate is known.
#[derive(Debug)]
pub(crate) struct Addressees {
    /// Those of the copy that everyone in To and Cc gets.
    pub(crate) seen: Vec<Recipient>,
    /// Each of those whom the others do not see: the address, and who reads that copy.
    pub(crate) hidden: Vec<(String, Vec<Recipient>)>,
    /// Whether the sender can read what he sends.
    pub(crate) sender_reads: bool,
    /// What he can do about it where he cannot.
    pub(crate) sender_hint: String,
    /// Those whom the message names and of whom no certificate is among the readers', the options having named others.
    pub(crate) left_out: Vec<String>,
    /// What makes them readers.
    pub(crate) left_out_hint: String,
    /// Whether nobody but the sender is among them.
    is_for_nobody: bool,
}

impl RecipientArgs {
    /// Who gets which copy: those named, else those of To, Cc and Bcc. `signer` is the certificate that signs, where one does.
    pub(crate) fn addressees(
        &self,
        context: &Context,
        message: &[u8],
        signer: Option<&Certificate>,
    ) -> Result<Addressees, Failure> {
        let home = context.existing_home()?;
        let home = home.as_ref();
        let (mut revoked, mut why): (Vec<Certificate>, Option<Failure>) = (Vec::new(), None);
        loop {
            // somebody whose certificates are all revoked is told so, and not that none is known
            let (found, everyone) = match self.gather(context, home, (message, signer), &revoked) {
                Ok(found) => found,
                Err(failure) => return Err(why.unwrap_or(failure)),
            };
            let Some((certificate, failure)) = self.first_revoked(context, home, &everyone)? else {
                for certificate in &revoked {
                    eprintln!(
                        "note: {} is revoked – another certificate of the same address is used",
                        report::safe(&certificate.to_string())
                    );
                }
                everyone.iter().for_each(|reader| warn_of_size(reader.certificate(), "refuse what is encrypted to it"));
                if found.is_for_nobody {
                    eprintln!("warning: the message names no recipients – nobody but the sender will be able to read it");
                    eprintln!("hint: name them with --to ADDR or --to-cert FILE");
                }
                return Ok(found);
            };
            // one that was given by name has none beside it
            if revoked.contains(&certificate) {
                return Err(failure);
            }
            revoked.push(certificate);
            why = Some(failure);
        }
    }

    /// Who gets which copy, and everybody who reads one; certificates that are known to be revoked are not among those that are found.
    fn gather(
        &self,
        context: &Context,
        home: Option<&Home>,
        (message, signer): (&[u8], Option<&Certificate>),
        revoked: &[Certificate],
    ) -> Result<(Addressees, Vec<Recipient>), Failure> {
        if let Some(home) = home {
            // what cannot be read is said: a contact that is passed over looks like one that is not there
            home.known_certificates().map_err(Failure::io)?;
        }
        if let Some(address) = self.to.iter().chain(&self.bcc).find(|address| !is_address(address)) {
            return Err(
                Failure::usage(format!("{address} is not a mail address")).hint("write the address alone, as jane@a.example")
            );
        }
        let mut seen: Vec<Recipient> = Vec::new();
        for path in &self.to_cert {
            seen.push(recipient(home, keyring::owner(context, path)?));
        }
        let (named, named_hidden) =
            (smime::recipient_addresses(message, &context.limits), smime::bcc_addresses(message, &context.limits));
        let mut bcc = self.bcc.clone();
        if !self.names_readers() {
            bcc.extend(named_hidden.iter().cloned());
        }
        let to = if self.names_readers() { &self.to } else { &named };
        let mut unknown: Vec<String> = Vec::new();
        for address in to {
            match lookup(home, address, context, revoked) {
                Some(found) => seen.push(found),
                None => unknown.push(address.clone()),
            }
        }
        let own_addresses = match signer {
            Some(certificate) => certificate.addresses(),
            None => smime::sender_address(message, &context.limits).into_iter().collect(),
        };
        // he may have given his certificate himself
        let is_own = |reader: &&Recipient| {
            let addresses = reader.certificate().addresses();
            own_addresses.iter().any(|own| email::find(&addresses, own)) && smime::check_recipient(reader.certificate()).is_ok()
        };
        let sender = self.sender(context, home, (message, signer), revoked).or_else(|| seen.iter().find(is_own).cloned());
        let mut hidden: Vec<(String, Vec<Recipient>)> = Vec::new();
        for address in &bcc {
            let is_there = email::find(to, address) || hidden.iter().any(|(known, _)| email::same_address(known, address));
            if is_there {
                continue;
            }
            match lookup(home, address, context, revoked) {
                Some(found) => hidden.push((address.clone(), unique(std::iter::once(found).chain(sender.clone()).collect()))),
                None => unknown.push(address.clone()),
            }
        }
        if !unknown.is_empty() {
            return Err(self.unknown(&unknown, (to, &bcc)));
        }
        let everyone = unique(seen.iter().chain(hidden.iter().flat_map(|(_, readers)| readers)).cloned().collect());
        let (sender_reads, is_for_nobody) = (sender.is_some(), seen.is_empty() && hidden.is_empty());
        // somebody who writes to Bcc alone keeps a copy that only he reads
        seen.extend(sender);
        let sender_hint = match sender_reads {
            true => String::new(),
            false => hint_for_sender(context, home, own_addresses.into_iter().next()),
        };
        let readers: Vec<String> = everyone.iter().chain(&seen).flat_map(|reader| reader.certificate().addresses()).collect();
        let left = |named: Vec<String>| named.into_iter().filter(|address| !email::find(&readers, address)).collect::<Vec<_>>();
        let (left, left_hidden) = (left(named), left(named_hidden));
        let left_out_hint = hint_for_left_out(&left, &left_hidden, |address| lookup(home, address, context, revoked).is_some());
        let left_out = [left, left_hidden].concat();
        let seen = unique(seen);
        Ok((Addressees { seen, hidden, sender_reads, sender_hint, left_out, left_out_hint, is_for_nobody }, everyone))
    }

    /// Whether the options name who reads, and not the message.
    fn names_readers(&self) -> bool {
        !self.to.is_empty() || !self.to_cert.is_empty()
    }

    /// Nobody is written to while a certificate of one is missing. An option that names readers takes the place of To, Cc and Bcc: the
    /// hint names all of them.
    fn unknown(&self, unknown: &[String], (to, bcc): (&[String], &[String])) -> Failure {
        let all = unknown.join(", ");
        let mut hint = match unknown {
            [_] => "add it with `sealpost contact add FILE`, then do this again".to_owned(),
            _ => "add them with `sealpost contact add FILE`, then do this again".to_owned(),
        };
        if let [one] = unknown
            && to.contains(one)
        {
            if self.names_readers() {
                hint.push_str(&format!("; or give --to-cert FILE in place of --to {one}"));
            } else if to.len().saturating_add(bcc.len()) <= TYPED {
                let others = options("--to", to.iter().filter(|address| *address != one)) + &options("--bcc", bcc);
                hint.push_str(&format!("; or name everybody:{others} --to-cert FILE"));
            }
        }
        Failure::new(Exit::Untrusted, format!("no valid certificate of {all} is known – the message was not encrypted"))
            .hint(hint)
    }

    /// The first certificate that was revoked, as far as the home knows or may ask, and what to say of it: its key may be in other hands.
    ///
    /// Nothing else is asked of it: whom to write to, and with which certificate, the person has said.
    fn first_revoked(
        &self,
        context: &Context,
        home: Option<&Home>,
        recipients: &[Recipient],
    ) -> Result<Option<(Certificate, Failure)>, Failure> {
        let Some(home) = home else { return Ok(None) };
        let anchors = TrustAnchors::from_iter(home.trust_anchors().map_err(Failure::io)?);
        if anchors.is_empty() {
            return Ok(None);
        }
        let (pool, crls) = (home.intermediates().map_err(Failure::io)?, home.crls().map_err(Failure::io)?);
        if crls.is_empty() && !self.online.may_know_more(context)? {
            return Ok(None);
        }
        let questions = recipients.iter().map(|recipient| Judgement {
            leaf: recipient.certificate(),
            pool: &pool,
            anchors: &anchors,
            crls: &crls,
            ocsp: &[],
            purpose: Purpose::Any,
            at: context.at,
            revocation: Revocation::Soft,
            limits: &context.limits,
        });
        let inquiries: Vec<Inquiry> = questions.map(|question| Inquiry::new(&question, &PolicyInputs::new())).collect();
        let got = self.online.complete(context, &inquiries)?;
        report::print_findings(&got.findings);
        for (inquiry, recipient) in inquiries.iter().zip(recipients) {
            let verdict = inquiry.ask(&got.had);
            let Some(why) = verdict.reasons.iter().find(|reason| reason.code == ReasonCode::Revoked) else { continue };
            let who = recipient.certificate();
            let failure = Failure::new(Exit::Expired, format!("{} – the message was not encrypted", why.text))
                .hint(format!("ask {who} for the certificate that replaces it, and add it with `sealpost contact add FILE`"));
            return Ok(Some((who.clone(), failure)));
        }
        Ok(None)
    }

    /// The sender as a reader of what he sends: with the certificate that signs, or another one of his where that one only signs.
    fn sender(
        &self,
        context: &Context,
        home: Option<&Home>,
        (message, signer): (&[u8], Option<&Certificate>),
        revoked: &[Certificate],
    ) -> Option<Recipient> {
        let is_reader = |certificate: &&Certificate| smime::check_recipient(certificate).is_ok();
        // his own key is here; a contact of his address may be for a key that is elsewhere
        let by_address = |address: String| {
            let own = home.and_then(|home| home.identity_certificates(&address).ok()).unwrap_or_default();
            best(home, own, context, revoked)
                .filter(|found| is_reader(&found.certificate()))
                .or_else(|| lookup(home, &address, context, revoked).filter(|found| is_reader(&found.certificate())))
        };
        let found = match signer {
            Some(certificate) => Some(certificate.clone())
                .filter(|c| is_reader(&c))
                .map(|certificate| recipient(home, certificate))
                .or_else(|| certificate.addresses().into_iter().find_map(by_address)),
            None => smime::sender_address(message, &context.limits).and_then(by_address),
        };
        // whoever holds the key here reads every cipher with this program; his copy he may read with another one
        let is_own = |found: &Recipient| {
            let own = home.and_then(|home| home.identities().ok()).unwrap_or_default();
            signer.is_some() || own.iter().any(|stored| stored.certificate == *found.certificate())
        };
        found.map(|found| if is_own(&found) { found.writer() } else { found })
    }

    /// The encryption to these recipients.
    pub(crate) fn encryption(&self, recipients: &[Recipient]) -> Result<Encrypt, Failure> {
        let named = HeaderConfidentiality::NAMES.into_iter().find(|(name, _)| *name == self.header_confidentiality);
        let confidentiality = named.map(|(_, policy)| policy).unwrap_or_default();
        Ok(Encrypt::new(recipients)
            .cipher(self.cipher()?)
            .transport(self.transport())
            .header_confidentiality(confidentiality)
            .legacy_display(self.legacy_display))
    }

    /// The content cipher of the options.
    fn cipher(&self) -> Result<CipherChoice, Failure> {
        if self.cipher == "auto" {
            return Ok(CipherChoice::Auto);
        }
        let cipher = ContentCipher::from_name(&self.cipher);
        cipher.map(CipherChoice::Fixed).ok_or_else(|| Failure::usage(format!("--cipher {} is not known", self.cipher)))
    }

    /// The key transport of the options.
    fn transport(&self) -> TransportChoice {
        match self.key_transport.as_str() {
            "oaep" => TransportChoice::Oaep,
            "pkcs1" => TransportChoice::Pkcs1,
            _ => TransportChoice::Auto,
        }
    }
}

fn unique(recipients: Vec<Recipient>) -> Vec<Recipient> {
    let mut unique: Vec<Recipient> = Vec::new();
    // the sender comes last, and what is known of him is known best
    for recipient in recipients.into_iter().rev() {
        if !unique.iter().any(|known| known.certificate() == recipient.certificate()) {
            unique.push(recipient);
        }
    }
    unique.reverse();
    unique
}

/// The certificate of the address to encrypt to: one that is valid now, that is not among the revoked, that may encrypt, and of which was
/// heard last.
fn lookup(home: Option<&Home>, address: &str, context: &Context, revoked: &[Certificate]) -> Option<Recipient> {
    let mut candidates = home?.contact(address).unwrap_or_default();
    candidates.extend(home?.identity_certificates(address).unwrap_or_default());
    best(home, candidates, context, revoked)
}

/// The best of some certificates to encrypt to, if any is valid now.
fn best(home: Option<&Home>, mut candidates: Vec<Certificate>, context: &Context, revoked: &[Certificate]) -> Option<Recipient> {
    candidates.retain(|c| c.not_before() <= context.at && context.at <= c.not_after() && !revoked.contains(c));
    let heard = |certificate: &Certificate| {
        let said = home.and_then(|home| home.learnt(certificate).ok().flatten()).map(|said| said.time.unix());
        certificate.not_before().unix().max(said.unwrap_or(i64::MIN))
    };
    let best = candidates.into_iter().max_by_key(|c| (smime::check_recipient(c).is_ok(), heard(c)));
    best.map(|certificate| recipient(home, certificate))
}

/// What a sender can do who could not read what he sends.
fn hint_for_sender(context: &Context, home: Option<&Home>, address: Option<String>) -> String {
    let Some(address) = address else {
        return "name yourself in From; or name everybody with --to ADDR, and yourself with --to-cert FILE".to_owned();
    };
    let own = home.and_then(|home| home.identity_certificates(&address).ok()).unwrap_or_default();
    if own.iter().any(|own| own.not_after() < context.at && smime::check_recipient(own).is_ok()) {
        return format!("your certificate has expired: `sealpost id renew {address}`, then encrypt anew");
    }
    if !own.is_empty() && own.iter().all(|own| smime::check_recipient(own).is_err()) {
        let another = keyring::new_reader(&address);
        return format!(
            "your key can only sign: make one that reads, too, with `{another}`, or bring it with `sealpost id import FILE`"
        );
    }
    format!(
        "bring your key with `sealpost id import FILE`, or make one with `sealpost id new {address}`; where it is elsewhere, add your \
         certificate with `sealpost contact add FILE`"
    )
}

/// What makes readers of those who are named and left out.
fn hint_for_left_out(seen: &[String], hidden: &[String], is_known: impl Fn(&String) -> bool) -> String {
    let mut hint = format!("add{}", options("--to", seen) + &options("--bcc", hidden));
    let unknown: Vec<&str> = seen.iter().chain(hidden).filter(|address| !is_known(address)).map(String::as_str).collect();
    if !unknown.is_empty() {
        hint.push_str(&format!(" – first the certificate of {} with `sealpost contact add FILE`", unknown.join(", ")));
    }
    hint
}

/// The option before each of the addresses.
fn options<'a>(name: &str, addresses: impl IntoIterator<Item = &'a String>) -> String {
    addresses.into_iter().map(|address| format!(" {name} {}", fix::quoted(address))).collect()
}

/// Addresses that a hint has typed: what is more is no help.
const TYPED: usize = 10;

/// Whether a text is an address and nothing else.
fn is_address(text: &str) -> bool {
    let is_word =
        |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control() || "<>(),;\"@".contains(c));
    let is_quoted = |part: &str| part.len() > 2 && part.starts_with('"') && part.ends_with('"');
    text.rsplit_once('@').is_some_and(|(local, domain)| (is_word(local) || is_quoted(local)) && is_word(domain))
}

/// The owner of a certificate, with what he said that he reads.
fn recipient(home: Option<&Home>, certificate: Certificate) -> Recipient {
    let said = home.and_then(|home| home.learnt(&certificate).ok().flatten());
    let known = said.and_then(|said| Capabilities::from_der(&said.capabilities).ok());
    match known {
        Some(known) => Recipient::new(certificate).capabilities(known),
        None => Recipient::new(certificate),
    }
}
