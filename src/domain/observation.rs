//! Who said what of which payment, when, by which channel, and with which evidence.

use super::{
    Amount, GatewayKey, GatewayReference, IntegrationName, Method, PollUrl, Reference, SaidAt, Status, Timestamp,
    WireStatus,
};

/// How a fact reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// The gateway posted a status update or a notification.
    Post,
    /// The gateway posted a custom-button notification, which nobody can be asked about.
    Button,
    /// We asked about this payment and the gateway answered.
    Poll,
    /// We asked about an order by the merchant's trace, and the gateway answered with this payment.
    Trace,
    /// The merchant's own shop says that it has begun this payment. It can say no more than that.
    Import,
}

/// What proves that the gateway said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A SHA-512 over the values and the integration key.
    Sha512,
    /// An HMAC-SHA-256 over the raw body.
    HmacSha256,
    /// Only that the server holds the gateway's certificate.
    Tls,
    /// Nothing: the word of whoever may write to the ledger.
    None,
}

/// How far a payment's state may be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// An authentic message says so; names and boundaries of its fields are not proven.
    Reported,
    /// The gateway, asked by us, agrees on every base field.
    Confirmed,
    /// An authentic message says so and the gateway offers no way to ask.
    Unconfirmable,
}

/// Stored codes: words, so that a person reading the ledger needs no key.
macro_rules! codes {
    ($type:ident { $($variant:ident = $code:literal),+ $(,)? }) => {
        impl $type {
            /// The stable code used in the ledger and in `--json`.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            /// The value of a stored code.
            pub fn from_code(code: &str) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}
pub(crate) use codes;

codes!(Channel { Post = "post", Button = "button", Poll = "poll", Trace = "trace", Import = "import" });
codes!(Evidence { Sha512 = "sha512", HmacSha256 = "hmac-sha256", Tls = "tls", None = "none" });
codes!(Trust { Reported = "reported", Confirmed = "confirmed", Unconfirmable = "unconfirmable" });

impl Trust {
    /// Every degree of it.
    pub const ALL: [Self; 3] = [Self::Reported, Self::Confirmed, Self::Unconfirmable];
}

impl Channel {
    /// What an observation by this channel is worth.
    pub const fn trust(self) -> Trust {
        match self {
            Self::Post | Self::Import => Trust::Reported,
            Self::Button => Trust::Unconfirmable,
            Self::Poll | Self::Trace => Trust::Confirmed,
        }
    }

    /// Whether the gateway came to us with it, rather than we to the gateway.
    pub const fn is_post(self) -> bool {
        matches!(self, Self::Post | Self::Button)
    }
}

/// The base fields of a payment. `None` means "this message does not say".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The merchant's word for the order.
    pub reference: Option<Reference>,
    /// The gateway's number for the transaction.
    pub gateway_reference: Option<GatewayReference>,
    /// What the order costs.
    pub amount: Option<Amount>,
    /// What the customer paid, where it is told apart (custom buttons: fees may be on top).
    pub amount_paid: Option<Amount>,
    /// By which means the customer paid, where the gateway tells. No base field: nothing hangs on two messages
    /// agreeing.
    pub method: Option<Method>,
}

/// One base field on which two messages disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The field, by its name in `payments --json`.
    pub field: &'static str,
    /// What we held so far.
    pub known: String,
    /// What the message says.
    pub seen: String,
}

impl Facts {
    /// The fields that both sides state, differently. Blanks around a reference are no difference: the gateways'
    /// own implementations trim them or not.
    pub fn differences(&self, seen: &Self) -> Vec<Difference> {
        if self == seen {
            return Vec::new();
        }
        let both = self.fields().into_iter().zip(seen.fields());
        both.filter_map(|((field, known), (_, seen))| {
            let (known, seen) = (known?, seen?);
            (known != seen).then_some(Difference { field, known, seen })
        })
        .collect()
    }

    /// The fields that are stated, each in the words of a finding: `amount 25.00`.
    pub fn stated(&self) -> impl Iterator<Item = String> {
        self.fields().into_iter().filter_map(|(field, value)| Some(format!("{field} {}", value?)))
    }

    fn fields(&self) -> [(&'static str, Option<String>); 4] {
        fn text<T: ToString>(value: Option<&T>) -> Option<String> {
            value.map(ToString::to_string)
        }
        [
            ("reference", self.reference.as_ref().map(|it| it.as_str().trim().to_owned())),
            ("gateway_reference", text(self.gateway_reference.as_ref())),
            ("amount", text(self.amount.as_ref())),
            ("amount_paid", text(self.amount_paid.as_ref())),
        ]
    }

    /// These facts, with everything `seen` states taken from it.
    #[must_use]
    pub fn updated_by(&self, seen: &Self) -> Self {
        Self {
            reference: seen.reference.clone().or_else(|| self.reference.clone()),
            gateway_reference: seen.gateway_reference.clone().or_else(|| self.gateway_reference.clone()),
            amount: seen.amount.or(self.amount),
            amount_paid: seen.amount_paid.or(self.amount_paid),
            method: seen.method.clone().or_else(|| self.method.clone()),
        }
    }
}

/// One authentic statement about one payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The integration whose key proved it.
    pub integration: IntegrationName,
    /// Which payment.
    pub key: GatewayKey,
    /// When we heard it.
    pub at: Timestamp,
    /// For an answer: when the question was asked. What was said in between may be newer than the answer.
    pub asked: Option<Timestamp>,
    /// How we heard it.
    pub channel: Channel,
    /// What proves it.
    pub evidence: Evidence,
    /// What was said of its state, in our words.
    pub status: Status,
    /// The same in the gateway's word; `None` where the message carries none (a button notification is a payment).
    pub wire_status: Option<WireStatus>,
    /// When that happened by the gateway's clock, where the message says so.
    pub said_at: Option<SaidAt>,
    /// The base fields it states.
    pub facts: Facts,
    /// Where the gateway can be asked about it, already pinned to the configured origin.
    pub poll_url: Option<PollUrl>,
    /// The message, byte for byte. May hold personal data: for the ledger only.
    pub body: Vec<u8>,
}

impl Observation {
    /// That there is this payment, and no more.
    pub fn of_existence(
        integration: IntegrationName,
        key: GatewayKey,
        at: Timestamp,
        (channel, evidence): (Channel, Evidence),
    ) -> Self {
        Self {
            integration,
            key,
            at,
            asked: None,
            channel,
            evidence,
            status: Status::Created,
            wire_status: None,
            said_at: None,
            facts: Facts::default(),
            poll_url: None,
            body: Vec::new(),
        }
    }
}
