//! What was paid, for other people's books: tables, objects, bank statements and journals, payment by payment.
//!
//! Money that came is an entry on the day it came, money that went back one more on the day it went; each has an
//! identity that is the same in every export. `csv` and `jsonl` have one row a payment, whose status and trust tell.

use std::io;
use std::ops::Range;

use chrono_tz::Tz;
use serde_json::json;

use super::cell::{cell, line};
use super::tables::{Keys, Transactions, end_row, instant, table, transaction_id};
use crate::domain::{
    Amount, GatewayReference, Known, Method, Payment, Reference, Status, Timestamp, Trust, WireStatus,
};

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A table with everything.
    Csv,
    /// The same, one JSON object a line.
    Jsonl,
    /// A bank statement for Xero: days as 2026-03-12, which it takes whatever the organisation's region.
    Xero,
    /// A bank statement of three columns for `QuickBooks`: days as 31/12/2026, as its makers recommend.
    ///
    /// <https://quickbooks.intuit.com/learn-support/en-uk/help-article/import-transactions/manually-upload-transactions-quickbooks-online/L0rE9OXBz_GB_en_GB>
    QuickBooks,
    /// A journal for plain-text accounting (ledger, hledger).
    Ledger,
}

crate::domain::codes!(Format {
    Csv = "csv",
    Jsonl = "jsonl",
    Xero = "xero",
    QuickBooks = "quickbooks",
    Ledger = "ledger",
});

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] = [Self::Csv, Self::Jsonl, Self::Xero, Self::QuickBooks, Self::Ledger];

    /// Whether all amounts of such a file are of one currency, which it does not state.
    pub const fn is_of_one_currency(self) -> bool {
        matches!(self, Self::Xero | Self::QuickBooks)
    }
}

/// An export on its way out.
pub struct Export<W: io::Write> {
    shape: Shape<W>,
    period: Range<Timestamp>,
    zone: Tz,
    left_out: LeftOut,
}

/// How many entries were left out of a statement or a journal, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Nobody told their amount.
    pub unknown: u64,
    /// Only a post says so: the gateway has not confirmed it.
    pub unproven: u64,
}

enum Shape<W: io::Write> {
    Csv(Transactions<W>),
    Jsonl(W),
    Xero(csv::Writer<W>),
    QuickBooks(csv::Writer<W>),
    Ledger(W),
}

/// Money that came, or went back.
struct Entry<'a> {
    payment: &'a Payment,
    id: String,
    day: chrono::NaiveDate,
    amount: Amount,
    is_back: bool,
}

impl<W: io::Write> Export<W> {
    /// Begins an export of what happened in `period`; days are those of `zone`.
    ///
    /// # Errors
    /// `out` took it not; the file is to be thrown away.
    pub fn new(out: W, format: Format, period: Range<Timestamp>, zone: Tz) -> io::Result<Self> {
        let headed = |out, heading: &[&str]| {
            let mut table = table(out);
            table.write_record(heading)?;
            Ok::<_, io::Error>(table)
        };
        let shape = match format {
            Format::Csv => Shape::Csv(Transactions::new(out, Keys::Shown)?),
            Format::Jsonl => Shape::Jsonl(out),
            Format::Xero => {
                Shape::Xero(headed(out, &["*Date", "*Amount", "Payee", "Description", "Reference", "Check Number"])?)
            }
            Format::QuickBooks => Shape::QuickBooks(headed(out, &["Date", "Description", "Amount"])?),
            Format::Ledger => Shape::Ledger(out),
        };
        Ok(Self { shape, period, zone, left_out: LeftOut::default() })
    }

    /// Adds what of this payment lies in the period; to a statement or a journal, which have no word for doubt, only what
    /// is proven.
    ///
    /// # Errors
    /// `out` took it not; the file is to be thrown away.
    pub fn payment(&mut self, known: &Known) -> io::Result<()> {
        let payment = &known.payment;
        let Some(paid_at) = payment.paid_at else { return Ok(()) };
        let came = self.period.contains(&paid_at);
        match &mut self.shape {
            Shape::Csv(table) if came => return table.row(payment),
            Shape::Jsonl(out) if came => return writeln!(out, "{}", object(payment, paid_at)),
            Shape::Csv(_) | Shape::Jsonl(_) => return Ok(()),
            Shape::Xero(_) | Shape::QuickBooks(_) | Shape::Ledger(_) => {}
        }
        let went = payment.status == Status::Refunded && self.period.contains(&payment.last_changed);
        let id = transaction_id(&payment.integration, &payment.key);
        let refund = format!("{id}-refund");
        let (has_come, has_gone) = (known.has_proven_money(), payment.trust != Trust::Reported);
        for (id, at, is_back, moved, proven) in
            [(id, paid_at, false, came, has_come), (refund, payment.last_changed, true, went, has_gone)]
        {
            if !moved {
                continue;
            }
            if !proven {
                self.left_out.unproven += 1;
                continue;
            }
            let Some(amount) = payment.facts.amount else {
                self.left_out.unknown += 1;
                continue;
            };
            let day = at.with_timezone(&self.zone).date_naive();
            self.entry(&Entry { payment, id, day, amount, is_back })?;
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        match &mut self.shape {
            Shape::Csv(_) | Shape::Jsonl(_) => Ok(()),
            Shape::Xero(table) => {
                table.write_field(entry.day.to_string())?;
                table.write_field(entry.signed())?;
                table.write_field("Paynow")?;
                table.write_field(cell(&format!("{} id {}", entry.subject(), entry.id)))?;
                table.write_field(cell(entry.reference()))?;
                table.write_field("")?;
                end_row(table)
            }
            Shape::QuickBooks(table) => {
                table.write_field(entry.day.format("%d/%m/%Y").to_string())?;
                table.write_field(cell(&format!("{} {} id {}", entry.subject(), entry.reference(), entry.id)))?;
                table.write_field(entry.signed())?;
                end_row(table)
            }
            Shape::Ledger(out) => entry.journal(out),
        }
    }

    /// Ends the export. Returns what is not in it.
    ///
    /// # Errors
    /// `out` took not all; the file is to be thrown away.
    pub fn finish(self) -> io::Result<LeftOut> {
        match self.shape {
            Shape::Csv(table) => table.finish()?.flush()?,
            Shape::Xero(mut table) | Shape::QuickBooks(mut table) => table.flush()?,
            Shape::Jsonl(mut out) | Shape::Ledger(mut out) => out.flush()?,
        }
        Ok(self.left_out)
    }
}

impl Entry<'_> {
    fn signed(&self) -> String {
        if self.is_back { format!("-{}", self.amount) } else { self.amount.to_string() }
    }

    fn reference(&self) -> &str {
        self.payment.facts.reference.as_ref().map_or("", Reference::as_str)
    }

    /// What it is about, without the merchant's reference.
    fn subject(&self) -> String {
        let paynow = self.payment.facts.gateway_reference.as_ref().map_or("", GatewayReference::as_str);
        let refund = if self.is_back { " refund" } else { "" };
        format!("Paynow {}{refund} {paynow}", self.payment.integration).trim_end().to_owned()
    }

    /// A transaction of two postings, with tags that ledger and hledger read.
    fn journal(&self, out: &mut impl io::Write) -> io::Result<()> {
        let payment = self.payment;
        let paynow = payment.facts.gateway_reference.as_ref();
        let code = paynow.map_or_else(String::new, |paynow| format!("({paynow}) "));
        // What would begin a comment, or a note, in a description.
        let reference = line(self.reference()).replace([';', '|'], " ");
        let refund = if self.is_back { "refund " } else { "" };
        let (currency, integration) = (payment.currency.code(), &payment.integration);
        writeln!(out, "{} * {code}{}", self.day, format!("Paynow {refund}{reference}").trim_end())?;
        writeln!(out, "    ; id: {}", self.id)?;
        if let Some(method) = &payment.facts.method {
            writeln!(out, "    ; method: {}", line(method.as_str()).replace([',', ';'], " "))?;
        }
        let other = if self.is_back { self.amount.to_string() } else { format!("-{}", self.amount) };
        writeln!(out, "    assets:paynow:{integration}  {currency} {}", self.signed())?;
        writeln!(out, "    income:sales:{integration}  {currency} {other}\n")
    }
}

/// A payment as one JSON object.
fn object(payment: &Payment, paid_at: Timestamp) -> serde_json::Value {
    let facts = &payment.facts;
    json!({
        "id": transaction_id(&payment.integration, &payment.key),
        "integration": payment.integration.as_str(),
        "mode": payment.mode.code(),
        "gateway_key": payment.key.as_str(),
        "reference": facts.reference.as_ref().map(Reference::as_str),
        "gateway_reference": facts.gateway_reference.as_ref().map(GatewayReference::as_str),
        "status": payment.status.code(),
        "wire_status": payment.wire_status.as_ref().map(WireStatus::as_str),
        "trust": payment.trust.code(),
        "method": facts.method.as_ref().map(Method::as_str),
        "currency": payment.currency.code(),
        "amount": facts.amount.map(|amount| amount.to_string()),
        "amount_paid": facts.amount_paid.map(|amount| amount.to_string()),
        "paid_at": instant(paid_at),
        "first_seen": instant(payment.first_seen),
        "last_changed": instant(payment.last_changed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::books::tables::tests::payment;
    use crate::domain::PollPlan;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Everything of March 2026 in Harare.
    fn march(format: Format, payments: &[Payment]) -> String {
        let period = at("2026-02-28T22:00:00Z")..at("2026-03-31T22:00:00Z");
        let mut out = Vec::new();
        let mut export = Export::new(&mut out, format, period, Tz::Africa__Harare).unwrap();
        for payment in payments {
            export.payment(&known(payment.clone(), None)).unwrap();
        }
        export.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    fn known(payment: Payment, proven: Option<Status>) -> Known {
        let plan = PollPlan::none(payment.first_seen);
        Known { payment, proven, plan, unconfirmed_at: None }
    }

    fn refunded(when: &str) -> Payment {
        Payment { status: Status::Refunded, last_changed: at(when), ..payment("INV-7;x") }
    }

    #[test]
    fn a_bank_statement_has_what_came_and_what_went_back() {
        let id = "76e7bb7dec1505766c41f987b355a91d";
        assert_eq!(
            march(Format::Xero, &[payment("=1+1"), refunded("2026-03-20T23:00:00Z")]),
            format!(
                "*Date,*Amount,Payee,Description,Reference,Check Number\r\n\
                 2026-03-12,25.00,Paynow,Paynow shop id {id},'=1+1,\r\n\
                 2026-03-12,25.00,Paynow,Paynow shop id {id},INV-7;x,\r\n\
                 2026-03-21,-25.00,Paynow,Paynow shop refund id {id}-refund,INV-7;x,\r\n"
            )
        );
        assert_eq!(
            march(Format::QuickBooks, &[refunded("2026-04-02T00:00:00Z")]),
            format!("Date,Description,Amount\r\n12/03/2026,Paynow shop INV-7;x id {id},25.00\r\n")
        );
    }

    #[test]
    fn a_journal_balances_and_takes_a_refund_back() {
        let late = Payment { paid_at: Some(at("2026-02-01T00:00:00Z")), ..refunded("2026-03-20T12:00:00Z") };
        assert_eq!(
            march(Format::Ledger, &[payment("INV-1"), late]),
            "2026-03-12 * Paynow INV-1\n    ; id: 76e7bb7dec1505766c41f987b355a91d\n    \
             assets:paynow:shop  ZWG 25.00\n    income:sales:shop  ZWG -25.00\n\n\
             2026-03-20 * Paynow refund INV-7 x\n    ; id: 76e7bb7dec1505766c41f987b355a91d-refund\n    \
             assets:paynow:shop  ZWG -25.00\n    income:sales:shop  ZWG 25.00\n\n"
        );
    }

    #[test]
    fn a_payment_outside_the_period_is_in_no_export() {
        let before = Payment { paid_at: Some(at("2026-02-28T21:59:59Z")), ..payment("INV-1") };
        let after = Payment { paid_at: Some(at("2026-03-31T22:00:00Z")), ..payment("INV-1") };
        let never = Payment { paid_at: None, ..payment("INV-1") };
        for format in Format::ALL {
            let empty = march(format, &[]);
            assert_eq!(march(format, &[before.clone(), after.clone(), never.clone()]), empty, "{format:?}");
            assert_ne!(march(format, &[payment("INV-1")]), empty, "{format:?}");
        }
    }

    #[test]
    fn what_has_no_amount_is_counted_and_left_out_of_the_accounts() {
        let mut export =
            Export::new(Vec::new(), Format::Ledger, at("2026-01-01T00:00:00Z")..at("2027-01-01T00:00:00Z"), Tz::UTC)
                .unwrap();
        let mut unknown = payment("INV-1");
        unknown.facts.amount = None;
        export.payment(&known(unknown, None)).unwrap();
        assert_eq!(export.finish().unwrap(), LeftOut { unknown: 1, unproven: 0 });
    }

    #[test]
    fn what_only_a_post_says_is_in_no_accounts() {
        let year = at("2026-01-01T00:00:00Z")..at("2027-01-01T00:00:00Z");
        let doubted = |payment| Payment { trust: Trust::Reported, ..payment };
        let claimed = known(doubted(payment("INV-1")), None);
        // Paynow has confirmed the payment, but not that it went back.
        let going = known(doubted(refunded("2026-03-20T12:00:00Z")), Some(Status::Paid));
        for (format, written) in [(Format::Xero, 1), (Format::QuickBooks, 1), (Format::Ledger, 1), (Format::Jsonl, 2)] {
            let mut out = Vec::new();
            let mut export = Export::new(&mut out, format, year.clone(), Tz::UTC).unwrap();
            export.payment(&claimed).unwrap();
            export.payment(&going).unwrap();
            let unproven = if format == Format::Jsonl { 0 } else { 2 };
            assert_eq!(export.finish().unwrap(), LeftOut { unknown: 0, unproven }, "{format:?}");
            let text = String::from_utf8(out).unwrap();
            assert_eq!((text.matches("25.00").count() > 0, text.matches("-refund").count()), (true, 0), "{text}");
            assert_eq!(text.matches("76e7bb7dec1505766c41f987b355a91d").count(), written, "{text}");
        }
    }
}
