//! Those who play the month: customers, the shop, its books, its bank, strangers. They remember what they did, so that
//! the letters can be counted again without asking the ledger.

use std::sync::Arc;

use chrono::{Datelike as _, NaiveDate, Weekday};
use paynowd::domain::{Amount, Class, Expectation, IntegrationName, MerchantTrace, PollUrl, Reference, Settlement};
use paynowd::ledger::{Booking, DiscrepancyFilter, Expected, OnConflict, Resolution, Resolved, Settled};
use paynowd::simulator::{PostSpec, Recut, Signature};

use super::story::{Act, NOBODYS_LINE, PaidOut, paid_out};
use super::town::{GOLD, SANDBOX, SHOP, Town};

/// A payment as those know it who made it.
struct Payment {
    shop: &'static str,
    order: String,
    guid: String,
    amount: Amount,
    /// Where it stands.
    word: &'static str,
    /// When the money came.
    came: Option<u32>,
    /// When it was last said to be paid, and the money free.
    free: u32,
    /// Whether nobody could be asked about it since.
    claimed: bool,
    settled: bool,
}

/// Everybody.
pub struct Players<'a> {
    town: &'a Town,
    payments: Vec<Payment>,
    /// Whether the gateway answers nothing.
    pub dark: bool,
}

pub fn date(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2025, 3, 1).unwrap() + chrono::Days::new(u64::from(day) - 1)
}

impl<'a> Players<'a> {
    pub const fn new(town: &'a Town) -> Self {
        Self { town, payments: Vec::new(), dark: false }
    }

    pub async fn play(&mut self, day: u32, shop: &'static str, order: &str, act: Act) {
        match act {
            Act::Orders { expected, begun } => {
                let begun = self.begin(shop, order, begun);
                self.expect(shop, order, expected, PollUrl::stored(&begun), None, OnConflict::Keep).await;
            }
            Act::OrdersWithTrace { begun } => {
                if begun {
                    self.begin_traced(shop, order).await;
                }
                let trace = MerchantTrace::parse(&trace(order)).unwrap();
                self.expect(shop, order, "USD 25.00", None, Some(trace), OnConflict::Keep).await;
            }
            Act::StartsTraced => self.begin_traced(shop, order).await,
            Act::Begins(amount) => {
                self.begin(shop, order, amount);
            }
            Act::BooksSay(money) => self.expect(shop, order, money, None, None, OnConflict::Keep).await,
            Act::BooksSayNow(money) => self.expect(shop, order, money, None, None, OnConflict::Replace).await,
            Act::Moves(word) => {
                let guid = self.moves(day, shop, order, word);
                self.update(shop, &guid, word).await;
            }
            Act::LosesPost(word) => {
                self.moves(day, shop, order, word);
            }
            Act::CallsBack => {
                let payment = self.payment(shop, order);
                let (guid, word) = (payment.guid.clone(), payment.word);
                self.update(shop, &guid, word).await;
            }
            Act::ComesLate(word) => {
                let guid = self.payment(shop, order).guid.clone();
                self.update(shop, &guid, word).await;
            }
            Act::GatewayAnswers(word) => {
                let guid = self.payment(shop, order).guid.clone();
                self.town.gateway(shop).set_status(&guid, word).unwrap();
            }
            Act::PostsRecut => {
                let spec = PostSpec::status("Paid").recut(Recut::GatewayReferenceToAmount);
                self.spoilt(shop, order, &spec).await;
            }
            Act::PostsForgery => {
                self.spoilt(shop, order, &PostSpec::status("Paid").signed(Signature::Wrong)).await;
            }
            Act::Resolves(class) => self.resolve(order, class).await,
        }
    }

    fn begin(&mut self, shop: &'static str, order: &str, amount: &str) -> String {
        let begun = self.town.gateway(shop).initiate(order, amount, None);
        self.remember(shop, order, begun.guid, amount);
        begun.poll_url
    }

    async fn begin_traced(&mut self, shop: &'static str, order: &str) {
        let guid = self.town.begin_traced(shop, order, "25.00", &trace(order)).await;
        self.remember(shop, order, guid, "25.00");
    }

    fn remember(&mut self, shop: &'static str, order: &str, guid: String, amount: &str) {
        self.payments.push(Payment {
            shop,
            order: order.to_owned(),
            guid,
            amount: amount.parse().unwrap(),
            word: "Created",
            came: None,
            free: 0,
            claimed: false,
            settled: false,
        });
    }

    /// The payment of this order that was begun last.
    fn payment(&mut self, shop: &str, order: &str) -> &mut Payment {
        let mut begun = self.payments.iter_mut().rev();
        begun.find(|it| (it.shop, it.order.as_str()) == (shop, order)).unwrap_or_else(|| panic!("nobody began {order}"))
    }

    fn moves(&mut self, day: u32, shop: &str, order: &str, word: &'static str) -> String {
        let dark = self.dark && shop == SHOP;
        let payment = self.payment(shop, order);
        payment.word = word;
        payment.claimed = dark;
        if matches!(word, "Paid" | "Awaiting Delivery") {
            payment.came.get_or_insert(day);
        }
        if word == "Paid" {
            payment.free = day;
        }
        let guid = payment.guid.clone();
        self.town.gateway(shop).set_status(&guid, word).unwrap();
        guid
    }

    async fn update(&self, shop: &str, guid: &str, word: &str) {
        let body = self.town.gateway(shop).status_update_body(guid, word).unwrap();
        self.town.post(shop, body.into_bytes()).await;
    }

    async fn spoilt(&mut self, shop: &str, order: &str, spec: &PostSpec) {
        let guid = self.payment(shop, order).guid.clone();
        let body = self.town.gateway(shop).body(&guid, spec).unwrap();
        self.town.post(shop, body).await;
    }

    async fn expect(
        &self,
        shop: &str,
        order: &str,
        money: &str,
        poll_url: Option<PollUrl>,
        trace: Option<MerchantTrace>,
        on_conflict: OnConflict,
    ) {
        let (currency, amount) = money.split_once(' ').unwrap();
        let terms = Arc::clone(&self.town.integration(shop).terms);
        let expectation = Expectation {
            integration: IntegrationName::parse(shop).unwrap(),
            reference: Reference::parse(order).unwrap(),
            amount: amount.parse().unwrap(),
            currency: currency.parse().unwrap(),
            mode: terms.mode,
            created: self.town.clock.now(),
            due: None,
            poll_url,
            trace,
        };
        let booking = Booking::new(expectation, terms, on_conflict);
        let expected = self.town.ledger.expect(booking, self.town.clock.now()).await.unwrap();
        let wanted = if on_conflict == OnConflict::Replace { Expected::Replaced } else { Expected::New };
        assert_eq!(expected, wanted, "{order}");
    }

    /// The owner has looked into it: whatever of this class is open about the order.
    async fn resolve(&self, order: &str, class: Class) {
        let filter = DiscrepancyFilter { class: Some(class), ..DiscrepancyFilter::default() };
        let mut open = Vec::new();
        let each = |it: paynowd::ledger::Discrepancy| {
            open.extend(it.reference.is_some_and(|about| about.as_str() == order).then_some(it.id));
            true
        };
        self.town.ledger.reader().discrepancies(&filter, each).unwrap();
        assert!(!open.is_empty(), "nothing of {} to resolve about {order}", class.code());
        for discrepancy in open {
            let (actor, reason) = ("tendai".to_owned(), "settled with the customer".to_owned());
            let resolution = Resolution { discrepancy, actor, reason, at: self.town.clock.now() };
            assert!(matches!(self.town.ledger.resolve(resolution).await.unwrap(), Resolved::Now(_)));
        }
    }

    /// The settlement file of this morning: what was free the working day before its day, up to yesterday.
    pub async fn settle(&mut self, today: u32) {
        let integration = IntegrationName::parse(SHOP).unwrap();
        let line = |day: u32, reference: &str, gross: Amount, of: &str| Settlement {
            integration: integration.clone(),
            line: of.to_owned(),
            day: date(day),
            reference: reference.to_owned(),
            currency: "USD".parse().unwrap(),
            gross: Some(gross),
            fee: None,
            net: None,
        };
        let mut lines = Vec::new();
        for payment in self.payments.iter_mut().filter(|it| it.shop == SHOP && it.word == "Paid" && !it.settled) {
            let next = payment.free + 1;
            let next = if date(next).weekday() == Weekday::Sun { next + 1 } else { next };
            let (day, gross) = match paid_out(&payment.order) {
                PaidOut::InTime => (next, payment.amount),
                PaidOut::On(day) => (day, payment.amount),
                PaidOut::Short(gross) => (next, gross.parse().unwrap()),
                PaidOut::Never => continue,
            };
            if day < today {
                payment.settled = true;
                lines.push(line(day, &payment.order, gross, &payment.guid));
            }
        }
        let (file, day, order, amount) = NOBODYS_LINE;
        if file == today {
            lines.push(line(day, order, amount.parse().unwrap(), order));
        }
        let (now, zone) = (self.town.clock.now(), chrono_tz::Africa::Harare);
        assert!(self.town.ledger.settle(lines, now).await.unwrap().into_iter().all(|line| line == Settled::New));
        self.town.ledger.match_settlements(zone).await.unwrap();
    }

    /// The gateway can be asked again.
    pub fn light(&mut self) {
        self.dark = false;
        self.payments.iter_mut().for_each(|payment| payment.claimed = false);
    }

    /// What the subject of the letter about `day` says was paid.
    pub fn paid_on(&self, day: u32) -> String {
        let stands = |it: &&Payment| {
            it.shop != SANDBOX
                && it.came == Some(day)
                && !it.claimed
                && matches!(it.word, "Paid" | "Awaiting Delivery" | "Delivered")
        };
        let paid: Vec<&Payment> = self.payments.iter().filter(stands).collect();
        let mut said = vec![format!("{} paid", paid.len())];
        for (shop, label) in [(SHOP, "USD"), (GOLD, "ZiG")] {
            let sums: Vec<i64> =
                paid.iter().filter(|it| it.shop == shop).map(|it| it.amount.ten_thousandths() / 100).collect();
            let cents: i64 = sums.iter().sum();
            if !sums.is_empty() {
                said.push(format!("{label} {}.{:02}", thousands(cents / 100), cents % 100));
            }
        }
        said.join(", ")
    }
}

fn trace(order: &str) -> String {
    format!("T-{order}")
}

/// A number below a million as people write it.
fn thousands(whole: i64) -> String {
    if whole < 1_000 { whole.to_string() } else { format!("{},{:03}", whole / 1_000, whole % 1_000) }
}
