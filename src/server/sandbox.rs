//! The file system closed to the server but for what it needs (Landlock of Linux).
//!
//! It writes to its data, to temporary folders, and where its API makes keys of DKIM, alone; it reads those, the folders of the configuration and of what that names, and what belongs
//! to the system. Done before the runtime starts: threads have what their maker has.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, path_beneath_rules,
};

use crate::server::config::{Config, Kind, LogTo, Sandbox};

/// What belongs to the system: libraries, names, certificates, clocks.
const SYSTEM: [&str; 9] = ["/etc", "/usr", "/lib", "/lib64", "/bin", "/proc", "/sys", "/run", "/dev"];

/// Rights of the kernel 6.10; an older one closes what it can.
const RIGHTS: ABI = ABI::V5;

/// Closes it for this thread and those that it makes; says in words what came of it. `files` is what else will be read.
pub fn close(config: &Config, files: &[&Path], wish: Sandbox) -> Result<String, String> {
    // a rule is about what is there
    for folder in folders(config) {
        crate::keys::files::make_folder(folder).map_err(|error| error.to_string())?;
    }
    // where it cannot be made, none can be made in it, and the API says so
    made_keys(config).for_each(|folder| drop(crate::keys::files::make_folder(folder)));
    let closed = restrict(&readable(config, files), &writable(config));
    match (closed, wish) {
        (Ok(RulesetStatus::FullyEnforced), _) => Ok("landlock".to_owned()),
        (Ok(RulesetStatus::PartiallyEnforced), _) => Ok("landlock, as far as this kernel has it".to_owned()),
        (Ok(RulesetStatus::NotEnforced), Sandbox::On) => {
            Err("[process] sandbox = \"on\", and this kernel has no Landlock – say \"auto\", or use another kernel".to_owned())
        }
        (Err(error), Sandbox::On) => Err(format!("[process] sandbox = \"on\", and it fails – {error}")),
        (Ok(RulesetStatus::NotEnforced), _) => Ok("none: this kernel has no Landlock".to_owned()),
        (Err(error), _) => Ok(format!("none: {error}")),
    }
}

fn restrict(readable: &[PathBuf], writable: &[PathBuf]) -> Result<RulesetStatus, RulesetError> {
    let rules = Ruleset::default().handle_access(AccessFs::from_all(RIGHTS))?.create()?;
    let rules = rules.add_rules(path_beneath_rules(readable, AccessFs::from_read(RIGHTS)))?;
    let rules = rules.add_rules(path_beneath_rules(writable, AccessFs::from_all(RIGHTS)))?;
    Ok(rules.restrict_self()?.ruleset)
}

/// The folders that are its own: its data, and those in which messages are files.
fn folders(config: &Config) -> impl Iterator<Item = &PathBuf> {
    std::iter::once(&config.data).chain(&config.pickup).chain(config.drop.iter().map(|drop| &drop.folder))
}

/// The folders in which keys of DKIM are made over the API, where there is one.
fn made_keys(config: &Config) -> impl Iterator<Item = &PathBuf> {
    config.policies().filter_map(|policy| policy.dkim.as_ref()).filter(|_| config.api.is_some())
}

/// Its own folders, temporary ones, and that of the log.
fn writable(config: &Config) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = folders(config).chain(made_keys(config)).cloned().collect();
    found.extend([std::env::temp_dir(), PathBuf::from("/dev/null")]);
    if let LogTo::File(path) = &config.log.to {
        found.extend(path.parent().map(Path::to_owned));
    }
    found
}

/// The folders of what is read: a file may be replaced by another one of its name.
fn readable(config: &Config, files: &[&Path]) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
    let mut folder_of = |path: &Path| found.extend(path.parent().map(Path::to_owned));
    files.iter().copied().for_each(&mut folder_of);
    folder_of(&config.certificate);
    config.secrets().for_each(&mut folder_of);
    if let Some(clients) = &config.clients {
        folder_of(&clients.authority);
        clients.lists.iter().for_each(|path| folder_of(path));
    }
    let keys: Vec<PathBuf> = config.policies().filter_map(|policy| policy.dkim.clone()).collect();
    config.acme.iter().filter_map(|acme| acme.trust.as_ref()).for_each(|path| folder_of(path));
    config.delivery.trust.iter().chain(&config.delivery.anchor).for_each(|path| folder_of(path));
    // services and modules of PAM are the system's
    for (_, kind) in &config.accounts {
        if let Kind::Ldap(ldap) = kind {
            ldap.trust.iter().for_each(|path| folder_of(path));
        }
    }
    found.extend(keys);
    found
}
