//! Where a device hangs, as a shop writes it: one line of text for every kind of cable. Pure.
//!
//! `192.0.2.7:9100` or `tcp://192.0.2.7:9100` · `usb:SERIAL`, `usb:port=1-1.2`, `usb:/dev/usb/lp0` ·
//! `serial:/dev/ttyUSB0?baud=38400&frame=8N1&flow=rtscts` · `unix:/run/printer.sock`.
//!
//! Invariant: what [`Address`] shows parses to the same address. Absent on purpose: looking anything up.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// One end of a cable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// A network printer: host and port, resolved at each connection.
    Tcp(String),
    /// A printer on USB, through the kernel's own driver.
    Usb(UsbName),
    /// A serial port, or an adapter that looks like one.
    Serial(PathBuf, Line),
    /// A socket of this machine.
    Unix(PathBuf),
}

/// What a USB printer is known by. Its name under `/dev/usb` is given anew each time it is plugged in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UsbName {
    /// The serial number that the device tells: it may be plugged in anywhere.
    Serial(String),
    /// The socket that it is plugged into, as the kernel numbers them (`1-1.2`): for printers without a serial number.
    Port(String),
    /// A device file: fine for a machine with one printer, and for a link that a udev rule keeps.
    Node(PathBuf),
}

/// How bits go over a serial line. The two ends must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Line {
    /// Bits a second.
    pub baud: u32,
    /// Bits in a character: 7 or 8.
    pub bits: u8,
    /// The check bit.
    pub parity: Parity,
    /// Stop bits: 1 or 2.
    pub stops: u8,
    /// How one end asks the other to wait.
    pub flow: Flow,
}

/// The check bit after each character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Parity {
    /// None.
    None,
    /// An even number of ones.
    Even,
    /// An odd number of ones.
    Odd,
}

/// How one end of a serial line asks the other to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flow {
    /// It does not: bytes are lost when a buffer is full.
    None,
    /// By the RTS and CTS wires. A printer set to DTR/DSR is served by this as well: a printer cable joins its DTR to the
    /// computer's CTS, and Linux has no DTR/DSR of its own.
    RtsCts,
    /// By the characters XON and XOFF. Not for pictures, whose bytes may be the same.
    XonXoff,
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("\"{text}\", from character {at} on: {why}")]
pub struct AddressError {
    /// What was written.
    pub text: String,
    /// The place of the first character that is wrong, from 1.
    pub at: usize,
    /// What is wrong with it and what would be right.
    pub why: String,
}

impl Line {
    /// 9600 bits a second, eight bits, no parity, one stop bit, no flow control.
    pub const DEFAULT: Line = Line { baud: 9_600, bits: 8, parity: Parity::None, stops: 1, flow: Flow::None };

    /// What scales speak unless they are set otherwise: 9600 7E1.
    pub const SCALE: Line = Line { bits: 7, parity: Parity::Even, ..Line::DEFAULT };
}

impl Default for Line {
    fn default() -> Line {
        Line::DEFAULT
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        let wrong = |rest: &str, why: String| {
            let begins = rest.as_ptr().addr().saturating_sub(text.as_ptr().addr());
            let before = text.get(..begins).unwrap_or_default().chars().count();
            Err(AddressError { text: shorten(text), at: before + 1, why })
        };
        if text.len() > ADDRESS_BYTES_MAX {
            return wrong(text, format!("it is longer than {ADDRESS_BYTES_MAX} bytes"));
        }
        if let Some((at, _)) = text.char_indices().find(|(_, c)| c.is_control()) {
            return wrong(&text[at..], "a control character belongs in no address".to_owned());
        }
        let parsed = if let Some(rest) = text.strip_prefix("tcp://") {
            tcp(rest)
        } else if let Some(rest) = text.strip_prefix("usb:") {
            usb(rest)
        } else if let Some(rest) = text.strip_prefix("serial:") {
            serial(rest)
        } else if let Some(rest) = text.strip_prefix("unix:") {
            path(rest).map(Address::Unix)
        } else if let Some((scheme, _)) = text.split_once("://") {
            Err((text, format!("\"{scheme}\" is none of tcp, usb, serial and unix")))
        } else {
            tcp(text)
        };
        match parsed {
            // What it shows must parse again, and that names what was left out here.
            Ok(address) if address.to_string().len() > ADDRESS_BYTES_MAX => {
                wrong(text, format!("written in full it is longer than {ADDRESS_BYTES_MAX} bytes"))
            }
            Ok(address) => Ok(address),
            Err((rest, why)) => wrong(rest, why),
        }
    }
}

/// The part of a text that is wrong, and why.
type Wrong<'a> = (&'a str, String);

fn tcp(rest: &str) -> Result<Address, Wrong<'_>> {
    let example = "write host and port, such as 192.0.2.7:9100";
    let Some((host, port)) = rest.rsplit_once(':') else {
        return Err((rest, format!("no port; {example}")));
    };
    if host.is_empty() {
        return Err((rest, format!("no host before the port; {example}")));
    }
    if let Some(at) = host.find(|c: char| c.is_whitespace() || c == '/') {
        return Err((&rest[at..], format!("this stands in no host name; {example}")));
    }
    match port.parse::<u16>() {
        Ok(_) => Ok(Address::Tcp(rest.to_owned())),
        Err(_) => Err((port, format!("\"{port}\" is no port; {example}"))),
    }
}

fn usb(rest: &str) -> Result<Address, Wrong<'_>> {
    let named = if rest.starts_with('/') {
        UsbName::Node(path(rest)?)
    } else if let Some(port) = rest.strip_prefix("port=") {
        let good = port.split_once('-').is_some_and(|(bus, path)| {
            let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            number(bus) && path.split('.').all(number)
        });
        if !good {
            return Err((port, format!("\"{port}\" is no USB port, such as 1-1.2")));
        }
        UsbName::Port(port.to_owned())
    } else {
        let serial = rest.strip_prefix("serial=").unwrap_or(rest);
        if serial.trim().is_empty() {
            let why = "after usb: write the printer's serial number, port=1-1.2, or /dev/usb/lp0";
            return Err((serial, why.to_owned()));
        }
        UsbName::Serial(serial.to_owned())
    };
    Ok(Address::Usb(named))
}

fn serial(rest: &str) -> Result<Address, Wrong<'_>> {
    let (device, settings) = rest.split_once('?').unwrap_or((rest, ""));
    let device = path(device)?;
    let mut line = Line::DEFAULT;
    for setting in settings.split('&').filter(|setting| !setting.is_empty()) {
        let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
        match key {
            "baud" => match value.parse() {
                Ok(baud @ BAUD_MIN..=BAUD_MAX) => line.baud = baud,
                _ => {
                    return Err((
                        setting,
                        format!("\"{value}\" is no number of bits a second, such as 9600"),
                    ));
                }
            },
            "frame" => {
                (line.bits, line.parity, line.stops) = frame(value)
                    .ok_or_else(|| (setting, format!("\"{value}\" is no frame, such as 8N1 or 7E1")))?;
            }
            "flow" => {
                line.flow = match value {
                    "none" => Flow::None,
                    "rtscts" => Flow::RtsCts,
                    "xonxoff" => Flow::XonXoff,
                    _ => return Err((setting, format!("\"{value}\" is none of none, rtscts and xonxoff"))),
                }
            }
            _ => return Err((setting, format!("\"{key}\" is none of baud, frame and flow"))),
        }
    }
    Ok(Address::Serial(device, line))
}

fn frame(text: &str) -> Option<(u8, Parity, u8)> {
    let [bits @ (b'7' | b'8'), parity, stops @ (b'1' | b'2')] = text.as_bytes() else { return None };
    let parity = match parity.to_ascii_uppercase() {
        b'N' => Parity::None,
        b'E' => Parity::Even,
        b'O' => Parity::Odd,
        _ => return None,
    };
    Some((bits - b'0', parity, stops - b'0'))
}

fn path(text: &str) -> Result<PathBuf, Wrong<'_>> {
    if text.len() > 1 && text.starts_with('/') {
        return Ok(PathBuf::from(text));
    }
    Err((text, format!("\"{text}\" is no path from the root, such as /dev/ttyUSB0")))
}

/// As much of a text as a message shows.
fn shorten(text: &str) -> String {
    let mut shown: String =
        text.chars().take(TEXT_SHOWN).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().count() > TEXT_SHOWN {
        shown.push('…');
    }
    shown
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // A host may be called as a kind of cable is.
            Address::Tcp(to) if KINDS.iter().any(|kind| to.starts_with(kind)) => {
                write!(f, "tcp://{to}")
            }
            Address::Tcp(to) => f.write_str(to),
            Address::Usb(UsbName::Serial(serial)) => write!(f, "usb:serial={serial}"),
            Address::Usb(UsbName::Port(port)) => write!(f, "usb:port={port}"),
            Address::Usb(UsbName::Node(path)) => write!(f, "usb:{}", path.display()),
            Address::Serial(path, line) => write!(f, "serial:{}?{line}", path.display()),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parity = match self.parity {
            Parity::None => 'N',
            Parity::Even => 'E',
            Parity::Odd => 'O',
        };
        let flow = match self.flow {
            Flow::None => "none",
            Flow::RtsCts => "rtscts",
            Flow::XonXoff => "xonxoff",
        };
        write!(f, "baud={}&frame={}{parity}{}&flow={flow}", self.baud, self.bits, self.stops)
    }
}

/// How the text of another cable begins, or of a scanner that is a keyboard.
const KINDS: [&str; 4] = ["usb:", "serial:", "unix:", "keyboard:"];
const ADDRESS_BYTES_MAX: usize = 512;
const TEXT_SHOWN: usize = 80;
const BAUD_MIN: u32 = 300;
const BAUD_MAX: u32 = 4_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Address {
        text.parse().unwrap_or_else(|problem| panic!("{problem}"))
    }

    #[test]
    fn every_kind_of_cable_has_its_text() {
        assert_eq!(parsed("192.0.2.7:9100"), Address::Tcp("192.0.2.7:9100".to_owned()));
        assert_eq!(parsed("tcp://[fe80::1]:9100"), Address::Tcp("[fe80::1]:9100".to_owned()));
        assert_eq!(parsed("usb:J7Q-0012"), Address::Usb(UsbName::Serial("J7Q-0012".to_owned())));
        assert_eq!(parsed("usb:port=1-1.2"), Address::Usb(UsbName::Port("1-1.2".to_owned())));
        assert_eq!(parsed("usb:/dev/usb/lp0"), Address::Usb(UsbName::Node("/dev/usb/lp0".into())));
        assert_eq!(parsed("unix:/run/printer.sock"), Address::Unix("/run/printer.sock".into()));
        let line = Line { baud: 38_400, bits: 7, parity: Parity::Even, stops: 2, flow: Flow::RtsCts };
        let text = "serial:/dev/ttyUSB0?baud=38400&frame=7e2&flow=rtscts";
        assert_eq!(parsed(text), Address::Serial("/dev/ttyUSB0".into(), line));
        assert_eq!(parsed("serial:/dev/ttyS0"), Address::Serial("/dev/ttyS0".into(), Line::DEFAULT));
    }

    #[test]
    fn a_text_that_is_no_address_is_told_what_is_wrong_and_where() {
        for (text, at, word) in [
            ("", 1, "no port"),
            ("printer", 1, "no port"),
            (":9100", 1, "no host"),
            ("printer:many", 9, "\"many\" is no port"),
            ("tcp://printer", 7, "no port"),
            ("tcp://pri nter:9100", 10, "no host name"),
            ("http://printer:80", 1, "\"http\" is none of tcp"),
            ("usb:", 5, "serial number"),
            ("usb:port=here", 10, "no USB port"),
            ("serial:ttyS0", 8, "no path from the root"),
            ("serial:/dev/ttyS0?baud=fast", 19, "bits a second"),
            ("serial:/dev/ttyS0?baud=9600&frame=9N1", 29, "no frame"),
            ("serial:/dev/ttyS0?flow=dtr", 19, "none of none"),
            ("serial:/dev/ttyS0?speed=9600", 19, "none of baud"),
            ("serial:/dev/ttyS\u{d8}?baud=fast&frame=8N1", 19, "bits a second"),
            ("serial:/dev/ttyS0?ba\u{fffd}\u{fffd}=1&flow=none", 19, "none of baud"),
            ("unix:", 6, "no path"),
            ("usb:a\u{1b}b", 6, "control character"),
        ] {
            let problem = text.parse::<Address>().unwrap_err();
            assert_eq!(problem.at, at, "{problem}");
            assert!(problem.to_string().contains(word), "{problem}");
        }
        for text in ["x".repeat(600), format!("usb:{}", "7".repeat(505))] {
            let long = text.parse::<Address>().unwrap_err();
            assert!(long.to_string().len() < 250, "{long}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_an_address_shows_parses_to_the_same(text in ".{0,40}|(tcp://usb:|usb:|serial:|tcp://|unix:|usb:port=)[ -~]{0,40}") {
            match text.parse::<Address>() {
                Ok(address) => assert_eq!(address.to_string().parse::<Address>(), Ok(address)),
                Err(problem) => assert!(problem.at <= text.chars().count() + 1),
            }
        }
    }
}
