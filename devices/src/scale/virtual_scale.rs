//! A scale without a pan, at the near end of a pseudo-terminal: answers as the manuals say, apart from our decoder.

use std::io;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Protocol;
use crate::cable::Pty;

/// What lies on the pan and what the scale makes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pan {
    /// The digits on the display, such as `01.250`.
    pub display: String,
    /// The unit that it names, where its tongue names one.
    pub unit: String,
    /// Not at rest.
    pub moving: bool,
    /// Too heavy.
    pub over: bool,
    /// Below zero.
    pub under: bool,
    /// It says nothing at all.
    pub silent: bool,
    /// Questions that it answers with the display of before, as one that is slow does.
    pub stale_answers: u32,
    /// The display of before.
    pub before: String,
}

impl Default for Pan {
    fn default() -> Pan {
        Pan {
            display: "00.000".to_owned(),
            unit: "KG".to_owned(),
            moving: false,
            over: false,
            under: false,
            silent: false,
            stale_answers: 0,
            before: "00.000".to_owned(),
        }
    }
}

/// A virtual scale that runs beside its owner. Dropping it pulls its plug.
#[derive(Debug)]
pub struct VirtualScale {
    path: PathBuf,
    pan: watch::Sender<Pan>,
    _task: JoinSet<()>,
}

impl VirtualScale {
    /// Plugs it in.
    ///
    /// Errors: the system has no pseudo-terminal left.
    pub fn spawn(protocol: Protocol, pan: Pan) -> io::Result<VirtualScale> {
        let pty = Pty::open()?;
        let path = pty.path().to_owned();
        let pan = watch::Sender::new(pan);
        let mut task = JoinSet::new();
        task.spawn(answer(pty, protocol, pan.clone()));
        Ok(VirtualScale { path, pan, _task: task })
    }

    /// The device file that it hangs on.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts something on the pan, or takes it off.
    pub fn set(&self, change: impl FnOnce(&mut Pan)) {
        self.pan.send_modify(change);
    }
}

async fn answer(mut pty: Pty, protocol: Protocol, pan: watch::Sender<Pan>) {
    let mut asked = Vec::new();
    while let Ok(byte) = pty.read_u8().await {
        asked.push(byte);
        let whole = match protocol {
            Protocol::Toledo8217 | Protocol::Cas => true,
            Protocol::Nci => byte == b'\r',
        };
        if !whole && asked.len() < 8 {
            continue;
        }
        let said = reply(protocol, &std::mem::take(&mut asked), &pan);
        if pty.write_all(&said).await.is_err() {
            return;
        }
    }
}

/// What a scale of that tongue replies to a question.
fn reply(protocol: Protocol, asked: &[u8], pan: &watch::Sender<Pan>) -> Vec<u8> {
    let now = pan.borrow().clone();
    if now.silent {
        return Vec::new();
    }
    let stale = now.stale_answers > 0;
    let shown = if stale { now.before.clone() } else { now.display.clone() };
    let weighs = matches!(
        (protocol, asked),
        (Protocol::Toledo8217, b"W") | (Protocol::Nci, b"W\r") | (Protocol::Cas, b"\x11")
    );
    if weighs && stale {
        pan.send_modify(|pan| pan.stale_answers -= 1);
    }
    match (protocol, asked) {
        (Protocol::Toledo8217, b"W") if now.moving || now.over || now.under => {
            let status = 0x20 | u8::from(now.moving) | u8::from(now.over) << 1 | u8::from(now.under) << 2;
            [b"\x02?", &[status][..], b"\r"].concat()
        }
        (Protocol::Toledo8217, b"W") => format!("\x02{shown}\r").into_bytes(),
        (Protocol::Toledo8217, _) => b"\x02?\x60\r".to_vec(),
        (Protocol::Nci, b"W\r") => {
            let one = char::from(0x30 | u8::from(now.moving));
            let two = char::from(0x30 | u8::from(now.under) | u8::from(now.over) << 1);
            format!("\n{shown}{}\r\nS{one}{two}\r\x03", now.unit).into_bytes()
        }
        (Protocol::Nci, _) => b"\n?\r\x03".to_vec(),
        (Protocol::Cas, b"\x05") => b"\x06".to_vec(),
        (Protocol::Cas, b"\x11") => {
            let sign = if now.over {
                'F'
            } else if now.under {
                '-'
            } else {
                ' '
            };
            let state = if now.moving { 'U' } else { 'S' };
            let inside = format!("{state}{sign}{shown}{}", now.unit.to_lowercase());
            let check = inside.bytes().fold(0, |sum, byte| sum ^ byte);
            [b"\x01\x02", inside.as_bytes(), &[check], b"\x03\x04"].concat()
        }
        (Protocol::Cas, _) => b"\x15".to_vec(),
    }
}
