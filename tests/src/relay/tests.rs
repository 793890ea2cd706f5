use std::net::UdpSocket;
use std::time::Duration;

use super::*;
use crate::process::wait_until;

const SOON: Duration = Duration::from_secs(10);

/// A target that answers each datagram with the port it came from.
fn echo() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let answer = format!("{} from {}", String::from_utf8_lossy(&buffer[..length]), from.port());
            socket.send_to(answer.as_bytes(), from).unwrap();
        }
    });
    address
}

fn client(relay: &Relay) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(relay.address()).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket
}

fn ask(client: &UdpSocket, word: &str) -> String {
    client.send(word.as_bytes()).unwrap();
    hear(client)
}

fn hear(client: &UdpSocket) -> String {
    let mut buffer = [0; 64];
    let length = client.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

fn port(client: &UdpSocket) -> u16 {
    client.local_addr().unwrap().port()
}

/// Sends a word that is expected to be dropped, and waits until the relay has counted it.
fn vanish(relay: &Relay, client: &UdpSocket) {
    let dropped = relay.counts().dropped;
    client.send(b"lost").unwrap();
    wait_until("the relay to drop it", SOON, || match relay.counts() {
        now if now.dropped > dropped => Ok(()),
        now => Err(format!("{now:?}")),
    })
    .unwrap();
}

#[test]
fn each_client_has_a_port_of_its_own_towards_the_target() {
    let relay = Relay::start(echo()).unwrap();
    let (one, two) = (client(&relay), client(&relay));
    let (first, second) = (ask(&one, "a"), ask(&two, "a"));
    assert!(first.starts_with("a from ") && first != second, "{first} {second}");
    assert_eq!(ask(&one, "a"), first, "and keeps it");
    assert_eq!(relay.counts(), Counts { up: 3, down: 3, dropped: 0, clients: 2 });
}

#[test]
fn one_client_is_cut_while_the_other_goes_on() {
    let relay = Relay::start(echo()).unwrap();
    let (one, two) = (client(&relay), client(&relay));
    ask(&one, "a");
    relay.cut_client(port(&one));
    vanish(&relay, &one);
    assert!(ask(&two, "b").starts_with("b from"));
    relay.heal_client(port(&one));
    assert!(ask(&one, "c").starts_with("c from"), "nothing of the cut comes late");
}

#[test]
fn a_client_that_was_never_seen_can_be_cut() {
    let relay = Relay::start(echo()).unwrap();
    let one = client(&relay);
    relay.cut_client(port(&one));
    vanish(&relay, &one);
    assert_eq!(relay.counts().clients, 0);
}

#[test]
fn a_cut_of_everything_holds_both_ways_until_it_is_healed() {
    let target = UdpSocket::bind("127.0.0.1:0").unwrap();
    target.set_read_timeout(Some(SOON)).unwrap();
    let relay = Relay::start(target.local_addr().unwrap()).unwrap();
    let one = client(&relay);
    one.send(b"hello").unwrap();
    let mut buffer = [0; 64];
    let (_, upstream) = target.recv_from(&mut buffer).unwrap();
    relay.cut_all();
    vanish(&relay, &one);
    let dropped = relay.counts().dropped;
    target.send_to(b"early", upstream).unwrap();
    wait_until("the answer to be dropped", SOON, || match relay.counts() {
        now if now.dropped > dropped => Ok(()),
        now => Err(format!("{now:?}")),
    })
    .unwrap();
    relay.heal_all();
    target.send_to(b"late", upstream).unwrap();
    assert_eq!(hear(&one), "late");
}

#[test]
fn the_relay_outlives_its_target() {
    let port = crate::process::free_udp_port().unwrap();
    let relay = Relay::start(([127, 0, 0, 1], port).into()).unwrap();
    let one = client(&relay);
    for word in ["a", "b", "c"] {
        one.send(word.as_bytes()).unwrap();
    }
    wait_until("the relay to take them", SOON, || match relay.counts() {
        // The system may answer a send with the refusal of the one before.
        now if now.clients == 1 && now.up >= 1 => Ok(()),
        now => Err(format!("{now:?}")),
    })
    .unwrap();
    let target = UdpSocket::bind(("127.0.0.1", port)).unwrap();
    target.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut buffer = [0; 64];
    wait_until("a datagram after the target is back", SOON, || {
        one.send(b"again").map_err(|e| e.to_string())?;
        target.recv_from(&mut buffer).map_err(|e| e.to_string())
    })
    .unwrap();
}

#[test]
fn clients_are_bounded_and_the_silent_one_gives_way() {
    let relay = Relay::start(echo()).unwrap();
    let first = client(&relay);
    let before = ask(&first, "a");
    let others: Vec<UdpSocket> = (0..CLIENTS_MAX).map(|_| client(&relay)).collect();
    for other in &others {
        ask(other, "b");
    }
    assert_ne!(ask(&first, "a"), before, "it comes back as a new client");
    assert_eq!(relay.counts().clients, CLIENTS_MAX as u64 + 2);
}

#[test]
fn dice_fall_the_same_for_the_same_seed() {
    let falls = |seed| {
        let mut rules = Rules { loss_percent: 20, dice: seed, ..Rules::default() };
        (0..1_000).map(|_| rules.is_lost()).collect::<Vec<_>>()
    };
    assert_eq!(falls(7), falls(7));
    let lost = falls(7).iter().filter(|lost| **lost).count();
    assert!((150..250).contains(&lost), "{lost} of 1000");
    let relay = Relay::start(echo()).unwrap();
    relay.lose(100, 3);
    vanish(&relay, &client(&relay));
    relay.lose(0, 3);
    assert!(ask(&client(&relay), "a").starts_with("a from"));
}

#[test]
fn bad_weather_delays_reorders_and_doubles_but_loses_nothing() {
    let relay = Relay::start(echo()).unwrap();
    let client = client(&relay);
    relay.disturb(Weather { delay_ms_max: 40, doubled_percent: 100 }, 7);
    let words: Vec<String> = (0..20).map(|word| format!("{word:02}")).collect();
    for word in &words {
        client.send(word.as_bytes()).unwrap();
    }
    // Doubled on its way there and on its way back.
    let mut heard: Vec<String> = (0..80).map(|_| hear(&client)[..2].to_owned()).collect();
    assert_ne!(heard.iter().step_by(4).collect::<Vec<_>>(), words.iter().collect::<Vec<_>>());
    heard.sort();
    heard.dedup();
    assert_eq!(heard, words);
}
