//! Headquarters by name: looks its addresses up while it is not reached, and says in words why it is not.
//!
//! Purpose: the store's own network needs no DNS, and nothing here waits for one: no resolver, one that lies and a captive
//! portal all look the same, "headquarters is not reached", with a reason. Invariants: while headquarters is linked nobody is
//! asked; pauses grow up to [`PAUSE_MAX`]; a line is logged when the answer for a name changes, and not each time; an address
//! is a hint, since whoever answers there must show headquarters' key.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::lookup_host;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use toko_mesh::node::{HeadquartersStatus, Node, NodeStatus};
use tracing::{info, warn};

/// The first pause between two rounds.
const PAUSE: Duration = Duration::from_secs(2);
/// The longest one.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How long one name may take. The system's resolver goes on by itself after that, and its answer is not waited for.
const ANSWER: Duration = Duration::from_secs(10);
/// Letters of a reason that are shown.
const REASON_MAX: usize = 400;

/// What came of the names so far.
#[derive(Debug, Default)]
pub(crate) struct Names {
    answers: Mutex<BTreeMap<String, Answer>>,
}

type Answer = Result<Vec<SocketAddr>, String>;

impl Names {
    /// Notes an answer. Whether it is another one than the last time.
    fn note(&self, host: &str, answer: &Answer) -> bool {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(host.to_owned(), answer.clone()).as_ref() != Some(answer)
    }

    fn problems(&self) -> Vec<String> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let bad = answers.iter().filter_map(|(host, answer)| Some((host, answer.as_ref().err()?)));
        bad.map(|(host, why)| format!("{host} does not resolve ({why})")).collect()
    }

    /// Why headquarters is not reached, as far as this hub can tell; nothing where it is.
    pub(crate) fn why_dark(&self, status: &NodeStatus, hq: &HeadquartersStatus) -> Option<String> {
        if hq.alive {
            return None;
        }
        let tried = status.addresses.iter().filter(|tried| tried.node == hq.node);
        let failed = tried.filter_map(|tried| {
            let error = tried.error.as_ref()?;
            let at = tried.candidate.addr.to_string();
            // Some of them name the address themselves.
            Some(if error.contains(&at) { error.clone() } else { format!("{at}: {error}") })
        });
        let reasons: Vec<String> = self.problems().into_iter().chain(failed).collect();
        let words = if reasons.is_empty() { "no address was tried yet".into() } else { reasons.join("; ") };
        Some(words.chars().take(REASON_MAX).collect())
    }
}

/// The addresses that were given as numbers: they need no resolver.
pub(crate) fn numbers(hosts: &[String]) -> Vec<SocketAddr> {
    hosts.iter().filter_map(|host| host.parse().ok()).collect()
}

/// Addresses of hosts by name, as far as they resolve now.
pub(crate) async fn resolved(hosts: &[String]) -> Vec<SocketAddr> {
    let mut out = Vec::new();
    for host in hosts {
        match ask(host).await {
            Ok(found) => out.extend(found),
            Err(err) => warn!(host, %err, "headquarters' address does not resolve now"),
        }
    }
    out
}

async fn ask(host: &str) -> Answer {
    match timeout(ANSWER, lookup_host(host)).await {
        Ok(Ok(found)) => {
            let mut found: Vec<SocketAddr> = found.collect();
            found.sort_unstable();
            Ok(found)
        }
        Ok(Err(problem)) => Err(problem.to_string()),
        Err(_) => Err("the resolver does not answer".into()),
    }
}

/// Looks names up for as long as headquarters is not reached, until it is told to stop.
pub(crate) async fn follow(node: Node, hosts: Vec<String>, names: Arc<Names>, stop: CancellationToken) {
    let hosts: Vec<String> = hosts.into_iter().filter(|host| host.parse::<SocketAddr>().is_err()).collect();
    let work = async {
        let mut pause = PAUSE;
        loop {
            if hosts.is_empty() || node.headquarters_alive() {
                pause = PAUSE;
            } else {
                for host in &hosts {
                    look_up(&node, &names, host).await;
                }
                pause = (pause * 2).min(PAUSE_MAX);
            }
            sleep(pause).await;
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = work => {}
    }
}

async fn look_up(node: &Node, names: &Names, host: &str) {
    let answer = ask(host).await;
    let is_news = names.note(host, &answer);
    match answer {
        Ok(found) => {
            if is_news {
                info!(host, ?found, "headquarters' name resolves");
            }
            node.headquarters_may_be(&found);
        }
        Err(err) if is_news => {
            warn!(
                host,
                err, "headquarters' name does not resolve; the shop goes on without, and it is asked again"
            );
        }
        Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_goes_on_failing_is_news_once() {
        let names = Names::default();
        let gone: Answer = Err("no resolver".into());
        assert!(names.note("hq.test:7430", &gone));
        assert!(!names.note("hq.test:7430", &gone));
        assert_eq!(names.problems(), ["hq.test:7430 does not resolve (no resolver)"]);
        assert!(names.note("hq.test:7430", &Ok(numbers(&["10.0.0.1:7430".into()]))));
        assert!(names.problems().is_empty());
        assert!(names.note("hq.test:7430", &gone));
    }

    #[test]
    fn numbers_need_nobody_to_ask() {
        let hosts = ["hq.test:7430".to_owned(), "[::1]:7430".to_owned(), "10.0.0.1:1".to_owned()];
        assert_eq!(numbers(&hosts).len(), 2);
    }
}
