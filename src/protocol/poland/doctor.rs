//! Tries the known mistakes on a notification: another body than the one that was signed, another key, another code,
//! another way to write it. Each alone, then each two together.
//!
//! Sender and reader of the result are the operator, so nothing here need be compared in constant time.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::rewritten::{Rewriting, rewritten};
use crate::protocol::doctor::{ENOUGH, Examination, Fit, Lack, Mistake, Prefix, Specimen, beginning};
use crate::protocol::keys::Spelling;
use crate::protocol::{Key, Setup};

/// Whose secret was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    Signature,
    Api,
}

/// What was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    HmacSha256,
    HmacSha512,
    HmacSha1,
    /// The body as the key, the key as the message.
    Swapped,
    KeyBehind,
    KeyBefore,
    NoKey,
}

/// How the code was written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    Base64,
    UrlSafe,
    Unpadded,
    UrlSafeUnpadded,
    Hex,
    HexInBase64,
}

/// One complete way to sign.
#[derive(Clone, Copy, Debug)]
struct Way {
    body: Rewriting,
    holder: Holder,
    spelling: Spelling,
    code: Code,
    writing: Writing,
}

/// One respect in which a way is not the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deviation {
    Body(Rewriting),
    Holder(Holder),
    Spelling(Spelling),
    Code(Code),
    Writing(Writing),
}

const RULE: &str = "HMAC-SHA256 over the body as it came, in base64";

const RIGHT: Way = Way {
    body: Rewriting::None,
    holder: Holder::Signature,
    spelling: Spelling::Agreed,
    code: Code::HmacSha256,
    writing: Writing::Base64,
};

enum Target<'a> {
    Claimed(&'a str),
    Expected(&'a Prefix),
}

/// Looks at a notification that should be signed with one of the account's keys.
pub(super) fn examine(specimen: &Specimen<'_>, setup: &Setup) -> Examination {
    let claimed = match specimen.post.signatures {
        [only] => std::str::from_utf8(only).ok().map(str::trim).filter(|text| !text.is_empty()),
        _ => None,
    };
    let mut search = Search { body: specimen.post.body, setup, tried: 0 };
    let lack = claimed.is_none().then(|| lack(specimen));
    let due = search.code(&RIGHT, setup.keys.current()).map(|code| beginning(&code));
    Examination {
        rule: RULE,
        claimed: claimed.and_then(|text| search.nearest(&Target::Claimed(text))),
        expected: specimen.expected.and_then(|prefix| search.nearest(&Target::Expected(prefix))),
        due: due.filter(|_| lack.as_ref().is_none_or(|lack| lack.is_message)),
        lack,
        tried: search.tried,
    }
}

/// What is missing where there is no one signature to try.
fn lack(specimen: &Specimen<'_>) -> Lack {
    let (what, instead, is_message) = match (specimen.post.body.trim_ascii(), specimen.post.signatures) {
        ([], _) => ("there is nothing in it", BODY, false),
        ([b'{', ..], []) => ("there is no Signature header with it", HEADER, true),
        ([b'{', ..], [_]) => ("the Signature header is empty", HEADER, true),
        ([b'{', ..], _) => ("there is more than one Signature header with it", HEADER, true),
        _ => ("it is no JSON, and the message is", BODY, false),
    };
    Lack { what: what.into(), instead, is_message }
}

const HEADER: &str = "Give the one that came with the body: --signature TEXT. To have it made for a body of your own, use \
                      --sign.";
const BODY: &str = "Hand in the body as it was posted, which begins with {, and the header that came with it: --signature \
                    TEXT.";

/// One notification, and what has been tried on it.
struct Search<'a> {
    body: &'a [u8],
    setup: &'a Setup,
    tried: u64,
}

impl Search<'_> {
    fn nearest(&mut self, target: &Target<'_>) -> Option<Fit> {
        if let Some(fit) = self.under_every_key(target, &RIGHT, &[]) {
            return Some(fit);
        }
        let deviations = deviations();
        for one in &deviations {
            if let Some(fit) = self.under_every_key(target, &one.on(RIGHT), &[*one]) {
                return Some(fit);
            }
        }
        for (at, one) in deviations.iter().enumerate() {
            for other in deviations.iter().skip(at + 1).filter(|other| !one.is_like(**other)) {
                if let Some(fit) = self.under_every_key(target, &other.on(one.on(RIGHT)), &[*one, *other]) {
                    return Some(fit);
                }
            }
        }
        None
    }

    fn under_every_key(&mut self, target: &Target<'_>, way: &Way, deviations: &[Deviation]) -> Option<Fit> {
        let setup = self.setup;
        let keys: Vec<&Key> = match way.holder {
            Holder::Signature => setup.keys.accepted().collect(),
            Holder::Api => setup.api_key.iter().collect(),
        };
        for (at, key) in keys.into_iter().enumerate() {
            let Some(code) = key.spelt(way.spelling).and_then(|key| self.code(way, &key)) else { continue };
            self.tried += 1;
            let written = way.writing.write(&code);
            let (is_it, cut_off) = match target {
                Target::Claimed(text) if is_cut_off(text, &written) => (true, Some((text.len(), written.len()))),
                Target::Claimed(text) => (written == **text, None),
                Target::Expected(prefix) => (prefix.begins(&code), None),
            };
            if is_it {
                let of_way = deviations.iter().map(|deviation| deviation.mistake());
                let cut_off = cut_off.map(|lengths| cut_off_after(lengths, deviations.is_empty()));
                let keyed = way.holder == Holder::Signature && way.code != Code::NoKey;
                return Some(Fit {
                    key: keyed.then_some(at),
                    mistakes: of_way.chain(cut_off).collect(),
                    rule: (RULE, None),
                    remarks: Vec::new(),
                    begins: beginning(&code),
                });
            }
        }
        None
    }

    fn code(&self, way: &Way, key: &Key) -> Option<Vec<u8>> {
        let body = rewritten(self.body, way.body)?;
        let key = key.expose().as_bytes();
        match way.code {
            Code::HmacSha256 => mac(Hmac::<Sha256>::new_from_slice(key).ok()?, &body),
            Code::HmacSha512 => mac(Hmac::<Sha512>::new_from_slice(key).ok()?, &body),
            Code::HmacSha1 => mac(Hmac::<Sha1>::new_from_slice(key).ok()?, &body),
            Code::Swapped => mac(Hmac::<Sha256>::new_from_slice(&body).ok()?, key),
            Code::KeyBehind => Some(Sha256::new().chain_update(&body).chain_update(key).finalize().to_vec()),
            Code::KeyBefore => Some(Sha256::new().chain_update(key).chain_update(&body).finalize().to_vec()),
            Code::NoKey => Some(Sha256::digest(&body).to_vec()),
        }
    }
}

/// Whether `text` is the beginning of what should be `written`, and long enough not to be that by chance. Signs that
/// only fill up are no part of it.
fn is_cut_off(text: &str, written: &str) -> bool {
    (ENOUGH..written.trim_end_matches('=').len()).contains(&text.len()) && written.starts_with(text)
}

fn cut_off_after((is, of): (usize, usize), is_right: bool) -> Mistake {
    let it = if is_right { "it is the right signature, but" } else { "the signature is" };
    Mistake {
        code: "cut-off",
        what: format!("{it} cut off after {is} of its {of} characters"),
        cure: "Keep and send the whole of it: a column or a variable for it must hold 44 characters.",
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what all codes return")]
fn mac(mut mac: impl Mac, text: &[u8]) -> Option<Vec<u8>> {
    mac.update(text);
    Some(mac.finalize().into_bytes().to_vec())
}

impl Writing {
    fn write(self, code: &[u8]) -> String {
        match self {
            Self::Base64 => STANDARD.encode(code),
            Self::UrlSafe => URL_SAFE.encode(code),
            Self::Unpadded => STANDARD_NO_PAD.encode(code),
            Self::UrlSafeUnpadded => URL_SAFE_NO_PAD.encode(code),
            Self::Hex => hex::encode(code),
            Self::HexInBase64 => STANDARD.encode(hex::encode(code)),
        }
    }
}

/// Everything worth trying, the most usual first.
fn deviations() -> Vec<Deviation> {
    let codes = [Code::KeyBehind, Code::KeyBefore, Code::NoKey, Code::Swapped, Code::HmacSha512, Code::HmacSha1];
    let writings = [Writing::Hex, Writing::HexInBase64, Writing::UrlSafe, Writing::Unpadded, Writing::UrlSafeUnpadded];
    std::iter::once(Deviation::Holder(Holder::Api))
        .chain(Rewriting::ALL.map(Deviation::Body))
        .chain(writings.map(Deviation::Writing))
        .chain(codes.map(Deviation::Code))
        .chain(Spelling::ODD.map(Deviation::Spelling))
        .collect()
}

impl Deviation {
    fn is_like(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    const fn on(self, way: Way) -> Way {
        match self {
            Self::Body(body) => Way { body, ..way },
            Self::Holder(holder) => Way { holder, ..way },
            Self::Spelling(spelling) => Way { spelling, ..way },
            Self::Code(code) => Way { code, ..way },
            Self::Writing(writing) => Way { writing, ..way },
        }
    }

    fn mistake(self) -> Mistake {
        let (code, what, cure) = match self {
            Self::Body(rewriting) => return rewriting.mistake(),
            Self::Spelling(spelling) => return spelling.mistake(KEY),
            Self::Holder(_) => {
                ("api-key", "it is signed with the Api-Key", "Sign with the Signature-Key; the Api-Key only names you.")
            }
            Self::Writing(writing) => match writing {
                Writing::Hex => ("hex", "the signature is written in hexadecimal digits", BASE64),
                Writing::HexInBase64 => ("hex-in-base64", "the hexadecimal text was put into base64", BASE64),
                Writing::Base64 | Writing::UrlSafe | Writing::Unpadded | Writing::UrlSafeUnpadded => {
                    ("other-base64", "the signature is in another kind of base64", BASE64)
                }
            },
            Self::Code(code) => match code {
                Code::HmacSha256 | Code::HmacSha512 => ("hmac-sha512", "it is an HMAC-SHA512", HMAC),
                Code::HmacSha1 => ("hmac-sha1", "it is an HMAC-SHA1", HMAC),
                Code::Swapped => ("swapped", "key and body were swapped in the HMAC", HMAC),
                Code::KeyBehind => ("key-appended", "it is a plain SHA-256 of the body and the key behind it", HMAC),
                Code::KeyBefore => ("key-prepended", "it is a plain SHA-256 of the key and the body behind it", HMAC),
                Code::NoKey => ("no-key", "it is a plain SHA-256 of the body, without any key", HMAC),
            },
        };
        Mistake { code, what: what.to_owned(), cure }
    }
}

const KEY: &str = "Use the Signature-Key exactly as Paynow's panel shows it, and nothing around it.";
const HMAC: &str = "Compute an HMAC-SHA256 of the body with the Signature-Key as its key.";
const BASE64: &str = "Put the 32 bytes of the HMAC themselves into standard base64: 44 characters, the last one a =.";

#[cfg(test)]
#[path = "doctor_tests.rs"]
mod tests;
