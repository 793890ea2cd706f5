//! A device file that bytes go through both ways: a serial port, a USB printer, one end of a pseudo-terminal.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// An open device file. It never blocks a thread.
#[derive(Debug)]
pub(super) struct DeviceFile {
    fd: AsyncFd<OwnedFd>,
    /// Some USB printers answer reads with nothing at all; asking again at once would only heat the room.
    nothing_until: Option<Pin<Box<Sleep>>>,
    empty_is_end: bool,
}

impl DeviceFile {
    /// Opens a file that is a device.
    ///
    /// Errors: it is not there, belongs to others, is in use, or is no device.
    pub(super) fn open(path: &Path) -> io::Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|problem| explain(problem, path))?;
        match FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode) {
            FileType::CharacterDevice | FileType::Fifo => Ok(fd),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} is no device", path.display()))),
        }
    }

    /// Takes an open file; one that ends when a read gives nothing, or one that may be asked again.
    pub(super) fn new(fd: OwnedFd, empty_is_end: bool) -> io::Result<DeviceFile> {
        Ok(DeviceFile { fd: watched(fd)?, nothing_until: None, empty_is_end })
    }
}

/// Lets the runtime watch an open file.
#[expect(
    deprecated,
    reason = "its successor is unsafe for types whose file may change; an `OwnedFd` stays what it is"
)]
pub(super) fn watched(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(fd)
}

fn explain(problem: Errno, path: &Path) -> io::Error {
    let path = path.display();
    match problem {
        Errno::ACCESS | Errno::PERM => io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "{path} may not be opened by this user; systemd/60-toko.rules gives it to the groups lp and dialout"
            ),
        ),
        Errno::BUSY => io::Error::new(
            io::ErrorKind::ResourceBusy,
            format!("{path} is in use by another program; a printer of Toko is not also set up in CUPS"),
        ),
        problem => {
            io::Error::new(io::Error::from(problem).kind(), format!("{path}: {}", io::Error::from(problem)))
        }
    }
}

impl AsyncRead for DeviceFile {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if let Some(wait) = &mut self.nothing_until {
                ready!(wait.as_mut().poll(cx));
                self.nothing_until = None;
            }
            let this = &mut *self;
            let mut guard = ready!(this.fd.poll_read_ready(cx))?;
            let bytes = buf.initialize_unfilled();
            match guard.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut *bytes)?)) {
                // A device that is gone is hung up as well.
                Ok(Ok(0)) if !this.empty_is_end && !guard.ready().is_read_closed() => {
                    guard.clear_ready();
                    this.nothing_until = Some(Box::pin(sleep(NOTHING_PAUSE)));
                }
                Ok(Ok(count)) => {
                    buf.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(problem)) if problem.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(problem)) => return Poll::Ready(Err(problem)),
                Err(_not_yet) => {}
            }
        }
    }
}

impl AsyncWrite for DeviceFile {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.fd.poll_write_ready(cx))?;
            match guard.try_io(|fd| Ok(rustix::io::write(fd.get_ref(), bytes)?)) {
                Ok(Err(problem)) if problem.kind() == io::ErrorKind::Interrupted => {}
                Ok(done) => return Poll::Ready(done),
                Err(_not_yet) => {}
            }
        }
    }

    /// Waits until the driver would take more: on USB, until the device has what was written.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.fd.poll_write_ready(cx))?;
            let mut asked = [PollFd::new(self.fd.get_ref(), PollFlags::OUT)];
            rustix::event::poll(&mut asked, Some(&Timespec::default()))?;
            let said = asked[0].revents();
            if said.intersects(PollFlags::ERR | PollFlags::HUP) {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            if said.contains(PollFlags::OUT) {
                return Poll::Ready(Ok(()));
            }
            guard.clear_ready();
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

const NOTHING_PAUSE: Duration = Duration::from_millis(50);
