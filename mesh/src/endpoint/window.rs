//! How much may be on its way to a neighbour: as QUIC reckons, and never less than some sales.
//!
//! On a store's LAN a packet that is lost was lost by radio or by a bad cable, not in a queue that is full. A sender that takes
//! each loss for a jam halves its window until two packets are left, and with a third of the packets lost and half a second
//! of delay a shop would exchange three kilobytes a second. The window to headquarters has no such floor: there the queue is
//! real.

use quinn_proto::RttEstimator;
use quinn_proto::congestion::{Controller, ControllerFactory, CubicConfig};
use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

/// What may always be on its way: some thirty sales, which the smallest switch holds. QUIC also spreads a window over the
/// round trip that it measured last, and the first one, with a handshake in it, is long: with less, a terminal that has to
/// catch up would wait for a line that is free.
const FLOOR_BYTES: u64 = 64 * 1024;

/// Makes windows with a floor.
#[derive(Debug, Default)]
pub(super) struct WithFloor(Arc<CubicConfig>);

impl ControllerFactory for WithFloor {
    fn build(self: Arc<Self>, now: Instant, mtu: u16) -> Box<dyn Controller> {
        Box::new(Window(Arc::clone(&self.0).build(now, mtu)))
    }
}

struct Window(Box<dyn Controller>);

impl Controller for Window {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet: u64) {
        self.0.on_sent(now, bytes, last_packet);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.0.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest_acked: Option<u64>) {
        self.0.on_end_acks(now, in_flight, app_limited, largest_acked);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, persistent: bool, lost_bytes: u64) {
        self.0.on_congestion_event(now, sent, persistent, lost_bytes);
    }

    fn on_mtu_update(&mut self, mtu: u16) {
        self.0.on_mtu_update(mtu);
    }

    fn window(&self) -> u64 {
        let floor = if toko_crdt::mutant!("give-way-to-every-loss") { 0 } else { FLOOR_BYTES };
        self.0.window().max(floor)
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self(self.0.clone_box()))
    }

    fn initial_window(&self) -> u64 {
        self.0.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn however_much_is_lost_a_sale_may_be_on_its_way() {
        let now = Instant::now();
        let at = |ms: u64| now + Duration::from_millis(ms);
        let mut bare = Arc::new(CubicConfig::default()).build(now, 1_200);
        let mut floored = Arc::new(WithFloor::default()).build(now, 1_200);
        for loss in 1..50 {
            for window in [&mut bare, &mut floored] {
                window.on_congestion_event(at(loss * 1_000), at(loss * 1_000 - 1), false, 1_200);
            }
        }
        assert!(bare.window() < 4 * 1_200, "{}", bare.window());
        assert_eq!(floored.window(), FLOOR_BYTES);
        assert_eq!(floored.clone_box().window(), FLOOR_BYTES);
    }
}
