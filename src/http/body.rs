//! Reading a body of unknown length into memory of known size. It does not look at what it reads.

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};

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
