//! `map.toml`: what the columns of a bank's or portal's file mean.

use chrono::format::{Item, StrftimeItems};
use serde::Deserialize;

use crate::domain::{Currency, IntegrationName};

/// A map to start from, with everything there is. Its lines are short, lest a help page breaks a comment in two.
pub const EXAMPLE: &str = "\
# What the columns are called. Letter case does not matter.
[columns]
date = \"Settlement date\"
# Your reference, or Paynow's.
reference = \"Merchant reference\"
# At least gross or net. Of any two the third is computed.
gross = \"Gross\"
fee = \"Fee\"
net = \"Net\"
# A column that tells each line from all others.
# Without one, equal lines of one file are counted.
line = \"Transaction id\"
# Columns, or else [constants].
#currency = \"Currency\"
#integration = \"Account\"

# How the file writes.
[format]
# The day, in strftime's letters: %d/%m/%Y is 31/12/2026,
# %d/%m/%y is 31/12/26, %Y-%m-%d is 2026-12-31,
# %d %b %Y is 31 Dec 2026.
date = \"%d/%m/%Y\"
# \".\" or \",\"
decimal = \".\"
# What stands between thousands, if anything does:
# \",\" \".\" \" \" or \"'\"
thousands = \",\"

# What is the same on every line.
[constants]
currency = \"USD\"
integration = \"shop\"
";

/// What a map says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettlementMap {
    pub(super) columns: Columns,
    #[serde(default)]
    pub(super) format: Format,
    #[serde(default)]
    pub(super) constants: Constants,
}

/// What the columns are called.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Columns {
    pub(super) date: String,
    pub(super) reference: String,
    pub(super) gross: Option<String>,
    pub(super) fee: Option<String>,
    pub(super) net: Option<String>,
    pub(super) line: Option<String>,
    pub(super) currency: Option<String>,
    pub(super) integration: Option<String>,
}

/// How days and amounts are written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Format {
    pub(super) date: String,
    pub(super) decimal: char,
    pub(super) thousands: Option<char>,
}

impl Default for Format {
    fn default() -> Self {
        Self { date: "%Y-%m-%d".into(), decimal: '.', thousands: None }
    }
}

/// What is the same on every line.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Constants {
    pub(super) currency: Option<String>,
    pub(super) integration: Option<String>,
}

impl SettlementMap {
    /// Reads a map. `integration` is said elsewhere and wins over the map.
    ///
    /// # Errors
    /// The map cannot be used; the message says what to mend.
    pub fn read(text: &str, integration: Option<&str>) -> Result<Self, String> {
        let mut map: Self = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        if let Some(integration) = integration {
            map.constants.integration = Some(integration.to_owned());
            map.columns.integration = None;
        }
        map.check()?;
        Ok(map)
    }

    fn check(&self) -> Result<(), String> {
        let Self { columns, format, constants } = self;
        if columns.gross.is_none() && columns.net.is_none() {
            return Err("[columns] must name gross or net".into());
        }
        let one = |name: &str, column: &Option<String>, constant: &Option<String>| match (column, constant) {
            (Some(_), None) | (None, Some(_)) => Ok(()),
            (Some(_), Some(_)) => Err(format!("{name} is both in [columns] and in [constants]; remove one")),
            (None, None) => Err(format!("{name} is missing: name it in [columns] or in [constants]")),
        };
        one("currency", &columns.currency, &constants.currency)?;
        one("integration", &columns.integration, &constants.integration)?;
        if let Some(code) = &constants.currency {
            code.parse::<Currency>().map_err(|error| format!("constants.currency: {error}"))?;
        }
        if let Some(name) = &constants.integration {
            IntegrationName::parse(name).map_err(|error| format!("constants.integration: {error}"))?;
        }
        if format.date.is_empty() || StrftimeItems::new(&format.date).any(|item| matches!(item, Item::Error)) {
            return Err("format.date must be a pattern of strftime's letters, like %d/%m/%Y".into());
        }
        if !matches!(format.decimal, '.' | ',') {
            return Err("format.decimal must be \".\" or \",\"".into());
        }
        if format.thousands.is_some_and(|it| !matches!(it, '.' | ',' | ' ' | '\'') || it == format.decimal) {
            return Err("format.thousands must be one of , . ' or a blank, and not what format.decimal is".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_a_map() {
        SettlementMap::read(EXAMPLE, None).unwrap();
    }

    #[test]
    fn what_is_wrong_with_a_map_is_said() {
        for (from, to, reason) in [
            ("net = ", "nett = ", "unknown field `nett`"),
            ("date = \"%d/%m/%Y\"", "date = \"%Q\"", "format.date"),
            ("decimal = \".\"", "decimal = \";\"", "format.decimal"),
            ("thousands = \",\"", "thousands = \".\"", "format.thousands"),
            ("#currency = ", "currency = ", "both in"),
            ("\ncurrency = \"USD\"", "", "currency is missing"),
            ("\"shop\"", "\"My Shop\"", "constants.integration"),
        ] {
            assert!(EXAMPLE.contains(from), "{from}");
            let told = SettlementMap::read(&EXAMPLE.replacen(from, to, 1), None).unwrap_err();
            assert!(told.contains(reason), "{reason}: {told}");
        }
        let lacking = EXAMPLE.replace("gross = ", "#").replace("net = ", "#");
        assert!(SettlementMap::read(&lacking, None).unwrap_err().contains("gross or net"));
    }
}
