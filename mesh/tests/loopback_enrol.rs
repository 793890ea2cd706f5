//! Enrolment over real QUIC on 127.0.0.1: who gets in, who does not, and what each hears.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use toko_crdt::NodeId;
use toko_crdt::frontier::Frontier;
use toko_crdt::ids::StoreId;
use toko_crdt::member::{Claim, Members, Statement};
use toko_crdt::sign::SecretKey;
use toko_mesh::endpoint::{Arrival, Dial, DialError, Endpoint, is_refusal};
use toko_mesh::enrol::{
    Code, CodeKind, Desk, EnrolError, Enrolled, FrontDesk, JoiningStore, Refusal, SecretError, join_hq,
    meet_hub, take_in, welcome,
};
use toko_mesh::tls::tenants::Registration;
use toko_mesh::tls::{self, LiveMembers, Protocol, Tenant, TlsKey};

const SOON: Duration = Duration::from_secs(10);

#[cfg(test)]
fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

#[cfg(test)]
fn here() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A hub with nothing but a door and a desk.
struct Hub {
    addr: SocketAddr,
    root: SecretKey,
    members: Arc<LiveMembers>,
    desk: Arc<FrontDesk>,
    stop: CancellationToken,
    _registration: Registration,
}

#[cfg(test)]
impl Hub {
    /// `says_hub` is the key that the root names as hub.
    fn open(root: u8, own: u8, says_hub: u8) -> Self {
        let (root, own) = (key(root), key(own));
        let mut members = Members::new(root.public());
        let claim = Claim::Hub { term: 1, key: key(says_hub).public() };
        members.add(Statement::sign(&StoreId::of(&root.public()), &root, claim)).unwrap();
        let members = Arc::new(LiveMembers::new(members));
        let fingerprint = tls::store_fingerprint(&StoreId::of(&root.public()));
        let desk = Arc::new(FrontDesk::new(Desk::new(CodeKind::Enrol, fingerprint)));
        let (inbox, arrivals) = mpsc::channel(8);
        let (known, gate) = (Some(Arc::clone(&members)), Some(Arc::clone(&desk) as _));
        let tenant = Tenant { key: TlsKey::new(&own).unwrap(), members: known, gate, inbox };
        let (addr, stop, registration) = serve(tenant, own.node());
        tokio::spawn(welcome_all(arrivals, own, Arc::clone(&desk), Arc::clone(&members)));
        Self { addr, root, members, desk, stop, _registration: registration }
    }

    /// A code, as it comes out of somebody's typing.
    fn code(&self, name: &str) -> Code {
        let code = self.desk.open(Some(name.into())).unwrap();
        Code::parse(CodeKind::Enrol, &code.to_string().to_lowercase()).unwrap()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[cfg(test)]
fn serve(tenant: Tenant, node: NodeId) -> (SocketAddr, CancellationToken, Registration) {
    let endpoint = Endpoint::bind(here()).unwrap();
    let registration = endpoint.tenants().register(vec![tls::node_name(&node)], tenant);
    let (addr, stop) = (endpoint.local_addr().unwrap(), CancellationToken::new());
    let stopped = stop.clone();
    tokio::spawn(async move { endpoint.serve(stopped).await });
    (addr, stop, registration)
}

#[cfg(test)]
async fn welcome_all(
    mut arrivals: mpsc::Receiver<Arrival>,
    own: SecretKey,
    desk: Arc<FrontDesk>,
    members: Arc<LiveMembers>,
) {
    while let Some(arrival) = arrivals.recv().await {
        if arrival.protocol == Protocol::Member {
            continue;
        }
        let (own, members, desk) = (own.clone(), Arc::clone(&members), Arc::clone(&desk));
        tokio::spawn(async move {
            let (signer, known) = (&own, &members);
            let admit = |newcomer, name: String| async move {
                let mut next = (*known.now()).clone();
                let number = u16::try_from(next.nodes().len()).unwrap();
                let claim = Claim::Terminal { term: 1, key: newcomer, number, name };
                let store = *next.store();
                next.add(Statement::sign(&store, signer, claim)).map_err(|error| error.to_string())?;
                known.set(Arc::new(next));
                Ok(())
            };
            let _ = welcome(&arrival, &desk, &[here()], || members.now(), admit).await;
        });
    }
}

#[cfg(test)]
fn client() -> Endpoint {
    Endpoint::bind(here()).unwrap()
}

#[cfg(test)]
async fn try_enrol(hub: &Hub, seed: u8, code: &Code) -> Result<Enrolled, EnrolError> {
    let key = TlsKey::new(&key(seed)).unwrap();
    let endpoint = client();
    let enrolment = async { meet_hub(&endpoint, &key, code, hub.addr).await?.ask(&key, code, None).await };
    tokio::time::timeout(SOON, enrolment).await.unwrap()
}

#[tokio::test]
async fn a_code_lets_one_terminal_in_and_its_lost_answer_can_be_asked_for_again() {
    let hub = Hub::open(1, 2, 2);
    let code = hub.code("Till 1");
    let enrolled = try_enrol(&hub, 10, &code).await.unwrap();
    assert_eq!((enrolled.number, enrolled.name.as_str()), (1, "Till 1"));
    assert_eq!(enrolled.addresses[0], hub.addr);
    assert!(hub.members.admits(&key(10).node()));
    let error = try_enrol(&hub, 11, &code).await.unwrap_err();
    assert!(matches!(error, EnrolError::Refused(Refusal::Secret(SecretError::Used))), "{error}");
    let again = try_enrol(&hub, 10, &code).await.unwrap();
    assert_eq!(again.number, enrolled.number);
}

#[tokio::test]
async fn a_revoked_machine_is_not_let_in_by_a_new_code() {
    let hub = Hub::open(1, 2, 2);
    try_enrol(&hub, 10, &hub.code("Till 1")).await.unwrap();
    let mut next = (*hub.members.now()).clone();
    let claim = Claim::Revoked { term: 1, node: key(10).node(), cut: Frontier::default() };
    next.add(Statement::sign(&StoreId::of(&hub.root.public()), &key(2), claim)).unwrap();
    hub.members.set(Arc::new(next));
    let error = try_enrol(&hub, 10, &hub.code("Till 1")).await.unwrap_err();
    assert!(matches!(error, EnrolError::Refused(Refusal::Revoked)), "{error}");
    assert!(try_enrol(&hub, 11, &hub.code("Till 1")).await.is_ok(), "the machine that takes its place");
}

#[tokio::test]
async fn a_wrong_code_is_told_and_five_of_them_shut_the_door() {
    let hub = Hub::open(1, 2, 2);
    let code = hub.code("Till 1");
    let wrong = Code { secret: [9; 10], ..code.clone() };
    for _ in 0..5 {
        let error = try_enrol(&hub, 10, &wrong).await.unwrap_err();
        assert!(matches!(error, EnrolError::Refused(Refusal::Secret(SecretError::Wrong))), "{error}");
    }
    let error = try_enrol(&hub, 10, &code).await.unwrap_err();
    assert!(matches!(error, EnrolError::NotEnrolling), "{error}");
}

#[tokio::test]
async fn without_a_code_the_door_is_shut_in_the_handshake() {
    let hub = Hub::open(1, 2, 2);
    let fingerprint = tls::store_fingerprint(&StoreId::of(&hub.root.public()));
    let code = Code { kind: CodeKind::Enrol, fingerprint, secret: [0; 10] };
    let error = try_enrol(&hub, 10, &code).await.unwrap_err();
    assert!(matches!(error, EnrolError::NotEnrolling), "{error}");
}

#[tokio::test]
async fn a_hub_of_another_store_and_a_false_hub_see_no_secret() {
    let (ours, other) = (Hub::open(1, 2, 2), Hub::open(3, 4, 4));
    let code = ours.code("Till 1");
    other.code("Till 9");
    let error = try_enrol(&other, 10, &code).await.unwrap_err();
    assert!(matches!(error, EnrolError::OtherStore), "{error}");
    let pretender = Hub::open(1, 5, 2);
    let code = pretender.code("Till 1");
    let error = try_enrol(&pretender, 10, &code).await.unwrap_err();
    assert!(matches!(error, EnrolError::NotAHub(_)), "{error}");
    assert!(try_enrol(&ours, 10, &ours.code("Till 2")).await.is_ok());
}

#[tokio::test]
async fn a_strangers_key_gets_no_further_than_the_handshake() {
    let hub = Hub::open(1, 2, 2);
    hub.code("Till 1");
    let stranger = TlsKey::new(&key(66)).unwrap();
    let endpoint = client();
    match endpoint.dial(&Dial::member(hub.addr, key(2).node()), &stranger).await {
        Err(error) => assert!(matches!(error, DialError::Refused { .. }), "{error}"),
        Ok(connection) => {
            let end = tokio::time::timeout(SOON, connection.closed()).await.unwrap();
            assert!(is_refusal(&end), "{end}");
        }
    }
    let error = endpoint.dial(&Dial::member(hub.addr, NodeId([7; 32])), &stranger).await.unwrap_err();
    assert!(matches!(error, DialError::WrongPeer { .. }), "{error}");
}

#[tokio::test]
async fn a_store_joins_headquarters_by_a_code_that_pins_its_key() {
    let (root, hub, hq) = (key(1), key(2), key(30));
    let store = StoreId::of(&root.public());
    let statement = Statement::sign(&store, &root, Claim::Hub { term: 1, key: hub.public() });
    let joining = JoiningStore { root: root.public(), statements: vec![statement] };
    let hub_key = TlsKey::new(&hub).unwrap();

    let desk = Arc::new(FrontDesk::new(Desk::new(CodeKind::JoinHq, tls::node_fingerprint(&hq.node()))));
    let (inbox, mut arrivals) = mpsc::channel(8);
    let gate = Some(Arc::clone(&desk) as _);
    let tenant = Tenant { key: TlsKey::new(&hq).unwrap(), members: None, gate, inbox };
    let (addr, _stop, _registration) = serve(tenant, hq.node());
    let front = Arc::clone(&desk);
    let taking = tokio::spawn(async move {
        loop {
            let arrival = arrivals.recv().await.unwrap();
            if let Ok(taken) = take_in(&arrival, &front, |_| async { Ok(()) }).await {
                return taken;
            }
        }
    });

    let not_yet =
        Code { kind: CodeKind::JoinHq, fingerprint: tls::node_fingerprint(&hq.node()), secret: [1; 10] };
    let error = join_hq(&client(), &hub_key, &not_yet, addr, &joining).await.unwrap_err();
    assert!(matches!(error, EnrolError::NotEnrolling), "{error}");

    let code = Code::parse(CodeKind::JoinHq, &desk.open(None).unwrap().to_string()).unwrap();
    let elsewhere = Code { fingerprint: [0; 10], ..code.clone() };
    let error = join_hq(&client(), &hub_key, &elsewhere, addr, &joining).await.unwrap_err();
    assert!(matches!(error, EnrolError::NotHeadquarters), "{error}");

    let told = join_hq(&client(), &hub_key, &code, addr, &joining).await.unwrap();
    assert_eq!(told, hq.public());
    let taken = taking.await.unwrap();
    assert_eq!((taken.root, taken.hub), (root.public(), hub.public()));
}
