//! Who may read and write what the server keeps.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};

use crate::server::config::{Acme, Config};
use crate::server::doctor::{Concern, Finding};
use crate::server::privileges;

/// What is asked of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Nobody else reads or writes it: keys, mail, passwords.
    Private,
    /// Nobody else writes it.
    Public,
}

/// A file as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it is.
    pub path: PathBuf,
    /// What is asked of it.
    pub wish: Wish,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Its permissions.
    pub mode: u32,
    /// The number of its owner.
    pub owner: u32,
}

/// Looks at what is there.
pub fn gather(config: &Config, file: &Path, home: &Path) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut look = |path: &Path, wish| {
        let Ok(data) = std::fs::metadata(path) else { return };
        let (is_folder, mode, owner) = (data.is_dir(), data.mode() & 0o7777, data.uid());
        found.push(Entry { path: path.to_owned(), wish, is_folder, mode, owner });
    };
    look(home, Wish::Private);
    look(&config.data, Wish::Private);
    look(file, Wish::Public);
    look(&config.certificate, Wish::Public);
    config.secrets().for_each(|path| look(path, Wish::Private));
    for name in ["ca/root.key", "ca/issuing.key", "ca/servers.key"] {
        look(&home.join(name), Wish::Private);
    }
    for path in [config.data.join("login.secret"), Acme::account(&config.data)] {
        look(&path, Wish::Private);
    }
    for folder in config.policies().filter_map(|policy| policy.dkim.as_ref()) {
        look(folder, Wish::Private);
    }
    for entry in std::fs::read_dir(&config.data).into_iter().flatten().flatten() {
        look(&entry.path(), Wish::Public);
    }
    found
}

/// Judges permissions and owners. Everything belongs to the user of the configuration, else to the owner of the home.
pub fn judge(entries: &[Entry], user: Option<&str>) -> Vec<Finding> {
    let wanted = user.and_then(|name| Some(User::from_name(name).ok()??.uid.as_raw()));
    let Some(owner) = wanted.or_else(|| entries.first().map(|entry| entry.owner)) else { return Vec::new() };
    let mut found = Vec::new();
    for Entry { path, wish, is_folder, mode, owner: is } in entries {
        let too_open = match wish {
            Wish::Private => mode & 0o077,
            Wish::Public => mode & 0o022,
        };
        if too_open != 0 {
            let (may, right) = match (wish, is_folder) {
                (Wish::Private, true) => ("looked into", "700"),
                (Wish::Private, false) => ("read", "600"),
                (Wish::Public, _) => ("changed", "go-w"),
            };
            let text = format!("{} may be {may} by others than its owner (mode {mode:04o})", path.display());
            let finding = match wish {
                Wish::Private if !is_folder => Finding::error("file-open", Concern::Settings, text),
                _ => Finding::warning("file-open", Concern::Settings, text),
            };
            found.push(finding.fix(format!("chmod {right} {}", path.display())));
        }
        if *is != owner {
            let name = |uid: u32| privileges::name(Uid::from_raw(uid));
            let text = format!("{} belongs to {} and not to {}, as whom the server runs", path.display(), name(*is), name(owner));
            let finding = Finding::error("file-owner", Concern::Settings, text);
            found.push(finding.fix(format!("chown {}: {}", name(owner), path.display())));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::server::doctor::Severity;

    fn entry(path: &str, wish: Wish, mode: u32, owner: u32) -> Entry {
        Entry { path: path.into(), wish, is_folder: path.ends_with("home"), mode, owner }
    }

    #[test]
    fn passwords_that_others_may_read_are_told() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["c.pem", "k.pem", "users", "reader"] {
            std::fs::write(folder.path().join(name), "x").expect("written");
            std::fs::set_permissions(folder.path().join(name), std::fs::Permissions::from_mode(0o644)).expect("set");
        }
        let text = "hostname = \"mail.a.example\"\ndata = \"mail\"\n[tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n[listen]\n\
                    [accounts]\n\"b.example\" = { file = \"users\" }\n\
                    \"d.example\" = { ldap = \"ldap://h/dc=d\", search_as = \"cn=r\", password_file = \"reader\" }\n";
        let config = Config::parse(text, folder.path()).expect("good");
        let found = judge(&gather(&config, &folder.path().join("sealpost.toml"), folder.path()), None);
        let open = |name: &str| {
            let path = folder.path().join(name).display().to_string();
            found.iter().any(|one| one.code == "file-open" && one.severity == Severity::Error && one.text.starts_with(&path))
        };
        assert!(open("k.pem") && open("users") && open("reader") && !open("c.pem"), "{found:?}");
    }

    #[test]
    fn keys_are_their_owners_alone() {
        let entries = [
            entry("/home", Wish::Private, 0o750, 4321),
            entry("/home/tls/key.pem", Wish::Private, 0o640, 4321),
            entry("/home/tls/certificate.pem", Wish::Public, 0o644, 4321),
            entry("/home/sealpost.toml", Wish::Public, 0o664, 4321),
            entry("/home/mail", Wish::Private, 0o700, 4322),
        ];
        let found = judge(&entries, None);
        let told: Vec<_> = found.iter().map(|finding| (finding.code, finding.fix.as_deref().unwrap_or_default())).collect();
        assert_eq!(
            told,
            [
                ("file-open", "chmod 700 /home"),
                ("file-open", "chmod 600 /home/tls/key.pem"),
                ("file-open", "chmod go-w /home/sealpost.toml"),
                ("file-owner", "chown 4321: /home/mail"),
            ]
        );
    }
}
