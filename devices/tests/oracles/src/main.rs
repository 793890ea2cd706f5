//! what others read in Toko's print jobs and pictures.
//!
//! Encodes pages, lets escpost-render read them, compares text, code pages and codes with what the page says, and writes
//! pictures, both its and ours, with a list of the codes that a scanner must find in each. `run.sh` asks the scanners.

use std::path::Path;
use std::{env, error::Error, fs};

use escpost_render::{DecodedCommand, RenderOptions, render_with_trace_and_options};
use toko_devices::codepage::CodePage;
use toko_devices::fonts::BuiltIn;
use toko_devices::model::Draws;
use toko_devices::{Barcode, Model, Page, Pdf417, Profile, Qr, Size, Style, drawn, escpos};

/// Ours and theirs.
const PRINTERS: [(&str, &str); 3] =
    [("epson/tm-t20ii", "TM-T20II"), ("epson/tm-t88v", "TM-T88V"), ("citizen/ct-s651", "CT-S651")];

/// Code pages that they have a number for and no table.
const UNREAD: [&str; 1] = ["cp1125"];

fn main() -> Result<(), Box<dyn Error>> {
    let out = env::args().nth(1).ok_or("usage: toko-paper-oracles OUT_DIR")?;
    let out = Path::new(&out);
    fs::create_dir_all(out)?;
    let texts = texts();
    for (ours, theirs) in PRINTERS {
        let profile = Profile::named(ours).ok_or(ours)?;
        // They know neither the command that cancels Kanji nor the guard nor some code pages, and refuse what they do not know.
        let unread: Vec<CodePage> = UNREAD.into_iter().filter_map(CodePage::named).collect();
        let pages = profile.model.pages.iter().filter(|(_, page)| !unread.contains(page)).copied();
        let pages: &[(u8, CodePage)] = pages.collect::<Vec<_>>().leak();
        let model = Model { cancel_kanji: false, guard: false, pages, ..profile.model };
        for (n, page) in texts.iter().enumerate() {
            text_is_read_back(page, &model, theirs).map_err(|e| format!("{ours}, text {n}: {e}"))?;
        }
        for (name, page, codes) in symbols()? {
            let by_printer = read(&page, &model, theirs)?;
            let draws = Draws { barcodes: false, qr: false, pdf417: false };
            let as_dots = read(&page, &Model { draws, ..model }, theirs)?;
            let file = format!("{}-{name}", theirs.to_lowercase());
            // PDF417 is unknown to them as a command.
            if name != "pdf417" {
                fs::write(out.join(format!("{file}-native.png")), &by_printer.png)?;
                fs::write(out.join(format!("{file}-native.codes")), codes.clone())?;
            }
            fs::write(out.join(format!("{file}-dots.png")), &as_dots.png)?;
            fs::write(out.join(format!("{file}-dots.codes")), codes.clone())?;
            fs::write(out.join(format!("{file}-ours.png")), drawn::paper(&page, &model, &BuiltIn).png())?;
            fs::write(out.join(format!("{file}-ours.codes")), codes)?;
        }
    }
    println!("{} texts read back by escpost-render on {} printers", texts.len(), PRINTERS.len());
    Ok(())
}

/// What they made of a job.
struct Read {
    png: Vec<u8>,
    /// Rows of text, as they say which page each byte is of; a drawn part is a `#`.
    rows: Vec<String>,
}

fn read(page: &Page, model: &Model, theirs: &str) -> Result<Read, Box<dyn Error>> {
    let job = escpos::encode(page, model);
    let job: Vec<u8> = if model.draws.pdf417 { without_pdf417(&job) } else { job };
    let profile = escpost_profiles::resolver::resolve(theirs)?;
    let traced = render_with_trace_and_options(&job, profile, &RenderOptions::default())?;
    let mut encoding = String::from("CP437");
    let (mut rows, mut row) = (Vec::new(), String::new());
    for trace in traced.trace.sheets.iter().flat_map(|sheet| &sheet.commands) {
        match &trace.command {
            DecodedCommand::SelectCodeTable { encoding: Some(name), .. } => encoding = name.clone(),
            DecodedCommand::SelectCodeTable { table, encoding: None } => {
                return Err(format!("they know no code table {table}").into());
            }
            DecodedCommand::TextByte(byte) => row.push(character(&encoding, *byte)?),
            DecodedCommand::SelectBitImageMode { .. } => row.push('#'),
            DecodedCommand::LineFeed => rows.push(std::mem::take(&mut row)),
            DecodedCommand::Unknown(code) => return Err(format!("unknown command {code:?}").into()),
            _ => {}
        }
    }
    let png = traced.render.sheets.first().map(|sheet| sheet.png.clone()).unwrap_or_default();
    Ok(Read { png, rows })
}

/// The character of a byte on the page that they say is selected.
fn character(encoding: &str, byte: u8) -> Result<char, String> {
    let name = encoding.to_lowercase().replace("iso_8859", "iso8859").replace("cp125", "windows-125");
    let page = CodePage::named(&name).ok_or(format!("{encoding} is no page of ours"))?;
    page.character(byte).ok_or(format!("{encoding} has nothing at {byte:02x}"))
}

/// The job without `GS ( k` of PDF417, which they refuse.
fn without_pdf417(job: &[u8]) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut rest = job;
    while let [first, more @ ..] = rest {
        match rest {
            [0x1d, b'(', b'k', low, high, 0x30, ..] => {
                rest = &rest[5 + usize::from(u16::from_le_bytes([*low, *high]))..];
            }
            _ => {
                kept.push(*first);
                rest = more;
            }
        }
    }
    kept
}

fn texts() -> Vec<Page> {
    vec![
        Page::new()
            .text("CORNER SHOP", Style::PLAIN.centre().bold().size(Size::Big))
            .columns("Crème brûlée", "4.50 €")
            .columns("Żubrówka ogórki", "4,20")
            .columns("Чай чёрный", "189,00")
            .columns("Χωριάτικη σαλάτα", "6,50")
            .rule()
            .columns_styled("TOTAL EUR", "204,20", Style::PLAIN.bold()),
        Page::new().line("ÄÖÜ äöü ß ñ ¿qué? Łódź Příliš žluťoučký kůň").line("Ёж №5 Ґанок Їжак").right("end"),
    ]
}

trait Right {
    fn right(self, text: &str) -> Self;
}

impl Right for Page {
    fn right(self, text: &str) -> Page {
        self.text(text, Style::PLAIN.right())
    }
}

/// Each row that they read is the row that the page says; what was drawn is a `#` there.
fn text_is_read_back(page: &Page, model: &Model, theirs: &str) -> Result<(), Box<dyn Error>> {
    let read = read(page, model, theirs)?;
    let plain = page.plain(model.columns);
    let wanted: Vec<&str> = plain.lines().map(str::trim).collect();
    let got: Vec<&str> = read.rows.iter().map(|row| row.trim()).collect();
    if wanted.len() != got.len() || !wanted.iter().zip(&got).all(|(wanted, got)| fits(wanted, got)) {
        return Err(format!("they read {got:#?}, the page says {wanted:#?}").into());
    }
    Ok(())
}

/// Whether a row is what was wanted, letters that were drawn left open.
fn fits(wanted: &str, got: &str) -> bool {
    let mut rest = wanted;
    got.split('#').enumerate().all(|(n, part)| match rest.find(part) {
        Some(at) if n > 0 || at == 0 => {
            rest = &rest[at + part.len()..];
            true
        }
        _ => false,
    })
}

type Symbols = Vec<(&'static str, Page, String)>;

fn symbols() -> Result<Symbols, Box<dyn Error>> {
    let bars = |code: Barcode| Page::new().barcode(code);
    let url = "https://shop.example/r/000482?t=7KQ2MX";
    let unicode = "Kwitansi 3-1-000482 · 144.375 · 茶";
    Ok(vec![
        ("ean13", bars(Barcode::ean13("4006381333931")?), "4006381333931".into()),
        ("ean8", bars(Barcode::ean8("96385074")?), "96385074".into()),
        ("upca", bars(Barcode::upc_a("036000291452")?), "036000291452".into()),
        ("upce", bars(Barcode::upc_e("01234565")?), "01234565".into()),
        ("itf", bars(Barcode::itf("15400141288763")?), "15400141288763".into()),
        ("code128", bars(Barcode::code128("R-000482-7KQ2MX")?), "R-000482-7KQ2MX".into()),
        ("qr", Page::new().qr(Qr::new(url)?), url.into()),
        ("qr-unicode", Page::new().qr(Qr::new(unicode)?), unicode.into()),
        ("pdf417", Page::new().pdf417(Pdf417::new(url)?), url.into()),
    ])
}
