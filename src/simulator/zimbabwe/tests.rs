//! The twin over real loopback sockets, with a shop on the other side that remembers what it was told.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::protocol::zimbabwe::{Fields, Rule, hash};
use crate::protocol::{Key, Keys};
use crate::simulator::outbound::Reply;
use crate::simulator::{Misbehaviour, Signature, Times};

mod control;
mod endpoints;
mod posts;

const KEY: &str = "3e9fed89-60e1-4ce5-ab6e-6b1eb2d4f977";
const BUTTON_KEY: &str = "7a1c24e7-5f6e-4c49-9e0b-2c5f26a1d0aa";
const SOON: Duration = Duration::from_secs(20);

fn key() -> Key {
    Key::guid(KEY).unwrap()
}

/// A thousand times faster than life.
fn settings() -> SimulatorSettings {
    SimulatorSettings {
        button_key: Key::guid(BUTTON_KEY).unwrap(),
        time_factor: 1000,
        ..SimulatorSettings::new("1201", key())
    }
}

async fn simulator() -> Simulator {
    Simulator::start(settings()).await.unwrap()
}

/// A merchant's result URL: keeps every body, answers as told.
struct Shop {
    url: String,
    answer: Arc<AtomicU16>,
    posts: Mutex<mpsc::UnboundedReceiver<Bytes>>,
    _open: DropGuard,
}

impl Shop {
    async fn open() -> Self {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let url = format!("http://{}/paynow/shop", listener.local_addr().unwrap());
        let (sender, posts) = mpsc::unbounded_channel();
        let (open, answer) = (CancellationToken::new(), Arc::new(AtomicU16::new(200)));
        let answering = Arc::clone(&answer);
        let handler = move |request: Request<Bytes>| {
            sender.send(request.into_body()).ok();
            let mut response = hyper::Response::new(Full::default());
            *response.status_mut() = hyper::StatusCode::from_u16(answering.load(Ordering::SeqCst)).unwrap();
            std::future::ready(response)
        };
        tokio::spawn(server::serve(listener, open.clone(), handler));
        Self { url, answer, posts: Mutex::new(posts), _open: open.drop_guard() }
    }

    fn answers(&self, status: u16) {
        self.answer.store(status, Ordering::SeqCst);
    }

    /// Every post so far.
    fn posts(&self) -> Vec<Fields> {
        let mut posts = self.posts.lock().unwrap();
        std::iter::from_fn(|| posts.try_recv().ok()).map(|body| fields(&body)).collect()
    }

    /// The only post so far.
    fn post(&self) -> Fields {
        let mut posts = self.posts();
        assert_eq!(posts.len(), 1);
        posts.remove(0)
    }
}

fn fields(body: &[u8]) -> Fields {
    Fields::parse(body, 64).unwrap()
}

fn is_genuine(fields: &Fields) -> bool {
    hash::verify(fields, Rule::Values, &Keys::new(key(), vec![])).is_ok()
}

fn names(fields: &Fields) -> Vec<&str> {
    fields.iter().map(|(name, _)| name).collect()
}

async fn post(url: &str, body: &str) -> Reply {
    outbound::send(Method::POST, url, &[], body.as_bytes().to_vec()).await.unwrap()
}

async fn get(url: &str) -> Reply {
    outbound::send(Method::GET, url, &[], Vec::new()).await.unwrap()
}

/// What a shop sends, signed.
fn request(pairs: &[(&str, &str)]) -> String {
    hash::sign(Fields::from_pairs(pairs.iter().copied()), "hash", Rule::Values, &key()).encode()
}
