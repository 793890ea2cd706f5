//! Random ids: for carts, tenders, print jobs and the token.
//!
//! Thirty-two bytes of the operating system, stretched by hashing with a counter. Nothing is drawn twice in one process run.

use toko_crdt::Hash;
use toko_mesh::enrol::NoRandomness;
use toko_mesh::machine::Machine;

/// A source of random ids.
pub struct Draw {
    seed: [u8; 32],
    drawn: u64,
}

impl Draw {
    /// Takes its seed from the operating system.
    ///
    /// Errors: there is none to be had.
    pub fn new() -> Result<Self, NoRandomness> {
        Self::on(&Machine::real())
    }

    /// Takes its seed from this machine.
    ///
    /// Errors: there is none to be had.
    pub fn on(machine: &Machine) -> Result<Self, NoRandomness> {
        Ok(Self { seed: machine.random()?, drawn: 0 })
    }

    /// 32 bytes that nobody has seen.
    pub fn bytes(&mut self) -> [u8; 32] {
        self.drawn += 1;
        Hash::of("toko/terminal/draw/1", &[&self.seed, &self.drawn.to_be_bytes()]).0
    }

    /// An id that nobody has.
    pub fn id(&mut self) -> [u8; 16] {
        short(&self.bytes())
    }
}

/// The first half of a hash: an id that follows from something.
#[must_use]
pub fn short(bytes: &[u8; 32]) -> [u8; 16] {
    let mut id = [0; 16];
    id.copy_from_slice(&bytes[..16]);
    id
}

impl std::fmt::Debug for Draw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Draw(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_drawn_twice() {
        let (mut one, mut other) = (Draw::new().unwrap(), Draw::new().unwrap());
        let mut all: Vec<_> = (0..100).flat_map(|_| [one.id(), other.id()]).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 200);
    }
}
