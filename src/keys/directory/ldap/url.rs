//! Addresses of directories (RFC 4516).

use crate::keys::directory::Error;
use crate::keys::directory::ldap::Filter;
use crate::keys::percent;

/// An LDAP URL: `ldap://host:port/base?attributes?scope?filter?extensions`.
///
/// ```
/// use sealpost::keys::directory::ldap::{Scope, Security, Url};
/// let url = Url::parse("ldaps://dir.example/ou=people,dc=a%20b??one?(objectClass=person)").unwrap();
/// assert_eq!((url.host.as_str(), url.port, url.security), ("dir.example", 636, Security::Tls));
/// assert_eq!((url.base.as_str(), url.scope), ("ou=people,dc=a b", Scope::One));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// The host: a name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// When TLS begins.
    pub security: Security,
    /// The entry from which on is searched; empty for the root of the directory.
    pub base: String,
    /// The attributes that are asked for; none for those that hold certificates.
    pub attributes: Vec<String>,
    /// How far is searched.
    pub scope: Scope,
    /// What the entries must be, besides having the address.
    pub filter: Option<Filter>,
}

/// When TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// At once (`ldaps`).
    Tls,
    /// By StartTLS, and without it nothing is asked (the extension `!StartTLS` or `!1.3.6.1.4.1.1466.20037`).
    StartTls,
    /// As the caller wishes (`ldap`).
    Open,
}

/// How far is searched (RFC 4511 4.5.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The base alone.
    Base,
    /// What is right below it.
    One,
    /// It and everything below; also where the URL names no scope, since nobody looks for a person in one entry.
    Subtree,
}

/// The name of StartTLS (RFC 4511 4.14.1).
pub(super) const START_TLS: &str = "1.3.6.1.4.1.1466.20037";

impl Url {
    /// Reads an address.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::read(text).map_err(|why| Error::Url { text: text.to_owned(), why })
    }

    fn read(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or("it does not begin with ldap:// or ldaps://")?;
        let (security, port) = match scheme.to_ascii_lowercase().as_str() {
            "ldap" => (Security::Open, 389),
            "ldaps" => (Security::Tls, 636),
            _ => return Err("it does not begin with ldap:// or ldaps://"),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).ok_or("it has no host")?;
        let (host, port) = host_and_port(authority, port)?;
        let mut parts = path.strip_prefix('/').unwrap_or(path).split('?');
        let mut next = || parts.next().unwrap_or_default();
        let base = decoded(next())?;
        let list = decoded(next())?;
        let attributes = list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let scope = match next().to_ascii_lowercase().as_str() {
            "" | "sub" => Scope::Subtree,
            "one" => Scope::One,
            "base" => Scope::Base,
            _ => return Err("its scope is none of base, one, sub"),
        };
        let filter = decoded(next())?;
        let filter =
            if filter.is_empty() { None } else { Some(Filter::parse(&filter).map_err(|_| "its filter cannot be read")?) };
        let demands_tls = extensions(next())?;
        if parts.next().is_some() {
            return Err("it has more than four question marks");
        }
        let security = if demands_tls && security == Security::Open { Security::StartTls } else { security };
        Ok(Self { host, port, security, base, attributes, scope, filter })
    }
}

/// Whether the extensions demand StartTLS. A critical one that is not known makes the URL one that may not be used (RFC 4516 2.1).
fn extensions(text: &str) -> Result<bool, &'static str> {
    let mut demands_tls = false;
    for extension in text.split(',').filter(|extension| !extension.is_empty()) {
        let extension = decoded(extension)?;
        let named = extension.strip_prefix('!');
        let name = named.unwrap_or(&extension);
        let name = name.split_once('=').map_or(name, |(name, _)| name);
        match (name == START_TLS || name.eq_ignore_ascii_case("StartTLS"), named) {
            (true, _) => demands_tls = true,
            (false, Some(_)) => return Err("it demands an extension that is not known"),
            (false, None) => {}
        }
    }
    Ok(demands_tls)
}

fn host_and_port(authority: &str, default: u16) -> Result<(String, u16), &'static str> {
    if authority.contains('@') {
        return Err("it names a user; give one with --ldap-bind");
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("a bracket is missing")?;
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return Err("what stands in brackets is no address");
            }
            (host.to_owned(), port.strip_prefix(':').or(port.is_empty().then_some("")).ok_or("its port cannot be read")?)
        }
        None => {
            let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
            (decoded(host)?, port)
        }
    };
    if host.is_empty() {
        return Err("it names no host");
    }
    if host.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '/' | '?' | '#')) {
        return Err("its host cannot be");
    }
    let is_default = port.is_empty();
    let port = if is_default { Some(default) } else { port.parse::<u16>().ok().filter(|port| *port != 0) };
    Ok((host, port.ok_or("its port cannot be read")?))
}

/// Text without its percent signs (RFC 3986 2.1).
fn decoded(text: &str) -> Result<String, &'static str> {
    let out = percent::decoded(text).ok_or("a % is not followed by two hexadecimal digits")?;
    let out = String::from_utf8(out).map_err(|_| "it is not in UTF-8")?;
    if out.contains('\0') { Err("it has a character that cannot be") } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_rfc_4516_are_read() {
        let url = |text| Url::parse(text).expect("read");
        let plain = url("ldap://ldap1.example.net");
        assert_eq!((plain.port, plain.base.as_str(), plain.scope, plain.security), (389, "", Scope::Subtree, Security::Open));
        assert_eq!(url("ldap://ldap1.example.net/o=University%20of%20Michigan,c=US").base, "o=University of Michigan,c=US");
        assert_eq!(url("ldap://ldap1.example.net:6666/o=U,c=US??sub?(cn=Babs%20Jensen)").port, 6666);
        let named = url("LDAP://ldap1.example.com/c=GB?objectClass?ONE");
        assert_eq!((named.attributes, named.scope), (vec!["objectClass".to_owned()], Scope::One));
        assert_eq!(url("ldap://ldap2.example.com/o=Question%3f,c=US?mail").base, "o=Question?,c=US");
        let binary = url("ldap://ldap3.example.com/o=Babsco,c=US???(four-octet=%5c00%5c00%5c00%5c04)");
        assert_eq!(binary.filter, Some(Filter::Equal("four-octet".to_owned(), vec![0, 0, 0, 4])));
        assert_eq!(url("ldap://ldap.example.com/o=An%20Example%5C2C%20Inc.,c=US").base, "o=An Example\\2C Inc.,c=US");
        assert_eq!(url("ldaps://[2001:db8::7]:1636/").host, "2001:db8::7");
        assert_eq!(url("ldap://h/????!StartTLS").security, Security::StartTls);
        assert_eq!(url("ldap://h/????!1.3.6.1.4.1.1466.20037,x-other=1").security, Security::StartTls);
    }

    #[test]
    fn refuses_what_is_no_address_of_a_directory() {
        for (text, reason) in [
            ("http://h/", "ldap://"),
            ("h", "ldap://"),
            ("ldap:///dc=a", "no host"),
            ("ldap://h:0/", "port"),
            ("ldap://h:99999/", "port"),
            ("ldap://[::1/", "bracket"),
            ("ldap://[h]/", "no address"),
            ("ldap://h/%2", "hexadecimal"),
            ("ldap://h/%ff", "UTF-8"),
            ("ldap://h/%00", "cannot be"),
            ("ldap://h/??many", "scope"),
            ("ldap://h/???(a=b", "filter"),
            ("ldap://h/????!bindname=cn=x", "extension"),
            ("ldap://h/?????", "question marks"),
            ("ldap://joe:secret@h/", "--ldap-bind"),
            ("ldap://h%0d%0a/", "host"),
        ] {
            let why = Url::parse(text).expect_err("refused").to_string();
            assert!(why.contains(reason), "{text}: {why}");
        }
    }
}
