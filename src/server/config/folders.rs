//! The sections of the configuration about folders in which messages are files: `[pickup]` and `[drop]`.

use std::path::PathBuf;

use toml_edit::{Item, Table, Value};

use super::{Must, Reader, is_host};

/// Mail for these domains goes into files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drop {
    /// The domains, in lower case.
    pub domains: Vec<String>,
    /// Where the files are written.
    pub folder: PathBuf,
}

/// The sections of this file.
pub(super) const SECTIONS: [&str; 2] = ["pickup", "drop"];

impl Reader<'_> {
    /// The folder whose files are sent.
    pub(super) fn pickup(&mut self, root: &Table) -> Option<PathBuf> {
        let section = self.section(root, "pickup")?;
        self.known(section, "pickup.", &["folder"]);
        self.path(section, "pickup.", "folder", Must::Anything)
    }

    /// The domains whose mail goes into files.
    pub(super) fn dropped(&mut self, root: &Table) -> Option<Drop> {
        let section = self.section(root, "drop")?;
        self.known(section, "drop.", &["domains", "folder"]);
        let folder = self.path(section, "drop.", "folder", Must::Anything);
        let given = match section.get("domains") {
            Some(Item::Value(Value::Array(array))) => array.iter().map(|value| value.as_str().map(str::to_lowercase)).collect(),
            _ => None,
        };
        let domains: Option<Vec<String>> =
            given.filter(|all: &Vec<String>| !all.is_empty() && all.iter().all(|domain| is_host(domain)));
        if domains.is_none() {
            self.wrong(section, "domains", "drop.domains is a list of domains: [\"faxes.a.example\"]".to_owned());
        }
        Some(Drop { domains: domains?, folder: folder? })
    }
}

/// What the configuration of a new server says of them.
pub(super) const TEMPLATE: &str = "\
# Files in this folder are messages to be sent: `sealpost send`, run as `sendmail` by cron and scripts, writes them, also while no server runs.
# Whoever may write there may send as anybody.
[pickup]
folder = \"pickup\"

# Mail for these domains goes into files, for a program that reads them.
# [drop]
# domains = [\"faxes.a.example\"]
# folder = \"drop\"
";

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use crate::server::Config;

    const BASE: &str = "hostname = \"mx.our.example\"\ndata = \"mail\"\n[tls]\ncertificate = \"Cargo.toml\"\nkey = \"Cargo.toml\"\n[listen]\n\
                        smtp = \"127.0.0.1:25\"\n";

    fn read(text: &str) -> Result<Config, Vec<String>> {
        let read = Config::parse(&format!("{BASE}{text}"), Path::new(env!("CARGO_MANIFEST_DIR")));
        read.map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn both_folders_are_optional_and_beside_the_configuration() {
        let none = read("").expect("good");
        assert_eq!((none.pickup, none.drop), (None, None));
        let config =
            read("[pickup]\nfolder = \"in\"\n[drop]\ndomains = [\"Fax.our.example\"]\nfolder = \"/var/out\"\n").expect("good");
        assert_eq!(config.pickup, Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("in")));
        let drop = config.drop.expect("there is one");
        assert_eq!((drop.domains, drop.folder), (vec!["fax.our.example".to_owned()], PathBuf::from("/var/out")));
    }

    #[test]
    fn mistakes_are_told_with_their_lines() {
        let told = read("[pickup]\nfoldr = \"in\"\n[drop]\ndomains = [\"not a domain\"]\nfolder = \"out\"\n").expect_err("three");
        let expected = [
            "pickup.folder is missing",
            "line 9: pickup.foldr is not known – did you mean folder?",
            "line 11: drop.domains is a list of domains: [\"faxes.a.example\"]",
        ];
        assert_eq!(told, expected);
    }
}
