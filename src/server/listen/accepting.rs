//! The loop of every listener: connections are taken, so many at once, and each gets a task.

use std::borrow::Borrow;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Gives each connection to a task until it is told to stop; then nobody listens any more, and those that are open are waited for. One more than
/// `most` waits in the kernel's queue; one for which there is no task is closed without a word.
pub(in crate::server) async fn each<F>(
    listener: impl Borrow<TcpListener>,
    most: usize,
    mut stop: watch::Receiver<bool>,
    serve: impl Fn(TcpStream, SocketAddr) -> Option<F>,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let (permits, mut open) = (Arc::new(Semaphore::new(most)), JoinSet::new());
    loop {
        let next = async {
            let permit = Arc::clone(&permits).acquire_owned().await.ok()?;
            let socket: &TcpListener = listener.borrow();
            Some((permit, socket.accept().await))
        };
        // told to stop, it stops also where all places are taken, and lets nobody in any more who waits in the kernel's queue
        let next = tokio::select! {
            biased;
            _ = stop.wait_for(|stops| *stops) => break,
            next = next => next,
        };
        let Some((permit, accepted)) = next else { break };
        while open.try_join_next().is_some() {}
        let Ok((stream, peer)) = accepted else {
            // too many open files, for one: others must end first
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        if let Some(served) = serve(stream, peer) {
            open.spawn(async move {
                served.await;
                drop(permit);
            });
        }
    }
    // the address is free again, for one that is started anew
    drop(listener);
    while open.join_next().await.is_some() {}
}
