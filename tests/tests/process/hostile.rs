//! F50, F32, F27: strangers and a hostile member on the store's network, while a till sells.
//!
//! What the attackers do is bounded by work, not by time: the till sells for as long as they are at it, every sale must
//! succeed, and memory is that of the real processes. Latencies are printed and not judged.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use toko_crdt::clock::Hlc;
use toko_crdt::entry::Draft;
use toko_crdt::frontier::{Frontier, Head};
use toko_crdt::hash::Hash;
use toko_crdt::ids::{JournalId, Lane, NodeId, Run, StoreId};
use toko_crdt::member::{Claim, Statement};
use toko_crdt::sign::SecretKey;
use toko_mesh::endpoint::{Dial, Endpoint};
use toko_mesh::identity::{DataDir, Role};
use toko_mesh::proto::Frame;
use toko_mesh::proto::frame::{Hello, Lanes, Lines, VERSION};
use toko_mesh::tls::TlsKey;
use toko_tests::attack::{Tap, first_packets, rubbish, send, strange_key, stranger};

use crate::rig::till::Till;
use crate::rig::{LANTERN, Shop, pence};

/// What a process may grow by while strangers flood it, and its own work goes on beside: 8 MiB for them, and as much for the
/// sales, the allocator's arenas and the pages that it does not give back.
const GROWN_MAX: usize = 16 << 20;

/// Bytes of a process that are in memory.
fn resident(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<usize>().unwrap() * 1_024
}

/// Sells until the attack is over, at least ten times. Returns how often, and the slowest sale.
fn sell_until(till: &Till, over: &AtomicBool, sample: &mut dyn FnMut()) -> (usize, Duration) {
    let (mut sales, mut slowest) = (0, Duration::ZERO);
    while sales < 10 || !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        let sale = till.sell(&format!("during-{sales}"));
        assert_eq!(sale["total"], "3.39");
        slowest = slowest.max(began.elapsed());
        sales += 1;
        sample();
    }
    (sales, slowest)
}

fn node(text: &Value) -> NodeId {
    NodeId::parse(text.as_str().unwrap()).unwrap()
}

fn in_background<T: Send>(work: impl Future<Output = T> + Send) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(work)
}

/// Handshakes that never end, and handshakes with a key that nobody knows.
async fn handshakes(to: SocketAddr, at: NodeId) {
    let endpoint = Endpoint::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let key = strange_key(77).unwrap();
    for packets in 1..=3 {
        let taps: Vec<Tap> = (0..40).map(|_| Tap::new(to, packets).unwrap()).collect();
        let mut dials = tokio::task::JoinSet::new();
        for tap in &taps {
            let (endpoint, key, dial) = (endpoint.clone(), key.clone(), stranger(tap.addr(), at));
            dials.spawn(async move { endpoint.dial(&dial, &key).await.is_ok() });
        }
        while dials.join_next().await.is_some() {}
    }
    for _ in 0..100 {
        // Our half may be done before theirs is refused; nothing can be said over it.
        if let Ok(connection) = endpoint.dial(&stranger(to, at), &key).await {
            connection.closed().await;
        }
    }
}

#[test]
fn a_flood_by_strangers_costs_8_mib_and_no_sale() {
    let mut shop = Shop::open(1);
    let till = &shop.tills[0];
    till.sell("before");
    let status = till.status();
    let doors =
        [(shop.hub.listen, node(&status["hub"]["node"])), (till.listen, node(&status["terminal"]["node"]))];
    let pids = [("hub", shop.hub.pid()), ("till", till.pid())];
    let before = pids.map(|(_, pid)| resident(pid));
    let mut most = before;
    let (over, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    let first = in_background(first_packets(500, doors[0].1)).unwrap();
    let (sales, slowest) = std::thread::scope(|scope| {
        scope.spawn(|| {
            for (to, at) in doors {
                for (seed, packets) in [(1, rubbish(20_000, 1)), (2, [first.clone(), first.clone()].concat())]
                {
                    let bytes = send(to, &packets, 16 * seed).unwrap();
                    sent.fetch_add(bytes, Ordering::Relaxed);
                }
                in_background(handshakes(to, at));
            }
            over.store(true, Ordering::Relaxed);
        });
        sell_until(till, &over, &mut || {
            for (most, (_, pid)) in most.iter_mut().zip(pids) {
                *most = resident(pid).max(*most);
            }
        })
    });
    let sent = sent.load(Ordering::Relaxed);
    for ((name, _), (most, before)) in pids.iter().zip(most.into_iter().zip(before)) {
        let grown = most.saturating_sub(before);
        eprintln!("{name}: {sent} bytes of floods, {before} bytes before, {grown} more at most");
        assert!(grown <= GROWN_MAX, "{name} grew by {grown} bytes");
    }
    eprintln!("{sales} sales meanwhile, the slowest took {} ms", slowest.as_millis());
    let sold = i64::try_from(sales + 1).unwrap();
    shop.agrees(sold, sold * LANTERN);
    shop.tills.iter_mut().for_each(Till::stop);
}

/// A member whose key somebody else holds.
struct Spy {
    key: SecretKey,
    store: StoreId,
    hub: Dial,
    endpoint: Endpoint,
}

impl Spy {
    fn entry(&self, run: u64) -> Vec<u8> {
        let journal = JournalId { node: self.key.node(), run: Run(run), lane: Lane::Books };
        let body = [&[0x40][..], &[7; 300]].concat();
        let draft = Draft { journal, seq: 1, prev: Hash::ZERO, at: Hlc::default(), saw: None, body };
        draft.sign(&self.store, &self.key).encode()
    }

    /// Greets, then sends frames until all are sent or the hub has had enough. Reads nothing. Returns the bytes sent.
    async fn talk(&self, frames: impl Iterator<Item = Vec<u8>>) -> usize {
        let key = TlsKey::new(&self.key).unwrap();
        let connection = loop {
            // A hub that is done with us for now lets us in again.
            if let Ok(connection) = self.endpoint.dial(&self.hub, &key).await {
                break connection;
            }
        };
        let Ok((mut to, _from)) = connection.open_bi().await else { return 0 };
        let hello = Frame::Hello(Hello {
            version_min: VERSION,
            version_max: VERSION,
            store: self.store,
            incarnation: 99,
            lanes: Lanes::All,
            push: true,
            addrs: Vec::new(),
        });
        let root = Frame::Root { root: Hash([1; 32]), members: Hash([2; 32]) };
        let mut sent = 0;
        for bytes in [hello.encode(), root.encode()].into_iter().chain(frames) {
            if to.write_all(&bytes).await.is_err() {
                break;
            }
            sent += bytes.len();
        }
        // Waits until the hub closes, or has everything.
        drop(to.finish());
        drop(tokio::time::timeout(Duration::from_secs(20), to.stopped()).await);
        sent
    }

    fn journal(&self, at: u64) -> JournalId {
        let mut node = [0; 32];
        node[..8].copy_from_slice(&at.to_be_bytes());
        JournalId { node: NodeId(node), run: Run(at), lane: Lane::Books }
    }

    async fn everything(&self, known: JournalId) -> usize {
        let head = Head { seq: 9, hash: Hash([5; 32]) };
        let lines = |at: u64| {
            let lines: Frontier = (at * 500..(at + 1) * 500).map(|at| (self.journal(at), head)).collect();
            Frame::Lines(Lines { whole: true, more: true, root: None, lines }).encode()
        };
        let statements = |at: u16| {
            let claim = |n| Claim::Terminal { term: 1, key: self.key.public(), number: n, name: "x".into() };
            let sign = |n| {
                let mut bytes = Statement::sign(&self.store, &self.key, claim(n)).encode();
                if at.is_multiple_of(2) {
                    // Half of them nobody signed.
                    *bytes.last_mut().unwrap() ^= 1;
                }
                bytes.into()
            };
            Frame::Statements((1 + at * 100..101 + at * 100).map(sign).collect()).encode()
        };
        let batch = |at: u64| {
            let journal = JournalId { run: Run(at), node: self.key.node(), lane: Lane::Books };
            Frame::Batch { journal, entries: vec![self.entry(at).into()] }.encode()
        };
        let mut sent = self.talk((0..200).map(lines)).await;
        sent += self.talk((0..200).map(statements)).await;
        sent += self.talk((0..4_000).map(batch)).await;
        sent +=
            self.talk((0..20_000).map(|_| Frame::Want { journal: known, from: 1, to: 99 }.encode())).await;
        sent += self
            .talk((0..20_000).map(|at| Frame::NoEntries { journal: self.journal(at), from: 1 }.encode()))
            .await;
        sent += self.talk(std::iter::repeat_n(Frame::WantLines.encode(), 2_000)).await;
        sent += self.talk(std::iter::repeat_n([0xff; 64].to_vec(), 2_000)).await;
        sent += self.talk((0..200).map(|_| [&[0, 0, 1, 0][..], &[1, 5], &[0; 65_534]].concat())).await;
        sent
    }
}

#[test]
fn a_flood_by_a_member_costs_little_memory_and_no_sale() {
    let mut shop = Shop::open(1);
    let spy = Till::enrol(shop.dir.path(), &shop.hub, "Spy");
    let key = DataDir::open(&spy.data, Role::Terminal).unwrap().key().clone();
    let store = DataDir::open(&spy.data, Role::Terminal).unwrap().sentinel().store();
    let till = &shop.tills[0];
    till.sell("before");
    let status = till.status();
    let hub = node(&status["hub"]["node"]);
    let pid = shop.hub.pid();
    let (before, mut most) = (resident(pid), 0);
    let (over, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    let listen = shop.hub.listen;
    let (sales, slowest) = std::thread::scope(|scope| {
        scope.spawn(|| {
            let all = in_background(async {
                let endpoint = Endpoint::bind(([127, 0, 0, 1], 0).into()).unwrap();
                let spy = Spy { key, store, hub: Dial::member(listen, hub), endpoint };
                let known = JournalId { node: hub, run: Run(1), lane: Lane::Books };
                spy.everything(known).await
            });
            sent.store(all, Ordering::Relaxed);
            over.store(true, Ordering::Relaxed);
        });
        sell_until(till, &over, &mut || most = resident(pid).max(most))
    });
    let (sent, grown) = (sent.load(Ordering::Relaxed), most.saturating_sub(before));
    eprintln!("hub: a member sent {sent} bytes, {before} bytes before, {grown} more at most");
    eprintln!("{sales} sales meanwhile, the slowest took {} ms", slowest.as_millis());
    assert!(grown <= GROWN_MAX.max(4 * sent), "the hub grew by {grown} bytes for {sent}");
    let sold = i64::try_from(sales + 1).unwrap();
    till.until_at("/v1/totals?day=2010-12-01", "all sales", |totals| {
        let net = totals.get("net").or_else(|| totals.pointer("/money/0/net")).and_then(Value::as_str);
        net.map_or(0, pence) == sold * LANTERN
    });
    shop.tills.iter_mut().for_each(Till::stop);
}

/// F49: lines of a log that hold these words.
fn lines_with(log: &str, words: &str) -> usize {
    log.lines().filter(|line| line.contains(words) && !line.contains("lines left out")).count()
}

#[test]
fn a_member_that_breaks_the_rules_all_day_fills_no_log() {
    const TIMES: usize = 120;
    let mut shop = Shop::open(1);
    let spy = Till::enrol(shop.dir.path(), &shop.hub, "Spy");
    let key = DataDir::open(&spy.data, Role::Terminal).unwrap().key().clone();
    let store = DataDir::open(&spy.data, Role::Terminal).unwrap().sentinel().store();
    let (hub, listen) = (node(&shop.tills[0].status()["hub"]["node"]), shop.hub.listen);
    in_background(async {
        let endpoint = Endpoint::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let spy = Spy { key, store, hub: Dial::member(listen, hub), endpoint };
        for _ in 0..TIMES {
            spy.talk(std::iter::once([0xff; 64].to_vec())).await;
        }
    });
    shop.tills[0].sell("after");
    shop.agrees(1, LANTERN);
    shop.tills.iter_mut().for_each(Till::stop);
    shop.hub.stop();
    let log = std::fs::read_to_string(shop.dir.path().join("hub.log")).unwrap();
    let written = lines_with(&log, "the peer broke a rule of the wire");
    assert!((1..=30).contains(&written), "{written} lines for {TIMES} broken rules");
    let said = log.lines().filter(|line| line.contains("lines left out"));
    let like = said.filter(|line| line.contains("like=\"the peer broke a rule of the wire\"")).count();
    assert!(like >= 1, "what was left out is said: {log}");
    let all = log.lines().count();
    eprintln!("{TIMES} broken rules: {written} lines say so, {all} lines in all");
    assert!(all < 200, "{all} lines in all");
}

#[test]
fn connections_that_say_nothing_keep_no_till_screen_out() {
    let mut shop = Shop::open(1);
    let till = &shop.tills[0];
    let api = std::fs::read_to_string(till.data.join("api-addr")).unwrap();
    let mut slow: Vec<TcpStream> = Vec::new();
    for at in 0..300 {
        let mut guest = TcpStream::connect(api.trim()).unwrap();
        // One header, and never the next.
        drop(guest.write_all(format!("POST /v1/carts HTTP/1.1\r\nX-{at}: ").as_bytes()));
        slow.push(guest);
        if at % 50 == 49 {
            till.sell(&format!("slow-{at}"));
        }
    }
    drop(slow);
    shop.tills.iter_mut().for_each(Till::stop);
}
