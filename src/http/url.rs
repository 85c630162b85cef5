//! URLs of the scheme `http`, as strictly as they can be written (RFC 3986, 9110 4.2.1).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::http::Error;

/// Bytes of one URL. 2 048: what every program takes; those in certificates have some dozens.
const MOST: usize = 2_048;

/// A URL of the scheme `http`, without password and fragment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Url {
    host: Host,
    port: u16,
    /// The path and the query, as they are sent.
    target: String,
}

/// Whom a URL names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name, in small letters.
    Name(String),
    /// An address of four numbers.
    V4(Ipv4Addr),
    /// An address in brackets.
    V6(Ipv6Addr),
}

impl Url {
    /// Reads a URL. Refused are other schemes, names and passwords before the host, hosts that are numbers in another form than four of
    /// them with dots, and what controls something; what a path may not have is encoded.
    ///
    /// ```
    /// use sealpost::http::Url;
    /// let url = Url::parse("http://CA.example:8080/a list.crl#top").unwrap();
    /// assert_eq!(url.to_string(), "http://ca.example:8080/a%20list.crl");
    /// assert!(Url::parse("http://2130706433/").is_err());
    /// ```
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MOST {
            return Err(Error::Url("it is too long"));
        }
        if text.chars().any(char::is_control) {
            return Err(Error::Url("it has control characters"));
        }
        let (scheme, rest) = text.split_once(':').ok_or(Error::Url("it has no scheme"))?;
        if !scheme.eq_ignore_ascii_case("http") {
            let is_word = !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
            let named = || Error::Scheme(scheme.to_ascii_lowercase());
            return Err(if is_word { named() } else { Error::Url("it has no scheme") });
        }
        let rest = rest.strip_prefix("//").ok_or(Error::Url("it has no host"))?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, after) = rest.split_at(end);
        if authority.contains('\\') {
            return Err(Error::Url("its host has characters that hosts have not"));
        }
        if authority.contains('@') {
            return Err(Error::Url("it has a name or a password before its host"));
        }
        let (host, port) = split_port(authority)?;
        Ok(Self { host: Host::parse(host)?, port, target: target(after) })
    }

    /// Where a redirect from here leads to (RFC 3986 5.2.2); a relative one has no segments left that lead up or stay (5.2.4).
    pub fn join(&self, location: &str) -> Result<Self, Error> {
        let location = location.trim();
        let before_path = location.split(['/', '?', '#']).next().unwrap_or_default();
        if before_path.contains(':') {
            return Self::parse(location);
        }
        if location.starts_with("//") {
            return Self::parse(&format!("http:{location}"));
        }
        let authority = self.authority();
        let path = self.target.split('?').next().unwrap_or("/");
        if location.is_empty() || location.starts_with('#') {
            return Ok(self.clone());
        }
        if location.starts_with('?') {
            return Self::parse(&format!("http://{authority}{path}{location}"));
        }
        let (there, after) = location.split_at(location.find(['?', '#']).unwrap_or(location.len()));
        let folder = if there.starts_with('/') { "" } else { path.rsplit_once('/').map_or("/", |(folder, _)| folder) };
        let slash = if there.starts_with('/') { "" } else { "/" };
        Self::parse(&format!("http://{authority}{}{after}", without_dots(&format!("{folder}{slash}{there}"))))
    }

    /// This URL with one more segment at the end of its path, which is encoded.
    #[must_use]
    pub fn below(&self, segment: &str) -> Self {
        let slash = if self.target.ends_with('/') { "" } else { "/" };
        let target = format!("{}{slash}{}", self.target, encoded(segment, |b| b.is_ascii_alphanumeric() || b"-._~".contains(&b)));
        Self { host: self.host.clone(), port: self.port, target }
    }

    /// Whom it names.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path and the query, as they are sent.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The host, and the port where it is not that of the scheme.
    pub fn authority(&self) -> String {
        if self.port == 80 { self.host.to_string() } else { format!("{}:{}", self.host, self.port) }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.target)
    }
}

impl Host {
    fn parse(text: &str) -> Result<Self, Error> {
        if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return inner.parse().map(Self::V6).map_err(|_| Error::Url("its address in brackets cannot be read"));
        }
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        if text.is_empty() || text.len() > 253 || !text.bytes().all(is_name) {
            return Err(Error::Url("its host has characters that hosts have not"));
        }
        let name = text.to_ascii_lowercase();
        let last = name.strip_suffix('.').unwrap_or(&name).rsplit('.').next().unwrap_or_default();
        let is_number = last.is_empty() || last.starts_with("0x") || last.bytes().all(|b| b.is_ascii_digit());
        if !is_number {
            return Ok(Self::Name(name));
        }
        // 127.1, 0177.0.0.1, 0x7f000001 and 2130706433 are one address to some programs, and none to others
        name.parse().map(Self::V4).map_err(|_| Error::Url("its host is a number that programs read differently"))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::V4(address) => address.fmt(f),
            Self::V6(address) => write!(f, "[{address}]"),
        }
    }
}

fn split_port(authority: &str) -> Result<(&str, u16), Error> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => return Ok((authority, 80)),
    };
    if port.is_empty() {
        return Ok((host, 80));
    }
    let is_number = port.bytes().all(|b| b.is_ascii_digit());
    let number = port.parse().ok().filter(|port| is_number && *port != 0);
    Ok((host, number.ok_or(Error::Url("its port cannot be read"))?))
}

/// A path that begins with a slash, without segments that lead up or stay (RFC 3986 5.2.4). None leads above the first.
fn without_dots(path: &str) -> String {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let mut kept: Vec<&str> = Vec::new();
    for segment in &segments {
        match *segment {
            "." => {}
            ".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    let is_folder = matches!(segments.last(), Some(&("." | "..")));
    let end = if is_folder && !kept.is_empty() { "/" } else { "" };
    format!("/{}{end}", kept.join("/"))
}

/// What follows the host, without its fragment; what may not stand there is encoded.
fn target(after: &str) -> String {
    let after = after.split('#').next().unwrap_or_default();
    let slash = if after.starts_with('/') { "" } else { "/" };
    let may_stand = |b: u8| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b);
    format!("{slash}{}", encoded(after, may_stand))
}

fn encoded(text: &str, may_stand: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match may_stand(byte) {
            true => out.push(char::from(byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Url::parse(text).expect_err(text).to_string()
    }

    #[test]
    fn a_url_is_taken_apart() {
        let url = Url::parse("HTTP://Ca.Example.:81/a/b?c=d#e").expect("a URL");
        assert_eq!((url.host(), url.port(), url.target()), (&Host::Name("ca.example.".to_owned()), 81, "/a/b?c=d"));
        assert_eq!(Url::parse("http://[::1]?x").expect("a URL").to_string(), "http://[::1]/?x");
        assert_eq!(Url::parse("http://192.0.2.1:80").expect("a URL").to_string(), "http://192.0.2.1/");
        assert_eq!(Url::parse("http://a/ü \"").expect("a URL").target(), "/%C3%BC%20%22");
        assert_eq!(Url::parse("http://a/ocsp").expect("a URL").below("a+b/c=").target(), "/ocsp/a%2Bb%2Fc%3D");
    }

    #[test]
    fn refuses_other_schemes_by_name() {
        assert_eq!(refused("ldap://ca.example/cn=CA?crl"), "ldap: URLs are not asked, only http: ones are");
        assert!(refused("https://ca.example/").starts_with("https: URLs"));
        assert!(refused("file:///etc/passwd").starts_with("file: URLs"));
        assert!(refused("no url").contains("no scheme"));
    }

    #[test]
    fn refuses_numbers_that_programs_read_differently() {
        for host in ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.0.01", "1.2.3", "0x7f.1", "127.0.0.1.", "a.0x1"] {
            assert!(refused(&format!("http://{host}/")).contains("programs read differently"), "{host}");
        }
    }

    #[test]
    fn refuses_what_hides_the_host() {
        for text in [
            "http://ca.example@127.0.0.1/",
            "http://a:b@c/",
            "http://a\\@b/",
            "http:///path",
            "http:a",
            "http://",
            "http://a b/",
            "http://%31/",
            "http://[fe80::1%25eth0]/",
            "http://[::1/",
            "http://a:0/",
            "http://a:65536/",
            "http://a:+1/",
            "http://a\r\nX: y/",
            "http://ｅxample/",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn redirects_are_followed_from_where_they_stand() {
        let url = Url::parse("http://a:81/b/c?d").expect("a URL");
        for (location, there) in [
            ("http://e/f", "http://e/f"),
            ("//e/f", "http://e/f"),
            ("/f", "http://a:81/f"),
            ("f", "http://a:81/b/f"),
            ("?x:y", "http://a:81/b/c?x:y"),
            ("f?x=http://z", "http://a:81/b/f?x=http://z"),
        ] {
            assert_eq!(url.join(location).expect(location).to_string(), there);
        }
        // the examples of RFC 3986 5.4 that stay on the host
        let base = Url::parse("http://a/b/c/d;p?q").expect("a URL");
        for (location, there) in [
            ("g", "/b/c/g"),
            ("./g", "/b/c/g"),
            ("g/", "/b/c/g/"),
            ("/g", "/g"),
            ("?y", "/b/c/d;p?y"),
            ("g?y", "/b/c/g?y"),
            ("#s", "/b/c/d;p?q"),
            ("g#s", "/b/c/g"),
            (";x", "/b/c/;x"),
            ("g;x?y#s", "/b/c/g;x?y"),
            ("", "/b/c/d;p?q"),
            (".", "/b/c/"),
            ("./", "/b/c/"),
            ("..", "/b/"),
            ("../", "/b/"),
            ("../g", "/b/g"),
            ("../..", "/"),
            ("../../", "/"),
            ("../../g", "/g"),
            ("../../../g", "/g"),
            ("../../../../g", "/g"),
            ("/./g", "/g"),
            ("/../g", "/g"),
            ("g.", "/b/c/g."),
            (".g", "/b/c/.g"),
            ("g..", "/b/c/g.."),
            ("..g", "/b/c/..g"),
            ("./../g", "/b/g"),
            ("./g/.", "/b/c/g/"),
            ("g/./h", "/b/c/g/h"),
            ("g/../h", "/b/c/h"),
            ("g;x=1/./y", "/b/c/g;x=1/y"),
            ("g;x=1/../y", "/b/c/y"),
            ("g?y/./x", "/b/c/g?y/./x"),
            ("g?y/../x", "/b/c/g?y/../x"),
            ("g#s/../x", "/b/c/g"),
        ] {
            assert_eq!(base.join(location).expect(location).target(), there, "{location}");
        }
        assert_eq!(url.join("https://e/"), Err(Error::Scheme("https".to_owned())));
        assert_eq!(url.join("javascript:x"), Err(Error::Scheme("javascript".to_owned())));
    }
}
