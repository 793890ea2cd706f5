//! All addresses of a node are dialled at once, and the first to answer is taken.

use crate::endpoint::{Dial, DialError, Endpoint};
use crate::find::{Candidate, Rung};
use crate::node::shared::Shared;
use crate::node::wanted::Wanted;
use crate::node::word;
use quinn::Connection;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// Whoever has not answered for so long is dialled once more, beside the first dial: that one says its first word again at
/// longer and longer intervals, and the line may live again at any moment. A guess is not worth it.
const AGAIN: Duration = Duration::from_millis(250);

/// Who answered first; or of each address, why not.
pub(super) async fn race(
    endpoint: &Endpoint,
    shared: &Arc<Shared>,
    wanted: Wanted,
    candidates: Vec<Candidate>,
) -> Result<(Connection, Candidate), Vec<(SocketAddr, DialError)>> {
    let introduction = word::own(shared);
    let dial = |candidate: Candidate| {
        let (endpoint, key) = (endpoint.clone(), shared.tls.clone());
        let mut dial = Dial::member(candidate.addr, wanted.node);
        (dial.distance, dial.introduction) = (wanted.distance, introduction.clone());
        async move { (candidate, endpoint.dial(&dial, &key).await) }
    };
    let mut dials: JoinSet<_> = candidates.iter().map(|candidate| dial(*candidate)).collect();
    let mut silent = candidates;
    let mut errors = Vec::new();
    let mut again = Some(Instant::now() + AGAIN);
    while !silent.is_empty() {
        let later = again.unwrap_or_else(Instant::now);
        tokio::select! {
            biased;
            Some(done) = dials.join_next() => match done {
                Ok((candidate, Ok(connection))) => return Ok((connection, candidate)),
                // The first to end tells of its address.
                Ok((candidate, Err(error))) if silent.contains(&candidate) => {
                    silent.retain(|silent| *silent != candidate);
                    errors.push((candidate.addr, error));
                }
                Ok(_) | Err(_) => {}
            },
            () = sleep_until(later), if again.is_some() => {
                again = None;
                let known = silent.iter().filter(|candidate| candidate.rung != Rung::Guessed);
                known.for_each(|candidate| drop(dials.spawn(dial(*candidate))));
            }
            else => break,
        }
    }
    Err(errors)
}
