//! Draws a receipt as a printer would print it, from the same page that goes to the printer.
//!
//!     cargo run -p toko-devices --example receipt -- OUT_DIR
//!
//! writes `receipt.png`, `receipt.html`, `receipt.txt`, and what goes to printers: `receipt.escpos`, `receipt.starprnt`,
//! `receipt.starline`; then the same of a receipt in many scripts, `scripts.*`, for which it takes this machine's fonts.

use std::path::Path;
use std::{env, fs, io};

use toko_devices::model::Language;
use toko_devices::{
    Barcode, Bitmap, Cell, CodeError, Model, Page, Pdf417, Picture, Profile, Qr, Size, Style, SystemFonts,
    drawn, escpos, html, star,
};

fn main() -> io::Result<()> {
    let out = env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let out = Path::new(&out);
    fs::create_dir_all(out)?;
    let pages = [("receipt", receipt()), ("scripts", scripts()), ("codes", codes())];
    for (name, page) in pages {
        let page = page.map_err(io::Error::other)?;
        let fonts = SystemFonts::default();
        let model = Model { pages: pages_of("epson/tm-t20iii"), ..Model::paper_80mm() };
        fs::write(out.join(format!("{name}.png")), drawn::paper(&page, &model, &fonts).png())?;
        fs::write(out.join(format!("{name}.html")), html::document(&page, "Receipt", model.columns))?;
        fs::write(out.join(format!("{name}.txt")), page.plain(model.columns))?;
        fs::write(out.join(format!("{name}.escpos")), escpos::encode_with(&page, &model, &fonts))?;
        for (kind, language) in [("starprnt", Language::StarPrnt), ("starline", Language::StarLine)] {
            let pages = pages_of("star/tsp650ii");
            let model = Model { language, pages, code_page_number: 4, ..Model::paper_80mm() };
            fs::write(out.join(format!("{name}.{kind}")), star::encode_with(&page, &model, &fonts))?;
        }
    }
    Ok(())
}

fn pages_of(id: &str) -> &'static [(u8, toko_devices::CodePage)] {
    Profile::named(id).map_or(&[], |profile| profile.model.pages)
}

fn receipt() -> Result<Page, CodeError> {
    let centre = Style::PLAIN.centre();
    Ok(Page::new()
        .picture(Picture::from_dots(&lantern()))
        .text("The Lantern Shop", centre.bold().size(Size::Big))
        .text("1 High Street", centre)
        .feed(1)
        .columns("No 3-1-000042", "0W3GE1")
        .columns("Day 2010-12-01", "2010-12-01 08:26")
        .rule()
        .columns("WHITE HANGING HEART T-LIGHT HOLDER", "15.30")
        .line("  6 x 2.55")
        .columns("  6 for 5", "-2.55")
        .columns("WHITE METAL LANTERN", "18.00")
        .line("  6 x 3.00")
        .columns("Apples", "2.00")
        .line("  1.25 kg x 1.599")
        .columns("Crème brûlée", "3.25")
        .rule()
        .columns("incl. VAT 20 %", "6.00")
        .columns_styled("TOTAL GBP", "36.00", Style::PLAIN.bold().size(Size::Big))
        .columns("card *4242 A1B2C3", "20.00")
        .columns("cash", "20.00")
        .columns("Change", "4.00")
        .qr(Qr::new("3-1-000042 0W3GE1")?)
        .text("Thank you", centre)
        .line("")
        .job("9b1c07e25f4a4d0e")
        .cut())
}

fn scripts() -> Result<Page, CodeError> {
    let head = Style::PLAIN.centre().bold();
    let mut page = Page::new().text("One receipt, many scripts", head.size(Size::Tall)).rule();
    for (name, amount) in [
        ("Żubrówka ogórki kiszone", "4,20"),
        ("Χωριάτικη σαλάτα φέτα", "6,50"),
        ("Чай чёрный с бергамотом", "189,00"),
        ("Bánh mì bò nướng đặc biệt", "45.000"),
        ("烏龍茶 大杯 少糖", "65"),
        ("おにぎり 鮭 ﾃｲｸｱｳﾄ", "¥160"),
        ("김치 볶음밥 곱빼기", "₩9,500"),
        ("ชาไทยเย็นใส่น้ำแข็ง", "฿45"),
        ("मसाला चाय और समोसा", "₹60"),
        ("خبز عربي طازج", "2.75"),
        ("חלה מתוקה לשבת", "₪18"),
    ] {
        page = page.columns(name, amount);
    }
    let table =
        |a: &str, b: &str, c: &str| [Cell::new(a, 5).right(), Cell::new(b, 0), Cell::new(c, 9).right()];
    Ok(page
        .rule()
        .cells(table("Qty", "What", "Sum"), Style::PLAIN.bold())
        .cells(table("2", "西瓜 with a name that takes two rows", "5,00"), Style::PLAIN)
        .cells(table("0.75", "Läckerli", "3,10"), Style::PLAIN)
        .text("大字 BIG", Style::PLAIN.centre().size(Size::Big))
        .line("No font has this: \u{e123} \u{10fffd}")
        .cut())
}

fn codes() -> Result<Page, CodeError> {
    Ok(Page::new()
        .barcode(Barcode::ean13("4006381333931")?)
        .barcode(Barcode::ean8("96385074")?)
        .barcode(Barcode::upc_a("036000291452")?)
        .barcode(Barcode::upc_e("01234565")?)
        .barcode(Barcode::code128("R-000482-7KQ2MX")?)
        .barcode(Barcode::itf("15400141288763")?)
        .qr(Qr::new("https://shop.example/r/000482?t=7KQ2MX")?)
        .pdf417(Pdf417::new("3-1-000482 7KQ2MX 144.375 IDR")?)
        .cut())
}

/// A shop's sign.
fn lantern() -> Bitmap {
    let mut sign = Bitmap::new(96, 112);
    // The ring to hang it on.
    for (x, y) in (0..96_usize).flat_map(|x| (0..28_usize).map(move |y| (x, y))) {
        let away = x.abs_diff(48).pow(2) + y.abs_diff(16).pow(2);
        if (9 * 9..13 * 13).contains(&away) {
            sign.set(x, y);
        }
    }
    // The roof, widening downwards.
    (0..14).for_each(|row| sign.fill(36 - 2 * row, 28 + row, 24 + 4 * row, 1));
    // Posts, panes and the floor.
    [14, 30, 62, 78].into_iter().for_each(|x| sign.fill(x, 46, 4, 52));
    sign.fill(14, 46, 68, 3);
    sign.fill(8, 98, 80, 8);
    // The flame and its candle.
    for row in 0..22_usize {
        let half = if row < 14 { row / 2 } else { 22 - row };
        sign.fill(48 - half, 54 + row, 2 * half, 1);
    }
    sign.fill(42, 80, 12, 18);
    sign
}
