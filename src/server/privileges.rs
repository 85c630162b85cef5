//! Leaving root: the ports are bound by root, and served by a user that may do nothing else.
//!
//! Done before the runtime starts its threads, and by the C library's calls, which are for all threads of the process.

use std::fs::File;
use std::path::Path;

use nix::unistd::{AccessFlags, ResUid, Uid, User, access, geteuid, getresuid, getuid, initgroups, setgid, setuid};

use crate::server::calls::{self, Programs};
use crate::server::config::{Config, Sandbox};
use crate::server::listen::Sockets;
use crate::server::sandbox;

/// With which rights a server runs, in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The user.
    pub user: String,
    /// What closes the file system to it.
    pub sandbox: String,
    /// What closes system calls to it.
    pub system_calls: String,
    /// What somebody should know of that.
    pub warning: Option<String>,
}

/// Binds the ports of a server, leaves root, and closes the file system but for what the server needs, and system calls that it never makes; the error names the remedy. To be called
/// before the process has a second thread. `files` is what else will be read: the configuration.
pub fn prepare(config: &Config, files: &[&Path]) -> Result<(Sockets, Standing), String> {
    let target = target(config)?;
    let mut sockets = Sockets::bind(config.listens())?;
    if let Some(acme) = &config.acme {
        sockets = sockets.challenges(acme.listen)?;
    }
    let mut standing = Standing { user: name(geteuid()), ..Standing::default() };
    match target {
        Target::Stay => {}
        Target::StayRoot => {
            standing.warning =
                Some("the server runs as root – name a user in the configuration: [process] user = \"sealpost\"".to_owned());
        }
        Target::Become(user) => {
            become_user(&user)?;
            may_work(config, &user.name)?;
            standing.user = user.name;
        }
    }
    standing.sandbox = match config.process.sandbox {
        Sandbox::Off => "off".to_owned(),
        wish => sandbox::close(config, files, wish)?,
    };
    standing.system_calls = match config.process.system_calls {
        Sandbox::Off => "off".to_owned(),
        wish => calls::close(Programs::of(config), wish)?,
    };
    Ok((sockets, standing))
}

#[derive(Debug)]
enum Target {
    /// It is no root.
    Stay,
    /// Root by word of the configuration, or where nobody else reaches it.
    StayRoot,
    Become(User),
}

/// Who the server is to be.
fn target(config: &Config) -> Result<Target, String> {
    let Some(wanted) = &config.process.user else {
        return match geteuid().is_root() {
            false => Ok(Target::Stay),
            true if is_private(config) => Ok(Target::StayRoot),
            true => Err("the server is not run as root where others reach it – make a user (`useradd --system --user-group sealpost`), give it the \
                         folder of the configuration (`chown -R sealpost: FOLDER`), and name it there: [process] user = \"sealpost\""
                .to_owned()),
        };
    };
    let found = User::from_name(wanted).map_err(|error| format!("the user {wanted} cannot be looked up – {error}"))?;
    let user = found.ok_or_else(|| {
        format!("[process] user = \"{wanted}\": there is no such user – make it with `useradd --system --user-group {wanted}`")
    })?;
    match (geteuid().is_root(), user.uid == geteuid()) {
        (true, true) => Ok(Target::StayRoot),
        (true, false) => Ok(Target::Become(user)),
        (false, true) => Ok(Target::Stay),
        (false, false) => Err(format!("only root can become {wanted} – start the server as root or as {wanted}")),
    }
}

/// Whether only this machine reaches the server, and no port of it needs root.
fn is_private(config: &Config) -> bool {
    config.listens().iter().all(|(_, address)| address.ip().is_loopback() && (address.port() >= 1024 || address.port() == 0))
}

fn become_user(user: &User) -> Result<(), String> {
    let told = |what: &str, error: nix::Error| format!("root cannot be left: {what} – {error}");
    let name = std::ffi::CString::new(user.name.as_str()).map_err(|error| error.to_string())?;
    initgroups(&name, user.gid).map_err(|error| told("the groups", error))?;
    setgid(user.gid).map_err(|error| told("the group", error))?;
    setuid(user.uid).map_err(|error| told("the user", error))?;
    // what was left must not be had again: not by the saved identity, not by a new call
    let ResUid { real, effective, saved } = getresuid().map_err(|error| told("the identity", error))?;
    if [real, effective, saved] != [user.uid; 3] || setuid(Uid::from_raw(0)).is_ok() {
        return Err("root was left and could be had again; the server does not start so".to_owned());
    }
    Ok(())
}

/// What every start would fail at later, with the remedy.
fn may_work(config: &Config, user: &str) -> Result<(), String> {
    let not = |path: &Path, what: &str, folder: &Path| {
        format!("the user {user} may not {what} {} – `chown -R {user}: {}`", path.display(), folder.display())
    };
    for path in std::iter::once(config.certificate.as_path()).chain(config.secrets()) {
        if let Err(error) = File::open(path)
            && error.kind() == std::io::ErrorKind::PermissionDenied
        {
            return Err(not(path, "read", path.parent().unwrap_or(path)));
        }
    }
    let folder = if config.data.exists() { &config.data } else { config.data.parent().unwrap_or(&config.data) };
    access(folder, AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK).map_err(|_| not(folder, "write to", folder))
}

/// Who runs this program; nobody where the system has no name for him.
pub fn own_name() -> Option<String> {
    User::from_uid(getuid()).ok().flatten().map(|user| user.name)
}

/// The name of a user, or his number where he has none.
pub(in crate::server) fn name(uid: Uid) -> String {
    User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(lines: &str) -> Config {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["c.pem", "k.pem"] {
            std::fs::write(folder.path().join(name), "x").expect("written");
        }
        let text = format!("hostname = \"a\"\ndata = \"mail\"\n[tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n{lines}");
        Config::parse(&text, folder.path()).expect("good")
    }

    #[test]
    fn a_server_that_others_reach_is_no_roots() {
        let open = config("[listen]\nsmtp = \"0.0.0.0:2525\"\n");
        let low = config("[listen]\nsmtp = \"127.0.0.1:25\"\n");
        let own = config("[listen]\nsmtp = \"127.0.0.1:2525\"\npop3 = \"[::1]:0\"\n");
        assert!(is_private(&own) && !is_private(&open) && !is_private(&low));
        if geteuid().is_root() {
            let refused = target(&open).map(|_| ()).expect_err("root");
            assert!(refused.contains("[process] user = \"sealpost\"") && refused.contains("useradd"), "{refused}");
        }
        let named = config("[listen]\nsmtp = \"0.0.0.0:25\"\n[process]\nuser = \"nobody-of-this-name\"\n");
        let refused = target(&named).map(|_| ()).expect_err("unknown");
        assert!(refused.contains("there is no such user – make it with `useradd"), "{refused}");
    }
}
