//! What went wrong in a conversation, and whose matter it is: this letter's, the server's mood, or the configuration's.

use std::error::Error;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use lettre::transport::smtp;
use lettre::transport::smtp::response::Response;

use crate::mailer::Failure;
use crate::mailer::shown::{shortened, shown};

/// How much of what a server or a library says is repeated, in characters.
const TEXT_LENGTH: usize = 300;

/// Why a step of the conversation did not go as it should. After any of these the connection is not used again.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The server answered, but not what the step needs.
    Answer { code: u16, text: String },
    /// No answer that could be understood: the connection broke, or what came is not SMTP.
    Line(String),
    /// TLS: a certificate, a cipher, an alert.
    Tls(String),
}

/// The answer, if it is one of these.
pub(super) fn checked(answer: Result<Response, smtp::Error>, wanted: &[u16]) -> Result<(), Fault> {
    let answer = answer.map_err(|error| Fault::of(&error))?;
    let code = u16::from(answer.code());
    if wanted.contains(&code) {
        return Ok(());
    }
    let text = answer.message().collect::<Vec<_>>().join(" ");
    Err(Fault::Answer { code, text: bounded(&text) })
}

impl Fault {
    /// What a failed exchange was.
    pub(super) fn of(error: &smtp::Error) -> Self {
        match error.status() {
            Some(code) => Self::Answer { code: code.into(), text: causes(error.source()) },
            None => Self::of_cause(error.source().unwrap_or(error)),
        }
    }

    /// What a failed read, write, connect or handshake was.
    pub(super) fn of_cause(error: &(dyn Error + 'static)) -> Self {
        if is_tls(error) { Self::Tls(causes(Some(error))) } else { Self::Line(causes(Some(error))) }
    }

    /// The same, but that what a server says after we said who we are does not repeat `password`, nor our command, which
    /// has it in base64.
    pub(super) fn without(self, password: &str) -> Self {
        let encoded = |text: &str| STANDARD_NO_PAD.encode(text);
        let repeats = |text: &str| {
            text.contains(password)
                || text.contains(&encoded(password))
                || text
                    .split_ascii_whitespace()
                    .any(|word| STANDARD.decode(word).is_ok_and(|it| contains(&it, password)))
        };
        match self {
            Self::Answer { code, text } if !password.is_empty() && repeats(&text) => {
                Self::Answer { code, text: "and words that repeat our password, left out here".to_owned() }
            }
            other => other,
        }
    }

    /// The failure if this happened over one letter: a 5xx is about that letter, except where it asks who we are.
    ///
    /// 530, 534, 535 and 538 are about authentication: <https://www.rfc-editor.org/rfc/rfc4954#section-6>.
    pub(super) fn about_letter(self, step: &str) -> Failure {
        match self {
            Self::Answer { code: 500..=529 | 531..=533 | 536 | 537 | 539..=599, .. } => self.refusal(),
            _ => self.about_session(step),
        }
    }

    /// The failure if this happened before any letter: a 5xx is about us, and a person has to see to it.
    pub(super) fn about_session(self, step: &str) -> Failure {
        match self {
            Self::Answer { code: code @ 500..=599, text } => {
                Failure::Misconfigured(format!("the mail server answered {step} with {code} {text}"))
            }
            Self::Answer { code, text } => {
                Failure::Deferred(format!("the mail server answered {step} with {code} {text}"))
            }
            Self::Line(text) => Failure::Deferred(format!("the mail server was lost at {step}: {text}")),
            Self::Tls(text) => Failure::Misconfigured(format!("TLS failed at {step}: {text}{}", advice(&text))),
        }
    }

    fn refusal(self) -> Failure {
        match self {
            Self::Answer { code, text } => Failure::Refused { code, text },
            Self::Line(text) | Self::Tls(text) => Failure::Deferred(text),
        }
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|here| here == text.as_bytes())
}

/// What to do about the TLS faults people meet.
fn advice(text: &str) -> &'static str {
    if text.contains("UnknownIssuer") {
        " (this machine does not trust the certificate's issuer; add a private authority to the system's store, or name its file in SSL_CERT_FILE)"
    } else if text.contains("corrupt message") || text.contains("InvalidContentType") {
        " (the server does not speak TLS on this port; perhaps security should be \"starttls\")"
    } else {
        ""
    }
}

/// TLS, not the network, is at fault: somewhere in the chain is an error of the TLS library.
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let inside = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    error.is::<rustls::Error>() || inside.is_some_and(|inside| is_tls(inside)) || error.source().is_some_and(is_tls)
}

/// The chain of causes in words, each once.
fn causes(first: Option<&(dyn Error + 'static)>) -> String {
    let mut text = String::new();
    for error in std::iter::successors(first, |&error| error.source()) {
        let words = error.to_string();
        if text.contains(&words) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&words);
    }
    bounded(&text)
}

fn bounded(text: &str) -> String {
    shortened(&shown(text), TEXT_LENGTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16) -> Fault {
        Fault::Answer { code, text: "text".into() }
    }

    #[test]
    fn only_a_5xx_about_the_letter_itself_is_final() {
        for code in [500, 501, 550, 552, 553, 554, 571, 599] {
            assert!(matches!(answer(code).about_letter("RCPT"), Failure::Refused { .. }), "{code}");
        }
        for code in [530, 534, 535, 538] {
            assert!(matches!(answer(code).about_letter("RCPT"), Failure::Misconfigured(_)), "{code}");
        }
        for code in [200, 250, 354, 421, 450, 451, 452, 454] {
            assert!(matches!(answer(code).about_letter("RCPT"), Failure::Deferred(_)), "{code}");
        }
    }

    #[test]
    fn before_any_letter_a_5xx_is_for_a_person_and_a_4xx_passes() {
        assert!(matches!(answer(554).about_session("the greeting"), Failure::Misconfigured(_)));
        assert!(matches!(answer(535).about_session("AUTH"), Failure::Misconfigured(_)));
        assert!(matches!(answer(454).about_session("AUTH"), Failure::Deferred(_)));
    }

    #[test]
    fn a_server_that_repeats_our_password_is_not_quoted() {
        let said = |text: &str| Fault::Answer { code: 535, text: text.to_owned() };
        let plain = STANDARD.encode("\0shop\0tulip-7!");
        for text in ["bad password tulip-7!", &format!("syntax: AUTH PLAIN {plain}"), &STANDARD.encode("tulip-7!")] {
            let Failure::Misconfigured(told) = said(text).without("tulip-7!").about_session("AUTH") else { panic!() };
            assert!(told.contains("with 535 and words that repeat") && !told.contains("tulip"), "{told}");
            assert!(!told.contains(&plain), "{told}");
        }
        assert_eq!(said("5.7.8 not accepted").without("tulip-7!"), said("5.7.8 not accepted"));
    }

    #[test]
    fn what_a_server_says_is_repeated_briefly_and_without_its_control_characters() {
        let long = format!("no\u{7}\u{202e} {}", "x".repeat(5000));
        assert_eq!(bounded(&long).chars().count(), TEXT_LENGTH);
        assert!(bounded(&long).starts_with("no xxx"));
    }
}
