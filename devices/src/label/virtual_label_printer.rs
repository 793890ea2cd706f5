//! A label printer without labels: reads ZPL and TSPL as their manuals say, apart from our encoders, and tells what stands on
//! each label.

/// One label that came out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Printed {
    /// The texts, in their order.
    pub texts: Vec<String>,
    /// The codes: their kind and what a scanner reads.
    pub codes: Vec<(String, String)>,
    /// How many of it.
    pub copies: u32,
}

/// Reads jobs. Bytes that it cannot read count as unknown; what it is told beside labels as well.
#[derive(Clone, Debug, Default)]
pub struct VirtualLabelPrinter {
    /// What came out.
    pub printed: Vec<Printed>,
    /// Commands that it does not know, or not there.
    pub unknown: usize,
}

impl VirtualLabelPrinter {
    /// Reads a whole job in ZPL.
    pub fn zpl(&mut self, job: &[u8]) {
        let text = String::from_utf8_lossy(job).into_owned();
        let mut label: Option<Printed> = None;
        let (mut hex, mut kind) = (false, None);
        // A command begins with either prefix, wherever it stands.
        let mut rest = text.as_str();
        while let Some(at) = rest.find(['^', '~']) {
            self.unknown += usize::from(!rest[..at].trim().is_empty());
            let tilde = rest[at..].starts_with('~');
            rest = &rest[at + 1..];
            let end = rest.find(['^', '~']).unwrap_or(rest.len());
            let (command, after) = rest.split_at(end);
            rest = after;
            let name: String = command.chars().take(2).collect();
            let argument = command.get(name.len()..).unwrap_or_default();
            if tilde {
                self.unknown += 1;
                continue;
            }
            match (name.as_str(), &mut label) {
                ("XA", None) => label = Some(Printed { copies: 1, ..Printed::default() }),
                ("XZ", Some(_)) => self.printed.extend(label.take()),
                ("CI" | "LH" | "PW" | "LL" | "FO" | "BY" | "A0", Some(_)) => {}
                ("FH", Some(_)) => hex = argument == "_",
                ("BE" | "B2" | "B8" | "B9" | "BU" | "BC" | "BQ", Some(_)) => kind = Some(name.clone()),
                ("FD", Some(label)) => {
                    let data = if hex { unhex(argument) } else { argument.to_owned() };
                    match kind.take().as_deref() {
                        None => label.texts.push(data),
                        Some("BQ") => label
                            .codes
                            .push(("QR".into(), data.strip_prefix("MA,").unwrap_or(&data).to_owned())),
                        Some("BC") => label.codes.push(("CODE128".into(), data.replace(">0", ">"))),
                        Some("B2") => label.codes.push(("ITF".into(), data)),
                        Some("B9") => match shortened(&data) {
                            Some(upc_e) => label.codes.push(("UPCE".into(), upc_e)),
                            None => self.unknown += 1,
                        },
                        Some("BE") => label.codes.push(("EAN13".into(), with_check_digit(&data))),
                        Some("B8") => label.codes.push(("EAN8".into(), with_check_digit(&data))),
                        Some(_) => label.codes.push(("UPCA".into(), with_check_digit(&data))),
                    }
                }
                ("FS", Some(_)) => hex = false,
                ("PQ", Some(label)) => {
                    label.copies = argument.split(',').next().and_then(|n| n.parse().ok()).unwrap_or(1);
                }
                _ => self.unknown += 1,
            }
        }
        self.unknown += usize::from(!rest.trim().is_empty());
    }

    /// Reads a whole job in TSPL.
    pub fn tspl(&mut self, job: &[u8]) {
        let mut label = Printed::default();
        for line in job.split(|byte| *byte == b'\n') {
            let line: String = line
                .trim_ascii()
                .iter()
                .map(|byte| super::tspl::PAGE.character(*byte).unwrap_or('\u{fffd}'))
                .collect();
            // Obeyed wherever it stands.
            self.unknown += line.matches("~!").count();
            let (name, arguments) = line.split_once(' ').unwrap_or((&line, ""));
            match name {
                "" | "SIZE" | "GAP" | "DIRECTION" | "REFERENCE" | "CODEPAGE" => {}
                "CLS" => label = Printed::default(),
                "TEXT" | "BARCODE" | "QRCODE" => match arguments_of(arguments) {
                    Some(all) if name == "TEXT" && all.len() == 7 => label.texts.extend(all.last().cloned()),
                    Some(all) if name == "BARCODE" && all.len() == 9 => {
                        let (kind, data) = match (all[2].as_str(), all[8].clone()) {
                            ("128", data) => ("CODE128", data),
                            ("25", data) => ("ITF", data),
                            ("UPCE", six) => match lengthened(&six) {
                                Some(full) => ("UPCE", format!("0{six}{}", &with_check_digit(&full)[11..])),
                                None => ("UPCE", String::new()),
                            },
                            (other, data) => (other, data),
                        };
                        label.codes.push((kind.to_owned(), data));
                    }
                    Some(all) if name == "QRCODE" && all.len() == 7 => {
                        label.codes.push(("QR".into(), all[6].clone()));
                    }
                    _ => self.unknown += 1,
                },
                "PRINT" => {
                    label.copies = arguments.split(',').next().and_then(|n| n.parse().ok()).unwrap_or(1);
                    self.printed.push(label.clone());
                }
                _ => self.unknown += 1,
            }
        }
    }
}

/// Arguments between commas; quotes hold a text together. None if a quote stands where it may not.
fn arguments_of(text: &str) -> Option<Vec<String>> {
    let mut all = vec![String::new()];
    let (mut quoted, mut closed) = (false, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let last = all.last_mut()?;
        match c {
            '"' if quoted => (quoted, closed) = (false, true),
            '"' if last.is_empty() && !closed => quoted = true,
            '"' => return None,
            '\\' if quoted && chars.peek() == Some(&'[') => return None,
            ',' if !quoted => {
                all.push(String::new());
                closed = false;
            }
            _ if closed => return None,
            c => last.push(c),
        }
    }
    (!quoted).then_some(all)
}

fn unhex(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
        match hex.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) if bytes[at] == b'_' => {
                out.push(byte);
                at += 3;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A UPC-E of ten digits, manufacturer and product, as a printer shortens them.
fn shortened(ten: &str) -> Option<String> {
    if ten.len() != 10 || !ten.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let (maker, product) = ten.split_at(5);
    let six = match (&maker[2..], product) {
        ("000" | "100" | "200", product) if product.starts_with("00") => {
            format!("{}{}{}", &maker[..2], &product[2..], &maker[2..3])
        }
        (maker_end, product) if maker_end.ends_with("00") && product.starts_with("000") => {
            format!("{}{}3", &maker[..3], &product[3..])
        }
        (maker_end, product) if maker_end.ends_with('0') && product.starts_with("0000") => {
            format!("{}{}4", &maker[..4], &product[4..])
        }
        (_, "00005" | "00006" | "00007" | "00008" | "00009") => format!("{maker}{}", &product[4..]),
        _ => return None,
    };
    Some(format!("0{six}{}", &with_check_digit(&format!("0{ten}"))[11..]))
}

/// The eleven digits that six of a UPC-E stand for, as a scanner lengthens them.
fn lengthened(six: &str) -> Option<String> {
    let digits: Vec<u32> = six.chars().map(|c| c.to_digit(10)).collect::<Option<_>>()?;
    let [a, b, c, d, e, last] = digits[..] else { return None };
    Some(match last {
        0..=2 => format!("0{a}{b}{last}0000{c}{d}{e}"),
        3 => format!("0{a}{b}{c}00000{d}{e}"),
        4 => format!("0{a}{b}{c}{d}00000{e}"),
        _ => format!("0{a}{b}{c}{d}{e}0000{last}"),
    })
}

/// As the printer does it: from the right, three times each other digit.
fn with_check_digit(digits: &str) -> String {
    let sum: u32 = digits
        .chars()
        .rev()
        .zip([3, 1].into_iter().cycle())
        .filter_map(|(c, n)| Some(c.to_digit(10)? * n))
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}
