//! The twin over real loopback sockets, with a shop on the other side that remembers what it was told.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{HeaderMap, HeaderValue};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::*;
use crate::domain::GatewayKey;
use crate::protocol::poland::{request, signature};
use crate::protocol::{Key, Keys};
use crate::simulator::outbound::Reply;
use crate::simulator::{Misbehaviour, Signature};

/// The documentation's sandbox credentials.
const API_KEY: &str = "97a55694-5478-43b5-b406-fb49ebfdd2b5";
const SIGNATURE_KEY: &str = "b305b996-bca5-4404-a0b7-2ccea3d2b64b";
const SOON: Duration = Duration::from_secs(20);

fn key() -> Key {
    Key::opaque(SIGNATURE_KEY)
}

/// A shop's notification address: keeps every notification, answers as told.
struct Shop {
    url: String,
    answer: Arc<AtomicU16>,
    posts: mpsc::UnboundedReceiver<(HeaderMap, Bytes)>,
    _open: DropGuard,
}

impl Shop {
    async fn open() -> Self {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let url = format!("http://{}/paynow/sklep", listener.local_addr().unwrap());
        let (sender, posts) = mpsc::unbounded_channel();
        let (open, answer) = (CancellationToken::new(), Arc::new(AtomicU16::new(200)));
        let answering = Arc::clone(&answer);
        let handler = move |request: Request<Bytes>| {
            let (head, body) = request.into_parts();
            let mut response = hyper::Response::new(Full::default());
            *response.status_mut() = hyper::StatusCode::from_u16(answering.load(Ordering::SeqCst)).unwrap();
            sender.send((head.headers, body)).ok();
            std::future::ready(response)
        };
        tokio::spawn(server::serve(listener, open.clone(), handler));
        Self { url, answer, posts, _open: open.drop_guard() }
    }

    /// The next notification, proven, as JSON.
    async fn next(&mut self) -> Value {
        let (headers, body) = tokio::time::timeout(SOON, self.posts.recv()).await.unwrap().unwrap();
        let proof: Vec<&[u8]> = headers.get_all("signature").iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(signature::verify(&body, &proof, &Keys::new(key(), vec![])), Ok(0));
        serde_json::from_slice(&body).unwrap()
    }

    /// The words of the next notifications.
    async fn words(&mut self, count: usize) -> Vec<String> {
        let mut words = Vec::new();
        for _ in 0..count {
            words.push(self.next().await["status"].as_str().unwrap().to_owned());
        }
        words
    }
}

/// A hundred times faster than life.
async fn twin(shop: &Shop) -> Simulator {
    let settings = SimulatorSettings {
        notification_url: Some(shop.url.clone()),
        time_factor: 100,
        ..SimulatorSettings::new(API_KEY, key())
    };
    Simulator::start(settings).await.unwrap()
}

/// A shop's signed request.
async fn ask(twin: &Simulator, path: &str, once: &str, api_key: &str, body: &str) -> (u16, Value) {
    let envelope = signature::envelope(api_key, once, &BTreeMap::new(), body);
    let headers = [
        ("Api-Key", api_key.to_owned()),
        ("Idempotency-Key", once.to_owned()),
        ("Signature", signature::sign(envelope.as_bytes(), &key())),
    ];
    send(twin, path, &headers.map(|(name, value)| (name.to_owned(), value)), body).await
}

async fn send(twin: &Simulator, path: &str, headers: &[(String, String)], body: &str) -> (u16, Value) {
    let method = if body.is_empty() { Method::GET } else { Method::POST };
    let url = format!("{}{path}", twin.origin());
    let Reply { status, body, .. } = outbound::send(method, &url, headers, body.as_bytes().to_vec()).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

fn order(blik: &str) -> String {
    format!(
        r#"{{"amount":4599,"externalId":"A/1","description":"zamówienie","buyer":{{"email":"a@b.pl"}},"authorizationCode":"{blik}"}}"#
    )
}

async fn create(twin: &Simulator, blik: &str) -> String {
    let (status, made) = ask(twin, "/v3/payments", &Uuid::new_v4().to_string(), API_KEY, &order(blik)).await;
    assert_eq!((status, made["status"].as_str()), (201, Some("NEW")));
    made["paymentId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn our_own_question_is_answered_and_counted() {
    let shop = Shop::open().await;
    let twin = twin(&shop).await;
    let id = twin.create("A-1", 4599, None);
    twin.set_status(&id, "PENDING").unwrap();
    let origin = twin.origin().parse().unwrap();
    let question =
        request::status(&origin, &GatewayKey::parse(&id).unwrap(), &Key::opaque(API_KEY), &key(), Uuid::new_v4());
    let headers: Vec<_> = question.headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let path = question.url.strip_prefix(twin.origin()).unwrap();
    let (status, reply) = send(&twin, path, &headers, "").await;
    assert_eq!((status, reply["paymentId"].as_str(), reply["status"].as_str()), (200, Some(&*id), Some("PENDING")));
    assert_eq!(twin.polls(&id), 1);
}

#[tokio::test]
async fn a_question_without_the_right_keys_is_refused_by_error_type() {
    let shop = Shop::open().await;
    let twin = twin(&shop).await;
    let id = twin.create("A-1", 4599, None);
    let path = format!("/v3/payments/{id}/status");
    let kind = |answer: &Value| answer["errors"][0]["errorType"].as_str().unwrap().to_owned();
    let (status, answer) = ask(&twin, &path, "1", "nobody's", "").await;
    assert_eq!((status, &*kind(&answer)), (401, "UNAUTHORIZED"));
    let unsigned = [("Api-Key", API_KEY), ("Idempotency-Key", "1"), ("Signature", "x")];
    let unsigned = unsigned.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let (status, answer) = send(&twin, &path, &unsigned, "").await;
    assert_eq!((status, &*kind(&answer)), (401, "VERIFICATION_FAILED"));
    let (status, answer) = ask(&twin, "/v3/payments/XXXX-XXX-XXX-XXX/status", "1", API_KEY, "").await;
    assert_eq!((status, &*kind(&answer)), (404, "NOT_FOUND"));
    assert_eq!(twin.polls(&id), 0);
}

#[tokio::test]
async fn a_repeated_idempotency_key_gets_the_former_answer() {
    let shop = Shop::open().await;
    let twin = twin(&shop).await;
    let id = twin.create("A-1", 4599, None);
    let path = format!("/v3/payments/{id}/status");
    assert_eq!(ask(&twin, &path, "once", API_KEY, "").await.1["status"], "NEW");
    twin.set_status(&id, "CONFIRMED").unwrap();
    assert_eq!(ask(&twin, &path, "once", API_KEY, "").await.1["status"], "NEW");
    assert_eq!(ask(&twin, &path, "another", API_KEY, "").await.1["status"], "CONFIRMED");
    let (_, one) = ask(&twin, "/v3/payments", "order", API_KEY, &order("222222")).await;
    let (_, same) = ask(&twin, "/v3/payments", "order", API_KEY, &order("222222")).await;
    assert_eq!(one, same);
    assert_eq!(ask(&twin, "/v3/payments", "order", API_KEY, &order("111111")).await.0, 400);
}

#[tokio::test]
async fn the_documented_blik_codes_do_what_the_documentation_says() {
    for (codes, words) in [
        (&["111111"][..], &["NEW", "PENDING", "CONFIRMED"][..]),
        (&["222222"], &["NEW", "PENDING"]),
        (&["333333", "333334", "333335", "333336"], &["NEW", "PENDING", "REJECTED"]),
        (&["444444"], &["NEW", "ERROR"]),
    ] {
        for code in codes {
            let mut shop = Shop::open().await;
            let twin = twin(&shop).await;
            let id = create(&twin, code).await;
            assert_eq!(shop.words(words.len()).await, words, "{code}");
            twin.wait_for_posts(&id, u32::try_from(words.len()).unwrap(), SOON).await.unwrap();
            assert!(shop.posts.try_recv().is_err(), "{code}");
        }
    }
}

#[tokio::test]
async fn after_an_outage_an_older_status_comes_after_a_newer_one() {
    let mut shop = Shop::open().await;
    let twin = twin(&shop).await;
    let id = twin.create("A-1", 4599, None);
    shop.answer.store(503, Ordering::SeqCst);
    twin.move_to(&id, "NEW").await.unwrap();
    assert_eq!(shop.words(1).await, ["NEW"]);
    // The first retry of NEW fails, too; its second waits twice as long, and CONFIRMED overtakes it.
    assert_eq!(shop.words(1).await, ["NEW"]);
    twin.move_to(&id, "CONFIRMED").await.unwrap();
    assert_eq!(shop.words(1).await, ["CONFIRMED"]);
    shop.answer.store(202, Ordering::SeqCst);
    assert_eq!(shop.words(2).await, ["CONFIRMED", "NEW"]);
    twin.wait_for_posts(&id, 5, SOON).await.unwrap();
    assert_eq!(twin.posts(&id).iter().filter(|delivery| delivery.status() == Some(202)).count(), 2);
}

#[tokio::test]
async fn a_notification_can_be_lost_doubled_disordered_or_forged() {
    let mut shop = Shop::open().await;
    let twin = twin(&shop).await;
    let id = twin.create("A-1", 4599, None);
    twin.misbehave(Mischief::next(1, Misbehaviour::Silence));
    assert_eq!(twin.move_to(&id, "NEW").await.unwrap(), Delivery::Withheld(Misbehaviour::Silence));
    twin.misbehave(Mischief::next(1, Misbehaviour::Duplicate));
    twin.move_to(&id, "PENDING").await.unwrap();
    assert_eq!(shop.words(2).await, ["PENDING", "PENDING"]);
    twin.misbehave(Mischief::next(1, Misbehaviour::Reorder));
    twin.move_to(&id, "REJECTED").await.unwrap();
    twin.move_to(&id, "CONFIRMED").await.unwrap();
    assert_eq!(shop.words(2).await, ["CONFIRMED", "REJECTED"]);
    twin.notify(&id, &NotificationSpec::status("CONFIRMED").signed(Signature::Wrong)).await.unwrap();
    let (headers, body) = shop.posts.recv().await.unwrap();
    let proof = headers["signature"].as_bytes();
    assert!(signature::verify(&body, &[proof], &Keys::new(key(), vec![])).is_err());
}

#[tokio::test]
async fn a_notification_says_what_was_asked_for() {
    let mut shop = Shop::open().await;
    let twin = twin(&shop).await;
    let id = twin.create("A-1", 4599, None);
    let spec = NotificationSpec::status("CONFIRMED").modified_at("2026-10-25T02:30:00").pretty();
    twin.notify(&id, &spec).await.unwrap();
    let told = shop.next().await;
    assert_eq!(
        told,
        serde_json::json!({
            "paymentId": id, "externalId": "A-1", "status": "CONFIRMED", "modifiedAt": "2026-10-25T02:30:00"
        })
    );
    let (_, body) = twin.notification(&id, &spec).unwrap();
    assert!(String::from_utf8(body).unwrap().starts_with("{\n    \"paymentId\": "));
    twin.notify(&id, &NotificationSpec::status("NEW").without_external_id().field("more", 1.into())).await.unwrap();
    let told = shop.next().await;
    assert_eq!((told.get("externalId"), &told["more"]), (None, &serde_json::json!(1)));
}
