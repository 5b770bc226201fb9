//! Why a request brought no reply, sorted by what the caller can do about it. No message ever
//! contains the path or query of the address.

use std::error::Error;
use std::io;
use std::time::Duration;

use hyper_util::client::legacy;
use rustls::CertificateError;

use super::guard::Refusal;

/// Why there is no reply. Nothing is known of the payment either way: it is "unknown", never "no".
/// All but [`Refused`](Self::Refused) may pass: try again later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The address may not be called; nothing was sent. Trying again will not help.
    #[error("address refused: {0}")]
    Refused(#[source] Refusal),
    /// The host could not be found or reached; nothing was sent.
    #[error("cannot connect: {0}")]
    Unreachable(String),
    /// The host is not, or cannot prove to be, who it should be; nothing was sent. Somebody must
    /// look at the certificate, or at this machine's store (or clock).
    #[error("the certificate is not accepted: {0}")]
    Certificate(String),
    /// TLS failed otherwise.
    #[error("tls fault: {0}")]
    Tls(String),
    /// No whole reply in this time. The request may have arrived.
    #[error("no whole reply within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// The reply has more bytes than this; it was dropped unread.
    #[error("the reply is larger than {0} bytes")]
    TooLarge(usize),
    /// The conversation ended early or was not HTTP. The request may have arrived.
    #[error("the conversation broke off: {0}")]
    Broken(String),
}

impl SendError {
    pub(super) fn of(error: &legacy::Error) -> Self {
        if let Some(refusal) = chain(error).find_map(|cause| cause.downcast_ref::<Refusal>()) {
            return Self::Refused(*refusal);
        }
        match chain(error).find_map(|cause| cause.downcast_ref()) {
            Some(rustls::Error::InvalidCertificate(fault)) => Self::Certificate(in_words(fault)),
            Some(fault) => Self::Tls(fault.to_string()),
            None if error.is_connect() => Self::Unreachable(root(error)),
            None => Self::Broken(root(error)),
        }
    }
}

fn in_words(fault: &CertificateError) -> String {
    use CertificateError as C;
    match fault {
        C::Expired | C::ExpiredContext { .. } => "it has expired".into(),
        C::NotValidYet | C::NotValidYetContext { .. } => "it is not valid yet".into(),
        C::UnknownIssuer => "this machine does not trust its issuer".into(),
        C::NotValidForName | C::NotValidForNameContext { .. } => "it is for another name".into(),
        C::Revoked => "it was revoked".into(),
        other => other.to_string(),
    }
}

/// An error and its causes. An `io::Error` hides what it wraps from `source`, so it is opened.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    })
}

fn root(error: &legacy::Error) -> String {
    chain(error).last().map(|cause| cause.to_string().to_lowercase()).unwrap_or_default()
}
