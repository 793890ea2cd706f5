//! A node without a network: the product's store on a simulated disk, and whoever sells at it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use toko_crdt::body::Body;
use toko_crdt::book::rows;
use toko_crdt::clock::UnixMicros;
use toko_crdt::digest::{Digests, LOCAL_KEYS};
use toko_crdt::frontier::Frontier;
use toko_crdt::ids::CartId;
use toko_crdt::member::{Claim, Members, Statement};
use toko_crdt::sign::SecretKey;
use toko_crdt::{EffectId, Entry, Hash, JournalId, Lane, NodeId, Run, StoreId};
use toko_mesh::log::LogConfig;
use toko_mesh::proto::frame::Lanes;
use toko_mesh::proto::{Claims, Outcome};
use toko_mesh::sim_disk::{Dice, SimDisk};
use toko_mesh::store::{Append, IngestError, Ingested, Reply, Request, Store, StoreConfig, StoreSetup, Wait};
use toko_retail::catalogue::Catalogue;
use toko_retail::custody::{self, Summary};
use toko_retail::day::Day;
use toko_retail::line::PricedLine;
use toko_retail::money::Money;
use toko_retail::ops::{OpV1, What as Op};
use toko_retail::qty::Qty;
use toko_retail::sale::{Occasion, ReceiptNumber, SaleDraft, close_sale};
use toko_retail::scope::ShopScope;
use toko_retail::tender::Tender;
use toko_retail::views::{self, ShopFold};

use super::super::Setting;
use super::super::goods::{Goods, Piece};
use super::super::host::OPENING;
use super::super::ledger::{Effect, Ledger, Sums, What};

/// The business day of every sale.
const DAY: u32 = 20_261_123;
/// Series that one box may need: one more each time that its disk goes back.
const SERIES_A_BOX: u32 = 1_000;

/// How a node dies.
#[derive(Clone, Copy, Debug)]
pub(super) enum Death {
    /// Its process does.
    Killed,
    /// Its power goes, and this decides what is left of what was not synced.
    Power(u64),
    /// Its power goes, and nothing is left of what was not synced.
    Worst,
}

pub(super) struct Node {
    key: SecretKey,
    root: SecretKey,
    number: u16,
    disk: SimDisk,
    store: Option<Store>,
    dice: Dice,
    pub(super) headquarters: bool,
    pub(super) claims: Claims,
    pub(super) hub_alive: bool,
    /// What the sessions of this node were told that it holds.
    pub(super) told: Frontier,
    /// Sales during which the store broke: whether they are on disk shows after the next start.
    in_doubt: Vec<(ReceiptNumber, Sold)>,
    /// Which box this is: no two draw the same for long, although one was copied.
    salt: u64,
    /// In which its receipts are numbered.
    series: u32,
    /// The runs that this box wrote.
    runs: Arc<Mutex<Vec<Run>>>,
    /// What it said was durable when its power went.
    claimed: Option<Frontier>,
    /// Its disk as it was when somebody made a copy.
    backup: Option<SimDisk>,
}

/// A sale that was acknowledged.
pub(super) struct Sold {
    pub(super) id: EffectId,
    number: (u16, u32, u64),
    shelf: BTreeMap<String, i64>,
    pennies: i64,
}

impl Sold {
    fn of(number: ReceiptNumber, shelf: BTreeMap<String, i64>, pennies: i64) -> Self {
        let number = (number.terminal, number.series, number.counter);
        Self { id: EffectId([0; 32]), number, shelf, pennies }
    }

    pub(super) fn effect(&self, till: usize) -> Effect {
        let what = What::Sale { lines: Vec::new(), number: self.number, day: DAY };
        Effect { what, shelf: self.shelf.clone(), cash: self.pennies, card: 0, till }
    }
}

/// Hub, terminals, headquarters. The hub knows all members; each other knows the hub and itself, and hears of the rest.
pub(super) fn found(setting: &Setting) -> Result<Vec<Node>, String> {
    let (seed, tills) = (setting.seed, setting.tills);
    let drawn = |nth: u64| Hash::of("toko/sim/bare-key/1", &[&seed.to_be_bytes(), &nth.to_be_bytes()]).0;
    let root = SecretKey::from_seed(drawn(u64::MAX));
    let store = StoreId::of(&root.public());
    let keys: Vec<SecretKey> = (0..tills as u64 + 2).map(|nth| SecretKey::from_seed(drawn(nth))).collect();
    let last = keys.len() - 1;
    let claims = keys.iter().enumerate().map(|(nth, key)| match nth {
        0 => Statement::sign(&store, &root, Claim::Hub { term: 1, key: key.public() }),
        nth if nth == last => Statement::sign(&store, &root, Claim::Headquarters { key: key.public() }),
        nth => {
            let (number, name) = (u16::try_from(nth).unwrap_or(u16::MAX), format!("Till {nth}"));
            Statement::sign(&store, &keys[0], Claim::Terminal { term: 1, key: key.public(), number, name })
        }
    });
    let claims: Vec<Statement> = claims.collect();
    let mut nodes = Vec::new();
    for (nth, key) in keys.iter().enumerate() {
        let mut node = Node {
            key: key.clone(),
            root: root.clone(),
            number: u16::try_from(nth).unwrap_or(u16::MAX),
            disk: if setting.lying_disks { SimDisk::that_lies() } else { SimDisk::new() },
            store: None,
            dice: Dice::new(seed ^ (nth as u64) << 20),
            headquarters: nth == last,
            claims: Claims::default(),
            hub_alive: nth == 0,
            told: Frontier::default(),
            in_doubt: Vec::new(),
            salt: nth as u64,
            series: series_of(nth),
            runs: Arc::default(),
            claimed: None,
            backup: None,
        };
        node.start()?;
        let known = claims.iter().enumerate().filter(|(other, _)| nth == 0 || *other == 0 || *other == nth);
        node.statements(known.map(|(_, claim)| claim.clone()).collect());
        node.beat();
        nodes.push(node);
    }
    Ok(nodes)
}

impl Node {
    pub(super) fn id(&self) -> NodeId {
        self.key.node()
    }

    pub(super) fn store_id(&self) -> StoreId {
        StoreId::of(&self.root.public())
    }

    pub(super) fn lanes(&self) -> Lanes {
        if self.headquarters { Lanes::Books } else { Lanes::All }
    }

    pub(super) fn disk(&self) -> SimDisk {
        self.disk.clone()
    }

    pub(super) fn is_up(&self) -> bool {
        self.store.is_some()
    }

    pub(super) fn is_broken(&self) -> bool {
        self.store.as_ref().is_some_and(|store| store.broken().is_some())
    }

    /// Opens the store on the disk as it is.
    pub(super) fn start(&mut self) -> Result<(), String> {
        // Of two boxes with the same dice both draw the same run, once.
        let first = self.dice.below(u64::MAX);
        let (mut first, mut draws) = (Some(first), Dice::new(first ^ self.salt << 40));
        let runs = Arc::clone(&self.runs);
        let mint_run = move || {
            let run = Run(first.take().unwrap_or_else(|| draws.below(u64::MAX)));
            runs.lock().unwrap_or_else(PoisonError::into_inner).push(run);
            run
        };
        let log = LogConfig { segment_bytes: 2 << 20, reserve_bytes: 256 << 10, ..LogConfig::default() };
        let store = Store::open(StoreSetup {
            disk: Arc::new(self.disk.clone()),
            root: self.root.public(),
            key: self.key.clone(),
            mint_run: Box::new(mint_run),
            fold: Arc::new(ShopFold),
            scope: Arc::new(ShopScope),
            config: StoreConfig { log, views_cache_bytes: 4 << 20, ..StoreConfig::default() },
        });
        let store = store.map_err(|problem| problem.to_string())?;
        self.told = store.reader().frontier();
        self.store = Some(store);
        Ok(())
    }

    /// Dies.
    pub(super) fn die(&mut self, how: Death) {
        if let (Some(store), Death::Power(_) | Death::Worst) = (&self.store, how) {
            self.claimed = Some(store.reader().frontier());
        }
        self.store = None;
        self.disk = match how {
            Death::Killed => self.disk.process_killed(),
            Death::Power(seed) => self.disk.power_cut(seed),
            Death::Worst => self.disk.power_cut_at_its_worst(),
        };
    }

    /// A journal that this node said was durable, or gave to others, before its power went, and that is not on its disk.
    pub(super) fn lost(&mut self) -> Option<String> {
        let claimed = self.claimed.take()?;
        let lack = self.frontier().lacks(&claimed).into_iter().next()?;
        let whose = if self.wrote(lack.journal.run) { "of its own" } else { "of others" };
        Some(format!(
            "what it said was safe of {:?}, {whose}, from {} to {}",
            lack.journal, lack.from, lack.to
        ))
    }

    /// Whether this box wrote that run, itself.
    pub(super) fn wrote(&self, run: Run) -> bool {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).contains(&run)
    }

    /// Another box with a copy of this disk, its dice copied too or not. It has not started yet.
    pub(super) fn copied(&self, nth: usize, dice_too: bool) -> Self {
        let salt = nth as u64;
        let dice = self.dice.clone();
        Self {
            key: self.key.clone(),
            root: self.root.clone(),
            number: self.number,
            disk: self.disk.copied(),
            store: None,
            dice: if dice_too { dice } else { Dice::new(salt ^ dice.clone().below(u64::MAX)) },
            headquarters: self.headquarters,
            claims: Claims::default(),
            hub_alive: false,
            told: Frontier::default(),
            in_doubt: Vec::new(),
            salt,
            series: series_of(nth),
            runs: Arc::default(),
            claimed: None,
            backup: None,
        }
    }

    /// Somebody makes a copy of the disk, and keeps it.
    pub(super) fn back_up(&mut self) {
        self.backup = Some(self.disk.copied());
    }

    /// The disk is as it was when the copy was made; the node is not running. Whether there was a copy.
    pub(super) fn go_back(&mut self) -> bool {
        let Some(backup) = self.backup.take() else { return false };
        (self.store, self.disk, self.claimed) = (None, backup, None);
        self.in_doubt.clear();
        self.series += 1;
        true
    }

    /// Once a second: views move into the database.
    pub(super) fn beat(&mut self) {
        if let Some(store) = &mut self.store {
            // A disk that is full or broken shows at the next append.
            let _ = store.checkpoint();
        }
    }

    pub(super) fn frontier(&self) -> Frontier {
        self.store.as_ref().map(|store| store.reader().frontier()).unwrap_or_default()
    }

    /// Whether a fork closed this journal here.
    pub(super) fn has_closed(&self, journal: &JournalId) -> bool {
        let Some(store) = &self.store else { return false };
        matches!(store.reader().read(|kv| rows::closed(kv, journal)), Ok(Some(_)))
    }

    /// Whether it holds all of a frontier, as far as no fork closed a journal of it.
    pub(super) fn stands_on(&self, base: &Frontier) -> bool {
        let open = base.lines().filter(|(journal, _)| !self.has_closed(journal));
        self.frontier().covers(&open.map(|(journal, head)| (*journal, *head)).collect())
    }

    pub(super) fn members(&self) -> Arc<Members> {
        match &self.store {
            Some(store) => store.reader().members(),
            None => Arc::new(Members::new(self.root.public())),
        }
    }

    pub(super) fn digests(&self) -> Option<Digests> {
        self.store.as_ref()?.reader().digests().ok()
    }

    /// Takes statements in. Whether any was new.
    pub(super) fn statements(&mut self, statements: Vec<Statement>) -> bool {
        let Some(store) = &mut self.store else { return false };
        store.step(OPENING, vec![Request::Statements(statements)]).into_iter().any(|reply| match reply {
            Reply::Statements(Ok(answers)) => answers.into_iter().any(|answer| matches!(answer, Ok(true))),
            _ => false,
        })
    }

    /// Takes a stretch of a journal in.
    pub(super) fn ingest(&mut self, now: i64, batch: Vec<Entry>) -> Outcome {
        let (Some(store), Some(first)) = (&mut self.store, batch.first()) else { return Outcome::Refused };
        let journal = *first.journal();
        match store.step(wall(now), vec![Request::Ingest(batch)]).pop() {
            Some(Reply::Ingested(Ok(Ingested { forked: true, .. }))) => Outcome::Closed,
            Some(Reply::Ingested(Ok(Ingested { above_close, .. }))) if above_close > 0 => Outcome::Closed,
            Some(Reply::Ingested(Ok(_))) => {
                let frontier = store.reader().frontier();
                frontier.head(&journal).copied().map_or(Outcome::Refused, Outcome::Held)
            }
            Some(Reply::Ingested(Err(error))) => match error {
                IngestError::UnknownAuthor(_) => Outcome::UnknownAuthor,
                IngestError::Proof(proof) => Outcome::Bad(proof),
                IngestError::Gap { .. } => Outcome::Gap,
                IngestError::Diverges { seq } => Outcome::Diverges { seq },
                _ => Outcome::Refused,
            },
            _ => Outcome::Refused,
        }
    }

    pub(super) fn load(&self, journal: JournalId, from: u64, to: u64, bytes_max: usize) -> Vec<Arc<[u8]>> {
        let read = self.store.as_ref().map(|store| store.reader().entries(journal, from, bytes_max));
        let entries = read.and_then(Result::ok).unwrap_or_default();
        entries.into_iter().take_while(|entry| entry.seq() <= to).map(|entry| entry.encode().into()).collect()
    }

    /// Sells a basket. Nothing where the disk does not take it now.
    ///
    /// Errors: what no till may answer.
    pub(super) fn sell(
        &mut self,
        now: i64,
        catalogue: &Catalogue,
        goods: &Goods,
        basket: &[Piece],
    ) -> Result<Option<Sold>, String> {
        let words = |problem: &dyn std::fmt::Display| format!("I1: a sale was refused: {problem}");
        let Some(store) = &mut self.store else { return Ok(None) };
        let high = store.reader().read(|kv| views::series_high(kv, self.number, self.series));
        let number = ReceiptNumber::next(self.number, self.series, high.map_err(|problem| words(&problem))?);
        let day = Day::stored(DAY).map_err(|problem| words(&problem))?;
        let occasion = Occasion::new(day, wall(now), number.map_err(|problem| words(&problem))?);
        let (number, mut shelf, mut pennies) = (occasion.number, BTreeMap::new(), 0);
        let mut draft = SaleDraft::new(occasion, catalogue.currency());
        for piece in basket {
            let Some(item) = catalogue.lookup(&piece.code) else { continue };
            let qty = Qty::pieces(piece.pieces).map_err(|problem| words(&problem))?;
            draft.lines.push(PricedLine::of_item(&piece.code, &item, qty, None));
            let usual = goods.usual(piece);
            pennies += usual.pennies;
            if usual.shelf {
                *shelf.entry(usual.code).or_default() -= usual.pieces;
            }
        }
        if pennies > 0 {
            let cash = Tender::cash(Money::minor(pennies, catalogue.currency()));
            draft.tenders = vec![cash.map_err(|problem| words(&problem))?];
        }
        let sale = close_sale(&draft).map_err(|problem| words(&problem))?;
        let body = Body::Op(OpV1::new(Op::Sale(Box::new(sale))).encode());
        let append = Append { lane: Lane::Books, body, saw: None, wait: Wait::Synced };
        match store.step(wall(now), vec![Request::Append(Box::new(append))]).pop() {
            Some(Reply::Appended(Ok(appended))) => {
                Ok(Some(Sold { id: EffectId(appended.hash.0), ..Sold::of(number, shelf, pennies) }))
            }
            _ => {
                if store.broken().is_some() {
                    self.in_doubt.push((number, Sold::of(number, shelf, pennies)));
                }
                Ok(None)
            }
        }
    }

    /// Opens a cart and leaves it open: something for the floor lane. Whether it was kept.
    pub(super) fn park(&mut self, now: i64, name: &str) -> bool {
        let (id, drawn) = (self.id(), self.dice.below(u64::MAX));
        let Some(store) = &mut self.store else { return false };
        let mut cart = [7; 16];
        cart[..8].copy_from_slice(&drawn.to_be_bytes());
        let total = Money::zero(match toko_retail::currency::Currency::parse("GBP") {
            Ok(currency) => currency,
            Err(_) => return false,
        });
        let summary = Summary { name: name.to_owned(), lines: 0, total };
        let Ok(op) = custody::take(CartId(cart), None, id, &summary) else { return false };
        let body = Body::Op(OpV1::new(Op::Custody(op)).encode());
        let append = Append { lane: Lane::Floor, body, saw: None, wait: Wait::Memory };
        let replies = store.step(wall(now), vec![Request::Append(Box::new(append))]);
        matches!(replies.first(), Some(Reply::Appended(Ok(_))))
    }

    /// Sales that were in doubt and turn out to be kept.
    pub(super) fn settled(&mut self) -> Vec<Sold> {
        let Some(store) = &self.store else { return Vec::new() };
        let mut kept = Vec::new();
        for (number, sold) in std::mem::take(&mut self.in_doubt) {
            let found = store.reader().read(|kv| views::sales_by_number(kv, number)).unwrap_or_default();
            kept.extend(found.first().map(|id| Sold { id: *id, ..sold }));
        }
        kept
    }

    /// Every row of the shared views.
    pub(super) fn rows(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut rows = BTreeMap::new();
        if let Some(store) = &self.store {
            let read = store.reader().read(|kv| {
                kv.scan(&[], &mut |key, value| {
                    let shared = key.first().is_some_and(|table| *table < LOCAL_KEYS);
                    if shared {
                        rows.insert(key.to_vec(), value.to_vec());
                    }
                    shared
                })
            });
            // Whoever cannot be read shows nothing.
            drop(read);
        }
        rows
    }

    pub(super) fn has(&self, id: EffectId) -> bool {
        let Some(store) = &self.store else { return false };
        matches!(store.reader().read(|kv| views::sale(kv, id)), Ok(Some(_)))
    }

    /// What does not hold here, once all agree.
    pub(super) fn weigh(&self, nth: usize, ledger: &Ledger, expected: &Sums) -> Vec<String> {
        let Some(store) = &self.store else { return vec![format!("I4: {nth} does not run")] };
        let mut wrong: Vec<String> = ledger
            .effects()
            .keys()
            .filter(|id| !ledger.is_doubtful(id) && !self.has(**id))
            .take(3)
            .map(|id| format!("I1: {} is not at {nth}", id.short()))
            .collect();
        let shown = store.reader().read(|kv| {
            let mut sums = Sums::default();
            for day in views::days(kv)? {
                let totals = views::day_totals(kv, day)?;
                sums.sales += totals.sales;
                sums.returns += totals.returns;
                sums.cash += totals.tenders.iter().map(|tender| tender.amount.minor_units()).sum::<i64>();
            }
            for row in views::stock_all(kv, None, usize::MAX)? {
                sums.shelf.insert(row.sku, row.on_hand.milli_units() / 1_000);
            }
            sums.shelf.retain(|_, pieces| *pieces != 0);
            Ok((sums, rows::parked_all(kv)?.len()))
        });
        match shown {
            Ok((sums, 0)) if sums == *expected => {}
            Ok((sums, parked)) => {
                let counted = (sums.sales, sums.cash, sums.shelf.len(), parked);
                let known = (expected.sales, expected.cash, expected.shelf.len(), 0);
                wrong.push(format!(
                    "I6: {nth} has {counted:?} sales, pennies, codes, set aside; due is {known:?}"
                ));
            }
            Err(problem) => wrong.push(format!("I10: the views of {nth}: {problem}")),
        }
        wrong
    }
}

fn series_of(nth: usize) -> u32 {
    1 + u32::try_from(nth).unwrap_or(0) * SERIES_A_BOX
}

fn wall(now: i64) -> UnixMicros {
    UnixMicros(OPENING.0.saturating_add(now))
}
