//! Money: exact decimals at four places, and the currency they are counted in. Never a float.

use std::fmt;
use std::str::FromStr;

/// How many integer digits an amount may have. Twelve is more than any shop takes, and leaves `i64` room to add up.
const INTEGER_DIGITS: usize = 12;
/// How many decimals the wire may carry: two in every documented message, four in fee fields.
const DECIMALS: usize = 4;
/// Units in one whole: amounts are integers of ten-thousandths.
const SCALE: i64 = 10_000;

/// A non-negative amount of money, exact, in ten-thousandths of the currency's unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i64);

/// The text is not an amount: digits, optionally a point and one to four decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an amount: up to 12 digits, optionally a point and 1 to 4 decimals, no sign, symbol or separator")]
pub struct NotAnAmount;

impl Amount {
    /// Nothing at all.
    pub const ZERO: Self = Self(0);

    /// The amount as an integer of ten-thousandths, for storage.
    pub const fn ten_thousandths(self) -> i64 {
        self.0
    }

    /// The amount stored as an integer of ten-thousandths; `None` if it is negative.
    pub const fn from_ten_thousandths(units: i64) -> Option<Self> {
        if units < 0 { None } else { Some(Self(units)) }
    }

    /// The sum, or `None` where it would not fit.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// By how much the two differ.
    #[must_use]
    pub const fn distance(self, other: Self) -> Self {
        if self.0 < other.0 { Self(other.0 - self.0) } else { Self(self.0 - other.0) }
    }

    /// The difference, or `None` where `other` is more.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).and_then(Self::from_ten_thousandths)
    }
}

impl FromStr for Amount {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        let (whole, decimals) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let decimals = match decimals {
            None => "",
            Some(rest) if digits(rest) && rest.len() <= DECIMALS => rest,
            Some(_) => return Err(NotAnAmount),
        };
        if !digits(whole) || whole.len() > INTEGER_DIGITS {
            return Err(NotAnAmount);
        }
        let whole: i64 = whole.parse().map_err(|_| NotAnAmount)?;
        let decimals = decimals.bytes().chain(std::iter::repeat(b'0')).take(DECIMALS);
        let fraction = decimals.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        Ok(Self(whole * SCALE + fraction))
    }
}

/// Two decimals, or more where the third or fourth is not zero: `25.00`, `0.5400` as `0.54`, `0.1234`.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:04}", self.0 % SCALE);
        let shown = fraction.trim_end_matches('0').len().max(2);
        write!(f, "{}.{}", self.0 / SCALE, fraction.get(..shown).unwrap_or(&fraction))
    }
}

/// An ISO 4217 code. Paynow never sends one: it is the integration's, from the configuration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// The text is not a currency code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a currency code: three letters as in ISO 4217, for example USD, ZWG (ZiG) or PLN")]
pub struct NotACurrency;

impl Currency {
    /// The ISO 4217 code, upper case.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }

    /// The name people use: `ZiG` for ZWG, else the code.
    pub fn label(&self) -> &str {
        match &self.0 {
            b"ZWG" => "ZiG",
            _ => self.code(),
        }
    }
}

impl FromStr for Currency {
    type Err = NotACurrency;

    /// Reads a code in any letter case; `ZiG` is understood as its ISO code ZWG.
    fn from_str(text: &str) -> Result<Self, NotACurrency> {
        let upper = text.to_ascii_uppercase();
        let code = if upper == "ZIG" { "ZWG" } else { upper.as_str() };
        let bytes: [u8; 3] = code.as_bytes().try_into().map_err(|_| NotACurrency)?;
        if bytes.iter().all(u8::is_ascii_uppercase) { Ok(Self(bytes)) } else { Err(NotACurrency) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn amount(text: &str) -> Amount {
        text.parse().unwrap()
    }

    #[test]
    fn amounts_are_read_and_shown_exactly() {
        for (wire, shown) in [
            ("25.00", "25.00"),
            ("3.5", "3.50"),
            ("7", "7.00"),
            ("0.5400", "0.54"),
            ("0.1234", "0.1234"),
            ("007.10", "7.10"),
        ] {
            assert_eq!(amount(wire).to_string(), shown);
        }
        assert_eq!(amount("999999999999.9999").ten_thousandths(), 9_999_999_999_999_999);
    }

    #[test]
    fn what_is_not_an_amount_is_refused() {
        for wire in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1,000.00",
            "1.00000",
            "1e3",
            " 1",
            "1 ",
            "$1",
            "٣",
            "1000000000000",
            "1.0.0",
        ] {
            assert_eq!(wire.parse::<Amount>(), Err(NotAnAmount), "{wire:?}");
        }
    }

    #[test]
    fn zig_is_the_same_currency_under_either_name() {
        assert_eq!("ZiG".parse::<Currency>(), "zwg".parse());
        assert_eq!("ZWG".parse::<Currency>().unwrap().label(), "ZiG");
        for wrong in ["", "US", "USDT", "U5D", "€€€"] {
            assert!(wrong.parse::<Currency>().is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn any_amount_survives_being_written_and_read(units in 0..=9_999_999_999_999_999_i64) {
            let original = Amount::from_ten_thousandths(units).unwrap();
            prop_assert_eq!(original.to_string().parse::<Amount>(), Ok(original));
        }

        #[test]
        fn reading_never_panics(text in any::<String>()) {
            let _ = text.parse::<Amount>();
            let _ = text.parse::<Currency>();
        }
    }
}
