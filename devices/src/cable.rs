//! Cables: one door to a device, whatever it hangs on. Bytes go in and come out; what they mean is for others.
//!
//! An [`Address`] says where; [`connect`] waits until the device is there and opens it. A USB printer is known by its
//! serial number or port, so that it is found again under whatever name it comes back. Invariants: each connection is a
//! new one, so nothing of before is read; nothing blocks a thread. Absent on purpose: deadlines, which belong to the caller,
//! and libudev: the kernel's own files and its notice of new ones are enough.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

mod address;
mod file;
mod pty;
mod tty;
mod usb;
mod watch;

pub use address::{Address, AddressError, Flow, Line, Parity, UsbName};
pub use pty::Pty;
pub use usb::{UsbPrinter, usb_printers};

use file::DeviceFile;
use watch::Watch;

/// Where this machine lists its devices. Tests build a small tree of their own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Roots {
    /// What the kernel says of devices.
    pub sys: PathBuf,
    /// The device files.
    pub dev: PathBuf,
}

/// An open way to a device.
#[derive(Debug)]
pub struct Cable(Kind);

#[derive(Debug)]
enum Kind {
    Tcp(TcpStream),
    Unix(UnixStream),
    Usb(DeviceFile),
    Serial(DeviceFile),
}

impl Default for Roots {
    fn default() -> Roots {
        Roots { sys: "/sys".into(), dev: "/dev".into() }
    }
}

impl Roots {
    /// The place of a device file below these roots.
    pub(crate) fn device(&self, path: &Path) -> PathBuf {
        match path.strip_prefix("/dev") {
            Ok(inside) => self.dev.join(inside),
            Err(_) => path.to_owned(),
        }
    }
}

/// Opens the way to a device; one that is not plugged in is waited for.
///
/// Errors: the device is there and cannot be opened, or the network refused. It waits without end for what may still be
/// plugged in: put a deadline around it, and ask [`absent`] why it passed.
pub async fn connect(address: &Address, roots: &Roots) -> io::Result<Cable> {
    match address {
        Address::Tcp(host_and_port) => {
            let stream = TcpStream::connect(host_and_port).await?;
            // Without it a status question waits for the acknowledgement of the one before.
            stream.set_nodelay(true)?;
            keep_alive(&stream)?;
            Ok(Cable(Kind::Tcp(stream)))
        }
        Address::Unix(path) => Ok(Cable(Kind::Unix(UnixStream::connect(path).await?))),
        Address::Usb(_) | Address::Serial(..) => {
            loop {
                // Before the look, so that what comes between look and wait is seen.
                let watch = Watch::over(&place(address, roots), &roots.dev);
                match open(address, roots) {
                    Err(problem) if may_mend(&problem) => watch.changed().await,
                    opened => return opened,
                }
            }
        }
    }
}

/// Why a device cannot be opened now; `None` if it can, or is of a kind that only trying tells.
#[must_use]
pub fn absent(address: &Address, roots: &Roots) -> Option<io::Error> {
    match address {
        Address::Tcp(_) | Address::Unix(_) => None,
        Address::Usb(_) | Address::Serial(..) => open(address, roots).err(),
    }
}

/// Waits until a device may have been plugged in that was not there. For network devices it never ends.
pub async fn plugged_in(address: &Address, roots: &Roots) {
    let node = || match address {
        Address::Usb(name) => usb::node_of(roots, name).ok().filter(|node| node.exists()),
        Address::Serial(path, _) => Some(roots.device(path)).filter(|node| node.exists()),
        Address::Tcp(_) | Address::Unix(_) => None,
    };
    if matches!(address, Address::Tcp(_) | Address::Unix(_)) {
        return std::future::pending().await;
    }
    let mut was_there = node();
    loop {
        let watch = Watch::over(&place(address, roots), &roots.dev);
        let there = node();
        if there.is_some() && there != was_there {
            return;
        }
        was_there = there;
        watch.changed().await;
    }
}

/// The device file whose folder shows that a device came: with USB any, since its name is given anew.
fn place(address: &Address, roots: &Roots) -> PathBuf {
    match address {
        Address::Usb(UsbName::Node(path)) | Address::Serial(path, _) | Address::Unix(path) => {
            roots.device(path)
        }
        Address::Usb(_) | Address::Tcp(_) => roots.dev.join("usb/lp"),
    }
}

fn open(address: &Address, roots: &Roots) -> io::Result<Cable> {
    match address {
        Address::Usb(name) => {
            let fd = DeviceFile::open(&usb::node_of(roots, name)?)?;
            raw_if_terminal(&fd)?;
            Ok(Cable(Kind::Usb(DeviceFile::new(fd, false)?)))
        }
        Address::Serial(path, line) => {
            let fd = DeviceFile::open(&roots.device(path))?;
            tty::set(&fd, *line)?;
            Ok(Cable(Kind::Serial(DeviceFile::new(fd, true)?)))
        }
        Address::Tcp(_) | Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Where a pseudo-terminal stands for a USB printer it must not echo.
fn raw_if_terminal(fd: &std::os::fd::OwnedFd) -> io::Result<()> {
    if let Ok(mut modes) = rustix::termios::tcgetattr(fd) {
        modes.make_raw();
        rustix::termios::tcsetattr(fd, rustix::termios::OptionalActions::Now, &modes)?;
    }
    Ok(())
}

/// Not there, or there and about to be given to us: udev sets rights after the kernel made the file.
fn may_mend(problem: &io::Error) -> bool {
    matches!(problem.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
        || problem.raw_os_error().is_some_and(|code| code == rustix::io::Errno::NODEV.raw_os_error())
}

/// A printer that was switched off is noticed within half a minute, also while we only wait for it.
fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEP_ALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEP_ALIVE_EVERY)?;
    sockopt::set_tcp_keepcnt(stream, KEEP_ALIVE_TRIES)?;
    Ok(())
}

impl Cable {
    /// Closes our side after all that was written. True if the other side will close its own once it has read all; false
    /// where nothing can tell that.
    ///
    /// Errors: the cable broke.
    pub async fn finish(&mut self) -> io::Result<Finished> {
        match &mut self.0 {
            Kind::Tcp(stream) => stream.shutdown().await.map(|()| Finished::ClosesInTurn),
            Kind::Unix(stream) => stream.shutdown().await.map(|()| Finished::ClosesInTurn),
            Kind::Usb(file) => file.flush().await.map(|()| Finished::Taken),
            Kind::Serial(_) => Ok(Finished::Unknown),
        }
    }
}

/// What the end of a cable's own side tells of what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Finished {
    /// The other side closes in turn once it has read all.
    ClosesInTurn,
    /// The device took all.
    Taken,
    /// Nothing: a serial line has no end.
    Unknown,
}

impl AsyncRead for Cable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Kind::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Kind::Usb(file) | Kind::Serial(file) => Pin::new(file).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Cable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Kind::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Kind::Usb(file) | Kind::Serial(file) => Pin::new(file).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

const KEEP_ALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(5);
const KEEP_ALIVE_TRIES: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_network_printer_that_was_switched_off_is_noticed_by_the_system() {
        let there = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = there.local_addr().unwrap().to_string().parse().unwrap();
        let Cable(Kind::Tcp(stream)) = connect(&address, &Roots::default()).await.unwrap() else {
            panic!("not by TCP")
        };
        assert!(sockopt::socket_keepalive(&stream).unwrap());
        let waits = [sockopt::tcp_keepidle(&stream).unwrap(), sockopt::tcp_keepintvl(&stream).unwrap()];
        assert_eq!(waits, [10, 5].map(Duration::from_secs));
        assert_eq!(sockopt::tcp_keepcnt(&stream).unwrap(), 3);
    }
}
