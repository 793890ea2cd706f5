//! What drawers did and the store has not taken yet.

use std::collections::VecDeque;

use toko_crdt::{Body, Lane};
use toko_mesh::node::Node;
use toko_mesh::store::Wait;
use toko_retail::drawer::opening;
use toko_retail::ops::{DrawerEvent, DrawerSeenV1, OpV1, What};
use tracing::warn;

use super::{Drawer, Word, day_of_business};

/// Answers and words that wait for the store. *Full*: the oldest is lost, with a line in the log.
const UNTOLD_MAX: usize = 256;

/// What there is to write, oldest first.
#[derive(Debug, Default)]
pub struct Untold(VecDeque<DrawerSeenV1>);

impl Untold {
    /// Something to write.
    pub fn push(&mut self, seen: DrawerSeenV1) {
        self.0.push_back(seen);
        if self.0.len() > UNTOLD_MAX {
            warn!("the store takes nothing; what a drawer did is lost");
            self.0.pop_front();
        }
    }

    /// What a drawer did unasked, which stands at this terminal.
    pub fn unasked(&mut self, node: &Node, terminal: u16, drawer: &Drawer, word: &Word) {
        let Word { what, detail } = word;
        if *what == DrawerEvent::Forced {
            warn!(drawer = %drawer.name, %detail, "a drawer was opened by key or by force");
        }
        match node.read(|kv| day_of_business(kv, node)) {
            Ok(day) => {
                let open = drawer.sensor.open();
                self.push(opening::seen(day, terminal, &drawer.name, *what, open, detail));
            }
            Err(err) => warn!(%err, "what a drawer did is not written down"),
        }
    }

    /// Writes what there is. What the store does not take waits for the next call.
    pub async fn tell(&mut self, node: &Node) {
        while let Some(seen) = self.0.front() {
            let body = Body::Op(OpV1::new(What::DrawerSeen(seen.clone())).encode());
            if let Err(err) = node.append(Lane::Books, body, None, Wait::Synced).await {
                warn!(%err, "what a drawer did waits to be written down");
                return;
            }
            self.0.pop_front();
        }
    }
}
