//! F49: however often somebody makes us say it, the log stays short, and what is missing is counted.

use super::*;
use std::io;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

/// A log that is kept in memory.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    fn lines(&self) -> Vec<String> {
        let bytes = self.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }
}

impl io::Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Paper {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Runs `work` with a log of its own, and returns its lines.
fn logged(floods: &Floods, work: impl FnOnce()) -> Vec<String> {
    let paper = Paper::default();
    let layer = tracing_subscriber::fmt::layer().with_writer(paper.clone()).with_ansi(false);
    let log = tracing_subscriber::registry().with(floods.clone()).with(layer);
    tracing::subscriber::with_default(log, work);
    paper.lines()
}

fn knock(times: u32) {
    for at in 0..times {
        tracing::warn!(at, "a stranger knocked");
    }
}

#[test]
fn a_hundred_thousand_knocks_are_a_few_lines_and_a_count() {
    let floods = Floods::new(LINES_MAX, Duration::MAX);
    let lines = logged(&floods, || {
        knock(100_000);
        tracing::info!("link up");
        floods.say_all();
    });
    assert_eq!(lines.len(), 30 + 1 + 1, "{lines:#?}");
    assert!(lines[30].contains("link up"), "other places are not in the flood's way: {}", lines[30]);
    assert!(lines[31].contains("WARN") && lines[31].contains("more=99970"), "{}", lines[31]);
    assert!(lines[31].contains("a stranger knocked"), "{}", lines[31]);
}

#[test]
fn lines_come_again_when_their_minute_is_over_and_the_count_is_said_once() {
    let floods = Floods::new(2, WINDOW);
    let lines = logged(&floods, || {
        knock(5);
        let now = Instant::now();
        assert_eq!(floods.take(now, false), Vec::new(), "the minute is not over");
        let counted = floods.take(now + WINDOW, false);
        assert_eq!(
            counted.iter().map(|left| (left.level, left.more)).collect::<Vec<_>>(),
            [(Level::WARN, 3)]
        );
        assert_eq!(floods.take(now + WINDOW, true), Vec::new(), "said already");
        knock(5);
    });
    assert_eq!(lines.len(), 2 + 2, "{lines:#?}");
}

#[test]
fn what_somebody_asked_to_see_is_shown_whole() {
    let floods = Floods::new(2, WINDOW);
    let lines = logged(&floods, || (0..50).for_each(|at| tracing::debug!(at, "datagram")));
    assert_eq!(lines.len(), 50);
    assert_eq!(floods.take(Instant::now(), true), Vec::new());
}

#[test]
fn a_long_message_is_cut_at_a_letter() {
    let floods = Floods::new(0, WINDOW);
    logged(&floods, || tracing::error!("{}", "ü".repeat(500)));
    let left = floods.take(Instant::now(), true);
    assert_eq!(left[0].like, "ü".repeat(60));
}
