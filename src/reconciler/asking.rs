//! One question: put to a gateway, its answer read, and what that proves stored. When to ask is the poller's.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use uuid::Uuid;

use super::Clock;
use crate::domain::Outcome;
use crate::http::{Client, Method, Reply, Request, SendError};
use crate::ledger::{Admission, Due, DuePoll, DueTrace, Ledger, LedgerError, Unanswered, Untraced};
use crate::protocol::{self, Answer, Integration, Question, Traced};

/// What every question needs.
#[derive(Clone)]
pub(super) struct Asker {
    pub(super) ledger: Arc<Ledger>,
    pub(super) client: Client,
    pub(super) clock: Clock,
}

impl Asker {
    /// Asks what is due and stores what that proves. Returns how long the gateway wants to be left alone.
    pub(super) async fn ask(&self, integration: &Integration, due: Due) -> Result<Option<Duration>, LedgerError> {
        match due {
            Due::Poll(poll) => self.poll(integration, poll).await,
            Due::Trace(trace) => self.trace(integration, trace).await,
        }
    }

    /// Asks about one payment.
    async fn poll(&self, integration: &Integration, poll: DuePoll) -> Result<Option<Duration>, LedgerError> {
        let (payment, asked) = (&poll.payment, self.clock.now());
        let (seen, retry_after, patience) = match self.put(integration.gateway.question(payment, Uuid::new_v4())).await
        {
            Err((code, detail)) => (Err((code, detail, None)), None, None),
            Ok(reply) => {
                let answer = Answer { status: reply.status, body: &reply.body, asked };
                let seen = integration
                    .gateway
                    .read_answer(payment, &answer, self.clock.now())
                    .map_err(|unproven| (unproven.code(), unproven.to_string(), unproven.finding()));
                (seen, reply.retry_after, patience(&reply))
            }
        };
        let terms = Arc::clone(&integration.terms);
        match seen {
            Ok(seen) => {
                let recorded = self.ledger.record(seen, None, terms, Admission::Wait).await?;
                if recorded.outcome != Outcome::Agreed {
                    tracing::info!(
                        integration = %integration.name,
                        payment.reference = payment.facts.reference.as_ref().map(tracing::field::display),
                        payment.status = recorded.status.code(),
                        channel = "poll",
                        outcome = recorded.outcome.code(),
                        "poll recorded"
                    );
                }
            }
            Err((code, detail, finding)) => {
                tracing::debug!(
                    integration = %integration.name,
                    payment.reference = payment.facts.reference.as_ref().map(tracing::field::display),
                    code,
                    detail,
                    "poll proved nothing"
                );
                let explanation = finding.as_ref().map(|finding| (finding.found.clone(), finding.class.next_step()));
                let unanswered = Unanswered {
                    integration: integration.name.clone(),
                    key: payment.key.clone(),
                    at: self.clock.now(),
                    code,
                    detail,
                    finding,
                    retry_after,
                };
                let news = self.ledger.unanswered(unanswered, terms).await?;
                if let (true, Some((trouble, next_step))) = (news, explanation) {
                    tracing::warn!(integration = %integration.name, code, trouble, next_step, "a poll needs a person");
                }
            }
        }
        Ok(patience)
    }

    /// Looks for the payment of one order, unless it has come by itself.
    async fn trace(&self, integration: &Integration, due: DueTrace) -> Result<Option<Duration>, LedgerError> {
        if let Some(payment) = due.payment {
            self.ledger.came(due.id, payment).await?;
            return Ok(None);
        }
        let (asked, terms) = (self.clock.now(), Arc::clone(&integration.terms));
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
            Ok(Traced::Found(seen)) => {
                let recorded = self.ledger.traced(due.id, due.trace, *seen, terms).await?;
                tracing::info!(
                    integration = %integration.name,
                    payment.reference = %due.reference,
                    payment.status = recorded.status.code(),
                    channel = "trace",
                    outcome = recorded.outcome.code(),
                    "trace recorded"
                );
                return Ok(patience);
            }
            Ok(Traced::NotFound) => ("not-found", "the gateway knows no payment with this trace".to_owned()),
            Err(unproven) => unproven,
        };
        tracing::debug!(
            integration = %integration.name,
            payment.reference = %due.reference,
            code,
            detail,
            "trace brought no payment"
        );
        let integration = integration.name.clone();
        let untraced = Untraced { integration, id: due.id, trace: due.trace, at: self.clock.now(), code, retry_after };
        self.ledger.untraced(untraced, terms).await?;
        Ok(patience)
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
