//! What is kept and not in the books: shown entry by entry, with what a person may do about it.
//!
//! Invariant: looking changes nothing; what a person lets in, or tries again, is said in the log and, where it is for everybody,
//! by an entry of the hub. Everything here is told from the entry's own bytes, from the member statements and
//! from its code; none of it is believed.

use crate::answers;
use crate::desk::{Answer, Desk, Refusal, Shared};
use axum::extract::Query;
use axum::extract::State;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use toko_crdt::book::rows::{self, Parked};
use toko_crdt::book::{Applied, Code};
use toko_crdt::clock::UnixMicros;
use toko_crdt::entry::Saw;
use toko_crdt::hash::hex;
use toko_crdt::ids::EntryRef;
use toko_crdt::member::Members;
use toko_crdt::{Body, EffectId, Entry, Hash, StoreId};
use toko_mesh::node::{AdmitError, Node};
use toko_retail::ops::{OpError, OpKind, OpV1};

/// Letters of an entry's id in a list.
const SHORT: usize = 12;
/// Most entries of one journal that are flagged one by one: its newest.
const FLAGGED_MAX: u64 = 1_000;
/// Fewest letters that name an entry.
const PREFIX_MIN: usize = 4;

/// The routes of `hubctl quarantine`.
pub(crate) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/quarantine", get(list))
        .route("/quarantine/entry", get(show))
        .route("/quarantine/retry", post(retry))
        .route("/quarantine/admit", post(admit))
}

/// How many entries are parked with which code.
pub(crate) fn counts(parked: &[Parked]) -> Value {
    let mut counts = BTreeMap::<_, usize>::new();
    parked.iter().for_each(|parked| *counts.entry(parked.code.word()).or_default() += 1);
    json!(counts)
}

async fn list(State(desk): Shared) -> Answer {
    let members = desk.node.members();
    let mut rows = Vec::new();
    for parked in desk.node.read(rows::parked_all)? {
        rows.push(Found::look(&desk.node, parked)?.card(&members));
    }
    Ok(Json(json!({ "quarantine": rows, "flagged": flagged(&desk.node, &members)? })))
}

/// Entries that count, and that a person should look at: of revoked nodes, above the cut of their revocation.
fn flagged(node: &Node, members: &Members) -> Result<Vec<Value>, Refusal> {
    let mut rows = Vec::new();
    for late in node.late() {
        let from = late.to.saturating_sub(FLAGGED_MAX).max(late.from);
        for seq in from..=late.to {
            let place = EntryRef { journal: late.journal, seq };
            let Some(entry) = node.entry(&place).map_err(|problem| Refusal::store(&problem))? else {
                continue;
            };
            let found = Found {
                parked: Parked { effect: entry.hash().into(), place, code: Code::OutOfScope },
                entry: Some(entry),
            };
            let mut row = found.card(members);
            row["code"] = json!("after-revocation");
            row["reason"] = json!("its author was revoked before this came to light; it counts all the same");
            row["may"] = json!("look");
            row["advice"] =
                json!("ask whoever was there; undo it by a return or a movement if it never happened");
            rows.push(row);
        }
    }
    Ok(rows)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhichEntry {
    entry: String,
}

async fn show(State(desk): Shared, query: Result<Query<WhichEntry>, QueryRejection>) -> Answer {
    let Query(WhichEntry { entry }) = query?;
    let found = Found::look(&desk.node, named(&desk.node, &entry)?)?;
    Ok(Json(found.page(&desk.node.members(), &desk.node.store_id())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhichEntries {
    /// All, where it is empty.
    entries: Vec<String>,
}

async fn retry(State(desk): Shared, body: Result<Json<WhichEntries>, JsonRejection>) -> Answer {
    let Json(WhichEntries { entries }) = body?;
    let effects: Vec<EffectId> = if entries.is_empty() {
        desk.node.read(rows::parked_all)?.iter().map(|parked| parked.effect).collect()
    } else {
        let named = entries.iter().map(|entry| Ok(named(&desk.node, entry)?.effect));
        named.collect::<Result<_, Refusal>>()?
    };
    let came = desk.node.retry(effects.clone()).await.map_err(|problem| Refusal::store(&problem))?;
    let rows = effects.iter().zip(came).map(|(effect, came)| {
        let code = match came {
            Some(Applied::Parked(code)) => Some(code),
            Some(Applied::Folded | Applied::Already) | None => None,
        };
        json!({
            "entry": effect.to_string(),
            "short": effect.to_string().get(..SHORT),
            "state": if code.is_some() { "parked" } else { "counts" },
            "code": code.map(Code::word),
            "reason": code.map(Code::reason),
        })
    });
    Ok(Json(json!({ "retried": rows.collect::<Vec<_>>() })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LetIn {
    entry: String,
    why: String,
}

async fn admit(State(desk): Shared, body: Result<Json<LetIn>, JsonRejection>) -> Answer {
    let Json(LetIn { entry, why }) = body?;
    if why.trim().is_empty() {
        return Err(Refusal::bad("why", "say why with --why: it stands in the books beside the entry"));
    }
    let effect = named(&desk.node, &entry)?.effect;
    let admitted = desk.node.admit(effect, why.trim()).await.map_err(|problem| match problem {
        AdmitError::NotSaved(_) | AdmitError::Views(_) | AdmitError::Entry(_) => Refusal::store(&problem),
        _ => Refusal::bad("not-admitted", format!("it stays out: {problem}")),
    })?;
    Ok(Json(json!({
        "entry": effect.to_string(),
        "short": effect.to_string().get(..SHORT),
        "admission": admitted.said.hash.to_string(),
        "state": if admitted.still.is_some() { "parked" } else { "counts" },
        "code": admitted.still.map(Code::word),
        "reason": admitted.still.map(Code::reason),
    })))
}

/// The parked entry whose id begins so.
fn named(node: &Node, id: &str) -> Result<Parked, Refusal> {
    let id = id.trim().to_ascii_lowercase();
    let all = node.read(rows::parked_all)?;
    let fits: Vec<&Parked> =
        all.iter().filter(|parked| hex(&parked.effect.0).starts_with(id.as_str())).collect();
    match fits.as_slice() {
        [one] if id.len() >= PREFIX_MIN => Ok(**one),
        [_, _, ..] => Err(Refusal::bad(
            "which-entry",
            format!("several entries begin with \"{id}\"; write more of the one you mean"),
        )),
        _ => Err(Refusal::bad(
            "no-such-entry",
            format!(
                "no parked entry begins with \"{id}\"; hubctl quarantine list names them ({PREFIX_MIN} letters at least)"
            ),
        )),
    }
}

/// A parked effect, with the entry that says it, as far as that is here.
struct Found {
    parked: Parked,
    entry: Option<Entry>,
}

impl Found {
    fn look(node: &Node, parked: Parked) -> Result<Self, Refusal> {
        let entry = node.entry_by_hash(&Hash(parked.effect.0)).map_err(|problem| Refusal::store(&problem))?;
        Ok(Self { parked, entry })
    }

    fn body(&self) -> Option<&[u8]> {
        self.entry.as_ref()?.body()
    }

    /// The shop's op inside, where it is one.
    fn op(&self) -> Option<&[u8]> {
        Body::op_of(self.body()?)
    }

    /// What it says it is: told from its first bytes alone.
    fn kind(&self) -> String {
        match (self.body(), self.op()) {
            (None, _) => "nothing any more".into(),
            (_, Some(op)) => {
                OpKind::peek(op).map_or_else(|| "an op of another version".into(), |kind| format!("{kind:?}"))
            }
            (Some(body), None) => Body::family_word(body).into(),
        }
    }

    fn may(&self) -> May {
        match self.parked.code {
            Code::OutOfScope if self.op().is_some() => May::Admit,
            Code::Panicked | Code::Killed => May::Retry,
            Code::Newer => May::Upgrade,
            Code::UnknownAuthor | Code::Pruned => May::Wait,
            _ => May::Nothing,
        }
    }

    fn card(&self, members: &Members) -> Value {
        let Parked { effect, place, code } = &self.parked;
        let author = self.entry.as_ref().map_or(&place.journal.node, Entry::author);
        let at = self.entry.as_ref().map(|entry| utc(entry.at().wall()));
        json!({
            "entry": effect.to_string(),
            "short": effect.to_string().get(..SHORT),
            "code": code.word(),
            "reason": code.reason(),
            "kind": self.kind(),
            "author": answers::name_of(members, author),
            "carrier": (author != &place.journal.node).then(|| answers::name_of(members, &place.journal.node)),
            "place": format!("{}/{:?}/{}", answers::name_of(members, &place.journal.node), place.journal.lane, place.seq).to_lowercase(),
            "at": at,
            "bytes": self.entry.as_ref().map(|entry| entry.encode().len()),
            "may": self.may().word(),
            "advice": self.may().advice(),
        })
    }

    fn page(&self, members: &Members, store: &StoreId) -> Value {
        let mut page = self.card(members);
        page["detail"] = json!(self.detail(members, store));
        page["envelope"] = json!(self.entry.as_ref().map(|entry| envelope(entry, members)));
        page["body"] = json!(self.body().map(hex));
        page["op"] = json!(self.op().and_then(|op| OpV1::decode(op).ok()));
        page
    }

    /// What this build finds when it tries to read it.
    fn detail(&self, members: &Members, store: &StoreId) -> Option<String> {
        let (entry, body) = (self.entry.as_ref()?, self.body()?);
        if self.parked.code == Code::OutOfScope {
            return Some(format!("{} wrote {}", roles(members, entry), self.kind()));
        }
        match self.op().map(OpV1::decode) {
            Some(Err(problem @ (OpError::Newer(_) | OpError::Codec(_) | OpError::Shape(_)))) => {
                Some(problem.to_string())
            }
            Some(_) => None,
            None => Body::decode(store, body).err().map(|problem| problem.to_string()),
        }
    }
}

/// What a person may do.
#[derive(Clone, Copy)]
enum May {
    Admit,
    Retry,
    Upgrade,
    Wait,
    Nothing,
}

impl May {
    fn word(self) -> &'static str {
        match self {
            Self::Admit => "admit",
            Self::Retry => "retry",
            Self::Upgrade => "upgrade",
            Self::Wait => "wait",
            Self::Nothing => "nothing",
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Admit => {
                "if its author should have been allowed to: let it in with hubctl quarantine admit, for everybody and for good"
            }
            Self::Retry => {
                "after an upgrade, or once the machine has what it lacked: hubctl quarantine retry"
            }
            Self::Upgrade => "install the version that the author runs; it counts from then on",
            Self::Wait => "it counts by itself as soon as another machine brings what is missing",
            Self::Nothing => {
                "it stays as it is, in nobody's way; its author may do again what it was meant to do"
            }
        }
    }
}

fn envelope(entry: &Entry, members: &Members) -> Value {
    let journal = entry.journal();
    json!({
        "node": journal.node.to_string(),
        "run": format!("{:016x}", journal.run.0),
        "lane": format!("{:?}", journal.lane).to_lowercase(),
        "seq": entry.seq(),
        "prev": entry.prev().to_string(),
        "hash": entry.hash().to_string(),
        "at": entry.at().micros,
        "tick": entry.at().tick,
        "saw": entry.saw().map(|saw| match saw {
            Saw::Frontier(root) => json!({ "frontier": root.to_string() }),
            Saw::Entries(entries) => json!({ "entries": entries.len() }),
        }),
        "signature": hex(&entry.signature().0),
        "signature_holds": members.key(entry.author()).map(|key| entry.verify(&key)),
    })
}

fn roles(members: &Members, entry: &Entry) -> &'static str {
    let roles = members.roles_of(entry.author());
    match (roles.is_hub(), roles.is_terminal(), roles.headquarters) {
        (true, ..) => "a hub",
        (_, true, _) => "a terminal",
        (_, _, true) => "headquarters",
        _ => "nobody known",
    }
}

fn utc(at: UnixMicros) -> String {
    Timestamp::from_microsecond(at.0).map_or_else(|_| "time unknown".into(), |at| format!("{at:.0}"))
}
