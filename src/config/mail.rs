//! `[mail]`: from whom letters come, how they leave, and how long we try. Sends nothing.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::Address;
use lettre::message::Mailbox;
use secrecy::SecretString;

use super::reader::Section;
use super::secrets::Vault;

/// From whom letters are while none leaves this machine.
const FROM: &str = "paynowd <paynowd@localhost>";
/// One hour.
const HOUR: Duration = Duration::from_hours(1);

/// How letters leave.
#[derive(Clone, Debug)]
pub struct MailConfig {
    /// Whom they are from.
    pub from: Mailbox,
    /// By which way.
    pub transport: Transport,
    /// Waits between tries; the last repeats. Never empty.
    pub retry: Vec<Duration>,
    /// When to stop trying: after this age, but not before every wait has been used once.
    pub give_up_after: Duration,
}

/// By which way letters leave.
#[derive(Clone, Debug)]
pub enum Transport {
    /// One `.eml` a letter into this directory.
    Directory(PathBuf),
    /// To a mail server.
    Smtp(SmtpConfig),
}

/// A mail server.
#[derive(Clone, Debug)]
pub struct SmtpConfig {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the conversation is protected.
    pub security: SmtpSecurity,
    /// Who we are to it and what proves it; `None` if it does not ask.
    pub login: Option<(String, SecretString)>,
    /// How long one letter may take, name and connection included.
    pub timeout: Duration,
}

/// How a conversation with a mail server is protected. There is no "if possible".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// TLS after `STARTTLS`, or no letter.
    StartTls,
    /// TLS from the first byte.
    Tls,
    /// Not at all; only to this machine.
    None,
}

crate::domain::codes!(SmtpSecurity { StartTls = "starttls", Tls = "tls", None = "none" });

/// Which way was chosen, before it is known to be passable.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Directory,
    Smtp,
}

impl MailConfig {
    /// Relative directories are relative to `state`.
    pub(super) fn read(mut section: Section<'_>, vault: &Vault, state: &Path) -> Self {
        let way = section.choice("transport", Way::Directory, &[("directory", Way::Directory), ("smtp", Way::Smtp)]);
        if way == Way::Smtp {
            section.require("from", "a mail server wants a real sender, like \"Ledger <ledger@shop.example>\"");
        }
        let sender = "a sender like \"Paynow ledger <ledger@shop.example>\"";
        let from = section.read("from", sender, mailbox).or_else(|| mailbox(FROM));
        let directory = section.place("directory", "mail", state);
        if way == Way::Directory && directory.is_file() {
            section.error("directory", "is a file; name a directory");
        }
        let smtp = SmtpConfig::read(section.subsection("smtp"), vault, way == Way::Smtp);
        let config = Self {
            from: from.unwrap_or_else(|| Mailbox::new(None, Address::new_dangerous("paynowd", "localhost"))),
            transport: smtp.map_or(Transport::Directory(directory), Transport::Smtp),
            retry: section
                .durations("retry", 1..=20, Duration::from_millis(100)..=7 * 24 * HOUR)
                .filter(|waits| !waits.is_empty())
                .unwrap_or_else(|| [1, 5, 15, 60, 240].map(Duration::from_mins).to_vec()),
            give_up_after: section.duration("give_up_after", 5 * 24 * HOUR, Duration::from_secs(1)..=60 * 24 * HOUR),
        };
        section.finish();
        config
    }
}

impl SmtpConfig {
    /// Checks the section in any case; requires it and reads its password only if letters go this way.
    fn read(mut section: Section<'_>, vault: &Vault, in_use: bool) -> Option<Self> {
        section.forbid(
            "password",
            "a password does not belong in the configuration: put it in a file and name it in password_file",
        );
        if in_use {
            section.require("host", "the mail server's name, for example \"localhost\"");
        }
        let named = |text: &str| (!text.contains([' ', '/', '@', ':']) || is_ip(text)).then(|| text.to_owned());
        let host = section.read("host", "the name or address of a mail server, without a port", named);
        let choices =
            [SmtpSecurity::StartTls, SmtpSecurity::Tls, SmtpSecurity::None].map(|choice| (choice.code(), choice));
        let security = section.choice("security", SmtpSecurity::StartTls, &choices);
        let usual = match security {
            SmtpSecurity::StartTls => 587,
            SmtpSecurity::Tls => 465,
            SmtpSecurity::None => 25,
        };
        let port = section.number("port", usual, 1..=u16::MAX);
        let timeout =
            section.duration("timeout", Duration::from_mins(1), Duration::from_millis(100)..=Duration::from_mins(10));
        if security == SmtpSecurity::None && host.as_deref().is_some_and(|host| !is_loopback(host)) {
            section
                .error("security", "\"none\" is only for a mail server on this machine; use \"starttls\" or \"tls\"");
        }
        let username = section.text("username");
        if section.has("username") != section.has("password_file") {
            section.error("username", "username and password_file belong together: give both or neither");
        }
        let password = if in_use {
            vault.password(&mut section, "password_file")
        } else {
            section.text("password_file").and(None)
        };
        section.finish();
        let host = host.filter(|_| in_use)?;
        Some(Self { host, port, security, login: username.zip(password), timeout })
    }
}

fn is_ip(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok()
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// One sender, with or without a name, and nothing after it.
fn mailbox(text: &str) -> Option<Mailbox> {
    let whole = if text.contains('<') { text.ends_with('>') } else { text.parse::<Address>().is_ok() };
    text.parse().ok().filter(|_| whole && text.matches('<').count() <= 1)
}
