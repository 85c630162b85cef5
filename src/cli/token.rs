//! Keys on tokens and smart cards: how the program reaches them.

use std::path::PathBuf;
use std::sync::Arc;

use sealpost::crypto::{self, key::Why};
use sealpost::keys::token::{Access, Found, Pin, Pins, Tries, Uri};
use sealpost::keys::{self, Identity};
use sealpost::pki::Certificate;

use crate::cli::failure::{Exit, Failure};
use crate::cli::passphrase::PassphraseArgs;

/// How tokens are reached: the module of SEALPOST_PKCS11_MODULE where a URI names none, and PINs from where passphrases come from.
pub(crate) fn access(passphrase: &PassphraseArgs) -> Access {
    let access = Access::new().pins(Arc::new(Asked(passphrase.clone())));
    match std::env::var_os("SEALPOST_PKCS11_MODULE").filter(|path| !path.is_empty()) {
        Some(path) => access.module(PathBuf::from(path)),
        None => access,
    }
}

/// PINs come from where passphrases come from.
struct Asked(PassphraseArgs);

impl Pins for Asked {
    fn pin(&self, token: &str, tries: Tries) -> Result<Option<Pin>, String> {
        if tries != Tries::Enough {
            eprintln!("warning: token {}: {}", crate::cli::report::safe(token), tries.warning());
        }
        self.0.pin(token).map_err(|failure| failure.message)
    }
}

/// The URI where a file argument is one.
pub(crate) fn uri(argument: &std::path::Path) -> Result<Option<Uri>, Failure> {
    match argument.to_str().filter(|text| Uri::looks_like(text)) {
        Some(text) => Uri::parse(text).map(Some).map_err(Failure::usage),
        None => Ok(None),
    }
}

/// The key of a URI with its certificate: the first of those given, else the token's.
pub(crate) fn identity(access: &Access, uri: &Uri, given: Vec<Certificate>) -> Result<(Identity, Uri), Failure> {
    let found = find(access, uri)?;
    let named = found.uri.clone();
    let identity = match given.is_empty() {
        true => found.identity().map_err(|error| failure(&error).hint("add --cert FILE"))?,
        false => keys::load::pair(found.key, given)
            .map_err(|_| Failure::usage(format!("none of the certificates is that of the key {named}")))?,
    };
    Ok((identity, named))
}

/// The key of a URI, found on its token.
pub(crate) fn find(access: &Access, uri: &Uri) -> Result<Found, Failure> {
    access.find(uri).map_err(|error| failure(&error))
}

/// What an error of a token means for the command line.
pub(crate) fn failure(error: &keys::Error) -> Failure {
    match error {
        keys::Error::Crypto(error) => unavailable(error).unwrap_or_else(|| Failure::refused(error)),
        keys::Error::NotFound(text) => Failure::new(Exit::NoKey, text),
        keys::Error::Io { .. } => Failure::io(error),
        other => Failure::refused(other),
    }
}

/// What it means that a key on a token was not used; `None` where the error is another one.
pub(crate) fn unavailable(error: &crypto::Error) -> Option<Failure> {
    let crypto::Error::Unavailable { why, text } = error else { return None };
    let exit = match why {
        Why::PinNeeded | Why::WrongPin => Exit::Usage,
        _ => Exit::NoKey,
    };
    let hint = match why {
        Why::NoModule => {
            "name the file of the token's PKCS#11 module in the URI (?module-path=FILE) or in SEALPOST_PKCS11_MODULE"
        }
        Why::Missing => {
            "plug the token in; `pkcs11-tool --module FILE --list-token-slots` and `--list-objects` show what is there"
        }
        Why::Ambiguous => "copy one of them into the command",
        Why::PinNeeded => "give it with --passphrase-file FILE or --passphrase-fd N, or as ?pin-source=file:/PATH in the URI",
        Why::WrongPin => "it was tried once, and is not tried again by itself: a token locks after a few wrong ones",
        Why::Gone => "plug the token in and run the command again",
        _ => return Some(Failure::new(exit, text)),
    };
    Some(Failure::new(exit, text).hint(hint))
}
