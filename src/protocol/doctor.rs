//! Why does a proof not hold? Each gateway tries the mistakes that are known to be made with its proof
//! ([`Gateway::examine`]); here their opinions become one diagnosis. It believes nothing and records nothing, and it
//! prints no key and never more of a digest than its beginning.

use super::{Gateway, Post, Rejection};
use crate::domain::{IntegrationName, Timestamp};

/// How much of a digest may be told: what Paynow's own hint tells.
const TOLD: usize = 6;

/// How many digits of a digest are enough to look for it among all mistakes without finding it by chance.
pub(in crate::protocol) const ENOUGH: usize = 6;

/// A message whose proof is in question.
#[derive(Clone, Copy, Debug)]
pub struct Specimen<'a> {
    /// The message.
    pub post: Post<'a>,
    /// How another digest of the same message begins: the gateway's hint, or what somebody's code computes.
    pub expected: Option<&'a Prefix>,
}

/// The first hexadecimal digits of a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(Box<str>);

/// The text is not the beginning of a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be the first 6 or more hexadecimal digits of a digest, like 0BF21B")]
pub struct NotAPrefix;

impl Prefix {
    /// Takes hexadecimal digits in any letter case.
    ///
    /// # Errors
    /// There are others, or too few to tell a digest by.
    pub fn parse(text: &str) -> Result<Self, NotAPrefix> {
        let text = text.trim();
        let sound = (ENOUGH..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if sound { Ok(Self(text.to_ascii_uppercase().into())) } else { Err(NotAPrefix) }
    }

    /// As much of it as may be told.
    pub fn told(&self) -> &str {
        self.0.get(..TOLD).unwrap_or(&self.0)
    }

    /// Whether `digest` begins so.
    pub(in crate::protocol) fn begins(&self, digest: &[u8]) -> bool {
        hex::encode_upper(digest).starts_with(&*self.0)
    }
}

/// The beginning of a digest, as far as it may be told.
pub(in crate::protocol) fn beginning(digest: &[u8]) -> String {
    let mut text = hex::encode_upper(digest);
    text.truncate(TOLD);
    text
}

/// One known mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Its stable code.
    pub code: &'static str,
    /// What was done.
    pub what: String,
    /// What to do instead, for a shop's developer.
    pub cure: &'static str,
}

/// A way to arrive at a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fit {
    /// Which accepted key goes into it, zero being the current one; `None` if none does.
    pub key: Option<usize>,
    /// What is done otherwise than the gateway does it; nothing if the proof holds.
    pub mistakes: Vec<Mistake>,
    /// By which rule, and the code of the mistake if it is one to follow that rule here.
    pub rule: (&'static str, Option<&'static str>),
    /// What is no mistake here, and may be one elsewhere.
    pub remarks: Vec<&'static str>,
    /// How the digest begins.
    pub begins: String,
}

/// Why there is no proof that could be tried: a message was handed in without it, or something that is no message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// What is missing.
    pub what: String,
    /// What to hand in instead.
    pub instead: &'static str,
    /// Whether it looks like a message of this protocol otherwise.
    pub is_message: bool,
}

/// What one gateway finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examination {
    /// By which rule its messages are proven.
    pub rule: &'static str,
    /// Why no proof could be tried, if none could.
    pub lack: Option<Lack>,
    /// How the proof that the message carries came about.
    pub claimed: Option<Fit>,
    /// How the other digest came about.
    pub expected: Option<Fit>,
    /// How the right digest begins, under the current key; nothing where that would be one of no message.
    pub due: Option<String>,
    /// How many ways were tried.
    pub tried: u64,
}

/// The text cannot be signed as a message of this protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotSignable(pub String);

/// What the matter is with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its proof holds.
    Holds {
        /// By which integration's key.
        integration: IntegrationName,
        /// Which key.
        fit: Fit,
        /// What its fields lack, if they are not what the gateway writes.
        suspect: Option<String>,
    },
    /// It was made like this.
    Mistaken {
        /// By which integration's rule, and key if there is one in it.
        integration: IntegrationName,
        /// How.
        fit: Fit,
    },
    /// Nothing that was tried fits.
    Unknown,
    /// Nothing was tried: it carries no proof.
    NoProof(Lack),
}

/// Everything that can be said of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// What the matter is.
    pub verdict: Verdict,
    /// How the other digest came about, and by which integration's rule.
    pub expected: Option<(IntegrationName, Fit)>,
    /// Why the message is refused before its proof is looked at, where that is so.
    pub obstacle: Option<String>,
    /// How the right digest begins, by integration.
    pub due: Vec<(IntegrationName, String)>,
    /// By which rule the integration proves that the verdict speaks of, or the only one asked.
    pub rule: &'static str,
    /// How many ways were tried.
    pub tried: u64,
}

/// One integration's view of a message.
struct Opinion<'a> {
    integration: &'a IntegrationName,
    read: Result<(), Rejection>,
    found: Examination,
}

impl Opinion<'_> {
    fn holds(&self) -> bool {
        matches!(self.read, Ok(()) | Err(Rejection::Suspect { .. }))
    }
}

/// Asks every gateway about `specimen`. If it is known for whom it is meant, it has to hold there.
pub fn diagnose(
    gateways: &[(&IntegrationName, &dyn Gateway)],
    meant: Option<&IntegrationName>,
    specimen: &Specimen<'_>,
    at: Timestamp,
) -> Diagnosis {
    let mut opinions: Vec<Opinion<'_>> = gateways
        .iter()
        .map(|(integration, gateway)| Opinion {
            integration,
            read: gateway.read_post(&specimen.post, at).map(drop),
            found: gateway.examine(specimen),
        })
        .collect();
    let is_meant = |opinion: &Opinion<'_>| meant.is_none_or(|meant| meant == opinion.integration);
    // Whom it is meant for has the first word; the others keep their order.
    opinions.sort_by_key(|opinion| !is_meant(opinion));

    let expected = opinions
        .iter()
        .filter_map(|opinion| Some((opinion.integration, opinion.found.expected.clone()?)))
        .min_by_key(|(_, fit)| fit.mistakes.len())
        .map(|(integration, fit)| (integration.clone(), fit));
    // Who would not look at its proof at all has nothing to say of a message that another would look at.
    let (understood, strange): (Vec<_>, Vec<_>) = opinions
        .iter()
        .filter(|opinion| is_meant(opinion))
        .partition(|opinion| !matches!(opinion.read, Err(Rejection::Malformed(_))));
    let concerned = if understood.is_empty() { strange } else { understood };
    let obstacle = concerned.iter().find_map(|opinion| match &opinion.read {
        Err(Rejection::Malformed(reason)) if !opinions.iter().any(Opinion::holds) => Some(reason.clone()),
        _ => None,
    });
    let due = concerned
        .iter()
        .filter_map(|opinion| Some((opinion.integration.clone(), opinion.found.due.clone()?)))
        .collect();
    let verdict = verdict(&opinions, is_meant);
    let rule = match &verdict {
        Verdict::Holds { integration, .. } | Verdict::Mistaken { integration, .. } => {
            opinions.iter().find(|opinion| opinion.integration == integration)
        }
        Verdict::Unknown | Verdict::NoProof(_) => opinions.first(),
    };
    Diagnosis {
        expected,
        obstacle,
        due,
        rule: rule.map_or("", |opinion| opinion.found.rule),
        tried: opinions.iter().map(|opinion| opinion.found.tried).sum(),
        verdict,
    }
}

fn verdict(opinions: &[Opinion<'_>], is_meant: impl Fn(&Opinion<'_>) -> bool) -> Verdict {
    let holds = opinions.iter().find(|opinion| is_meant(opinion) && opinion.holds());
    if let Some((opinion, fit)) = holds.and_then(|opinion| Some((opinion, opinion.found.claimed.clone()?))) {
        let suspect = match &opinion.read {
            Err(Rejection::Suspect { reason, .. }) => Some(reason.clone()),
            _ => None,
        };
        return Verdict::Holds { integration: opinion.integration.clone(), fit, suspect };
    }
    let fits = opinions.iter().filter_map(|opinion| {
        let mut fit = opinion.found.claimed.clone()?;
        if !is_meant(opinion) {
            let theirs = fit.rule.1;
            if opinions.iter().any(|meant| is_meant(meant) && meant.found.rule == fit.rule.0) {
                // By the right rule, which is wrong only for whom the key belongs to.
                fit.mistakes.retain(|mistake| Some(mistake.code) != theirs);
                fit.mistakes.insert(0, other_key(opinion.integration));
            } else {
                fit.mistakes.insert(0, other_integration(opinion.integration));
            }
        }
        Some((opinion.integration, fit))
    });
    // A message that holds where it is meant, but for an obstacle, is no mistake of hashing.
    match fits.filter(|(_, fit)| !fit.mistakes.is_empty()).min_by_key(|(_, fit)| fit.mistakes.len()) {
        Some((integration, fit)) => Verdict::Mistaken { integration: integration.clone(), fit },
        None => lack(opinions.iter().filter(|opinion| is_meant(opinion))).map_or(Verdict::Unknown, Verdict::NoProof),
    }
}

/// What is missing for anybody whom it is meant for to try a proof. Who sees at least a message knows best.
fn lack<'a>(meant: impl Iterator<Item = &'a Opinion<'a>>) -> Option<Lack> {
    let lacks: Option<Vec<&Lack>> = meant.map(|opinion| opinion.found.lack.as_ref()).collect();
    lacks?.into_iter().min_by_key(|lack| !lack.is_message).cloned()
}

fn other_key(owner: &IntegrationName) -> Mistake {
    Mistake {
        code: "other-key",
        what: format!("it was made with the key of another integration: that of {owner}"),
        cure: "Give whoever made it the key of this integration. If it is the key in this integration's key_files that \
               is the wrong one, put the right one there; and if the message is the other integration's, send it to \
               the result URL of that.",
    }
}

fn other_integration(right: &IntegrationName) -> Mistake {
    Mistake {
        code: "other-integration",
        what: format!("it was made for another integration: its proof is by the rule and key of {right}"),
        cure: "Give the shop the result URL of that integration, or set this integration's protocol and key_files to \
               what it really is.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_digits_or_more_tell_a_digest_and_no_more_than_six_are_told() {
        for bad in ["", "0BF21", "0BF21G", "hello!"] {
            assert_eq!(Prefix::parse(bad), Err(NotAPrefix), "{bad}");
        }
        let prefix = Prefix::parse(" 0bF21b\n").unwrap();
        assert!(prefix.begins(&[0x0b, 0xf2, 0x1b, 0x99]) && !prefix.begins(&[0x0b, 0xf2, 0x1c, 0x99]));
        assert_eq!(beginning(&[0x0b, 0xf2, 0x1b, 0x99]), "0BF21B");
    }
}
