//! The bare machine's column: what its disk and its loopback need for the same bytes, with nobody's program in between.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use toko_tests::machine::{RawLog, Room, redb_insert};

use crate::measure::{Cell, Column, nanos, spread};
use crate::trouble::Trouble;
use crate::work::{TILLS, Work};

/// Rows of a commit of the bare database.
const ROWS_A_COMMIT: u64 = 1_000;

/// Measures it in `dir`.
pub(crate) fn column(work: &Work, dir: &Path) -> Result<Column, Trouble> {
    let (sales, bytes) = (work.day.len(), work.day_bytes() / work.day.len().max(1));
    let place = dir.join("one");
    std::fs::create_dir_all(&place)?;
    let mut log = RawLog::create(&place, bytes, Room::Growing)?;
    let durable = (0..sales).map(|_| log.round()).collect::<Result<Vec<_>, _>>()?;
    let shown = fan_out(work, dir, bytes)?;
    let insert = |count: usize, bytes: usize| {
        let rows = count.max(1) as u64;
        redb_insert(dir, rows, bytes / count.max(1), ROWS_A_COMMIT).map(|rate| rate.elapsed)
    };
    let catch_up = insert(work.hour.len(), work.hour_bytes())?;
    let blank = insert(sales, work.day_bytes())? + log.round()?;
    Ok(Column {
        durable: spread(durable.clone()),
        shown: spread(shown),
        alone: spread(durable),
        catch_up: Cell::Took(nanos(catch_up)),
        blank: Cell::Took(nanos(blank)),
        // Once to the server, once to every other terminal.
        wire: Cell::Bytes((work.day_bytes() * TILLS) as u64),
        memory_till: Cell::Bytes(work.day_bytes() as u64),
        memory_hub: Cell::Bytes(work.day_bytes() as u64),
    })
}

/// A sale written and synced, sent to everybody over TCP at once, written and synced there, and acknowledged.
fn fan_out(work: &Work, dir: &Path, bytes: usize) -> Result<Vec<Duration>, Trouble> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut own = RawLog::create(dir, bytes, Room::Growing)?;
    let mut others = Vec::new();
    for nth in 1..TILLS {
        let place = dir.join(nth.to_string());
        std::fs::create_dir_all(&place)?;
        let mut log = RawLog::create(&place, bytes, Room::Growing)?;
        let near = TcpStream::connect(listener.local_addr()?)?;
        let (mut far, _) = listener.accept()?;
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        let mut heard = vec![0; bytes];
        // It ends with the connection.
        std::thread::spawn(move || {
            while far.read_exact(&mut heard).is_ok() && log.round().is_ok() && far.write_all(&[1]).is_ok() {}
        });
        others.push(near);
    }
    let (sale, mut samples) = (vec![0x3c; bytes], Vec::new());
    for _ in 0..work.day.len() {
        let started = Instant::now();
        own.round()?;
        for other in &mut others {
            other.write_all(&sale)?;
        }
        for other in &mut others {
            other.read_exact(&mut [0])?;
        }
        samples.push(started.elapsed());
        std::thread::sleep(Duration::from_millis(work.pause_ms));
    }
    Ok(samples)
}
