//! `sealpost autoconfig`: what mail programs read to set up an account (Thunderbird's format, draft-ietf-mailmaint-autoconfig).

use clap::Args;
use serde_json::json;

use sealpost::server::{Config, Service};

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::{output, service};

/// Print the settings of mail programs for a domain
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost autoconfig a.example > /var/www/a.example/.well-known/autoconfig/mail/config-v1.1.xml

Mail programs ask https://autoconfig.DOMAIN/mail/config-v1.1.xml and https://DOMAIN/.well-known/autoconfig/mail/config-v1.1.xml.")]
pub(crate) struct AutoconfigArgs {
    /// The domain of the addresses
    domain: String,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &AutoconfigArgs) -> Result<Exit, Failure> {
    let config = service::config(context)?;
    let domain = args.domain.to_lowercase();
    if !service::accounts(context)?.store().domains().map_err(service::from_store)?.contains(&domain) {
        return Err(Failure::usage(format!("{domain} is no domain of this server")).hint("`sealpost domain list` shows them"));
    }
    if context.json {
        let server = |(service, socket): &(Service, &str)| {
            let (_, address) = config.listeners.iter().find(|(known, _)| known == service)?;
            Some(json!({ "hostname": config.hostname, "port": address.port(), "socket": socket }))
        };
        let servers = |all: [(Service, &str); 2]| all.iter().filter_map(server).collect::<Vec<_>>();
        context.print_json(&json!({
            "schema": "sealpost.autoconfig/1",
            "exit": Exit::Good.code(),
            "domain": domain,
            "incoming": servers(INCOMING),
            "outgoing": servers(OUTGOING),
            "xml": settings(&config, &domain),
        }))?;
        return Ok(Exit::Good);
    }
    output::stdout(settings(&config, &domain).as_bytes()).map(|()| Exit::Good)
}

/// TLS from the start first: a program takes the first that it knows.
const INCOMING: [(Service, &str); 2] = [(Service::Pop3s, "SSL"), (Service::Pop3, "STARTTLS")];
const OUTGOING: [(Service, &str); 2] = [(Service::Submissions, "SSL"), (Service::Submission, "STARTTLS")];

fn settings(config: &Config, domain: &str) -> String {
    let servers = |kind: &str, role: &str, services: [(Service, &str); 2]| -> String {
        let found = services.into_iter().filter_map(|(service, socket)| {
            let (_, address) = config.listeners.iter().find(|(known, _)| *known == service)?;
            Some(format!(
                "    <{role} type=\"{kind}\">\n      <hostname>{}</hostname>\n      <port>{}</port>\n      <socketType>{socket}</socketType>\n      \
                 <authentication>password-cleartext</authentication>\n      <username>%EMAILADDRESS%</username>\n    </{role}>\n",
                config.hostname,
                address.port()
            ))
        });
        found.collect()
    };
    let incoming = servers("pop3", "incomingServer", INCOMING);
    let outgoing = servers("smtp", "outgoingServer", OUTGOING);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<clientConfig version=\"1.1\">\n  <emailProvider id=\"{domain}\">\n    \
         <domain>{domain}</domain>\n    <displayName>{domain}</displayName>\n    <displayShortName>{domain}</displayShortName>\n\
         {incoming}{outgoing}  </emailProvider>\n</clientConfig>\n"
    )
}
