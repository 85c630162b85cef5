//! `sealpost ca issue` and `sealpost ca server-cert`.

use std::path::PathBuf;

use sealpost::asn1::pem;
use sealpost::ca::escrow::Escrow;
use sealpost::ca::{self, MailProfile, ServerProfile};
use sealpost::crypto::algorithm::KeyAlgorithm;

use crate::cli::ca::{chain_pem, open_store};
use crate::cli::context::Context;
use crate::cli::export::{self, Signature};
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{self, Output};
use crate::cli::{id, input, report};

pub(super) fn issue_csr(
    context: &Context,
    profile: &MailProfile,
    csr: &std::path::Path,
    output: &Output,
) -> Result<Exit, Failure> {
    output.check()?;
    let public = ca::read_request(&input::file(csr, &context.limits)?).map_err(Failure::refused)?;
    let store = open_store(context)?;
    let certificate = store.issue(profile, &public, context.now, &mut context.random()).map_err(Failure::refused)?;
    output.write(chain_pem(&[&certificate, store.authority().issuing()]).as_bytes())?;
    Ok(Exit::Good)
}

pub(super) fn issue_key(
    context: &Context,
    (profile, wish): (&MailProfile, Escrow),
    algorithm: &str,
    output: &Output,
    p12: Option<(&PathBuf, Option<&str>)>,
) -> Result<Exit, Failure> {
    let algorithm =
        KeyAlgorithm::from_name(algorithm).ok_or_else(|| Failure::usage(format!("--algorithm {algorithm} is not known")))?;
    output.check()?;
    let store = open_store(context)?;
    let identity =
        store.new_identity_with((profile, wish), algorithm, context.now, &mut context.random()).map_err(Failure::refused)?;
    eprintln!("issued: {} – serial {}", report::safe(&identity.addresses().join(", ")), identity.certificate().serial_hex());
    match p12 {
        Some((path, form)) => {
            let place = (Some(path.as_path()), Signature::None);
            let file = export::packed(context, std::slice::from_ref(&identity), form, place)?;
            output::write_file(path, &file, output.force)?;
        }
        // without a place for the key, it goes into the home
        None => drop(id::keep(context, std::slice::from_ref(&identity))?),
    }
    if !output.is_stdout() || p12.is_none() && !context.json {
        output.write(chain_pem(&[identity.certificate(), store.authority().issuing()]).as_bytes())?;
    }
    Ok(Exit::Good)
}

pub(super) fn server_cert(context: &Context, hosts: Vec<String>, output: &Output, key: Option<PathBuf>) -> Result<Exit, Failure> {
    output.check()?;
    let store = open_store(context)?;
    let profile = ServerProfile { hosts, days: 397 };
    let identity =
        store.new_server(&profile, KeyAlgorithm::P256, context.now, &mut context.random()).map_err(Failure::refused)?;
    let key_pem = pem::encode("PRIVATE KEY", identity.private_key().to_pkcs8().map_err(Failure::refused)?.expose());
    let certificates = chain_pem(&[identity.certificate(), store.authority().servers()]);
    match key {
        Some(path) => {
            output::write_file(&path, key_pem.as_bytes(), output.force)?;
            output.write(certificates.as_bytes())?;
        }
        None => output.write(format!("{key_pem}{certificates}").as_bytes())?,
    }
    Ok(Exit::Good)
}
