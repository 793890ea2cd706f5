//! How far the demo is: a bar on a terminal, plain lines anywhere else.
//!
//! Invariants: everything goes to standard error, so that `--json` leaves standard output to the report; plain lines come
//! at each tenth and at each event, never more.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A count of steps on its way to a known end.
pub struct Progress {
    total: u64,
    done: u64,
    face: Face,
}

enum Face {
    Bar(ProgressBar),
    Lines { out: Box<dyn Write + Send>, tenths_told: u64 },
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Progress({} of {})", self.done, self.total)
    }
}

impl Progress {
    /// A bar if standard error is a terminal, else lines.
    pub fn new(total: u64) -> Self {
        if !io::stderr().is_terminal() {
            return Self::lines(total, Box::new(io::stderr()));
        }
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {pos}/{len} lines  {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { total, done: 0, face: Face::Bar(bar) }
    }

    /// Lines, to anywhere.
    pub fn lines(total: u64, out: Box<dyn Write + Send>) -> Self {
        Self { total, done: 0, face: Face::Lines { out, tenths_told: 0 } }
    }

    /// Another `steps` are done.
    pub fn advance(&mut self, steps: u64) {
        self.done = self.done.saturating_add(steps).min(self.total);
        let (done, total) = (self.done, self.total);
        match &mut self.face {
            Face::Bar(bar) => bar.set_position(done),
            Face::Lines { out, tenths_told } => {
                let tenths = (done * 10).checked_div(total).unwrap_or(10);
                if tenths > *tenths_told {
                    *tenths_told = tenths;
                    tell(out, &format!("{:>3} %  {done}/{total} lines", tenths * 10));
                }
            }
        }
    }

    /// How far it is, in whole percent.
    pub fn percent(&self) -> u64 {
        (self.done * 100).checked_div(self.total).unwrap_or(100)
    }

    /// Something happened: `the hub is killed`.
    pub fn say(&mut self, event: &str) {
        let line = format!("{:>3} %  {event}", self.percent());
        match &mut self.face {
            Face::Bar(bar) => bar.println(line),
            Face::Lines { out, .. } => tell(out, &line),
        }
    }

    /// Takes the bar away; lines stay.
    pub fn finish(self) {
        if let Face::Bar(bar) = self.face {
            bar.finish_and_clear();
        }
    }
}

fn tell(out: &mut impl Write, line: &str) {
    // Nobody reads any more: no reason to end the shop's day.
    let _ = writeln!(out, "{line}");
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_come_at_each_tenth_and_each_event() {
        let page = Page::default();
        let mut progress = Progress::lines(40, Box::new(page.clone()));
        for line in 0..40 {
            if line == 14 {
                progress.say("the hub is killed");
            }
            progress.advance(1);
        }
        progress.advance(5);
        progress.finish();
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 11);
        assert_eq!(lines[2..5], [" 30 %  12/40 lines", " 35 %  the hub is killed", " 40 %  16/40 lines"]);
        assert_eq!(lines[10], "100 %  40/40 lines");
    }

    #[test]
    fn a_big_step_is_one_line_and_nothing_to_do_is_done() {
        let page = Page::default();
        let mut progress = Progress::lines(10, Box::new(page.clone()));
        progress.advance(7);
        assert_eq!(page.0.lock().unwrap().as_slice(), b" 70 %  7/10 lines\n");
        assert_eq!(Progress::lines(0, Box::new(Page::default())).percent(), 100);
    }
}
