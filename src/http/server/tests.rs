//! The server, spoken to byte by byte over loopback.

use super::*;
use crate::http::{BodyError, read_body, text};
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const CAP: usize = 16;

/// Far longer than anything here takes, far shorter than anyone's patience.
const SOON: Duration = Duration::from_secs(5);

/// How long a request's bytes travel, in the test where they do.
const ON_THE_WAY: Duration = Duration::from_millis(50);

struct House {
    address: SocketAddr,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
}

impl House {
    async fn open<F>(limits: Limits, handler: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let handler = move |request, _| handler(request);
        let serving = tokio::spawn(serve(listener, limits, shutdown.clone(), handler));
        Self { address, shutdown, serving }
    }

    async fn call(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }

    async fn ask(&self, bytes: &[u8]) -> String {
        to_the_end(self.call(bytes).await).await
    }

    async fn closed(self) {
        timeout(SOON, self.serving).await.unwrap().unwrap();
    }
}

async fn to_the_end(mut stream: TcpStream) -> String {
    let mut heard = String::new();
    let read = timeout(SOON, stream.read_to_string(&mut heard)).await;
    read.expect("the server closes").unwrap();
    heard
}

/// Reads one answer without a body, and leaves the connection open.
async fn one_answer(stream: &mut TcpStream) -> String {
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\n") {
        heard.push(timeout(SOON, stream.read_u8()).await.unwrap().unwrap());
    }
    String::from_utf8(heard).unwrap()
}

/// What a peer hears that is answered while it still speaks, and that goes on speaking.
async fn interrupted(mut stream: TcpStream) -> String {
    let answer = one_answer(&mut stream).await;
    let spoken = stream.write_all(&vec![b'x'; 4 << 20]).await;
    spoken.expect("the server hears it out");
    stream.shutdown().await.unwrap();
    assert_eq!(to_the_end(stream).await, "");
    answer
}

async fn fine(_: Request<Incoming>) -> Response {
    empty(StatusCode::OK)
}

async fn echo(request: Request<Incoming>) -> Response {
    match read_body(request.into_body(), CAP).await {
        Ok(body) => text(StatusCode::OK, &format!("got {} bytes", body.len())),
        Err(BodyError::TooLarge) => closing(empty(StatusCode::PAYLOAD_TOO_LARGE)),
        Err(BodyError::Broken) => closing(empty(StatusCode::BAD_REQUEST)),
    }
}

#[track_caller]
fn assert_closing(answer: &str, status: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn a_body_announced_as_too_large_is_refused_unread() {
    let house = House::open(Limits::default(), echo).await;
    let answer = house.ask(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 17\r\n\r\n").await;
    assert_closing(&answer, "413");
}

#[tokio::test]
async fn a_peer_that_sends_far_too_much_still_reads_the_413() {
    let house = House::open(Limits::default(), echo).await;
    let head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8388608\r\n\r\n";
    assert_closing(&interrupted(house.call(head).await).await, "413");
}

#[tokio::test]
async fn a_chunked_body_is_cut_off_at_the_cap() {
    let house = House::open(Limits::default(), echo).await;
    let head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    let large = format!("{head}9\r\n123456789\r\n9\r\n123456789\r\n");
    assert_closing(&house.ask(large.as_bytes()).await, "413");
    let small = format!("{head}9\r\n123456789\r\n7\r\n1234567\r\n0\r\nTrailer: ignored\r\n\r\n");
    let answer = house.ask(small.as_bytes()).await;
    assert!(answer.ends_with("got 16 bytes"), "{answer}");
}

#[tokio::test]
async fn a_slow_body_gets_408() {
    let request_timeout = Duration::from_millis(50);
    let house = House::open(Limits { request_timeout, ..Limits::default() }, echo).await;
    let slow = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab";
    assert_closing(&house.ask(slow).await, "408");
}

#[tokio::test]
async fn a_request_that_was_heard_out_and_not_answered_in_time_gets_503() {
    let hanging = |request: Request<Incoming>| async move {
        request.extensions().get::<HeardOut>().unwrap().set();
        std::future::pending::<Response>().await
    };
    let limits = Limits { request_timeout: Duration::from_millis(100), ..Limits::default() };
    let house = House::open(limits, hanging).await;
    let answer = house.ask(GET).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 5\r\n"), "{answer}");
}

#[tokio::test]
async fn a_slow_head_gets_408_and_silence_gets_silence() {
    let header_timeout = Duration::from_millis(50);
    let house = House::open(Limits { header_timeout, ..Limits::default() }, fine).await;
    let slow = house.ask(b"GET / HTTP/1.1\r\nHo").await;
    assert!(slow.starts_with("HTTP/1.1 408 ") && slow.contains("\r\nConnection: close\r\n"), "{slow}");
    assert_eq!(house.ask(b"").await, "");
    let answer = house.ask(GET).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.contains("408"), "an idle connection ends too: {answer}");
    let second = house.ask(&[GET, b"GET /".as_slice()].concat()).await;
    assert!(second.starts_with("HTTP/1.1 200 ") && second.contains("HTTP/1.1 408 "), "{second}");
}

#[tokio::test]
async fn too_many_or_too_long_headers_get_431() {
    let house = House::open(Limits::default(), fine).await;
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(HEADERS + 1));
    assert_closing(&house.ask(many.as_bytes()).await, "431");
    let long = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "b".repeat(4 * HEAD_BYTES));
    assert_closing(&interrupted(house.call(long.as_bytes()).await).await, "431");
}

#[tokio::test]
async fn a_peer_that_has_only_finished_sending_is_answered() {
    let release = Arc::new(Notify::new());
    let handler = {
        let release = Arc::clone(&release);
        move |_| {
            let release = Arc::clone(&release);
            async move {
                release.notified().await;
                empty(StatusCode::OK)
            }
        }
    };
    let house = House::open(Limits::default(), handler).await;
    let mut stream = house.call(GET).await;
    stream.shutdown().await.unwrap();
    let answer = tokio::spawn(to_the_end(stream));
    // A round trip on another connection: the server has seen the end of the first by then.
    house.ask(b"nonsense\r\n\r\n").await;
    release.notify_one();
    assert!(answer.await.unwrap().starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_bug_in_one_request_does_not_stop_the_next() {
    let house = House::open(Limits::default(), async |request: Request<Incoming>| {
        assert_ne!(request.uri().path(), "/bug");
        empty(StatusCode::OK)
    });
    let house = house.await;
    assert_eq!(house.ask(b"GET /bug HTTP/1.1\r\nHost: h\r\n\r\n").await, "");
    assert!(one_answer(&mut house.call(GET).await).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_connection_beyond_the_cap_reads_503_until_there_is_room() {
    let house = House::open(Limits { connections: 1, ..Limits::default() }, fine).await;
    let mut first = house.call(GET).await;
    one_answer(&mut first).await;

    let refused = house.ask(GET).await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("Retry-After: 1\r\n"), "{refused}");
    assert_eq!(interrupted(house.call(b"").await).await, refused, "even if it speaks late");
    let large = house.call(b"POST / HTTP/1.1\r\n\r\n").await;
    assert_eq!(interrupted(large).await, refused, "however much it sends");

    drop(first);
    let admitted = async { while !one_answer(&mut house.call(GET).await).await.starts_with("HTTP/1.1 200 ") {} };
    timeout(SOON, admitted).await.unwrap();
}

#[tokio::test]
async fn the_end_is_heard_at_the_cap() {
    let house = House::open(Limits { connections: 1, ..Limits::default() }, fine).await;
    let mut first = house.call(GET).await;
    one_answer(&mut first).await;
    let refused = house.call(GET).await;
    house.shutdown.cancel();
    assert!(to_the_end(refused).await.starts_with("HTTP/1.1 503 "));
    house.closed().await;
}

/// A handler that answers when told to, and says when it was asked.
fn on_release() -> (Arc<Notify>, Arc<Notify>, impl Fn(Request<Incoming>) -> Held + Clone) {
    let (asked, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (Arc::clone(&asked), Arc::clone(&release));
    let handler = move |_| {
        let (tell, wait) = (Arc::clone(&tell), Arc::clone(&wait));
        Box::pin(async move {
            tell.notify_one();
            wait.notified().await;
            empty(StatusCode::OK)
        }) as Held
    };
    (asked, release, handler)
}

type Held = std::pin::Pin<Box<dyn Future<Output = Response> + Send>>;

#[tokio::test]
async fn at_the_end_a_request_in_flight_is_answered() {
    let (asked, release, handler) = on_release();
    let house = House::open(Limits::default(), handler).await;
    let in_flight = house.call(GET).await;
    asked.notified().await;
    let idle = house.call(b"").await;
    house.shutdown.cancel();
    assert_eq!(to_the_end(idle).await, "", "everyone was asked to finish");
    assert!(!house.serving.is_finished());
    release.notify_one();
    assert_closing(&to_the_end(in_flight).await, "200");
    house.closed().await;
}

#[tokio::test]
async fn a_request_arriving_just_as_the_end_is_announced_is_answered() {
    let house = House::open(Limits::default(), fine).await;
    let mut late = house.call(b"").await;
    house.shutdown.cancel();
    while TcpStream::connect(house.address).await.is_ok() {}
    sleep(ON_THE_WAY).await;
    late.write_all(GET).await.unwrap();
    assert!(to_the_end(late).await.starts_with("HTTP/1.1 200 "));
    house.closed().await;
}

#[tokio::test]
async fn who_knocked_before_the_end_is_let_in() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut knocking = Vec::new();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        stream.write_all(GET).await.unwrap();
        knocking.push(stream);
    }
    let ended = CancellationToken::new();
    ended.cancel();
    let serving = tokio::spawn(serve(listener, Limits::default(), ended, |r, _| fine(r)));
    for stream in knocking {
        assert!(to_the_end(stream).await.starts_with("HTTP/1.1 200 "));
    }
    timeout(SOON, serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_end_comes_even_if_a_handler_never_answers() {
    let drain_timeout = Duration::from_millis(50);
    let (asked, _never, handler) = on_release();
    let house = House::open(Limits { drain_timeout, ..Limits::default() }, handler).await;
    let stuck = house.call(GET).await;
    asked.notified().await;
    house.shutdown.cancel();
    assert_eq!(to_the_end(stuck).await, "");
    house.closed().await;
}

#[test]
fn only_a_lost_connection_lets_the_next_be_accepted_at_once() {
    for kind in [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset] {
        assert!(is_the_peers(&kind.into()));
    }
    let too_many_open_files = io::Error::from_raw_os_error(24);
    assert!(!is_the_peers(&too_many_open_files));
}
