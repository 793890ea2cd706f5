//! What was answered to which key, for as long as this process lives and there is room.
//!
//! For commands that are answered from memory, whose change may not be durable yet. Behind it stand the views, which know
//! every key whose command became durable.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use toko_crdt::Hash;
use toko_crdt::body::Idem;

use super::seen::Answer;
use crate::draw::short;

/// How many answers are remembered, at about half a KiB each.
const ANSWERS_MAX: usize = 2_048;

/// The hashes of a key and of the request that used it, so that no caller's text is kept.
///
/// `request` is the request in a form of its own that does not depend on spaces or the order of fields.
#[must_use]
pub fn idem(key: &str, request: &[u8]) -> Idem {
    Idem {
        key: short(&Hash::of("toko/terminal/idem-key/1", &[key.as_bytes()]).0),
        request: short(&Hash::of("toko/terminal/idem-request/1", &[request]).0),
    }
}

/// Answers by key.
#[derive(Debug, Default)]
pub(super) struct Answered {
    by_key: HashMap<[u8; 16], ([u8; 16], Arc<Answer>)>,
    order: VecDeque<[u8; 16]>,
}

impl Answered {
    /// What the key's request was, and what it was answered.
    #[must_use]
    pub(super) fn of(&self, key: &[u8; 16]) -> Option<([u8; 16], Arc<Answer>)> {
        self.by_key.get(key).cloned()
    }

    /// Remembers an answer; forgets the oldest where there is no room.
    pub(super) fn note(&mut self, idem: Idem, answer: Arc<Answer>) {
        if self.by_key.insert(idem.key, (idem.request, answer)).is_none() {
            self.order.push_back(idem.key);
        }
        while self.order.len() > ANSWERS_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.by_key.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_answer_goes_when_there_is_no_room() {
        let mut answered = Answered::default();
        for at in 0..=ANSWERS_MAX {
            answered.note(idem(&at.to_string(), b"x"), Arc::new(Answer::Nothing));
        }
        assert!(answered.of(&idem("0", b"x").key).is_none());
        assert!(answered.of(&idem("1", b"x").key).is_some());
    }

    #[test]
    fn another_body_is_another_request_of_the_same_key() {
        let (one, other) = (idem("k", b"1"), idem("k", b"2"));
        assert_eq!(one.key, other.key);
        assert_ne!(one.request, other.request);
    }
}
