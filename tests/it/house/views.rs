//! What can be seen of a house from outside, and waiting until it is seen.

use std::time::Instant;

use serde_json::Value;

use super::letters::{self, Letter};
use super::{DEADLINE, House, LOOK};

impl House {
    /// `payments list --json` with these filters.
    pub fn payments_json(&self, filters: &[&str]) -> Vec<Value> {
        json_lines(&self.done(&[&["payments", "list", "--json"], filters].concat()))
    }

    /// `mail list --json`.
    pub fn mail_json(&self) -> Vec<Value> {
        json_lines(&self.done(&["mail", "list", "--json"]))
    }

    /// `payments show KEY --json`, of the one payment there is by this name.
    pub fn show_json(&self, key: &str) -> Value {
        self.story(key).unwrap_or_else(|| panic!("no payment {key}:\n{}", self.log()))
    }

    /// The same, if there is one yet.
    pub fn story(&self, key: &str) -> Option<Value> {
        let output = self.run(&["payments", "show", key, "--json"]);
        let mut stories = json_lines(&String::from_utf8(output.stdout).unwrap());
        assert!(stories.len() < 2, "several payments are called {key}");
        stories.pop()
    }

    /// Waits until the payment is as `wanted`, and returns it as `payments show --json` does.
    pub async fn until(&self, key: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = None;
        self.wait(|| {
            last = self.story(key);
            last.clone().filter(&wanted)
        })
        .await
        .unwrap_or_else(|| panic!("the payment does not become as it should: {last:#?}\n{}", self.log()))
    }

    /// Waits until the payment stands at this status with this trust.
    pub async fn until_it_is(&self, key: &str, status: &str, trust: &str) -> Value {
        self.until(key, |story| story["status"] == status && story["trust"] == trust).await
    }

    /// Waits until `look` sees something.
    pub async fn wait<T>(&self, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        let until = Instant::now() + DEADLINE;
        loop {
            let seen = look();
            if seen.is_some() || Instant::now() > until {
                return seen;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until the log says this.
    pub async fn until_logged(&self, words: &str) {
        let seen = self.wait(|| self.log().contains(words).then_some(())).await;
        assert!(seen.is_some(), "the log never says {words:?}:\n{}", self.log());
    }

    /// The letters in the directory, the oldest first.
    pub fn letters(&self) -> Vec<Letter> {
        letters::read(&self.path("mail"))
    }

    /// Waits until there are so many letters, and returns them.
    pub async fn until_letters(&self, count: usize) -> Vec<Letter> {
        let letters = self.wait(|| Some(self.letters()).filter(|letters| letters.len() >= count)).await;
        letters.unwrap_or_else(|| panic!("there are not {count} letters:\n{}", self.log()))
    }

    /// Kind and reason of everything in quarantine, the oldest first.
    pub fn quarantine(&self) -> Vec<(String, String, Option<String>)> {
        let ledger = self.ledger();
        let mut rows = ledger.prepare("SELECT kind, reason, peer FROM quarantine ORDER BY id").unwrap();
        rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap().map(Result::unwrap).collect()
    }

    /// The ledger, opened by another process: ours.
    pub fn ledger(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path("paynowd.db")).unwrap()
    }
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
