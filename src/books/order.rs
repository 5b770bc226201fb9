//! One order as the merchant writes it → what is expected. The same rules whether it comes from a file, a command line
//! or over HTTP.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chrono::NaiveDate;
use chrono_tz::Tz;

use super::civil::{self, DayMeans};
use crate::domain::names::guid_bytes;
use crate::domain::{Amount, Expectation, IntegrationName, MerchantTrace, Mode, PollUrl, Reference, Timestamp};

/// Takes a poll URL if it leads to the integration's own gateway.
pub type PinPollUrl = Arc<dyn Fn(&str) -> Option<PollUrl> + Send + Sync>;

/// What must be known of an integration to expect payments of it.
#[derive(Clone)]
pub struct Account {
    /// Its name.
    pub name: IntegrationName,
    /// Whether its money is real.
    pub mode: Mode,
    /// Whether its messages carry the merchant's reference, so that a payment can be told to be for an order.
    pub names_orders: bool,
    /// Takes its poll URLs.
    pub poll_url: PinPollUrl,
    /// Whether its gateway finds a payment by the merchant's trace.
    pub traces: bool,
}

/// An order in the merchant's words.
#[derive(Clone, Copy, Default)]
pub struct Order<'a> {
    /// The integration's name.
    pub integration: &'a str,
    /// The merchant's reference.
    pub reference: &'a str,
    /// What it costs.
    pub amount: &'a str,
    /// What that is counted in.
    pub currency: &'a str,
    /// When it was taken; else now.
    pub created: Option<&'a str>,
    /// By when it should be paid.
    pub due: Option<&'a str>,
    /// Where the gateway can be asked. Secret.
    pub poll_url: Option<&'a str>,
    /// The merchant's trace.
    pub merchanttrace: Option<&'a str>,
}

/// What is wrong with an order. Values are not repeated: a poll URL may stand in the wrong place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Fault {
    /// The field, as files and JSON name it.
    pub field: &'static str,
    /// What is wrong with it, and what to do.
    pub reason: String,
}

/// Reads orders for the configured integrations.
#[derive(Clone)]
pub struct OrderDesk {
    accounts: BTreeMap<String, Account>,
    zone: Tz,
}

impl OrderDesk {
    /// A desk for these integrations, in whose orders a time without an offset is one of `zone`.
    pub fn new(accounts: impl IntoIterator<Item = Account>, zone: Tz) -> Self {
        let by_name = |account: Account| (account.name.to_string(), account);
        Self { accounts: accounts.into_iter().map(by_name).collect(), zone }
    }

    /// The integration of this name.
    ///
    /// # Errors
    /// There is none; the message names those there are.
    pub fn account(&self, name: &str) -> Result<&Account, Fault> {
        self.accounts.get(name).ok_or_else(|| {
            let known = self.accounts.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let plain = IntegrationName::parse(name).is_ok() && guid_bytes(name).is_none();
            let named = if plain { format!("{name} is not") } else { "this is not".into() };
            fault("integration", format!("{named} an integration in the configuration; there are: {known}"))
        })
    }

    /// The day it is at `now`, by the clocks the files go by.
    pub(super) fn today(&self, now: Timestamp) -> NaiveDate {
        now.with_timezone(&self.zone).date_naive()
    }

    /// What `order`, taken in at `now`, says should be paid.
    ///
    /// # Errors
    /// It cannot be meant so; the fault says which field to mend, and how.
    pub fn read(&self, order: &Order<'_>, now: Timestamp) -> Result<Expectation, Fault> {
        let account = self.account(order.integration)?;
        if !account.names_orders {
            let reason = "a custom button's notifications carry no reference of yours, so no payment of it can be told \
                          to be for an order";
            return Err(fault("integration", reason));
        }
        let today = self.today(now);
        let instant = |field, text: Option<&str>, day_means| match text {
            None => Ok(None),
            Some(text) if text.trim().is_empty() => Err(fault(field, "is empty")),
            Some(text) => {
                civil::read(text, self.zone, day_means, today).map(Some).map_err(|reason| fault(field, reason))
            }
        };
        Ok(Expectation {
            integration: account.name.clone(),
            reference: Reference::parse(order.reference).map_err(|error| fault("reference", error))?,
            amount: amount(order.amount)?,
            currency: order.currency.parse().map_err(|error| fault("currency", error))?,
            mode: account.mode,
            created: instant("created", order.created, DayMeans::Begin)?.unwrap_or(now),
            due: instant("due", order.due, DayMeans::End)?,
            poll_url: order.poll_url.map(|url| poll_url(account, url)).transpose()?,
            trace: order.merchanttrace.map(|text| trace(account, text)).transpose()?,
        })
    }
}

fn poll_url(account: &Account, text: &str) -> Result<PollUrl, Fault> {
    let reason = "is not a poll URL of this integration's gateway: it must be \
                  {gateway}/Interface/CheckPayment/?guid=… as Paynow answered it, and only Paynow Zimbabwe has such";
    (account.poll_url)(text).ok_or_else(|| fault("poll_url", reason))
}

fn trace(account: &Account, text: &str) -> Result<MerchantTrace, Fault> {
    if !account.traces {
        return Err(fault("merchanttrace", "is of no use: this integration's gateway finds no payment by it"));
    }
    MerchantTrace::parse(text).map_err(|error| fault("merchanttrace", error))
}

fn amount(text: &str) -> Result<Amount, Fault> {
    let reason = match text.parse::<Amount>() {
        Ok(Amount::ZERO) => "must be more than nothing",
        Ok(amount) => return Ok(amount),
        Err(_) if text.is_empty() => "is empty",
        Err(_) if text.starts_with('-') => "must not be negative; write it like 25.00",
        Err(_) if text.chars().any(|c| c.is_alphabetic() || "$€£¥".contains(c)) => {
            "must be the number alone, like 25.00; the currency has its own place"
        }
        Err(_) if text.contains([',', ' ', '\'', '\u{a0}']) => {
            "must have a point before its decimals and no thousands separators: 1204.50, not 1,204.50"
        }
        Err(_) => "must be up to 12 digits, optionally a point and 1 to 4 decimals, like 25.00",
    };
    Err(fault("amount", reason))
}

fn fault(field: &'static str, reason: impl fmt::Display) -> Fault {
    Fault { field, reason: reason.to_string() }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    const GUID: &str = "06f656ab-ed60-4a03-8373-a3321b4b3e68";

    pub(in crate::books) fn now() -> Timestamp {
        "2026-03-12T12:00:00Z".parse().unwrap()
    }

    pub(in crate::books) fn desk() -> OrderDesk {
        let account = |name: &str, mode, names_orders| Account {
            name: IntegrationName::parse(name).unwrap(),
            mode,
            names_orders,
            poll_url: Arc::new(|text| PollUrl::parse(text, &"https://www.paynow.co.zw".parse().unwrap()).ok()),
            traces: true,
        };
        OrderDesk::new([account("shop", Mode::Live, true), account("button", Mode::Test, false)], Tz::Africa__Harare)
    }

    fn order() -> Order<'static> {
        Order { integration: "shop", reference: "INV-1042", amount: "25.00", currency: "usd", ..Order::default() }
    }

    fn refused(order: &Order<'_>) -> Fault {
        desk().read(order, now()).unwrap_err()
    }

    #[test]
    fn an_order_is_read_with_the_mode_of_its_integration() {
        let url = format!("https://www.paynow.co.zw/Interface/CheckPayment/?guid={GUID}");
        let order = Order {
            created: Some("2026-03-12 14:05"),
            due: Some("2026-03-20"),
            poll_url: Some(&url),
            merchanttrace: Some("T-1"),
            ..order()
        };
        let read = desk().read(&order, now()).unwrap();
        assert_eq!((read.amount.to_string().as_str(), read.currency.code(), read.mode), ("25.00", "USD", Mode::Live));
        assert_eq!(read.created.to_rfc3339(), "2026-03-12T12:05:00+00:00");
        assert_eq!(read.due.unwrap().to_rfc3339(), "2026-03-20T22:00:00+00:00");
        assert_eq!(read.poll_url.unwrap().key().as_str(), GUID);
        assert_eq!(read.trace.unwrap().as_str(), "T-1");
    }

    #[test]
    fn an_amount_that_is_none_is_told_what_is_wrong_with_it() {
        for (text, hint) in [
            ("1,204.50", "thousands separators"),
            ("25,00", "a point"),
            ("USD 25", "number alone"),
            ("$25", "number alone"),
            ("-25", "negative"),
            ("", "empty"),
            ("0.00", "more than nothing"),
            ("1.23456", "1 to 4 decimals"),
        ] {
            let fault = refused(&Order { amount: text, ..order() });
            assert!(fault.field == "amount" && fault.reason.contains(hint), "{text}: {fault}");
        }
    }

    #[test]
    fn an_empty_time_is_called_empty() {
        for order in [Order { created: Some(" "), ..order() }, Order { due: Some(""), ..order() }] {
            assert_eq!(refused(&order).reason, "is empty");
        }
    }

    #[test]
    fn an_unknown_integration_is_named_with_the_known_ones() {
        let fault = refused(&Order { integration: "shp", ..order() });
        assert!(fault.to_string().contains("shp is not") && fault.reason.ends_with("button, shop"), "{fault}");
        let fault = refused(&Order { integration: GUID, ..order() });
        assert!(!fault.to_string().contains(GUID), "a poll URL's GUID is a secret: {fault}");
    }

    #[test]
    fn nothing_is_expected_of_a_custom_button() {
        let fault = refused(&Order { integration: "button", ..order() });
        assert!(fault.reason.contains("no reference of yours"), "{fault}");
    }

    #[test]
    fn a_poll_url_that_leads_elsewhere_is_refused_and_not_repeated() {
        let url = format!("https://evil.example/Interface/CheckPayment/?guid={GUID}");
        let fault = refused(&Order { poll_url: Some(&url), ..order() });
        assert_eq!(fault.field, "poll_url");
        assert!(!fault.to_string().contains("evil") && !fault.to_string().contains(GUID));
    }

    proptest! {
        #[test]
        fn reading_never_panics(a in any::<String>(), b in any::<String>(), c in any::<String>()) {
            let texts = [a.as_str(), &b, &c];
            for at in 0..3 {
                let pick = |offset: usize| texts[(at + offset) % 3];
                let order = Order { reference: pick(0), amount: pick(1), currency: pick(2), created: Some(pick(0)),
                    due: Some(pick(1)), poll_url: Some(pick(2)), merchanttrace: Some(pick(0)), integration: "shop" };
                let _ = desk().read(&order, now());
            }
        }
    }
}
