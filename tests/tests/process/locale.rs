//! F52: whatever language, number format and time zone a machine is set to, the books are the same bytes.
//!
//! Locales need not be installed: what a library makes of their names is what is looked at. Another processor is not at hand;
//! golden bytes (`crdt/tests/golden.rs` and its like) fix the order and width of everything that is kept or sent.

use std::path::Path;

use serde_json::{Value, json};
use toko_tests::door::run_command;

use crate::rig::{DAY, DEMO, Hub, LANTERN, SOON, Shop, Till, text};

/// Decimal commas, an `i` that has a dot when it is large, and clocks that are three quarters of an hour off.
const ODD: [&[(&str, &str)]; 3] = [
    &[("LC_ALL", "tr_TR.UTF-8"), ("LANG", "tr_TR.UTF-8"), ("TZ", "Asia/Kathmandu")],
    &[
        ("LC_ALL", "de_DE.UTF-8"),
        ("LANG", "de_DE.UTF-8"),
        ("LC_NUMERIC", "de_DE.UTF-8"),
        ("TZ", "Pacific/Chatham"),
    ],
    &[("LC_ALL", "no_SUCH.latin1"), ("LANG", ""), ("TZ", "Nowhere/At_All")],
];
/// Names that change when somebody takes a language's upper or lower case of them.
const GOODS: &str = "sku,name,price,service\n\
                     71053,WHITE METAL LANTERN,3.39,no\n\
                     TITLI,istanbul İSTANBUL ıi,1234.50,no\n";

/// Runs a program under a locale and returns what it printed.
fn told(locale: &[(&str, &str)], args: &[&str]) -> String {
    let env = locale.iter().map(|(key, value)| format!("{key}={value}"));
    let mut words: Vec<String> = env.collect();
    words.extend([DEMO.to_owned(), "--as".to_owned()]);
    words.extend(args.iter().map(|arg| (*arg).to_owned()));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    String::from_utf8(run_command(Path::new("env"), &words, SOON).unwrap()).unwrap()
}

const PLAIN: &[(&str, &str)] = &[("LC_ALL", "C"), ("TZ", "UTC")];

/// Sells one of each and takes one back, and returns what a till screen is told, without what differs from sale to sale.
fn trade(till: &Till, key: &str) -> Vec<Value> {
    let cart = till.cart(&format!("{key} cart"));
    for (code, qty) in [("71053", "1"), ("TITLI", "2")] {
        let line = json!({ "code": code, "qty": qty });
        till.post(&format!("/v1/carts/{cart}/lines"), &format!("{key} {code}"), &line).unwrap();
    }
    let open = till.get(&format!("/v1/carts/{cart}"));
    let sale = till.close(&cart, &format!("{key} sale"), "2500.00");
    let receipt = till.get(&format!("/v1/sales/{}/receipt", sale["sale"].as_str().unwrap()));
    let amounts =
        json!([sale["total"], sale["change"], sale["day"], open["total"], open["lines"][1]["value"]]);
    let printed = receipt.to_string();
    let money = printed.match_indices("2472.39").count();
    vec![amounts, json!(money), till.get("/v1/items/TITLI")]
}

mod run_alone {
    use super::*;

    #[test]
    fn a_machine_of_any_language_and_zone_keeps_the_same_books() {
        let mut shop = Shop::open(1);
        shop.hub.import(GOODS);
        let mut tills: Vec<Till> = ODD
            .iter()
            .enumerate()
            .map(|(nth, _)| Till::enrol(shop.dir.path(), &shop.hub, &format!("Odd {nth}")))
            .collect();
        for (till, locale) in tills.iter_mut().zip(ODD) {
            till.start_with(locale);
        }
        shop.tills.append(&mut tills);
        for till in &shop.tills {
            till.until("the catalogue", |status| status["catalogue"]["items"] == 2);
            till.until("the business day", |status| status["business_day"] == DAY);
            till.until_at("/v1/items/TITLI", "the goods", |item| item["price"] == "1234.50");
        }
        let plain = trade(&shop.tills[0], "plain");
        assert_eq!(plain[0][0], "2472.39", "{plain:#?}");
        for (nth, till) in shop.tills.iter().enumerate().skip(1) {
            assert_eq!(trade(till, &format!("odd {nth}")), plain, "{}", till.name);
        }
        let sales = i64::try_from(shop.tills.len()).unwrap();
        shop.agrees(sales, sales * (LANTERN + 2 * 123_450));

        // The hub as well, over the same books; and its views made anew under another language.
        shop.hub.stop();
        for locale in ODD {
            shop.hub.start_with(locale);
            shop.agrees(sales, sales * (LANTERN + 2 * 123_450));
            shop.hub.stop();
        }
        shop.hub.start();
        let data = text(&shop.hub.data).to_owned();
        for args in [
            &["hubctl", "--data", &data, "sales", "--day", DAY][..],
            &["hubctl", "--data", &data, "--json", "sales", "--day", DAY][..],
            &["hubctl", "--data", &data, "stock"][..],
            &["hubd", "config", "check", "--data", &data][..],
        ] {
            let expected = told(PLAIN, args);
            for locale in ODD {
                assert_eq!(told(locale, args), expected, "{args:?} under {locale:?}");
            }
        }
        shop.tills.iter_mut().for_each(Till::stop);
    }

    #[test]
    fn a_catalogue_is_the_same_bundle_whatever_language_imported_it() {
        let bundles: Vec<Value> = [PLAIN].into_iter().chain(ODD).map(bundle).collect();
        assert!(bundles[0].is_string(), "{bundles:?}");
        assert!(bundles.iter().all(|bundle| *bundle == bundles[0]), "{bundles:?}");
    }

    /// The name of the bundle that a hub under a locale makes of the goods: a hash over its bytes.
    fn bundle(locale: &[(&str, &str)]) -> Value {
        let dir = tempfile::tempdir().unwrap();
        let mut hub = Hub::found(dir.path(), "hub");
        hub.stop();
        hub.start_with(locale);
        let file = dir.path().join("goods.csv");
        std::fs::write(&file, GOODS).unwrap();
        let data = text(&hub.data).to_owned();
        told(locale, &["hubctl", "--data", &data, "catalogue", "import", text(&file), "--name", "goods"]);
        let status = hub.until("the catalogue", |status| status["catalogue"]["items"] == 2);
        hub.stop();
        status["catalogue"]["bundle"].clone()
    }
}
