//! The admin API: what administrators do, over HTTP/1.1, for a web console and for scripts; metrics; health.
//!
//! Uses: manage (the verbs), doors and reload (the servers, the keys), trace, metrics; `web` (how a connection is served and bounded); axum finds which path is meant. Never: a verb of its
//! own, a password or a token in an answer.
//! Holds always: nothing but health and the description is told without a token; a token with scope `read` changes nothing; outside of loopback
//! all is under TLS; a connection has so many bytes and so much time for each thing that it does.
//!
//! RFCs: 9110, 9112 (HTTP), 6750 (bearer tokens), 9457 (problems); OpenAPI 3.1.

mod answer;
mod connection;
mod gate;
mod keys;
mod openapi;
mod problem;
mod routes;
mod schemas;
#[cfg(test)]
mod tests;
mod verbs;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::{QueryRejection, RawPathParamsRejection};
use axum::extract::{Query, RawPathParams, Request};
use axum::routing::on;
use tokio::sync::watch;

use crate::server::admin::Levers;
use crate::server::api::answer::Asked;
use crate::server::api::gate::Gate;
use crate::server::api::problem::Problem;
use crate::server::api::routes::ROUTES;
use crate::server::manage::{Manage, Overview};
use crate::server::queue::Queue;
use crate::server::trace::Tracer;
use crate::time::Timestamp;

pub(in crate::server) use connection::{Door, accept};

/// Reads a clock.
pub(in crate::server) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What the API is about.
pub(in crate::server) struct Api {
    manage: Manage,
    overview: Arc<Overview>,
    tracer: Tracer,
    queue: Queue,
    /// What changes while the server runs.
    levers: Levers,
    gate: Gate,
    clock: Clock,
    description: String,
    stop: watch::Receiver<bool>,
}

/// Who asks, as the connection knows him.
#[derive(Debug, Clone, Copy)]
struct Peer(SocketAddr);

impl Api {
    pub(in crate::server) fn new(
        manage: Manage,
        overview: Arc<Overview>,
        (tracer, queue, levers): (Tracer, Queue, Levers),
        clock: Clock,
        stop: watch::Receiver<bool>,
    ) -> Arc<Self> {
        let description = openapi::document().to_string();
        Arc::new(Self { manage, overview, tracer, queue, levers, gate: Gate::default(), clock, description, stop })
    }

    /// Finds what is meant, and answers it.
    fn router(self: &Arc<Self>) -> Router {
        let mut router = Router::new();
        for route in ROUTES {
            let api = Arc::clone(self);
            let answer = move |path: Result<RawPathParams, RawPathParamsRejection>,
                               query: Result<Query<Vec<(String, String)>>, QueryRejection>,
                               request: Request| {
                let api = Arc::clone(&api);
                async move {
                    let pairs =
                        |params: &RawPathParams| params.iter().map(|(name, of)| (name.to_owned(), of.to_owned())).collect();
                    let (path, query) = (path.as_ref().map(pairs).unwrap_or_default(), query.map(|Query(query)| query));
                    let asked = Asked { path, query: query.unwrap_or_default(), body: Default::default() };
                    answer::to(api, route, asked, request).await
                }
            };
            router = router.route(route.path, on(route.method.filter(), answer));
        }
        let nowhere = |request: Request| async move { Problem::nowhere(request.uri().path()).respond() };
        let not_so = |request: Request| async move { Problem::not_by(request.method().as_str(), request.uri().path()).respond() };
        router.fallback(nowhere).method_not_allowed_fallback(not_so)
    }
}
