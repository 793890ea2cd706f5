//! A hub that is lost for good, and the blank machine that takes its place.

use serde_json::{Value, json};

use crate::rig::{Hq, Hub, LANTERN, Shop, Till, agree, copy, has_alert, refused, text, until};

mod run_alone {
    use super::*;

    /// F15.
    #[test]
    fn a_blank_machine_becomes_hub_from_the_terminals_alone() {
        let mut shop = Shop::open(2);
        shop.tills[0].sell("a");
        shop.tills[1].sell("b");
        shop.agrees(2, 2 * LANTERN);
        let cart = shop.tills[0].cart("left open");
        shop.tills[0].scan(&cart, "left open line");
        shop.hub.kill();
        std::fs::remove_dir_all(&shop.hub.data).unwrap();
        shop.tills[0].sell("c");
        let before = shop.tills[0].get(&format!("/v1/carts/{cart}"));

        let code = shop.hub.recovery.clone();
        shop.hub = Hub::recover(shop.dir.path(), "new hub", &code, shop.tills[0].listen);
        shop.agrees(3, 3 * LANTERN);
        let status = shop.hub.ctl(&["status"]);
        assert_eq!((&status["hub"]["term"], &status["hub"]["is_hub"]), (&2.into(), &true.into()));
        assert_eq!(status["catalogue"]["items"], 2, "the catalogue came back too");
        for till in &shop.tills {
            till.until("the new hub", |status| status["hub"]["linked"] == true);
        }
        // It relays, enrols, and knows the cart that was left open.
        shop.tills.push(Till::enrol(shop.dir.path(), &shop.hub, "Till 3"));
        shop.tills[2].start();
        shop.tills[2].until("the catalogue", |status| status["catalogue"]["items"] == 2);
        shop.tills[2].sell("d");
        shop.agrees(4, 4 * LANTERN);
        assert_eq!(shop.tills[2].get(&format!("/v1/carts/{cart}"))["lines"], before["lines"]);
        assert!(!has_alert(&shop.tills[0].status(), "refused-by-peer"));
        // A restart changes nothing.
        shop.hub.kill();
        shop.hub.start();
        shop.tills[0].sell("e");
        shop.agrees(5, 5 * LANTERN);
    }

    /// F15, F17.
    #[test]
    fn the_old_hub_that_returns_hands_over_what_it_has_and_does_no_harm() {
        let mut shop = Shop::open(2);
        shop.tills[0].sell("a");
        shop.agrees(1, LANTERN);
        // Something that nobody but the hub has.
        shop.tills.iter_mut().for_each(Till::stop);
        shop.hub.ctl(&["day", "2010-11-30"]);
        let only_there = shop.hub.books().unwrap();
        shop.hub.kill();
        shop.tills.iter_mut().for_each(Till::start);
        shop.tills[1].sell("b");

        let code = shop.hub.recovery.clone();
        let new = Hub::recover(shop.dir.path(), "new hub", &code, shop.tills[1].listen);
        let mut old = std::mem::replace(&mut shop.hub, new);
        shop.tills[0].sell("c");
        let before = shop.agrees(3, 3 * LANTERN);

        old.start();
        let status = old.until("to know better", |status| status["hub"]["is_hub"] == false);
        assert!(has_alert(&status, "hub-succeeded"), "{status}");
        assert_eq!(status["hub"]["term"], 2);
        let is_old = |link: &Value| link["name"] == "old hub" && link["we_lack"] == 0;
        shop.hub.until("what only the old hub had", |status| {
            status["links"].as_array().is_some_and(|links| links.iter().any(is_old))
        });
        let handed = shop.agrees(3, 3 * LANTERN);
        assert!(handed.digests != before.digests && only_there.digests != before.digests);
        for args in [&["enrol", "Till 9"][..], &["day", "2010-12-02"], &["revoke", "Till 1"]] {
            let (exit, said) = old.refuses(args);
            assert!(exit == 1 && said.contains("not the hub of its store any more"), "{exit} {said}");
        }
        shop.tills[0].sell("d");
        shop.agrees(4, 4 * LANTERN);
        until_equal(&shop.hub, &old);
        // It stays so over a restart, and until a person puts it out for good.
        old.kill();
        old.start();
        old.until("still to know better", |status| {
            has_alert(status, "hub-succeeded")
                && status["links"].as_array().is_some_and(|links| !links.is_empty())
        });
        shop.hub.ctl(&["revoke", "old hub"]);
        old.until("a word why", |status| {
            status["links"] == json!([])
                && (has_alert(status, "revoked") || has_alert(status, "refused-by-peer"))
        });
        // The tills that it enrolled belong here all the same.
        shop.hub.kill();
        shop.hub.start();
        shop.tills[0].stop();
        shop.tills[0].start();
        shop.tills[0].sell("e");
        shop.agrees(5, 5 * LANTERN);
        assert_eq!(["Till 1", "Till 2"].map(|till| shop.hub.state_of(till)), ["linked", "linked"]);
    }

    /// F17.
    #[test]
    fn of_two_hubs_of_one_term_one_is_the_hub_and_both_carry_journals() {
        let mut shop = Shop::open(2);
        shop.tills[0].sell("a");
        shop.agrees(1, LANTERN);
        shop.hub.kill();
        let code = shop.hub.recovery.clone();
        let half = |shop: &Shop, at: usize, name: &str| {
            let peer = shop.tills[at].listen.to_string();
            let (hub, told) = Hub::recover_with(shop.dir.path(), name, &code, &["--peer", &peer]);
            assert_eq!((&told["term"], told["dark"].as_array().unwrap().len()), (&json!(2), 1), "{told}");
            hub
        };
        shop.tills[1].stop();
        let one = half(&shop, 0, "one hub");
        shop.tills[0].stop();
        shop.tills[1].start();
        let mut hubs = [one, half(&shop, 1, "other hub")];
        shop.tills[0].start();
        hubs.iter_mut().for_each(Hub::start);
        let is_hub = |hub: &Hub| hub.ctl(&["status"])["hub"]["is_hub"] == true;
        until("one of them to be the hub", || match hubs.iter().filter(|hub| is_hub(hub)).count() {
            1 => Ok(()),
            count => Err(count.to_string()),
        });
        hubs.iter().for_each(|hub| hub.alerts("two-hubs"));
        shop.tills.iter().for_each(|till| till.alerts("two-hubs"));
        let at = usize::from(is_hub(&hubs[1]));
        hubs[1 - at].alerts("hub-succeeded");
        shop.tills[0].sell("b");
        shop.tills[1].sell("c");
        let tills: Vec<&Till> = shop.tills.iter().collect();
        agree(&hubs[at], &tills, 3, 3 * LANTERN);
        until_equal(&hubs[at], &hubs[1 - at]);
        let other = hubs[1 - at].ctl(&["status"])["hub"]["node"].as_str().unwrap().to_owned();
        hubs[at].ctl(&["revoke", &other]);
        hubs[at].until("one hub", |status| !has_alert(status, "two-hubs"));
        shop.tills[0].until("one hub", |status| !has_alert(status, "two-hubs"));
        shop.tills[0].sell("d");
        agree(&hubs[at], &tills, 4, 4 * LANTERN);
    }

    /// F15, F17.
    #[test]
    fn headquarters_follows_the_new_hub_and_takes_from_both_without_doubling() {
        let mut shop = Shop::open(1);
        let mut hq = Hq::join(shop.dir.path(), &shop.hub);
        shop.tills[0].sell("a");
        hq.agrees(&shop.hub, 1, "3.39");
        shop.hub.kill();
        hq.kill();
        shop.tills[0].sell("b");
        let (code, peer, at) =
            (shop.hub.recovery.clone(), shop.tills[0].listen.to_string(), hq.listen.to_string());
        let (new, told) =
            Hub::recover_with(shop.dir.path(), "new hub", &code, &["--peer", &peer, "--hq", &at]);
        assert_eq!(told["dark"], json!(["headquarters"]), "{told}");
        // Headquarters hears of it from the new hub itself.
        hq.start();
        let mut old = std::mem::replace(&mut shop.hub, new);
        shop.hub.start();
        shop.tills[0].sell("c");
        hq.agrees(&shop.hub, 3, "10.17");
        old.start();
        old.until("to know better", |status| status["hub"]["is_hub"] == false);
        shop.tills[0].sell("d");
        hq.agrees(&shop.hub, 4, "13.56");
        shop.agrees(4, 4 * LANTERN);
        // A catalogue of headquarters reaches the tills through the new hub.
        hq.publish("spring", "sku,name,price\n71053,LANTERN,3.39\n1,A,1.00\n2,B,2.00\n");
        shop.tills[0].until("the catalogue", |status| status["catalogue"]["items"] == 3);
    }

    /// F15, F46.
    #[test]
    fn a_till_that_was_off_while_the_hub_was_replaced_hears_of_it_from_the_hub_itself() {
        let mut shop = Shop::open(2);
        shop.tills[1].sell("a");
        shop.agrees(1, LANTERN);
        shop.tills[1].stop();
        shop.hub.kill();
        let code = shop.hub.recovery.clone();
        let peer = shop.tills[0].listen.to_string();
        let (new, told) = Hub::recover_with(shop.dir.path(), "new hub", &code, &["--peer", &peer]);
        assert_eq!(told["dark"], json!(["Till 2"]), "{told}");
        shop.hub = new;
        // Nobody else is there to tell it.
        shop.tills[0].stop();
        shop.hub.start();
        shop.tills[1].start();
        shop.tills[1].until("the new hub", |status| status["hub"]["linked"] == true);
        shop.tills[1].sell("b");
        agree(&shop.hub, &[&shop.tills[1]], 2, 2 * LANTERN);
        shop.tills[0].start();
        shop.agrees(2, 2 * LANTERN);
    }

    /// F16.
    #[test]
    fn a_hub_from_an_old_backup_gets_its_tail_back_and_numbers_no_till_twice() {
        let mut shop = Shop::open(1);
        shop.tills[0].sell("a");
        shop.agrees(1, LANTERN);
        shop.hub.kill();
        let backup = shop.dir.path().join("backup");
        copy(&shop.hub.data, &backup);
        shop.hub.start();
        shop.tills.push(Till::enrol(shop.dir.path(), &shop.hub, "Till 2"));
        shop.tills[1].start();
        shop.tills[1].until("the catalogue", |status| status["catalogue"]["items"] == 2);
        shop.tills[1].sell("b");
        shop.agrees(2, 2 * LANTERN);
        shop.hub.kill();
        std::fs::remove_dir_all(&shop.hub.data).unwrap();
        std::fs::rename(&backup, &shop.hub.data).unwrap();
        shop.hub.start();
        shop.agrees(2, 2 * LANTERN);
        shop.tills.push(Till::enrol(shop.dir.path(), &shop.hub, "Till 3"));
        shop.tills[2].start();
        shop.tills[2].until("the catalogue", |status| status["catalogue"]["items"] == 2);
        assert_eq!(shop.tills[2].sell("c")["number"], "3-1-000001");
        shop.hub.alerts("restore-seen");
        shop.agrees(3, 3 * LANTERN);
    }

    /// F15.
    #[test]
    fn a_recovery_that_was_cut_short_goes_on_without_the_code() {
        let mut shop = Shop::open(1);
        shop.tills[0].sell("a");
        shop.agrees(1, LANTERN);
        shop.hub.kill();
        let code = shop.hub.recovery.clone();
        let peer = shop.tills[0].listen.to_string();
        let (mut new, _) = Hub::recover_with(shop.dir.path(), "new hub", &code, &["--peer", &peer]);
        // As a power cut leaves it, just before the end.
        std::fs::write(new.data.join("recovering"), "").unwrap();
        let data = text(&new.data).to_owned();
        let (exit, said) = refused(&["hubd", "run", "--data", &data]);
        assert!(exit == 78 && said.contains("run `hubd recover` again"), "{exit} {said}");
        let other = Hub::found(shop.dir.path(), "other hub");
        let (exit, said) = refused(&["hubd", "recover", &other.recovery, "--data", &data]);
        assert!(exit == 74 && said.contains("another store"), "{exit} {said}");
        let listen = format!("links.listen={}", new.listen);
        let args =
            ["hubd", "recover", "--json", "--data", &data, "--set", "links.mdns=false", "--set", &listen];
        let told: Value = serde_json::from_str(&crate::rig::order(&args)).unwrap();
        assert_eq!(told["term"], 2);
        new.start();
        shop.hub = new;
        shop.tills[0].sell("b");
        shop.agrees(2, 2 * LANTERN);
    }

    #[test]
    fn a_copy_of_the_recovery_code_can_be_checked_and_the_code_is_nowhere_on_the_machine() {
        let dir = tempfile::tempdir().unwrap();
        let (hub, other) = (Hub::found(dir.path(), "hub"), Hub::found(dir.path(), "other hub"));
        let check = |code: &str| {
            let copy = dir.path().join("copy");
            std::fs::write(&copy, code.to_lowercase()).unwrap();
            text(&copy).to_owned()
        };
        let right = hub.ctl(&["recovery-code", "--check", &check(&hub.recovery)]);
        assert_eq!((&right["right"], right.get("code")), (&json!(true), None));
        let (exit, said) = hub.refuses(&["recovery-code", "--check", &check(&other.recovery)]);
        assert!(exit == 64 && said.contains("another store's"), "{exit} {said}");
        let (exit, said) = hub.refuses(&["recovery-code", "--check", &check("0000-1111")]);
        assert!(exit == 64 && said.contains("characters where it should have"), "{exit} {said}");
        let told = hub.ctl(&["recovery-code"]).to_string();
        assert!(!told.contains(&hub.recovery), "{told}");
    }

    #[test]
    fn a_recovery_that_cannot_be_says_why_and_changes_nothing() {
        let shop = Shop::open(1);
        let other = Hub::found(shop.dir.path(), "other hub");
        let data = shop.dir.path().join("new hub");
        let (at, nobody) = (shop.tills[0].listen.to_string(), crate::rig::udp().to_string());
        let recover = |code: &str, peer: &str| {
            refused(&[
                "hubd",
                "recover",
                code,
                "--peer",
                peer,
                "--data",
                text(&data),
                "--set",
                "links.mdns=false",
            ])
        };
        let before = shop.hub.books().unwrap();
        let code = &shop.hub.recovery;
        let typed =
            if code.starts_with('0') { code.replacen('0', "1", 1) } else { format!("0{}", &code[1..]) };
        let (exit, said) = recover(&typed, &at);
        assert!(exit == 64 && said.contains("the code is mistyped"), "{exit} {said}");
        let (exit, said) = recover(&shop.hub.code("Till 2"), &at);
        assert!(exit == 64 && said.contains("a code for a new terminal"), "{exit} {said}");
        let (exit, said) = recover(&other.recovery, &at);
        assert!(exit == 76 && said.contains("belongs to another store"), "{exit} {said}");
        let (exit, said) = recover(code, &nobody);
        assert!(exit == 76 && said.contains("no terminal of this store answered"), "{exit} {said}");
        assert!(said.contains(&nobody), "{said}");
        assert!(!data.exists());

        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("holiday.jpg"), "sand").unwrap();
        let (exit, said) = recover(code, &at);
        assert!(exit == 74 && said.contains("is not empty"), "{exit} {said}");
        let names: Vec<_> = std::fs::read_dir(&data).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(names, ["holiday.jpg"]);
        assert_eq!(shop.hub.books().unwrap(), before);
        assert_eq!(shop.hub.ctl(&["status"])["hub"]["term"], 1);
    }
}

/// Waits until two hubs hold the same and make the same of it.
fn until_equal(one: &Hub, other: &Hub) {
    until("both hubs to hold the same", || {
        let (one, other) = (one.books()?, other.books()?);
        if one == other { Ok(()) } else { Err(format!("{one:?} and {other:?}")) }
    });
}
