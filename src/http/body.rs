//! Reading a body of unknown length into memory of known size. It does not look at what it reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, TRANSFER_ENCODING};

/// Why there is no body. Neither is our fault, and in both cases part of it may be unread:
/// answer with [`closing`](super::closing).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// More bytes were announced or sent than the cap allows.
    #[error("the body is larger than allowed")]
    TooLarge,
    /// The peer went away, or what it sent is not HTTP.
    #[error("the body broke off before its end")]
    Broken,
}

/// Whether the body is `wanted` as it stands, as far as the headers say: stated so, or not at all, and nothing that is to
/// be decoded first, as a whole or on the way here.
pub fn is_plain(headers: &HeaderMap, wanted: &str) -> bool {
    let is_wanted = headers.get(CONTENT_TYPE).is_none_or(|stated| {
        let stated = stated.to_str().unwrap_or_default();
        stated.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(wanted)
    });
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let plain = codings.next().is_none_or(|coding| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"));
    let identity = |coding: &HeaderValue| {
        let coding = coding.as_bytes().trim_ascii();
        coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")
    };
    is_wanted && plain && codings.next().is_none() && headers.get_all(CONTENT_ENCODING).iter().all(identity)
}

/// Set once the peer has said all it had to say. Every request that [`serve`](super::serve) hands out carries one among
/// its extensions: if time runs out before, it was the peer's time; after that, ours.
#[derive(Debug, Clone, Default)]
pub struct HeardOut(Arc<AtomicBool>);

impl HeardOut {
    /// Whatever now takes time is not the peer's fault.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Reads a whole body of at most `cap` bytes. A body announced as larger is refused before any
/// of it is read; trailers are ignored. How long it may take is the caller's deadline, which
/// [`serve`](super::serve) sets.
///
/// # Errors
///
/// [`BodyError::TooLarge`]: answer 413 and close. [`BodyError::Broken`]: answer 400 and close,
/// though nobody may be left to read it.
pub async fn read_body(body: Incoming, cap: usize) -> Result<Bytes, BodyError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > cap {
        return Err(BodyError::TooLarge);
    }
    match Limited::new(body, cap).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(fault) if fault.is::<LengthLimitError>() => Err(BodyError::TooLarge),
        Err(_) => Err(BodyError::Broken),
    }
}
