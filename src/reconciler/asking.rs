//! One question: put to a gateway, its answer read, and then what that proves stored. When to do either is the
//! poller's.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use uuid::Uuid;

use super::Clock;
use crate::domain::{Observation, Outcome, Reference, masked};
use crate::http::{Client, Method, Reply, Request, SendError};
use crate::ledger::{Admission, Due, DuePoll, DueTrace, Ledger, LedgerError, Unanswered, Untraced};
use crate::protocol::{self, Answer, Integration, Question, Traced, Verified};

/// What every question needs.
#[derive(Clone)]
pub(super) struct Asker {
    pub(super) ledger: Arc<Ledger>,
    pub(super) client: Client,
    pub(super) clock: Clock,
}

/// What came of a question, to be stored.
pub(super) struct Heard {
    integration: Arc<Integration>,
    word: Word,
    /// How long the gateway wants to be left alone.
    pub(super) patience: Option<Duration>,
}

/// What can come of one.
enum Word {
    /// Where the payment of this reference stands.
    Stands(Option<Reference>, Verified<Observation>),
    /// Nothing that proves anything about a payment.
    Unanswered(Unanswered),
    /// The payment of this order.
    Traced(DueTrace, Box<Verified<Observation>>),
    /// No payment of an order.
    Untraced(Untraced),
    /// Nobody had to be asked: this order's payment has come by itself.
    Came { order: i64, payment: i64 },
}

impl Asker {
    /// Asks what is due.
    pub(super) async fn ask(&self, integration: Arc<Integration>, due: Due) -> Heard {
        let (word, patience) = match due {
            Due::Poll(poll) => self.poll(&integration, poll).await,
            Due::Trace(trace) => self.trace(&integration, trace).await,
        };
        Heard { integration, word, patience }
    }

    /// Asks about one payment.
    async fn poll(&self, integration: &Integration, poll: DuePoll) -> (Word, Option<Duration>) {
        let (payment, asked) = (poll.payment, self.clock.now());
        let (seen, retry_after, patience) = match self.put(integration.gateway.question(&payment, Uuid::new_v4())).await
        {
            Err((code, detail)) => (Err((code, detail, None)), None, None),
            Ok(reply) => {
                let answer = Answer { status: reply.status, body: &reply.body, asked };
                let seen = integration
                    .gateway
                    .read_answer(&payment, &answer, self.clock.now())
                    .map_err(|unproven| (unproven.code(), unproven.to_string(), unproven.finding()));
                (seen, reply.retry_after, patience(&reply))
            }
        };
        let (code, detail, finding) = match seen {
            Ok(seen) => return (Word::Stands(payment.facts.reference, seen), patience),
            Err(unproven) => unproven,
        };
        tracing::debug!(
            integration = %integration.name,
            payment.reference = payment.facts.reference.as_ref().map(masked).map(tracing::field::display),
            code,
            detail,
            "poll proved nothing"
        );
        let (key, at) = (payment.key, self.clock.now());
        let integration = integration.name.clone();
        (Word::Unanswered(Unanswered { integration, key, at, code, detail, finding, retry_after }), patience)
    }

    /// Looks for the payment of one order, unless it has come by itself.
    async fn trace(&self, integration: &Integration, due: DueTrace) -> (Word, Option<Duration>) {
        if let Some(payment) = due.payment {
            return (Word::Came { order: due.id, payment }, None);
        }
        let asked = self.clock.now();
        let (traced, retry_after, patience) = match self.put(integration.gateway.trace(&due.trace)).await {
            Err(failed) => (Err(failed), None, None),
            Ok(reply) => {
                let answer = Answer { status: reply.status, body: &reply.body, asked };
                let traced = integration.gateway.read_traced(&due.trace, &answer, self.clock.now());
                let traced = traced.map_err(|unproven| (unproven.code(), unproven.to_string()));
                (traced, reply.retry_after, patience(&reply))
            }
        };
        let (code, detail) = match traced {
            Ok(Traced::Found(seen)) => return (Word::Traced(due, seen), patience),
            Ok(Traced::NotFound) => ("not-found", "the gateway knows no payment with this trace".to_owned()),
            Err(unproven) => unproven,
        };
        tracing::debug!(
            integration = %integration.name,
            payment.reference = %masked(&due.reference),
            code,
            detail,
            "trace brought no payment"
        );
        let (integration, at) = (integration.name.clone(), self.clock.now());
        (Word::Untraced(Untraced { integration, id: due.id, trace: due.trace, at, code, retry_after }), patience)
    }

    /// Stores what came of a question.
    pub(super) async fn store(&self, Heard { integration, word, .. }: Heard) -> Result<(), LedgerError> {
        let terms = Arc::clone(&integration.terms);
        match word {
            Word::Stands(reference, seen) => {
                let recorded = self.ledger.record(seen, None, terms, Admission::Wait).await?;
                if recorded.outcome != Outcome::Agreed {
                    tracing::info!(
                        integration = %integration.name,
                        payment.reference = reference.as_ref().map(masked).map(tracing::field::display),
                        payment.status = recorded.status.code(),
                        channel = "poll",
                        outcome = recorded.outcome.code(),
                        "poll recorded"
                    );
                }
            }
            Word::Unanswered(unanswered) => {
                let code = unanswered.code;
                let finding = unanswered.finding.as_ref();
                let explanation = finding.map(|finding| (finding.found.clone(), finding.class.next_step()));
                let news = self.ledger.unanswered(unanswered, terms).await?;
                if let (true, Some((trouble, next_step))) = (news, explanation) {
                    tracing::warn!(integration = %integration.name, code, trouble, next_step, "a poll needs a person");
                }
            }
            Word::Traced(due, seen) => {
                let recorded = self.ledger.traced(due.id, due.trace, *seen, terms).await?;
                tracing::info!(
                    integration = %integration.name,
                    payment.reference = %masked(&due.reference),
                    payment.status = recorded.status.code(),
                    channel = "trace",
                    outcome = recorded.outcome.code(),
                    "trace recorded"
                );
            }
            Word::Untraced(untraced) => self.ledger.untraced(untraced, terms).await?,
            Word::Came { order, payment } => self.ledger.came(order, payment).await?,
        }
        Ok(())
    }

    /// Puts a gateway's question over HTTP.
    async fn put(&self, question: Option<Question>) -> Result<Reply, (&'static str, String)> {
        let question = question.ok_or(("no-question", "there is no way to ask about it".to_owned()))?;
        let request = request(question).ok_or(("no-question", "the question does not fit into HTTP".to_owned()))?;
        self.client.send(request).await.map_err(|error| (code(&error), error.to_string()))
    }
}

/// How long a gateway that has too much to do wants to be left alone.
fn patience(reply: &Reply) -> Option<Duration> {
    reply.retry_after.filter(|_| matches!(reply.status, 429 | 503))
}

fn request(question: Question) -> Option<Request> {
    let header = |(name, value): (&'static str, String)| {
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
    };
    let headers = question.headers.into_iter().map(header).collect::<Option<_>>()?;
    Some(Request {
        method: match question.method {
            protocol::Method::Get => Method::Get,
            protocol::Method::Post => Method::Post,
        },
        uri: question.url.parse().ok()?,
        headers,
        body: question.body.into(),
    })
}

/// The stable code of a question that did not get through.
const fn code(error: &SendError) -> &'static str {
    match error {
        SendError::Refused(_) => "refused-address",
        SendError::Unreachable(_) => "unreachable",
        SendError::Certificate(_) => "certificate",
        SendError::Tls(_) => "tls",
        SendError::TimedOut(_) => "timed-out",
        SendError::TooLarge(_) => "too-large",
        SendError::Broken(_) => "broken",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_question_carries_is_not_printed() {
        let question = Question {
            method: protocol::Method::Get,
            url: "https://api.paynow.pl/v3/payments/NOLV-8F9-08K-WGD/status".into(),
            headers: vec![("api-key", "hunter2".into())],
            body: Vec::new(),
        };
        assert!(!format!("{question:?}").contains("hunter2"));
        let headers = request(question).unwrap().headers;
        assert_eq!(headers[0].1.as_bytes(), b"hunter2");
        assert!(!format!("{headers:?}").contains("hunter2"));
    }
}
