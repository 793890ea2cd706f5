//! Tells when something may have been plugged in: a change in a folder of device files. No libudev, no netlink.
//!
//! A change is a hint to look again, never a fact. Invariant: a change after [`Watch::over`] is not missed, and where the
//! kernel refuses to watch, [`Watch::changed`] tells of a change that may be none every [`LOOK_EVERY`].

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

/// Folders that are looked at.
#[derive(Debug)]
pub(super) struct Watch {
    inotify: Option<AsyncFd<OwnedFd>>,
}

impl Watch {
    /// Watches the folder that a device file would be in, and those above it that may appear first.
    ///
    /// The kernel takes `/dev/usb` away with the last printer, so its parent is watched too.
    pub(super) fn over(device: &Path, top: &Path) -> Watch {
        let folders: Vec<PathBuf> = device
            .ancestors()
            .skip(1)
            .take(FOLDERS_MAX)
            .take_while(|folder| folder.starts_with(top))
            .map(Path::to_owned)
            .collect();
        Watch { inotify: watched(&folders).ok() }
    }

    /// Waits until something changed there, or may have.
    pub(super) async fn changed(&self) {
        let looked = match &self.inotify {
            Some(inotify) => timeout(LOOK_EVERY, wait(inotify)).await,
            None => timeout(LOOK_EVERY, std::future::pending()).await,
        };
        // A watch that broke is a reason to look as well; it is made anew with the next one.
        drop(looked);
    }
}

fn watched(folders: &[PathBuf]) -> io::Result<AsyncFd<OwnedFd>> {
    let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    // Also when rights change: the kernel makes a device file first, and udev gives it to its group afterwards.
    let wanted = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ATTRIB;
    for folder in folders {
        match inotify::add_watch(&fd, folder, wanted | WatchFlags::ONLYDIR) {
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => {}
            Err(problem) => return Err(problem.into()),
        }
    }
    super::file::watched(fd)
}

async fn wait(inotify: &AsyncFd<OwnedFd>) -> io::Result<()> {
    loop {
        let mut guard = inotify.readable().await?;
        let mut changed = false;
        let drained = guard.try_io(|fd| {
            let mut bytes = [MaybeUninit::uninit(); EVENTS_BYTES];
            let mut events = inotify::Reader::new(fd.get_ref(), &mut bytes);
            loop {
                match events.next() {
                    Ok(_) => changed = true,
                    Err(problem) => return Err::<(), io::Error>(problem.into()),
                }
            }
        });
        if changed {
            return Ok(());
        }
        if let Ok(ended) = drained {
            return ended;
        }
    }
}

/// How long a change can go unseen at most.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(500);
const FOLDERS_MAX: usize = 4;
const EVENTS_BYTES: usize = 4_096;
