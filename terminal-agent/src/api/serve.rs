//! The socket: accepts on loopback, bounds connections and the time their headers take, and stops in stages.

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// Connections at once.
const CONNECTIONS_MAX: usize = 128;
/// How long a connection may take to send its request's headers, and to stay idle between requests.
const HEADERS_WITHIN: Duration = Duration::from_secs(60);
/// What is kept of a connection that has sent no whole request, and so the longest headers: 2 MiB for all connections.
const BUFFER_BYTES_MAX: usize = 16 << 10;
/// How long to wait after the system refused a connection, such as when file handles ran out, and before looking for room again.
const PAUSE: Duration = Duration::from_millis(100);

/// Binds the API's address.
///
/// Errors: the address is taken, or is not on loopback.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    if !address.ip().is_loopback() {
        let text = format!("{address} is not on loopback, and this API is for this machine alone");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    TcpListener::bind(address).await
}

/// Serves until `stop`, then lets each connection finish the request in hand.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let mut guests = Guests::default();
    loop {
        let room = guests.make_room();
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_) = guests.tasks.join_next() => continue,
            accepted = accept(&listener), if room => accepted,
            () = tokio::time::sleep(PAUSE), if !room => continue,
        };
        match accepted {
            Ok(stream) => guests.welcome(stream, &router, &stop),
            Err(err) => {
                warn!(%err, "a connection to the API was not accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    while guests.tasks.join_next().await.is_some() {}
}

/// The connections. *Full*: the oldest that never asked anything goes, then the one that has asked nothing for longest, so that
/// a program which opens connections and says nothing cannot keep the till screen out, nor break the connection that the screen
/// keeps; where all are being answered, the next one waits in the kernel's queue.
#[derive(Default)]
struct Guests {
    tasks: JoinSet<()>,
    /// In the order of their arrival.
    present: VecDeque<(AbortHandle, Arc<Asked>)>,
    requests: Arc<AtomicU64>,
}

/// What a connection has asked.
#[derive(Default)]
struct Asked {
    in_hand: AtomicUsize,
    /// Which of all requests its last one was, from 1.
    last: AtomicU64,
}

impl Guests {
    /// Whether there is room for one more now.
    fn make_room(&mut self) -> bool {
        self.present.retain(|(task, _)| !task.is_finished());
        if self.present.len() < CONNECTIONS_MAX {
            return true;
        }
        let idle = self.present.iter().enumerate();
        let idle = idle.filter(|(_, (_, asked))| asked.in_hand.load(Ordering::Relaxed) == 0);
        let longest = idle.min_by_key(|(_, (_, asked))| asked.last.load(Ordering::Relaxed)).map(|(at, _)| at);
        let Some((task, _)) = longest.and_then(|at| self.present.remove(at)) else { return false };
        debug!("a connection to the API that asked nothing made room");
        task.abort();
        true
    }

    fn welcome(&mut self, stream: TcpStream, router: &Router, stop: &CancellationToken) {
        let (asked, requests) = (Arc::new(Asked::default()), Arc::clone(&self.requests));
        let task = converse(stream, router.clone(), stop.clone(), Arc::clone(&asked), requests);
        let task = self.tasks.spawn(task);
        self.present.push_back((task, asked));
    }
}

async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn converse(
    stream: TcpStream,
    router: Router,
    stop: CancellationToken,
    asked: Arc<Asked>,
    requests: Arc<AtomicU64>,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request| {
        let asked = Arc::clone(&asked);
        asked.in_hand.fetch_add(1, Ordering::Relaxed);
        asked.last.store(requests.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        let answer = router.call(request);
        async move {
            let answer = answer.await;
            asked.in_hand.fetch_sub(1, Ordering::Relaxed);
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(err) = ended {
        debug!(%err, "a connection to the API ended early");
    }
}
