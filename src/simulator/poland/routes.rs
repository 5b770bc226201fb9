//! Which page a request is for.

use std::sync::Arc;

use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};

use super::state::Twin;
use super::{control, payments};
use crate::http::{Response, empty};
use crate::simulator::server::{text, with};

/// What a person who opens the twin in a browser, or asks for a page it does not have, is told.
const MAP: &str = "This is a simulation of Paynow Poland; no money moves here.\n\n\
    POST /v3/payments                      Api-Key, Idempotency-Key, Signature; JSON\n\
    GET  /v3/payments/PAYMENTID/status     Api-Key, Idempotency-Key, Signature\n\n\
    GET  /simulator/payments\n\
    POST /simulator/payments               externalId, amount, notificationUrl, authorizationCode\n\
    POST /simulator/payments/PAYMENTID/status   status\n\
    POST /simulator/misbehave              misbehaviour, times, seconds\n\n\
    authorizationCode: 111111 succeeds, 222222 stays PENDING, 333333 to 333336 are rejected,\n\
    444444 stays NEW for 20 s and ends in ERROR.\n";

/// The answer to one request.
pub(super) async fn answer(twin: Arc<Twin>, request: Request<Bytes>) -> Response {
    let path: Vec<&str> = request.uri().path().split('/').filter(|part| !part.is_empty()).collect();
    let is_post = request.method() == Method::POST;
    let is_get = request.method() == Method::GET;
    match path.as_slice() {
        ["v3", "payments"] if is_post => payments::create(&twin, &request),
        ["v3", "payments", id, "status"] if is_get => payments::status(&twin, &request, id).await,
        ["simulator", "payments"] if is_get => control::list(&twin),
        ["simulator", "payments"] if is_post => control::begin(&twin, request.body()),
        ["simulator", "payments", id, "status"] if is_post => control::set_status(&twin, id, request.body()).await,
        ["simulator", "misbehave"] if is_post => control::misbehave(&twin, request.body()),
        ["v3", "payments"] | ["simulator", "payments", _, "status"] | ["simulator", "misbehave"] => {
            with(empty(StatusCode::METHOD_NOT_ALLOWED), "allow", "POST")
        }
        ["v3", "payments", _, "status"] => with(empty(StatusCode::METHOD_NOT_ALLOWED), "allow", "GET"),
        ["simulator", "payments"] => with(empty(StatusCode::METHOD_NOT_ALLOWED), "allow", "GET, POST"),
        [] | ["simulator"] => text(StatusCode::OK, MAP),
        _ => text(StatusCode::NOT_FOUND, MAP),
    }
}
