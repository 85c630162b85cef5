//! `sealpost ca serve`.

use std::net::SocketAddr;

use serde_json::json;
use tokio::sync::mpsc;

use sealpost::ca::publish::{self, FILES};
use sealpost::ca::responder::{Folder, Nonces, Responder};
use sealpost::ca::store::Store;
use sealpost::crypto::random::OsRandom;
use sealpost::server::web::{self, Site};

use crate::cli::ca::{ca_folder, failed};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::service::Signals;
use crate::cli::{output, report};

/// What goes wrong and was not printed yet, at most; more is not printed.
const NOTES: usize = 64;

/// Serves what is published until a signal comes.
pub(super) fn run(context: &Context, listen: &str, nonces: Nonces) -> Result<Exit, Failure> {
    let address: SocketAddr = listen.parse().map_err(|_| {
        Failure::usage(format!("--listen {listen} is not an address"))
            .hint("write it as 127.0.0.1:8080, [::1]:8080 or 0.0.0.0:80")
    })?;
    let folder = ca_folder(context)?;
    let responder = Responder::open(&folder, Box::new(Folder::new(&folder)), nonces, Box::new(OsRandom)).map_err(failed)?;
    let public = publish::folder(&folder);
    let until = responder.good_until().map_err(failed)?;
    let Some(until) = until.filter(|_| public.join("issuing.crl").exists()) else {
        return Err(Failure::usage("nothing is published yet").hint("publish with `sealpost ca publish`"));
    };
    if until <= context.now {
        eprintln!(
            "warning: the responders' certificates ended on {until} – OCSP answers none until `sealpost ca publish` renews them"
        );
    }
    let base = Store::base_url_of(&folder).map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::io(format!("the server cannot start – {error}")))?;
    runtime.block_on(async {
        // before anybody is told that the server is ready: from then on a signal may come
        let mut signals = Signals::new().map_err(|error| Failure::io(format!("the server cannot start – {error}")))?;
        let (notes, mut troubles) = mpsc::channel(NOTES);
        let running = web::start(address, Site::new(&public, responder, &base).notes(notes)).await.map_err(|error| {
            Failure::io(error)
                .hint("give another address with --listen ADDR; the certificates name port 80, which a proxy may lead here")
        })?;
        ready(context, running.address(), &base, &public)?;
        let log = tokio::spawn(async move {
            let mut last = String::new();
            while let Some(trouble) = troubles.recv().await {
                // each once, not with every request
                if trouble != last {
                    eprintln!("{}", report::safe(&trouble));
                }
                last = trouble;
            }
        });
        signals.wait().await;
        eprintln!("stopping");
        running.stop().await;
        log.abort();
        Ok(Exit::Good)
    })
}

/// Says where it listens, and the URLs that certificates name.
fn ready(context: &Context, address: SocketAddr, base: &str, public: &std::path::Path) -> Result<(), Failure> {
    let names = FILES.iter().filter(|(name, _)| public.join(name).exists());
    let urls: Vec<String> = names.map(|(name, _)| format!("{base}/{name}")).chain([format!("{base}/ocsp")]).collect();
    if context.json {
        return context.print_json(&json!({ "schema": "sealpost.ca.serve/1", "listen": address.to_string(), "named": urls }));
    }
    output::stdout(format!("http on {address}\n").as_bytes())?;
    for url in urls {
        output::stdout(format!("certificates name {}\n", report::safe(&url)).as_bytes())?;
    }
    output::stdout(b"ready\n")
}
