//! `hubctl doctor`: why a node is not linked, and whatever else a person could mend.
//!
//! Everything here is derived from what the hub knows when it is asked; nothing is tried for it. A finding says what was seen
//! and what to do, and names no culprit.

use crate::answers::name_of;
use crate::desk::{Answer, Desk, Refusal, Shared};
use axum::Json;
use axum::extract::State;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use toko_crdt::NodeId;
use toko_crdt::member::Members;
use toko_mesh::find::{Rung, Tried};
use toko_mesh::node::NodeStatus;

/// Below so much free space a person should make room: a catalogue and a day's sales still fit.
const FREE_BYTES_MIN: u64 = 256 << 20;

/// What was seen, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    about: String,
    what: String,
    advice: String,
}

/// Everything that the doctor has to say, and each address that was tried.
pub(crate) async fn look(State(desk): Shared) -> Answer {
    let (status, members) = (desk.node.status().await?, desk.node.members());
    let mut findings = links(&status, &members, desk.config.mdns);
    findings.extend(twice(&status, &members));
    findings.extend(room(&desk)?);
    findings.extend(paper(&desk));
    let alerts = status.alerts.iter().map(|alert| Finding {
        about: alert.node.map_or_else(|| "this hub".into(), |node| name_of(&members, &node)),
        what: format!("{}: {}", alert.code.word(), alert.what),
        advice: alert.code.advice().into(),
    });
    findings.extend(alerts);
    let findings = findings
        .iter()
        .map(|finding| json!({ "about": finding.about, "what": finding.what, "advice": finding.advice }));
    let places = status.addresses.iter().map(|tried| {
        json!({
            "name": name_of(&members, &tried.node),
            "node": tried.node.to_string(),
            "address": tried.candidate.addr.to_string(),
            "rung": tried.candidate.rung.word(),
            "worked": tried.worked,
            "error": tried.error,
            "failures": tried.failures,
        })
    });
    Ok(Json(json!({ "findings": findings.collect::<Vec<_>>(), "places": places.collect::<Vec<_>>() })))
}

/// Who is not linked, and what came of looking for it.
fn links(status: &NodeStatus, members: &Members, mdns: bool) -> Vec<Finding> {
    let linked: BTreeSet<NodeId> =
        status.links.iter().filter(|link| link.settled).map(|link| link.peer).collect();
    let others = members.nodes().into_iter().filter(|node| *node != status.node && members.is_member(node));
    let others: Vec<NodeId> = others.collect();
    let dark = others.iter().filter(|node| !linked.contains(*node));
    let mut out: Vec<Finding> = dark
        .map(|node| {
            let tried: Vec<&Tried> = status.addresses.iter().filter(|tried| tried.node == *node).collect();
            let (what, advice) = why_dark(&tried);
            Finding { about: name_of(members, node), what, advice: advice.into() }
        })
        .collect();
    let heard = status.addresses.iter().any(|tried| tried.candidate.rung == Rung::Mdns);
    if mdns && !heard && !others.is_empty() {
        out.push(Finding {
            about: "the network".into(),
            what: "nobody was heard by mDNS since this hub started".into(),
            advice: "nothing depends on it while everybody is linked; otherwise multicast may be filtered (access points \
                     that isolate, switches without IGMP querier): give terminals the hub's address in their settings"
                .into(),
        });
    }
    out
}

fn why_dark(tried: &[&Tried]) -> (String, &'static str) {
    if tried.is_empty() {
        return (
            "not linked, and no address of it is known".into(),
            "start it; if it runs, give it this hub's address in its settings (hub = \"HOST:PORT\")",
        );
    }
    let each = tried.iter().map(|tried| {
        let came = match (tried.worked, &tried.error) {
            (Some(true), _) => "worked before".to_owned(),
            (_, Some(error)) => error.clone(),
            _ => "not tried yet".into(),
        };
        format!("{} ({}): {came}", tried.candidate.addr, tried.candidate.rung.word())
    });
    let each: Vec<String> = each.collect();
    (
        format!("not linked; {}", each.join("; ")),
        "switch it on, and look at its cable and at firewalls in between (UDP); if it has another address now, it finds this \
         hub by itself as soon as it can reach it",
    )
}

/// Addresses that are known of several nodes.
fn twice(status: &NodeStatus, members: &Members) -> Vec<Finding> {
    let mut at = BTreeMap::<SocketAddr, BTreeSet<NodeId>>::new();
    for tried in status.addresses.iter().filter(|tried| tried.worked != Some(false)) {
        at.entry(tried.candidate.addr).or_default().insert(tried.node);
    }
    let several = at.into_iter().filter(|(_, nodes)| nodes.len() > 1);
    several
        .map(|(addr, nodes)| {
            let names: Vec<String> = nodes.iter().map(|node| name_of(members, node)).collect();
            Finding {
                about: names.join(", "),
                what: format!("{addr} is known as the address of each of them"),
                advice: "if both run, two machines have one IP address: give one of them another".into(),
            }
        })
        .collect()
}

fn room(desk: &Desk) -> Result<Option<Finding>, Refusal> {
    let disk = desk.node.own_disk().map_err(|problem| Refusal::store(&problem))?;
    let free = disk.free().map_err(|problem| Refusal::store(&problem))?;
    Ok((free < FREE_BYTES_MIN).then(|| Finding {
        about: "this hub".into(),
        what: format!("its disk has {} MiB left", free >> 20),
        advice: "make room: a full disk stops sales at this machine, not at the terminals".into(),
    }))
}

fn paper(desk: &Desk) -> Vec<Finding> {
    let mut found = Vec::new();
    for station in desk.printers.all() {
        let (state, about) = (station.state(), station.config.name.clone());
        if let (Some(what), Some(advice)) = (station.trouble(), station.what_to_do()) {
            found.push(Finding { about: about.clone(), what, advice });
        }
        if state.held > 0 {
            let advice = "look at hubctl jobs: what is in doubt waits for a person".into();
            found.push(Finding { about, what: format!("{} receipts held", state.held), advice });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use toko_mesh::find::Candidate;

    fn tried(addr: &str, worked: Option<bool>, error: Option<&str>) -> Tried {
        let candidate = Candidate { addr: addr.parse().unwrap(), rung: Rung::Cached };
        Tried { node: NodeId([1; 32]), candidate, worked, error: error.map(str::to_owned), failures: 0 }
    }

    #[test]
    fn a_dark_node_is_told_with_every_address_and_what_came_of_it() {
        let (what, advice) = why_dark(&[]);
        assert!(what.contains("no address") && advice.contains("start it"), "{what} {advice}");
        let all = [
            tried("10.0.0.1:7421", Some(false), Some("nobody answered")),
            tried("10.0.0.2:7421", Some(true), None),
            tried("10.0.0.3:7421", None, None),
        ];
        let (what, _) = why_dark(&all.iter().collect::<Vec<_>>());
        assert_eq!(
            what,
            "not linked; 10.0.0.1:7421 (cached): nobody answered; 10.0.0.2:7421 (cached): worked before; \
             10.0.0.3:7421 (cached): not tried yet"
        );
    }
}
