//! The program `virtual-printer`: a printer on a port, a socket or a pseudo-terminal, made to fail from the command line and by
//! lines on its standard input.

use std::ffi::OsString;
use std::io::{self, BufRead, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args as Group, Parser, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::{Door, Faults, Options, Sensor, VirtualPrinter};

/// A receipt printer whose paper is text files and pictures.
#[derive(Debug, Parser)]
#[command(name = "virtual-printer", version, after_help = EXAMPLE)]
struct Args {
    #[command(flatten)]
    door: DoorArgs,
    /// Directory for paper/NNNNN.txt, one file a piece, and log.jsonl, one line a piece.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Keep each piece as paper/NNNNN.png too.
    #[arg(long)]
    png: bool,
    /// Characters a row: 48 or 42 on 80 mm paper, 32 on 58 mm.
    #[arg(long, default_value_t = 48, value_parser = clap::value_parser!(u8).range(16..=96))]
    columns: u8,
    /// What the drawer's switch tells.
    #[arg(long, value_enum, default_value_t = SensorArg::None)]
    sensor: SensorArg,
    /// Something that is wrong with it. May be given several times.
    #[arg(long, value_enum)]
    fault: Vec<Fault>,
    /// Milliseconds that its answers come late.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    reply_delay: u64,
    /// Rows of dots by which it moves the paper in a second; 2000 is 250 mm. At first it takes no time.
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..))]
    rows_a_second: Option<u32>,
    /// Take orders as lines of standard input: a fault's name and on or off, power-cycle, cover-open-close, drawer-open, drawer-close,
    /// link-drop-after N, link-reset-after N, power-cycle-after N (bytes). Each is answered by a line.
    #[arg(long)]
    orders: bool,
}

#[derive(Debug, Group)]
#[group(multiple = false)]
struct DoorArgs {
    /// Address to listen on; port 0 takes any. The first line of output names it.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9100")]
    listen: SocketAddr,
    /// Listen on a socket file instead.
    #[arg(long, value_name = "PATH")]
    unix: Option<PathBuf>,
    /// Be a serial printer behind a pseudo-terminal instead, with a link to it there.
    #[arg(long, value_name = "PATH")]
    pty: Option<PathBuf>,
}

/// A name on the command line for one of [`Faults`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Fault {
    PaperOut,
    PaperNearEnd,
    CoverOpen,
    CutterJammed,
    Overheated,
    Broken,
    Swallow,
    Hang,
    HangAtDoor,
    NoMarks,
    NoAnswers,
    ReplyMerged,
    ReplyTwice,
    DrawerStuck,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SensorArg {
    None,
    HighClosed,
    HighOpen,
}

/// A line of standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Fault(Fault, bool),
    PowerCycle,
    OpenAndCloseCover,
    Drawer(bool),
    LinkDropAfter(u64),
    LinkResetAfter(u64),
    PowerCycleAfter(u64),
}

impl Fault {
    fn set(self, faults: &mut Faults, on: bool) {
        let which = match self {
            Fault::PaperOut => &mut faults.paper_out,
            Fault::PaperNearEnd => &mut faults.paper_near_end,
            Fault::CoverOpen => &mut faults.cover_open,
            Fault::CutterJammed => &mut faults.cutter_jammed,
            Fault::Overheated => &mut faults.overheated,
            Fault::Broken => &mut faults.broken,
            Fault::Swallow => &mut faults.swallow,
            Fault::Hang => &mut faults.hang,
            Fault::HangAtDoor => &mut faults.hang_at_door,
            Fault::NoMarks => &mut faults.no_marks,
            Fault::NoAnswers => &mut faults.no_answers,
            Fault::ReplyMerged => &mut faults.reply_merged,
            Fault::ReplyTwice => &mut faults.reply_twice,
            Fault::DrawerStuck => &mut faults.drawer_stuck,
        };
        *which = on;
    }
}

impl Told {
    fn read(line: &str) -> Result<Told, String> {
        let mut words = line.split_whitespace();
        let (first, second) = (words.next().unwrap_or_default(), words.next());
        let bytes =
            || second.and_then(|word| word.parse().ok()).ok_or(format!("{first} needs a number of bytes"));
        match first {
            "power-cycle" => Ok(Told::PowerCycle),
            "cover-open-close" => Ok(Told::OpenAndCloseCover),
            "drawer-open" => Ok(Told::Drawer(true)),
            "drawer-close" => Ok(Told::Drawer(false)),
            "link-drop-after" => bytes().map(Told::LinkDropAfter),
            "link-reset-after" => bytes().map(Told::LinkResetAfter),
            "power-cycle-after" => bytes().map(Told::PowerCycleAfter),
            name => match (Fault::from_str(name, false), second) {
                (Ok(fault), Some("on")) => Ok(Told::Fault(fault, true)),
                (Ok(fault), Some("off")) => Ok(Told::Fault(fault, false)),
                (Ok(_), _) => Err(format!("{name} needs on or off")),
                (Err(_), _) => Err(format!("{name:?} is no order; --help names them")),
            },
        }
    }

    async fn obey(self, printer: &VirtualPrinter) {
        match self {
            Told::Fault(fault, on) => printer.set_faults(|faults| fault.set(faults, on)),
            Told::PowerCycle => printer.power_cycle().await,
            Told::OpenAndCloseCover => printer.open_and_close_cover().await,
            Told::Drawer(true) => printer.open_drawer().await,
            Told::Drawer(false) => printer.close_drawer().await,
            Told::LinkDropAfter(bytes) => printer.cut_link_after(bytes),
            Told::LinkResetAfter(bytes) => printer.reset_link_after(bytes),
            Told::PowerCycleAfter(bytes) => printer.power_cycle_after(bytes),
        }
    }
}

pub(super) fn run<I, T>(args: I) -> ExitCode
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(asked) => {
            let usage = if asked.use_stderr() { USAGE } else { 0 };
            return if asked.print().is_ok() { ExitCode::from(usage) } else { ExitCode::from(DISK) };
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(serve(args)),
        Err(e) => Err((DISK, format!("could not start: {e}"))),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, said)) => {
            // There is nobody left to tell if this fails.
            let _ = writeln!(io::stderr(), "virtual-printer: {said}");
            ExitCode::from(code)
        }
    }
}

async fn serve(args: Args) -> Result<(), (u8, String)> {
    let mut faults = Faults {
        reply_delay: Duration::from_millis(args.reply_delay),
        rows_a_second: args.rows_a_second,
        ..Faults::default()
    };
    args.fault.iter().for_each(|fault| fault.set(&mut faults, true));
    let signals = |kind| signal(kind).map_err(|e| (DISK, format!("could not wait for signals: {e}")));
    let (mut terminate, mut interrupt) =
        (signals(SignalKind::terminate())?, signals(SignalKind::interrupt())?);
    let door = match args.door {
        DoorArgs { unix: Some(path), .. } => Door::Unix(path),
        DoorArgs { pty: Some(path), .. } => Door::Pty(path),
        DoorArgs { listen, .. } => Door::Tcp(listen),
    };
    let (place, out) = (door.to_string(), args.out.display().to_string());
    let sensor = match args.sensor {
        SensorArg::None => Sensor::None,
        SensorArg::HighClosed => Sensor::HighClosed,
        SensorArg::HighOpen => Sensor::HighOpen,
    };
    let columns = usize::from(args.columns);
    let options = Options { door, out: args.out, pictures: args.png, columns, sensor, display: None, faults };
    let mut printer = VirtualPrinter::spawn(options).await.map_err(|e| match e.kind() {
        io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable => {
            (CONFIG, format!("could not listen on {place}: {e}"))
        }
        _ => (DISK, format!("could not start on {place} with paper in {out}: {e}")),
    })?;
    say(&format!("listening on {}", printer.door()));
    let mut orders = args.orders.then(lines);
    loop {
        let order = async {
            match &mut orders {
                Some(lines) => lines.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            ended = printer.ended() => return ended.map_err(|e| (DISK, format!("could not keep paper in {out}: {e}"))),
            line = order => match line.as_deref().map(Told::read) {
                Some(Ok(told)) => {
                    told.obey(&printer).await;
                    say("done");
                }
                Some(Err(why)) => say(&format!("not done: {why}")),
                None => orders = None,
            },
        }
    }
    printer.stop().await.map_err(|e| (DISK, format!("could not keep paper in {out}: {e}")))
}

/// The lines of standard input. Its thread ends with the program, since a read of it cannot be called off.
fn lines() -> mpsc::Receiver<String> {
    let (send, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if send.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Whoever started us may not read.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

const EXAMPLE: &str = "Example:
  virtual-printer --listen 127.0.0.1:9100 --out /tmp/printer --png
  printf 'Hello\\n\\035VB\\000' > /dev/tcp/127.0.0.1/9100
  cat /tmp/printer/paper/00001.txt";

const USAGE: u8 = 64;
const DISK: u8 = 74;
const CONFIG: u8 = 78;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_or_refused_by_name() {
        assert_eq!(Told::read("paper-out on"), Ok(Told::Fault(Fault::PaperOut, true)));
        assert_eq!(Told::read("power-cycle-after 12"), Ok(Told::PowerCycleAfter(12)));
        assert_eq!(Told::read("paper-out"), Err("paper-out needs on or off".into()));
        assert_eq!(Told::read("dance"), Err("\"dance\" is no order; --help names them".into()));
    }
}
