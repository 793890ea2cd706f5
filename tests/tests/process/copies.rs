//! Directories that are copied: as a second machine, or as an old state of the same one.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::rig::{DAY, Hq, Hub, ITEMS, LANTERN, Shop, Till, agree, copy, has_alert, refused, text, until};

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
        assert_eq!(*stock, format!("-{count}.000"));
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

    /// F13.
    #[test]
    fn a_twin_that_falls_silent_is_a_clone_until_a_person_has_settled_it() {
        let mut shop = Shop::open(2);
        shop.tills[0].sell("a");
        shop.tills[0].stop();
        let data = shop.dir.path().join("copy");
        copy(&shop.tills[0].data, &data);
        let mut twin = Till::over(shop.dir.path(), &data, shop.hub.listen, "twin");
        shop.tills[0].start();
        twin.start();
        // What the first one wrote ends before the second one begins: by the clock alone it would be its past.
        shop.tills[0].sell("b");
        shop.hub.until("both to be heard", |status| has_alert(status, "clone-seen"));
        twin.sell("c");
        agree(&shop.hub, &[&shop.tills[0], &shop.tills[1], &twin], 3, 3 * LANTERN);
        let only_a_clone = |hub: &Hub| {
            let status = hub.ctl(&["status"]);
            assert!(has_alert(&status, "clone-seen") && !has_alert(&status, "restore-seen"), "{status}");
        };
        only_a_clone(&shop.hub);
        shop.hub.kill();
        shop.hub.start();
        only_a_clone(&shop.hub);

        twin.stop();
        let seen = shop.hub.ctl(&["alerts"])["alerts"][0].clone();
        assert_eq!((&seen["code"], &seen["about"]), (&"clone-seen".into(), &"Till 1".into()));
        let (exit, said) = shop.hub.refuses(&["alerts", "settle", "nothing"]);
        assert!(exit == 1 && said.contains("no alert has the id"), "{exit} {said}");
        shop.hub.ctl(&["alerts", "settle", seen["id"].as_str().unwrap()]);
        for _ in 0..2 {
            let status = shop.hub.ctl(&["status"]);
            assert!(!has_alert(&status, "clone-seen") && !has_alert(&status, "restore-seen"), "{status}");
            assert_eq!(shop.hub.ctl(&["alerts", "--all"])["alerts"][0]["settled"], true);
            shop.hub.kill();
            shop.hub.start();
        }
        // The copied machine is enrolled as one of its own, and the shop goes on.
        std::fs::remove_dir_all(&data).unwrap();
        let mut third = Till::enrol_in(shop.dir.path(), &data, &shop.hub, "Till 3");
        third.start();
        third.until("the catalogue", |status| status["catalogue"]["items"] == 2);
        third.sell("d");
        shop.tills[0].sell("e");
        agree(&shop.hub, &[&shop.tills[0], &shop.tills[1], &third], 5, 5 * LANTERN);
        assert!(!has_alert(&shop.hub.ctl(&["status"]), "clone-seen"));
    }

    /// F13: two machines got each other's disks.
    #[test]
    fn exchanged_directories_sell_on_under_the_names_that_they_bring() {
        let mut shop = Shop::open(2);
        let before = [shop.tills[0].sell("a"), shop.tills[1].sell("b")];
        shop.agrees(2, 2 * LANTERN);
        shop.tills.iter_mut().for_each(Till::stop);
        let between = shop.dir.path().join("between");
        let [one, two] = [0, 1].map(|at: usize| shop.tills[at].data.clone());
        for (from, to) in [(&one, &between), (&two, &one), (&between, &two)] {
            std::fs::rename(from, to).unwrap();
        }
        shop.tills.iter_mut().for_each(Till::start);
        let after = [shop.tills[0].sell("c"), shop.tills[1].sell("d")];
        assert_eq!(after[0]["series"], 1, "nothing was copied");
        let terminal = |sale: &Value| sale["number"].as_str().unwrap().split('-').next().unwrap().to_owned();
        assert_eq!(terminal(&after[0]), terminal(&before[1]), "the disk is the terminal");
        assert_eq!(terminal(&after[1]), terminal(&before[0]));
        shop.agrees(4, 4 * LANTERN);
        let status = shop.hub.until("both tills", |status| status["links"].as_array().unwrap().len() == 2);
        for code in ["clone-seen", "restore-seen", "fork"] {
            assert!(!has_alert(&status, code), "{status}");
        }
    }

    /// F07, F13.
    #[test]
    fn a_till_whose_directory_was_emptied_says_so_and_sells_on_as_a_new_one() {
        let mut shop = Shop::open(2);
        shop.tills[0].sell("a");
        shop.tills[1].sell("b");
        shop.agrees(2, 2 * LANTERN);
        shop.tills[0].stop();
        let data = shop.tills[0].data.clone();
        std::fs::remove_dir_all(&data).unwrap();
        std::fs::create_dir(&data).unwrap();
        let (exit, said) = refused(&["terminal-agent", "run", "--data", text(&data)]);
        assert!(
            exit == 74 && said.contains("is empty") && said.contains("set this node up again"),
            "{exit} {said}"
        );
        assert_eq!(std::fs::read_dir(&data).unwrap().count(), 0, "nothing was begun");

        shop.hub.ctl(&["revoke", "Till 1"]);
        shop.tills[0] = Till::enrol_in(shop.dir.path(), &data, &shop.hub, "Till 1 again");
        shop.tills[0].start();
        shop.tills[0].until("the catalogue", |status| status["catalogue"]["items"] == 2);
        let sold = shop.tills[0].sell("c");
        assert_eq!(sold["number"], "3-1-000001", "no number is used twice");
        shop.agrees(3, 3 * LANTERN);
    }

    /// F20.
    #[test]
    fn a_till_that_moves_to_another_store_leaves_its_books_behind() {
        let mut here = Shop::open(2);
        let there = Hub::found(here.dir.path(), "other hub");
        there.import(ITEMS);
        there.ctl(&["day", DAY]);
        here.tills[0].sell("a");
        here.agrees(1, LANTERN);
        let mut moved = here.tills.remove(0);
        moved.stop();
        here.hub.ctl(&["revoke", "Till 1"]);
        let data = moved.data.clone();
        std::fs::remove_dir_all(&data).unwrap();
        let mut moved = Till::enrol_in(here.dir.path(), &data, &there, "Till 1");
        moved.start();
        moved.until("the catalogue", |status| status["catalogue"]["items"] == 2);
        moved.until("the business day", |status| status["business_day"] == DAY);
        moved.sell("b");
        here.tills[0].sell("c");
        agree(&there, &[&moved], 1, LANTERN);
        here.agrees(2, 2 * LANTERN);
    }

    /// F43.
    #[test]
    fn headquarters_from_an_old_backup_gets_back_what_it_lost_its_own_entries_too() {
        let shop = Shop::open(1);
        let mut hq = Hq::join(shop.dir.path(), &shop.hub);
        let items = |count: usize| -> String {
            let more: String = (2..count).map(|nth| format!("{nth},ITEM {nth},1.00,no\n")).collect();
            format!("{ITEMS}{more}")
        };
        hq.publish("spring", &items(3));
        shop.tills[0].sell("a");
        shop.tills[0].until("spring", |status| status["catalogue"]["items"] == 3);
        hq.agrees(&shop.hub, 1, "3.39");
        hq.stop();
        let backup = shop.dir.path().join("backup of headquarters");
        copy(&hq.data, &backup);
        hq.start();
        hq.publish("summer", &items(4));
        shop.tills[0].sell("b");
        shop.tills[0].until("summer", |status| status["catalogue"]["items"] == 4);
        hq.agrees(&shop.hub, 2, "6.78");

        hq.kill();
        std::fs::remove_dir_all(&hq.data).unwrap();
        std::fs::rename(&backup, &hq.data).unwrap();
        hq.start();
        shop.tills[0].sell("c");
        hq.agrees(&shop.hub, 3, "10.17");
        // It goes on in a run of its own; store and headquarters show what happened, and the catalogue goes on by its chain.
        shop.hub.alerts("restore-seen");
        until("headquarters to say so too", || {
            let alerts = hq.alerts();
            if alerts.contains(&"restore-seen".to_owned()) { Ok(()) } else { Err(format!("{alerts:?}")) }
        });
        hq.publish("autumn", &items(5));
        shop.tills[0].until("autumn", |status| status["catalogue"]["items"] == 5);
        hq.agrees(&shop.hub, 3, "10.17");
        shop.agrees(3, 3 * LANTERN);
    }
}

fn number(sale: &Value) -> String {
    sale["number"].as_str().unwrap().to_owned()
}
