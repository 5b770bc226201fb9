//! A bank's or portal's file, read by a map → what was paid out, line by line.

use std::collections::HashMap;
use std::io::Read;

use chrono::{Datelike as _, NaiveDate, NaiveDateTime};
use sha2::{Digest, Sha256};

use super::civil;
use super::order::{Fault, OrderDesk};
use super::settlement_map::{Format, SettlementMap};
use super::sheet::{BadRow, BadSheet, NoRow, Row, Sheet};
use crate::domain::{Amount, Currency, Settlement, Timestamp};

/// How long a reference may be, in bytes.
const REFERENCE: usize = 255;

/// The lines of a file.
pub struct Settlements<'a, R: Read> {
    sheet: Sheet<R>,
    reader: LineReader<'a>,
}

/// Where each column stands, and what to make of it.
struct LineReader<'a> {
    map: &'a SettlementMap,
    desk: &'a OrderDesk,
    today: NaiveDate,
    date: usize,
    reference: usize,
    gross: Option<usize>,
    fee: Option<usize>,
    net: Option<usize>,
    line: Option<usize>,
    currency: Option<usize>,
    integration: Option<usize>,
    /// How often each line has been there, where only its content tells it from others.
    seen: HashMap<[u8; 16], u32>,
    /// What each line said, where a column tells it from others.
    said: HashMap<[u8; 16], [u8; 16]>,
}

impl<'a, R: Read> Settlements<'a, R> {
    /// Reads the heading of `input`, a file imported at `now`.
    ///
    /// # Errors
    /// It is not what the map describes, or the map is for other integrations; the message says what is missing.
    pub fn open(input: R, map: &'a SettlementMap, desk: &'a OrderDesk, now: Timestamp) -> Result<Self, BadSheet> {
        if let Some(name) = &map.constants.integration {
            desk.account(name).map_err(|fault| BadSheet::Heading(format!("the map: {fault}")))?;
        }
        let sheet = Sheet::open(input)?;
        let place = |name: &String| {
            let mut found = sheet.heading().iter().enumerate().filter(|(_, it)| it.eq_ignore_ascii_case(name.trim()));
            match (found.next(), found.next()) {
                (Some((at, _)), None) => Ok(at),
                (None, _) => Err(BadSheet::Heading(format!("the heading has no column {name:?}, which the map names"))),
                (Some(_), Some(_)) => Err(BadSheet::Heading(format!("the heading names the column {name:?} twice"))),
            }
        };
        let maybe = |name: &Option<String>| name.as_ref().map(place).transpose();
        let columns = &map.columns;
        let reader = LineReader {
            map,
            desk,
            today: desk.today(now),
            date: place(&columns.date)?,
            reference: place(&columns.reference)?,
            gross: maybe(&columns.gross)?,
            fee: maybe(&columns.fee)?,
            net: maybe(&columns.net)?,
            line: maybe(&columns.line)?,
            currency: maybe(&columns.currency)?,
            integration: maybe(&columns.integration)?,
            seen: HashMap::new(),
            said: HashMap::new(),
        };
        Ok(Self { sheet, reader })
    }
}

impl<R: Read> Iterator for Settlements<'_, R> {
    type Item = Result<Settlement, NoRow>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = match self.sheet.next_row()? {
            Ok(row) => row,
            Err(trouble) => return Some(Err(trouble)),
        };
        let line = row.line;
        let bad = |fault: Fault| NoRow::Bad(BadRow { line, column: fault.field.into(), reason: fault.reason });
        Some(self.reader.read(&row).map_err(bad))
    }
}

impl LineReader<'_> {
    fn read(&mut self, row: &Row<'_>) -> Result<Settlement, Fault> {
        let fault = |field, reason: &str| Fault { field, reason: reason.into() };
        let constants = &self.map.constants;
        let cell_or = |place: Option<usize>, constant: &Option<String>| {
            place.map(|at| row.cell(at)).or(constant.as_deref()).unwrap_or_default().to_owned()
        };
        let integration = self.desk.account(&cell_or(self.integration, &constants.integration))?.name.clone();
        let currency: Currency = cell_or(self.currency, &constants.currency)
            .parse()
            .map_err(|error: crate::domain::amount::NotACurrency| fault("currency", &error.to_string()))?;
        let day = day(row.cell(self.date), &self.map.format, self.today).map_err(|reason| fault("date", &reason))?;
        let reference = row.cell(self.reference);
        if reference.is_empty() || reference.len() > REFERENCE || reference.chars().any(char::is_control) {
            return Err(fault("reference", "must be 1 to 255 bytes on one line"));
        }
        let money = |field, place: Option<usize>| {
            let text = place.map(|at| row.cell(at)).filter(|text| !text.is_empty());
            text.map(|text| amount(text, &self.map.format).map_err(|reason| fault(field, reason))).transpose()
        };
        let (gross, net) = (money("gross", self.gross)?, money("net", self.net)?);
        // Many files write what is kept as a negative number.
        let fee = self.fee.map(|at| row.cell(at)).filter(|text| !text.is_empty());
        let fee = fee.map(|text| amount(text.strip_prefix('-').unwrap_or(text), &self.map.format)).transpose();
        let fee = fee.map_err(|reason| fault("fee", reason))?;
        if gross.is_none() && net.is_none() {
            return Err(fault(if self.gross.is_some() { "gross" } else { "net" }, "is empty"));
        }
        let mut settlement = Settlement {
            integration,
            line: String::new(),
            day,
            reference: reference.to_owned(),
            currency,
            gross,
            fee,
            net,
        };
        settlement.line = match self.line {
            None => self.counted(&settlement),
            Some(at) if row.cell(at).is_empty() => {
                return Err(fault("line", "is empty, and it is to tell lines apart"));
            }
            Some(at) => self.told_apart(&settlement, row.cell(at))?,
        };
        Ok(settlement.completed())
    }

    /// What tells the line from others: what the file has in a column for that. Lines that share it and differ would
    /// each be taken for the other one corrected.
    fn told_apart(&mut self, it: &Settlement, by: &str) -> Result<String, Fault> {
        let said = said(it);
        if *self.said.entry(digest(&[it.integration.as_str(), by])).or_insert(said) == said {
            return Ok(hex::encode(digest(&["line", by])));
        }
        let reason = "is that of an earlier line which says something else; let the map's columns.line name a column \
                      that tells lines apart, or remove it";
        Err(Fault { field: "line", reason: reason.into() })
    }

    /// What tells the line from others: all it says, and the how manieth it is that says so.
    fn counted(&mut self, it: &Settlement) -> String {
        let digest = said(it);
        let times = self.seen.entry(digest).or_default();
        *times += 1;
        if *times == 1 { hex::encode(digest) } else { format!("{}-{times}", hex::encode(digest)) }
    }
}

/// All that a line says.
fn said(it: &Settlement) -> [u8; 16] {
    let amount = |amount: Option<Amount>| amount.map_or_else(String::new, |amount| amount.to_string());
    digest(&[
        "said",
        it.integration.as_str(),
        &it.day.to_string(),
        &it.reference,
        it.currency.code(),
        &amount(it.gross),
        &amount(it.fee),
        &amount(it.net),
    ])
}

/// 128 bits of a digest over texts of which none contains a line end.
fn digest(texts: &[&str]) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::digest(texts.join("\n")).into();
    let (half, _) = digest.split_at(16);
    half.try_into().unwrap_or_default()
}

/// The day, with or without a time after it.
fn day(text: &str, format: &Format, today: NaiveDate) -> Result<NaiveDate, String> {
    let date = &format.date;
    let with_time = || NaiveDateTime::parse_from_str(text, date).map(|at| at.date());
    let day = NaiveDate::parse_from_str(text, date)
        .or_else(|_| with_time())
        .map_err(|_| format!("is not a day as the map's format.date ({date}) writes it"))?;
    civil::of_our_time(day, today).map_err(|reason| {
        // %Y takes a year of any length.
        let short = (0..100).contains(&day.year()).then_some("; years of two digits are %y there");
        format!("{reason}; compare the map's format.date ({date}){}", short.unwrap_or_default())
    })
}

fn amount(text: &str, format: &Format) -> Result<Amount, &'static str> {
    if text.starts_with('-') || text.starts_with('(') {
        return Err("is negative: what was taken back is not read from settlement files");
    }
    let mut plain = text.to_owned();
    if let Some(thousands) = format.thousands {
        let (whole, _) = text.split_once(format.decimal).unwrap_or((text, ""));
        let mut groups = whole.split(thousands).skip(1);
        if !groups.all(|group| group.len() == 3) {
            return Err("has thousands separators in odd places; compare format.thousands and format.decimal");
        }
        plain = plain.replace(thousands, "");
    }
    if format.decimal == ',' {
        if plain.contains('.') {
            return Err("has a point, and the map says that decimals follow a comma");
        }
        plain = plain.replace(',', ".");
    }
    plain.parse().map_err(|_| "is not an amount as the map says they are written")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::books::order::tests::{desk, now};
    use crate::books::settlement_map::EXAMPLE;
    use proptest::prelude::*;

    const HEADING: &str = "settlement DATE,Merchant reference,Gross,Fee,Net,Transaction id\n";

    fn read(map: &str, text: &str) -> Vec<Result<Settlement, String>> {
        let (map, desk) = (SettlementMap::read(map, None).unwrap(), desk());
        let lines = Settlements::open(text.as_bytes(), &map, &desk, now()).unwrap();
        lines
            .map(|line| {
                line.map_err(|trouble| match trouble {
                    NoRow::Bad(bad) => bad.to_string(),
                    NoRow::File(error) => error.to_string(),
                })
            })
            .collect()
    }

    fn sums(line: &Settlement) -> String {
        let amount = |amount: Option<Amount>| amount.map_or_else(|| "-".into(), |amount| amount.to_string());
        format!("{} {} {} {} {}", line.day, line.reference, amount(line.gross), amount(line.fee), amount(line.net))
    }

    #[test]
    fn whatever_of_gross_fee_and_net_is_missing_is_computed() {
        let lines = read(
            EXAMPLE,
            &format!(
                "{HEADING}31/12/2026,INV-1,\"1,204.50\",,\"1,174.50\",a\n31/12/2026,INV-2,,-0.50,24.50,b\n\
                 31/12/2026,INV-3,25.00,,,c\n31/12/2026,INV-4,25.00,1,,d\n"
            ),
        );
        let lines: Vec<String> = lines.iter().map(|line| sums(line.as_ref().unwrap())).collect();
        assert_eq!(
            lines,
            [
                "2026-12-31 INV-1 1204.50 30.00 1174.50",
                "2026-12-31 INV-2 25.00 0.50 24.50",
                "2026-12-31 INV-3 25.00 - -",
                "2026-12-31 INV-4 25.00 1.00 24.00",
            ]
        );
    }

    #[test]
    fn a_bad_line_is_told_with_its_column() {
        let lines = read(
            EXAMPLE,
            &format!(
                "{HEADING}2026-12-31,INV-1,1,,,a\n31/12/2026,,1,,,b\n31/12/2026,INV-1,\"1,20\",,,c\n\
                 31/12/2026,INV-1,,,,d\n31/12/2026,INV-1,-5.00,,,e\n31/12/2026,INV-1,5.00,,,\n31/12/2026,INV-1,5.00,,,g\n"
            ),
        );
        for (at, start) in [
            "line 2: date: is not a day as the map's format.date (%d/%m/%Y)",
            "line 3: reference: ",
            "line 4: gross: has thousands separators in odd places",
            "line 5: gross: is empty",
            "line 6: gross: is negative",
            "line 7: line: is empty",
        ]
        .iter()
        .enumerate()
        {
            assert!(lines[at].as_ref().unwrap_err().starts_with(start), "{lines:?}");
        }
        assert!(lines[6].is_ok());
    }

    #[test]
    fn a_day_of_another_age_is_refused_with_what_it_was_read_as() {
        let told = |map: &str, day: &str| {
            read(map, &format!("{HEADING}{day},INV-1,1,,,a\n")).remove(0).map(|line| line.day.to_string())
        };
        let bounds = "and must be from 2000-01-01 to 2027-03-12, a year from today; compare the map's format.date";
        let short = format!("is read as 0026-03-12, {bounds} (%d/%m/%Y); years of two digits are %y there");
        assert_eq!(told(EXAMPLE, "12/03/26"), Err(format!("line 2: date: {short}")));
        for (day, read_as) in
            [("12/03/-262143", "-262143-03-12"), ("12/03/1999", "1999-03-12"), ("13/03/2027", "2027-03-13")]
        {
            let reason = format!("line 2: date: is read as {read_as}, {bounds} (%d/%m/%Y)");
            assert_eq!(told(EXAMPLE, day), Err(reason));
        }
        let map = EXAMPLE.replace("%d/%m/%Y\"", "%d/%m/%y\"");
        assert_eq!(told(&map, "12/03/26").as_deref(), Ok("2026-03-12"));
    }

    #[test]
    fn commas_before_decimals_are_read_if_the_map_says_so() {
        let map =
            EXAMPLE.replace("decimal = \".\"", "decimal = \",\"").replace("thousands = \",\"", "thousands = \".\"");
        let lines = read(&map, &format!("{}31/12/2026;INV-1;1.204,50;;;a\n", HEADING.replace(',', ";")));
        assert_eq!(sums(lines[0].as_ref().unwrap()), "2026-12-31 INV-1 1204.50 - -");
    }

    #[test]
    fn a_column_that_does_not_tell_lines_apart_is_found_out() {
        let lines = read(
            EXAMPLE,
            &format!(
                "{HEADING}31/12/2026,INV-1,1,,,a\n31/12/2026,INV-1,1,,,a\n31/12/2026,INV-2,1,,,a\n31/12/2026,INV-2,1,,,b\n"
            ),
        );
        assert_eq!(lines[0], lines[1], "the same line twice");
        let told = lines[2].as_ref().unwrap_err();
        assert!(told.starts_with("line 4: line: is that of an earlier line which says something else"), "{told}");
        assert!(lines[3].is_ok());
    }

    #[test]
    fn equal_lines_are_told_apart_and_are_the_same_in_the_next_file() {
        let map = EXAMPLE.replace("line = \"Transaction id\"", "");
        let text = format!("{HEADING}31/12/2026,INV-1,1,,,\n31/12/2026,INV-1,1,,,\n31/12/2026,INV-2,1,,,\n");
        let ids = || read(&map, &text).into_iter().map(|line| line.unwrap().line).collect::<Vec<_>>();
        let (first, second) = (ids(), ids());
        assert_eq!(first, second);
        assert!(first[0] != first[1] && first[0] != first[2] && first[1] != first[2]);
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "[0-9/.,;' a-c\"\n-]{0,80}", day in "[0-9]{2}/[0-9]{2}/[-+]?[0-9]{0,7}") {
            let _ = read(EXAMPLE, &format!("{HEADING}{text}\n{day},INV-1,1,,,a\n"));
        }
    }
}
