//! Clocks on the wall that are wrong by decades. Order, identity and numbers never come from them.

use std::io::Write;

use toko_tests::chaos::cases::faketime;

use crate::rig::{DAY, LANTERN, Shop};

mod run_alone {
    use super::*;

    /// F10, F11.
    #[test]
    fn a_till_sells_in_1970_and_ten_years_ahead_and_says_what_it_does_not_know() {
        let Some(library) = faketime() else {
            // Past the capture of test output, because nobody reads what a passed test said.
            let why =
                "libfaketime is not installed, so no clock can be shifted (apt-get install libfaketime)";
            return writeln!(std::io::stderr(), "skipped: {why}").unwrap();
        };
        let mut shop = Shop::open(2);
        shop.tills[0].sell("today");
        let mut counter = 1;
        for (clock, verified) in [("@1970-01-02 03:04:05", false), ("+3652d", true)] {
            shop.tills[0].kill();
            let shifted =
                [("LD_PRELOAD", library), ("FAKETIME_DONT_FAKE_MONOTONIC", "1"), ("FAKETIME", clock)];
            shop.tills[0].start_with(&shifted);
            let till = &shop.tills[0];
            let status = till.status();
            assert_eq!(
                (&status["business_day"], &status["clock"]["verified"]),
                (&DAY.into(), &verified.into())
            );
            let sale = till.sell(clock);
            counter += 1;
            assert_eq!((&sale["counter"], &sale["time_verified"]), (&counter.into(), &verified.into()));
            let receipt =
                till.get(&format!("/v1/sales/{}/receipt", sale["sale"].as_str().unwrap())).to_string();
            assert_eq!(receipt.contains("time unverified"), !verified, "{receipt}");
            shop.agrees(counter, counter * LANTERN);
        }
        shop.tills[0].kill();
        shop.tills[0].start();
        // It goes on counting, although what it knows to have happened lies ten years ahead.
        let back = shop.tills[0].sell("back");
        assert_eq!((&back["counter"], &back["time_verified"]), (&4.into(), &false.into()));
        // Its own entries lie ten years ahead of its clock, and another till's say that the clock is right.
        shop.tills[0].until("doubt", |status| status["clock"]["verified"] == false);
        shop.tills[1].sell("meanwhile");
        shop.tills[0].until("no more doubt", |status| status["clock"]["verified"] == true);
        assert_eq!(shop.tills[0].sell("believed")["time_verified"], true);
        shop.agrees(6, 6 * LANTERN);
    }
}
