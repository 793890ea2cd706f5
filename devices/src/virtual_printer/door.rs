//! Where hosts come in: TCP, a Unix socket, or a pseudo-terminal that stands for a serial cable.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::{OptionalActions, QueueSelector};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// Where a printer is to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// Host and port; port 0 takes any.
    Tcp(SocketAddr),
    /// A socket file, made here and removed at the end.
    Unix(PathBuf),
    /// A link to a pseudo-terminal, made here and removed at the end. Modem lines it has none.
    Pty(PathBuf),
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Door::Tcp(address) => write!(f, "{address}"),
            Door::Unix(path) | Door::Pty(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A door that is open.
#[derive(Debug)]
pub(super) enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener, Made),
    Pty(Arc<Pty>, Made),
}

/// A file of ours, removed when the printer is switched off.
#[derive(Debug)]
pub(super) struct Made(PathBuf);

impl Drop for Made {
    fn drop(&mut self) {
        // Whoever removed it before has done our work.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Both ends of a pseudo-terminal: with the far end held, nobody there is no error.
#[derive(Debug)]
pub(super) struct Pty {
    /// A pseudo-terminal is read and written as a pipe is.
    from: pipe::Receiver,
    to: pipe::Sender,
    far: OwnedFd,
}

/// One session.
#[derive(Debug)]
pub(super) enum Wire {
    Tcp(TcpStream),
    Unix(UnixStream),
    Pty(Arc<Pty>),
}

impl Listening {
    /// Opens a door.
    ///
    /// Errors: the address is taken, or the file cannot be made; a file that is no link and no socket is left alone.
    pub(super) async fn open(door: &Door) -> io::Result<Listening> {
        match door {
            Door::Tcp(address) => TcpListener::bind(address).await.map(Listening::Tcp),
            Door::Unix(path) => {
                make_way(path)?;
                Ok(Listening::Unix(UnixListener::bind(path)?, Made(path.clone())))
            }
            Door::Pty(path) => {
                let (pty, name) = Pty::open()?;
                make_way(path)?;
                std::os::unix::fs::symlink(name, path)?;
                Ok(Listening::Pty(Arc::new(pty), Made(path.clone())))
            }
        }
    }

    /// The door as it came to be, with the port that was free.
    pub(super) fn door(&self) -> io::Result<Door> {
        match self {
            Listening::Tcp(listener) => listener.local_addr().map(Door::Tcp),
            Listening::Unix(_, Made(path)) => Ok(Door::Unix(path.clone())),
            Listening::Pty(_, Made(path)) => Ok(Door::Pty(path.clone())),
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Wire> {
        match self {
            Listening::Tcp(listener) => listener.accept().await.map(|(stream, _)| Wire::Tcp(stream)),
            Listening::Unix(listener, _) => listener.accept().await.map(|(stream, _)| Wire::Unix(stream)),
            Listening::Pty(pty, _) => {
                // A cable has no sessions; one begins with the first byte.
                pty.from.readable().await?;
                Ok(Wire::Pty(Arc::clone(pty)))
            }
        }
    }
}

impl Pty {
    fn open() -> io::Result<(Pty, PathBuf)> {
        let near = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        rustix::pty::grantpt(&near)?;
        rustix::pty::unlockpt(&near)?;
        let name = PathBuf::from(rustix::pty::ptsname(&near, Vec::new())?.to_string_lossy().into_owned());
        let far = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty())?;
        let mut settings = rustix::termios::tcgetattr(&far)?;
        settings.make_raw();
        rustix::termios::tcsetattr(&far, OptionalActions::Now, &settings)?;
        rustix::fs::fcntl_setfl(&near, OFlags::NONBLOCK)?;
        let from = pipe::Receiver::from_owned_fd_unchecked(near.try_clone()?)?;
        Ok((Pty { from, to: pipe::Sender::from_owned_fd_unchecked(near)?, far }, name))
    }
}

impl Wire {
    pub(super) async fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Tcp(stream) => stream.read(bytes).await,
            Wire::Unix(stream) => stream.read(bytes).await,
            Wire::Pty(pty) => loop {
                pty.from.readable().await?;
                match pty.from.try_read(bytes) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    read => return read,
                }
            },
        }
    }

    pub(super) async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        match self {
            Wire::Tcp(stream) => stream.write_all(bytes).await,
            Wire::Unix(stream) => stream.write_all(bytes).await,
            Wire::Pty(pty) => {
                while !bytes.is_empty() {
                    pty.to.writable().await?;
                    match pty.to.try_write(bytes) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        written => bytes = &bytes[written?..],
                    }
                }
                Ok(())
            }
        }
    }

    /// Ends the session as a device does that lost its power: without a farewell.
    pub(super) fn reset(self) {
        match self {
            // A session that cannot be reset is closed, which the host notices as well.
            Wire::Tcp(stream) => drop(stream.set_zero_linger()),
            Wire::Unix(_) => {}
            Wire::Pty(pty) => drop(rustix::termios::tcflush(&pty.far, QueueSelector::IOFlush)),
        }
    }
}

/// Removes what an earlier printer left, and nothing else.
fn make_way(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    match std::fs::symlink_metadata(path) {
        Ok(there) if there.file_type().is_symlink() || there.file_type().is_socket() => {
            std::fs::remove_file(path)
        }
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(absent) if absent.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
