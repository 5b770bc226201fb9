//! Tries the known mistakes on a message: each alone, then each two together, with and without the blanks around its
//! values, under every key. The nearest fit is the diagnosis.
//!
//! Sender and reader of the result are the operator, so nothing here need be compared in constant time.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::Rule;
use super::mistakes::{Covered, Deviation, Order, Place, Recipe, Taken, Way, usual};
use super::wire::{Wire, decoded, trim, wire};
use crate::protocol::doctor::{ENOUGH, Examination, Fit, Lack, Mistake, Prefix, Specimen, beginning};
use crate::protocol::{Keys, Setup};

/// How long a message may be for two mistakes at once to be looked for: a real one is a tenth of it.
const SHORT: usize = 8 * 1024;

/// What a digest is compared with.
enum Target<'a> {
    Claimed(&'a Claim),
    Expected(&'a Prefix),
}

/// The digest that a message carries.
struct Claim {
    /// As hexadecimal digits in upper case; some may be missing at the end.
    digits: String,
    is_base64: bool,
    is_lower: bool,
}

/// Looks at a message that should be proven by `rule` with one of the integration's keys.
pub(super) fn examine(specimen: &Specimen<'_>, rule: Rule, setup: &Setup) -> Examination {
    let fields: Vec<Wire<'_>> = wire(specimen.post.body).take(setup.max_fields).collect();
    let hash = fields.iter().find(|field| field.is_hash()).map(|field| decoded(field.value, true));
    let claim = hash.as_deref().map(Claim::read);
    let lack = match &claim {
        None => Some(without_hash(specimen.post.body)),
        Some(Err(what)) => Some(Lack { what: what.clone(), instead: INSTEAD, is_message: true }),
        Some(Ok(_)) => None,
    };
    let claim = claim.and_then(Result::ok);
    let mut search =
        Search { fields: &fields, rule, keys: &setup.keys, is_short: specimen.post.body.len() <= SHORT, tried: 0 };
    let claimed = claim.as_ref().and_then(|claim| search.nearest(&Target::Claimed(claim)));
    let expected = specimen.expected.and_then(|prefix| search.nearest(&Target::Expected(prefix)));
    let text = search.text(&Way::right(rule), false);
    let due = search.digest(&Way::right(rule), &text, 0).map(|digest| beginning(&digest));
    Examination {
        rule: Way::right(rule).covered.rule(),
        claimed,
        expected,
        due: due.filter(|_| lack.as_ref().is_none_or(|lack| lack.is_message)),
        lack,
        tried: search.tried,
    }
}

const INSTEAD: &str = "Hand in the whole body as it was posted, from its first field to &hash= and 128 digits. To have the \
                       hash made for fields of your own, use --sign.";
const AS_POSTED: &str = "Hand in the body as it was posted, before anything has read it: one line like \
                         reference=INV-1&amount=25.00&status=Paid&hash= and 128 digits. To have the hash made for fields of \
                         your own, use --sign.";

/// What is missing in a body in which there is no field for the hash.
fn without_hash(body: &[u8]) -> Lack {
    let body = body.trim_ascii();
    let (what, is_message) = match body {
        [] => ("there is nothing in it", false),
        [b'{' | b'[', ..] => ("it is JSON, and the message is a form", false),
        _ if body.iter().any(|byte| matches!(byte, b'\n' | b'\r')) => {
            ("these are lines, and the message is a form", false)
        }
        _ if !body.contains(&b'=') => ("there are no fields in it, and the message is a form", false),
        _ => ("there is no hash field in it", true),
    };
    Lack { what: what.into(), instead: if is_message { INSTEAD } else { AS_POSTED }, is_message }
}

impl Claim {
    /// What the hash field holds, or what is wrong with that.
    fn read(value: &[u8]) -> Result<Self, String> {
        let text = String::from_utf8_lossy(value);
        let text = text.trim();
        if text.is_empty() {
            return Err("its hash field is empty".into());
        }
        if text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let is_lower = text.contains(|c: char| c.is_ascii_lowercase());
            let digits = text.to_ascii_uppercase();
            let count = digits.len();
            let claim = (count >= ENOUGH).then_some(Self { digits, is_base64: false, is_lower });
            return claim.ok_or_else(|| format!("its hash field holds {count} of 128 digits, too few to tell it by"));
        }
        // A plus that was not escaped has become a blank.
        let digest = STANDARD.decode(text.replace(' ', "+")).ok().filter(|digest| digest.len() >= 16);
        digest
            .map(|digest| Self { digits: hex::encode_upper(digest), is_base64: true, is_lower: false })
            .ok_or_else(|| "its hash field holds neither hexadecimal digits nor base64".into())
    }

    /// The mistake, if only the beginning of `digest` is there.
    fn cut_off(&self, digest: &[u8], is_right: bool) -> Option<Mistake> {
        let (is, of) = (self.digits.len(), digest.len() * 2);
        let it = if is_right { "it is the right digest, but" } else { "the digest is" };
        (is < of).then(|| Mistake {
            code: "cut-off",
            what: format!("{it} cut off after {is} of its {of} digits"),
            cure: "Keep and send the whole of it: a column or a variable for it must hold 128 characters.",
        })
    }
}

impl Target<'_> {
    fn is(&self, digest: &[u8]) -> bool {
        match self {
            Self::Claimed(claim) => hex::encode_upper(digest).starts_with(&claim.digits),
            Self::Expected(prefix) => prefix.begins(digest),
        }
    }
}

/// One message, and what has been tried on it.
struct Search<'a> {
    fields: &'a [Wire<'a>],
    rule: Rule,
    keys: &'a Keys,
    is_short: bool,
    tried: u64,
}

impl Search<'_> {
    /// The way to the target with the fewest mistakes.
    fn nearest(&mut self, target: &Target<'_>) -> Option<Fit> {
        let right = Way::right(self.rule);
        if let Some(fit) = self.under_every_key(target, &right, &[]) {
            return Some(fit);
        }
        let single = (0..self.fields.len()).map(|at| Deviation::Taken(Taken::AllBut(at)));
        let deviations: Vec<Deviation> = usual(self.rule).into_iter().chain(single).collect();
        for one in &deviations {
            if let Some(fit) = self.under_every_key(target, &right.but(*one), &[*one]) {
                return Some(fit);
            }
        }
        let pairs = if self.is_short { deviations.len() } else { 0 };
        for (at, one) in deviations.iter().enumerate().take(pairs) {
            for other in deviations.iter().skip(at + 1).filter(|other| !one.is_like(**other)) {
                if let Some(fit) = self.under_every_key(target, &right.but(*one).but(*other), &[*one, *other]) {
                    return Some(fit);
                }
            }
        }
        None
    }

    fn under_every_key(&mut self, target: &Target<'_>, way: &Way, deviations: &[Deviation]) -> Option<Fit> {
        let kept = self.text(way, false);
        let trimmed = Some(self.text(way, true)).filter(|trimmed| *trimmed != kept);
        let keys = if way.place == Place::Nowhere { 1 } else { self.keys.accepted().count() };
        for (is_trimmed, text) in [(false, Some(kept)), (true, trimmed)] {
            let Some(text) = text else { continue };
            for key in 0..keys {
                self.tried += 1;
                if let Some(digest) = self.digest(way, &text, key).filter(|digest| target.is(digest)) {
                    let key = Some(key).filter(|_| way.place != Place::Nowhere);
                    return Some(self.fit(target, way, deviations, key, is_trimmed, &digest));
                }
            }
        }
        None
    }

    fn fit(
        &self,
        target: &Target<'_>,
        way: &Way,
        deviations: &[Deviation],
        key: Option<usize>,
        is_trimmed: bool,
        digest: &[u8],
    ) -> Fit {
        let name = |at: usize| {
            let name = self.fields.get(at).map(|field| decoded(field.name, true)).unwrap_or_default();
            String::from_utf8_lossy(&name).into_owned()
        };
        let mut mistakes: Vec<Mistake> = deviations.iter().map(|deviation| deviation.mistake(name)).collect();
        let mut remarks = Vec::new();
        if let Target::Claimed(claim) = target {
            mistakes.extend(claim.cut_off(digest, mistakes.is_empty() && !claim.is_base64));
            if claim.is_base64 {
                let cure = "Write the digest as hexadecimal digits in upper case.";
                mistakes.push(Mistake { code: "base64", what: "the digest is written in base64".into(), cure });
            }
            if claim.is_lower {
                remarks.push(
                    "The hash is in lower-case digits. paynowd compares digests, not letters, so that is right here; \
                     Paynow and most SDKs write upper case, and code that compares the two as texts finds them different.",
                );
            }
        }
        if is_trimmed {
            remarks.push(
                "The blanks around values were trimmed before hashing. That is right here: some of the gateway's \
                 implementations trim and some do not.",
            );
        }
        let other_rule = deviations.iter().find(|deviation| matches!(deviation, Deviation::Covered(_)));
        let rule = (way.covered.rule(), other_rule.map(|deviation| deviation.mistake(name).code));
        Fit { key, mistakes, rule, remarks, begins: beginning(digest) }
    }

    /// What is hashed beside the key.
    fn text(&self, way: &Way, trimmed: bool) -> Vec<u8> {
        let mut fields: Vec<(Vec<u8>, Vec<u8>)> = self
            .fields
            .iter()
            .enumerate()
            .filter_map(|(at, field)| {
                let value = match (way.taken, field.is_hash()) {
                    (Taken::AllBut(left_out), _) if left_out == at => return None,
                    (Taken::AllButHash | Taken::AllBut(_), true) => return None,
                    (Taken::All { filled: false }, true) => &[],
                    _ => field.value,
                };
                Some((way.reading.read(field.name), way.reading.read(value)))
            })
            .collect();
        match way.order {
            Order::Arrival => {}
            Order::ByName => fields.sort_by(|one, other| one.0.cmp(&other.0)),
            Order::ByNameInAnyCase => fields.sort_by_key(|(name, _)| name.to_ascii_lowercase()),
        }
        let mut text = Vec::new();
        for (at, (name, value)) in fields.iter().enumerate() {
            let value = if trimmed { trim(value) } else { Cow::Borrowed(value.as_slice()) };
            match way.covered {
                Covered::Values => {}
                Covered::NamesAndValues => text.extend_from_slice(name),
                Covered::Form => {
                    text.extend_from_slice(if at == 0 { b"" } else { b"&" });
                    text.extend_from_slice(name);
                    text.push(b'=');
                }
            }
            text.extend_from_slice(&value);
        }
        text
    }

    /// The digest of `text` and the accepted key of this number.
    fn digest(&self, way: &Way, text: &[u8], key: usize) -> Option<Vec<u8>> {
        let key = self.keys.accepted().nth(key)?.spelt(way.spelling)?;
        let key = key.expose().as_bytes();
        let (before, behind) = match way.place {
            Place::Before => (key, &[][..]),
            Place::Behind => (&[][..], key),
            Place::Nowhere => (&[][..], &[][..]),
        };
        let parts = [before, text, behind];
        match way.recipe {
            Recipe::Sha512 => Some(plain::<Sha512>(parts)),
            Recipe::Sha256 => Some(plain::<Sha256>(parts)),
            Recipe::Sha1 => Some(plain::<Sha1>(parts)),
            Recipe::Md5 => Some(plain::<Md5>(parts)),
            // With the key as the code's own, not as a part of the text.
            Recipe::HmacSha512 if way.place == Place::Behind => keyed(Hmac::<Sha512>::new_from_slice(key).ok()?, text),
            Recipe::HmacSha256 if way.place == Place::Behind => keyed(Hmac::<Sha256>::new_from_slice(key).ok()?, text),
            Recipe::HmacSha512 | Recipe::HmacSha256 => None,
        }
    }
}

fn plain<D: Digest>(parts: [&[u8]; 3]) -> Vec<u8> {
    let mut digest = D::new();
    for part in parts {
        digest.update(part);
    }
    digest.finalize().to_vec()
}

#[expect(clippy::unnecessary_wraps, reason = "what all recipes return")]
fn keyed(mut mac: impl Mac, text: &[u8]) -> Option<Vec<u8>> {
    mac.update(text);
    Some(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
#[path = "doctor_tests.rs"]
mod tests;
