//! `GET /metrics`: what the daemon did since it was started and how things stand, in Prometheus' text format 0.0.4.
//!
//! | name | type | labels | what |
//! |---|---|---|---|
//! | `paynowd_build_info` | gauge | `version` | always 1 |
//! | `paynowd_posts_total` | counter | `integration`, `outcome` | posts: `opened`, `moved`, `repeated` and so on where they were recorded; `forged`, `malformed`, `suspect` and `contradicted` where they went into quarantine; `not-stored` where they were answered 503 |
//! | `paynowd_polls_total` | counter | `integration`, `outcome` | questions about payments: `agreed`, `confirmed` and so on, or the code of why the answer proved nothing |
//! | `paynowd_traces_total` | counter | `integration`, `outcome` | questions about orders whose payment nobody knows, the same way |
//! | `paynowd_old_key_proofs_total` | counter | `integration`, `key` | messages proven by a key behind the current one, by its place in `key_files` (2 and up) |
//! | `paynowd_replies_total` | counter | `door`, `code` | answers by the `public` and the `admin` door |
//! | `paynowd_connections` | gauge | `door` | open connections |
//! | `paynowd_letters_total` | counter | `outcome` | tries at letters: `sent`, `deferred`, `refused`, `given-up` |
//! | `paynowd_writer_queue` | gauge | | works that wait for the ledger's writer |
//! | `paynowd_commit_group_size` | histogram | | works that went to disk in one transaction |
//! | `paynowd_commit_seconds` | summary | | time from the beginning of a transaction until it was on disk; sum and count |
//! | `paynowd_commit_failures_total` | counter | | transactions that failed and left no trace |
//! | `paynowd_ledger_readable` | gauge | | 1 if the lines below could be read; else they are missing |
//! | `paynowd_polls_scheduled` | gauge | | payments a gateway is to be asked about, some day |
//! | `paynowd_polls_due` | gauge | | those it should have been asked about by now |
//! | `paynowd_letters_waiting` | gauge | | letters not sent yet |
//! | `paynowd_findings_open` | gauge | `class` | open findings; a class without one has no line |
//! | `paynowd_ledger_bytes` | gauge | | size of the ledger's file |
//! | `paynowd_nightly_run_timestamp_seconds` | gauge | | when the last nightly run began; 0 if there was none |
//!
//! Names stay. Labels come from the configuration and from lists in the program, never from a message; nothing here
//! tells of a person.

use std::fmt::{Display, Write as _};
use std::sync::Arc;

use crate::domain::Timestamp;
use crate::http::Traffic;
use crate::ledger::{ByIntegration, GROUP_SIZES, Ledger, LedgerError, NOT_STORED, Standing};
use crate::protocol::Integrations;
use crate::reconciler::NIGHTLY;

/// Outcomes of posts that are there from the beginning, at zero: a first forgery is a step up, not a line out of
/// nothing.
const POSTS: [&str; 8] = ["opened", "moved", "repeated", "contradicted", "forged", "malformed", "suspect", NOT_STORED];
/// The same of letters.
const LETTERS: [&str; 4] = ["sent", "deferred", "refused", "given-up"];

/// What goes through the daemon's doors.
#[derive(Clone, Default)]
pub(super) struct Doors {
    pub(super) public: Arc<Traffic>,
    pub(super) admin: Arc<Traffic>,
}

/// Who fills the page.
pub(super) struct Metrics {
    ledger: Arc<Ledger>,
    integrations: Arc<Integrations>,
    doors: Doors,
}

impl Metrics {
    pub(super) const fn new(ledger: Arc<Ledger>, integrations: Arc<Integrations>, doors: Doors) -> Self {
        Self { ledger, integrations, doors }
    }

    /// The page as things are `now`.
    pub(super) async fn page(&self, now: Timestamp) -> String {
        let mut page = Page::default();
        page.family("paynowd_build_info", "gauge", "Which release this is.");
        page.line("paynowd_build_info", &[("version", &env!("CARGO_PKG_VERSION"))], 1);
        self.traffic(&mut page);
        self.messages(&mut page);
        self.writer(&mut page);
        let standing = self.standing(now).await;
        page.one(
            "paynowd_ledger_readable",
            "gauge",
            "Whether the ledger could be read just now.",
            u8::from(standing.is_ok()),
        );
        match standing {
            Ok((standing, nightly)) => stands(&mut page, &standing, nightly),
            Err(error) => tracing::warn!(%error, "a page of metrics lacks what stands in the ledger"),
        }
        page.0
    }

    async fn standing(&self, now: Timestamp) -> Result<(Standing, Option<Timestamp>), LedgerError> {
        let reader = self.ledger.reader();
        Ok((reader.standing(now).await?, reader.last_run(NIGHTLY, now).await?))
    }

    fn traffic(&self, page: &mut Page) {
        let doors = [("public", &self.doors.public), ("admin", &self.doors.admin)];
        page.family("paynowd_replies_total", "counter", "Answers by status code.");
        for (door, traffic) in doors {
            for (code, count) in traffic.replies.each() {
                page.line("paynowd_replies_total", &[("door", &door), ("code", code)], count.get());
            }
        }
        page.family("paynowd_connections", "gauge", "Open connections.");
        for (door, traffic) in doors {
            page.line("paynowd_connections", &[("door", &door)], traffic.connections.inside());
        }
    }

    fn messages(&self, page: &mut Page) {
        let counts = self.ledger.counts();
        for integration in self.integrations.all() {
            for outcome in POSTS {
                counts.posts.of(&integration.name).of(&outcome);
            }
        }
        for outcome in LETTERS {
            counts.letters.of(&outcome);
        }
        page.outcomes("paynowd_posts_total", "Posts by what became of them.", &counts.posts);
        page.outcomes("paynowd_polls_total", "Questions about payments by what they brought.", &counts.polls);
        page.outcomes("paynowd_traces_total", "Questions about orders by what they brought.", &counts.traces);
        let name = "paynowd_old_key_proofs_total";
        page.family(name, "counter", "Messages proven by a key that another has replaced.");
        for (integration, keys) in counts.old_keys.each() {
            for (key, count) in keys.each() {
                page.line(name, &[("integration", integration), ("key", key)], count.get());
            }
        }
        page.family("paynowd_letters_total", "counter", "Tries at letters by what became of them.");
        for (outcome, count) in counts.letters.each() {
            page.line("paynowd_letters_total", &[("outcome", outcome)], count.get());
        }
    }

    fn writer(&self, page: &mut Page) {
        let counts = self.ledger.counts();
        page.one("paynowd_writer_queue", "gauge", "Works that wait for the writer.", self.ledger.queued() as u64);
        let name = "paynowd_commit_group_size";
        page.family(name, "histogram", "Works that went to disk in one transaction.");
        let mut groups = 0;
        for (most, count) in GROUP_SIZES.iter().zip(&counts.groups) {
            groups += count.get();
            page.line(&format!("{name}_bucket"), &[("le", most)], groups);
        }
        page.line(&format!("{name}_bucket"), &[("le", &"+Inf")], groups);
        page.line(&format!("{name}_sum"), &[], counts.works.get());
        page.line(&format!("{name}_count"), &[], groups);
        let name = "paynowd_commit_seconds";
        page.family(name, "summary", "Time until a transaction was on disk.");
        let total = counts.commits.total();
        let seconds = format_args!("{}.{:06}", total.as_secs(), total.subsec_micros()).to_string();
        page.line(&format!("{name}_sum"), &[], seconds);
        page.line(&format!("{name}_count"), &[], counts.commits.times());
        let failures = counts.failures.get();
        page.one("paynowd_commit_failures_total", "counter", "Transactions that failed and left no trace.", failures);
    }
}

/// What stands in the ledger.
fn stands(page: &mut Page, standing: &Standing, nightly: Option<Timestamp>) {
    let Standing { polls_scheduled, polls_due, letters_waiting, findings, bytes } = standing;
    page.one("paynowd_polls_scheduled", "gauge", "Payments to be asked about, some day.", *polls_scheduled);
    page.one("paynowd_polls_due", "gauge", "Payments to be asked about by now.", *polls_due);
    page.one("paynowd_letters_waiting", "gauge", "Letters not sent yet.", *letters_waiting);
    page.family("paynowd_findings_open", "gauge", "Open findings.");
    for (class, count) in findings {
        page.line("paynowd_findings_open", &[("class", class)], count);
    }
    page.one("paynowd_ledger_bytes", "gauge", "Size of the ledger's file.", *bytes);
    let last = nightly.map_or(0, |at| at.timestamp());
    page.one("paynowd_nightly_run_timestamp_seconds", "gauge", "When the last nightly run began.", last);
}

/// A page, line by line.
#[derive(Default)]
struct Page(String);

impl Page {
    /// The head of all lines of one name.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing into memory does not fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &dyn Display)], value: impl Display) {
        self.0.push_str(name);
        for (at, (label, said)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"{}\"", if at == 0 { '{' } else { ',' }, escaped(&said.to_string()));
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    /// A name that has one line.
    fn one<T: Display>(&mut self, name: &str, kind: &str, help: &str, value: T) {
        self.family(name, kind, help);
        self.line(name, &[], value);
    }

    fn outcomes(&mut self, name: &str, help: &str, family: &ByIntegration) {
        self.family(name, "counter", help);
        for (integration, outcomes) in family.each() {
            for (outcome, count) in outcomes.each() {
                self.line(name, &[("integration", integration), ("outcome", outcome)], count.get());
            }
        }
    }
}

/// The value of a label as the format wants it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_end_its_line_or_itself() {
        let mut page = Page::default();
        page.line("name", &[("label", &"a\"b\\c\nd"), ("other", &2)], 7);
        assert_eq!(page.0, "name{label=\"a\\\"b\\\\c\\nd\",other=\"2\"} 7\n");
    }
}
