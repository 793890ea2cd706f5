//! The printers that hang on USB now, as the kernel lists them. No libudev: a few small files of sysfs say it all.
//!
//! `/sys/class/usbmisc/lp0/device` is the interface, with `ieee1284_id`; its parent is the device, with `serial`,
//! `manufacturer` and `product`, and is named after the port. Source: Linux, `Documentation/ABI/stable/sysfs-bus-usb`.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::Roots;
use super::address::UsbName;

/// One printer that is plugged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsbPrinter {
    /// Its device file, such as `/dev/usb/lp0`, until it is plugged in again.
    pub node: PathBuf,
    /// Where it is plugged in, such as `1-1.2`.
    pub port: String,
    /// Its serial number; cheap ones have none.
    pub serial: Option<String>,
    /// Its maker and model, as it tells them.
    pub name: String,
    /// What it says of itself as a printer (IEEE 1284), such as `MFG:EPSON;CMD:ESC/POS;MDL:TM-T88V;`.
    pub ieee1284_id: Option<String>,
}

/// All USB printers that are plugged in, by device file. None if the kernel lists none.
#[must_use]
pub fn usb_printers(roots: &Roots) -> Vec<UsbPrinter> {
    let Ok(listed) = fs::read_dir(roots.sys.join("class/usbmisc")) else { return Vec::new() };
    let mut found: Vec<UsbPrinter> = listed
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("lp"))
        .take(PRINTERS_MAX)
        .filter_map(|entry| printer(roots, &entry.path()))
        .collect();
    found.sort_by(|a, b| a.node.cmp(&b.node));
    found
}

fn printer(roots: &Roots, class: &Path) -> Option<UsbPrinter> {
    let interface = fs::canonicalize(class.join("device")).ok()?;
    let device = interface.parent()?;
    let port = device.file_name()?.to_string_lossy().into_owned();
    let name = class.file_name()?.to_string_lossy().into_owned();
    // The kernel says where the device file is; the name alone would do on all that we have seen.
    let node = word(&class.join("uevent"))
        .and_then(|text| text.lines().find_map(|line| line.strip_prefix("DEVNAME=").map(str::to_owned)))
        .filter(|node| !node.starts_with('/') && !node.split('/').any(|part| part == ".."))
        .unwrap_or_else(|| format!("usb/{name}"));
    let said = [word(&device.join("manufacturer")), word(&device.join("product"))];
    Some(UsbPrinter {
        node: roots.dev.join(node),
        port,
        serial: word(&device.join("serial")),
        name: said.into_iter().flatten().collect::<Vec<_>>().join(" "),
        ieee1284_id: word(&interface.join("ieee1284_id")),
    })
}

/// The device file of the printer of that name, if it is plugged in.
///
/// Errors: `NotFound` says which printers are there instead; `InvalidInput` if several share the name.
pub(super) fn node_of(roots: &Roots, name: &UsbName) -> io::Result<PathBuf> {
    let found = match name {
        UsbName::Node(path) => return Ok(roots.device(path)),
        UsbName::Serial(_) | UsbName::Port(_) => usb_printers(roots),
    };
    let mut fits = found.iter().filter(|printer| match name {
        UsbName::Serial(serial) => printer.serial.as_ref() == Some(serial),
        UsbName::Port(port) => printer.port == *port,
        UsbName::Node(_) => false,
    });
    match (fits.next(), fits.next()) {
        (Some(one), None) => Ok(one.node.clone()),
        (None, _) => Err(io::Error::new(io::ErrorKind::NotFound, missing(&found))),
        (Some(one), Some(other)) => {
            let why = format!(
                "more than one printer has it; name one by its port: usb:port={}, usb:port={}",
                one.port, other.port
            );
            Err(io::Error::new(io::ErrorKind::InvalidInput, why))
        }
    }
}

fn missing(found: &[UsbPrinter]) -> String {
    if found.is_empty() {
        return "it is not plugged in, nor is any other USB printer".to_owned();
    }
    let there: Vec<String> = found
        .iter()
        .take(SHOWN)
        .map(|printer| match &printer.serial {
            Some(serial) => format!("usb:{serial}"),
            None => format!("usb:port={}", printer.port),
        })
        .collect();
    format!("it is not plugged in; there is {}", there.join(", "))
}

/// The text of a small file, without what stands around it; `None` if it is not there or empty.
fn word(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(WORD_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    let text: String = String::from_utf8_lossy(&bytes)
        .chars()
        .map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c })
        .collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

const WORD_BYTES_MAX: u64 = 4_096;
const PRINTERS_MAX: usize = 64;
const SHOWN: usize = 4;
