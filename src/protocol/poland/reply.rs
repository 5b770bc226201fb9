//! Replies: a payment's status, or why not. Unsigned: what proves them is the certificate they came under.
//!
//! <https://docs.paynow.pl/docs/v3/integration>

use serde_json::{Map, Value};

use super::notification::{payment_id, required};
use super::{json, status};
use crate::domain::{GatewayKey, Status, WireStatus};
use crate::protocol::gateway::excerpt;
use crate::protocol::{Answer, Unproven};

/// What a status question is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusReply {
    /// `paymentId`.
    pub payment_id: GatewayKey,
    /// `status`, understood.
    pub status: Status,
    /// `status`, as written.
    pub wire_status: WireStatus,
}

impl StatusReply {
    /// Reads an answer: the HTTP status says whether it is a reply, `errorType` why it is none.
    ///
    /// # Errors
    /// The answer proves nothing.
    pub fn read(answer: &Answer<'_>, limit: usize) -> Result<Self, Unproven> {
        if answer.status == 200 && answer.body.trim_ascii_start().starts_with(b"<") {
            return Err(Unproven::WebPage);
        }
        let message = match json::object(answer.body, limit) {
            Ok(message) => message,
            Err(error) if answer.status == 200 => return Err(Unproven::Malformed(error.to_string())),
            Err(_) => return Err(Unproven::Status(answer.status)),
        };
        if let Some(refusal) = refusal(&message) {
            return Err(refusal);
        }
        if answer.status != 200 {
            return Err(Unproven::Status(answer.status));
        }
        let suspect = |error: super::notification::BadField| Unproven::Suspect(error.to_string());
        let wire_status = required(&message, "status", status::word).map_err(suspect)?;
        Ok(Self {
            payment_id: required(&message, "paymentId", payment_id).map_err(suspect)?,
            status: status::status(&wire_status),
            wire_status,
        })
    }
}

/// What the `errors` of a message come to: the first that a person must mend, else the first; none if there are none.
fn refusal(message: &Map<String, Value>) -> Option<Unproven> {
    let types = message.get("errors")?.as_array()?.iter().filter_map(|error| error.get("errorType")?.as_str());
    let refusals: Vec<Unproven> = types.map(meaning).collect();
    refusals.iter().find(|refusal| refusal.finding().is_some()).or(refusals.first()).cloned()
}

/// What an `errorType` means; those that are not listed pass by themselves.
fn meaning(error_type: &str) -> Unproven {
    match error_type {
        "NOT_FOUND" => Unproven::NotFound,
        "VERIFICATION_FAILED" => Unproven::BadSignature,
        "UNAUTHORIZED" => Unproven::BadApiKey,
        other => Unproven::Error(excerpt(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> Result<StatusReply, Unproven> {
        StatusReply::read(&Answer { status, body: body.as_bytes(), asked: crate::domain::Timestamp::UNIX_EPOCH }, 64)
    }

    fn error(kind: &str) -> String {
        format!(r#"{{"statusCode":404,"errors":[{{"errorType":"{kind}","message":"…"}}]}}"#)
    }

    #[test]
    fn a_status_is_read_from_a_200_and_from_nothing_else() {
        let good = r#"{"paymentId":"NOLV-8F9-08K-WGD","status":"PENDING","new":1}"#;
        assert_eq!(read(200, good).unwrap().status, Status::Pending);
        for status in [201, 302, 401, 404, 429, 500, 503] {
            assert_eq!(read(status, good), Err(Unproven::Status(status)));
        }
        assert_eq!(read(200, " <html>"), Err(Unproven::WebPage));
        assert!(matches!(read(200, "OK"), Err(Unproven::Malformed(_))));
        assert!(matches!(read(200, r#"{"status":"NEW"}"#), Err(Unproven::Suspect(_))));
        assert!(matches!(read(200, r#"{"paymentId":"NOLV-8F9-08K-WGD","status":"Paid"}"#), Err(Unproven::Suspect(_))));
        let twice = r#"{"paymentId":"NOLV-8F9-08K-WGD","status":"PENDING","status":"CONFIRMED"}"#;
        assert!(matches!(read(200, twice), Err(Unproven::Malformed(_))));
    }

    #[test]
    fn the_error_type_decides_and_the_http_status_does_not() {
        for status in [200, 400, 401, 404, 500] {
            assert_eq!(read(status, &error("NOT_FOUND")), Err(Unproven::NotFound));
            assert_eq!(read(status, &error("VERIFICATION_FAILED")), Err(Unproven::BadSignature));
            assert_eq!(read(status, &error("UNAUTHORIZED")), Err(Unproven::BadApiKey));
            let passing = Err(Unproven::Error("SYSTEM_TEMPORARILY_UNAVAILABLE".into()));
            assert_eq!(read(status, &error("SYSTEM_TEMPORARILY_UNAVAILABLE")), passing);
        }
        let several = r#"{"errors":[{"errorType":"X"},{"errorType":"UNAUTHORIZED"}]}"#;
        assert_eq!(read(400, several), Err(Unproven::BadApiKey));
        for nothing in ["{}", r#"{"errors":[]}"#, r#"{"errors":"UNAUTHORIZED"}"#, "<html>", ""] {
            assert_eq!(read(503, nothing), Err(Unproven::Status(503)), "{nothing}");
        }
    }

    #[test]
    fn only_what_a_person_can_mend_is_a_finding() {
        for kind in ["NOT_FOUND", "VERIFICATION_FAILED", "UNAUTHORIZED"] {
            assert!(read(404, &error(kind)).unwrap_err().finding().is_some(), "{kind}");
        }
        assert!(read(503, &error("SYSTEM_TEMPORARILY_UNAVAILABLE")).unwrap_err().finding().is_none());
        assert!(read(503, "").unwrap_err().finding().is_none());
    }
}
