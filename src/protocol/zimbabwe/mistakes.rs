//! The mistakes that are made with Paynow Zimbabwe's hash, each a deviation from the right way in one respect, and what
//! to tell the developer who made it. Collected from the gateway's documentation, its SDKs' issues and plugins' code.

use super::Rule;
use crate::protocol::doctor::Mistake;
use crate::protocol::gateway::excerpt;
use crate::protocol::keys::Spelling;

/// What of the form went into the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Covered {
    Values,
    NamesAndValues,
    /// Names, values, and the signs between them.
    Form,
}

impl Covered {
    /// The rule that covers so much.
    pub(super) const fn rule(self) -> &'static str {
        match self {
            Self::Values => "SHA-512 over the values and the key",
            Self::NamesAndValues => "SHA-512 over names, values and the key",
            Self::Form => "SHA-512 over the text of the form and the key",
        }
    }
}

/// How a value was read from the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Decoded,
    Undecoded,
    /// Escapes decoded, a plus left a plus.
    PlusKept,
    DecodedTwice,
    /// Decoded, then written in ISO 8859-1.
    Latin1,
}

/// In which order the fields were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Arrival,
    ByName,
    ByNameInAnyCase,
}

/// Which fields were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    AllButHash,
    /// The hash field, too; with its value, or before it had one.
    All {
        filled: bool,
    },
    /// Not the field at this place either.
    AllBut(usize),
}

/// Where the key was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Behind,
    Before,
    Nowhere,
}

/// What was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recipe {
    Sha512,
    Sha256,
    Sha1,
    Md5,
    HmacSha512,
    HmacSha256,
}

/// One complete way to compute a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) covered: Covered,
    pub(super) reading: Reading,
    pub(super) order: Order,
    pub(super) taken: Taken,
    pub(super) spelling: Spelling,
    pub(super) place: Place,
    pub(super) recipe: Recipe,
}

/// One respect in which a way is not the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deviation {
    Covered(Covered),
    Reading(Reading),
    Order(Order),
    Taken(Taken),
    Spelling(Spelling),
    Place(Place),
    Recipe(Recipe),
}

impl Way {
    /// The gateway's own, by this rule.
    pub(super) const fn right(rule: Rule) -> Self {
        Self {
            covered: match rule {
                Rule::Values => Covered::Values,
                Rule::NamesAndValues => Covered::NamesAndValues,
            },
            reading: Reading::Decoded,
            order: Order::Arrival,
            taken: Taken::AllButHash,
            spelling: Spelling::Agreed,
            place: Place::Behind,
            recipe: Recipe::Sha512,
        }
    }

    /// This way, but for one respect.
    pub(super) const fn but(self, deviation: Deviation) -> Self {
        match deviation {
            Deviation::Covered(covered) => Self { covered, ..self },
            Deviation::Reading(reading) => Self { reading, ..self },
            Deviation::Order(order) => Self { order, ..self },
            Deviation::Taken(taken) => Self { taken, ..self },
            Deviation::Spelling(spelling) => Self { spelling, ..self },
            Deviation::Place(place) => Self { place, ..self },
            Deviation::Recipe(recipe) => Self { recipe, ..self },
        }
    }
}

/// The deviations worth trying on any message by this rule, the most usual first; those about single fields apart.
pub(super) fn usual(rule: Rule) -> Vec<Deviation> {
    let right = Way::right(rule).covered;
    let covered = [Covered::Values, Covered::NamesAndValues, Covered::Form].into_iter().filter(|other| *other != right);
    let readings = [Reading::PlusKept, Reading::DecodedTwice, Reading::Undecoded, Reading::Latin1];
    let recipes = [Recipe::Sha256, Recipe::HmacSha512, Recipe::HmacSha256, Recipe::Sha1, Recipe::Md5];
    let taken = [Taken::All { filled: true }, Taken::All { filled: false }];
    covered
        .map(Deviation::Covered)
        .chain(Spelling::ODD.map(Deviation::Spelling))
        .chain(readings.map(Deviation::Reading))
        .chain([Order::ByName, Order::ByNameInAnyCase].map(Deviation::Order))
        .chain([Place::Nowhere, Place::Before].map(Deviation::Place))
        .chain(recipes.map(Deviation::Recipe))
        .chain(taken.map(Deviation::Taken))
        .collect()
}

impl Deviation {
    /// Whether both are about the same respect.
    pub(super) fn is_like(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    /// What to tell who did it. `name` gives the name of the field at a place.
    pub(super) fn mistake(self, name: impl Fn(usize) -> String) -> Mistake {
        let (code, what, cure) = match self {
            Self::Taken(Taken::AllBut(at)) => {
                return Mistake {
                    code: "field-not-hashed",
                    what: format!(
                        "the field {:?} is in the message but not in the hash: left out of it, or added afterwards",
                        excerpt(&name(at))
                    ),
                    cure: "Hash every field but hash, empty and unknown ones too; and see that nothing on the way adds \
                           fields.",
                };
            }
            Self::Taken(_) => (
                "hash-field-hashed",
                "the hash field itself was hashed",
                "Leave out the field hash, in whatever letter case it is written.",
            ),
            Self::Covered(Covered::Values) => (
                "names-not-hashed",
                "only the values were hashed: that is the rule of status updates",
                "In a custom button's notification hash each name and its value. If this is a status update, its \
                 integration wants protocol = \"paynow-zimbabwe\".",
            ),
            Self::Covered(Covered::NamesAndValues) => (
                "names-hashed",
                "the names of the fields were hashed, too: that is the rule of custom buttons",
                "Hash the values only. If this is a custom button's notification, its integration wants protocol = \
                 \"paynow-zimbabwe-button\".",
            ),
            Self::Covered(Covered::Form) => (
                "form-hashed",
                "the text of the form was hashed: names, values, and the signs = and & between them",
                "Hash the values alone, one directly after the other.",
            ),
            Self::Reading(Reading::Undecoded) => (
                "not-decoded",
                "the values were hashed as they travel, with their % escapes",
                "URL-decode each value once, then hash.",
            ),
            Self::Reading(Reading::PlusKept) => (
                "plus-kept",
                "a plus sign was hashed where the form means a blank",
                "Read + in a form as a blank. When sending, write a blank as + or %20 and a plus sign as %2B.",
            ),
            Self::Reading(Reading::DecodedTwice) => (
                "decoded-twice",
                "the values were URL-decoded twice",
                "Decode once only: most frameworks have done it before your code sees the value.",
            ),
            Self::Reading(Reading::Decoded | Reading::Latin1) => {
                ("not-utf-8", "letters beyond ASCII were hashed in ISO 8859-1", "Hash the UTF-8 bytes of each value.")
            }
            Self::Order(_) => (
                "sorted",
                "the fields were sorted by name",
                "Hash the values in the order in which they stand in the message.",
            ),
            Self::Place(Place::Nowhere) => {
                ("key-not-appended", "the key was not hashed", "Append the integration key to the values, then hash.")
            }
            Self::Place(_) => (
                "key-prepended",
                "the key was put before the values",
                "Append the integration key behind the last value.",
            ),
            Self::Spelling(spelling) => return spelling.mistake(KEY),
            Self::Recipe(recipe) => match recipe {
                Recipe::Sha512 | Recipe::Sha256 => ("sha256", "it is a SHA-256", SHA512),
                Recipe::Sha1 => ("sha1", "it is a SHA-1", SHA512),
                Recipe::Md5 => ("md5", "it is an MD5", SHA512),
                Recipe::HmacSha512 => ("hmac-sha512", "it is an HMAC-SHA512 with the key", PLAIN),
                Recipe::HmacSha256 => ("hmac-sha256", "it is an HMAC-SHA256 with the key", PLAIN),
            },
        };
        Mistake { code, what: what.to_owned(), cure }
    }
}

const KEY: &str = "Use the integration key in lower case with its hyphens, and nothing around it.";
const SHA512: &str = "Use SHA-512: 128 hexadecimal digits.";
const PLAIN: &str = "Use a plain SHA-512 over the values and the key behind them; no HMAC.";
