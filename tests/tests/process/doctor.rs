//! `hubctl doctor`: why somebody is dark.

use crate::rig::{Shop, text};

mod run_alone {
    use super::*;

    #[test]
    fn the_doctor_says_who_is_dark_and_what_came_of_looking_for_it() {
        let mut shop = Shop::open(2);
        shop.agrees(0, 0);
        let about = |shop: &Shop, name: &str| {
            let told = shop.hub.ctl(&["doctor"]);
            let findings = told["findings"].as_array().unwrap();
            findings.iter().find(|finding| finding["about"] == name).cloned()
        };
        assert_eq!(about(&shop, "Till 1"), None);
        shop.tills[0].kill();
        let address = shop.tills[0].listen.to_string();
        crate::rig::until("the doctor to know why", || {
            let told = about(&shop, "Till 1");
            let said = told.as_ref().and_then(|finding| finding["what"].as_str()).unwrap_or_default();
            let knows =
                said.contains(&address) && said.contains("not linked") && !said.ends_with("worked before");
            if knows { Ok(()) } else { Err(said.to_owned()) }
        });
        assert_eq!(about(&shop, "Till 2"), None);
        let shown = crate::rig::order(&["hubctl", "doctor", "--data", text(&shop.hub.data)]);
        assert!(shown.starts_with("! Till 1: not linked; ") && shown.contains("FOUND BY"), "{shown}");
        shop.tills[0].start();
        shop.agrees(0, 0);
        assert_eq!(about(&shop, "Till 1"), None);
    }
}
