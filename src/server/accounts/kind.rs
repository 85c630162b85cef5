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
}

impl Kind {
    /// The file of it that nobody else may read.
    pub(in crate::server) fn secret(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Ldap(Ldap { bind: Bind::Search(Some((_, path))), .. }) => Some(path),
            Self::Ldap(_) => None,
        }
    }
}

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

/// Reads where the passwords of one domain are kept: `{ file = "…" }` or `{ ldap = "ldaps://…", … }`; the error says what is wrong.
pub(in crate::server) fn read(given: &dyn TableLike, folder: &Path) -> Result<Kind, String> {
    const KNOWN: [&str; 6] = ["file", "ldap", "trust", "bind", "search_as", "password_file"];
    if let Some((unknown, _)) = given.iter().find(|(key, _)| !KNOWN.contains(key)) {
        return Err(format!("{unknown} is not known – it may be one of {}", KNOWN.join(", ")));
    }
    let text = |key: &str| match given.get(key) {
        None => Ok(None),
        Some(item) => item.as_str().map(Some).ok_or_else(|| format!("{key} must be text in quotes")),
    };
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
