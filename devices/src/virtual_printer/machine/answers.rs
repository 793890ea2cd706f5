//! What the machine says: in its place among the printing, in real time, and unasked.

use super::{Effect, Machine};
use crate::virtual_printer::token::Token;

impl Machine {
    /// Answers a question that came in its place among the printing.
    pub(super) fn answer(&mut self, question: &Token<'_>) {
        match question {
            Token::ProcessId(_) if self.faults.no_marks => {}
            Token::ProcessId([a, b, c, d]) => self.say(&[0x37, 0x22, *a, *b, *c, *d, 0]),
            Token::SendStatus(2) => self.say(&[u8::from(self.drawer.level())]),
            Token::SendStatus(_) => self.say(&[self.paper_bits()]),
            Token::SendId(n @ 65..=69) => {
                let name: &[u8] = if *n == 66 { b"\x5fToko\0" } else { b"\x5fvirtual-printer\0" };
                self.say(name);
            }
            Token::SendId(_) => self.say(&[0x02]),
            Token::AutomaticStatus(n) => {
                self.automatic = *n;
                if *n != 0 {
                    self.told = self.state();
                    self.say(&self.told.clone());
                }
            }
            _ => {}
        }
    }

    pub(super) fn real_time_status(&self, n: u8) -> u8 {
        let faults = &self.faults;
        let error = self.trouble.cutter || self.trouble.broken || faults.overheated;
        let bits = match n {
            1 => [(self.drawer.level(), 0x04), (self.offline(), 0x08), (false, 0)],
            2 => [(faults.cover_open, 0x04), (faults.paper_out, 0x20), (error, 0x40)],
            3 => [(self.trouble.cutter, 0x08), (self.trouble.broken, 0x20), (faults.overheated, 0x40)],
            _ => [(faults.paper_near_end || faults.paper_out, 0x0c), (faults.paper_out, 0x60), (false, 0)],
        };
        bits.iter().filter(|(set, _)| *set).fold(0x12, |byte, (_, bit)| byte | bit)
    }

    /// Tells a change unasked, if it is one of those that were asked for.
    pub(super) fn tell_changes(&mut self) {
        let now = self.state();
        let [drawer, online, error, paper] = [1, 2, 4, 8].map(|bit| self.automatic & bit != 0);
        let seen = [
            if drawer { 0x04 } else { 0 } | if online { 0x28 } else { 0 },
            if error { 0x7f } else { 0 },
            if paper { 0x0f } else { 0 },
            0,
        ];
        let changed = (0..4).any(|nth| (now[nth] ^ self.told[nth]) & seen[nth] != 0);
        if changed {
            self.told = now;
            self.say(&now);
        }
    }

    fn state(&self) -> [u8; 4] {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        let first = 0x10
            | bit(self.drawer.level(), 0x04)
            | bit(self.offline(), 0x08)
            | bit(self.faults.cover_open, 0x20);
        let second = bit(self.trouble.cutter, 0x08)
            | bit(self.trouble.broken, 0x20)
            | bit(self.faults.overheated, 0x40);
        [first, second, self.paper_bits(), 0]
    }

    fn paper_bits(&self) -> u8 {
        let near = if self.faults.paper_near_end || self.faults.paper_out { 0x03 } else { 0 };
        near | if self.faults.paper_out { 0x0c } else { 0 }
    }

    pub(super) fn say(&mut self, bytes: &[u8]) {
        if self.faults.no_answers {
            return;
        }
        self.effects.push(Effect::Say(bytes.to_vec()));
    }
}
