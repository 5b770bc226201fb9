//! Tables out: what was paid and what does not add up, as comma-separated values (RFC 4180). Columns are stable: new
//! ones are added at the end.

use std::io;

use chrono::{SecondsFormat, TimeDelta};
use sha2::{Digest, Sha256};

use super::cell;
use crate::domain::{Class, GatewayKey, IntegrationName, Mode, Payment, Timestamp};

/// Whether a table names each payment by its gateway key too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Yes: the file stays with the merchant. In Zimbabwe whoever has the key can read the payment.
    Shown,
    /// No: the file goes by mail.
    Withheld,
}

/// The columns before the gateway key.
const IDENTITY: [&str; 3] = ["id", "integration", "mode"];

/// The columns after the gateway key.
const TRANSACTION: [&str; 12] = [
    "reference",
    "gateway_reference",
    "status",
    "wire_status",
    "trust",
    "method",
    "currency",
    "amount",
    "amount_paid",
    "paid_at",
    "first_seen",
    "last_changed",
];

const DISCREPANCY: [&str; 12] = [
    "id",
    "class",
    "severity",
    "state",
    "integration",
    "mode",
    "reference",
    "expected",
    "found",
    "opened",
    "age_hours",
    "next_step",
];

/// What names a payment in files: the same for ever, and nobody can ask the gateway with it.
pub fn transaction_id(integration: &IntegrationName, key: &GatewayKey) -> String {
    let digest = Sha256::digest([integration.as_str(), key.as_str()].join("\n"));
    hex::encode(digest.get(..16).unwrap_or(&digest))
}

/// An instant as files have it: RFC 3339, UTC.
pub(super) fn instant(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// `transactions.csv`, row by row.
#[derive(Debug)]
pub struct Transactions<W: io::Write> {
    table: csv::Writer<W>,
    keys: Keys,
}

impl<W: io::Write> Transactions<W> {
    /// Begins the table with its heading.
    ///
    /// # Errors
    /// `out` took it not; the file is to be thrown away.
    pub fn new(out: W, keys: Keys) -> io::Result<Self> {
        let mut table = table(out);
        let key = ["gateway_key"];
        let key = if keys == Keys::Shown { key.as_slice() } else { &[] };
        table.write_record(IDENTITY.iter().chain(key).chain(&TRANSACTION))?;
        Ok(Self { table, keys })
    }

    /// Adds a payment.
    ///
    /// # Errors
    /// `out` took it not; the file is to be thrown away.
    pub fn row(&mut self, payment: &Payment) -> io::Result<()> {
        let facts = &payment.facts;
        let table = &mut self.table;
        table.write_field(transaction_id(&payment.integration, &payment.key))?;
        table.write_field(cell(payment.integration.as_str()))?;
        table.write_field(payment.mode.code())?;
        if self.keys == Keys::Shown {
            table.write_field(cell(payment.key.as_str()))?;
        }
        table.write_field(facts.reference.as_ref().map_or_else(String::new, |text| cell(text.as_str())))?;
        table.write_field(facts.gateway_reference.as_ref().map_or_else(String::new, |text| cell(text.as_str())))?;
        table.write_field(payment.status.code())?;
        table.write_field(payment.wire_status.as_ref().map_or_else(String::new, |text| cell(text.as_str())))?;
        table.write_field(payment.trust.code())?;
        table.write_field(facts.method.as_ref().map_or_else(String::new, |text| cell(text.as_str())))?;
        table.write_field(payment.currency.code())?;
        table.write_field(facts.amount.map_or_else(String::new, |amount| amount.to_string()))?;
        table.write_field(facts.amount_paid.map_or_else(String::new, |amount| amount.to_string()))?;
        table.write_field(payment.paid_at.map_or_else(String::new, instant))?;
        table.write_field(instant(payment.first_seen))?;
        table.write_field(instant(payment.last_changed))?;
        end_row(table)
    }

    /// Ends the table and gives `out` back.
    ///
    /// # Errors
    /// `out` took not all; the file is to be thrown away.
    pub fn finish(self) -> io::Result<W> {
        self.table.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}

/// One row of `discrepancies.csv`.
#[derive(Clone, Copy, Debug)]
pub struct DiscrepancyRow<'a> {
    /// The ledger's number for it.
    pub id: i64,
    /// Its class, which has the next step and, with its age, the severity.
    pub class: Class,
    /// `open` or `resolved`.
    pub state: &'a str,
    /// The integration.
    pub integration: &'a IntegrationName,
    /// Whether it is about real money.
    pub mode: Mode,
    /// The merchant's word for the order, where it is about one.
    pub reference: Option<&'a str>,
    /// What should have been.
    pub expected: &'a str,
    /// What was.
    pub found: &'a str,
    /// When it was first seen.
    pub opened: Timestamp,
    /// How long it has been, or was, open.
    pub age: TimeDelta,
}

/// `discrepancies.csv`, row by row.
#[derive(Debug)]
pub struct Discrepancies<W: io::Write>(csv::Writer<W>);

impl<W: io::Write> Discrepancies<W> {
    /// Begins the table with its heading.
    ///
    /// # Errors
    /// `out` took it not; the file is to be thrown away.
    pub fn new(out: W) -> io::Result<Self> {
        let mut table = table(out);
        table.write_record(DISCREPANCY)?;
        Ok(Self(table))
    }

    /// Adds a finding.
    ///
    /// # Errors
    /// `out` took it not; the file is to be thrown away.
    pub fn row(&mut self, row: &DiscrepancyRow<'_>) -> io::Result<()> {
        let table = &mut self.0;
        table.write_field(row.id.to_string())?;
        table.write_field(row.class.code())?;
        table.write_field(row.class.severity(row.age).code())?;
        table.write_field(cell(row.state))?;
        table.write_field(cell(row.integration.as_str()))?;
        table.write_field(row.mode.code())?;
        table.write_field(cell(row.reference.unwrap_or_default()))?;
        table.write_field(cell(row.expected))?;
        table.write_field(cell(row.found))?;
        table.write_field(instant(row.opened))?;
        table.write_field(row.age.num_hours().max(0).to_string())?;
        table.write_field(row.class.next_step())?;
        end_row(table)
    }

    /// Ends the table and gives `out` back.
    ///
    /// # Errors
    /// `out` took not all; the file is to be thrown away.
    pub fn finish(self) -> io::Result<W> {
        self.0.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}

/// A table with the line ends of RFC 4180.
pub(super) fn table<W: io::Write>(out: W) -> csv::Writer<W> {
    csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out)
}

/// Ends a row that was written field by field.
pub(super) fn end_row<W: io::Write>(table: &mut csv::Writer<W>) -> io::Result<()> {
    table.write_record(None::<&[u8]>).map_err(io::Error::from)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::{Facts, Posted, Reference, Status, Trust, WireStatus};

    pub(in crate::books) fn payment(reference: &str) -> Payment {
        let at: Timestamp = "2026-03-12T12:05:00Z".parse().unwrap();
        Payment {
            integration: IntegrationName::parse("shop").unwrap(),
            key: GatewayKey::parse("06f656ab-ed60-4a03-8373-a3321b4b3e68").unwrap(),
            facts: Facts {
                reference: Some(Reference::parse(reference).unwrap()),
                amount: Some("25".parse().unwrap()),
                ..Facts::default()
            },
            currency: "ZiG".parse().unwrap(),
            mode: Mode::Live,
            status: Status::Paid,
            wire_status: Some(WireStatus::parse("Paid").unwrap()),
            trust: Trust::Confirmed,
            poll_url: None,
            posted: Posted::Current,
            paid_at: Some(at),
            first_seen: at,
            last_changed: at,
        }
    }

    fn transactions(keys: Keys, reference: &str) -> String {
        let mut table = Transactions::new(Vec::new(), keys).unwrap();
        table.row(&payment(reference)).unwrap();
        String::from_utf8(table.finish().unwrap()).unwrap()
    }

    #[test]
    fn a_payment_is_a_row_under_stable_columns() {
        assert_eq!(
            transactions(Keys::Withheld, "INV-1042"),
            "id,integration,mode,reference,gateway_reference,status,wire_status,trust,method,currency,amount,amount_paid,\
             paid_at,first_seen,last_changed\r\n\
             76e7bb7dec1505766c41f987b355a91d,shop,live,INV-1042,,paid,Paid,confirmed,,ZWG,25.00,,\
             2026-03-12T12:05:00.000Z,2026-03-12T12:05:00.000Z,2026-03-12T12:05:00.000Z\r\n"
        );
    }

    #[test]
    fn what_goes_by_mail_has_nothing_to_ask_the_gateway_with() {
        assert!(transactions(Keys::Shown, "INV-1042").contains(",live,06f656ab-ed60-4a03-8373-a3321b4b3e68,INV-1042,"));
        assert!(!transactions(Keys::Withheld, "INV-1042").contains("06f656ab"));
    }

    #[test]
    fn a_formula_in_a_reference_reaches_the_table_as_text() {
        assert!(transactions(Keys::Withheld, "=1+1,\"x\"").contains(",\"'=1+1,\"\"x\"\"\","));
    }

    #[test]
    fn a_finding_is_a_row_with_its_severity_age_and_next_step() {
        let mut table = Discrepancies::new(Vec::new()).unwrap();
        table
            .row(&DiscrepancyRow {
                id: 7,
                class: Class::Underpaid,
                state: "open",
                integration: &IntegrationName::parse("shop").unwrap(),
                mode: Mode::Live,
                reference: Some("@INV"),
                expected: "25.00",
                found: "-5.00",
                opened: "2026-03-12T12:05:00Z".parse().unwrap(),
                age: TimeDelta::minutes(25 * 60 + 59),
            })
            .unwrap();
        let text = String::from_utf8(table.finish().unwrap()).unwrap();
        let (heading, row) = text.split_once("\r\n").unwrap();
        assert_eq!(
            heading,
            "id,class,severity,state,integration,mode,reference,expected,found,opened,age_hours,next_step"
        );
        let start = "7,underpaid,critical,open,shop,live,'@INV,25.00,'-5.00,2026-03-12T12:05:00.000Z,25,";
        assert_eq!(row, format!("{start}\"{}\"\r\n", Class::Underpaid.next_step()));
    }
}
