//! PKCS#11 modules, their tokens, and one PIN for each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Failure, RvError};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::RawAuthPin;

use crate::crypto::Error;
use crate::crypto::key::Why;
use crate::keys::token::{Access, Tries, Uri};

/// Modules are loaded and initialised once a process (PKCS#11 3.1 5.4), so they are its own and nobody's.
static MODULES: Mutex<BTreeMap<PathBuf, Arc<Module>>> = Mutex::new(BTreeMap::new());

struct Module {
    pkcs11: Pkcs11,
    /// By slot: what a PIN that was given there has led to.
    logins: Mutex<BTreeMap<u64, Login>>,
}

enum Login {
    /// It was right; the token stays open as long as a session does.
    In { _session: Session },
    /// It was not, and there is no second try.
    Refused(Why, String),
}

/// A session with the token that a URI names, its PIN given.
pub(super) fn session(access: &Access, uri: &Uri) -> Result<Session, Error> {
    let module = module(access.module_of(uri))?;
    let (slot, token) = token(&module.pkcs11, uri)?;
    let session = module.pkcs11.open_ro_session(slot).map_err(|failure| unavailable(&failure))?;
    log_in(&module, slot, &token, &session, |tries| access.pin_of(uri, token.label(), tries))?;
    Ok(session)
}

/// Names the token of a URI by its label and serial number.
pub(super) fn name_token(access: &Access, uri: &Uri, named: &mut Uri) -> Result<(), Error> {
    let (_, token) = token(&module(access.module_of(uri))?.pkcs11, uri)?;
    named.token = Some(token.label().to_owned());
    named.serial = Some(token.serial_number().to_owned()).filter(|serial| !serial.is_empty());
    Ok(())
}

fn module(path: Option<&Path>) -> Result<Arc<Module>, Error> {
    let mut modules = held(&MODULES);
    let candidates: Vec<&Path> = path.map_or_else(|| P11_KIT.iter().map(Path::new).collect(), |path| vec![path]);
    if let Some(known) = candidates.iter().find_map(|path| modules.get(*path)) {
        return Ok(Arc::clone(known));
    }
    let mut reason = String::new();
    for candidate in candidates {
        match load(candidate) {
            Ok(pkcs11) => {
                let module = Arc::new(Module { pkcs11, logins: Mutex::default() });
                modules.insert(candidate.to_owned(), Arc::clone(&module));
                return Ok(module);
            }
            Err(failure) => reason = failure.to_string(),
        }
    }
    let text = match path {
        Some(path) => format!("the PKCS#11 module {} cannot be used – {reason}", path.display()),
        None => format!("no PKCS#11 module is named, and that of p11-kit cannot be used – {reason}"),
    };
    Err(Error::Unavailable { why: Why::NoModule, text })
}

fn load(path: &Path) -> Result<Pkcs11, Failure> {
    let pkcs11 = Pkcs11::new(path)?;
    match pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Failure::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(pkcs11),
        Err(failure) => Err(failure),
    }
}

/// The one token that a URI names.
fn token(pkcs11: &Pkcs11, uri: &Uri) -> Result<(Slot, TokenInfo), Error> {
    let slots = pkcs11.get_slots_with_token().map_err(|failure| unavailable(&failure))?;
    let infos = slots.into_iter().filter_map(|slot| Some((slot, pkcs11.get_token_info(slot).ok()?)));
    let tokens: Vec<_> = infos.filter(|(_, token)| token.token_initialized()).collect();
    let (mut fits, others): (Vec<_>, Vec<_>) = tokens.into_iter().partition(|(slot, token)| is_named(uri, *slot, token));
    match (fits.pop(), fits.as_slice()) {
        (Some(one), []) => Ok(one),
        (None, _) => {
            let there = match names(&others) {
                names if names.is_empty() => "no token is there".to_owned(),
                names => format!("there are {names}"),
            };
            let text = format!("no token fits {} – {there}", bare(uri));
            Err(Error::Unavailable { why: Why::Missing, text })
        }
        (Some(last), rest) => {
            let all: Vec<_> = rest.iter().cloned().chain([last]).collect();
            let text = format!("several tokens fit {} – name one by its serial number: {}", bare(uri), names(&all));
            Err(Error::Unavailable { why: Why::Ambiguous, text })
        }
    }
}

fn is_named(uri: &Uri, slot: Slot, token: &TokenInfo) -> bool {
    let fits = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| wanted == is);
    fits(&uri.token, token.label())
        && fits(&uri.serial, token.serial_number())
        && fits(&uri.manufacturer, token.manufacturer_id())
        && fits(&uri.model, token.model())
        && uri.slot_id.is_none_or(|wanted| wanted == slot.id())
}

fn names(tokens: &[(Slot, TokenInfo)]) -> String {
    let name = |(_, token): &(Slot, TokenInfo)| {
        let (token, serial) = (Some(token.label().to_owned()), Some(token.serial_number().to_owned()));
        Uri { token, serial, ..Uri::default() }.to_string()
    };
    tokens.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// A URI without what only says how it is reached.
fn bare(uri: &Uri) -> Uri {
    Uri { module_path: None, pin_source: None, ..uri.clone() }
}

/// Gives the token its PIN, unless it is open already. A wrong one is not given again: each costs a try, and the last one locks it.
fn log_in(
    module: &Module,
    slot: Slot,
    token: &TokenInfo,
    session: &Session,
    pin: impl FnOnce(Tries) -> Result<Option<crate::keys::token::Pin>, Error>,
) -> Result<(), Error> {
    let name = token.label();
    let mut logins = held(&module.logins);
    let state = session.get_session_info().map_err(|failure| unavailable(&failure))?.session_state();
    if !token.login_required() || matches!(state, SessionState::RoUser | SessionState::RwUser) {
        return Ok(());
    }
    if let Some(Login::Refused(why, text)) = logins.get(&slot.id()) {
        return Err(Error::Unavailable { why: *why, text: text.clone() });
    }
    if token.user_pin_locked() {
        return Err(locked(name));
    }
    let given = if token.protected_authentication_path() {
        session.login(UserType::User, None)
    } else {
        let text = format!("the token {name} wants its PIN and none was given");
        let pin = pin(tries_of(token))?.ok_or(Error::Unavailable { why: Why::PinNeeded, text })?;
        session.login_with_raw(UserType::User, &RawAuthPin::new(Box::new(pin.expose().clone())))
    };
    let refused = match given {
        Ok(()) | Err(Failure::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {
            if let Ok(session) = module.pkcs11.open_ro_session(slot) {
                logins.insert(slot.id(), Login::In { _session: session });
            }
            return Ok(());
        }
        Err(Failure::Pkcs11(RvError::PinLocked, _)) => locked(name),
        Err(Failure::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _)) => {
            let after = module.pkcs11.get_token_info(slot);
            let left = match after {
                Ok(after) if after.user_pin_locked() => ", and it is locked now",
                Ok(after) if after.user_pin_final_try() => ", and one try is left before it is locked",
                Ok(after) if after.user_pin_count_low() => ", and few tries are left before it is locked",
                _ => "",
            };
            Error::Unavailable { why: Why::WrongPin, text: format!("the PIN of the token {name} is wrong{left}") }
        }
        Err(failure) => unavailable(&failure),
    };
    if let Error::Unavailable { why, text } = &refused {
        logins.insert(slot.id(), Login::Refused(*why, text.clone()));
    }
    Err(refused)
}

fn tries_of(token: &TokenInfo) -> Tries {
    match (token.user_pin_final_try(), token.user_pin_count_low()) {
        (true, _) => Tries::Last,
        (_, true) => Tries::Few,
        _ => Tries::Enough,
    }
}

fn locked(name: &str) -> Error {
    let text = format!("the PIN of the token {name} is locked – its program unlocks it with the PUK");
    Error::Unavailable { why: Why::Locked, text }
}

/// Whether the token, or the way to it, is there no more. Some tokens say "device error" of a ciphertext whose padding does not fit, which
/// nobody shall learn of: what such an error means, the session tells.
pub(super) fn is_gone(failure: &Failure, is_session_there: impl FnOnce() -> bool) -> bool {
    use RvError as R;
    let Failure::Pkcs11(refused, _) = failure else { return false };
    if *refused == R::DeviceError {
        return !is_session_there();
    }
    matches!(
        refused,
        R::DeviceRemoved
            | R::TokenNotPresent
            | R::TokenNotRecognized
            | R::SlotIdInvalid
            | R::SessionClosed
            | R::SessionHandleInvalid
            | R::CryptokiNotInitialized
    )
}

/// What a failure means for whoever wanted the key.
pub(super) fn unavailable(failure: &Failure) -> Error {
    let (why, text) = match failure {
        failure if is_gone(failure, || false) => (Why::Gone, format!("the token went away – {failure}")),
        failure => (Why::Failed, format!("the token failed – {failure}")),
    };
    Error::Unavailable { why, text }
}

/// What a refused operation means.
pub(super) fn refused(refused: RvError, what: &str) -> Error {
    let text = match refused {
        // CKA_ALWAYS_AUTHENTICATE: a PIN for each signature, which comes between two calls that are one here
        RvError::UserNotLoggedIn => format!("the key wants the PIN for each use, and cannot {what} here"),
        _ => format!("the token's key cannot {what} – {refused}"),
    };
    Error::Unavailable { why: Why::CannotDo, text }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// p11-kit's module stands for all that the system has; it is its library, too, which is there without the link.
const P11_KIT: [&str; 2] = ["p11-kit-proxy.so", "libp11-kit.so.0"];

#[cfg(test)]
mod tests {
    use cryptoki::context::Function;

    use super::*;

    #[test]
    fn an_error_of_a_device_that_is_there_is_a_refusal() {
        let failure = |refused| Failure::Pkcs11(refused, Function::Decrypt);
        assert!(!is_gone(&failure(RvError::DeviceError), || true));
        assert!(is_gone(&failure(RvError::DeviceError), || false));
        assert!(is_gone(&failure(RvError::DeviceRemoved), || true));
        assert!(!is_gone(&failure(RvError::EncryptedDataInvalid), || false));
    }
}
