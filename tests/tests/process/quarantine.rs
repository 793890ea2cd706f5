//! Entries that no shop should write: kept by everybody, shown with a code, in no book and in nobody's way.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use toko_crdt::clock::Hlc;
use toko_crdt::entry::Draft;
use toko_crdt::sign::SecretKey;
use toko_crdt::{Body, Hash, JournalId, Lane, Run};
use toko_mesh::identity::Role;
use toko_mesh::node::{Node, NodeConfig};
use toko_mesh::store::Wait;
use toko_retail::ops::{BundleKind, BundlePublishedV1, MoveReason, MovedLineV1, OpV1, StockMovedV1, What};
use toko_retail::scope::ShopScope;
use toko_retail::views::ShopFold;

use crate::rig::{LANTERN, Shop, Till, has_alert, order, text};

/// A version of ops that no build knows.
const FAR: u8 = 250;

mod run_alone {
    use super::*;

    /// F44, F41.
    #[test]
    fn what_a_till_may_not_write_and_what_nobody_can_read_is_kept_shown_and_in_nobodys_way() {
        let mut shop = Shop::open(2);
        shop.tills[0].sell("a");
        shop.tills[0].stop();
        // The same machine and the same key, in other hands.
        let wrote = misuse(&shop.tills[0].data);
        shop.tills[0].start();
        shop.tills[0].sell("b");
        shop.tills[1].sell("c");
        shop.agrees(3, 3 * LANTERN);

        for till in &shop.tills {
            let status = till.until("what is parked", |status| status["parked"] == wrote.len());
            assert!(has_alert(&status, "parked-entries"), "{status}");
            assert_eq!(status["parked_codes"]["out-of-scope"], 1, "{status}");
        }
        let status = shop.hub.until("what is parked", |status| status["parked"] == wrote.len());
        assert!(has_alert(&status, "parked-entries"), "{status}");
        let listed = shop.hub.ctl(&["quarantine", "list"]);
        let rows = listed["quarantine"].as_array().unwrap();
        assert_eq!(rows.len(), wrote.len(), "{listed}");
        for Wrote { entry, code, kind, .. } in &wrote {
            let row = rows.iter().find(|row| row["entry"] == entry.as_str()).unwrap();
            assert_eq!((&row["code"], &row["kind"]), (&Value::from(*code), &Value::from(*kind)), "{row}");
            assert_eq!(row["author"], "Till 1", "{row}");
            assert!(
                row["bytes"].as_u64().unwrap() > 100 && row["at"].as_str().unwrap().ends_with('Z'),
                "{row}"
            );
            assert!(!row["advice"].as_str().unwrap().is_empty(), "{row}");
        }

        for Wrote { entry, code, body, .. } in &wrote {
            let one = shop.hub.ctl(&["quarantine", "show", &entry[..12]]);
            assert_eq!((&one["entry"], &one["code"]), (&Value::from(entry.as_str()), &Value::from(*code)));
            assert_eq!(one["body"], toko_crdt::hash::hex(body), "{one}");
            assert_eq!(one["envelope"]["signature_holds"], true, "{one}");
        }
        let price = &wrote[0].entry;
        let one = shop.hub.ctl(&["quarantine", "show", price]);
        assert_eq!(one["op"]["what"]["BundlePublished"]["name"], "half price for friends", "{one}");
        assert!(one["detail"].as_str().unwrap().contains("a terminal wrote BundlePublished"), "{one}");
        let words = order(&["hubctl", "--data", text(&shop.hub.data), "quarantine", "show", price]);
        assert!(words.contains("its author may not write this kind of entry"), "{words}");
        assert_eq!(shop.hub.ctl(&["catalogue", "show"])["name"], "items", "no price came of it");
        let nobody = shop.hub.refuses(&["quarantine", "show", "ffff"]);
        assert!(nobody.0 == 1 && nobody.1.contains("no parked entry begins with"), "{nobody:?}");

        // What a person may not let in, and what trying again does not change.
        for Wrote { entry, code, .. } in &wrote[1..] {
            let no = shop.hub.refuses(&["quarantine", "admit", entry, "--why", "please"]);
            assert!(no.0 == 1 && no.1.contains("it stays out"), "{code}: {no:?}");
            assert!(no.1.contains("a person's word does not change that"), "{code}: {no:?}");
        }
        let again = shop.hub.ctl(&["quarantine", "retry", "--all"]);
        let rows = again["retried"].as_array().unwrap();
        assert!(rows.len() == wrote.len() && rows.iter().all(|row| row["state"] == "parked"), "{again}");
        shop.agrees(3, 3 * LANTERN);

        // What a person may: it counts once, everywhere, and for whoever comes later.
        let why = shop.hub.refuses(&["quarantine", "admit", price, "--why", " "]);
        assert!(why.0 == 1 && why.1.contains("say why"), "{why:?}");
        let admitted = shop.hub.ctl(&["quarantine", "admit", price, "--why", "the owner asked for it"]);
        assert_eq!((&admitted["state"], &admitted["code"]), (&Value::from("counts"), &Value::Null));
        let left = wrote.len() - 1;
        for till in &shop.tills {
            till.until("what is left", |status| status["parked"] == left);
        }
        shop.agrees(3, 3 * LANTERN);
        let twice = shop.hub.refuses(&["quarantine", "admit", price, "--why", "again"]);
        assert!(twice.0 == 1 && twice.1.contains("no parked entry"), "{twice:?}");
        let late = Till::enrol(shop.dir.path(), &shop.hub, "Till 3");
        shop.tills.push(late);
        shop.tills[2].start();
        shop.tills[2].until("what is left", |status| status["parked"] == left);
        shop.agrees(3, 3 * LANTERN);
    }
}

/// What was written, and what is to become of it.
struct Wrote {
    entry: String,
    code: &'static str,
    kind: &'static str,
    body: Vec<u8>,
}

/// Opens the directory of a terminal that does not run, and writes with its key what its program never writes.
fn misuse(data: &Path) -> Vec<Wrote> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let config = NodeConfig::new(data.to_owned(), Role::Terminal, "127.0.0.1:0".parse().unwrap());
        let node = Node::open(config, Arc::new(ShopFold), Arc::new(ShopScope)).await.unwrap();
        let mut wrote = Vec::new();
        for (code, kind, body) in bodies(&node) {
            let appended = node.append(Lane::Books, body, None, Wait::Synced).await.unwrap();
            assert_eq!(appended.parked.map(|code| code.word()), Some(code));
            let entry = node.entry(&appended.place).unwrap().unwrap();
            let (entry, body) = (entry.hash().to_string(), entry.body().unwrap().to_vec());
            wrote.push(Wrote { entry, code, kind, body });
        }
        node.shutdown().await.unwrap();
        wrote
    })
}

/// Each with its code and what it claims to be.
fn bodies(node: &Node) -> Vec<(&'static str, &'static str, Body)> {
    let price = What::BundlePublished(BundlePublishedV1 {
        kind: BundleKind::Catalogue,
        blob: [7; 32],
        prev: None,
        bytes: 100,
        items: 1,
        name: "half price for friends".to_owned(),
    });
    let lines = vec![MovedLineV1 {
        sku: "71053".to_owned(),
        name: "WHITE METAL LANTERN".to_owned(),
        qty_milli: 1_000_000,
        counted_milli: None,
    }];
    let moved = OpV1::new(What::StockMoved(StockMovedV1 {
        reason: MoveReason::Receipt,
        day: 20_101_201,
        by: None,
        lines,
        counterpart: String::new(),
        note: String::new(),
        external: String::new(),
    }))
    .encode();
    let newer = [&[FAR], &moved[1..]].concat();
    let torn = moved[..moved.len() - 1].to_vec();
    // In the name of a terminal of this store, by a key that is not its own.
    let journal = JournalId { node: node.id(), run: Run(7), lane: Lane::Books };
    let (at, body) = (Hlc { micros: 1, tick: 0 }, Body::Op(moved).encode());
    let draft = Draft { journal, seq: 1, prev: Hash::ZERO, at, saw: None, body };
    let forged = draft.sign(&node.store_id(), &SecretKey::from_seed([9; 32]));
    vec![
        ("out-of-scope", "BundlePublished", Body::Op(OpV1::new(price).encode())),
        ("newer", "an op of another version", Body::Op(newer)),
        ("newer", "a body of an unknown kind", Body::Unknown(vec![0x7e, 1, 2, 3])),
        ("unreadable", "StockMoved", Body::Op(torn)),
        ("bad-carried", "carried entry", Body::Carried(Box::new(forged))),
    ]
}
