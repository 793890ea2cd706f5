//! The currencies a shop can take, each with the number of its decimals.
//!
//! Invariants: a [`Currency`] carries its exponent, so that money written today means the same after a later table has
//! other decimals for the code. Absent on purpose: exchange rates, symbols and the grouping of digits (those are the page's).
//!
//! Source: codes and minor units from ISO 4217 Table A.1 (published 2024-06-25) as republished by the `currency-codes`
//! data set (Open Data Commons PDDL 1.0); smallest cash amounts from Unicode CLDR `currencyData.json` (Unicode License v3,
//! © 1991-2024 Unicode, Inc.). Codes without a minor unit (metals, test and bond codes) are left out: no till takes them.

use std::fmt;

/// A currency: its ISO 4217 code and how many decimals its minor unit has.
///
/// Shape: three letters A–Z; 0 to 4 decimals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    code: [u8; 3],
    exponent: u8,
}

/// Why a text is no currency.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CurrencyError {
    /// The code is not in ISO 4217.
    #[error("{0:?} is not an ISO 4217 currency code (three capital letters, such as GBP)")]
    Unknown(String),
    /// Stored bytes hold something that cannot be a code with its decimals.
    #[error("stored currency {code:02x?} with {exponent} decimals cannot be")]
    Stored {
        /// The three bytes found.
        code: [u8; 3],
        /// The decimals found.
        exponent: u8,
    },
}

impl Currency {
    /// Looks a code up in the shipped table.
    ///
    /// Errors: [`CurrencyError::Unknown`] for anything but a current code in capital letters.
    pub fn parse(code: &str) -> Result<Currency, CurrencyError> {
        TABLE
            .split(' ')
            .find(|row| row.len() == 4 && &row[..3] == code)
            .and_then(|row| match row.as_bytes() {
                [a, b, c, digit] => Some(Currency { code: [*a, *b, *c], exponent: digit - b'0' }),
                _ => None,
            })
            .ok_or_else(|| CurrencyError::Unknown(code.chars().take(12).collect()))
    }

    /// A currency as it was stored, trusting its own exponent and not today's table.
    ///
    /// Errors: [`CurrencyError::Stored`] unless the code is three capital letters and the exponent at most 4.
    pub fn stored(code: [u8; 3], exponent: u8) -> Result<Currency, CurrencyError> {
        if code.iter().all(u8::is_ascii_uppercase) && exponent <= 4 {
            Ok(Currency { code, exponent })
        } else {
            Err(CurrencyError::Stored { code, exponent })
        }
    }

    /// The three letters.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.code).unwrap_or("???")
    }

    /// The three letters as they are stored.
    pub fn code_bytes(&self) -> [u8; 3] {
        self.code
    }

    /// Decimals of the minor unit: 2 for GBP, 0 for JPY, 3 for KWD.
    pub fn exponent(&self) -> u8 {
        self.exponent
    }

    /// Minor units in one major unit: 100 for GBP.
    pub fn minor_per_major(&self) -> i64 {
        10_i64.pow(u32::from(self.exponent))
    }

    /// Every currency of the shipped table, in the order of the codes.
    pub fn all() -> impl Iterator<Item = Currency> {
        TABLE.split(' ').filter_map(|row| Currency::parse(row.get(..3)?).ok())
    }

    /// The smallest sum that is usually paid in cash, in minor units: 5 for CHF, 1 where nothing is rounded.
    ///
    /// A hint for whoever configures a shop; a sale is only rounded when its shop asks for it.
    pub fn cash_step_minor(&self) -> i64 {
        let row = CASH_STEPS.split(' ').find(|row| row.get(..3) == Some(self.code()));
        row.and_then(|row| row.get(3..)?.parse().ok()).unwrap_or(1)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Code and minor-unit digits.
const TABLE: &str = "\
    AED2 AFN2 ALL2 AMD2 AOA2 ARS2 AUD2 AWG2 AZN2 BAM2 BBD2 BDT2 BHD3 BIF0 BMD2 BND2 BOB2 BOV2 BRL2 BSD2 \
    BTN2 BWP2 BYN2 BZD2 CAD2 CDF2 CHE2 CHF2 CHW2 CLF4 CLP0 CNY2 COP2 COU2 CRC2 CUP2 CVE2 CZK2 DJF0 DKK2 \
    DOP2 DZD2 EGP2 ERN2 ETB2 EUR2 FJD2 FKP2 GBP2 GEL2 GHS2 GIP2 GMD2 GNF0 GTQ2 GYD2 HKD2 HNL2 HTG2 HUF2 \
    IDR2 ILS2 INR2 IQD3 IRR2 ISK0 JMD2 JOD3 JPY0 KES2 KGS2 KHR2 KMF0 KPW2 KRW0 KWD3 KYD2 KZT2 LAK2 LBP2 \
    LKR2 LRD2 LSL2 LYD3 MAD2 MDL2 MGA2 MKD2 MMK2 MNT2 MOP2 MRU2 MUR2 MVR2 MWK2 MXN2 MXV2 MYR2 MZN2 NAD2 \
    NGN2 NIO2 NOK2 NPR2 NZD2 OMR3 PAB2 PEN2 PGK2 PHP2 PKR2 PLN2 PYG0 QAR2 RON2 RSD2 RUB2 RWF0 SAR2 SBD2 \
    SCR2 SDG2 SEK2 SGD2 SHP2 SLE2 SOS2 SRD2 SSP2 STN2 SVC2 SYP2 SZL2 THB2 TJS2 TMT2 TND3 TOP2 TRY2 TTD2 \
    TWD2 TZS2 UAH2 UGX0 USD2 USN2 UYI0 UYU2 UYW4 UZS2 VED2 VES2 VND0 VUV0 WST2 XAD2 XAF0 XCD2 XCG2 XOF0 \
    XPF0 YER2 ZAR2 ZMW2 ZWG2";

/// Code and smallest cash amount in minor units, where that is not 1.
const CASH_STEPS: &str = "\
    AFN100 ALL100 AMD100 CAD5 CHF5 COP100 CRC100 CZK100 DKK50 GYD100 HUF100 IDR100 IQD1000 IRR100 KPW100 \
    LAK100 LBP100 MGA100 MMK100 MNT100 MUR100 NOK100 PKR100 RSD100 SEK100 SOS100 SYP100 TWD100 TZS100 UZS100 \
    YER100";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_knows_decimals_and_refuses_what_is_no_money() {
        for (code, digits) in [("GBP", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4), ("IDR", 2)] {
            assert_eq!(Currency::parse(code).unwrap().exponent(), digits, "{code}");
        }
        for bad in ["gbp", "XAU", "XXX", "", "GB", "GBP2", "£", " GBP", "AED2 AFN"] {
            assert!(Currency::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Currency::all().count(), 165);
    }

    #[test]
    fn cash_is_rounded_to_five_rappen_but_pounds_are_not() {
        assert_eq!(Currency::parse("CHF").unwrap().cash_step_minor(), 5);
        assert_eq!(Currency::parse("IQD").unwrap().cash_step_minor(), 1000);
        assert_eq!(Currency::parse("GBP").unwrap().cash_step_minor(), 1);
    }

    #[test]
    fn stored_bytes_that_cannot_be_a_currency_are_refused() {
        assert!(Currency::stored(*b"GBP", 2).is_ok());
        assert!(Currency::stored(*b"gbp", 2).is_err());
        assert!(Currency::stored(*b"GBP", 5).is_err());
    }
}
