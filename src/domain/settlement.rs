//! What a bank or the gateway's portal says was paid out.

use chrono::NaiveDate;

use super::{Amount, Currency, IntegrationName};

/// One line of a settlement file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The integration whose money it is.
    pub integration: IntegrationName,
    /// What tells this line from all others of the integration: the same in every file that has it.
    pub line: String,
    /// The civil day it was paid out.
    pub day: NaiveDate,
    /// The merchant's or the gateway's reference, as the file has it.
    pub reference: String,
    /// What its amounts are counted in.
    pub currency: Currency,
    /// What the customer paid.
    pub gross: Option<Amount>,
    /// What was kept of it.
    pub fee: Option<Amount>,
    /// What was paid out.
    pub net: Option<Amount>,
}

impl Settlement {
    /// The same with whatever of gross, fee and net follows from the other two.
    #[must_use]
    pub fn completed(self) -> Self {
        let gross = self.gross.or_else(|| self.net?.checked_add(self.fee?));
        let fee = self.fee.or_else(|| gross?.checked_sub(self.net?));
        let net = self.net.or_else(|| gross?.checked_sub(fee?));
        Self { gross, fee, net, ..self }
    }
}
