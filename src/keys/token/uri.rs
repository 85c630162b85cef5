//! PKCS#11 URIs (RFC 7512).

use std::fmt;
use std::path::PathBuf;

use crate::keys::{Error, percent};

/// What names a key on a token: `pkcs11:token=…;object=…;id=%01?module-path=…&pin-source=…` (RFC 7512). What it does not say may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uri {
    /// The token's label.
    pub token: Option<String>,
    /// Its maker.
    pub manufacturer: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// The slot it is in.
    pub slot_id: Option<u64>,
    /// The key's label.
    pub object: Option<String>,
    /// The key's identifier.
    pub id: Option<Vec<u8>>,
    /// The file of the module that reaches it.
    pub module_path: Option<PathBuf>,
    /// The file whose first line is the PIN.
    pub pin_source: Option<PathBuf>,
}

impl Uri {
    /// Whether a text is one.
    pub fn looks_like(text: &str) -> bool {
        text.get(..SCHEME.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME))
    }

    /// Reads one. A PIN in it is refused: it would stand in the list of processes and in the history of the shell.
    ///
    /// ```
    /// let uri = sealpost::keys::token::Uri::parse("pkcs11:token=My%20card;id=%01?module-path=/usr/lib/softhsm/libsofthsm2.so")?;
    /// assert_eq!(uri.token.as_deref(), Some("My card"));
    /// assert_eq!(uri.id.as_deref(), Some(&[1][..]));
    /// assert!(sealpost::keys::token::Uri::parse("pkcs11:token=card?pin-value=1234").is_err());
    /// # Ok::<(), sealpost::keys::Error>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |what: &str| Error::Malformed(format!("the PKCS#11 URI {what}"));
        let rest =
            text.get(SCHEME.len()..).filter(|_| Self::looks_like(text)).ok_or_else(|| wrong("does not begin with pkcs11:"))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut uri = Self::default();
        let mut seen = Vec::new();
        let attributes = path.split(';').chain(query.split('&')).filter(|attribute| !attribute.is_empty());
        for attribute in attributes {
            let (name, value) = attribute.split_once('=').ok_or_else(|| wrong("has an attribute without a value"))?;
            // RFC 7512 2.3: none may stand twice
            if seen.contains(&name) {
                return Err(wrong(&format!("names {name} twice")));
            }
            seen.push(name);
            let bytes = percent::decoded(value).ok_or_else(|| wrong(&format!("has a broken percent encoding in {name}")))?;
            let as_text = || String::from_utf8(bytes.clone()).map_err(|_| wrong(&format!("has a {name} that is no text")));
            match name {
                "token" => uri.token = Some(as_text()?),
                "manufacturer" => uri.manufacturer = Some(as_text()?),
                "model" => uri.model = Some(as_text()?),
                "serial" => uri.serial = Some(as_text()?),
                "slot-id" => uri.slot_id = Some(as_text()?.parse().map_err(|_| wrong("has a slot-id that is no number"))?),
                "object" => uri.object = Some(as_text()?),
                "id" => uri.id = Some(bytes),
                "type" if matches!(value, "private" | "public" | "cert") => {}
                "type" => return Err(wrong(&format!("names a {value}, not a key"))),
                "module-path" => uri.module_path = Some(PathBuf::from(as_text()?)),
                "pin-source" => uri.pin_source = Some(pin_file(&as_text()?).ok_or_else(|| wrong(PIN_SOURCE))?),
                "pin-value" => return Err(wrong(PIN_VALUE)),
                // what a later text defines, and what names the same in other words, narrows nothing that is not narrowed otherwise
                "slot-description"
                | "slot-manufacturer"
                | "library-description"
                | "library-manufacturer"
                | "library-version"
                | "module-name" => {}
                vendor if vendor.starts_with("x-") => {}
                other => return Err(wrong(&format!("has the attribute {other}, which is not known"))),
            }
        }
        Ok(uri)
    }
}

/// `file:/etc/pin`, `file:///etc/pin` or a bare path; never a program (RFC 7512 2.4 leaves that to the reader).
fn pin_file(text: &str) -> Option<PathBuf> {
    let path = text.strip_prefix("file:").unwrap_or(text);
    let path = path.strip_prefix("//").unwrap_or(path);
    path.starts_with('/').then(|| PathBuf::from(path))
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<String>| value.as_ref().map(|value| encoded(value.as_bytes(), false));
        let path = [
            ("token", text(&self.token)),
            ("manufacturer", text(&self.manufacturer)),
            ("model", text(&self.model)),
            ("serial", text(&self.serial)),
            ("slot-id", self.slot_id.map(|id| id.to_string())),
            ("object", text(&self.object)),
            ("id", self.id.as_ref().map(|id| encoded(id, true))),
        ];
        let file = |path: &Option<PathBuf>| path.as_ref().map(|path| encoded(path.display().to_string().as_bytes(), false));
        let query = [("module-path", file(&self.module_path)), ("pin-source", file(&self.pin_source))];
        let join = |parts: &[(&str, Option<String>)], by: &str| {
            let parts = parts.iter().filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}={value}")));
            parts.collect::<Vec<_>>().join(by)
        };
        write!(f, "{SCHEME}{}", join(&path, ";"))?;
        match join(&query, "&") {
            query if query.is_empty() => Ok(()),
            query => write!(f, "?{query}"),
        }
    }
}

/// Percent encoding; an identifier whole, as RFC 7512 2.3 recommends.
fn encoded(bytes: &[u8], whole: bool) -> String {
    let plain = |byte: &u8| !whole && (byte.is_ascii_alphanumeric() || b"-._~/:@".contains(byte));
    let write = |byte: &u8| if plain(byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") };
    bytes.iter().map(write).collect()
}

const SCHEME: &str = "pkcs11:";
const PIN_SOURCE: &str = "has a pin-source that is not the absolute path of a file";
const PIN_VALUE: &str = "holds a PIN (pin-value), which every program on this machine could read, and the history of the shell keeps – \
    give it at the prompt, with the passphrase options, or as pin-source=file:/PATH";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let uri = Uri {
            token: Some("Jané's; card/1?".to_owned()),
            serial: Some("0a".to_owned()),
            slot_id: Some(7),
            object: Some("a=b&c%".to_owned()),
            id: Some(vec![0, 1, 0xfe, b'a']),
            module_path: Some("/usr/lib/a module.so".into()),
            pin_source: Some("/etc/pin".into()),
            ..Uri::default()
        };
        assert_eq!(Uri::parse(&uri.to_string()).expect("our own form"), uri);
        assert!(uri.to_string().contains("id=%00%01%FE%61"), "{uri}");
    }

    #[test]
    fn refuses_what_could_mean_another_key() {
        for (text, reason) in [
            ("pkcs11:token=a;token=b", "names token twice"),
            ("pkcs11:token=%4", "broken percent encoding in token"),
            ("pkcs11:tokem=a", "the attribute tokem, which is not known"),
            ("pkcs11:type=data", "names a data, not a key"),
            ("pkcs11:slot-id=x", "a slot-id that is no number"),
            ("pkcs11:?pin-source=|pinprogram", "not the absolute path of a file"),
            ("pkcs11:?pin-value=1234", "holds a PIN"),
            ("pkcs12:token=a", "does not begin with pkcs11:"),
            ("pkcs11:é", "has an attribute without a value"),
        ] {
            let error = Uri::parse(text).expect_err(text).to_string();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(!error.contains("1234"), "the PIN is not repeated");
        }
        assert_eq!(Uri::parse("PKCS11:").expect("it names any key"), Uri::default());
    }
}
