//! Single-byte code pages: what a printer can show, and the nearest thing for what it cannot.
//!
//! Invariants: [`CodePage::show`] answers only printable characters of its page, one column each; asking twice changes
//! nothing; every byte of [`CodePage::bytes`] is 20h or above and never 7Fh, so no text can be a command. Absent on
//! purpose: scripts that need shaping, two columns or another direction. They are drawn, see `ink`; only for a
//! printer that cannot draw they are spelt in numbers. A `?` stands for a question mark and nothing else.
//! Source: `data/pages.txt`, see `data/NOTICE.md`.

use std::sync::OnceLock;

macro_rules! pages {
    ($($page:ident $name:literal,)*) => {
        /// A set of 256 characters, chosen by `ESC t`. The number that selects it differs per model, so the
        /// [`Model`](crate::Model) carries that.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum CodePage {
            $(#[doc = concat!("`", $name, "`")] $page,)*
        }

        impl CodePage {
            /// All that are known, in the order of `data/pages.txt`.
            pub const ALL: &[CodePage] = &[$(CodePage::$page,)*];

            /// The name in profiles.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(CodePage::$page => $name,)*
                }
            }
        }
    };
}

pages! {
    Pc437 "cp437", Pc737 "cp737", Pc771 "cp771", Pc772 "cp772", Pc774 "cp774", Pc775 "cp775", Pc850 "cp850",
    Pc852 "cp852", Pc855 "cp855", Pc857 "cp857", Pc858 "cp858", Pc860 "cp860", Pc861 "cp861", Pc862 "cp862",
    Pc863 "cp863", Pc865 "cp865", Pc866 "cp866", Pc869 "cp869", Pc1125 "cp1125", Pc3011 "cp3011", Pc3012 "cp3012",
    Wpc1250 "windows-1250", Wpc1251 "windows-1251", Wpc1252 "windows-1252", Wpc1253 "windows-1253",
    Wpc1254 "windows-1254", Wpc1257 "windows-1257", Iso8859P1 "iso8859-1", Iso8859P2 "iso8859-2",
    Iso8859P7 "iso8859-7", Iso8859P9 "iso8859-9", Iso8859P15 "iso8859-15", Rk1048 "rk1048", Katakana "katakana",
}

/// The upper half of each page and its characters in order, for looking up.
struct Tables {
    upper: Vec<[char; 128]>,
    sorted: Vec<Vec<(char, u8)>>,
}

fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| {
        let lines = include_str!("../data/pages.txt").lines();
        let upper: Vec<[char; 128]> = lines.map(upper_half).collect();
        assert_eq!(upper.len(), CodePage::ALL.len(), "data/pages.txt holds a line for each page");
        let sorted = upper.iter().map(|upper| {
            let mut sorted: Vec<(char, u8)> =
                upper.iter().copied().zip(0x80..=0xff).filter(|(c, _)| *c != HOLE).collect();
            sorted.sort_unstable();
            sorted
        });
        Tables { sorted: sorted.collect(), upper }
    })
}

fn upper_half(line: &str) -> [char; 128] {
    let mut upper = [HOLE; 128];
    let chars = line.split_once(' ').map_or("", |(_, chars)| chars);
    upper.iter_mut().zip(chars.chars()).for_each(|(place, c)| *place = c);
    upper
}

/// Where a page has nothing.
const HOLE: char = '\u{fffd}';

impl CodePage {
    /// The letters that it has beyond those of every page, in its order.
    pub(crate) fn letters(self) -> impl Iterator<Item = char> {
        let at = CodePage::ALL.iter().position(|page| *page == self);
        let upper = at.and_then(|at| tables().upper.get(at)).map_or(&[][..], |upper| &upper[..]);
        upper.iter().copied().filter(|c| c.is_alphabetic())
    }

    /// The page of a name in profiles.
    #[must_use]
    pub fn named(name: &str) -> Option<CodePage> {
        CodePage::ALL.iter().copied().find(|page| page.name() == name)
    }

    /// The text as this page can show it: control characters become spaces, invisible ones vanish, what the page
    /// lacks is spelt with what it has, and at worst is its number, such as `<4E2D>`.
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
        self.show(text).chars().filter_map(|c| self.byte(c)).collect()
    }

    /// The character that a byte prints, `None` where the page has a hole or the byte is a control.
    #[must_use]
    pub fn character(self, byte: u8) -> Option<char> {
        match byte {
            0x20..=0x7e => Some(char::from(byte)),
            0x80..=0xff => {
                let upper = tables().upper.get(self as usize)?;
                upper.get(usize::from(byte - 0x80)).copied().filter(|c| *c != HOLE)
            }
            _ => None,
        }
    }

    /// The byte that prints a character, `None` where the page lacks it.
    #[must_use]
    pub fn byte(self, c: char) -> Option<u8> {
        match c {
            ' '..='~' => u8::try_from(c).ok(),
            c => {
                let sorted = tables().sorted.get(self as usize)?;
                let at = sorted.binary_search_by_key(&c, |(c, _)| *c).ok()?;
                sorted.get(at).map(|(_, byte)| *byte)
            }
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
                None => shown.push_str(&format!("<{:04X}>", u32::from(c))),
            },
        }
    }
}

/// The ASCII sign that a typographic one may be printed as without anybody missing it: quotes, dashes, hard spaces.
#[must_use]
pub(crate) fn twin(c: char) -> Option<char> {
    match c {
        '‘' | '’' | '‚' | '‛' | '′' | 'ʼ' | '‹' | '›' => Some('\''),
        '“' | '”' | '„' | '‟' | '″' => Some('"'),
        '‐' | '‑' | '‒' | '–' | '—' | '―' | '−' => Some('-'),
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' => Some(' '),
        _ => None,
    }
}

/// Characters that take no column, or that would turn the reading order of a receipt around.
pub(crate) fn invisible(c: char) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_file_of_pages_has_a_line_of_128_characters_for_each_in_this_order() {
        let lines: Vec<_> = include_str!("../data/pages.txt").lines().collect();
        assert_eq!(lines.len(), CodePage::ALL.len());
        for (line, page) in lines.into_iter().zip(CodePage::ALL) {
            let (name, upper) = line.split_once(' ').expect("a name and characters");
            assert_eq!((name, upper.chars().count()), (page.name(), 128));
            assert_eq!(CodePage::named(name), Some(*page));
        }
        assert_eq!(CodePage::named("cp65001"), None);
    }

    #[test]
    fn pages_read_as_their_makers_print_them() {
        for (page, byte, c) in [
            (CodePage::Pc437, 0xe1, 'ß'),
            (CodePage::Pc858, 0xd5, '€'),
            (CodePage::Wpc1252, 0x80, '€'),
            (CodePage::Pc866, 0x80, 'А'),
            (CodePage::Wpc1251, 0xff, 'я'),
            (CodePage::Pc852, 0x88, 'ł'),
            (CodePage::Iso8859P15, 0xa4, '€'),
            (CodePage::Wpc1253, 0xe1, 'α'),
            (CodePage::Katakana, 0xb1, 'ｱ'),
        ] {
            assert_eq!((page.character(byte), page.byte(c)), (Some(c), Some(byte)), "{}", page.name());
        }
        assert_eq!(CodePage::Wpc1252.character(0x81), None, "a hole");
    }

    #[test]
    fn what_has_no_spelling_is_shown_by_its_number_and_never_as_a_question() {
        assert_eq!(CodePage::Pc437.show("中 ?"), "<4E2D> ?");
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
            for page in CodePage::ALL {
                prop_assert!(page.bytes(&text).iter().all(|b| *b >= 0x20 && *b != 0x7f));
            }
        }

        #[test]
        fn showing_twice_changes_nothing_and_bytes_read_back(text in any::<String>()) {
            for page in CodePage::ALL {
                let shown = page.show(&text);
                prop_assert_eq!(&page.show(&shown), &shown);
                let back: Option<String> = page.bytes(&text).iter().map(|b| page.character(*b)).collect();
                prop_assert_eq!(back, Some(shown));
            }
        }
    }
}
