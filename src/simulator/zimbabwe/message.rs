//! What Paynow writes, and what somebody who is not Paynow might: every field, order, key and cut can be chosen.

use crate::protocol::Key;
use crate::protocol::zimbabwe::{Fields, Rule, hash};
use crate::simulator::Signature;

/// The fields Paynow adds for merchants who have them enabled, as seen in real messages.
const EXTRAS: [(&str, &str); 7] = [
    ("paymentchannel", "EcoCash"),
    ("paymentinstrument", "077*****11"),
    ("paymentinstrumentname", ""),
    ("paymentchannelreference", "MP221108.1519.A12345"),
    ("merchantfees", "0.5400"),
    ("customerfees", "0.0000"),
    ("paymentchannelcompleted", "08-Nov-2022 15:19:03"),
];

/// A shift of the boundary between two neighbouring fields. The hash, which is over the values alone, still
/// verifies; the message says something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recut {
    /// The last digit of the Paynow reference goes before the amount: `35216224`, `1.00` become `3521622`, `41.00`.
    GatewayReferenceToAmount,
    /// The last character of the reference goes before the Paynow reference: `INV-32`, `35216224` become `INV-3`,
    /// `235216224`.
    ReferenceToGatewayReference,
    /// The first digit of the Paynow reference goes behind the reference: `INV-32`, `35216224` become `INV-323`,
    /// `5216224`.
    GatewayReferenceToReference,
}

impl Recut {
    /// The same characters, cut elsewhere.
    pub(super) fn apply(self, fields: &Fields) -> Fields {
        let (left, right, forward) = match self {
            Self::GatewayReferenceToAmount => ("paynowreference", "amount", true),
            Self::ReferenceToGatewayReference => ("reference", "paynowreference", true),
            Self::GatewayReferenceToReference => ("reference", "paynowreference", false),
        };
        let (mut before, mut after) = match (fields.value(left), fields.value(right)) {
            (Some(before), Some(after)) => (before.to_owned(), after.to_owned()),
            _ => return fields.clone(),
        };
        if forward {
            after.insert_str(0, &before.pop().map(String::from).unwrap_or_default());
        } else if let Some(first) = after.chars().next() {
            after.remove(0);
            before.push(first);
        }
        Fields::from_pairs(fields.iter().map(|(name, value)| match name {
            name if name == left => (name, before.as_str()),
            name if name == right => (name, after.as_str()),
            name => (name, value),
        }))
    }
}

/// A post to be made: begins as a genuine status update and can be spoilt in every respect.
#[derive(Clone, Debug)]
pub struct PostSpec {
    status: String,
    changes: Vec<(String, String)>,
    omitted: Vec<String>,
    order: Vec<String>,
    signature: Signature,
    hash_name: String,
    recut: Option<Recut>,
    verbatim: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) url: Option<String>,
}

impl PostSpec {
    /// A genuine status update with this status word.
    pub fn status(word: &str) -> Self {
        Self {
            status: word.to_owned(),
            changes: Vec::new(),
            omitted: Vec::new(),
            order: Vec::new(),
            signature: Signature::Genuine,
            hash_name: "hash".to_owned(),
            recut: None,
            verbatim: None,
            headers: Vec::new(),
            url: None,
        }
    }

    /// With this field: a base field is replaced, any other is added after them. It is signed like the rest.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.changes.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With the fields that Paynow adds for merchants who have them enabled.
    #[must_use]
    pub fn extras(self) -> Self {
        EXTRAS.into_iter().fold(self, |spec, (name, value)| spec.field(name, value))
    }

    /// Without this field.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.omitted.push(name.to_owned());
        self
    }

    /// With these fields first, in this order; the others follow in theirs.
    #[must_use]
    pub fn order(mut self, names: &[&str]) -> Self {
        self.order = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// Signed otherwise.
    #[must_use]
    pub fn signed(mut self, signature: Signature) -> Self {
        self.signature = signature;
        self
    }

    /// With the hash field called so: its letter case varies in life.
    #[must_use]
    pub fn hash_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.hash_name);
        self
    }

    /// Re-cut after signing. With fields reordered so that the two are no neighbours, the hash breaks.
    #[must_use]
    pub const fn recut(mut self, recut: Recut) -> Self {
        self.recut = Some(recut);
        self
    }

    /// With exactly this body, whatever else was said.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.verbatim = Some(body.into());
        self
    }

    /// With this header; `content-type` replaces the usual one.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// To this URL instead of the payment's result URL. It must be on this machine.
    #[must_use]
    pub fn to(mut self, url: &str) -> Self {
        self.url = Some(url.to_owned());
        self
    }

    /// The body, made from the payment's base fields in the order of real messages; `base` is given its status.
    pub(super) fn write(&self, base: impl FnOnce(&str) -> Vec<(String, String)>, key: &Key) -> Vec<u8> {
        if let Some(body) = &self.verbatim {
            return body.clone();
        }
        let mut fields = base(&self.status);
        for (name, value) in &self.changes {
            match fields.iter_mut().find(|(known, _)| known == name) {
                Some(field) => field.1.clone_from(value),
                None => fields.push((name.clone(), value.clone())),
            }
        }
        fields.retain(|(name, _)| !self.omitted.contains(name));
        fields.sort_by_key(|(name, _)| self.order.iter().position(|first| first == name).unwrap_or(usize::MAX));
        let signed = sign(Fields::from_pairs(fields), &self.hash_name, Rule::Values, &self.signature, key);
        self.recut.map_or_else(|| signed.encode(), |recut| recut.apply(&signed).encode()).into_bytes()
    }
}

/// A custom-button sale, to be told once. Begins as somebody's purchase for 25.00.
#[derive(Clone, Debug)]
pub struct ButtonSale {
    /// `Paynow_Reference`.
    pub reference: String,
    /// `Customer_Name`.
    pub name: String,
    /// `Customer_Email`.
    pub email: String,
    /// `Customer_Phone`.
    pub phone: String,
    /// `Transaction_Amount`.
    pub amount: String,
    /// `Amount_Paid`: more than the amount where the customer carries the fees.
    pub paid: String,
    /// The template's own fields, their blanks already `_`.
    pub extras: Vec<(String, String)>,
    /// How it is signed.
    pub signature: Signature,
}

impl Default for ButtonSale {
    fn default() -> Self {
        Self {
            reference: "1082".into(),
            name: "Tendai Moyo".into(),
            email: "tendai@example.com".into(),
            phone: "0771111111".into(),
            amount: "25.00".into(),
            paid: "25.00".into(),
            extras: Vec::new(),
            signature: Signature::Genuine,
        }
    }
}

impl ButtonSale {
    /// The body of the notification.
    pub(super) fn write(&self, key: &Key) -> String {
        let mut fields = Fields::from_pairs([
            ("Paynow_Reference", &self.reference),
            ("Customer_Name", &self.name),
            ("Customer_Email", &self.email),
            ("Customer_Phone", &self.phone),
            ("Transaction_Amount", &self.amount),
            ("Amount_Paid", &self.paid),
        ]);
        for (name, value) in &self.extras {
            fields.push(name, value);
        }
        sign(fields, "Hash", Rule::NamesAndValues, &self.signature, key).encode()
    }
}

/// The fields with their hash, or with what stands in its place.
pub(super) fn sign(mut fields: Fields, name: &str, rule: Rule, signature: &Signature, key: &Key) -> Fields {
    match signature {
        Signature::Genuine => hash::sign(fields, name, rule, key),
        Signature::Wrong => hash::sign(fields, name, rule, &Key::opaque("00000000-0000-4000-8000-000000000000")),
        Signature::With(other) => hash::sign(fields, name, rule, other),
        Signature::Text(text) => {
            fields.push(name, text);
            fields
        }
        Signature::Missing => fields,
    }
}
