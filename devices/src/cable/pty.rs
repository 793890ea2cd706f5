//! A cable without a wire: one end is ours, the other a device file that any program opens as if a device hung there.
//!
//! Simulators sit on it, and tests. It has no modem lines; a program that asks for them is told `ENOTTY`.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::file::DeviceFile;

/// The near end of a pseudo-terminal. Dropping it pulls the plug.
#[derive(Debug)]
pub struct Pty {
    near: DeviceFile,
    /// Held open, so that a far end that closes is no end of the simulator.
    _far: OwnedFd,
    path: PathBuf,
}

impl Pty {
    /// A new one, raw from the start. Call it inside a runtime.
    ///
    /// Errors: the system has none left.
    pub fn open() -> io::Result<Pty> {
        let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&near)?;
        unlockpt(&near)?;
        let path = PathBuf::from(
            ptsname(&near, Vec::new())?
                .into_string()
                .map_err(|_| io::Error::other("a path that is no text"))?,
        );
        rustix::io::ioctl_fionbio(&near, true)?;
        let far = rustix::fs::open(&path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        let mut modes = tcgetattr(&far)?;
        modes.make_raw();
        tcsetattr(&far, OptionalActions::Now, &modes)?;
        Ok(Pty { near: DeviceFile::new(near, true)?, _far: far, path })
    }

    /// The device file of the far end.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl AsyncRead for Pty {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.near).poll_read(cx, buf)
    }
}

impl AsyncWrite for Pty {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.near).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
