//! Days that a shop has behind it: the signed entries of 24 terminals, made without any of them, so that a month takes seconds.
//!
//! Invariants: they are what terminals write (chained, signed, numbered from the journal's first entry on), so whoever takes
//! them in does all that it would have done at the time.

use toko_crdt::clock::Hlc;
use toko_crdt::entry::Draft;
use toko_crdt::member::{Claim, Statement};
use toko_crdt::sign::SecretKey;
use toko_crdt::{Body, Entry, Hash, JournalId, Lane, Run, StoreId};

use super::goods::Goods;
use super::place::now;
use super::trouble::Trouble;

/// Terminals.
pub const TILLS: u16 = 24;
/// Sales of a busy day.
pub const DAY: u64 = 5_000;
/// Entries that come in one piece.
const BATCH: u64 = 128;

/// What the terminals have written so far.
#[derive(Debug)]
pub struct Past {
    store: StoreId,
    keys: Vec<SecretKey>,
    heads: Vec<(u64, Hash)>,
    sold: u64,
}

impl Past {
    /// Nothing yet.
    pub fn of(store: StoreId) -> Self {
        let key = |nth: u16| {
            let [high, low] = nth.to_be_bytes();
            SecretKey::from_seed(
                [high, low, 77]
                    .into_iter()
                    .cycle()
                    .take(32)
                    .collect::<Vec<_>>()
                    .try_into()
                    .unwrap_or([1; 32]),
            )
        };
        let keys: Vec<SecretKey> = (0..TILLS).map(key).collect();
        let heads = vec![(0, Hash::ZERO); keys.len()];
        Self { store, keys, heads, sold: 0 }
    }

    /// The terminals' keys.
    pub fn keys(&self) -> &[SecretKey] {
        &self.keys
    }

    /// That they belong to the store, as its hub says.
    pub fn statements(&self, hub: &SecretKey) -> Vec<Statement> {
        // Numbers above those of terminals that are really there.
        let claim = |(nth, key): (u16, &SecretKey)| Claim::Terminal {
            term: 1,
            key: key.public(),
            number: 100 + nth,
            name: format!("Past {nth}"),
        };
        (0..TILLS).zip(&self.keys).map(|of| Statement::sign(&self.store, hub, claim(of))).collect()
    }

    /// The next day, in pieces that a store takes in at once: each is a stretch of one journal.
    pub fn day(&mut self, goods: &Goods) -> Result<Vec<Vec<Entry>>, Trouble> {
        let (each, first) = (DAY / u64::from(TILLS), self.sold);
        self.sold += DAY;
        let (keys, store) = (&self.keys, self.store);
        let made = std::thread::scope(|scope| {
            let mut all = Vec::new();
            for (nth, (key, head)) in keys.iter().zip(&mut self.heads).enumerate() {
                let first = first + nth as u64 * each;
                all.push(scope.spawn(move || write(goods, store, key, head, first, each)));
            }
            let join = |ended: std::thread::ScopedJoinHandle<'_, Result<Vec<Entry>, Trouble>>| {
                ended.join().map_err(|_| Trouble::product("a day of the past")("a writer panicked"))?
            };
            all.into_iter().map(join).collect::<Result<Vec<_>, Trouble>>()
        })?;
        let batch = usize::try_from(BATCH).unwrap_or(1);
        let stretches = made.iter().flat_map(|entries| entries.chunks(batch).map(<[Entry]>::to_vec));
        Ok(stretches.collect())
    }
}

fn write(
    goods: &Goods,
    store: StoreId,
    key: &SecretKey,
    head: &mut (u64, Hash),
    first: u64,
    count: u64,
) -> Result<Vec<Entry>, Trouble> {
    let journal = JournalId { node: key.node(), run: Run(1), lane: Lane::Books };
    let mut entries = Vec::new();
    let mut sign = |body: Vec<u8>| {
        let (seq, prev) = (head.0 + 1, head.1);
        let at = Hlc { micros: u64::try_from(now().0).unwrap_or(0), tick: 0 };
        let entry = Draft { journal, seq, prev, at, saw: None, body }.sign(&store, key);
        *head = (seq, entry.hash());
        entries.push(entry);
    };
    if first < DAY {
        sign(Body::Continues(None).encode());
    }
    for nth in first..first + count {
        sign(Body::Op(goods.sale(nth)?.encode()).encode());
    }
    Ok(entries)
}
