//! What is asked, handed to those who do it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use hyper::body::Frame;
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use crate::server::api::answer::{Asked, Said};
use crate::server::api::problem::Problem;
use crate::server::api::routes::Operation;
use crate::server::api::{Api, keys};
use crate::server::doors::{LONGEST_BAN, NotDone, Order};
use crate::server::manage::json;
use crate::server::policy::Whom;
use crate::server::store::{Standing, Which};
use crate::server::trace::{Event, Level, Wanted};
use crate::time::Timestamp;

/// The type of Prometheus' text.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// Does what is asked. Blocks: on disk, on password hashes.
pub(in crate::server::api) fn run(api: &Api, operation: Operation, asked: &mut Asked, now: Timestamp) -> Result<Said, Problem> {
    let manage = &api.manage;
    let value = match operation {
        Operation::Status => api.overview.status(now).to_json(),
        Operation::ListDomains => json::domains(&manage.domains()?, &manage.domain_quotas()?),
        Operation::AddDomain => done(manage.add_domain(asked.text("domain").unwrap_or_default()).map(drop), "domain.add")?,
        Operation::RemoveDomain => done(manage.remove_domain(asked.part("domain")), "domain.remove")?,
        Operation::SetDomainQuota => done(manage.set_domain_quota(asked.part("domain"), bytes(asked)), "domain.quota")?,
        Operation::ListUsers => json::users(&manage.users()?, &manage.suspended()?),
        Operation::ShowUser => json::user(&manage.user(asked.part("address"))?),
        Operation::AddUser => {
            let password = asked.password();
            json::password_set("add", &manage.add_user(asked.text("address").unwrap_or_default(), &password)?, None)
        }
        Operation::SetPassword => {
            let password = asked.password();
            json::password_set("passwd", &manage.set_password(asked.part("address"), &password)?, None)
        }
        Operation::RemoveUser => done(manage.remove_user(asked.part("address")), "user.remove")?,
        Operation::SetUserQuota => done(manage.set_user_quota(asked.part("address"), bytes(asked)), "user.quota")?,
        Operation::ShowFilter => json::filter(&manage.filter(asked.part("address"))?),
        Operation::SetFilter => {
            let script = asked.text("script").unwrap_or_default();
            done(manage.set_filter(asked.part("address"), script.as_bytes()), "user.filter")?
        }
        Operation::RemoveFilter => done(manage.remove_filter(asked.part("address")), "user.filter")?,
        Operation::SuspendUser => done(manage.set_standing(asked.part("address"), Standing::Suspended), "user.suspend")?,
        Operation::ResumeUser => done(manage.set_standing(asked.part("address"), Standing::Active), "user.resume")?,
        Operation::ListAliases => json::aliases(&manage.aliases()?),
        Operation::AddAlias => {
            done(manage.add_alias(asked.text("alias").unwrap_or_default(), &asked.texts("target")), "alias.add")?
        }
        Operation::RemoveAlias => done(manage.remove_alias(asked.part("alias")), "alias.remove")?,
        Operation::ListQueue => json::queue(&manage.waiting(&chosen(None, asked.query("domain"), asked.query("user"))?)?),
        Operation::ShowQueued => {
            let id = asked.part("id");
            let id = id.parse().map_err(|_| Problem::invalid("path id", format!("{id} is no number of a message")))?;
            let size = manage.queued_size(id)?;
            json::queued(&manage.waiting(&Which::Message(id))?, size)
        }
        Operation::ListTls => {
            let ago = asked.query("days_ago").and_then(|text| text.parse().ok()).unwrap_or(0);
            let day = now.unix().div_euclid(86_400).saturating_sub(ago);
            json::tls(day, &manage.tls_results(day)?)
        }
        Operation::RetryQueue => {
            let done = done(manage.retry(&which(asked)?, now), "queue.retry")?;
            api.queue.retry_now();
            done
        }
        Operation::HoldQueue => done(manage.hold(&which(asked)?), "queue.hold")?,
        Operation::DropQueue => done(manage.drop_queued(&which(asked)?), "queue.drop")?,
        Operation::ListDkim => keys::list(api, asked, now)?,
        Operation::NewDkim => keys::make(api, asked, now)?,
        Operation::DkimDns => keys::dns(api, asked, now)?,
        Operation::RemoveDkim => keys::remove(api, asked, now)?,
        Operation::ListServers => json::servers(api.levers.doors.list().lines()),
        Operation::StartServer => order(api, Order::Start, asked)?,
        Operation::StopServer => order(api, Order::Stop, asked)?,
        Operation::PauseServer => order(api, Order::Pause, asked)?,
        Operation::ListBans => json::bans(api.levers.doors.list_bans(now).lines()),
        Operation::AddBan => {
            let whom = asked.text("address").unwrap_or_default();
            let whom = Whom::parse(whom).map_err(|why| Problem::invalid("/address", why))?;
            let seconds = asked.number("seconds");
            if seconds.is_some_and(|seconds| !(1..=LONGEST_BAN).contains(&seconds)) {
                return Err(Problem::invalid("/seconds", format!("seconds is to be a number from 1 to {LONGEST_BAN}")));
            }
            let fix = "lift some at /v1/bans, or write them into [access]";
            api.levers.doors.ban(&whom, seconds).map_err(|why| Problem::not_now(why, fix))?;
            json::done("ban.add")
        }
        Operation::LiftBan => {
            let whom = Whom::parse(asked.part("address")).map_err(|why| Problem::invalid("path address", why))?;
            match api.levers.doors.lift_ban(&whom) {
                true => json::done("ban.lift"),
                false => return Err(Problem::not_found(format!("{whom} is not banned"))),
            }
        }
        Operation::Description => return Ok(Said::Text(StatusCode::OK, "application/json", api.description.clone())),
        Operation::Metrics => {
            let page = api.tracer.metrics().page(&api.overview.gauges(now));
            return Ok(Said::Text(StatusCode::OK, METRICS, page));
        }
        Operation::Alive => return Ok(Said::Text(StatusCode::OK, PLAIN, "ok\n".to_owned())),
        Operation::Ready => {
            let (status, text) = match api.overview.unready(now).is_empty() {
                true => (StatusCode::OK, "ok\n"),
                // why is for the log and for `status`, not for everybody
                false => (StatusCode::SERVICE_UNAVAILABLE, "not ok\n"),
            };
            return Ok(Said::Text(status, PLAIN, text.to_owned()));
        }
        Operation::Trace | Operation::Reload => return Err(Problem::broken("this is not answered here".to_owned())),
    };
    Ok(Said::Json(value))
}

/// Reads the configuration again.
pub(in crate::server::api) async fn reload(api: &Api) -> Result<Said, Problem> {
    let done = api.levers.reloader.reload().await.map_err(|why| Problem::configuration(&why))?;
    Ok(Said::Json(json::reloaded(&done.changed, &done.kept)))
}

/// What is done to one of the servers.
fn order(api: &Api, order: Order, asked: &Asked) -> Result<Value, Problem> {
    match api.levers.doors.order(order, asked.part("name")) {
        Ok(()) => Ok(json::done(&format!("server.{}", order.word()))),
        Err(NotDone::Unknown(why)) => Err(Problem::not_found(why)),
        Err(NotDone::NotNow(why)) => {
            Err(Problem::not_now(why, "look at /v1/servers for its state, and at its port for who listens"))
        }
    }
}

fn done(result: Result<(), crate::server::manage::Error>, verb: &str) -> Result<Value, Problem> {
    result.map(|()| json::done(verb)).map_err(Problem::from)
}

fn bytes(asked: &Asked) -> u64 {
    asked.number("bytes").unwrap_or_default()
}

fn which(asked: &Asked) -> Result<Which, Problem> {
    chosen(asked.number("id"), asked.text("domain"), asked.text("user"))
}

fn chosen(id: Option<u64>, domain: Option<&str>, user: Option<&str>) -> Result<Which, Problem> {
    match (id, domain, user) {
        (None, None, None) => Ok(Which::All),
        // the number was looked at when it came
        (Some(id), None, None) => Ok(Which::Message(i64::try_from(id).unwrap_or(i64::MAX))),
        (None, Some(domain), None) => Ok(Which::Domain(domain.to_lowercase())),
        (None, None, Some(user)) => Ok(Which::User(user.to_lowercase())),
        _ => Err(Problem::invalid("/", "id, domain and user exclude each other".to_owned())),
    }
}

/// Lines that wait for a client; he misses later ones.
const WAITING: usize = 256;

/// What is said from now on, until the client goes or the server stops.
pub(in crate::server::api) fn trace(api: &Arc<Api>, asked: &Asked) -> Result<Said, Problem> {
    let peer = match asked.query("peer").map(str::parse) {
        Some(Err(_)) => return Err(Problem::invalid("query peer", "peer is to be an IP address".to_owned())),
        Some(Ok(peer)) => Some(peer),
        None => None,
    };
    let queue = asked.query("queue").and_then(|text| text.parse().ok());
    let wanted = Wanted { user: asked.query("user").map(str::to_owned), peer, queue };
    let (lines, receiver) = mpsc::channel(WAITING);
    let (mut events, mut stop, clock) = (api.tracer.listen(), api.stop.clone(), Arc::clone(&api.clock));
    tokio::spawn(async move {
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                () = lines.closed() => break,
                _ = stop.wait_for(|stops| *stops) => break,
            };
            let event = match event {
                Ok(event) if !wanted.has(&event) => continue,
                Ok(event) => event,
                Err(RecvError::Lagged(missed)) => Event::note(clock(), Level::Warning, &format!("({missed} lines were missed)")),
                Err(RecvError::Closed) => break,
            };
            if lines.send(Bytes::from(format!("{}\n", event.to_json()))).await.is_err() {
                break;
            }
        }
    });
    Ok(Said::Stream(Body::new(Lines(receiver))))
}

/// Lines as they come.
struct Lines(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.get_mut().0.poll_recv(context).map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}
