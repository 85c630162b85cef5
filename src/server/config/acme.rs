//! Where the server's certificate comes from, if from an authority that speaks ACME: `[tls] acme`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use toml_edit::{Table, TableLike};

use crate::server::config::{Reader, is_host};

/// An authority that speaks ACME (RFC 8555).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acme {
    /// Its directory.
    pub directory: String,
    /// Whom it writes to, as `mailto:…`; nobody where it is empty.
    pub contact: String,
    /// The names that the certificate is for.
    pub domains: Vec<String>,
    /// Where it looks for the answers to its challenges (RFC 8555 8.3).
    pub listen: SocketAddr,
    /// A certificate to trust for its HTTPS in place of the system's.
    pub trust: Option<PathBuf>,
}

impl Acme {
    /// Where its certificate lies, chain and key in one file, so that both are of one moment.
    pub fn certificate(data: &Path) -> PathBuf {
        data.join("acme/certificate.pem")
    }

    /// Where the account lies with its key.
    pub fn account(data: &Path) -> PathBuf {
        data.join("acme/account.json")
    }

    /// Where it stands why there was no certificate last time.
    pub fn failure(data: &Path) -> PathBuf {
        data.join("acme/failure")
    }
}

const FORM: &str =
    "tls.acme is { directory = \"https://…\", contact = \"postmaster@a.example\", domains = [\"mail.a.example\"] }";

impl Reader<'_> {
    pub(super) fn acme(&mut self, tls: &Table, hostname: &str) -> Option<Acme> {
        let item = tls.get("acme")?;
        if !cfg!(feature = "acme") {
            self.wrong(tls, "acme", "tls.acme: this build speaks no ACME – build it with the feature acme".to_owned());
            return None;
        }
        let read = match item.as_table_like() {
            Some(given) => read(given, self.folder, hostname),
            None => Err(FORM.to_owned()),
        };
        read.map_err(|why| self.wrong(tls, "acme", why)).ok()
    }
}

fn read(given: &dyn TableLike, folder: &Path, hostname: &str) -> Result<Acme, String> {
    let known = ["directory", "contact", "domains", "listen", "trust"];
    if let Some((key, _)) = given.iter().find(|(key, _)| !known.contains(key)) {
        return Err(format!("tls.acme.{key} is not known – it may be one of {}", known.join(", ")));
    }
    let text = |key: &str| given.get(key).map(|item| item.as_str().map(str::to_owned).ok_or_else(|| FORM.to_owned())).transpose();
    let directory = text("directory")?.filter(|url| url.starts_with("https://")).ok_or_else(|| FORM.to_owned())?;
    let contact = match text("contact")? {
        Some(address) if !address.contains('@') => return Err(format!("tls.acme.contact = \"{address}\" is no address")),
        Some(address) => format!("mailto:{}", address.trim_start_matches("mailto:")),
        None => String::new(),
    };
    let domains: Vec<String> = match given.get("domains") {
        None => vec![hostname.to_owned()],
        Some(item) => item.as_array().map(names).ok_or_else(|| FORM.to_owned())?,
    };
    if domains.is_empty() || !domains.iter().all(|domain| is_host(domain)) {
        return Err("tls.acme.domains holds something that is no name of a host".to_owned());
    }
    let listen = match text("listen")? {
        None => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 80)),
        Some(text) => text.parse().map_err(|_| format!("tls.acme.listen = \"{text}\" is not an address with a port"))?,
    };
    let trust = text("trust")?.map(|path| folder.join(path));
    if let Some(missing) = trust.as_ref().filter(|path| !path.is_file()) {
        return Err(format!("tls.acme.trust: there is no file {}", missing.display()));
    }
    Ok(Acme { directory, contact, domains, listen, trust })
}

/// The names of a list; what is none of text is no host either.
fn names(list: &toml_edit::Array) -> Vec<String> {
    list.iter().map(|value| value.as_str().unwrap_or_default().to_lowercase()).collect()
}

#[cfg(all(test, feature = "acme"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_authority_is_told() {
        let read = |text: &str| {
            let document = toml_edit::Document::parse(text.to_owned()).expect("TOML");
            let item = document.as_table().get("acme").cloned().unwrap_or_default();
            read(item.as_table_like().expect("a table"), Path::new("/"), "mail.a.example")
        };
        let good = read("acme = { directory = \"https://ca/dir\", contact = \"x@a.example\" }\n").expect("good");
        assert_eq!(
            (good.domains, good.listen.port(), good.contact),
            (vec!["mail.a.example".to_owned()], 80, "mailto:x@a.example".to_owned())
        );
        for (text, why) in [
            ("acme = { directory = \"http://ca/dir\" }\n", "https://"),
            ("acme = { directory = \"https://ca\", domains = [\"a b\"] }\n", "no name of a host"),
            ("acme = { directory = \"https://ca\", listen = \"80\" }\n", "not an address"),
            ("acme = { directory = \"https://ca\", contact = \"me\" }\n", "no address"),
            ("acme = { directory = \"https://ca\", trust = \"none.pem\" }\n", "there is no file"),
            ("acme = { directori = \"https://ca\" }\n", "not known"),
        ] {
            assert!(read(text).is_err_and(|said| said.contains(why)), "{text}");
        }
    }
}
