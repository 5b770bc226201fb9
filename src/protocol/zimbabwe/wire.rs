//! A form as it travels, for the doctor: however broken, and read in every wrong way there is. The right way, which is
//! believed, is in [`super::fields`].

use std::borrow::Cow;

use super::mistakes::Reading;

/// A field as it stands on the wire.
pub(super) struct Wire<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
}

/// The fields of a form as they travel, however broken it is.
pub(super) fn wire(body: &[u8]) -> impl Iterator<Item = Wire<'_>> {
    body.split(|byte| *byte == b'&').filter(|field| !field.is_empty()).map(|field| {
        match field.iter().position(|byte| *byte == b'=') {
            Some(at) => {
                Wire { name: field.get(..at).unwrap_or_default(), value: field.get(at + 1..).unwrap_or_default() }
            }
            None => Wire { name: field, value: &[] },
        }
    })
}

impl Wire<'_> {
    pub(super) fn is_hash(&self) -> bool {
        decoded(self.name, true).eq_ignore_ascii_case(b"hash")
    }
}

impl Reading {
    pub(super) fn read(self, raw: &[u8]) -> Vec<u8> {
        match self {
            Self::Decoded => decoded(raw, true),
            Self::Undecoded => raw.to_vec(),
            Self::PlusKept => decoded(raw, false),
            Self::DecodedTwice => decoded(&decoded(raw, true), true),
            Self::Latin1 => {
                let text = decoded(raw, true);
                let narrow = std::str::from_utf8(&text).ok().and_then(|text| {
                    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect::<Option<Vec<u8>>>()
                });
                narrow.unwrap_or(text)
            }
        }
    }
}

/// URL-decodes once; what is no escape stays as it is.
pub(super) fn decoded(raw: &[u8], plus_is_blank: bool) -> Vec<u8> {
    let mut text = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((first, tail)) = rest.split_first() {
        let digit = |at: usize| tail.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        let escaped = digit(0).zip(digit(1)).filter(|_| *first == b'%');
        let byte = escaped.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        let blank = *first == b'+' && plus_is_blank;
        text.push(byte.unwrap_or(if blank { b' ' } else { *first }));
        rest = if byte.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    text
}

/// Without the blanks around it, as `hash` trims where it is text.
pub(super) fn trim(value: &[u8]) -> Cow<'_, [u8]> {
    match std::str::from_utf8(value) {
        Ok(text) => Cow::Borrowed(text.trim().as_bytes()),
        Err(_) => Cow::Borrowed(value.trim_ascii()),
    }
}
