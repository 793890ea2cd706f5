//! One session with a printer, over any cable: bytes out, replies in, each wait with a deadline and a stop.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::cable::{self, Address, Cable, Finished, Roots};
use crate::escpos::{self, Question};
use crate::reply::{Replies, Reply};
use crate::status::PrinterStatus;

/// A session with a printer.
#[derive(Debug)]
pub(crate) struct Link {
    stream: Cable,
    replies: Replies,
    heard: VecDeque<Reply>,
}

/// Why a wait ended without what it waited for.
#[derive(Debug)]
pub(crate) enum Cut {
    /// We were asked to stop.
    Stopped,
    /// The deadline passed.
    Late,
    /// The link broke.
    Lost(io::Error),
}

impl Link {
    /// Opens a session with whatever the address names; a printer that is not plugged in is waited for.
    pub(crate) async fn connect(
        address: &str,
        roots: &Roots,
        deadline: Instant,
        stop: &CancellationToken,
    ) -> Result<Link, Cut> {
        let wrong = |problem| Cut::Lost(io::Error::new(io::ErrorKind::InvalidInput, problem));
        let address: Address = address.parse().map_err(wrong)?;
        match bounded(deadline, stop, cable::connect(&address, roots)).await {
            Ok(stream) => Ok(Link { stream, replies: Replies::new(), heard: VecDeque::new() }),
            Err(Cut::Late) => Err(cable::absent(&address, roots).map_or(Cut::Late, Cut::Lost)),
            Err(cut) => Err(cut),
        }
    }

    /// Sends all of `bytes`; on failure says how many were handed to the system.
    pub(crate) async fn send(
        &mut self,
        bytes: &[u8],
        deadline: Instant,
        stop: &CancellationToken,
    ) -> Result<(), (usize, Cut)> {
        let mut sent = 0;
        while sent < bytes.len() {
            match bounded(deadline, stop, self.stream.write(&bytes[sent..])).await {
                Ok(0) => return Err((sent, Cut::Lost(io::ErrorKind::WriteZero.into()))),
                Ok(n) => sent += n,
                Err(cut) => return Err((sent, cut)),
            }
        }
        Ok(())
    }

    /// The next thing that the printer says.
    pub(crate) async fn hear(&mut self, deadline: Instant, stop: &CancellationToken) -> Result<Reply, Cut> {
        loop {
            if let Some(reply) = self.heard.pop_front() {
                return Ok(reply);
            }
            // A printer that chatters without end must not outrun its deadline.
            if Instant::now() >= deadline {
                return Err(Cut::Late);
            }
            let mut bytes = [0; 512];
            let n = bounded(deadline, stop, self.stream.read(&mut bytes)).await?;
            if n == 0 {
                return Err(Cut::Lost(io::ErrorKind::UnexpectedEof.into()));
            }
            let Link { replies, heard, .. } = self;
            heard.extend(bytes[..n].iter().filter_map(|byte| replies.push(*byte)));
        }
    }

    /// Asks the printer how it is.
    pub(crate) async fn status(
        &mut self,
        within: Duration,
        stop: &CancellationToken,
    ) -> Result<PrinterStatus, Cut> {
        let deadline = Instant::now() + within;
        let mut status = PrinterStatus::default();
        self.ask(&[Question::Printer, Question::Offline, Question::Paper], &mut status, deadline, stop)
            .await?;
        if status.error.is_some() {
            self.ask(&[Question::Error], &mut status, deadline, stop).await?;
        }
        Ok(status)
    }

    /// Closes our side and waits until the printer closes its own, having read all.
    pub(crate) async fn drain(&mut self, within: Duration, stop: &CancellationToken) -> Result<(), Cut> {
        let deadline = Instant::now() + within;
        match bounded(deadline, stop, self.stream.finish()).await? {
            Finished::ClosesInTurn => {}
            Finished::Taken => return Ok(()),
            Finished::Unknown => return Err(Cut::Late),
        }
        loop {
            match self.hear(deadline, stop).await {
                Ok(_) => {}
                Err(Cut::Lost(e)) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(cut) => return Err(cut),
            }
        }
    }

    /// Answers do not name their question; they come in the order of asking.
    async fn ask(
        &mut self,
        questions: &[Question],
        status: &mut PrinterStatus,
        deadline: Instant,
        stop: &CancellationToken,
    ) -> Result<(), Cut> {
        let bytes: Vec<u8> = questions.iter().flat_map(|q| escpos::ask(*q)).collect();
        self.send(&bytes, deadline, stop).await.map_err(|(_, cut)| cut)?;
        let mut left = questions.iter();
        let mut awaited = left.next();
        while let Some(question) = awaited {
            if let Reply::RealTime(answer) = self.hear(deadline, stop).await? {
                status.learn(*question, answer);
                awaited = left.next();
            }
        }
        Ok(())
    }
}

async fn bounded<T>(
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
