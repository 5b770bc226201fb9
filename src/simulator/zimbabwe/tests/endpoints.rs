//! Paynow's own pages, asked the way shops ask.

use super::*;

fn order<'a>(shop: &'a Shop, more: &[(&'a str, &'a str)]) -> String {
    let mut pairs = vec![
        ("resulturl", shop.url.as_str()),
        ("returnurl", "http://shop.example/thanks?order=7"),
        ("reference", "INV-32"),
        ("amount", "25"),
        ("id", "1201"),
        ("status", "Message"),
    ];
    pairs.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    pairs.extend_from_slice(more);
    request(&pairs)
}

async fn ask(simulator: &Simulator, page: &str, body: &str) -> Fields {
    let reply = post(&format!("{}{page}", simulator.origin()), body).await;
    assert_eq!(reply.status, 200);
    fields(&reply.body)
}

#[tokio::test]
async fn a_payment_is_begun_and_its_poll_url_answers_in_the_order_of_real_messages() {
    let (simulator, shop) = (simulator().await, Shop::open().await);
    let begun = ask(&simulator, "/interface/initiatetransaction", &order(&shop, &[])).await;
    assert_eq!(names(&begun), ["status", "browserurl", "pollurl", "paynowreference", "hash"]);
    assert!(is_genuine(&begun));
    let poll_url = begun.value("pollurl").unwrap();
    for answer in
        [post(poll_url, "").await, get(poll_url).await, post(&poll_url.replace("/Interface/", "/interface/"), "").await]
    {
        let answer = fields(&answer.body);
        assert_eq!(names(&answer), ["reference", "paynowreference", "amount", "status", "pollurl", "hash"]);
        assert!(is_genuine(&answer));
        assert_eq!((answer.value("status"), answer.value("amount")), (Some("Created"), Some("25.00")));
        assert_eq!(answer.value("pollurl"), Some(poll_url));
    }
    let guid = poll_url.rsplit_once('=').unwrap().1;
    let origin = simulator.origin().parse().unwrap();
    assert_eq!(crate::domain::PollUrl::parse(poll_url, &origin).unwrap().key().as_str(), guid);
    assert_eq!(simulator.polls(guid), 3);
    simulator.stop().await;
}

#[tokio::test]
async fn a_wrong_hash_is_refused_with_the_start_of_the_right_one() {
    let (simulator, shop) = (simulator().await, Shop::open().await);
    let right = fields(order(&shop, &[]).as_bytes());
    let start: String = right.value("hash").unwrap().chars().take(6).collect();
    let wrong = Fields::from_pairs(right.iter().map(|(name, value)| (name, if name == "hash" { "00" } else { value })));
    let answer = ask(&simulator, "/Interface/InitiateTransaction", &wrong.encode()).await;
    assert_eq!(answer.value("status"), Some("Error"));
    assert_eq!(answer.value("error"), Some(format!("Invalid Hash. Hash should start with: {start}").as_str()));
    assert_eq!(answer.value("hash"), None);
}

#[tokio::test]
async fn what_is_missing_or_odd_in_an_order_is_named() {
    let (simulator, shop) = (simulator().await, Shop::open().await);
    for (field, value, error) in [
        ("id", "1202", "Invalid Id."),
        ("amount", "-1", "Invalid amount field"),
        ("reference", "", "Missing reference field"),
        ("resulturl", "", "Missing resulturl field"),
        ("returnurl", "", "Missing returnurl field"),
        ("merchanttrace", "123456789012345678901234567890123", "Invalid merchanttrace field"),
    ] {
        let answer = ask(&simulator, "/interface/initiatetransaction", &order(&shop, &[(field, value)])).await;
        assert_eq!((answer.value("status"), answer.value("error")), (Some("Error"), Some(error)));
    }
}

#[tokio::test]
async fn a_merchanttrace_is_unique_and_finds_its_payment() {
    let (simulator, shop) = (simulator().await, Shop::open().await);
    let traceable = order(&shop, &[("merchanttrace", "t-1")]);
    let begun = ask(&simulator, "/interface/initiatetransaction", &traceable).await;
    let again = ask(&simulator, "/interface/initiatetransaction", &traceable).await;
    assert_eq!(again.value("error"), Some("Duplicate merchanttrace"));
    let trace = |word| request(&[("id", "1201"), ("merchanttrace", word), ("status", "Message")]);
    let found = ask(&simulator, "/interface/trace", &trace("t-1")).await;
    assert!(is_genuine(&found));
    assert_eq!(found.value("pollurl"), begun.value("pollurl"));
    let unknown = ask(&simulator, "/interface/trace", &trace("t-2")).await;
    assert!(is_genuine(&unknown));
    assert_eq!(unknown.value("status"), Some("NotFound"));
    let forged = ask(&simulator, "/interface/trace", "id=1201&merchanttrace=t-1&status=Message&hash=00").await;
    assert_eq!((forged.value("status"), forged.value("hash")), (Some("Error"), None));
}

#[tokio::test]
async fn the_test_numbers_do_what_test_mode_does() {
    let (simulator, shop) = (simulator().await, Shop::open().await);
    for (phone, word) in [("0771111111", "Paid"), ("+263772222222", "Paid"), ("0773333333", "Failed")] {
        let body = order(&shop, &[("method", "ecocash"), ("phone", phone), ("authemail", "a@b.com")]);
        let begun = ask(&simulator, "/interface/remotetransaction", &body).await;
        assert_eq!(names(&begun), ["status", "instructions", "paynowreference", "pollurl", "hash"]);
        assert!(is_genuine(&begun));
        let guid = begun.value("pollurl").unwrap().rsplit_once('=').unwrap().1;
        simulator.wait_for_posts(guid, 1, SOON).await.unwrap();
        let update = shop.post();
        assert!(is_genuine(&update));
        assert_eq!(update.value("status"), Some(word));
    }
    let body = order(&shop, &[("method", "ecocash"), ("phone", "0774444444")]);
    let refused = ask(&simulator, "/interface/remotetransaction", &body).await;
    assert_eq!((refused.value("status"), refused.value("error")), (Some("Error"), Some("Insufficient balance")));
}

#[tokio::test]
async fn with_automatic_payment_a_web_payment_becomes_paid() {
    let shop = Shop::open().await;
    let auto = SimulatorSettings { auto_pay: Some(Duration::from_secs(3)), extras: true, ..settings() };
    let simulator = Simulator::start(auto).await.unwrap();
    let begun = ask(&simulator, "/interface/initiatetransaction", &order(&shop, &[])).await;
    let guid = begun.value("pollurl").unwrap().rsplit_once('=').unwrap().1;
    simulator.wait_for_posts(guid, 1, SOON).await.unwrap();
    let update = shop.post();
    assert!(is_genuine(&update));
    assert_eq!((update.value("status"), update.value("merchantfees")), (Some("Paid"), Some("0.5400")));
}

#[tokio::test]
async fn an_unknown_guid_is_an_unsigned_error() {
    let simulator = simulator().await;
    let unknown = format!("{}/Interface/CheckPayment/?guid=06f656ab-ed60-4a03-8373-a3321b4b3e68", simulator.origin());
    let answer = fields(&post(&unknown, "").await.body);
    assert_eq!((answer.value("status"), answer.value("hash")), (Some("Error"), None));
}

#[tokio::test]
async fn polls_meet_every_misbehaviour() {
    let simulator = simulator().await;
    let payment = simulator.initiate("INV-32", "25.00", None);
    let once = |what| simulator.misbehave(Mischief::next(1, what).waiting(Duration::from_millis(1500)));
    let poll = || post(&payment.poll_url, "");

    once(Misbehaviour::ErrorThenOk);
    assert_eq!(poll().await.status, 500);
    once(Misbehaviour::Html);
    let html = poll().await;
    assert_eq!((html.status, html.body.starts_with(b"<")), (200, true));
    once(Misbehaviour::RetryAfter);
    let busy = poll().await;
    assert_eq!((busy.status, busy.headers["retry-after"].to_str().unwrap()), (429, "1"));
    once(Misbehaviour::Lie);
    let lie = fields(&poll().await.body);
    assert_eq!((lie.value("status"), is_genuine(&lie)), (Some("Paid"), false));
    once(Misbehaviour::Redirect);
    let redirect = poll().await;
    assert!(redirect.status == 302 && redirect.headers.contains_key("location"));
    once(Misbehaviour::UnsignedError);
    let error = fields(&poll().await.body);
    assert_eq!((error.value("status"), error.value("hash")), (Some("Error"), None));
    simulator.misbehave(Mischief::next(1, Misbehaviour::Hang).waiting(Duration::from_millis(1)));
    assert_eq!(poll().await.status, 504);

    assert!(is_genuine(&fields(&poll().await.body)));
    simulator.wait_for_polls(&payment.guid, 8, SOON).await.unwrap();
    assert_eq!(simulator.polls(&payment.guid), 8);
    let early = simulator.wait_for_polls(&payment.guid, 9, Duration::ZERO).await;
    assert!(matches!(early, Err(SimulatorError::TooFew { wanted: 9, seen: 8 })));
}

#[tokio::test]
async fn a_hanging_poll_does_not_keep_the_twin_from_stopping() {
    let simulator = simulator().await;
    let payment = simulator.initiate("INV-32", "25.00", None);
    simulator.misbehave(Mischief::always(Misbehaviour::Hang).waiting(Duration::from_hours(1)));
    let poll_url = payment.poll_url.clone();
    let poll = tokio::spawn(async move { post(&poll_url, "").await });
    simulator.wait_for_polls(&payment.guid, 1, SOON).await.unwrap();
    simulator.stop().await;
    assert_eq!(poll.await.unwrap().status, 504);
}

#[tokio::test]
async fn the_twin_listens_on_this_machine_only() {
    let everywhere = SimulatorSettings { listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), ..settings() };
    assert!(matches!(Simulator::start(everywhere).await, Err(SimulatorError::NotLoopback(_))));
}
