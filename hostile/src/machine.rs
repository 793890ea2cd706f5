//! What comes from this machine and what hangs on it: settings, requests, disks, printers.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use terminal_agent::api::{Operation, ROUTES, read_query, read_stands, understand};
use toko_crdt::ids::StoreId;
use toko_daemon::settings::{Problems, Settings};
use toko_devices::escpos::Question;
use toko_devices::status::PrinterStatus;
use toko_devices::virtual_printer::Machine;
use toko_devices::{Dialect, Replies, Reply};
use toko_mesh::disk::Disk;
use toko_mesh::log::{Log, LogConfig, OpenLogError};
use toko_mesh::sim_disk::SimDisk;
use toko_retail::currency::Currency;

use super::cut::{Cut, piece};

/// *Input*: whose, then the file.
pub(super) fn config(bytes: &[u8]) {
    let Some((whose, file)) = bytes.split_first() else { return };
    let text = String::from_utf8_lossy(file);
    let data = Path::new("/x");
    let refused = match whose % 3 {
        0 => {
            let mut settings = Settings::of(&hubd::config::File::default());
            settings.file("hubd.toml", &text);
            settings.finish::<hubd::config::File>().and_then(|file| file.parse(data)).err()
        }
        1 => {
            let mut settings = Settings::of(&terminal_agent::config::File::default());
            settings.file("terminal-agent.toml", &text);
            settings
                .finish::<terminal_agent::config::File>()
                .and_then(terminal_agent::config::File::parse)
                .err()
        }
        _ => {
            let mut settings = Settings::of(&hqd::config::File::default());
            settings.file("hqd.toml", &text);
            settings.finish::<hqd::config::File>().and_then(|file| file.parse(data)).err()
        }
    };
    if let Some(Problems(problems)) = refused {
        assert!(
            !problems.is_empty() && problems.iter().all(|problem| !problem.is_empty()),
            "refused without a word"
        );
    }
}

pub(super) fn config_seeds() -> Vec<Vec<u8>> {
    let files = ["systemd/hubd.toml", "systemd/terminal-agent.toml", "systemd/hqd.toml"];
    let shipped = files.iter().zip(0..).map(|(path, whose)| {
        let text = std::fs::read_to_string(crate::root().join(path)).unwrap_or_default();
        // Without the words: mutations are better spent on keys and values.
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        [&[whose], lines.collect::<Vec<_>>().join("\n").as_bytes()].concat()
    });
    let odd = [b"\x00[links]\nlisten = \"\xff\"".to_vec(), b"\x01api.listen = { a = [[[[]]]] }".to_vec()];
    shipped.chain(odd).collect()
}

/// *Input*: which operation, its parameters, its query, its body.
pub(super) fn http(bytes: &[u8]) {
    let mut cut = Cut(bytes);
    let route = &ROUTES[usize::from(cut.byte()) % ROUTES.len()];
    let params: BTreeMap<String, String> = ["cart", "line", "tender", "sale", "code"]
        .into_iter()
        .map(|name| (name.to_owned(), cut.text()))
        .collect();
    if let Err(refused) = read_query(&cut.text()) {
        assert!(refused.status.is_client_error(), "{refused:?}");
    }
    if let Err(refused) = read_stands(bytes) {
        assert!(refused.status.is_client_error(), "{refused:?}");
    }
    let pounds = Currency::parse("GBP").expect("a currency");
    match understand(route.operation, &params, cut.0, pounds) {
        Ok((command, canonical)) => {
            let again = understand(route.operation, &params, canonical.as_bytes(), pounds);
            let (same, form) = again.expect("the form that stands for a body reads");
            assert_eq!(form, canonical, "a body has one form");
            assert_eq!(format!("{same:?}"), format!("{command:?}"), "and says the same in it");
        }
        Err(refused) => {
            // What asks, and what teaches a drawer, is no command of the till.
            let other = route.method.as_str() == "GET" || route.operation == Operation::LearnDrawer;
            assert!(other || refused.status.is_client_error(), "{refused:?}");
            assert!(refused.body().to_string().len() < 64 * 1024, "a refusal is short");
        }
    }
}

pub(super) fn http_seeds() -> Vec<Vec<u8>> {
    let line = r#"{"code":"71053","qty":"2","unit_price":"3.39","name":"A","memo":"m","price_reason":"p"}"#;
    let tenders = r#"[{"kind":"cash","amount":"20.00"},{"kind":"card","amount":"1","approval_code":"A1","terminal_id":"T","last_four":"1234"},{"kind":"other","amount":"1.00","name":"voucher","reference":"r"}]"#;
    let of = |wanted: Operation| ROUTES.iter().position(|route| route.operation == wanted).unwrap_or(0);
    let bodies = [
        (Operation::OpenDay, r#"{"date":"2010-12-01","by":"c7"}"#.to_owned()),
        (Operation::CloseDay, r#"{"note":"late"}"#.to_owned()),
        (Operation::OpenCart, r#"{"name":"the lady with the dog"}"#.to_owned()),
        (Operation::AddLine, line.to_owned()),
        (Operation::ChangeLine, r#"{"qty":"1.250"}"#.to_owned()),
        (Operation::RemoveLine, String::new()),
        (Operation::Park, r#"{"note":"n"}"#.to_owned()),
        (Operation::Tender, r#"{"kind":"cash","amount":"20.00"}"#.to_owned()),
        (Operation::GiveBack, "{}".to_owned()),
        (Operation::Sell, format!(r#"{{"tenders":{tenders},"customer":"9","cashier":"c7","memo":"m","external":"e","receipt":true}}"#)),
        (Operation::Return, format!(r#"{{"original":"{}","lines":[{{"original_line":0,"qty":"1"}},{line}],"tenders":{tenders},"reason":"broken"}}"#, "ab".repeat(32))),
        (Operation::MoveStock, r#"{"reason":"count","lines":[{"code":"71053","qty":"-2"}],"note":"n","by":"c7","counterpart":"x","external":"y"}"#.to_owned()),
        (Operation::VoidSale, r#"{"reason":"wrong","receipt":false}"#.to_owned()),
        (Operation::PrintCopy, r#"{"printer":"counter"}"#.to_owned()),
    ];
    let input = |(operation, body): (Operation, String)| {
        let params = ["ab".repeat(16), "cd".repeat(16), "ef".repeat(16), "ab".repeat(32), "71053".into()];
        let mut out = vec![u8::try_from(of(operation)).unwrap_or(0)];
        params.iter().for_each(|param| out.extend(piece(param.as_bytes())));
        out.extend(piece(b"after=BANK%20CHARGES&limit=5&day=2010-12-01"));
        out.extend_from_slice(body.as_bytes());
        out
    };
    bodies.into_iter().map(input).collect()
}

const STORE: StoreId = StoreId([3; 32]);
const LOG: LogConfig =
    LogConfig { segment_bytes: 64 << 10, payload_bytes_max: 4096, reserve_bytes: 0, first_segment: 1 };
/// How many records one input writes at most.
const RECORDS_MAX: usize = 16;

/// *Input*: records to write and to sync, then places of the disk to change. What reads back afterwards is a beginning of
/// what was written, or opening says what is wrong; never something else.
pub(super) fn log(bytes: &[u8]) {
    let disk = SimDisk::new();
    let open = || Log::open(Arc::new(disk.clone()), STORE, LOG, None);
    let mut cut = Cut(bytes);
    let mut wrote: Vec<(u8, Vec<u8>)> = Vec::new();
    {
        let mut log = open().expect("an empty disk opens");
        for _ in 0..usize::from(cut.byte()) % RECORDS_MAX {
            let (how, payload) = (cut.byte(), cut.piece());
            let kind = how.clamp(*Log::KINDS.start(), *Log::KINDS.end());
            // Long ones are made from short ones, so that segments fill.
            let payload = payload.repeat(1 + usize::from(how >> 6) * 8);
            let payload = &payload[..payload.len().min(4096)];
            log.append(&[(kind, payload)]).expect("there is room");
            wrote.push((kind, payload.to_vec()));
            if how & 1 == 1 {
                log.sync().expect("the disk syncs");
            }
        }
        assert_eq!(read(&log), wrote, "an unharmed log reads back");
    }
    let files = disk.list().expect("names");
    let mut changed = false;
    while !cut.is_empty() {
        let (file, at) = (usize::from(cut.byte()), u16::from_le_bytes([cut.byte(), cut.byte()]));
        let with = cut.piece();
        let Some(name) = files.get(file % files.len().max(1)) else { break };
        changed |= !with.is_empty();
        disk.write_at(name, u64::from(at), with).expect("a write inside");
    }
    match open() {
        Ok(log) => {
            let back = read(&log);
            assert!(wrote.starts_with(&back), "records that nobody wrote, or out of order");
            assert!(changed || back == wrote, "an unharmed log lost something");
        }
        Err(error) => {
            assert!(changed, "an unharmed log does not open: {error}");
            assert!(!matches!(error, OpenLogError::Io { .. }), "{error}");
        }
    }
}

fn read(log: &Log) -> Vec<(u8, Vec<u8>)> {
    log.records(log.start()).map_while(Result::ok).map(|record| (record.kind, record.payload)).collect()
}

pub(super) fn log_seeds() -> Vec<Vec<u8>> {
    let record = |how: u8, payload: &[u8]| [&[how][..], &piece(payload)].concat();
    let records =
        [record(1, b"one tin"), record(2, b""), record(0xc3, &[9; 300]), record(5, b"last")].concat();
    let change = |at: u16, with: &[u8]| [&[0][..], &at.to_le_bytes(), &piece(with)].concat();
    let with = |changes: &[Vec<u8>]| [&[4][..], &records, &changes.concat()].concat();
    vec![
        with(&[]),
        with(&[change(80, &[0xff])]),
        with(&[change(64, &[0; 9])]),
        with(&[change(8, &[9]), change(60, &[1, 2, 3, 4])]),
        with(&[change(95, &[0; 400])]),
    ]
}

/// *Input*: bytes as they come from a printer, read as ESC/POS and as Star; then the same as a job of somebody else, to the
/// printer.
pub(super) fn replies(bytes: &[u8]) {
    let (mut replies, mut status) = (Replies::new(), PrinterStatus::default());
    for byte in bytes {
        match replies.push(*byte) {
            Some(Reply::Block { body, .. }) => assert!(body.len() <= toko_devices::reply::BLOCK_BYTES_MAX),
            Some(Reply::RealTime(answer)) => {
                for question in [Question::Printer, Question::Offline, Question::Error, Question::Paper] {
                    status.learn(question, answer);
                }
            }
            Some(Reply::Automatic(told)) => status = PrinterStatus::from(told),
            Some(Reply::Sii(told)) => status = PrinterStatus::from(told),
            Some(_) | None => {}
        }
    }
    assert!(status.can_print() || status.what_to_do().is_some(), "a printer that does not print says why");
    let mut replies = Replies::of(Dialect::Star);
    for told in bytes.iter().filter_map(|byte| replies.push(*byte)) {
        if let Reply::Star(told) = told {
            let status = PrinterStatus::from(told);
            assert!(status.reasons() == "none" || status.conditions().count() > 0);
        }
    }
    Machine::new(48).print(bytes);
}

pub(super) fn replies_seeds() -> Vec<Vec<u8>> {
    vec![
        vec![0x16, 0x37, 0x22, b'0', b'0', b'4', b'2', 0],
        vec![0x12, 0x1e, 0x72, 0x10, 0x00, 0x0c, 0x0f, 0x11, 0x13],
        [&[0x5f], [b'A'; 90].as_slice(), &[0]].concat(),
        b"\x1b@Receipt\n\x1dV\x42\x00\x1dv0\x00\x01\x00\x01\x00\xff\x10\x04\x01".to_vec(),
        vec![
            0x23, 0x06, 0x20, 0, 0, 0x08, 0, 0, 0, 0x1b, 0x1d, 3, 1, 0x11, 0x13, 7, 0, 0xb0, 0xc2, 0xd8,
            0xd0, 0xd8,
        ],
        b"\x37\x22w\x14\x00\x0c\x00x\x16yz\x00\x37\x25\x00".to_vec(),
    ]
}
