//! One moment at a cable.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::Cut;
use crate::cable::Cable;

/// What a moment at the cable brought.
pub(super) enum Turn {
    Wrote(usize),
    Read(usize),
}

/// Writes if there is something to write and it can be taken, or else reads.
pub(super) async fn turn(cable: &mut Cable, out: &[u8], read: &mut [u8]) -> io::Result<Turn> {
    poll_fn(|cx| {
        if !out.is_empty()
            && let Poll::Ready(wrote) = Pin::new(&mut *cable).poll_write(cx, out)
        {
            return Poll::Ready(wrote.map(Turn::Wrote));
        }
        let mut room = ReadBuf::new(read);
        match Pin::new(&mut *cable).poll_read(cx, &mut room) {
            Poll::Ready(done) => Poll::Ready(done.map(|()| Turn::Read(room.filled().len()))),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

pub(super) async fn bounded<T>(
    deadline: Instant,
    stop: &CancellationToken,
    work: impl Future<Output = io::Result<T>>,
) -> Result<T, Cut> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(Cut::Stopped),
        done = timeout_at(deadline, work) => match done {
            Ok(done) => done.map_err(Cut::Lost),
            Err(_) => Err(Cut::Late),
        },
    }
}
