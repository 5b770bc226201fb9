//! Paid twice: two paid payments under one word of the merchant's. The rule, for any gateway; the ledger knows the
//! payments.

use super::{Class, Finding, Payment};

impl Payment {
    /// Whether this payment counts as the merchant's money when payments for one order are counted: paid, and not
    /// merely claimed. A claim that nobody has proven has a finding of its own.
    pub fn stands_paid(&self) -> bool {
        self.status.is_paid() && !self.is_unproven()
    }

    /// What it means that this payment stands paid while `others` do under the same reference of the same integration.
    /// References need not be unique, but an order that is paid twice is somebody's money.
    pub fn paid_twice(&self, others: &[Self]) -> Option<Finding> {
        let reference = self.facts.reference.as_ref().filter(|_| self.stands_paid())?;
        let same = |other: &&Self| {
            other.key != self.key
                && other.integration == self.integration
                && other.mode == self.mode
                && other.facts.reference.as_ref() == Some(reference)
                && other.stands_paid()
        };
        let names: Vec<String> = others.iter().filter(same).map(Self::number).collect();
        (!names.is_empty()).then(|| Finding {
            class: Class::DuplicatePayment,
            expected: format!("one paid payment for {reference}"),
            found: format!("{} is paid, and so is {}", self.number(), names.join(", ")),
        })
    }

    /// What the gateway's dashboard calls the payment. The GUID of a poll URL is as good as the URL and stays here.
    fn number(&self) -> String {
        match &self.facts.gateway_reference {
            Some(number) => number.to_string(),
            None if self.key.guid().is_none() => self.key.to_string(),
            None => "one without a number".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Facts, GatewayKey, GatewayReference, IntegrationName, Mode, Reference, Status, Timestamp, Trust,
    };

    fn paid(key: &str, reference: Option<&str>) -> Payment {
        Payment {
            integration: IntegrationName::parse("sklep").unwrap(),
            key: GatewayKey::parse(key).unwrap(),
            facts: Facts { reference: reference.map(|text| Reference::parse(text).unwrap()), ..Facts::default() },
            currency: "PLN".parse().unwrap(),
            mode: Mode::Live,
            status: Status::Paid,
            wire_status: None,
            trust: Trust::Confirmed,
            poll_url: None,
            posted: crate::domain::Posted::Current,
            paid_at: None,
            first_seen: Timestamp::UNIX_EPOCH,
            last_changed: Timestamp::UNIX_EPOCH,
        }
    }

    fn second() -> Payment {
        paid("BBBB-BBB-BBB-BBB", Some("A-1"))
    }

    #[test]
    fn two_paid_payments_under_one_reference_are_a_finding_that_names_both() {
        let finding = paid("AAAA-AAA-AAA-AAA", Some("A-1")).paid_twice(&[second()]).unwrap();
        assert_eq!(finding.class, Class::DuplicatePayment);
        assert_eq!(finding.expected, "one paid payment for A-1");
        assert_eq!(finding.found, "AAAA-AAA-AAA-AAA is paid, and so is BBBB-BBB-BBB-BBB");
    }

    #[test]
    fn one_that_is_unpaid_unproven_elsewhere_a_test_or_the_same_is_none() {
        let one = paid("AAAA-AAA-AAA-AAA", Some("A-1"));
        let others = [
            one.clone(),
            Payment { status: Status::Abandoned, ..second() },
            Payment { trust: Trust::Reported, ..second() },
            Payment { integration: IntegrationName::parse("other").unwrap(), ..second() },
            Payment { mode: Mode::Test, ..second() },
            paid("BBBB-BBB-BBB-BBB", Some("A-2")),
            paid("BBBB-BBB-BBB-BBB", None),
        ];
        for other in others {
            assert_eq!(one.paid_twice(std::slice::from_ref(&other)), None, "{other:?}");
        }
        assert_eq!(Payment { status: Status::Refunded, ..one.clone() }.paid_twice(&[second()]), None);
        assert_eq!(Payment { trust: Trust::Reported, ..one }.paid_twice(&[second()]), None);
        assert_eq!(paid("AAAA-AAA-AAA-AAA", None).paid_twice(&[second()]), None);
    }

    #[test]
    fn a_poll_urls_guid_is_not_repeated() {
        let guid = "06f656ab-ed60-4a03-8373-a3321b4b3e68";
        let unnumbered = paid(guid, Some("A-1"));
        assert!(!second().paid_twice(std::slice::from_ref(&unnumbered)).unwrap().found.contains("06f6"));
        let facts = Facts { gateway_reference: Some(GatewayReference::parse("35216224").unwrap()), ..unnumbered.facts };
        let numbered = Payment { facts, ..unnumbered };
        assert!(second().paid_twice(&[numbered]).unwrap().found.ends_with("so is 35216224"));
    }
}
