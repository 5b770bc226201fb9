//! `orders.csv` → what is expected, row by row.

use std::io::Read;

use super::order::{Order, OrderDesk};
use super::sheet::{BadRow, BadSheet, NoRow, Sheet};
use crate::domain::{Expectation, Timestamp};

/// The columns, as headings name them: letter case, blanks, hyphens and underscores do not matter.
const COLUMNS: [&str; 8] =
    ["integration", "reference", "amount", "currency", "created", "due", "poll_url", "merchanttrace"];
/// How many of them there must be.
const REQUIRED: usize = 5;

/// The orders of a file.
pub struct Orders<'a, R: Read> {
    sheet: Sheet<R>,
    /// Where each of [`COLUMNS`] stands.
    places: [Option<usize>; COLUMNS.len()],
    unknown: Vec<String>,
    desk: &'a OrderDesk,
    now: Timestamp,
}

impl<'a, R: Read> Orders<'a, R> {
    /// Reads the heading of `input`.
    ///
    /// # Errors
    /// It is no table of orders; the message says what is missing.
    pub fn open(input: R, desk: &'a OrderDesk, now: Timestamp) -> Result<Self, BadSheet> {
        let sheet = Sheet::open(input)?;
        let mut places = [None; COLUMNS.len()];
        let mut unknown = Vec::new();
        for (at, name) in sheet.heading().iter().enumerate() {
            let known = COLUMNS.iter().zip(&mut places).find(|(column, _)| plain(column) == plain(name));
            match known {
                Some((column, Some(_))) => {
                    return Err(BadSheet::Heading(format!("the heading names the column {column} twice")));
                }
                Some((_, place)) => *place = Some(at),
                None => unknown.push(name.clone()),
            }
        }
        let missing: Vec<&str> = COLUMNS
            .iter()
            .zip(&places)
            .take(REQUIRED)
            .filter_map(|(column, place)| place.is_none().then_some(*column))
            .collect();
        if !missing.is_empty() {
            return Err(BadSheet::Heading(format!(
                "the heading lacks {}; needed are {}, and there may be {}",
                missing.join(", "),
                COLUMNS.get(..REQUIRED).unwrap_or_default().join(", "),
                COLUMNS.get(REQUIRED..).unwrap_or_default().join(", "),
            )));
        }
        Ok(Self { sheet, places, unknown, desk, now })
    }

    /// The columns that mean nothing to us.
    pub fn unknown_columns(&self) -> &[String] {
        &self.unknown
    }
}

impl<R: Read> Iterator for Orders<'_, R> {
    /// An order with its line in the file.
    type Item = Result<(u64, Expectation), NoRow>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = match self.sheet.next_row()? {
            Ok(row) => row,
            Err(trouble) => return Some(Err(trouble)),
        };
        let [integration, reference, amount, currency, created, due, poll_url, merchanttrace] =
            self.places.map(|place| place.map_or("", |at| row.cell(at)));
        let given = |text| Some(text).filter(|text: &&str| !text.is_empty());
        let order = Order {
            integration,
            reference,
            amount,
            currency,
            // Empty is refused: a file without the day of an order is more likely broken than meant so.
            created: Some(created),
            due: given(due),
            poll_url: given(poll_url),
            merchanttrace: given(merchanttrace),
        };
        let line = row.line;
        let read = self.desk.read(&order, self.now).map(|expected| (line, expected));
        Some(read.map_err(|fault| NoRow::Bad(BadRow { line, column: fault.field.into(), reason: fault.reason })))
    }
}

/// A column's name without what does not matter.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::books::order::tests::{desk, now};

    fn read(text: &str) -> Vec<String> {
        let desk = desk();
        let orders = Orders::open(text.as_bytes(), &desk, now()).unwrap();
        orders
            .map(|order| match order {
                Ok((line, order)) => format!("{line}: {} {} {}", order.reference, order.amount, order.currency),
                Err(NoRow::Bad(bad)) => bad.to_string(),
                Err(NoRow::File(error)) => error.to_string(),
            })
            .collect()
    }

    #[test]
    fn columns_are_found_in_any_order_and_letter_case() {
        let text = "Currency;AMOUNT;Poll URL;note;Reference;created;Integration\r\n\
                    ZiG;9.50;;\"two\r\nlines\";INV-1;2026-03-12;shop\r\nUSD;1;;;INV-2;2026-03-12 10:00;shop\r\n";
        assert_eq!(read(text), ["2: INV-1 9.50 ZWG", "4: INV-2 1.00 USD"]);
        let desk = desk();
        assert_eq!(Orders::open(text.as_bytes(), &desk, now()).unwrap().unknown_columns(), ["note"]);
    }

    #[test]
    fn every_bad_row_is_told_with_its_line_and_the_good_ones_are_kept() {
        let rows = read(
            "integration,reference,amount,currency,created\nshop,A,1,USD,2026-03-12\nshop,B,\"1,204.50\",USD,2026-03-12\n\
             stall,C,1,USD,2026-03-12\nshop,D,1,USD,\nshop,E,1,USD,2026-03-12\n",
        );
        assert_eq!((rows[0].as_str(), rows[4].as_str()), ("2: A 1.00 USD", "6: E 1.00 USD"));
        for (row, start) in [(1, "line 3: amount: "), (2, "line 4: integration: stall"), (3, "line 5: created: ")] {
            assert!(rows[row].starts_with(start), "{rows:?}");
        }
    }

    #[test]
    fn a_heading_that_lacks_columns_is_one_error() {
        let desk = desk();
        let refused =
            |text: &str| Orders::open(text.as_bytes(), &desk, now()).err().map(|error| error.to_string()).unwrap();
        assert!(refused("reference,amount\n").starts_with("the heading lacks integration, currency, created;"));
        assert!(refused("amount,Amount\n").contains("twice"));
    }
}
