//! To whom `encrypt` and `seal` write.

use std::path::PathBuf;

use clap::Args;

use sealpost::crypto::algorithm::ContentCipher;
use sealpost::keys::Home;
use sealpost::pki::{self, Certificate};
use sealpost::smime::{CipherChoice, TransportChoice};

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::input;

/// The recipients, and how their copies are locked.
#[derive(Debug, Args)]
pub(crate) struct RecipientArgs {
    /// Encrypt to this address; its certificate comes from the contacts or your own identities
    #[arg(long = "to", value_name = "ADDR")]
    to: Vec<String>,
    /// Encrypt to the certificate in FILE
    #[arg(long = "to-cert", value_name = "FILE")]
    to_cert: Vec<PathBuf>,
    /// The content cipher
    #[arg(long, value_name = "NAME", default_value = "auto",
          value_parser = ["auto", "aes-256-gcm", "aes-128-gcm", "aes-256-cbc", "aes-128-cbc", "chacha20-poly1305"])]
    cipher: String,
    /// How RSA recipients get the key
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = ["auto", "oaep", "pkcs1"])]
    key_transport: String,
}

impl RecipientArgs {
    /// The recipients' certificates: those named, else those of To, Cc and the sender; `sender` may read in any case.
    pub(crate) fn certificates(
        &self,
        context: &Context,
        message: &[u8],
        sender: Option<&Certificate>,
    ) -> Result<Vec<Certificate>, Failure> {
        let mut found: Vec<Certificate> = Vec::new();
        for path in &self.to_cert {
            let certificates = pki::load::certificates(&input::file(path, &context.limits)?)
                .map_err(|e| Failure::refused(format!("{} holds no certificate – {e}", path.display())))?;
            let first = certificates.into_iter().next();
            found.push(first.ok_or_else(|| Failure::refused(format!("{} holds no certificate", path.display())))?);
        }
        let mut addresses = self.to.clone();
        let named = !self.to.is_empty() || !self.to_cert.is_empty();
        if !named {
            addresses = sealpost::smime::recipient_addresses(message, &context.limits);
        }
        let home = context.existing_home()?;
        for address in &addresses {
            found.push(certificate_of(context, home.as_ref(), address)?);
        }
        match sender {
            Some(certificate) => found.push(certificate.clone()),
            // the sender can always read what he sent, where we hold his certificate
            None => {
                let own = sealpost::smime::sender_address(message, &context.limits)
                    .and_then(|address| lookup(home.as_ref(), &address, context));
                found.extend(own);
            }
        }
        let mut unique: Vec<Certificate> = Vec::new();
        for certificate in found {
            if !unique.contains(&certificate) {
                unique.push(certificate);
            }
        }
        Ok(unique)
    }

    /// The content cipher of the options.
    pub(crate) fn cipher(&self) -> Result<CipherChoice, Failure> {
        if self.cipher == "auto" {
            return Ok(CipherChoice::Auto);
        }
        let cipher = ContentCipher::from_name(&self.cipher);
        cipher.map(CipherChoice::Fixed).ok_or_else(|| Failure::usage(format!("--cipher {} is not known", self.cipher)))
    }

    /// The key transport of the options.
    pub(crate) fn transport(&self) -> TransportChoice {
        match self.key_transport.as_str() {
            "oaep" => TransportChoice::Oaep,
            "pkcs1" => TransportChoice::Pkcs1,
            _ => TransportChoice::Auto,
        }
    }
}

fn certificate_of(context: &Context, home: Option<&Home>, address: &str) -> Result<Certificate, Failure> {
    lookup(home, address, context).ok_or_else(|| {
        Failure::new(Exit::Untrusted, format!("no valid certificate of {address} is known – the message was not encrypted")).hint(
            format!(
                "add it with `sealpost contact add FILE`, or give it with --to-cert FILE; then {address} can read the message"
            ),
        )
    })
}

/// The newest certificate of the address that is valid now: a contact's, or our own.
fn lookup(home: Option<&Home>, address: &str, context: &Context) -> Option<Certificate> {
    let home = home?;
    let mut candidates = home.contact(address).unwrap_or_default();
    candidates.extend(home.identity_certificates(address).unwrap_or_default());
    candidates.retain(|c| c.not_before() <= context.at && context.at <= c.not_after());
    candidates.into_iter().max_by_key(|c| c.not_before().unix())
}
