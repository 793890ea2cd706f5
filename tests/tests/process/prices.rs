//! Who sets prices: headquarters where there is one, the hub where there is none.

use std::path::Path;

use toko_tests::door::ask_command;

use crate::rig::{DEMO, SOON, Shop, daemon, order, text, udp};

mod run_alone {
    use super::*;

    #[test]
    fn a_store_that_follows_headquarters_imports_no_catalogue_of_its_own() {
        let shop = Shop::open(1);
        let dir = shop.dir.path();
        let (data, listen) = (dir.join("hq"), udp());
        order(&["hqd", "init", "--name", "Head office", "--data", text(&data)]);
        let at = format!("links.listen={listen}");
        let _hq = daemon(dir, "hq", &["hqd", "run", "--data", text(&data), "--set", &at], &[]);
        let ask = |args: &[&str]| {
            let all = [&["--as", "hqd"], args, &["--json", "--data", text(&data)]].concat();
            ask_command(Path::new(DEMO), &all, SOON).map_err(|silent| silent.to_string())
        };
        let add = || ask(&["add-store", "High Street", "--currency", "GBP"]);
        let code = crate::rig::until("headquarters to answer", add)["code"].as_str().unwrap().to_owned();
        let safe = dir.join("recovery-code");
        std::fs::write(&safe, &shop.hub.recovery).unwrap();
        let hq = listen.to_string();
        shop.hub.ctl(&["join-hq", &code, "--hq", &hq, "--recovery-code", text(&safe)]);

        let before = shop.hub.ctl(&["catalogue", "show"])["bundle"].clone();
        let items = dir.join("own.csv");
        std::fs::write(&items, "sku,name,price\n71053,WHITE METAL LANTERN,0.01\n").unwrap();
        let (status, said) = shop.hub.refuses(&["catalogue", "import", text(&items)]);
        assert!(status != 0 && said.contains("follows headquarters"), "{status}: {said}");
        assert_eq!(shop.hub.ctl(&["catalogue", "show"])["bundle"], before);
        assert_eq!(shop.tills[0].sell("a")["total"], "3.39");
    }
}
