//! Keys and certificates as another program takes them: PKCS#12, a configuration profile, PEM.

use std::path::Path;

use clap::builder::PossibleValuesParser;

use sealpost::asn1::pem;
use sealpost::cms::{Padding, SignedBuilder, SignerOptions};
use sealpost::crypto::algorithm::DigestAlgorithm;
use sealpost::keys::pkcs12::{self, Target};
use sealpost::keys::{Identity, mobileconfig};
use sealpost::pki::Certificate;
use sealpost::secret::Secret;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::passphrase::Passphrase;

/// Whether a configuration profile is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signature {
    /// As it is.
    None,
    /// By the first key that it brings.
    Own,
}

/// What `--for` takes where a PKCS#12 file is written.
pub(crate) fn targets() -> PossibleValuesParser {
    PossibleValuesParser::new(Target::NAMES)
}

/// The keys as a file for a program: PKCS#12, or a configuration profile where the file is called so. It goes under the second line of the
/// passphrase file where that has two, else the first.
pub(crate) fn packed(
    context: &Context,
    identities: &[Identity],
    target: Option<&str>,
    (file, signature): (Option<&Path>, Signature),
) -> Result<Vec<u8>, Failure> {
    let is_profile = file.is_some_and(|path| path.extension().is_some_and(|end| end.eq_ignore_ascii_case("mobileconfig")));
    let usual = if is_profile { Target::Apple } else { Target::Modern };
    let target = target.and_then(Target::from_name).unwrap_or(usual);
    if is_profile && target != Target::Apple {
        return Err(Failure::usage(format!("a .mobileconfig file is for Apple's systems, not for {}", target.name()))
            .hint("give --for apple, or a name that ends in .p12"));
    }
    if signature == Signature::Own && !is_profile {
        return Err(Failure::usage("only a configuration profile is signed").hint("add --for apple -o FILE.mobileconfig"));
    }
    let passphrase = passphrase(context)?;
    if is_profile {
        let roots = roots_of(context, identities)?;
        let profile = mobileconfig::write(identities, &roots, &passphrase, &mut context.random()).map_err(Failure::refused)?;
        return if signature == Signature::Own { signed(context, identities, &profile) } else { Ok(profile) };
    }
    let Some(first) = identities.first() else { return Err(Failure::usage("there is no key to write")) };
    if target == Target::Apple && identities.len() > 1 {
        eprintln!("note: iPhone and iPad take one key from a .p12 file; a .mobileconfig file brings them all");
    }
    let name = first.addresses().into_iter().next().unwrap_or_else(|| first.certificate().to_string());
    pkcs12::write_for(target, identities, (&passphrase, &name), &mut context.random()).map_err(Failure::refused)
}

/// A key and its certificates as PEM; under a passphrase where one is given.
pub(crate) fn pem_of(context: &Context, identities: &[Identity]) -> Result<Secret<Vec<u8>>, Failure> {
    let passphrase = context.passphrase.given()?;
    if passphrase.is_none() {
        eprintln!("warning: the file holds the private key without a passphrase");
    }
    let mut blocks = Vec::new();
    for identity in identities {
        let key = identity.private_key().to_pem_under(passphrase.as_ref(), &mut context.random());
        blocks.push(key.map_err(Failure::refused)?);
        let certificates = std::iter::once(identity.certificate()).chain(identity.chain());
        blocks.extend(certificates.map(|certificate| pem::encode_secret("CERTIFICATE", certificate.der())));
    }
    let parts: Vec<&[u8]> = blocks.iter().map(|block| block.expose().as_slice()).collect();
    Ok(Secret::new(parts.concat()))
}

/// Refuses early what [`packed`] would refuse at the end, where nobody can be asked for the passphrase.
pub(crate) fn check_passphrase(context: &Context) -> Result<(), Failure> {
    if context.passphrase.is_given() || !context.passphrase.may_prompt() {
        passphrase(context)?;
    }
    Ok(())
}

fn passphrase(context: &Context) -> Result<Passphrase, Failure> {
    let given = context.passphrase.to_protect("the file", 1)?;
    given.filter(|passphrase| !passphrase.expose().is_empty()).ok_or_else(|| {
        Failure::usage("the file needs a passphrase that is not empty")
            .hint("give it with --passphrase-file FILE or --passphrase-fd N")
    })
}

/// The roots of the home that issued what stands in the identities' chains.
fn roots_of(context: &Context, identities: &[Identity]) -> Result<Vec<Certificate>, Failure> {
    let Some(home) = context.existing_home()? else { return Ok(Vec::new()) };
    let below: Vec<&Certificate> =
        identities.iter().flat_map(|identity| std::iter::once(identity.certificate()).chain(identity.chain())).collect();
    let mut anchors = home.trust_anchors().map_err(Failure::io)?;
    anchors.retain(|anchor| {
        let issued = |certificate: &&Certificate| {
            certificate.issuer().matches(anchor.subject())
                && anchor.public_key().is_ok_and(|key| certificate.verify_signature(&key).is_ok())
        };
        below.iter().any(issued)
    });
    Ok(anchors)
}

/// The profile inside a signature by its own first key: the device then shows who made it.
fn signed(context: &Context, identities: &[Identity], profile: &[u8]) -> Result<Vec<u8>, Failure> {
    let Some(signer) = identities.first() else { return Err(Failure::usage("there is no key to sign with")) };
    let mut options =
        SignerOptions::for_key(signer.private_key(), DigestAlgorithm::Sha256, Padding::Pkcs1).map_err(Failure::refused)?;
    options.signing_time = Some(context.now);
    let builder = SignedBuilder::new(signer.certificate(), signer.private_key(), options);
    let builder = signer.chain().iter().fold(builder, |builder, certificate| builder.certificate(certificate));
    let mut out = Vec::new();
    builder.opaque(&mut &profile[..], &mut out, &mut context.random()).map_err(Failure::refused)?;
    Ok(out)
}
