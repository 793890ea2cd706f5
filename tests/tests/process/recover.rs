//! A hub that is lost for good, and the blank machine that takes its place.

use crate::rig::{Hub, LANTERN, Shop, Till, has_alert, refused, text};

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
