//! Asks one LDAP directory.

use std::time::Instant;

use sealpost::keys::directory::ldap::{Filter, Found, Login, Search, Security, Step, Tls, Url};
use sealpost::keys::directory::{Address, Error};
use sealpost::pki::{self, Certificate};

use crate::cli::context::Context;
use crate::cli::directory::wire::Wire;
use crate::cli::directory::{FindArgs, LdapTls};
use crate::cli::failure::Failure;
use crate::cli::service::client;

/// What a directory gave.
pub(super) struct Asked {
    /// How many entries have the address.
    pub(super) entries: usize,
    /// The certificates in them.
    pub(super) certificates: Vec<Certificate>,
    /// Whether it was asked under TLS.
    pub(super) secure: bool,
    /// What else there is to say.
    pub(super) notes: Vec<String>,
}

/// Searches a directory for the address.
pub(super) fn search(context: &Context, args: &FindArgs, url: &Url, address: &Address) -> Result<Asked, Failure> {
    let tls = match (url.security, args.ldap_tls) {
        (Security::Tls, _) => Tls::Begun,
        (Security::StartTls, _) | (Security::Open, LdapTls::Starttls) => Tls::Demanded,
        (Security::Open, LdapTls::Auto) => Tls::Wished,
        (Security::Open, LdapTls::None) => Tls::Never,
    };
    let mut filter = Filter::of_address(address);
    if let Some(also) = &url.filter {
        filter = Filter::And(vec![also.clone(), filter]);
    }
    let mut search = Search::new(tls, &url.base, filter, &context.limits).scope(url.scope).seconds(args.timeout);
    if !url.attributes.is_empty() {
        search = search.attributes(&url.attributes);
    }
    if let Some(name) = &args.ldap_bind {
        let password = context.passphrase.to_unlock(name)?.ok_or_else(|| {
            Failure::usage(format!("no password of {name} was given"))
                .hint("give it with --passphrase-file FILE or --passphrase-fd N")
        })?;
        search = search.login(Login { name: name.clone(), password }).map_err(|error| {
            Failure::usage(error).hint("name a directory that has TLS, with ldaps:// or with StartTLS (--ldap-tls starttls)")
        })?;
    }
    let roots = client::roots(context, &args.tls_trust)?;
    // what TLS adds is bounded by twice of what it carries
    let bytes = u64::try_from(context.limits.directory_bytes).unwrap_or(u64::MAX).saturating_mul(2);
    // the time begins after a person was asked for a password
    let mut wire = Wire::open(&url.host, url.port, Instant::now() + args.timeout(), bytes)?;
    if tls == Tls::Begun {
        wire.start_tls(&url.host, client::tls(&roots)?)?;
    }
    let mut buffer = vec![0; 16 << 10];
    loop {
        match search.step().map_err(|error| failure(url, &error))? {
            Step::Send(bytes) => {
                let sent = wire.send(bytes.expose());
                // whether the server hears the last word matters to nobody
                if sent.is_err() && !matches!(search.step(), Ok(Step::Done)) {
                    sent?;
                }
            }
            Step::StartTls => {
                wire.start_tls(&url.host, client::tls(&roots)?)?;
                search.secured();
            }
            Step::Receive => {
                let read = wire.receive(&mut buffer)?;
                search.receive(buffer.get(..read).unwrap_or_default()).map_err(|error| failure(url, &error))?;
            }
            Step::Done => return Ok(asked(search.into_found(), tls)),
        }
    }
}

/// The certificates of what was found.
fn asked(found: Found, tls: Tls) -> Asked {
    let mut asked = Asked { entries: found.entries.len(), certificates: Vec::new(), secure: found.secure, notes: Vec::new() };
    for entry in &found.entries {
        for value in &entry.values {
            match pki::load::certificates(&value.bytes) {
                Ok(read) if !read.is_empty() => asked.certificates.extend(read),
                // attributes that the URL names need not hold certificates
                _ if !value.attribute.to_ascii_lowercase().contains("cert") => {}
                _ => asked.notes.push(format!("a value of {} of {} is no certificate", value.attribute, entry.name)),
            }
        }
    }
    if found.references > 0 {
        asked.notes.push(format!("it refers to other directories {} times, which were not asked", found.references));
    }
    asked.notes.extend(found.incomplete.map(|why| format!("there may be more – {why}")));
    if !found.secure && tls == Tls::Wished {
        asked.notes.push("it has no TLS: everybody on the way could see which address was looked for".to_owned());
    }
    asked
}

fn failure(url: &Url, error: &Error) -> Failure {
    let text = format!("{}:{}: {error}", url.host, url.port);
    match error {
        Error::Limit(_) => Failure::refused(text),
        Error::Refused { code: 32, .. } if url.base.is_empty() => {
            Failure::io(text).hint("name the base in the URL, as ldap://HOST/dc=a,dc=example")
        }
        Error::Refused { code: 8 | 13, .. } => Failure::io(text).hint("use ldaps:// or --ldap-tls starttls, and --ldap-bind DN"),
        Error::Refused { code: 48..=50, .. } => Failure::io(text).hint("log in with --ldap-bind DN"),
        Error::NoTls(_) => Failure::io(text).hint("ask without TLS with --ldap-tls none; a password is never sent so"),
        _ => Failure::io(text),
    }
}
