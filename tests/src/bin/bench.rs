//! Figures beside the bare machine, measured in one run. Nothing is asserted: a slow machine is no fault.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use toko_tests::machine::{MachineError, Room, Spread, append_and_sync, redb_insert, udp_echo};

/// The disk did not let itself be measured.
const EXIT_STORE: u8 = 74;

#[derive(Debug, Parser)]
#[command(about = "Measures this machine bare, as the yardstick for Toko on it")]
struct Args {
    /// Where to write while measuring; a place on the disk that the shop would use.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Bytes of one record: a sale of eight lines, signed.
    #[arg(long, default_value_t = 900, value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    bytes: u32,
    /// Samples of each kind.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rounds: u32,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match measure(&args) {
        Ok(lines) => {
            print_lines(&lines);
            ExitCode::SUCCESS
        }
        Err(error) => {
            let cause =
                std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            eprintln!("bench: {error}{cause}");
            ExitCode::from(EXIT_STORE)
        }
    }
}

#[expect(clippy::print_stdout, reason = "the figures are what this program is for")]
fn print_lines(lines: &[String]) {
    for line in lines {
        println!("{line}");
    }
}

fn measure(args: &Args) -> Result<Vec<String>, MachineError> {
    let dir = tempfile::tempdir_in(&args.dir)?;
    // Both fit: clap has bounded them.
    let (bytes, rounds) = (args.bytes as usize, args.rounds as usize);
    let mut lines = vec![format!("the bare machine, {bytes} bytes a record, {rounds} rounds")];
    for (name, room) in [
        ("append + fdatasync, growing file", Room::Growing),
        ("write + fdatasync, reserved file", Room::Reserved),
    ] {
        lines.push(row(name, &append_and_sync(dir.path(), bytes, rounds, room)?));
    }
    lines.push(row("UDP echo on the loopback", &udp_echo(bytes.min(1_200), rounds)?));
    let rate = redb_insert(dir.path(), u64::from(args.rounds) * 50, bytes, 1_000)?;
    lines.push(format!("{:<34} {:>9} rows/s", "redb insert, 1000 rows a commit", rate.rows_per_second()));
    Ok(lines)
}

fn row(name: &str, spread: &Spread) -> String {
    let Spread { p50, p99, p999, max, .. } = spread;
    format!("{name:<34} p50 {} p99 {} p99.9 {} max {}", ms(p50), ms(p99), ms(p999), ms(max))
}

fn ms(time: &Duration) -> String {
    let micros = time.as_micros();
    format!("{:>4}.{:03} ms", micros / 1_000, micros % 1_000)
}
