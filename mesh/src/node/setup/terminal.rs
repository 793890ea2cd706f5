//! How a terminal comes to be: it finds its hub, makes its directory, and redeems a one-time code.

use super::{Meaning, SetupError, Spot, clear_dir, make_dir, refuse_occupied, write_first};
use crate::endpoint::Endpoint;
use crate::enrol::{self, Code, EnrolError, Enrolled};
use crate::find::{Ladder, Rung, mdns};
use crate::identity::{DataDir, Role};
use crate::node::open::save_ladder;
use crate::tls::TlsKey;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use toko_crdt::sign::{PublicKey, SecretKey};
use tracing::warn;

/// How long the LAN is listened to for a hub whose address was not given.
const LISTEN: Duration = Duration::from_secs(5);
/// How often a conversation that broke off is begun again, with the same key.
const TALKS_MAX: usize = 3;

/// Enrols this machine as a terminal: meets the hub, makes the terminal's directory, and only then redeems the code, so that a
/// disk that is too small, or not ours to write, does not spend it.
///
/// Shape: without `addresses` the LAN is listened to by mDNS. `name` counts only where the hub gave none with the code.
/// Errors: the directory is as it was, and the code still good unless the error says otherwise.
pub async fn enrol_terminal(
    spot: impl Into<Spot>,
    code: &Code,
    addresses: &[SocketAddr],
    name: Option<String>,
    meaning: &Meaning,
) -> Result<Enrolled, SetupError> {
    let spot = spot.into();
    refuse_occupied(&spot.dir)?;
    let key = SecretKey::from_seed(spot.machine.random()?);
    let mut place = Place { was_there: spot.dir.exists(), spot, key, made: None };
    match place.enrol(code, addresses, name).await {
        Ok((enrolled, data)) => match write_first(&place.spot, &data, enrolled.statements.clone(), meaning) {
            Ok(()) => {
                remember_hub(&data, &enrolled);
                Ok(enrolled)
            }
            Err(error) => {
                place.made = Some((enrolled.root, data));
                place.clear();
                Err(error)
            }
        },
        Err(error) => {
            place.clear();
            Err(error)
        }
    }
}

/// Where a terminal comes to be, while it enrols.
struct Place {
    spot: Spot,
    was_there: bool,
    key: SecretKey,
    /// Its directory, for the store of this root key, while nobody is asked there.
    made: Option<(PublicKey, DataDir)>,
}

impl Place {
    /// Redeems the code at the first of these hubs that is the code's.
    async fn enrol(
        &mut self,
        code: &Code,
        addresses: &[SocketAddr],
        name: Option<String>,
    ) -> Result<(Enrolled, DataDir), SetupError> {
        let tls = TlsKey::new(&self.key)?;
        let found;
        let addresses = if addresses.is_empty() {
            found = look_for_hub(code).await;
            found.as_slice()
        } else {
            addresses
        };
        let mut last = SetupError::NoHub;
        for addr in addresses {
            let any = if addr.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let endpoint = self.spot.machine.bind(any.parse().unwrap_or(*addr), None)?;
            match self.enrol_at(&endpoint, &tls, code, *addr, name.clone()).await {
                Ok(enrolled) => return Ok(enrolled),
                // Whoever says no has heard the code; nobody else needs to.
                Err(error @ SetupError::Enrol(EnrolError::Refused(_))) => return Err(error),
                Err(SetupError::Enrol(error)) => last = error.into(),
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// A conversation that broke off is begun again: with the same key, the hub gives the same answer. What was enrolled comes
    /// with its directory, which is kept for the next try otherwise.
    async fn enrol_at(
        &mut self,
        endpoint: &Endpoint,
        tls: &TlsKey,
        code: &Code,
        addr: SocketAddr,
        name: Option<String>,
    ) -> Result<(Enrolled, DataDir), SetupError> {
        let mut talks = 1;
        loop {
            let failed = match enrol::meet_hub(endpoint, tls, code, addr).await {
                Ok(hub) => {
                    let (root, data) = (hub.root, self.make(hub.root)?);
                    match hub.ask(tls, code, name.clone()).await {
                        Ok(enrolled) => return Ok((enrolled, data)),
                        Err(error) => {
                            self.made = Some((root, data));
                            error
                        }
                    }
                }
                Err(error) => error,
            };
            match failed {
                EnrolError::Talk(err) if talks < TALKS_MAX => {
                    warn!(%err, %addr, "the conversation broke off, trying again");
                    talks += 1;
                }
                failed => return Err(failed.into()),
            }
        }
    }

    /// The directory for the store of this root key: the one that an earlier try made, or a new one.
    fn make(&mut self, root: PublicKey) -> Result<DataDir, SetupError> {
        match self.made.take_if(|(of, _)| *of == root) {
            Some((_, data)) => Ok(data),
            None if self.made.is_some() => Err(EnrolError::OtherStore.into()),
            None => make_dir(&self.spot, (root, self.key.clone(), Role::Terminal)),
        }
    }

    /// Takes back what was made.
    fn clear(&mut self) {
        if self.made.take().is_none() {
            return;
        }
        clear_dir(&self.spot);
        if !self.was_there {
            // A machine that is simulated has no directory here.
            let _ = std::fs::remove_dir(&self.spot.dir);
        }
    }
}

fn remember_hub(data: &DataDir, enrolled: &Enrolled) {
    let mut ladder = Ladder::default();
    for addr in &enrolled.addresses {
        ladder.hint(enrolled.hub, *addr, Rung::Told);
    }
    let saved = data.own_disk().and_then(|disk| save_ladder(&*disk, &ladder.encode()));
    if let Err(err) = saved {
        warn!(%err, "the hub's address could not be saved; it is found again, or give it in the configuration");
    }
}

/// Listens on the LAN for a hub of the code's store.
async fn look_for_hub(code: &Code) -> Vec<SocketAddr> {
    let (heard, mut sightings) = mpsc::channel(16);
    let stop = CancellationToken::new();
    let ours = |sighting: &mdns::Sighting| sighting.hub && sighting.store == code.fingerprint;
    let first = async {
        while let Some(sighting) = sightings.recv().await {
            if ours(&sighting) && !sighting.addresses.is_empty() {
                return sighting.addresses;
            }
        }
        Vec::new()
    };
    tokio::select! {
        biased;
        () = mdns::run(None, heard, stop.clone()) => Vec::new(),
        found = timeout(LISTEN, first) => found.unwrap_or_default(),
    }
}
