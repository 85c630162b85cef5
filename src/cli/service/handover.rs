//! Which way a message leaves: through a pickup folder, or over SMTP.

use std::io;
use std::path::{Path, PathBuf};

use sealpost::crypto::random::Random;
use sealpost::proto::smtp::client::Outgoing;
use sealpost::server::config::Hop;
use sealpost::server::{Service, pickup, privileges};

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::service::client::{self, Server};
use crate::cli::service::send::SendArgs;
use crate::cli::{details, service};

/// Where a message goes from here.
#[derive(Debug)]
pub(crate) enum Way {
    /// Into this folder; a server takes it from there when it runs.
    Pickup(PathBuf),
    /// To this server.
    Server(Hop),
}

/// Where the packages have the pickup folder of the machine's own server: users who may not read its home find it there.
const SYSTEM: &str = "/var/spool/sealpost/pickup";

/// The way that the options name; else the pickup folder of the home's server, or of the machine's; else the submission service of the home.
pub(crate) fn way(context: &Context, args: &SendArgs) -> Result<Way, Failure> {
    if let Some(via) = &args.via {
        return client::hop("--via", via, 587).map(Way::Server);
    }
    if let Some(folder) = &args.pickup {
        return Ok(Way::Pickup(folder.clone()));
    }
    let config = context.home_path().join("sealpost.toml");
    if args.client.user.is_none() {
        let own = if config.exists() { service::config(context)?.pickup } else { None };
        if let Some(folder) = own {
            return Ok(Way::Pickup(folder));
        }
        if !config.exists() && Path::new(SYSTEM).is_dir() {
            return Ok(Way::Pickup(PathBuf::from(SYSTEM)));
        }
    }
    let hop = service::own(context, Service::Submission);
    hop.map(Way::Server).map_err(|failure| failure.hint("say where to send it with --via HOST:PORT"))
}

/// How a server is talked to.
pub(crate) fn server(context: &Context, args: &SendArgs, hop: &Hop) -> Result<Server, Failure> {
    Server::new(context, hop.clone(), &args.client)
}

/// Puts a message into a pickup folder; on disk when this returns.
pub(crate) fn put(folder: &Path, letter: &Outgoing) -> io::Result<PathBuf> {
    // the server makes it when it starts first, and mail may come before that; but not in a place that has nothing to do with one
    if !folder.is_dir() && folder.parent().is_some_and(|home| home.join("sealpost.toml").is_file()) {
        sealpost::keys::files::make_folder(folder).map_err(io::Error::other)?;
    }
    pickup::put(folder, letter)
}

/// Why the server of a pickup folder would put a message aside; nothing where it takes it.
pub(crate) fn unfit(context: &Context, folder: &Path, letter: &Outgoing) -> Option<String> {
    // a folder of another home has bounds that nobody else may know
    let is_its =
        |own: &Path| own == folder || own.canonicalize().is_ok_and(|own| folder.canonicalize().is_ok_and(|it| it == own));
    let own = service::config(context).ok().filter(|config| config.pickup.as_deref().is_some_and(is_its));
    pickup::unfit(letter, own.map(|config| config.max_message))
}

/// The Message-ID of a message that has none, without angle brackets: on the right the domain of its sender, where no other program makes the
/// same (RFC 5322 3.6.4); of this host, where it names none.
pub(crate) fn message_id(context: &Context, sender: Option<&str>) -> String {
    let mut bytes = [0; 16];
    context.random().fill(&mut bytes);
    let is_domain = |domain: &&str| Hop::parse(domain).is_some_and(|hop| hop.host == *domain);
    let domain = sender.and_then(|sender| sender.rsplit_once('@')).map(|(_, domain)| domain).filter(is_domain);
    format!("{}@{}", details::hex(&bytes), domain.map_or_else(|| origin(context), str::to_lowercase))
}

/// The domain of mail that is written here: that of the home's server, that of the machine's mail, or its name.
pub(crate) fn origin(context: &Context) -> String {
    if let Ok(config) = service::config(context) {
        return config.hostname.strip_prefix("mail.").unwrap_or(&config.hostname).to_owned();
    }
    let told = ["/etc/mailname", "/etc/hostname"].into_iter().filter_map(|file| std::fs::read_to_string(file).ok());
    let mut names = told.map(|text| text.trim().to_lowercase());
    names.find(|name| Hop::parse(name).is_some_and(|hop| hop.host == *name)).unwrap_or_else(|| "localhost".to_owned())
}

/// Who runs this program.
pub(crate) fn login() -> String {
    let is_name = |name: &String| {
        !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "._-".contains(c)) && !name.starts_with(['.', '-'])
    };
    let told = ["LOGNAME", "USER"].into_iter().filter_map(|variable| std::env::var(variable).ok()).find(is_name);
    told.or_else(|| privileges::own_name().filter(is_name)).unwrap_or_else(|| "nobody".to_owned())
}
