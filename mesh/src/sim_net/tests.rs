use super::*;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));
const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 1, 1));

fn packet(from: IpAddr, to: IpAddr, bytes: usize) -> Packet {
    let [from, to] = [from, to].map(|ip| SocketAddr::new(ip, 7));
    Packet { from, to, bytes: vec![0; bytes], ecn: None }
}

/// Whether a packet gets away.
fn leaves(net: &SimNet, from: IpAddr, to: IpAddr, bytes: usize) -> bool {
    net.lock().post(Duration::ZERO, Instant::now(), packet(from, to, bytes))
}

#[test]
fn a_cable_that_is_cut_one_way_carries_the_other() {
    let net = SimNet::new(1);
    net.set_cut(HERE, THERE, true);
    assert!(!leaves(&net, HERE, THERE, 9) && leaves(&net, THERE, HERE, 9));
    assert_eq!((net.tally().cut_one_way, net.tally().cut), (1, 0));
    net.set_cut(THERE, HERE, true);
    assert!(!leaves(&net, HERE, THERE, 9) && !leaves(&net, THERE, HERE, 9));
    assert_eq!((net.tally().cut_one_way, net.tally().cut), (1, 2));
    net.heal();
    assert!(leaves(&net, HERE, THERE, 9));
}

#[test]
fn a_hole_swallows_what_is_too_long_and_nothing_else() {
    let net = SimNet::new(1);
    net.set_weather_at(THERE, Some(Weather { bytes_max: 1_200, ..Weather::FINE }));
    assert!(leaves(&net, HERE, THERE, 1_200) && !leaves(&net, HERE, THERE, 1_201));
    assert!(!leaves(&net, THERE, HERE, 1_201) && leaves(&net, HERE, ELSEWHERE, 1_201));
    assert_eq!(net.tally().too_long, 2);
}

#[test]
fn a_host_that_goes_off_at_another_address_can_have_that_address_again() {
    let net = SimNet::new(1);
    net.move_host(HERE, ELSEWHERE);
    assert_eq!(net.now_at(HERE), ELSEWHERE);
    net.switch_off(HERE);
    assert!(!leaves(&net, ELSEWHERE, THERE, 9));
    net.switch_on(HERE);
    assert_eq!(net.now_at(HERE), HERE);
    net.move_host(HERE, ELSEWHERE);
    assert!(leaves(&net, ELSEWHERE, THERE, 9), "it is on, wherever it is");
}
