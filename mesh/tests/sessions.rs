//! Sessions between whole nodes on a network that delays, stalls and breaks, by seed: whatever the weather was, all end with
//! equal journals and equal views. `SEED=…` in a failure runs it again: `SEED=7 cargo test -p toko-mesh --test sessions`.

#[cfg(test)]
#[path = "sessions/bases.rs"]
mod bases;
#[cfg(test)]
#[path = "sessions/blobs.rs"]
mod blobs;
#[cfg(test)]
#[path = "sessions/pulse.rs"]
mod pulse;
#[cfg(test)]
#[path = "sessions/rules.rs"]
mod rules;
#[cfg(test)]
#[path = "sessions/shop.rs"]
mod shop;
#[cfg(test)]
#[path = "sessions/store.rs"]
mod store;

use shop::{CALM, HUB, MS, ROUGH, SECOND, Shop};
use toko_crdt::Lane;
use toko_mesh::proto::frame::Lanes;

/// The seeds of a property: a few, as many as `SEEDS` says, or the one that `SEED` names.
fn seeds(few: u64) -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    match number("SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("SEEDS").unwrap_or(few)).collect(),
    }
}

/// A bad half minute: sales everywhere, links that break, partitions, the hub killed and back.
fn bad_weather(seed: u64) -> Shop {
    let mut shop = Shop::seeded(seed, 2, true);
    shop.weather = ROUGH;
    shop.connect_all();
    for _ in 0..150 {
        match shop.dice().roll(40) {
            0..=1 => shop.kill(HUB),
            2..=4 => shop.revive(HUB),
            5..=8 => shop.break_some_link(),
            9 => shop.cut_off((1, 2)),
            10 => shop.cut_off((0, 2)),
            11 => shop.cut_off((0, 3)),
            12..=14 => shop.heal(),
            15 => {
                let node = shop.dice().pick(3);
                (0..60).for_each(|_| shop.sell(node, Lane::Floor, 900));
            }
            16 => shop.sell(1, Lane::Books, 150_000),
            17 => shop.sell(3, Lane::Books, 200),
            roll => {
                let lane = if roll % 2 == 0 { Lane::Books } else { Lane::Floor };
                let node = shop.dice().pick(3);
                shop.sell(node, lane, 300);
            }
        }
        let pause = shop.dice().between(0, 400 * MS);
        shop.run_for(pause);
    }
    shop
}

#[test]
fn whatever_the_weather_was_all_end_with_equal_journals_and_views() {
    for seed in seeds(20) {
        let mut shop = bad_weather(seed);
        shop.weather = CALM;
        shop.heal();
        shop.revive(HUB);
        shop.run_until(20 * SECOND, |shop| shop.agree(&[0, 1, 2, 3]));
        shop.assert_converged(&[1, 0, 2]);
        shop.assert_converged(&[0, 3]);
        shop.run_for(3 * SECOND);
        for (peer, node) in [(0, 1), (1, 0), (2, 0), (3, 0), (1, 2)] {
            let (held, told) = (&shop.nodes[peer].store.frontier, &shop.nodes[node].held_by[&peer]);
            let lanes = if peer == 3 { Lanes::Books } else { Lanes::All };
            assert_eq!(told, &held.of_lanes(lanes.list()), "SEED={seed} {node} knows what {peer} holds");
        }
    }
}

#[test]
fn one_seed_gives_one_story() {
    for seed in seeds(3) {
        let (one, other) = (bad_weather(seed), bad_weather(seed));
        assert_eq!(one.trace, other.trace, "SEED={seed}");
        assert_eq!(one.bytes().bytes, other.bytes().bytes, "SEED={seed}");
    }
    assert_ne!(bad_weather(1).trace, bad_weather(2).trace);
}

#[test]
fn the_hub_carries_a_sale_to_everybody_at_once() {
    for seed in seeds(20) {
        let mut shop = Shop::seeded(seed, 6, false);
        shop.connect_all();
        let all: Vec<usize> = (0..7).collect();
        shop.sell(3, Lane::Books, 100);
        shop.run_for(3 * SECOND);
        shop.assert_converged(&all);
        let before = shop.bytes().entry_bytes;
        shop.sell(3, Lane::Books, 900);
        let took = shop.run_until(SECOND, |shop| shop.agree(&all));
        assert!(took <= 25 * MS, "SEED={seed} took {took} µs");
        shop.run_for(2 * SECOND);
        let carried = shop.bytes().entry_bytes - before;
        assert!(carried < 7 * 1_200, "SEED={seed} each got it once, and it was {carried} bytes");
    }
}

#[test]
fn without_a_hub_terminals_keep_each_other_up_to_date() {
    for seed in seeds(20) {
        let mut shop = Shop::seeded(seed, 3, false);
        shop.connect_all();
        for node in 0..4 {
            shop.sell(node, Lane::Floor, 50);
        }
        shop.run_for(3 * SECOND);
        shop.assert_converged(&[0, 1, 2, 3]);
        shop.kill(HUB);
        // While the hub's silence is not noticed yet, a second or so of patience is in the way.
        shop.sell(1, Lane::Books, 300);
        shop.run_until(3 * SECOND, |shop| shop.agree(&[1, 2, 3]));
        shop.run_for(3 * SECOND);
        for (node, lane) in [(1, Lane::Books), (2, Lane::Floor), (3, Lane::Books)] {
            shop.sell(node, lane, 900);
            let took = shop.run_until(SECOND, |shop| shop.agree(&[1, 2, 3]));
            assert!(took <= 150 * MS, "SEED={seed} took {took} µs");
        }
        shop.assert_converged(&[1, 2, 3]);
        shop.revive(HUB);
        shop.run_until(5 * SECOND, |shop| shop.agree(&[0, 1, 2, 3]));
    }
}

#[test]
fn a_terminal_cut_from_the_hub_is_reached_through_another() {
    let mut shop = Shop::seeded(1, 2, false);
    shop.connect_all();
    shop.run_for(2 * SECOND);
    shop.cut_off((0, 2));
    shop.run_for(3 * SECOND);
    shop.sell(2, Lane::Books, 300);
    shop.sell(0, Lane::Books, 300);
    let took = shop.run_until(5 * SECOND, |shop| shop.agree(&[0, 1, 2]));
    assert!(took <= 3 * SECOND, "took {took} µs");
}

#[test]
fn a_reconnect_without_news_costs_at_most_512_bytes() {
    let mut shop = Shop::seeded(5, 2, true);
    shop.connect_all();
    for node in 0..4 {
        (0..5).for_each(|_| shop.sell(node, Lane::Books, 200));
    }
    shop.sell(1, Lane::Floor, 200);
    shop.run_for(5 * SECOND);
    shop.assert_converged(&[1, 0, 2]);
    for pair in [(0, 1), (1, 2), (0, 3)] {
        let before = shop.bytes().bytes;
        let ticks = shop.now / SECOND;
        shop.run_for(SECOND - shop.now % SECOND);
        assert!(shop.now / SECOND > ticks);
        // What a second of keep-alives costs on all links, to be taken off below.
        shop.run_for(SECOND);
        let idle = shop.bytes().bytes;
        shop.run_for(SECOND);
        let second = shop.bytes().bytes - idle;
        let start = shop.bytes().bytes;
        shop.reconnect(pair);
        shop.run_for(SECOND);
        let cost = shop.bytes().bytes - start - second;
        assert!((100..=512).contains(&cost), "{pair:?} costs {cost} bytes (of {before} so far)");
    }
}

#[test]
fn what_several_peers_could_give_is_taken_from_one() {
    for seed in seeds(8) {
        let mut shop = Shop::seeded(seed, 4, false);
        shop.connect_all();
        shop.run_for(2 * SECOND);
        for other in [0, 1, 2, 3] {
            shop.cut_off((other, 4));
        }
        for number in 0..600 {
            let lane = if number % 3 == 0 { Lane::Books } else { Lane::Floor };
            shop.sell(number % 4, lane, 700);
            shop.run_for(5 * MS);
        }
        shop.run_for(3 * SECOND);
        let lacked: usize = lacking_bytes(&shop, 4);
        let before: usize = entry_bytes_to(&shop, 4);
        shop.heal();
        let took = shop.run_until(5 * SECOND, |shop| shop.agree(&[0, 4]));
        shop.run_for(3 * SECOND);
        let came = entry_bytes_to(&shop, 4) - before;
        assert!(came <= lacked * 11 / 10, "SEED={seed} {came} bytes came for {lacked}");
        assert!(took <= 2 * SECOND, "SEED={seed} took {took} µs");
    }
}

fn lacking_bytes(shop: &Shop, node: usize) -> usize {
    let hub = &shop.nodes[HUB].store;
    let lacks = shop.nodes[node].store.frontier.lacks(&hub.frontier);
    let entries = lacks.iter().flat_map(|lack| hub.load(&lack.journal, lack.from, lack.to, usize::MAX));
    entries.map(|entry| entry.len()).sum()
}

fn entry_bytes_to(shop: &Shop, node: usize) -> usize {
    shop.traffic.iter().filter(|(way, _)| way.1 == node).map(|(_, traffic)| traffic.entry_bytes).sum()
}

#[test]
fn headquarters_gets_books_even_if_it_asks_for_all() {
    // That no frame with the floor lane is on the way to or from it is asserted with every frame.
    let mut shop = Shop::seeded(3, 1, true);
    shop.nodes[2].lanes = Lanes::All;
    shop.connect_all();
    for _ in 0..20 {
        shop.sell(1, Lane::Floor, 300);
        shop.sell(1, Lane::Books, 300);
        shop.run_for(200 * MS);
    }
    shop.run_for(3 * SECOND);
    shop.assert_converged(&[0, 1]);
    shop.assert_converged(&[0, 2]);
    assert!(shop.nodes[2].store.frontier.lines().all(|(journal, _)| journal.lane == Lane::Books));
}

#[test]
fn a_mebibyte_travels_in_pieces() {
    let mut shop = Shop::seeded(9, 2, true);
    shop.weather = ROUGH;
    shop.connect_all();
    shop.run_for(2 * SECOND);
    shop.sell(1, Lane::Books, 400);
    shop.sell(1, Lane::Books, (1 << 20) - 64);
    shop.sell(1, Lane::Books, 400);
    let took = shop.run_until(60 * SECOND, |shop| shop.agree(&[1, 0, 2]) && shop.agree(&[0, 3]));
    assert!(took <= 60 * SECOND);
    shop.assert_converged(&[1, 0, 2]);
}

#[test]
fn members_travel_before_what_they_wrote() {
    let mut shop = Shop::seeded(2, 3, false);
    // Without the hub nobody has told the terminals of each other: their own statements must go round.
    shop.kill(HUB);
    shop.connect_all();
    (1..4).for_each(|node| shop.sell(node, Lane::Books, 100));
    shop.run_until(6 * SECOND, |shop| shop.agree(&[1, 2, 3]));
    let roots: Vec<_> = (1..4).map(|node| shop.nodes[node].store.members.root_hash()).collect();
    assert!(roots.windows(2).all(|pair| pair[0] == pair[1]), "all know the same members");
}
