//! Directories that are copied: as a second machine, or as an old state of the same one.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::rig::{LANTERN, Shop, Till, agree, copy, until};

mod run_alone {
    use super::*;

    /// F13.
    #[test]
    fn a_copied_directory_is_shown_and_both_sell_on_in_series_of_their_own() {
        let mut shop = Shop::open(2);
        let mut sold = vec![shop.tills[0].sell("a"), shop.tills[1].sell("b")];
        shop.tills[0].stop();
        let data = shop.dir.path().join("copy");
        copy(&shop.tills[0].data, &data);
        let mut twin = Till::over(shop.dir.path(), &data, shop.hub.listen, "twin");
        shop.tills[0].start();
        twin.start();

        // Before anybody can know, both may use one number; the tags tell such receipts apart.
        let early = [shop.tills[0].sell("c"), twin.sell("d")];
        assert_ne!(early[0]["tag"], early[1]["tag"]);
        sold.extend(early);
        shop.hub.alerts("clone-seen");
        shop.tills[1].alerts("clone-seen");

        let mut late = Vec::new();
        let mut sell_until_apart = |till: &Till, key: &str| {
            until("a series of its own", || {
                let sale = till.sell(&format!("{key}-{}", late.len()));
                late.push(sale.clone());
                if sale["series"] != 1 { Ok(()) } else { Err(sale["number"].to_string()) }
            });
        };
        sell_until_apart(&shop.tills[0], "e");
        sell_until_apart(&twin, "f");
        let apart = [shop.tills[0].sell("g"), twin.sell("h"), shop.tills[0].sell("i"), twin.sell("j")];
        let numbers: BTreeSet<_> = apart.iter().map(number).collect();
        assert_eq!(numbers.len(), 4, "{numbers:?}");
        assert_ne!(apart[0]["series"], apart[1]["series"]);
        sold.extend(late);
        sold.extend(apart);

        let count = i64::try_from(sold.len()).unwrap();
        let tills = [&shop.tills[0], &shop.tills[1], &twin];
        agree(&shop.hub, &tills, count, count * LANTERN);
        let ids: BTreeSet<_> = sold.iter().map(|sale| sale["sale"].to_string()).collect();
        assert_eq!(ids.len(), sold.len(), "each sale is one of its own");
        let stock = &shop.hub.ctl(&["stock", "71053"])["stock"][0]["qty"];
        assert_eq!(*stock, format!("-{count}"));
        // Both go on in their series after a restart.
        let series = |till: &Till| till.status()["series"].clone();
        let before = [series(&shop.tills[0]), series(&twin)];
        shop.tills[0].stop();
        twin.kill();
        shop.tills[0].start();
        twin.start();
        assert_eq!([shop.tills[0].sell("k"), twin.sell("l")].map(|sale| sale["series"].clone()), before);
        agree(&shop.hub, &[&shop.tills[0], &shop.tills[1], &twin], count + 2, (count + 2) * LANTERN);
    }

    /// F16.
    #[test]
    fn an_older_directory_gets_its_own_tail_back_and_numbers_in_a_new_series() {
        let mut shop = Shop::open(2);
        shop.tills[0].sell("a");
        shop.tills[0].stop();
        let old = shop.dir.path().join("backup");
        copy(&shop.tills[0].data, &old);
        shop.tills[0].start();
        let lost = ["b", "c", "d"].map(|key| shop.tills[0].sell(key));
        shop.agrees(4, 4 * LANTERN);
        shop.tills[0].stop();
        std::fs::remove_dir_all(&shop.tills[0].data).unwrap();
        std::fs::rename(&old, &shop.tills[0].data).unwrap();

        shop.tills[0].start();
        let till = &shop.tills[0];
        for sale in &lost {
            let id = format!("/v1/sales/{}", sale["sale"].as_str().unwrap());
            let back =
                till.until_at(&id, "its own sale to come back", |back| back["number"] == sale["number"]);
            assert_eq!(back["tag"], sale["tag"]);
        }
        let mut sold = 4;
        let fresh = until("a series of its own", || {
            sold += 1;
            let sale = till.sell(&format!("after-{sold}"));
            if sale["series"] != 1 { Ok(sale) } else { Err(sale["number"].to_string()) }
        });
        assert_eq!(fresh["counter"], 1);
        shop.hub.alerts("restore-seen");
        till.alerts("own-series");
        shop.agrees(sold, sold * LANTERN);
    }

    /// F16.
    #[test]
    fn an_older_directory_that_sells_before_it_hears_anybody_loses_nothing_either() {
        let mut shop = Shop::open(2);
        shop.tills[0].sell("a");
        shop.tills[0].stop();
        let old = shop.dir.path().join("backup");
        copy(&shop.tills[0].data, &old);
        shop.tills[0].start();
        let lost = shop.tills[0].sell("b");
        shop.agrees(2, 2 * LANTERN);
        shop.tills[0].stop();
        shop.tills[1].stop();
        shop.hub.kill();
        std::fs::remove_dir_all(&shop.tills[0].data).unwrap();
        std::fs::rename(&old, &shop.tills[0].data).unwrap();

        shop.tills[0].start();
        let twice = shop.tills[0].sell("c");
        assert_eq!(twice["number"], lost["number"], "it cannot know better");
        assert_ne!(twice["tag"], lost["tag"]);
        shop.hub.start();
        shop.tills[1].start();
        shop.hub.alerts("restore-seen");
        let mut sold = 3;
        let till = &shop.tills[0];
        till.until_at("/v1/totals", "its own tail", |totals| totals["sales"] == 3);
        until("a series of its own", || {
            sold += 1;
            let sale = till.sell(&format!("after-{sold}"));
            if sale["series"] != 1 { Ok(()) } else { Err(sale["number"].to_string()) }
        });
        till.alerts("number-twice");
        shop.agrees(sold, sold * LANTERN);
    }
}

fn number(sale: &Value) -> String {
    sale["number"].as_str().unwrap().to_owned()
}
