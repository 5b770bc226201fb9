//! The configuration of a house: a shop's, in a hurry. Tests say only what differs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::{BUTTON_KEY, SHOP_KEY};

/// What differs from the usual house.
#[derive(Default)]
pub struct Settings {
    values: BTreeMap<String, BTreeMap<String, String>>,
    files: Vec<(String, String)>,
    environment: Vec<(String, String)>,
}

impl Settings {
    /// A shop and a button, letters into a directory, polls within milliseconds.
    pub fn usual() -> Self {
        Self::default()
            .set("server.listen", "127.0.0.1:0")
            .set("admin.listen", "127.0.0.1:0")
            .set("poll.confirm", ["0s", "150ms", "150ms", "150ms"])
            .set("poll.pending", ["150ms until 5m"])
            .set("poll.held", ["150ms until 5m"])
            .set("poll.gap", "50ms")
            .set("mail.from", "Paynow ledger <ledger@shop.example>")
            .set("integrations.shop.protocol", "paynow-zimbabwe")
            .set("integrations.shop.id", "1201")
            .set("integrations.shop.key_files", ["shop.key"])
            .set("integrations.shop.currency", "USD")
            .set("integrations.shop.notify", ["owner@shop.example"])
            .set("integrations.button.protocol", "paynow-zimbabwe-button")
            .set("integrations.button.key_files", ["button.key"])
            .set("integrations.button.currency", "USD")
            .set("integrations.button.notify", ["owner@shop.example"])
            .file("shop.key", SHOP_KEY)
            .file("button.key", BUTTON_KEY)
    }

    /// Sets `section.key`; the last dot separates them.
    pub fn set(mut self, key: &str, value: impl Serialize) -> Self {
        let (section, key) = key.rsplit_once('.').unwrap();
        // What JSON writes for texts, numbers and lists of them is TOML, too.
        let value = serde_json::to_string(&value).unwrap();
        self.values.entry(section.to_owned()).or_default().insert(key.to_owned(), value);
        self
    }

    /// A file beside the configuration, for its owner only.
    pub fn file(mut self, name: &str, content: &str) -> Self {
        self.files.retain(|(other, _)| other != name);
        self.files.push((name.to_owned(), content.to_owned()));
        self
    }

    /// A variable of every command's environment.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Letters go to a mail server on this machine.
    pub fn smtp(self, port: u16, security: &str) -> Self {
        self.set("mail.transport", "smtp")
            .set("mail.retry", ["100ms"])
            .set("mail.smtp.host", "localhost")
            .set("mail.smtp.port", port)
            .set("mail.smtp.security", security)
    }

    /// The text of daemon.toml, the other files, and the environment.
    #[expect(clippy::type_complexity, reason = "taken apart where it is used, once")]
    pub(super) fn finish(mut self, gateway: &str) -> (String, Vec<(String, String)>, Vec<(String, String)>) {
        for values in self.values.values_mut() {
            if values.get("protocol").is_some_and(|protocol| protocol == "\"paynow-zimbabwe\"") {
                values.entry("gateway".to_owned()).or_insert_with(|| format!("\"{gateway}\""));
            }
        }
        let mut text = String::new();
        for (section, values) in &self.values {
            writeln!(text, "[{section}]").unwrap();
            for (key, value) in values {
                writeln!(text, "{key} = {value}").unwrap();
            }
        }
        (text, self.files, self.environment)
    }
}
