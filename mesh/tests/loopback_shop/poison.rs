//! An entry that kills whoever folds it, and real processes that it kills (F44).
//!
//! The hub lives here and takes no harm: its fold is of another build. The till is a process of its own, this very program
//! again, whose fold aborts at one op. It is started as a service manager starts it: each time that it has died.

use super::*;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use toko_crdt::book::rows;

const DIR: &str = "TOKO_POISON_DIR";
const HUB: &str = "TOKO_POISON_HUB";
const SIGABRT: i32 = 6;
/// More starts than it may take to find the entry.
const STARTS_MAX: usize = 8;

/// Keeps each op; one of them ends the process, another one panics.
struct Deadly;

impl Fold for Deadly {
    fn version(&self) -> u32 {
        1
    }

    fn fold(&self, kv: &mut dyn Kv, effect: &Effect<'_>) -> Result<(), FoldError> {
        match effect.op {
            b"abort" => std::process::abort(),
            b"panic" => panic!("an op that harms its reader"),
            op => Ok(kv.put(&[&[0x10], effect.id.0.as_slice()].concat(), op)?),
        }
    }
}

impl Scope for Deadly {
    fn admits(&self, roles: &Roles, _: Lane, _: &[u8]) -> bool {
        roles.any()
    }
}

/// The till's process. By itself, without a directory in the environment, it is done at once.
#[tokio::test]
async fn the_till_that_the_next_test_starts() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let hub = std::env::var(HUB).unwrap().parse().unwrap();
    let config = NodeConfig { hub: vec![hub], ..NodeConfig::new(dir.into(), Role::Terminal, here()) };
    let node = Node::open(config, Arc::new(Deadly), Arc::new(Deadly)).await.unwrap();
    let mut changed = node.changed();
    let own = Body::Op(b"sold by the till".to_vec());
    node.append(Lane::Books, own, None, Wait::Synced).await.unwrap();
    loop {
        changed.mark_unchanged();
        let (sold, mut codes) = node.read(look).unwrap();
        codes.sort();
        println!("\ntill: {sold} sold, parked: {}", codes.join(" "));
        changed.changed().await.unwrap();
    }
}

fn look(kv: &dyn toko_crdt::KvRead) -> Result<(usize, Vec<&'static str>), toko_crdt::KvError> {
    let mut sold = 0;
    kv.scan(&[0x10], &mut |_, _| {
        sold += 1;
        true
    })?;
    Ok((sold, rows::parked_all(kv)?.iter().map(|parked| parked.code.word()).collect()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_kills_the_process_is_parked_after_a_few_starts_and_the_rest_counts() {
    let shop = Shop::open().await;
    let path = shop.path("Till 1");
    let hub = shop.hub.listen_addr();
    enrol_terminal(&path, &shop.code("Till 1"), &[hub], None, &meaning()).await.unwrap();
    for what in ["tea", "panic", "milk"] {
        sell(&shop.hub, what).await;
    }
    let mut till = Till::start(&path, hub);
    till.until("3 sold, parked: panicked");

    // It comes while the till works, in the middle of others, and takes the process along.
    sell(&shop.hub, "bread").await;
    sell(&shop.hub, "abort").await;
    sell(&shop.hub, "jam").await;
    till.dies();
    let mut starts = 0;
    let mut till = loop {
        starts += 1;
        assert!(starts <= STARTS_MAX, "it never lives again");
        let mut till = Till::start(&path, hub);
        if till.hears(|said| said.contains("parked: killed panicked")) {
            break till;
        }
        till.dies();
    };
    println!("parked at start {starts}");
    // Each start that lived long enough to write wrote a sale of its own; all of them count, here and at the hub.
    till.until("parked: killed panicked");
    sell(&shop.hub, "late").await;
    let sold = |said: &str| said.split(' ').nth(1).and_then(|count| count.parse::<usize>().ok()).unwrap_or(0);
    let same = |node: &Node| {
        let at_hub = node.read(look).unwrap();
        at_hub.1.is_empty() && at_hub.0 >= 8
    };
    until(&shop.hub, "what the till sold", same).await;
    let at_hub = shop.hub.read(look).unwrap().0;
    // The hub's fold keeps the two ops that the till's does not.
    assert!(till.hears(|said| sold(said) + 2 >= at_hub), "the hub has {at_hub}");

    // One more start finds the mark: nobody dies any more.
    till.ends();
    let mut till = Till::start(&path, hub);
    till.until("parked: killed panicked");
    till.ends();
}

/// The process, and what it says.
struct Till {
    process: Child,
    said: Receiver<String>,
    /// What it said last: it says nothing while nothing changes.
    last: String,
}

impl Till {
    fn start(dir: &Path, hub: std::net::SocketAddr) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "loopback_shop::poison::the_till_that_the_next_test_starts", "--nocapture"])
            .env(DIR, dir)
            .env(HUB, hub.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (say, said) = channel();
        std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .filter(|line| line.starts_with("till: "))
                .all(|line| say.send(line).is_ok())
        });
        Self { process, said, last: String::new() }
    }

    /// Whether it says so before it ends.
    fn hears(&mut self, wanted: impl Fn(&str) -> bool) -> bool {
        let deadline = std::time::Instant::now() + SOON;
        while !wanted(&self.last) {
            match self.said.recv_timeout(deadline.saturating_duration_since(std::time::Instant::now())) {
                Ok(said) => self.last = said,
                Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => panic!("the till said last: {}", self.last),
            }
        }
        true
    }

    fn until(&mut self, wanted: &str) {
        assert!(self.hears(|said| said.ends_with(wanted)), "it ended before it said: {wanted}");
    }

    /// Waits until it was killed by its fold.
    fn dies(mut self) {
        self.hears(|_| false);
        let status = self.process.wait().unwrap();
        assert_eq!(status.signal(), Some(SIGABRT), "{status}");
    }

    fn ends(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
