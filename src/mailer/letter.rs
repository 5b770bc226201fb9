//! One letter: from what the ledger wants told to the bytes that travel. It neither sends nor remembers anything.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::Datelike;
use lettre::Message;
use lettre::address::Envelope;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};
use serde::Serialize;

use super::shown::shell_word;
use super::wording::{self, Certainty};
use super::{report, shown};
use crate::domain::{Mode, NoticeKind, Payment, Timestamp};
use crate::ledger::About;

const TEXT: &str = include_str!("templates/letter.txt");
const HTML: &str = include_str!("templates/letter.html");
/// What an attached table is.
const TABLE: &str = "text/csv; charset=utf-8";
/// How long a Message-ID may be, in bytes: with `.eml` behind it, it is also a file name.
const MESSAGE_ID_LENGTH: usize = 200;

/// What is to be told, to whom: an entry of the outbox.
#[derive(Clone, Debug)]
pub struct Letter {
    /// `local@domain`, without angle brackets: letters, digits and `. _ + = -`, at most 200 bytes. The same for every
    /// attempt at the same letter, so that a repeat is recognised; no secret and no poll-URL GUID in it.
    pub message_id: String,
    /// The recipient's address, from the configuration.
    pub recipient: String,
    /// What it tells.
    pub about: About,
    /// When the ledger decided to write: the letter's `Date`, the same for every attempt.
    pub written: Timestamp,
}

/// What a letter says, before it is addressed.
pub(super) struct Content {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
    /// Files that go with it, by name: tables of comma-separated values.
    pub(super) attachments: Vec<(&'static str, Vec<u8>)>,
}

/// A letter ready to travel; made only by [`compose`].
#[derive(Clone, Debug)]
pub struct Composed {
    message_id: String,
    subject: String,
    envelope: Envelope,
    bytes: Vec<u8>,
}

/// Why a letter cannot be written. Trying again without changing the input gives the same answer.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// The recipient is not an address mail can be sent to (only ASCII addresses are supported).
    #[error("{0:?} is not an ASCII e-mail address")]
    Recipient(String),
    /// The sender is not an address mail can be sent from.
    #[error("the From address is not an ASCII e-mail address")]
    Sender,
    /// The Message-ID could not stand in a header or name a file.
    #[error("{0:?} is not a Message-ID of letters, digits and . _ + = - around one @, at most 200 bytes long")]
    MessageId(String),
    /// The letter's date is before 1970 or after 9999.
    #[error("a letter cannot be dated {0}")]
    Written(Timestamp),
    /// A template of ours is wrong.
    #[error("cannot fill in a letter's template")]
    Template(#[from] minijinja::Error),
    /// The kind of an attachment is none. Ours are constant.
    #[error("cannot name the kind of an attachment")]
    Attachment,
    /// The message could not be put together.
    #[error("cannot put a letter together")]
    Message(#[from] lettre::error::Error),
}

impl Composed {
    /// The Message-ID, without angle brackets.
    pub fn message_id(&self) -> &str {
        &self.message_id
    }

    /// The subject, as people read it.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// From whom and to whom.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The message, headers and body, in ASCII with CRLF line ends (RFC 5322).
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Writes the letter: text and HTML, times in `zone` and in UTC.
///
/// # Errors
/// This letter can never be written as it is: give it up and tell a person, do not try again.
pub fn compose(letter: &Letter, from: &Mailbox, zone: chrono_tz::Tz) -> Result<Composed, ComposeError> {
    let not_an_address = || ComposeError::Recipient(shown(&letter.recipient));
    let recipient: Mailbox = letter.recipient.parse().map_err(|_| not_an_address())?;
    if !AsRef::<str>::as_ref(&recipient.email).is_ascii() {
        return Err(not_an_address());
    }
    if !AsRef::<str>::as_ref(&from.email).is_ascii() {
        return Err(ComposeError::Sender);
    }
    if !is_message_id(&letter.message_id) {
        return Err(ComposeError::MessageId(shown(&letter.message_id)));
    }
    if !(1970..=9999).contains(&letter.written.year()) {
        return Err(ComposeError::Written(letter.written));
    }

    let content = match &letter.about {
        About::Payment { kind, payment } => Page::of(*kind, payment, zone).content()?,
        About::Report(reported) => report::content(reported)?,
    };
    let automatic = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
    let builder = Message::builder()
        .message_id(Some(format!("<{}>", letter.message_id)))
        .date(SystemTime::from(letter.written))
        .from(from.clone())
        .to(recipient)
        .raw_header(subject(&content.subject))
        .raw_header(automatic);
    let words = MultiPart::alternative()
        .singlepart(part(ContentType::TEXT_PLAIN, content.text))
        .singlepart(part(ContentType::TEXT_HTML, content.html));
    let message = if content.attachments.is_empty() {
        builder.multipart(words)?
    } else {
        let table = ContentType::parse(TABLE).map_err(|_| ComposeError::Attachment)?;
        let files = content.attachments.into_iter();
        let attach = |all: MultiPart, (name, bytes): (&str, Vec<u8>)| {
            all.singlepart(Attachment::new(name.to_owned()).body(bytes, table.clone()))
        };
        builder.multipart(files.fold(MultiPart::mixed().multipart(words), attach))?
    };
    Ok(Composed {
        message_id: letter.message_id.clone(),
        subject: content.subject,
        envelope: message.envelope().clone(),
        bytes: message.formatted(),
    })
}

/// Writes a letter about nothing, to see whether letters arrive.
///
/// # Errors
/// The recipient or the sender is not an address.
pub fn compose_test(recipient: &str, from: &Mailbox, now: Timestamp) -> Result<Composed, ComposeError> {
    let to: Mailbox = recipient.parse().map_err(|_| ComposeError::Recipient(shown(recipient)))?;
    let message_id = format!("test.{}@{}", now.timestamp_millis(), from.email.domain());
    let subject = "Test letter from paynowd".to_owned();
    let message = Message::builder()
        .message_id(Some(format!("<{message_id}>")))
        .date(SystemTime::from(now))
        .from(from.clone())
        .to(to)
        .subject(subject.clone())
        .header(ContentType::TEXT_PLAIN)
        .body("If you can read this, paynowd's letters reach you.\r\n".to_owned())?;
    Ok(Composed { message_id, subject, envelope: message.envelope().clone(), bytes: message.formatted() })
}

/// How many bytes of a subject one encoded word holds: with the header's name before it, a line of at most 76.
const ENCODED_WORD: usize = 39;

/// The subject as a header that a mail program shows as it is meant. What looks like an encoded word (RFC 2047) would be
/// decoded, and a customer may have typed it as an order number: then all of it is encoded, and that is decoded once.
fn subject(text: &str) -> HeaderValue {
    let name = HeaderName::new_from_ascii_str("Subject");
    if !text.contains("=?") {
        return HeaderValue::new(name, text.to_owned());
    }
    let (mut words, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let (word, more) = rest.split_at(rest.floor_char_boundary(ENCODED_WORD));
        words.push(format!("=?utf-8?b?{}?=", BASE64.encode(word)));
        rest = more;
    }
    HeaderValue::dangerous_new_pre_encoded(name, text.to_owned(), words.join("\r\n "))
}

/// Quoted-printable always: ASCII on the wire, and still legible in the `.eml`.
fn part(kind: ContentType, text: String) -> SinglePart {
    SinglePart::builder().header(kind).header(ContentTransferEncoding::QuotedPrintable).body(text)
}

fn is_message_id(text: &str) -> bool {
    let atom = |part: &str, extra: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.ends_with('.')
            && !part.contains("..")
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || extra.as_bytes().contains(&byte))
    };
    text.len() <= MESSAGE_ID_LENGTH
        && text.split_once('@').is_some_and(|(local, domain)| atom(local, "._+=-") && atom(domain, ".-"))
}

/// Everything the templates show, already fit to be seen.
#[derive(Serialize)]
struct Page {
    subject: String,
    test: bool,
    news: String,
    certainty: &'static str,
    next_step: &'static str,
    facts: Vec<Fact>,
    command: String,
}

#[derive(Serialize)]
struct Fact {
    label: &'static str,
    value: String,
}

impl Page {
    fn of(kind: NoticeKind, payment: &Payment, zone: chrono_tz::Tz) -> Self {
        let certainty = Certainty::of(kind, payment.trust);
        Self {
            subject: wording::subject(kind, payment),
            test: payment.mode == Mode::Test,
            news: wording::news(kind, payment),
            certainty: certainty.sentence(),
            next_step: wording::next_step(kind.status(), certainty, payment),
            facts: facts(kind, payment, zone),
            command: command(payment),
        }
    }

    fn content(self) -> Result<Content, minijinja::Error> {
        let (text, html) = rendered(&self, ("letter.txt", TEXT), ("letter.html", HTML))?;
        Ok(Content { subject: self.subject, text, html, attachments: Vec::new() })
    }
}

/// The text and the HTML of a page, by the templates of these names; what is for HTML is escaped.
pub(super) fn rendered<P: Serialize>(
    page: &P,
    text: (&str, &str),
    html: (&str, &str),
) -> Result<(String, String), minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let page = Value::from(Serde(page));
    let text = environment.render_named_str(text.0, text.1, page.clone())?;
    let html = environment.render_named_str(html.0, html.1, page)?;
    Ok((text + "\n", html + "\n"))
}

/// The facts worth a line of their own, in the order a shop owner looks for them.
fn facts(kind: NoticeKind, payment: &Payment, zone: chrono_tz::Tz) -> Vec<Fact> {
    let paid_apart =
        payment.facts.amount_paid.filter(|paid| payment.facts.amount.is_some_and(|amount| amount != *paid));
    let label = kind.status().label();
    let status = match wording::gateway_word(kind, payment) {
        Some(word) if !word.eq_ignore_ascii_case(label) => format!("{label} (Paynow says: {word})"),
        Some(_) | None => label.to_owned(),
    };
    let mode = match payment.mode {
        Mode::Live => "live",
        Mode::Test => "test, no real money",
    };
    let local = payment.last_changed.with_timezone(&zone);
    [
        ("Amount", Some(wording::sum(payment).unwrap_or_else(|| "unknown (Paynow does not say)".to_owned()))),
        ("Customer paid", paid_apart.map(|paid| wording::money(payment, paid))),
        ("Reference", wording::reference(payment)),
        ("Paynow reference", wording::number(payment)),
        ("Status", Some(status)),
        ("Integration", Some(payment.integration.to_string())),
        ("Mode", Some(mode.to_owned())),
        ("When", Some(format!("{} ({})", local.format("%-d %B %Y, %H:%M"), zone.name()))),
        ("In UTC", Some(payment.last_changed.format("%-d %B %Y, %H:%M").to_string())),
    ]
    .into_iter()
    .filter_map(|(label, value)| value.map(|value| Fact { label, value }))
    .collect()
}

/// The command that shows the payment: by its key, which is its own, unless that is the GUID of a poll URL, which is as
/// good as the URL and does not belong into a letter; then by the merchant's reference.
fn command(payment: &Payment) -> String {
    match &payment.facts.reference {
        _ if payment.key.guid().is_none() => format!("paynowd payments show {}", payment.key),
        Some(reference) => {
            let gap = if reference.as_str().starts_with('-') { '=' } else { ' ' };
            format!("paynowd payments list --reference{gap}{}", shell_word(reference.as_str()))
        }
        None => "paynowd payments list".to_owned(),
    }
}

#[cfg(test)]
#[path = "letter_tests.rs"]
pub(super) mod tests;
