//! A keyboard of this machine that only we hear: which one it is, and its keys.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use evdev::EventType;
use evdev::raw_stream::{EventStream, RawDevice};

use super::KeyboardName;
use crate::cable::Roots;

/// A keyboard that was taken: what it types goes to nobody else until this is dropped.
pub(super) struct Keyboard {
    events: EventStream,
}

/// What a keyboard tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyEvent {
    /// A key went down or up.
    Key { key: u16, down: bool },
    /// Events were lost.
    Lost,
}

impl Keyboard {
    /// Opens and takes it. Call it inside a runtime.
    ///
    /// Errors: it is not there, there are several of that name, or another program has taken it.
    pub(super) fn take(name: &KeyboardName, roots: &Roots) -> io::Result<Keyboard> {
        let path = find(name, roots)?;
        let mut device = RawDevice::open(&path).map_err(|problem| explain(&problem, &path))?;
        if device.supported_keys().is_none() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{} has no keys", path.display()),
            ));
        }
        device.grab().map_err(|problem| explain(&problem, &path))?;
        Ok(Keyboard { events: device.into_event_stream()? })
    }

    /// The next thing that it tells.
    ///
    /// Errors: it was unplugged.
    pub(super) async fn next(&mut self) -> io::Result<KeyEvent> {
        loop {
            let event = self.events.next_event().await?;
            match event.event_type() {
                // A key that is held repeats as 2.
                EventType::KEY if event.value() < 2 => {
                    return Ok(KeyEvent::Key { key: event.code(), down: event.value() == 1 });
                }
                EventType::SYNCHRONIZATION if event.code() == SYN_DROPPED => return Ok(KeyEvent::Lost),
                _ => {}
            }
        }
    }
}

/// The device file of that keyboard.
fn find(name: &KeyboardName, roots: &Roots) -> io::Result<PathBuf> {
    let (vendor, product) = match name {
        KeyboardName::Node(path) => return Ok(roots.device(path)),
        KeyboardName::Usb { vendor, product } => (*vendor, *product),
    };
    let mut found = keyboards(roots, vendor, product);
    match (found.pop(), found.pop()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(io::Error::new(io::ErrorKind::NotFound, "it is not plugged in")),
        (Some(one), Some(other)) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "more than one is plugged in; name one by its file, as under /dev/input/by-path, among them {} and {}",
                one.display(),
                other.display()
            ),
        )),
    }
}

/// Those of that maker and model that have letters and digits: a scanner may list more devices than one.
fn keyboards(roots: &Roots, vendor: u16, product: u16) -> Vec<PathBuf> {
    let Ok(listed) = fs::read_dir(roots.sys.join("class/input")) else { return Vec::new() };
    let hex = |path: PathBuf| u16::from_str_radix(fs::read_to_string(path).ok()?.trim(), 16).ok();
    let mut found: Vec<PathBuf> = listed
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("event"))
        .take(DEVICES_MAX)
        .filter(|entry| {
            let device = entry.path().join("device");
            hex(device.join("id/vendor")) == Some(vendor)
                && hex(device.join("id/product")) == Some(product)
                && has_digits(&device.join("capabilities/key"))
        })
        .map(|entry| roots.dev.join("input").join(entry.file_name()))
        .collect();
    found.sort();
    found
}

/// Whether the keys 1 to 0 are among those that a device has: the last word of the list holds the lowest bits.
fn has_digits(path: &Path) -> bool {
    let digits: u64 = (2..=11).map(|key| 1_u64 << key).sum();
    fs::read_to_string(path)
        .ok()
        .and_then(|text| u64::from_str_radix(text.split_whitespace().last()?, 16).ok())
        .is_some_and(|keys| keys & digits == digits)
}

fn explain(problem: &io::Error, path: &Path) -> io::Error {
    let why = match problem.kind() {
        io::ErrorKind::PermissionDenied => {
            "may not be opened by this user; the group input may, or whom a udev rule gives it to".to_owned()
        }
        io::ErrorKind::ResourceBusy => "is taken by another program".to_owned(),
        _ => problem.to_string(),
    };
    io::Error::new(problem.kind(), format!("{} {why}", path.display()))
}

const SYN_DROPPED: u16 = 3;
const DEVICES_MAX: usize = 256;
