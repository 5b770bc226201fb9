//! Which page a request is for. Paths are taken in any letter case, as Paynow takes them.

use std::sync::Arc;

use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};

use super::state::Twin;
use super::{control, merchant, poll};
use crate::http::{Response, empty};
use crate::simulator::server::{text, with};

/// What a person who opens the twin in a browser, or asks for a page it does not have, is told.
const MAP: &str = "This is a simulation of Paynow Zimbabwe; no money moves here.\n\n\
    POST /interface/initiatetransaction\n\
    POST /interface/remotetransaction\n\
    POST /interface/trace\n\
    POST /Interface/CheckPayment/?guid=GUID\n\
    GET  /Payment/ConfirmPayment/NUMBER\n\n\
    GET  /simulator/payments\n\
    POST /simulator/payments               reference, amount, resulturl\n\
    POST /simulator/payments/GUID/status   status\n\
    POST /simulator/button                 url, amount, paid, reference, name, email, phone, ...\n\
    POST /simulator/misbehave              misbehaviour, times, seconds\n";

/// The answer to one request.
pub(super) async fn answer(twin: Arc<Twin>, request: Request<Bytes>) -> Response {
    let path = request.uri().path().to_ascii_lowercase();
    let path: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (is_post, body) = (request.method() == Method::POST, request.body());
    let is_get = request.method() == Method::GET;
    match path.as_slice() {
        ["interface", "initiatetransaction"] if is_post => merchant::initiate(&twin, body),
        ["interface", "remotetransaction"] if is_post => merchant::express(&twin, body),
        ["interface", "trace"] if is_post => merchant::trace(&twin, body),
        ["interface", "checkpayment"] if is_post || is_get => {
            poll::check(&twin, request.uri().query().unwrap_or_default()).await
        }
        ["payment", "confirmpayment", number] if is_get => control::confirm(&twin, number),
        ["simulator", "payments"] if is_get => control::list(&twin),
        ["simulator", "payments"] if is_post => control::begin(&twin, body),
        ["simulator", "payments", guid, "status"] if is_post => control::set_status(&twin, guid, body).await,
        ["simulator", "button"] if is_post => control::button(&twin, body).await,
        ["simulator", "misbehave"] if is_post => control::misbehave(&twin, body),
        ["interface", "initiatetransaction" | "remotetransaction" | "trace"]
        | ["simulator", "payments", _, "status"]
        | ["simulator", "button" | "misbehave"] => with(empty(StatusCode::METHOD_NOT_ALLOWED), "allow", "POST"),
        ["interface", "checkpayment"] | ["simulator", "payments"] => {
            with(empty(StatusCode::METHOD_NOT_ALLOWED), "allow", "GET, POST")
        }
        ["payment", "confirmpayment", _] => with(empty(StatusCode::METHOD_NOT_ALLOWED), "allow", "GET"),
        [] | ["simulator"] => text(StatusCode::OK, MAP),
        _ => text(StatusCode::NOT_FOUND, MAP),
    }
}
