//! Kinds of account, as the configuration names them.

use std::path::{Path, PathBuf};

use toml_edit::TableLike;

use crate::keys::directory::ldap::Url;

/// Where the passwords of a domain are kept, if not in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// In a file, as `htpasswd` writes it.
    File(PathBuf),
    /// In an LDAP directory.
    Ldap(Ldap),
    /// They are the system's users, and PAM checks their passwords.
    Pam(Pam),
}

impl Kind {
    /// The file of it that nobody else may read.
    pub(in crate::server) fn secret(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Ldap(Ldap { bind: Bind::Search(Some((_, path))), .. }) => Some(path),
            Self::Ldap(_) | Self::Pam(_) => None,
        }
    }
}

/// The users of the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pam {
    /// The service of PAM: a file in `/etc/pam.d`.
    pub service: String,
    /// Users with a smaller number are the system's own, and have no mailbox.
    pub least_uid: u32,
}

/// People's numbers begin there.
const LEAST_UID: u32 = 1000;

/// Why a build does not know the system's users.
pub(in crate::server) const NO_PAM: &str = "pam: this build has no PAM – build it with the feature pam";

/// An LDAP directory with passwords.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ldap {
    /// Where it is, and what of it.
    pub url: Url,
    /// The certificates to trust for TLS; the system's where there are none.
    pub trust: Option<PathBuf>,
    /// By which name somebody logs in.
    pub bind: Bind,
}

/// By which name somebody logs in to a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bind {
    /// By this one, with `{user}` (what stands before the `@`) and `{address}` filled in.
    Template(String),
    /// By the name of the entry with his address, looked for as this name with the password of this file, or as nobody in particular.
    Search(Option<(String, PathBuf)>),
}

/// Reads where the passwords of one domain are kept: `{ file = "…" }`, `{ ldap = "ldaps://…", … }` or `{ pam = "…" }`; the error says what is wrong.
pub(in crate::server) fn read(given: &dyn TableLike, folder: &Path) -> Result<Kind, String> {
    const KNOWN: [&str; 8] = ["file", "ldap", "trust", "bind", "search_as", "password_file", "pam", "least_uid"];
    if let Some((unknown, _)) = given.iter().find(|(key, _)| !KNOWN.contains(key)) {
        return Err(format!("{unknown} is not known – it may be one of {}", KNOWN.join(", ")));
    }
    let text = |key: &str| match given.get(key) {
        None => Ok(None),
        Some(item) => item.as_str().map(Some).ok_or_else(|| format!("{key} must be text in quotes")),
    };
    if given.contains_key("pam") || given.contains_key("least_uid") {
        return pam(given, text("pam")?).map(Kind::Pam);
    }
    let file = |key: &str| {
        let path = text(key)?.map(|path| folder.join(path));
        match path.filter(|path| !path.is_file()) {
            Some(path) => Err(format!("{key}: there is no file {}", path.display())),
            None => Ok(text(key)?.map(|path| folder.join(path))),
        }
    };
    let (passwords, url) = match (file("file")?, text("ldap")?) {
        (Some(path), None) if given.len() == 1 => return Ok(Kind::File(path)),
        (None, Some(url)) => (file("password_file")?, Url::parse(url).map_err(|error| error.to_string())?),
        _ => return Err("it is either a file, and nothing else, or ldap".to_owned()),
    };
    let bind = match (text("bind")?, text("search_as")?, passwords) {
        (Some(template), None, None) if template.contains("{user}") || template.contains("{address}") => {
            Bind::Template(template.to_owned())
        }
        (Some(_), None, None) => return Err("bind has neither {user} nor {address} in it".to_owned()),
        (None, Some(name), Some(path)) => Bind::Search(Some((name.to_owned(), path))),
        (None, None, None) => Bind::Search(None),
        _ => return Err("it is either bind, or search_as with password_file, or neither".to_owned()),
    };
    Ok(Kind::Ldap(Ldap { url, trust: file("trust")?, bind }))
}

fn pam(given: &dyn TableLike, service: Option<&str>) -> Result<Pam, String> {
    if let Some((other, _)) = given.iter().find(|(key, _)| !["pam", "least_uid"].contains(key)) {
        return Err(format!("it is either pam, with least_uid or without, or {other}"));
    }
    // the name of a file in the folder of services, and of no other
    let is_name = |name: &&str| {
        !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
            && !name.starts_with('-')
    };
    let service = service.filter(is_name).ok_or("pam is the name of a service, a file in /etc/pam.d")?.to_owned();
    let least_uid = match given.get("least_uid") {
        None => LEAST_UID,
        Some(item) => {
            let number = item.as_integer().and_then(|number| u32::try_from(number).ok());
            number.ok_or("least_uid must be a number, from 0 on")?
        }
    };
    if !cfg!(feature = "pam") {
        return Err(NO_PAM.to_owned());
    }
    Ok(Pam { service, least_uid })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Kind, String> {
        let document: toml_edit::DocumentMut = format!("x = {text}").parse().expect("TOML");
        super::read(document["x"].as_table_like().expect("a table"), Path::new("/"))
    }

    #[test]
    fn a_service_of_pam_is_a_name_and_no_path() {
        for (text, why) in [
            ("{ pam = \"../shadow\" }", "the name of a service"),
            ("{ pam = \"\" }", "the name of a service"),
            ("{ least_uid = 5 }", "the name of a service"),
            ("{ pam = \"mail\", file = \"x\" }", "it is either pam"),
            ("{ pam = \"mail\", least_uid = -1 }", "least_uid must be a number"),
        ] {
            assert!(read(text).is_err_and(|error| error.contains(why)), "{text}");
        }
        match read("{ pam = \"mail\" }") {
            Ok(kind) => assert!(cfg!(feature = "pam") && kind == Kind::Pam(Pam { service: "mail".to_owned(), least_uid: 1000 })),
            Err(why) => assert!(!cfg!(feature = "pam") && why.contains("feature pam"), "{why}"),
        }
    }
}
