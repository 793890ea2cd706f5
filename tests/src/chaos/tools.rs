//! What the suite plays itself inside a namespace, as a process of its own: a forger, who shouts by mDNS that somebody
//! else's hub is where he is.
//!
//! He uses the product's own shouting, so that what tills hear is as good as the truth, but for the place.

use std::ffi::OsString;
use std::process::ExitCode;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use toko_crdt::hash::unhex;
use toko_mesh::find::mdns::{Announcement, run};
use toko_mesh::tls::FINGERPRINT_BYTES;

const USAGE: u8 = 64;
/// What is heard meanwhile and nobody wants.
const HEARD_MAX: usize = 16;

/// Plays the forger if the arguments ask for him: `chaos --as forger STORE NODE PORT`, ids in full, in hexadecimal.
pub fn play(args: &[OsString]) -> Option<ExitCode> {
    let words: Vec<&str> = args.iter().filter_map(|arg| arg.to_str()).collect();
    let [_, "--as", "forger", rest @ ..] = &words[..] else { return None };
    crate::demo::cast::die_with_parent();
    let Some(announcement) = announcement(rest) else { return Some(ExitCode::from(USAGE)) };
    Some(shout(announcement))
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
    fn only_whole_ids_make_a_forger() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(announcement(&[id, id, "7420"]).unwrap().port, 7_420);
        assert!(announcement(&["0123", id, "7420"]).is_none() && announcement(&[id, id]).is_none());
    }
}
