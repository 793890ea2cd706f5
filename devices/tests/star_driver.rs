//! The owner against a Star printer: its own words for status, for the end of a document and for the drawer.
//!
//! The printer stands here and not in the library: it is only what Star's command specifications say of these few commands,
//! written apart from the driver. Paper as text and PNG the virtual printer makes in ESC/POS.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use toko_devices::{
    Deadlines, Doubt, Edge, Habits, Level, NotSent, Opening, Outcome, OwnedPrinter, Owner, Page, Paper,
    Polarity, PrinterConfig, Profile, Pulse,
};

/// A Star printer with a drawer that is shut while its sensor is low.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Star {
    paper_out: bool,
    /// It never says that a document has ended.
    mute: bool,
    drawer_open: bool,
    tells_changes: bool,
    finished: u8,
    text: String,
}

impl Star {
    /// `0nn0nnn1` for nine bytes, a version, and the state: drawer and offline in the third byte, paper in the sixth.
    fn status(&self) -> [u8; 9] {
        let state = if self.drawer_open { 0x04 } else { 0 } | if self.paper_out { 0x08 } else { 0 };
        [0x23, 0x06, state, 0, 0, if self.paper_out { 0x08 } else { 0 }, 0, 0, 0]
    }

    /// Takes one command off the front and answers it; nothing while the command is not whole.
    fn obey(&mut self, bytes: &[u8]) -> Option<(usize, Vec<u8>)> {
        let (length, answer) = match bytes {
            [] => return None,
            [0x07, ..] => {
                self.drawer_open = true;
                (1, if self.tells_changes { self.status().to_vec() } else { Vec::new() })
            }
            [0x1b] | [0x1b, 0x1d | 0x1e | 0x06 | b'd'] => return None,
            [0x1b, 0x06, 0x01, ..] => (3, self.status().to_vec()),
            [0x1b, 0x1e, b'a', n, ..] => {
                self.tells_changes = *n != 0;
                (4, self.status().to_vec())
            }
            [0x1b, 0x1d, 0x03, s, low, high, ..] => {
                self.finished = self.finished.wrapping_add(1) % 32;
                let echo = vec![0x1b, 0x1d, 0x03, *s, *low, *high, self.finished, 0];
                (6, if self.mute { Vec::new() } else { echo })
            }
            [0x1b, 0x1d, 0x03, ..] | [0x1b, 0x1e, ..] if bytes.len() < 6 => return None,
            [0x1b, 0x1d, _, _, ..] | [0x1b, b'i', _, _, ..] => (4, Vec::new()),
            [0x1b, 0x1d | b'i', ..] => return None,
            [0x1b, b'd', _, ..] => {
                self.text.push_str("-- cut --\n");
                (3, Vec::new())
            }
            [0x1b, _, ..] => (2, Vec::new()),
            [byte, ..] => {
                if *byte == b'\n' || (0x20..0x7f).contains(byte) {
                    self.text.push(char::from(*byte));
                }
                (1, Vec::new())
            }
        };
        Some((length, answer))
    }
}

async fn serve(listener: TcpListener, star: watch::Sender<Star>) {
    while let Ok((stream, _)) = listener.accept().await {
        session(stream, &star).await;
    }
}

async fn session(mut stream: TcpStream, star: &watch::Sender<Star>) {
    let mut waiting = Vec::new();
    loop {
        let mut bytes = [0; 4096];
        match stream.read(&mut bytes).await {
            Ok(n) if n > 0 => waiting.extend(&bytes[..n]),
            _ => return,
        }
        let mut answers = Vec::new();
        let mut at = 0;
        star.send_modify(|star| {
            while let Some((length, answer)) = star.obey(&waiting[at..]) {
                at += length;
                answers.extend(answer);
            }
        });
        waiting.drain(..at);
        if stream.write_all(&answers).await.is_err() {
            return;
        }
    }
}

struct Bench {
    star: watch::Sender<Star>,
    printer: OwnedPrinter,
    _tasks: JoinSet<()>,
}

impl Bench {
    async fn with(star: Star, confirm: Duration) -> Bench {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let mut config = PrinterConfig::at(listener.local_addr().expect("an address").to_string());
        config.model = Profile::named("star/tsp100iv").expect("known").model;
        config.deadlines = Deadlines { confirm, status: LONG, connect: LONG, ..Deadlines::default() };
        let habits = Habits { let_go: None, ..Habits::default() };
        let (printer, owner) = Owner::new(config, habits, CancellationToken::new());
        let star = watch::Sender::new(star);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, star.clone()));
        tasks.spawn(owner.run());
        Bench { star, printer, _tasks: tasks }
    }

    fn text(&self) -> String {
        self.star.borrow().text.clone()
    }
}

fn receipt(job: &str) -> Page {
    Page::new().line("CORNER SHOP").job(job).cut()
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_document_is_printed_when_its_own_number_comes_back() {
    let bench = Bench::with(Star::default(), LONG).await;
    for job in ["a1", "a2"] {
        assert_eq!(bench.printer.print(receipt(job)).await, Outcome::Printed { level: Level::Printed });
    }
    let text = bench.text();
    assert!(text.contains("CORNER SHOP\nJob a1\n") && text.contains("CORNER SHOP\nJob a2\n"), "{text}");
}

#[tokio::test]
async fn a_star_that_says_nothing_leaves_doubt_and_one_without_paper_is_sent_nothing() {
    let bench = Bench::with(Star { mute: true, ..Star::default() }, Duration::from_millis(100)).await;
    let outcome = bench.printer.print(receipt("a1")).await;
    assert!(
        matches!(outcome, Outcome::InDoubt { why: Doubt::Unconfirmed { reached: Level::Sent, .. } }),
        "{outcome:?}"
    );
    let bench = Bench::with(Star { paper_out: true, ..Star::default() }, LONG).await;
    match bench.printer.print(receipt("a1")).await {
        Outcome::NotPrinted { why: NotSent::NotReady { status } } => assert_eq!(status.paper, Paper::Out),
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.text(), "");
}

#[tokio::test]
async fn the_drawer_of_a_star_opens_by_one_byte_and_its_status_confirms_it() {
    let bench = Bench::with(Star { paper_out: true, ..Star::default() }, LONG).await;
    let mut edges = bench.printer.edges();
    let opening =
        bench.printer.open_drawer(Pulse { polarity: Polarity::HighIsOpen, ..Pulse::default() }).await;
    assert!(matches!(opening, Opening::Opened { .. }), "{opening:?}");
    let edge = timeout(LONG, edges.recv()).await.expect("in time").expect("an edge");
    assert_eq!(edge, Edge { level: true, ours: true, missed: false });
}
