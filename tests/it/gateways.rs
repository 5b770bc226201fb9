//! Gateways that are worse than silent: what they say or do changes nothing, `payments show` has the code of what was
//! wrong, and once they are themselves again the payment is confirmed without anybody's help.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use paynowd::simulator::{PostSpec, SimulatedPayment};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::house::post_office::Authority;
use crate::house::slow_gateway::answer;
use crate::house::{House, Settings};

/// What a gateway does with a connection.
#[derive(Clone)]
enum Manner {
    /// Ends it with a reset once the question is heard.
    Reset,
    /// Ends it in good order, without a word.
    HangUp,
    /// Says these bytes, whatever was asked, and ends it.
    Say(String),
    /// Shows this authority's certificate; then says these bytes.
    Tls(Authority, String),
}

/// A gateway on a port of its own, and how often it was asked.
struct Gateway {
    port: u16,
    manner: Arc<Mutex<Manner>>,
    asked: Arc<AtomicUsize>,
}

impl Gateway {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (manner, asked) = (Arc::new(Mutex::new(Manner::HangUp)), Arc::<AtomicUsize>::default());
        let (now, count) = (Arc::clone(&manner), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let manner = now.lock().unwrap().clone();
                tokio::spawn(attend(stream, manner));
            }
        });
        Self { port, manner, asked }
    }

    fn be(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }
}

async fn attend(mut stream: TcpStream, manner: Manner) -> Option<()> {
    match manner {
        Manner::Reset => {
            hear(&mut stream).await?;
            stream.set_zero_linger().unwrap();
        }
        Manner::HangUp => hear(&mut stream).await?,
        Manner::Say(words) => say(stream, &words).await?,
        Manner::Tls(authority, words) => say(authority.acceptor().accept(stream).await.ok()?, &words).await?,
    }
    Some(())
}

/// The beginning of the question, which may be of TLS; all of it, on loopback.
async fn hear(stream: &mut (impl AsyncRead + Unpin)) -> Option<()> {
    stream.read_buf(&mut Vec::with_capacity(8 << 10)).await.ok().filter(|heard| *heard > 0).map(drop)
}

async fn say(mut stream: impl AsyncRead + AsyncWrite + Unpin, words: &str) -> Option<()> {
    hear(&mut stream).await?;
    stream.write_all(words.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}

/// A house that asks `gateway` at `origin`, and a payment it has been told of there.
async fn told(gateway: &Gateway, scheme: &str, authority: &Authority) -> (House, SimulatedPayment, String) {
    let origin = format!("{scheme}://localhost:{}", gateway.port);
    let settings =
        Settings::usual().set("integrations.shop.gateway", &origin).variable("SSL_CERT_FILE", "authority.pem");
    let mut house = House::build(settings).await;
    house.write("authority.pem", &authority.pem);
    house.open().await;
    let payment = house.begin("INV-1", "25.00");
    let url = format!("{origin}/Interface/CheckPayment/?guid={}", payment.guid);
    assert_eq!(house.post(&payment, &PostSpec::status("Sent").field("pollurl", &url)).await, 200);
    let proof = house.gateway.body(&payment.guid, &PostSpec::status("Paid").field("pollurl", &url)).unwrap();
    let proof = answer("200 OK", "", &String::from_utf8(proof).unwrap());
    (house, payment, proof)
}

/// Waits until asking last brought this, and nothing else has come of it.
async fn assert_brings(house: &House, payment: &SimulatedPayment, code: &str, words: &str) {
    let seen = |poll: &serde_json::Value| poll["outcome"] == code && poll["detail"].as_str().unwrap().contains(words);
    let story = house.until(&payment.guid, |story| story["polls"].as_array().unwrap().last().is_some_and(seen)).await;
    assert_eq!((&story["status"], &story["trust"]), (&"pending".into(), &"reported".into()), "{story:#}");
    assert_ne!(story["next_poll"], serde_json::Value::Null, "it is asked again");
    assert!(house.letters().is_empty(), "nobody is told anything");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_resets_hangs_up_or_talks_nonsense_changes_nothing_until_it_answers() {
    let gateway = Gateway::open().await;
    let (house, payment, proof) = told(&gateway, "http", &Authority::new()).await;
    let torn = proof[..proof.len() - 8].to_owned();
    let endless = format!("HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n{}", "status=Paid&".repeat(9000));
    for (manner, code, words) in [
        (Manner::HangUp, "broken", "closed before"),
        (Manner::Reset, "broken", "reset"),
        (Manner::Say("\u{1b}[31mSSH-2.0-nonsense\r\n\r\n".to_owned()), "broken", "invalid"),
        (Manner::Say(torn), "broken", "body"),
        (Manner::Say(endless), "too-large", ""),
        (Manner::Say(answer("200 OK", "", "\0\u{1b}]0;owned\u{7}%ff%fe&&=&status=Paid")), "malformed", ""),
    ] {
        gateway.be(manner);
        assert_brings(&house, &payment, code, words).await;
    }
    gateway.be(Manner::Say(proof));
    house.until_it_is(&payment.guid, "paid", "confirmed").await;
    assert_eq!(house.until_letters(1).await[0].subject(), "Paid: USD 25.00, INV-1");
    assert!(!house.log().contains('\u{1b}'), "{}", house.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_with_a_wrong_expired_or_unknown_certificate_is_told_nothing_and_not_believed() {
    let (gateway, authority) = (Gateway::open().await, Authority::new());
    let (house, payment, proof) = told(&gateway, "https", &authority).await;
    let expired = authority.with_leaf("localhost", |leaf| leaf.not_after = rcgen::date_time_ymd(2002, 1, 1));
    for (shown, words) in [
        (Authority::new(), "this machine does not trust its issuer"),
        (authority.with_leaf("shop.example", |_| {}), "it is for another name"),
        (expired, "it has expired"),
    ] {
        gateway.be(Manner::Tls(shown, proof.clone()));
        assert_brings(&house, &payment, "certificate", words).await;
    }
    gateway.be(Manner::Say(proof.clone()));
    assert_brings(&house, &payment, "tls", "").await;
    assert!(gateway.asked.load(Ordering::SeqCst) >= 4);
    gateway.be(Manner::Tls(authority, proof));
    house.until_it_is(&payment.guid, "paid", "confirmed").await;
    house.until_letters(1).await;
}
