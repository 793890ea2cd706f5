//! How this terminal is, in one look: for the till screen's corner, for `terminal-agent status`, and for whoever is called.

use serde_json::{Value, json};
use toko_crdt::clock::UnixMicros;
use toko_devices::Seen;
use toko_retail::ops::BundleKind;
use toko_retail::views::{self, CartState};

use super::error::ApiError;
use super::{Api, show};
use crate::till::Health;
use crate::wall::utc;

impl Api {
    pub(super) async fn status(&self) -> Result<Value, ApiError> {
        let setup = &self.setup;
        let (health, day) = (setup.till.health().await?, setup.till.day().await?);
        let carts = setup.till.carts().await?;
        let node = setup.ledger.condition().await?;
        let now = setup.wall.look(UnixMicros(0));
        let open = carts.iter().filter(|custody| custody.state == CartState::Open).count();
        let (number, name) = setup.ledger.terminal().unwrap_or_default();
        let catalogue = match setup.shelf.now() {
            None => None,
            Some(stocked) => {
                let published =
                    setup.ledger.read(|kv| views::bundles_published(kv, BundleKind::Catalogue))?;
                let named = published.into_iter().rev().find(|bundle| bundle.blob == stocked.bundle);
                Some(json!({
                    "bundle": stocked.bundle.to_string(), "items": stocked.catalogue.len(),
                    "name": named.map(|bundle| bundle.name).unwrap_or_default(), "rev": stocked.rev,
                }))
            }
        };
        let mut alerts: Vec<Value> = node.alerts.iter().map(|(code, text)| alert(code, text)).collect();
        alerts.extend(self.alerts(&health, &now, catalogue.is_some(), day.day)?);
        Ok(json!({
            "version": env!("CARGO_PKG_VERSION"),
            "terminal": { "node": setup.ledger.me().to_string(), "number": number, "name": name },
            "store": setup.ledger.store().to_string(),
            "run": health.run.map(|run| format!("{run:016x}")).unwrap_or_default(),
            "series": health.series,
            "clock": { "now": utc(now.at), "verified": day.time_verified },
            "business_day": show::day(&day)["date"],
            "currency": setup.shelf.currency().code(),
            "catalogue": catalogue,
            "printer": self.setup.printer.as_ref().map(|printer| {
                printer_shown(&printer.seen().borrow(), setup.shares_printer)
            }),
            "hub": { "node": node.hub.map(|hub| hub.to_string()), "linked": node.hub_linked },
            "hq": { "known": node.hq_known, "behind": node.hq_behind },
            "links": node.links.iter().map(|link| json!({
                "node": link.node.to_string(), "name": link.name, "role": link.role,
                "address": link.address, "settled": link.settled, "rung": link.rung,
            })).collect::<Vec<_>>(),
            "listen": node.listen.to_string(),
            "digests": { "books": node.books, "floor": node.floor },
            "frontier": node.root.to_string(),
            "entries": node.entries,
            "parked": node.parked,
            "parked_codes": node.parked_codes,
            "alerts": alerts,
            "carts": { "open": open, "parked": carts.len() - open },
            "api": setup.address.to_string(),
        }))
    }

    fn alerts(
        &self,
        health: &Health,
        now: &crate::wall::Reading,
        stocked: bool,
        day: Option<toko_retail::day::Day>,
    ) -> Result<Vec<Value>, ApiError> {
        let mut alerts = Vec::new();
        if let Some(why) = &health.unsaved {
            let text = format!("{} changes of open carts are not saved: {why}", health.unsaved_changes);
            alerts.push(alert("lines-not-saved", &text));
        }
        if health.series != crate::till::FIRST_SERIES {
            let text = "this terminal's directory was copied or restored; receipts are numbered in a series of their own";
            alerts.push(alert("own-series", text));
        }
        if !stocked {
            alerts.push(alert(
                "no-catalogue",
                "there is no catalogue yet; only lines with a price and a name sell",
            ));
        }
        if let Some(seen) = self.setup.printer.as_ref().map(|printer| printer.seen().borrow().clone())
            && let Some(what) = trouble(&seen, self.setup.shares_printer)
        {
            alerts.push(alert("printer-not-ready", &what));
        }
        if let Some(what) = self.setup.own_drawer.as_ref().and_then(|own| own.left_open()) {
            let text = format!(
                "{what}; shut it. If it is shut, its sensor or cable is broken, or it was taught the wrong way round: terminal-agent drawer learn"
            );
            alerts.push(alert("drawer-left-open", &text));
        }
        if !now.verified {
            alerts.push(alert("clock-not-verified", "this machine's clock is wrong; receipts say so"));
        }
        if let Some(day) = day.filter(|day| *day != now.day && now.verified) {
            alerts.push(alert("day-not-today", &format!("the business day {day} is still open")));
        }
        let flags = self.setup.ledger.read(|kv| views::flags(kv))?;
        alerts.extend(flags.iter().map(|flag| match flag {
            views::Flag::CartSoldTwice(cart) => {
                alert("cart-sold-twice", &format!("cart {cart} was sold twice"))
            }
            views::Flag::OverReturned { sale, line } => alert(
                "returned-too-much",
                &format!("more came back of line {line} of sale {sale} than was sold"),
            ),
            views::Flag::NumberTwice(number) => {
                alert("number-twice", &format!("receipt number {number} was printed twice"))
            }
            other => alert("flag", &format!("{other:?}")),
        }));
        Ok(alerts)
    }
}

fn printer_shown(seen: &Seen, shared: bool) -> Value {
    json!({
        "ready": seen.can_print(), "printing": seen.printing, "waits_for_a_hand": seen.waits_for_a_hand,
        "trouble": trouble(seen, shared),
    })
}

/// Why nothing comes out of it now, and what to do; nothing while it prints or was not looked at yet.
fn trouble(seen: &Seen, shared: bool) -> Option<String> {
    match (&seen.trouble, &seen.status) {
        (Some(why), _) if shared => Some(format!(
            "{why}; switch the printer on and look at its cable. If it is on, the hub may hold it: one with a cash drawer of the hub's is the hub's alone while the hub runs"
        )),
        (Some(why), _) => Some(format!("{why}; switch the printer on and look at its cable")),
        (None, Some(status)) if !status.can_print() => {
            Some(status.what_to_do().map_or_else(|| status.to_string(), |what| format!("{status}: {what}")))
        }
        _ => None,
    }
}

fn alert(code: &str, text: &str) -> Value {
    json!({ "code": code, "text": text })
}
