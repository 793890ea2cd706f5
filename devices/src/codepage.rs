//! Single-byte code pages: what a printer can show, and the nearest thing for what it cannot.
//!
//! Invariants: [`CodePage::show`] answers only printable characters of its page, one column each; asking twice changes
//! nothing; every byte of [`CodePage::bytes`] is 20h or above and never 7Fh, so no text can be a command. Absent on
//! purpose: scripts that need shaping or two columns. They come out as `?` until text can be drawn as a picture.
//! Source: the Unicode consortium's CP437, CP858 and CP1252 mapping tables.

/// A set of 256 characters, chosen by `ESC t`. The number that selects it differs per model, so the
/// [`Model`](crate::escpos::Model) carries that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CodePage {
    /// The first one, which each printer has: box drawing, few accents, no euro sign.
    Pc437,
    /// Western Europe with the euro sign at D5h.
    Pc858,
    /// Windows Western Europe, with typographic quotes and dashes.
    Wpc1252,
}

impl CodePage {
    /// The text as this page can show it: control characters become spaces, invisible ones vanish, what the page
    /// lacks is spelt with what it has, and at worst is `?`.
    ///
    /// Shape: one character is one column of paper.
    #[must_use]
    pub fn show(self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        for c in text.chars() {
            self.show_one(c, &mut shown);
        }
        shown
    }

    /// The bytes of a text on the wire; what [`show`](Self::show) was not asked about first is shown here.
    #[must_use]
    pub fn bytes(self, text: &str) -> Vec<u8> {
        self.show(text).chars().map(|c| self.byte(c).unwrap_or(b'?')).collect()
    }

    /// The character that a byte prints, `None` where the page has a hole or the byte is a control.
    #[must_use]
    pub fn character(self, byte: u8) -> Option<char> {
        match byte {
            0x20..=0x7e => Some(char::from(byte)),
            0x80..=0xff => self.upper().chars().nth(usize::from(byte - 0x80)).filter(|c| *c != '\0'),
            _ => None,
        }
    }

    fn show_one(self, c: char, shown: &mut String) {
        match c {
            ' '..='~' => shown.push(c),
            c if invisible(c) => {}
            c if c.is_control() || c.is_whitespace() => shown.push(' '),
            c if self.byte(c).is_some() => shown.push(c),
            c => match plainer(c) {
                Some(spelt) => spelt.chars().for_each(|c| self.show_one(c, shown)),
                None => shown.push('?'),
            },
        }
    }

    fn byte(self, c: char) -> Option<u8> {
        match c {
            ' '..='~' => u8::try_from(c).ok(),
            '\0' => None,
            c => {
                let place = self.upper().chars().position(|u| u == c)?;
                u8::try_from(0x80 + place).ok()
            }
        }
    }

    /// The characters of bytes 80h to FFh; NUL marks a hole.
    fn upper(self) -> &'static str {
        match self {
            CodePage::Pc437 => PC437,
            CodePage::Pc858 => PC858,
            CodePage::Wpc1252 => WPC1252,
        }
    }
}

/// Characters that take no column, or that would turn the reading order of a receipt around.
fn invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fe00}'..='\u{fe0f}' | '\u{0300}'..='\u{036f}')
}

/// A plainer spelling of one character. Each step is nearer to ASCII, so following it ends.
#[rustfmt::skip]
fn plainer(c: char) -> Option<&'static str> {
    Some(match c {
        '‘' | '’' | '‚' | '‛' | '′' | '`' | '´' | 'ʼ' | '‹' | '›' => "'",
        '“' | '”' | '„' | '‟' | '″' | '«' | '»' => "\"",
        '‐' | '‑' | '‒' | '–' | '—' | '―' | '−' | '─' => "-",
        '…' => "...", '•' | '·' | '∙' | '●' => "*", '×' => "x", '÷' => "/", '⁄' | '∕' => "/", '¦' => "|",
        '€' => "EUR", '£' => "GBP", '¥' => "JPY", '₽' => "RUB", '₹' => "INR", '₩' => "KRW", '₺' => "TRY", '₪' => "ILS",
        '₫' => "VND", '₦' => "NGN", '₱' => "PHP", '฿' => "THB", '₴' => "UAH", '₿' => "BTC", '¢' => "c", '¤' => "$",
        '©' => "(C)", '®' => "(R)", '™' => "TM", '№' => "No.", '°' | 'º' => "o", 'ª' => "a", '§' => "S.", '¶' => "P.",
        '±' => "+/-", '≈' => "~", '≠' => "!=", '≤' => "<=", '≥' => ">=", '→' => "->", '←' => "<-", '¿' => "?", '¡' => "!",
        '¹' => "1", '²' => "2", '³' => "3", '¼' => "1/4", '½' => "1/2", '¾' => "3/4", 'µ' | 'μ' => "u", '‰' => "o/oo",
        'Á' | 'À' | 'Â' | 'Ã' | 'Ā' | 'Ă' | 'Ą' | 'Ǎ' => "A", 'Ä' => "A", 'Å' => "A", 'Æ' => "AE",
        'á' | 'à' | 'â' | 'ã' | 'ā' | 'ă' | 'ą' | 'ǎ' => "a", 'ä' => "a", 'å' => "a", 'æ' => "ae",
        'Ç' | 'Ć' | 'Ĉ' | 'Ċ' | 'Č' => "C", 'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
        'Ď' | 'Đ' | 'Ð' => "D", 'ď' | 'đ' | 'ð' => "d",
        'É' | 'È' | 'Ê' | 'Ë' | 'Ē' | 'Ĕ' | 'Ė' | 'Ę' | 'Ě' => "E", 'é' | 'è' | 'ê' | 'ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => "e",
        'Ĝ' | 'Ğ' | 'Ġ' | 'Ģ' => "G", 'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g", 'Ĥ' | 'Ħ' => "H", 'ĥ' | 'ħ' => "h",
        'Í' | 'Ì' | 'Î' | 'Ï' | 'Ĩ' | 'Ī' | 'Ĭ' | 'Į' | 'İ' => "I", 'í' | 'ì' | 'î' | 'ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' => "i",
        'Ĵ' => "J", 'ĵ' => "j", 'Ķ' => "K", 'ķ' | 'ĸ' => "k", 'Ĺ' | 'Ļ' | 'Ľ' | 'Ŀ' | 'Ł' => "L", 'ĺ' | 'ļ' | 'ľ' | 'ŀ' | 'ł' => "l",
        'Ñ' | 'Ń' | 'Ņ' | 'Ň' => "N", 'ñ' | 'ń' | 'ņ' | 'ň' | 'ŉ' => "n", 'Œ' => "OE", 'œ' => "oe",
        'Ó' | 'Ò' | 'Ô' | 'Õ' | 'Ö' | 'Ø' | 'Ō' | 'Ŏ' | 'Ő' => "O", 'ó' | 'ò' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' | 'ŏ' | 'ő' => "o",
        'Ŕ' | 'Ŗ' | 'Ř' => "R", 'ŕ' | 'ŗ' | 'ř' => "r", 'Ś' | 'Ŝ' | 'Ş' | 'Š' | 'Ș' => "S", 'ś' | 'ŝ' | 'ş' | 'š' | 'ș' | 'ſ' => "s",
        'ß' => "ss", 'ẞ' => "SS", 'Þ' => "Th", 'þ' => "th", 'Ţ' | 'Ť' | 'Ŧ' | 'Ț' => "T", 'ţ' | 'ť' | 'ŧ' | 'ț' => "t",
        'Ú' | 'Ù' | 'Û' | 'Ü' | 'Ũ' | 'Ū' | 'Ŭ' | 'Ů' | 'Ű' | 'Ų' => "U", 'ú' | 'ù' | 'û' | 'ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => "u",
        'Ŵ' => "W", 'ŵ' => "w", 'Ý' | 'Ŷ' | 'Ÿ' => "Y", 'ý' | 'ŷ' | 'ÿ' => "y", 'Ź' | 'Ż' | 'Ž' => "Z", 'ź' | 'ż' | 'ž' => "z",
        _ => return None,
    })
}

#[rustfmt::skip]
const PC437: &str = "ÇüéâäàåçêëèïîìÄÅ\
    ÉæÆôöòûùÿÖÜ¢£¥₧ƒ\
    áíóúñÑªº¿⌐¬½¼¡«»\
    ░▒▓│┤╡╢╖╕╣║╗╝╜╛┐\
    └┴┬├─┼╞╟╚╔╩╦╠═╬╧\
    ╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀\
    αßΓπΣσµτΦΘΩδ∞φε∩\
    ≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

#[rustfmt::skip]
const PC858: &str = "ÇüéâäàåçêëèïîìÄÅ\
    ÉæÆôöòûùÿÖÜø£Ø×ƒ\
    áíóúñÑªº¿®¬½¼¡«»\
    ░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐\
    └┴┬├─┼ãÃ╚╔╩╦╠═╬¤\
    ðÐÊËÈ€ÍÎÏ┘┌█▄¦Ì▀\
    ÓßÔÒõÕµþÞÚÛÙýÝ¯´\
    \u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}";

#[rustfmt::skip]
const WPC1252: &str = "€\0‚ƒ„…†‡ˆ‰Š‹Œ\0Ž\0\
    \0‘’“”•–—˜™š›œ\0žŸ\
    \u{a0}¡¢£¤¥¦§¨©ª«¬\u{ad}®¯\
    °±²³´µ¶·¸¹º»¼½¾¿\
    ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏ\
    ÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞß\
    àáâãäåæçèéêëìíîï\
    ðñòóôõö÷øùúûüýþÿ";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [CodePage; 3] = [CodePage::Pc437, CodePage::Pc858, CodePage::Wpc1252];

    #[test]
    fn each_page_holds_128_upper_characters() {
        for page in ALL {
            assert_eq!(page.upper().chars().count(), 128, "{page:?}");
        }
    }

    #[test]
    fn the_euro_is_a_sign_where_there_is_one_and_spelt_elsewhere() {
        assert_eq!(CodePage::Pc858.bytes("2 €"), b"2 \xd5");
        assert_eq!(CodePage::Wpc1252.bytes("2 €"), b"2 \x80");
        assert_eq!(CodePage::Pc437.bytes("2 €"), b"2 EUR");
    }

    #[test]
    fn accents_stay_where_the_page_has_them_and_fall_off_elsewhere() {
        assert_eq!(CodePage::Pc437.bytes("Café Łódź"), b"Caf\x82 L\xa2dz");
        assert_eq!(CodePage::Wpc1252.show("Crème brûlée “bio”"), "Crème brûlée “bio”");
        assert_eq!(CodePage::Pc437.show("“bio” – 5 ‰"), "\"bio\" - 5 o/oo");
        assert_eq!(CodePage::Pc437.show("Cafe\u{301}"), "Cafe");
    }

    #[test]
    fn commands_hidden_in_a_name_are_spaces_on_paper() {
        assert_eq!(CodePage::Pc437.show("Tin\u{1b}p\u{0}\u{10}\u{4}\u{1}\n\u{85}\u{7f}."), "Tin p       .");
        assert_eq!(CodePage::Wpc1252.show("a\u{202e}b\u{a0}c"), "ab c");
    }

    proptest! {
        #[test]
        fn no_text_becomes_a_control_byte(text in any::<String>()) {
            for page in ALL {
                prop_assert!(page.bytes(&text).iter().all(|b| *b >= 0x20 && *b != 0x7f));
            }
        }

        #[test]
        fn showing_twice_changes_nothing_and_bytes_read_back(text in any::<String>()) {
            for page in ALL {
                let shown = page.show(&text);
                prop_assert_eq!(&page.show(&shown), &shown);
                let back: Option<String> = page.bytes(&text).iter().map(|b| page.character(*b)).collect();
                prop_assert_eq!(back, Some(shown));
            }
        }
    }
}
