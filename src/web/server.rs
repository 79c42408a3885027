//! Connections: how many, how long, and how large their headers may be.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use listenfd::ListenFd;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::clients::network_of;

/// Connections at a time; more wait to be accepted.
const MOST_CONNECTIONS: usize = 256;
/// Of these, so many from one network that is no proxy's.
const MOST_OF_A_NETWORK: usize = 64;
/// A connection that does not send its headers in this time is closed.
const LONGEST_HEADERS: Duration = Duration::from_secs(10);
/// All headers of a request together.
const LARGEST_HEADERS: usize = 16 * 1024;
/// A connection takes no more requests after this time, and is closed after twice that: no request takes nearly as long.
const LONGEST_CONNECTION: Duration = Duration::from_secs(120);
/// The request in hand may finish when the program is asked to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// The listener could not be had.
#[derive(Debug, thiserror::Error)]
#[error("{key} {address}: {error}")]
pub struct ListenError {
    key: &'static str,
    address: SocketAddr,
    error: std::io::Error,
}

/// The socket that a key of the configuration asks for: the one that systemd hands over (sd_listen_fds(3)) where it may be that one, or one of our own.
///
/// # Errors
/// [`ListenError`], when the port is taken or may not be used.
pub async fn listen(key: &'static str, address: SocketAddr, may_be_handed: bool) -> Result<TcpListener, ListenError> {
    let failed = |error| ListenError { key, address, error };
    let handed = if may_be_handed { ListenFd::from_env().take_tcp_listener(0).map_err(failed)? } else { None };
    match handed {
        Some(socket) => {
            socket.set_nonblocking(true).map_err(failed)?;
            TcpListener::from_std(socket).map_err(failed)
        }
        None => TcpListener::bind(address).await.map_err(failed),
    }
}

/// Serves connections until told to stop.
pub async fn serve(
    listener: Arc<TcpListener>,
    pages: Router,
    trusted_proxies: Vec<IpNet>,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    let mut by_network: HashMap<IpNet, usize> = HashMap::new();
    loop {
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place,
            _ = stopped.changed() => break,
        };
        // It is never closed.
        let Ok(place) = place else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => break,
        };
        while let Some(Ok(network)) = connections.try_join_next() {
            leave(&mut by_network, network);
        }
        match accepted {
            Ok((stream, peer)) => {
                let network = network_of(peer.ip());
                let n_open = by_network.entry(network).or_default();
                let is_proxy = trusted_proxies.iter().any(|proxy| proxy.contains(&peer.ip().to_canonical()));
                if *n_open >= MOST_OF_A_NETWORK && !is_proxy {
                    continue;
                }
                *n_open += 1;
                let (pages, stopped) = (pages.clone(), stopped.clone());
                connections.spawn(async move {
                    serve_connection(stream, peer, pages, stopped).await;
                    drop(place);
                    network
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: one that ends gives one back.
                tracing::warn!("a connection could not be accepted: {error}");
                drop(place);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    let finish = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(STOP_PATIENCE, finish).await;
}

fn leave(by_network: &mut HashMap<IpNet, usize>, network: IpNet) {
    if let Some(n_open) = by_network.get_mut(&network) {
        *n_open = n_open.saturating_sub(1);
        if *n_open == 0 {
            by_network.remove(&network);
        }
    }
}

async fn serve_connection(stream: TcpStream, peer: SocketAddr, pages: Router, mut stopped: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let service = pages.map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.map(axum::body::Body::new)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(LONGEST_HEADERS)
        .max_buf_size(LARGEST_HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut served = std::pin::pin!(served);
    let done = tokio::select! {
        done = served.as_mut() => done,
        () = async {
            tokio::select! {
                _ = stopped.changed() => {}
                () = tokio::time::sleep(LONGEST_CONNECTION) => {}
            }
        } => {
            // The request in hand is answered, and no other taken.
            served.as_mut().graceful_shutdown();
            match tokio::time::timeout(LONGEST_CONNECTION, served).await {
                Ok(done) => done,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = done {
        // Browsers go away; that is theirs to do.
        tracing::debug!("a connection ended early: {error}");
    }
}
