//! What a cart's document shows, in a form that is quick to read.
//!
//! Own operations are noted as they are made; whatever others did is looked up in the document, which alone decides.

use super::CartLine;
use super::document::{Document, Failed, Live, Op};
use crate::clock::Hlc;
use crate::ids::{LineId, StepId};
use crate::stock::Milli;
use std::collections::{BTreeMap, HashSet};

/// What the document shows, in a form that is quick to read.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) lines: BTreeMap<LineId, Line>,
    pub(super) header: BTreeMap<String, Vec<u8>>,
    /// Every step that was ever added, live or not.
    pub(super) steps: HashSet<StepId>,
    /// The place of the lowest line, live or not.
    pub(super) lowest: Option<Hlc>,
}

#[derive(Default)]
pub(super) struct Line {
    pub(super) facts: Option<(Hlc, Vec<u8>)>,
    pub(super) live: BTreeMap<StepId, Milli>,
}

impl Shown {
    pub(super) fn lines(&self) -> Vec<CartLine> {
        let live = self.lines.iter().filter(|(_, line)| !line.live.is_empty());
        let mut lines: Vec<CartLine> = live
            .filter_map(|(id, line)| {
                let (at, facts) = line.facts.clone()?;
                let sum: i128 = line.live.values().map(|step| i128::from(step.0)).sum();
                let qty = i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX });
                let steps = line.live.iter().map(|(step, qty)| (*step, *qty)).collect();
                Some(CartLine { line: *id, at, facts, qty: Milli(qty), steps })
            })
            .collect();
        lines.sort_by_key(|line| (line.at, line.line));
        lines
    }

    pub(super) fn known(&self, line: &LineId) -> Option<&Line> {
        self.lines.get(line).filter(|line| line.facts.is_some())
    }

    /// What this node did itself: nothing else can have touched these keys meanwhile.
    pub(super) fn note(&mut self, op: Op) {
        match op {
            Op::Facts { line, at, facts } => self.show(Live::Facts(line, at, facts)),
            Op::Step { line, step, qty } => self.show(Live::Step(line, step, qty)),
            Op::Unstep { line, step, .. } => self.hide(&line, &step),
            Op::Header { name, value, .. } => self.show(Live::Header(name, value)),
        }
    }

    /// What another did: the document says what has become of the key.
    pub(super) fn look(&mut self, document: &Document, op: &Op) -> Result<(), Failed> {
        if let Op::Step { step, .. } = op {
            self.steps.insert(*step);
        }
        match (document.look(op)?, op) {
            (Some(live), _) => self.show(live),
            (None, Op::Step { line, step, .. } | Op::Unstep { line, step, .. }) => self.hide(line, step),
            (None, Op::Facts { .. } | Op::Header { .. }) => {}
        }
        Ok(())
    }

    pub(super) fn show(&mut self, live: Live) {
        match live {
            Live::Facts(line, at, facts) => {
                self.lowest = self.lowest.max(Some(at));
                self.lines.entry(line).or_default().facts = Some((at, facts));
            }
            Live::Step(line, step, qty) => {
                self.steps.insert(step);
                self.lines.entry(line).or_default().live.insert(step, qty);
            }
            Live::Header(name, value) => {
                self.header.insert(name, value);
            }
        }
    }

    pub(super) fn hide(&mut self, line: &LineId, step: &StepId) {
        if let Some(line) = self.lines.get_mut(line) {
            line.live.remove(step);
        }
    }
}
