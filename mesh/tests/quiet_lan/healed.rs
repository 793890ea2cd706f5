//! How soon a line that lives again is used (F21).

use super::*;

/// On average over all moments of a dial in which it comes back, by the test's clock, which holds still while anybody has
/// something to do. Without the second dial it is 94 ms.
const FOUND: Duration = Duration::from_millis(80);

#[tokio::test(start_paused = true)]
async fn a_line_that_lives_again_is_found_soon_in_whatever_moment_of_a_dial_that_is() {
    let (mut took, mut heals) = (Duration::ZERO, 0);
    for seed in 31..35 {
        let lan = Lan::open(seed, 1).await;
        let (till, hub) = (&lan.tills[0], lan.hub.id());
        for dark in (2_000..4_000).step_by(79).map(Duration::from_millis) {
            lan.cut(till, &lan.hub, true);
            until_links(till, "the dark is noticed", <[_]>::is_empty).await;
            until_links(&lan.hub, "the hub notices too", <[_]>::is_empty).await;
            tokio::time::sleep(dark).await;
            lan.cut(till, &lan.hub, false);
            let healed = lan.net.elapsed();
            until_links(till, "the hub again", |links| links.contains(&hub)).await;
            took += lan.net.elapsed() - healed;
            heals += 1;
        }
        lan.close().await;
    }
    assert!(took / heals < FOUND, "{:?} on average", took / heals);
}
