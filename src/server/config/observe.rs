//! The sections `[api]` and `[log]`: how a server is administered and watched.

use std::net::SocketAddr;
use std::path::PathBuf;

use toml_edit::Table;

use crate::server::config::{Must, Reader};
use crate::server::trace::Level;

/// Where the admin API is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiConfig {
    /// The address.
    pub listen: SocketAddr,
    /// Under TLS or not.
    pub transport: Transport,
}

/// How connections of the API are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// They are not: on loopback alone.
    Plain,
    /// By the server's own certificate.
    Tls,
}

/// What is logged, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// In which form.
    pub form: Form,
    /// What matters so much, or more.
    pub level: Level,
    /// Where.
    pub to: LogTo,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { form: Form::Text, level: Level::Info, to: LogTo::Stderr }
    }
}

/// The form of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// Where a log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTo {
    /// Standard error, which service managers keep.
    Stderr,
    /// The end of a file.
    File(PathBuf),
}

/// The sections in a new configuration.
pub(super) const TEMPLATE: &str = "\
# The admin API and the metrics, over HTTP. Outside of loopback tls = \"on\" is needed. `sealpost token new NAME` makes a token for it.
# [api]
# listen = \"127.0.0.1:8088\"
# tls = \"off\"

# What is logged: form = \"text\" or \"json\"; level = \"error\", \"warning\", \"info\" or \"debug\" (every word of every connection, secrets masked).
# [log]
# form = \"text\"
# level = \"info\"
# file = \"sealpost.log\"      # standard error where it is left out
";

impl Reader<'_> {
    pub(super) fn api(&mut self, root: &Table) -> Option<ApiConfig> {
        let api = self.section(root, "api")?;
        self.known(api, "api.", &["listen", "tls"]);
        let words = [("on", Transport::Tls), ("off", Transport::Plain)];
        let transport = if api.contains_key("tls") { Some(self.word(api, "api.", "tls", &words)?) } else { None };
        let text = self.string(api, "api.", "listen")?;
        let Ok(listen) = text.parse::<SocketAddr>() else {
            let text = format!("api.listen = \"{text}\" is not an address with a port, as \"127.0.0.1:8088\"");
            self.wrong(api, "listen", text);
            return None;
        };
        // a token that somebody reads on its way opens everything
        if !listen.ip().is_loopback() && transport != Some(Transport::Tls) {
            let text = format!("api.listen: {listen} is not on loopback – set tls = \"on\", or use 127.0.0.1");
            self.wrong(api, "listen", text);
            return None;
        }
        Some(ApiConfig { listen, transport: transport.unwrap_or(Transport::Plain) })
    }

    pub(super) fn log(&mut self, root: &Table) -> LogConfig {
        self.read_log(root).unwrap_or_default()
    }

    fn read_log(&mut self, root: &Table) -> Option<LogConfig> {
        let mut config = LogConfig::default();
        let log = self.section(root, "log")?;
        self.known(log, "log.", &["form", "level", "file"]);
        if log.contains_key("form") {
            config.form = self.word(log, "log.", "form", &[("text", Form::Text), ("json", Form::Json)])?;
        }
        if log.contains_key("level") {
            config.level = self.word(log, "log.", "level", &Level::ALL.map(|level| (level.name(), level)))?;
        }
        if log.contains_key("file") {
            config.to = LogTo::File(self.path(log, "log.", "file", Must::Anything)?);
        }
        Some(config)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use toml_edit::Document;

    use super::*;

    fn read(text: &str) -> (Option<ApiConfig>, LogConfig, String) {
        let document = Document::parse(text).expect("TOML");
        let mut reader = Reader { text, folder: Path::new("/f"), mistakes: Vec::new() };
        let (api, log) = (reader.api(document.as_table()), reader.log(document.as_table()));
        (api, log, reader.mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn the_api_is_plain_on_loopback_alone() {
        let (api, _, wrong) = read("[api]\nlisten = \"127.0.0.1:8088\"\n");
        assert_eq!((api.map(|api| api.transport), wrong.as_str()), (Some(Transport::Plain), ""));
        assert_eq!(read("[api]\nlisten = \"[::1]:8088\"\ntls = \"on\"\n").0.map(|api| api.transport), Some(Transport::Tls));
        assert_eq!(read("[api]\nlisten = \"192.0.2.1:8088\"\ntls = \"on\"\n").0.map(|api| api.transport), Some(Transport::Tls));
        assert_eq!(read("").0, None);
        for (text, reason) in [
            ("listen = \"192.0.2.1:8088\"", "line 2: api.listen: 192.0.2.1:8088 is not on loopback"),
            ("listen = \"0.0.0.0:8088\"\ntls = \"off\"", "is not on loopback"),
            ("listen = \"here\"", "is not an address with a port"),
            ("listen = \"127.0.0.1:1\"\ntls = \"yes\"", "line 3: api.tls = \"yes\" is none of on, off"),
            ("tls = \"on\"", "api.listen is missing"),
            ("lisen = \"127.0.0.1:1\"", "did you mean listen?"),
        ] {
            let (api, _, wrong) = read(&format!("[api]\n{text}\n"));
            assert!(api.is_none() && wrong.contains(reason), "{text}: {wrong}");
        }
    }

    #[test]
    fn the_log_is_as_it_is_asked_for() {
        assert_eq!(read("").1, LogConfig::default());
        let (_, log, wrong) = read("[log]\nform = \"json\"\nlevel = \"debug\"\nfile = \"x.log\"\n");
        let file = LogTo::File(PathBuf::from("/f/x.log"));
        assert_eq!((log, wrong.as_str()), (LogConfig { form: Form::Json, level: Level::Debug, to: file }, ""));
        let (_, _, wrong) = read("[log]\nlevel = \"loud\"\n");
        assert!(wrong.starts_with("line 2: log.level = \"loud\" is none of error, warning"), "{wrong}");
        // the sections of a new configuration, once they are no comments any more
        let is_line = |line: &&str| line.starts_with('[') || line.split(' ').nth(1) == Some("=");
        let lines = TEMPLATE.lines().filter_map(|line| line.strip_prefix("# ")).filter(is_line);
        let text = lines.collect::<Vec<_>>().join("\n");
        let (api, log, wrong) = read(&text);
        assert_eq!((api.is_some(), log.to, wrong.as_str()), (true, LogTo::File(PathBuf::from("/f/sealpost.log")), ""), "{text}");
    }
}
