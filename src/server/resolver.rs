//! How the DNS is asked: by the name server of the configuration, or by the system's.

use std::net::SocketAddr;

use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{ResolverBuilder, TokioResolver};

/// A resolver that asks this name server, or those of the system; none where the system names none.
pub(in crate::server) fn builder(server: Option<SocketAddr>) -> Option<ResolverBuilder<TokioRuntimeProvider>> {
    match server {
        Some(address) => {
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![name_server(address)]);
            Some(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
        }
        None => TokioResolver::builder_tokio().ok(),
    }
}

/// A name server at this address.
pub(in crate::server) fn name_server(address: SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    server.connections.iter_mut().for_each(|connection| connection.port = address.port());
    server
}
