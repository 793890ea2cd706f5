//! `--keep`: the store goes on running, for whoever wants to ring up something by hand.

use super::counter::Counter;
use super::stage::{HUB, Stage};
use crate::assortment::Item;
use crate::process::LOOK_EVERY;

/// How to ring up a sale by curl, and what else there is to look at.
pub fn invitation(stage: &Stage, counter: &Counter, items: &[Item], exe: &str) -> String {
    let token = stage.data(counter.name()).join("api-token");
    let item = items.iter().find(|item| !item.service && !item.price.is_zero());
    let (code, price) = item.map_or(("85123A", "2.55"), |item| (&item.code, item.price.as_str()));
    let (till, dir, hub) = (counter.name(), stage.dir().display(), stage.data(HUB));
    format!(
        "\nThe store keeps running. Ring up a sale on {till}, one line at a time:\n\n  \
         API={}\n  \
         TOKEN=$(cat {})\n  \
         say() {{ curl -sS -H \"Authorization: Bearer $TOKEN\" -H \"Idempotency-Key: $(date +%s%N)\" -H 'Content-Type: application/json' \"$@\"; echo; }}\n  \
         CART=$(say -X POST $API/v1/carts -d '{{}}' | grep -o '\"cart\": *\"[0-9a-f]*' | grep -o '[0-9a-f]*$')\n  \
         say -X POST $API/v1/carts/$CART/lines -d '{{\"code\": \"{code}\", \"qty\": \"1\"}}'\n  \
         say -X POST $API/v1/carts/$CART/sale -d '{{\"tenders\": [{{\"kind\": \"cash\", \"amount\": \"{price}\"}}], \"receipt\": true}}'\n\n\
         Look at it from the hub:\n\n  \
         {exe} --as hubctl --data {} status\n\n\
         What is on paper stands in {dir}/printer/paper. Ctrl-C (or kill {}) stops the store; {dir} stays.\n",
        counter.address(),
        token.display(),
        hub.display(),
        std::process::id(),
    )
}

/// Waits for the stop sign.
pub fn until_told(stage: &Stage) {
    while !stage.stop_sign().is_up() {
        // Signals arrive on their own thread; this one only looks.
        std::thread::sleep(LOOK_EVERY);
    }
}
