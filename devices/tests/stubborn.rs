//! The driver against printers that no virtual one plays: one that stops reading, one that echoes an older mark.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use toko_devices::{Doubt, Outcome, Page, Printer, PrinterConfig, Style};

/// Real-time status: online, cover closed, paper enough.
const FINE: u8 = 0x12;
const QUESTION: [u8; 2] = [0x10, 0x04];

/// Answers the status questions in front of a job.
async fn greet(listener: &TcpListener) -> TcpStream {
    let (mut link, _) = listener.accept().await.expect("a caller");
    let mut questions = [0; 9];
    link.read_exact(&mut questions).await.expect("three questions");
    link.write_all(&[FINE; 3]).await.expect("an open link");
    link
}

async fn listener() -> (TcpListener, PrinterConfig) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    (listener, PrinterConfig::at(address))
}

#[tokio::test]
async fn a_printer_that_stops_reading_in_mid_job_leaves_doubt() {
    let (listener, mut config) = listener().await;
    config.deadlines.send = Duration::from_secs(1);
    // More than the buffers of both ends hold.
    let line = "TOMATOES ".repeat(110);
    let page = (0..16_000).fold(Page::new(), |page, _| page.text(&line, Style::PLAIN)).cut();
    let deaf = async {
        let link = greet(&listener).await;
        std::future::pending::<()>().await;
        drop(link);
    };
    let (mut printer, stop) = (Printer::new(config), CancellationToken::new());
    let outcome = tokio::select! {
        outcome = printer.print(&page, &stop) => outcome,
        () = deaf => unreachable!("it never ends by itself"),
    };
    let Outcome::InDoubt { why: Doubt::Stalled { sent, bytes } } = outcome else { panic!("{outcome:?}") };
    assert!(0 < sent && sent < bytes, "{sent} of {bytes}");
}

#[tokio::test]
async fn the_echo_of_an_older_job_is_no_confirmation_of_this_one() {
    let (listener, mut config) = listener().await;
    config.deadlines.confirm = Duration::from_millis(500);
    let late = async {
        let mut link = greet(&listener).await;
        let mut bytes = [0; 4096];
        loop {
            let count = link.read(&mut bytes).await.expect("an open link");
            let questions = bytes[..count].windows(2).filter(|pair| *pair == QUESTION).count();
            let answer = if questions > 0 { vec![FINE; questions] } else { b"\x37\x22!!!!\0".to_vec() };
            link.write_all(&answer).await.expect("an open link");
        }
    };
    let (mut printer, stop) = (Printer::new(config), CancellationToken::new());
    let page = Page::new().line("CORNER SHOP").cut();
    let outcome = tokio::select! {
        outcome = printer.print(&page, &stop) => outcome,
        () = late => unreachable!("it never ends by itself"),
    };
    assert!(matches!(outcome, Outcome::InDoubt { why: Doubt::Unconfirmed { .. } }), "{outcome:?}");
}
