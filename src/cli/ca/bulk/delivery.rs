//! What reaches people of a table's certificates: files under passphrases, and certificates.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use sealpost::ca::store::{Made, Store};
use sealpost::crypto::random::Random;
use sealpost::keys::pkcs12::{self, Target};
use sealpost::keys::{Identity, files};
use sealpost::secret::Secret;

use super::BulkArgs;
use super::orders::Order;
use crate::cli::ca::issue::IssueArgs;
use crate::cli::ca::{chain_pem, failed};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::passphrase::Passphrase;

/// How what is issued reaches people.
pub(super) struct Delivery<'a> {
    context: &'a Context,
    target: Target,
    /// One for all; else each file gets its own.
    passphrase: Option<Passphrase>,
    /// Where the passphrases are noted.
    list: Option<PathBuf>,
}

impl<'a> Delivery<'a> {
    pub(super) fn new(context: &'a Context, args: &IssueArgs, bulk: &BulkArgs) -> Result<Self, Failure> {
        let target = args.form.as_deref().and_then(Target::from_name).unwrap_or(Target::Modern);
        let passphrase = match bulk.one_passphrase {
            false => None,
            true => {
                let given = context.passphrase.to_protect("the files", 1)?.filter(|passphrase| !passphrase.expose().is_empty());
                Some(
                    given.ok_or_else(|| {
                        Failure::usage("--one-passphrase needs a passphrase").hint("give --passphrase-file FILE")
                    })?,
                )
            }
        };
        Ok(Self { context, target, passphrase, list: bulk.p12_dir.as_ref().map(|folder| folder.join("passphrases.csv")) })
    }

    /// Writes the files of what was issued, on every processor; an error says the line.
    pub(super) fn deliver(&self, store: &Store, issued: &[(&Order, Made)]) -> Result<(), (usize, Failure)> {
        let mut work = Vec::with_capacity(issued.len());
        let mut notes = Secret::new(Vec::new());
        for (order, made) in issued {
            work.push((*order, made, self.passphrase_of(order, &mut notes)));
        }
        if let Some((first, _)) = issued.first() {
            // noted first: a file whose passphrase nobody knows is lost
            self.note(&notes).map_err(|failure| (first.line, failure))?;
        }
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let write = |(order, made, passphrase): &(&Order, &Made, Option<Passphrase>)| {
            self.write(store, (order, made), passphrase.as_ref()).map_err(|failure| (order.line, failure))
        };
        std::thread::scope(|scope| {
            let write = &write;
            let shares = work.chunks(work.len().div_ceil(threads).max(1));
            // one that cannot be written does not keep the others from their keys
            let all = move |share: &[_]| share.iter().map(write).fold(Ok(()), Result::and);
            let threads: Vec<_> = shares.map(|share| scope.spawn(move || all(share))).collect();
            let joined = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            // all are waited for, and the first by line is told
            joined.collect::<Vec<_>>().into_iter().collect()
        })
    }

    /// The passphrase of a row's file; one of its own is noted.
    fn passphrase_of(&self, order: &Order, notes: &mut Secret<Vec<u8>>) -> Option<Passphrase> {
        let path = order.p12.as_ref()?;
        if let Some(one) = &self.passphrase {
            return Some(Secret::new(one.expose().clone()));
        }
        let own = passphrase(&mut self.context.random());
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let address = order.profile.addresses.first().map(String::as_str).unwrap_or_default();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let line = format!("{},{},", quoted(address), quoted(&name));
        let separator: &[u8] = if notes.expose().is_empty() { b"" } else { b"\n" };
        let parts = [separator, line.as_bytes(), own.expose().as_slice()];
        // what grows leaves no copy behind
        let grown = Secret::new([&[notes.expose().as_slice()], &parts[..]].concat().concat());
        *notes = grown;
        Some(own)
    }

    /// Adds lines to the list of passphrases, which only its owner reads.
    fn note(&self, notes: &Secret<Vec<u8>>) -> Result<(), Failure> {
        let Some(list) = self.list.as_ref().filter(|_| !notes.expose().is_empty()) else { return Ok(()) };
        if !list.exists() {
            files::append(list, "address,file,passphrase").map_err(Failure::io)?;
        }
        files::append(list, &String::from_utf8_lossy(notes.expose())).map_err(Failure::io)
    }

    fn write(&self, store: &Store, (order, made): (&Order, &Made), passphrase: Option<&Passphrase>) -> Result<(), Failure> {
        let authority = store.authority();
        if let (Some(path), Some(key)) = (&order.p12, &made.key) {
            let passphrase = passphrase.ok_or_else(|| Failure::usage("the files need a passphrase"))?;
            let chain = vec![authority.issuing().clone(), authority.root().clone()];
            let identity = Identity::new(key.clone(), made.certificate.clone(), chain).map_err(|error| failed(error.into()))?;
            self.pack(&identity, (order, path), passphrase)?;
        }
        if let Some(path) = &order.pem {
            output::write_file(path, chain_pem(&[&made.certificate, authority.issuing()]).as_bytes(), true)?;
        }
        Ok(())
    }

    fn pack(&self, identity: &Identity, (order, path): (&Order, &Path), passphrase: &Passphrase) -> Result<(), Failure> {
        let address = order.profile.addresses.first().map(String::as_str).unwrap_or_default();
        let (identities, named) = (std::slice::from_ref(identity), (passphrase, address));
        let file = pkcs12::write_for(self.target, identities, named, &mut self.context.random());
        output::write_file(path, &file.map_err(|error| failed(error.into()))?, true)
    }
}

/// 26 letters of 32, 130 random bits, in groups that can be read out: none looks like another.
fn passphrase(random: &mut dyn Random) -> Passphrase {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = Secret::new([0_u8; 26]);
    random.fill(bytes.expose_mut());
    let mut text = Secret::new(Vec::with_capacity(32));
    for (at, byte) in bytes.expose().iter().enumerate() {
        if at > 0 && at % 5 == 0 {
            text.expose_mut().push(b'-');
        }
        text.expose_mut().extend(LETTERS.get(usize::from(byte % 32)));
    }
    text
}
