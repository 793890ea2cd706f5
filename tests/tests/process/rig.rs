//! A shop of real processes in a temporary directory: one hub, its tills, and what everybody says of the books.
//!
//! Invariants: every process dies with the test that started it, even if the test program is killed; every box keeps its
//! port over restarts, so that addresses which were told once stay good.

pub(crate) mod hq;
pub(crate) mod hub;
pub(crate) mod till;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use toko_tests::demo::cast::PARENT;
use toko_tests::door::{DoorError, run_command};
use toko_tests::process::{Daemon, Program, free_udp_port, wait_until};

pub(crate) use hq::Hq;
pub(crate) use hub::Hub;
pub(crate) use till::Till;

/// How long anything may take: debug builds on a busy machine included. Nothing waits that long when all is well.
pub(crate) const SOON: Duration = Duration::from_secs(90);
/// The executable that plays every daemon.
pub(crate) const DEMO: &str = env!("CARGO_BIN_EXE_demo");
/// The business day of every test.
pub(crate) const DAY: &str = "2010-12-01";
/// What the shop sells; one lantern is what [`Till::sell`] sells.
pub(crate) const ITEMS: &str = "sku,name,price,service\n\
                     71053,WHITE METAL LANTERN,3.39,no\n\
                     85123A,WHITE HANGING HEART T-LIGHT HOLDER,2.55,no\n";
/// The price of a lantern, in pence.
pub(crate) const LANTERN: i64 = 339;

/// One store: a hub, and tills that are linked to it and to each other.
pub(crate) struct Shop {
    pub(crate) dir: TempDir,
    pub(crate) hub: Hub,
    pub(crate) tills: Vec<Till>,
}

impl Shop {
    /// Founds a store with this many tills, stocks it, and opens the business day everywhere.
    pub(crate) fn open(tills: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let hub = Hub::found(dir.path(), "hub");
        hub.import(ITEMS);
        let tills = (1..=tills).map(|at| Till::enrol(dir.path(), &hub, &format!("Till {at}"))).collect();
        let mut shop = Self { dir, hub, tills };
        shop.tills.iter_mut().for_each(Till::start);
        shop.meet();
        if let Some(first) = shop.tills.first() {
            first.post("/v1/day", "day", &serde_json::json!({ "date": DAY })).unwrap();
        }
        for till in &shop.tills {
            till.until("the business day", |status| status["business_day"] == DAY);
        }
        shop
    }

    /// Waits until every till prices from the catalogue and is linked to the hub and to every other till.
    fn meet(&self) {
        for till in &self.tills {
            till.until("the catalogue", |status| status["catalogue"]["items"] == 2);
            till.until("all links", |status| settled(status) >= self.tills.len());
        }
    }

    /// Waits until hub and tills say the same, then holds that against what was sold.
    pub(crate) fn agrees(&self, sales: i64, net: i64) -> Books {
        agree(&self.hub, &self.tills.iter().collect::<Vec<_>>(), sales, net)
    }
}

/// What one box says of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Books {
    /// Digests of the views, books and floor, and the root of all that is durable.
    pub(crate) digests: [String; 3],
    pub(crate) sales: i64,
    /// In pence.
    pub(crate) net: i64,
}

impl Books {
    /// From a status and the day's totals; a day without business has neither sales nor money.
    fn of(status: &Value, totals: &Value) -> Self {
        let net = totals.get("net").or_else(|| totals.pointer("/money/0/net"));
        let digest = |at: &str| status.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            digests: ["/digests/books", "/digests/floor", "/frontier"].map(digest),
            sales: totals["sales"].as_i64().unwrap_or(0),
            net: net.and_then(Value::as_str).map_or(0, pence),
        }
    }
}

/// Waits until these tills and the hub hold the same, and that is what was sold.
pub(crate) fn agree(hub: &Hub, tills: &[&Till], sales: i64, net: i64) -> Books {
    wait_until(&format!("all books to agree on {sales} sales of {net} pence"), SOON, || {
        let at_hub = hub.books()?;
        for till in tills {
            let here = till.books()?;
            if here != at_hub {
                return Err(format!("the hub has {at_hub:?}, {} has {here:?}", till.name));
            }
        }
        if (at_hub.sales, at_hub.net) == (sales, net) { Ok(at_hub) } else { Err(format!("{at_hub:?}")) }
    })
    .unwrap()
}

/// Links of a status that carry entries.
pub(crate) fn settled(status: &Value) -> usize {
    let links = status["links"].as_array().map_or(&[][..], Vec::as_slice);
    links.iter().filter(|link| link["settled"] == true).count()
}

/// Whether an alert with this code is among those of a status.
pub(crate) fn has_alert(status: &Value, code: &str) -> bool {
    status["alerts"].as_array().is_some_and(|alerts| alerts.iter().any(|alert| alert["code"] == code))
}

/// Decimal text with two digits, in its smallest unit.
pub(crate) fn pence(text: &str) -> i64 {
    text.replace('.', "").parse().unwrap_or_else(|_| panic!("{text:?} is no amount"))
}

/// A process that plays `args[0]`. It dies with the thread that starts it.
pub(crate) fn daemon(dir: &Path, name: &str, args: &[&str], env: &[(&str, &str)]) -> Daemon {
    daemon_of(Path::new(DEMO), dir, name, args, env)
}

/// Likewise, of another build.
pub(crate) fn daemon_of(exe: &Path, dir: &Path, name: &str, args: &[&str], env: &[(&str, &str)]) -> Daemon {
    let own = [(PARENT, std::process::id().to_string())];
    let env = env.iter().map(|(key, value)| (*key, (*value).to_owned())).chain(own);
    Daemon::start(&Program {
        name: name.to_owned(),
        exe: exe.into(),
        args: ["--as"].iter().chain(args).map(|arg| (*arg).to_owned()).collect(),
        env: env.map(|(key, value)| (key.to_owned(), value)).collect(),
        log: dir.join(format!("{name}.log")),
    })
    .unwrap()
}

/// Runs a command to its end and returns what it printed.
pub(crate) fn order(args: &[&str]) -> String {
    let printed = run_command(Path::new(DEMO), &[&["--as"], args].concat(), SOON).unwrap();
    String::from_utf8(printed).unwrap()
}

/// Runs a command that must fail, and returns its exit code and what it said.
pub(crate) fn refused(args: &[&str]) -> (i32, String) {
    match run_command(Path::new(DEMO), &[&["--as"], args].concat(), SOON) {
        Err(DoorError::Refused { status, body, .. }) => (status, body),
        other => panic!("{args:?} was not refused: {other:?}"),
    }
}

/// An address for a box, the same over all its restarts.
pub(crate) fn udp() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, free_udp_port().unwrap()))
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Copies a directory as `cp -a` does.
pub(crate) fn copy(from: &Path, to: &Path) {
    let done = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(done.success());
}

/// Looks until it is so.
pub(crate) fn until<T>(what: &str, look: impl FnMut() -> Result<T, String>) -> T {
    wait_until(what, SOON, look).unwrap_or_else(|late| panic!("{late}"))
}
