//! Scales, displays, scanners and label printers that need no hardware, as a program: each at the end of a pseudo-terminal.
//!
//! What happens at the device is told on standard input, a line each; what it shows comes out.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines, Stdin};

use crate::cable::Pty;
use crate::display::{Dialect, Glass, VirtualDisplay};
use crate::label::VirtualLabelPrinter;
use crate::scale::{Pan, Protocol, VirtualScale};

/// A device that is not there.
#[derive(Debug, Parser)]
#[command(name = "virtual-device", version, after_help = EXAMPLE)]
struct Args {
    /// A link that is made to the device file, so that its name stays.
    #[arg(long, global = true, value_name = "PATH")]
    link: Option<PathBuf>,
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// A scale. Lines: a display such as `01.250`, or one of moving, still, over, under, silent, fine.
    Scale {
        /// Its tongue: toledo-8217, nci or cas.
        #[arg(long, default_value = "nci")]
        protocol: Protocol,
        /// The unit that it names.
        #[arg(long, default_value = "KG")]
        unit: String,
    },
    /// A line display. Writes both rows whenever they change.
    Display {
        /// What it obeys.
        #[arg(long, value_enum, default_value_t = Tongue::Epson)]
        dialect: Tongue,
    },
    /// A scanner on a serial line. Each line is a code; `\x1d` in it is a separator.
    Scanner,
    /// A label printer: reads one job from standard input and writes what stands on the labels.
    Labels {
        /// Read TSPL instead of ZPL.
        #[arg(long)]
        tspl: bool,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Tongue {
    Epson,
    Cd5220,
    BehindPrinter,
}

/// Runs the program `virtual-device` until its input ends. `args` starts with the program's name.
///
/// Exit codes: 0 the input ended, 64 usage, 65 a line or a job that no such device knows, 74 the system refused.
pub fn run<I, T>(args: I) -> ExitCode
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(asked) => {
            let usage = if asked.use_stderr() { USAGE } else { 0 };
            return if asked.print().is_ok() { ExitCode::from(usage) } else { ExitCode::from(SYSTEM) };
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(serve(args))) {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            // There is nobody left to tell if this fails.
            let _ = writeln!(io::stderr(), "virtual-device: {why}");
            ExitCode::from(SYSTEM)
        }
    }
}

async fn serve(args: Args) -> io::Result<u8> {
    let link = args.link.as_deref();
    match args.kind {
        Kind::Scale { protocol, unit } => scale(protocol, unit, link).await,
        Kind::Display { dialect } => display(dialect, link).await,
        Kind::Scanner => scanner(link).await,
        Kind::Labels { tspl } => labels(tspl),
    }
}

async fn scale(protocol: Protocol, unit: String, link: Option<&Path>) -> io::Result<u8> {
    let device = VirtualScale::spawn(protocol, Pan { unit, ..Pan::default() })?;
    let _link = tell(device.path(), link)?;
    let mut lines = lines();
    while let Some(line) = lines.next_line().await? {
        match line.trim() {
            "moving" => device.set(|pan| pan.moving = true),
            "still" => device.set(|pan| pan.moving = false),
            "over" => device.set(|pan| pan.over = true),
            "under" => device.set(|pan| pan.under = true),
            "silent" => device.set(|pan| pan.silent = true),
            "fine" => device.set(|pan| (pan.over, pan.under, pan.silent) = (false, false, false)),
            shown if !shown.is_empty() && shown.bytes().all(|b| b.is_ascii_digit() || b == b'.') => {
                device.set(|pan| pan.display = shown.to_owned());
            }
            other => return Ok(unknown(other)),
        }
    }
    Ok(0)
}

async fn display(dialect: Tongue, link: Option<&Path>) -> io::Result<u8> {
    let glass = Glass::rows_of_20(match dialect {
        Tongue::Epson => Dialect::Epson,
        Tongue::Cd5220 => Dialect::Cd5220,
        Tongue::BehindPrinter => Dialect::BehindPrinter,
    });
    let mut pty = Pty::open()?;
    let _link = tell(pty.path(), link)?;
    let (mut device, mut shown, mut bytes) = (VirtualDisplay::new(glass), Default::default(), [0; 256]);
    let mut lines = lines();
    loop {
        tokio::select! {
            line = lines.next_line() => if line?.is_none() { return Ok(0) },
            read = pty.read(&mut bytes) => {
                device.receive(&bytes[..read?]);
                if device.rows() != shown {
                    shown = device.rows();
                    writeln!(io::stdout(), "[{}]\n[{}]", shown[0], shown[1])?;
                }
            }
        }
    }
}

async fn scanner(link: Option<&Path>) -> io::Result<u8> {
    let mut pty = Pty::open()?;
    let _link = tell(pty.path(), link)?;
    let mut lines = lines();
    while let Some(line) = lines.next_line().await? {
        pty.write_all(line.replace("\\x1d", "\x1d").as_bytes()).await?;
        pty.write_all(b"\r\n").await?;
    }
    Ok(0)
}

fn labels(tspl: bool) -> io::Result<u8> {
    let mut job = Vec::new();
    if io::stdin().is_terminal() {
        writeln!(io::stderr(), "virtual-device: a job is read from standard input")?;
    }
    io::stdin().take(JOB_BYTES_MAX).read_to_end(&mut job)?;
    let mut printer = VirtualLabelPrinter::default();
    if tspl {
        printer.tspl(&job)
    } else {
        printer.zpl(&job)
    }
    let mut out = io::stdout();
    for label in &printer.printed {
        writeln!(out, "{} ×", label.copies)?;
        for text in &label.texts {
            writeln!(out, "  {text}")?;
        }
        for (kind, data) in &label.codes {
            writeln!(out, "  {kind} {data}")?;
        }
    }
    if printer.unknown > 0 {
        writeln!(io::stderr(), "virtual-device: {} commands that it does not know", printer.unknown)?;
        return Ok(DATA);
    }
    Ok(0)
}

/// Says where the device hangs, and links to it.
fn tell(path: &Path, link: Option<&Path>) -> io::Result<Option<Link>> {
    let made = match link {
        Some(link) => {
            std::os::unix::fs::symlink(path, link)
                .map_err(|why| io::Error::new(why.kind(), format!("{}: {why}", link.display())))?;
            Some(Link(link.to_owned()))
        }
        None => None,
    };
    // Whoever started us may not read.
    let _ = writeln!(io::stdout(), "device {}", path.display());
    Ok(made)
}

/// A link that goes when the device does.
struct Link(PathBuf);

impl Drop for Link {
    fn drop(&mut self) {
        // Somebody else may have taken it away.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn lines() -> Lines<BufReader<Stdin>> {
    BufReader::new(tokio::io::stdin()).lines()
}

fn unknown(line: &str) -> u8 {
    let _ = writeln!(io::stderr(), "virtual-device: {line:?} is nothing that happens at this device");
    DATA
}

const EXAMPLE: &str = "Examples:
  virtual-device scale --protocol nci --link /tmp/scale     then type 01.250
  virtual-device display --dialect cd5220 --link /tmp/display
  virtual-device scanner --link /tmp/scanner                then type ]E04006381333931
  virtual-device labels < label.zpl";

const USAGE: u8 = 64;
const DATA: u8 = 65;
const SYSTEM: u8 = 74;
const JOB_BYTES_MAX: u64 = 16 * 1024 * 1024;
