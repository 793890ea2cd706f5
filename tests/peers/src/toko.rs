//! Toko's column: the hub is a process of its own, the terminals are nodes of this one, each with a directory of its own and
//! the shop's fold. What is measured holds the sale's entry in its views, signed and durable.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use terminal_agent::service::meaning;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines, Stdin};
use tokio::process::{ChildStdin, ChildStdout};
use toko_crdt::ids::EntryRef;
use toko_crdt::{Body, Lane};
use toko_mesh::enrol::{Code, CodeKind};
use toko_mesh::identity::Role;
use toko_mesh::node::setup::{enrol_terminal, found_store};
use toko_mesh::node::{Node, NodeConfig};
use toko_mesh::store::Wait;
use toko_tests::bench::crowd::{holds, name, until, until_links};
use toko_tests::lan::Lan;
use toko_tests::process::free_udp_port;

use crate::child::Child;
use crate::measure::Peer;
use crate::trouble::Trouble;

/// A hub and its terminals.
pub(crate) struct Toko {
    dir: PathBuf,
    hub: Child,
    ask: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    at: SocketAddr,
    tills: Vec<Node>,
    lan: Option<Lan>,
}

/// What the hub's process is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HubArgs {
    dir: PathBuf,
    listen: SocketAddr,
    advertise: Option<SocketAddr>,
}

/// The hub's process: opens, says so, and gives a code for each name that it reads, until there are no more.
pub(crate) async fn hub(args: HubArgs) -> Result<(), Trouble> {
    found_store(&args.dir, &meaning()).map_err(Trouble::of("founding a store"))?;
    let config = NodeConfig {
        advertise: args.advertise.into_iter().collect(),
        ..NodeConfig::new(args.dir, Role::Hub, args.listen)
    };
    let meaning = meaning();
    let node =
        Node::open(config, meaning.fold, meaning.scope).await.map_err(Trouble::of("opening the hub"))?;
    let mut names: Lines<BufReader<Stdin>> = BufReader::new(tokio::io::stdin()).lines();
    let mut out = tokio::io::stdout();
    out.write_all(b"up\n").await?;
    out.flush().await?;
    while let Some(name) = names.next_line().await? {
        let code = node.open_code(&name).map_err(Trouble::of("opening a code"))?;
        out.write_all(format!("{code}\n").as_bytes()).await?;
        out.flush().await?;
    }
    node.shutdown().await.map_err(Trouble::of("closing the hub"))
}

impl Toko {
    async fn enrol(&mut self) -> Result<(), Trouble> {
        let name = name(self.tills.len());
        self.ask.write_all(format!("{name}\n").as_bytes()).await?;
        let code = self.answers.next_line().await?.unwrap_or_default();
        let code = Code::parse(CodeKind::Enrol, &code).map_err(Trouble::of("reading a code"))?;
        let dir = self.dir.join(&name);
        enrol_terminal(&dir, &code, &[self.at], None, &meaning()).await.map_err(Trouble::of("enrolling"))?;
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, free_udp_port()?));
        let front = self.lan.as_mut().map(|lan| lan.front(&name, here)).transpose()?;
        let config = NodeConfig {
            hub: vec![self.at],
            advertise: front.into_iter().collect(),
            ..NodeConfig::new(dir, Role::Terminal, here)
        };
        let meaning = meaning();
        let node = Node::open(config, meaning.fold, meaning.scope).await;
        self.tills.push(node.map_err(Trouble::of("opening a terminal"))?);
        Ok(())
    }
}

impl Peer for Toko {
    type Id = EntryRef;

    async fn open(dir: &Path, tills: usize, cables: bool) -> Result<Self, Trouble> {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, free_udp_port()?));
        let mut lan = cables.then(Lan::default);
        let advertise = lan.as_mut().map(|lan| lan.front("hub", listen)).transpose()?;
        let args = HubArgs { dir: dir.join("hub"), listen, advertise };
        let mut hub = Child::ourselves("toko-hub", &args)?;
        let (ask, answers) = hub.pipes()?;
        let mut answers = BufReader::new(answers).lines();
        answers.next_line().await?;
        let at = advertise.unwrap_or(listen);
        let mut shop = Self { dir: dir.to_owned(), hub, ask, answers, at, tills: Vec::new(), lan };
        for _ in 0..tills {
            shop.enrol().await?;
        }
        for till in &shop.tills {
            // A terminal keeps links to the hub and to four others.
            let wanted = 1 + tills.saturating_sub(1).min(4);
            until_links("all links", till, |links| {
                links.iter().filter(|link| link.settled).count() >= wanted
            })
            .await?;
        }
        Ok(shop)
    }

    async fn sell(&self, till: usize, sale: Vec<u8>) -> Result<EntryRef, Trouble> {
        let sold = self.tills[till].append(Lane::Books, Body::Op(sale), None, Wait::Synced).await;
        let sold = sold.map_err(Trouble::of("a sale"))?;
        match sold.parked {
            None => Ok(sold.place),
            Some(code) => Err(Trouble::new("a sale", format!("it was parked: {code}"))),
        }
    }

    async fn shown(&self, till: usize, id: &EntryRef) -> Result<(), Trouble> {
        let till = &self.tills[till];
        Ok(until("a sale to be seen", till, || holds(till, id)).await?)
    }

    async fn cut(&mut self, cut: bool) -> Result<(), Trouble> {
        let (last, Some(lan)) = (self.tills.len() - 1, &self.lan) else { return Ok(()) };
        if cut {
            lan.cut(&name(last));
            until_links("silence to be noticed", &self.tills[last], <[_]>::is_empty).await?;
        } else {
            lan.heal(&name(last));
        }
        Ok(())
    }

    fn alone() -> Result<(), &'static str> {
        Ok(())
    }

    async fn join(&mut self) -> Result<usize, Trouble> {
        self.enrol().await?;
        Ok(self.tills.len() - 1)
    }

    fn hub(&self) -> u32 {
        self.hub.pid()
    }

    async fn stop(self) -> Result<(), Trouble> {
        for till in &self.tills {
            till.shutdown().await.map_err(Trouble::of("closing a terminal"))?;
        }
        drop(self.ask);
        self.hub.ended(Duration::from_secs(20)).await
    }
}
