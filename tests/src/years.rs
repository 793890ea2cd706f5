//! Years of a shop in minutes: a hub and a till as bare stores on this disk, without a network or a clock.
//!
//! Each simulated day the till fills, sells and closes carts, one of them parked nine days before, the hub prints the receipts,
//! both exchange what they have, the hub seals, both go over the seal and let go of what they need not keep, and the hub
//! settles carts and books. Each quarter one line says what is in memory and on disk, by what it is for: the log and its
//! archive of books, the views, and the views at the last seal. All of them stay as large as the days that are kept make them:
//! what is there at the end is held against what was there when those days were full, and the command ends by it.
//!
//! Absent on purpose: links (`mesh/tests/loopback_shop/history.rs` has them) and headquarters, which keeps everything.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use toko_crdt::body::{CartChange, Idem};
use toko_crdt::cart::{Actor, Cart};
use toko_crdt::clock::{Hlc, UnixMicros};
use toko_crdt::ids::{LineId, StepId, dated};
use toko_crdt::member::{Claim, Statement};
use toko_crdt::seal::Seal;
use toko_crdt::sign::SecretKey;
use toko_crdt::stock::Milli;
use toko_crdt::{Body, CartId, EffectId, Hash, KvRead, Lane, NodeId, Run, StoreId};
use toko_mesh::disk::RealDisk;
use toko_mesh::log::LogConfig;
use toko_mesh::store::{
    Append, Appended, ArchivedLog, Cut, Reply, Request, SealedViews, Store, StoreConfig, StoreSetup, Verdict,
    Wait,
};
use toko_retail::currency::Currency;
use toko_retail::custody::{Summary, close, take};
use toko_retail::day::Day;
use toko_retail::money::Money;
use toko_retail::ops::{OpV1, PrintAskV1, PrintOutcome, PrintOutcomeV1, PrintStartedV1, What};
use toko_retail::scope::ShopScope;
use toko_retail::views::ShopFold;

use crate::bench::goods::{CURRENCY, Goods, LINES};
use crate::bench::trouble::Trouble;
use crate::usage;

const DAY_MICROS: i64 = 86_400_000_000;
const QUARTER_DAYS: u64 = 91;
/// How long after the days that are kept are full everything has its size.
const FULL_AFTER_DAYS: u64 = 10;
/// What may be added to that in years, beside a half: sums of days, and a segment more or less. MiB.
const MORE_MIB: u64 = 4;
/// What is measured.
const MEASURED: [&str; 9] = [
    "the memory",
    "the hub's log",
    "the hub's archive",
    "the hub's views",
    "the hub's sealed views",
    "the till's log",
    "the till's archive",
    "the till's views",
    "the till's sealed views",
];
/// What the operating system counts room in.
const BLOCK_BYTES: u64 = 512;
/// How long a shop is open.
const OPEN_MICROS: i64 = 10 * 3_600_000_000;
/// Days that a parked cart waits for its customer.
const PARKED_DAYS: u64 = 9;
/// Lines that are scanned into each cart: the others came with it.
const SCANS: u8 = 3;
/// The run of the till.
const RUN: Run = Run(3);
/// Requests of one step.
const AT_ONCE: usize = 256;
/// Bytes that are handed over at once.
const HANDED: usize = 1 << 20;

/// Shows what a hub and a till keep over years.
#[derive(Clone, Debug, Parser)]
#[command(name = "years", version)]
struct Args {
    /// Days to simulate.
    #[arg(long, default_value_t = 3 * 365)]
    days: u64,
    /// Sales of eight lines on each day.
    #[arg(long, default_value_t = 300)]
    sales: u64,
    /// Days that books are kept entry by entry.
    #[arg(long, default_value_t = 400)]
    books_days: u32,
    /// Days that the log is kept as it was written.
    #[arg(long, default_value_t = 7)]
    floor_days: u32,
    /// Shows at the end what the hub's views are made of: rows and bytes by the first byte of their keys; and how long one
    /// settling took at most.
    #[arg(long)]
    rows: bool,
    /// Where to work [default: a temporary directory]. Nothing is left there.
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let args: Args = match usage::read(args) {
        Ok(args) => args,
        Err(code) => return code,
    };
    match years(&args, &mut std::io::stdout()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(trouble) => {
            let _ = writeln!(std::io::stderr(), "years: {}", trouble.in_full());
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing grows once the days that are kept are full.
fn years(args: &Args, out: &mut dyn Write) -> Result<bool, Trouble> {
    let dir = match &args.dir {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    let goods = Goods::make()?;
    let mut hub = Desk::open(dir.path(), "hub", 2)?;
    let mut till = Desk::open(dir.path(), "till", 3)?;
    writeln!(
        out,
        "{} sales a day; books kept {} days, the log {} days; MiB on disk",
        args.sales, args.books_days, args.floor_days
    )?;
    writeln!(
        out,
        "{:>5} {:>9} {:>8}  {:>8} {:>8} {:>8} {:>8}   {:>8} {:>8} {:>8} {:>8}",
        "day",
        "sales",
        "RSS MiB",
        "hub log",
        "archive",
        "views",
        "sealed",
        "till log",
        "archive",
        "views",
        "sealed"
    )?;
    let full_on = u64::from(args.books_days.max(args.floor_days)).max(PARKED_DAYS) + FULL_AFTER_DAYS;
    let (mut full, mut last) = (None, [0; 9]);
    for day in 0..args.days {
        let now = time_of(day);
        till.trade(&goods, args.sales, day, now)?;
        hand_over(&till, &mut hub, now)?;
        hub.print(args.sales, day, now)?;
        let (entry, seal) = hub.seal(now)?;
        hand_over(&hub, &mut till, now)?;
        for desk in [&mut hub, &mut till] {
            desk.let_go(entry, &seal, now, args)?;
        }
        hub.settle(now, args)?;
        hand_over(&hub, &mut till, now)?;
        let is_told = (day + 1) % QUARTER_DAYS == 0 || day + 1 == args.days;
        if is_told || day == full_on {
            let ([a, b, c, d], [e, f, g, h], memory) = (hub.sizes()?, till.sizes()?, resident_mib()?);
            last = [memory, a, b, c, d, e, f, g, h];
            full = full.or_else(|| (day >= full_on).then_some(last));
            if is_told {
                let sales = (day + 1) * args.sales;
                writeln!(
                    out,
                    "{:>5} {sales:>9} {memory:>8}  {a:>8} {b:>8} {c:>8} {d:>8}   {e:>8} {f:>8} {g:>8} {h:>8}",
                    day + 1,
                )?;
                out.flush()?;
            }
        }
    }
    if args.rows {
        hub.print_rows(out)?;
        writeln!(out, "the longest settling kept the store for {:?}", hub.settled_in)?;
    }
    let Some(full) = full.filter(|_| args.days > 2 * full_on) else {
        writeln!(out, "too few days to tell what grows: more than {} are needed", 2 * full_on)?;
        return Ok(true);
    };
    let grown = grown(&full, &last);
    for words in &grown {
        writeln!(out, "not flat: {words}")?;
    }
    if grown.is_empty() {
        writeln!(out, "flat since day {}, when the days that are kept were full", full_on + 1)?;
    }
    Ok(grown.is_empty())
}

/// What is larger by far than it was when the days that are kept were full.
fn grown(full: &[u64; 9], last: &[u64; 9]) -> Vec<String> {
    let all = MEASURED.iter().zip(full.iter().zip(last));
    let grown = all.filter(|(_, (then, now))| **now > **then + **then / 2 + MORE_MIB);
    grown.map(|(what, (then, now))| format!("{what} went from {then} to {now} MiB")).collect()
}

/// A node's store and its directory.
struct Desk {
    dir: PathBuf,
    node: NodeId,
    store: Store,
    /// The longest that one settling kept the store.
    settled_in: Duration,
}

impl Desk {
    fn open(place: &Path, name: &str, seed: u8) -> Result<Self, Trouble> {
        let failed = "opening a store";
        let dir = place.join(name);
        std::fs::create_dir_all(&dir)?;
        let [root, hub, till] = [1, 2, 3].map(|seed| SecretKey::from_seed([seed; 32]));
        let key = SecretKey::from_seed([seed; 32]);
        let (id, node) = (StoreId::of(&root.public()), key.node());
        let log = LogConfig { segment_bytes: 2 << 20, ..LogConfig::default() };
        let setup = StoreSetup {
            disk: Arc::new(RealDisk::open(&dir)?),
            root: root.public(),
            key,
            mint_run: Box::new(move || Run(u64::from(seed))),
            fold: Arc::new(ShopFold),
            scope: Arc::new(ShopScope),
            config: StoreConfig { log, ..StoreConfig::default() },
        };
        let mut store = Store::open(setup).map_err(Trouble::product(failed))?;
        let claim = Claim::Terminal { term: 1, key: till.public(), number: 1, name: "Till 1".to_owned() };
        let statements = vec![
            Statement::sign(&id, &root, Claim::Hub { term: 1, key: hub.public() }),
            Statement::sign(&id, &hub, claim),
        ];
        store.step(UnixMicros(0), vec![Request::Statements(statements)]);
        Ok(Self { dir, node, store, settled_in: Duration::ZERO })
    }

    /// One day's sales, each from a cart that was opened, filled and closed. The first of them is closed nine days later only.
    fn trade(&mut self, goods: &Goods, sales: u64, day: u64, now: UnixMicros) -> Result<(), Trouble> {
        let failed = "a day's trade";
        let currency = Currency::parse(CURRENCY).map_err(Trouble::product(failed))?;
        let date = Day::at_utc(now).ok_or_else(|| Trouble::product(failed)("a time outside the calendar"))?;
        let lines = u32::try_from(LINES).unwrap_or(0);
        let mut batch = Vec::new();
        let changes = self.changes()?;
        if let Some(parked) = day.checked_sub(PARKED_DAYS) {
            let cart = cart_of(parked, sales, parked * sales);
            batch.push(request(Lane::Floor, &used_key(What::CartClosed(close(cart, None)), 7, parked)));
        }
        for nth in day * sales..(day + 1) * sales {
            let mut op = goods.sale(nth)?;
            if let What::Sale(sale) = &mut op.what {
                sale.day = date.number();
                sale.at_unix_micros = now.0;
                sale.print = Some(PrintAskV1 {
                    job: job(now, nth),
                    printer: "counter".into(),
                    ttl_s: 3_600,
                    copies: 1,
                });
            }
            let cart = cart_of(day, sales, nth);
            let summary = Summary { name: String::new(), lines, total: Money::minor(0, currency) };
            let taken = take(cart, None, self.node, &summary).map_err(Trouble::product(failed))?;
            let done = close(cart, Some(EffectId([7; 32])));
            batch.push(request(Lane::Floor, &used_key(What::Custody(taken), 1, nth)));
            for (change, at) in changes.iter().zip(2..) {
                let body = CartChange { cart, change: change.clone(), idem: Some(idem(at, nth)) };
                batch.push(append(Lane::Floor, Body::Cart(body)));
            }
            op.idem = Some(idem(8, nth));
            batch.push(request(Lane::Books, &op));
            if nth != day * sales {
                batch.push(request(Lane::Floor, &used_key(What::CartClosed(done), 6, nth)));
            }
            if batch.len() >= AT_ONCE {
                self.step(now, std::mem::take(&mut batch))?;
            }
        }
        self.step(now, batch)
    }

    /// Prints the receipts of a day's sales.
    fn print(&mut self, sales: u64, day: u64, now: UnixMicros) -> Result<(), Trouble> {
        let mut batch = Vec::new();
        for nth in day * sales..(day + 1) * sales {
            let (job, printer) = (job(now, nth), "counter".to_owned());
            let started = What::PrintStarted(PrintStartedV1 { job, attempt: 1, printer });
            let outcome = PrintOutcome::Printed;
            let ended = PrintOutcomeV1 { job, attempt: 1, outcome, level: 3, detail: String::new() };
            batch.push(request(Lane::Books, &OpV1::new(started)));
            batch.push(request(Lane::Books, &OpV1::new(What::PrintOutcome(ended))));
            if batch.len() >= AT_ONCE {
                self.step(now, std::mem::take(&mut batch))?;
            }
        }
        self.step(now, batch)
    }

    /// The changes of a cart with a few lines, by this run: they say nothing of which cart it is.
    fn changes(&self) -> Result<Vec<Vec<u8>>, Trouble> {
        let failed = Trouble::product("filling a cart");
        let fill = || {
            let actor = Actor::of(&self.node, RUN);
            let mut cart = Cart::open(CartId([0; 16]), actor, [[0_u8; 0]; 0])?;
            let mut changes = Vec::new();
            for n in 1..=SCANS {
                let (line, step) = (LineId([n; 16]), StepId([n; 16]));
                changes.extend(cart.add_line(line, Hlc::default(), &[n; 120], step, Milli(1_000))?);
            }
            Ok::<_, toko_crdt::cart::CartError>(changes)
        };
        fill().map_err(failed)
    }

    /// The hub's word about carts that are done and books of long ago, entry by entry.
    fn settle(&mut self, now: UnixMicros, args: &Args) -> Result<(), Trouble> {
        let failed = "settling";
        let before = |days: u32| UnixMicros(now.0 - i64::from(days) * DAY_MICROS);
        let carts =
            self.store.reader().settlings_due(before(args.floor_days)).map_err(Trouble::product(failed))?;
        let books =
            self.store.reader().books_due(before(args.books_days)).map_err(Trouble::product(failed))?;
        let carts = carts.into_iter().map(|word| append(Lane::Floor, Body::Settled(word)));
        let books = books.into_iter().map(|op| append(Lane::Books, Body::Op(op)));
        for word in carts.chain(books) {
            let begin = Instant::now();
            self.step(now, vec![word])?;
            self.settled_in = self.settled_in.max(begin.elapsed());
        }
        Ok(())
    }

    fn step(&mut self, now: UnixMicros, batch: Vec<Request>) -> Result<(), Trouble> {
        for reply in self.store.step(now, batch) {
            let why = match reply {
                Reply::Appended(Ok(Appended { parked: None, .. })) | Reply::Ingested(Ok(_)) => continue,
                other => format!("{other:?}"),
            };
            return Err(Trouble::product("a day's trade")(why));
        }
        Ok(())
    }

    fn seal(&mut self, now: UnixMicros) -> Result<(Hash, Seal), Trouble> {
        let failed = "a seal";
        let seal = self.store.reader().cut().map_err(Trouble::product(failed))?;
        let append =
            Append { lane: Lane::Books, body: Body::Seal(seal.clone()), saw: None, wait: Wait::Synced };
        match self.store.step(now, vec![Request::Append(Box::new(append))]).pop() {
            Some(Reply::Appended(Ok(written))) => Ok((written.hash, seal)),
            other => Err(Trouble::product(failed)(format!("{other:?}"))),
        }
    }

    /// Goes over the seal, and prunes what it covers and nobody need keep.
    fn let_go(&mut self, entry: Hash, seal: &Seal, now: UnixMicros, args: &Args) -> Result<(), Trouble> {
        let failed = "letting go of history";
        let reader = self.store.reader();
        let mut views = SealedViews::open(&reader).map_err(Trouble::product(failed))?;
        let checked = views.check(entry, seal, &seal.lines, false).map_err(Trouble::product(failed))?;
        if checked.verdict != Verdict::Equal {
            return Err(Trouble::product(failed)("the seal came out otherwise"));
        }
        drop(views);
        let before = |days: u32| UnixMicros(now.0 - i64::from(days) * DAY_MICROS);
        let cut = Cut {
            sealed: seal.lines.clone(),
            headquarters: None,
            log_before: before(args.floor_days),
            books_before: before(args.books_days),
        };
        let mut archive = ArchivedLog::open(&reader).map_err(Trouble::product(failed))?;
        loop {
            let plan = archive.plan(&reader, &cut, 1).map_err(Trouble::product(failed))?;
            if plan.is_empty() {
                break;
            }
            self.store.prune(plan).map_err(Trouble::product(failed))?;
        }
        let plan = archive.plan_archive(&reader, &cut).map_err(Trouble::product(failed))?;
        if let Some(below) = plan.below() {
            self.store.prune_archive(plan).map_err(Trouble::product(failed))?;
            archive.drop_below(below)?;
        }
        self.store.checkpoint().map_err(Trouble::product(failed))
    }

    /// What the views are made of.
    fn print_rows(&self, out: &mut dyn Write) -> Result<(), Trouble> {
        let views = self.store.reader().snapshot();
        writeln!(out, "{:>5} {:>9} {:>11} {:>9}", "table", "rows", "bytes", "each")?;
        for table in 0..=u8::MAX {
            let (mut rows, mut bytes) = (0_u64, 0_u64);
            let scanned = views.scan(&[table], &mut |key, value| {
                rows += 1;
                bytes += (key.len() + value.len()) as u64;
                true
            });
            scanned.map_err(Trouble::product("reading views"))?;
            if let Some(each) = bytes.checked_div(rows) {
                writeln!(out, "{table:>5x} {rows:>9} {bytes:>11} {each:>9}")?;
            }
        }
        Ok(())
    }

    /// MiB of the log, its archive, the views, and the views at the last seal, as the disk gives them: a database's file doubles
    /// when it is full, and what was never written of it takes no room.
    fn sizes(&self) -> Result<[u64; 4], Trouble> {
        let mut sizes = [0; 4];
        for file in std::fs::read_dir(&self.dir)? {
            let file = file?;
            let name = file.file_name().to_string_lossy().into_owned();
            let of = ["log-0", "log-5", "views", "sealed"].iter().position(|prefix| name.starts_with(prefix));
            if let Some(size) = of.and_then(|of| sizes.get_mut(of)) {
                *size += file.metadata()?.blocks() * BLOCK_BYTES;
            }
        }
        Ok(sizes.map(|bytes| bytes >> 20))
    }
}

fn request(lane: Lane, op: &OpV1) -> Request {
    append(lane, Body::Op(op.encode()))
}

fn append(lane: Lane, body: Body) -> Request {
    Request::Append(Box::new(Append { lane, body, saw: None, wait: Wait::Synced }))
}

fn used_key(what: What, nth_of_cart: u8, cart: u64) -> OpV1 {
    OpV1 { idem: Some(idem(nth_of_cart, cart)), what }
}

/// The job that prints a sale's receipt.
fn job(now: UnixMicros, nth: u64) -> [u8; 16] {
    dated(now, u128::from(nth).to_be_bytes())
}

/// The key of a command, as a front end would draw it.
fn idem(nth_of_cart: u8, cart: u64) -> Idem {
    let drawn = Hash::of("years/key", &[&[nth_of_cart], &cart.to_be_bytes()]).0;
    Idem { key: *drawn.first_chunk().unwrap_or(&[0; 16]), request: [nth_of_cart; 16] }
}

/// A cart of a day, made at its minute.
fn cart_of(day: u64, sales: u64, nth: u64) -> CartId {
    let within =
        i64::try_from(nth - day * sales).unwrap_or(0) * OPEN_MICROS / i64::try_from(sales).unwrap_or(1);
    let drawn = Hash::of("years/cart", &[&nth.to_be_bytes()]).0;
    CartId::made(UnixMicros(time_of(day).0 + within), *drawn.first_chunk().unwrap_or(&[0; 16]))
}

fn time_of(day: u64) -> UnixMicros {
    UnixMicros(1_700_000_000_000_000 + i64::try_from(day).unwrap_or(0) * DAY_MICROS)
}

/// What a link would carry.
fn hand_over(from: &Desk, to: &mut Desk, now: UnixMicros) -> Result<(), Trouble> {
    let theirs = from.store.reader().frontier();
    for lack in to.store.reader().frontier().lacks(&theirs) {
        let mut next = lack.from;
        while next <= lack.to {
            let entries = from.store.reader().entries(lack.journal, next, HANDED);
            let entries = entries.map_err(Trouble::product("reading entries"))?;
            let Some(last) = entries.last() else {
                return Err(Trouble::product("reading entries")("what is lacking is gone"));
            };
            next = last.seq() + 1;
            to.step(now, vec![Request::Ingest(entries)])?;
        }
    }
    Ok(())
}

fn resident_mib() -> Result<u64, Trouble> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kib.unwrap_or(0) >> 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shop_that_keeps_ten_days_stays_as_large_as_ten_days_make_it() {
        let args = ["years", "--days", "64", "--sales", "60", "--books-days", "10", "--floor-days", "3"];
        let mut said = Vec::new();
        let is_flat = years(&Args::parse_from(args), &mut said).unwrap();
        let said = String::from_utf8(said).unwrap();
        assert!(is_flat && said.contains("flat since day 21"), "{said}");
    }

    #[test]
    fn what_grows_is_named() {
        let full = [70, 6, 10, 33, 15, 6, 10, 33, 15];
        assert_eq!(grown(&full, &full), [""; 0]);
        let mut last = full;
        (last[0], last[2], last[3]) = (109, 19, 54);
        let words = ["the hub's views went from 33 to 54 MiB"];
        assert_eq!(grown(&full, &last), words, "a half and a segment more is what sums may come to");
    }
}
