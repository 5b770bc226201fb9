//! One order of the merchant's books that no money has come for, as far as its own integration knows.

use super::Standing;
use crate::domain::{Class, Expectation, IntegrationName, Reference};

/// An order, and what became of looking for its money.
#[derive(Clone, Debug)]
pub struct Order {
    /// What the books expect.
    pub expectation: Expectation,
    /// Whether its integration knows any payment for it, paid or not.
    pub has_payment: bool,
    /// Whether the gateway, asked by trace, last said that it knows no such order.
    pub not_found: bool,
    /// The integration of the other mode where money came under the same reference, if none came here.
    pub paid_elsewhere: Option<IntegrationName>,
    /// The order whose payment its poll URL or trace leads to by the gateway's word, if that is another and no money
    /// came for this one.
    pub leads_to: Option<Reference>,
}

impl Order {
    pub(super) fn compare(&self) -> Vec<Standing> {
        let missing = self.of_another().or_else(|| {
            let found = "the gateway knows no such order";
            (self.not_found && !self.has_payment)
                .then(|| Standing::new(Class::MissingAtGateway, "an order that the gateway knows", found))
        });
        let test_money = self.paid_elsewhere.as_ref().map(|integration| {
            let mode = self.expectation.mode;
            let found = format!("{} money, through {integration}", mode.other().code());
            Standing::new(Class::TestMoney, format!("{} money", mode.code()), found)
        });
        missing.into_iter().chain(test_money).collect()
    }

    /// What the books hold for the payment of this order is one of another.
    fn of_another(&self) -> Option<Standing> {
        let other = self.leads_to.as_ref()?;
        let by = if self.expectation.poll_url.is_some() { "poll URL" } else { "trace" };
        let expected = format!("a payment for {} behind its {by}", self.expectation.reference);
        let found = format!("the gateway says that it is the payment for {other}");
        Some(Standing::new(Class::MissingAtGateway, expected, found))
    }
}
