//! What the suite plays itself inside a namespace, as a process of its own: a forger, who shouts by mDNS that somebody
//! else's hub is where he is, and a name server that answers every question with one address, as a captive portal does.
//!
//! The forger uses the product's own shouting, so that what tills hear is as good as the truth, but for the place.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::ExitCode;

use crate::usage::USAGE;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use toko_crdt::hash::unhex;
use toko_mesh::find::mdns::{Announcement, run};
use toko_mesh::tls::FINGERPRINT_BYTES;

/// What is heard meanwhile and nobody wants.
const HEARD_MAX: usize = 16;

/// Plays the forger or the name server if the arguments ask for one: `chaos --as forger STORE NODE PORT`, ids in full, in
/// hexadecimal; `chaos --as names LISTEN ADDRESS`.
pub fn play(args: &[OsString]) -> Option<ExitCode> {
    let words: Vec<&str> = args.iter().filter_map(|arg| arg.to_str()).collect();
    let [_, "--as", tool @ ("forger" | "names"), rest @ ..] = &words[..] else { return None };
    crate::demo::cast::die_with_parent();
    let done = match (*tool, rest) {
        ("names", [listen, answer]) => name_server(listen, answer),
        ("forger", rest) => announcement(rest).map(shout),
        _ => None,
    };
    Some(done.unwrap_or(ExitCode::from(USAGE)))
}

/// Until killed.
fn name_server(listen: &str, answer: &str) -> Option<ExitCode> {
    let (listen, answer): (SocketAddr, Ipv4Addr) = (listen.parse().ok()?, answer.parse().ok()?);
    let Ok(socket) = UdpSocket::bind(listen) else { return Some(ExitCode::FAILURE) };
    let mut packet = [0; 512];
    while let Ok((bytes, from)) = socket.recv_from(&mut packet) {
        if let Some(reply) = reply(&packet[..bytes], answer) {
            // Whoever asked is gone, or asks again.
            let _ = socket.send_to(&reply, from);
        }
    }
    Some(ExitCode::FAILURE)
}

/// The answer to a question of DNS (RFC 1035, section 4): the address where an IPv4 address is asked for, nothing else.
fn reply(question: &[u8], answer: Ipv4Addr) -> Option<Vec<u8>> {
    let id = question.get(..2)?;
    let name = question.get(12..)?;
    let end = 12 + name.iter().position(|byte| *byte == 0)? + 1;
    let asked = question.get(12..end + 4)?;
    let is_ipv4 = question.get(end..end + 2)? == [0, 1];
    let mut out = Vec::from(id);
    // An answer, recursion asked for and there; one question, one record or none.
    out.extend([0x81, 0x80, 0, 1, 0, u8::from(is_ipv4), 0, 0, 0, 0]);
    out.extend(asked);
    if is_ipv4 {
        // The name that was asked for, an address of the internet, good for no time at all.
        out.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        out.extend(answer.octets());
    }
    Some(out)
}

fn announcement(words: &[&str]) -> Option<Announcement> {
    let [store, node, port] = words else { return None };
    let first = |id: &str| unhex::<FINGERPRINT_BYTES>(id.get(..2 * FINGERPRINT_BYTES)?);
    Some(Announcement { hub: true, store: first(store)?, node: first(node)?, port: port.parse().ok()? })
}

/// Until killed.
fn shout(announcement: Announcement) -> ExitCode {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    let (heard, _nobody) = mpsc::channel(HEARD_MAX);
    runtime.block_on(run(Some(announcement), heard, CancellationToken::new()));
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_server_answers_with_its_one_address_and_knows_no_other() {
        let ask = |kind: u8| {
            [&[7, 8, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2][..], b"hq\x04test\0", &[0, kind, 0, 1]].concat()
        };
        let told = reply(&ask(1), Ipv4Addr::new(10, 99, 0, 66)).unwrap();
        assert_eq!(
            (&told[..2], &told[6..8], &told[told.len() - 4..]),
            (&[7, 8][..], &[0, 1][..], &[10, 99, 0, 66][..])
        );
        assert_eq!(reply(&ask(28), Ipv4Addr::LOCALHOST).unwrap()[6..8], [0, 0]);
        assert_eq!(reply(&[0; 11], Ipv4Addr::LOCALHOST), None);
    }

    #[test]
    fn only_whole_ids_make_a_forger() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(announcement(&[id, id, "7420"]).unwrap().port, 7_420);
        assert!(announcement(&["0123", id, "7420"]).is_none() && announcement(&[id, id]).is_none());
    }
}
