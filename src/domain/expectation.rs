//! What the merchant's own order book says should be paid.

use super::{Amount, Currency, IntegrationName, MerchantTrace, Mode, PollUrl, Reference, Timestamp};

/// One order that somebody is expected to pay. There is one for each integration and reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// Through which integration.
    pub integration: IntegrationName,
    /// The merchant's word for the order.
    pub reference: Reference,
    /// What it costs, before any fees that the customer carries.
    pub amount: Amount,
    /// What that is counted in. Not always the integration's currency: that is a finding.
    pub currency: Currency,
    /// Whether real money is expected: the integration's mode when the order was taken.
    pub mode: Mode,
    /// When the order was taken.
    pub created: Timestamp,
    /// By when it should be paid.
    pub due: Option<Timestamp>,
    /// Where the gateway can be asked about the payment, where the shop has begun one and kept it.
    pub poll_url: Option<PollUrl>,
    /// The merchant's trace, by which the gateway finds the payment if there is no poll URL.
    pub trace: Option<MerchantTrace>,
}

impl Expectation {
    /// Whether both expect the same money for the same order: then the later one is no news.
    pub fn agrees_with(&self, other: &Self) -> bool {
        (&self.integration, &self.reference, self.amount, self.currency)
            == (&other.integration, &other.reference, other.amount, other.currency)
    }
}
