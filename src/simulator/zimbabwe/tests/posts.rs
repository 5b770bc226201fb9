//! What the merchant gets to hear: status updates that are genuine, spoilt, late, twice, or not there.

use super::*;

#[tokio::test]
async fn a_payment_that_moves_is_told_to_the_merchant_and_to_polls() {
    let (simulator, shop) = (simulator().await, Shop::open().await);
    let payment = simulator.initiate("Order 7 & more", "25.00", Some(&shop.url));
    assert_eq!(simulator.move_to(&payment.guid, "Awaiting Delivery").await.unwrap(), Delivery::Answered(200));
    let update = shop.post();
    assert_eq!(names(&update), ["reference", "paynowreference", "amount", "status", "pollurl", "hash"]);
    assert!(is_genuine(&update));
    assert_eq!(update, fields(&post(&payment.poll_url, "").await.body));
    assert_eq!(update.encode(), simulator.status_update_body(&payment.guid, "Awaiting Delivery").unwrap());
    simulator.set_status(&payment.guid, "Paid").unwrap();
    assert_eq!(fields(&post(&payment.poll_url, "").await.body).value("status"), Some("Paid"));
    assert!(shop.posts().is_empty());
}

#[tokio::test]
async fn an_http_error_is_answered_with_resends_until_one_is_taken() {
    let (simulator, shop) = (simulator().await, Shop::open().await);
    let payment = simulator.initiate("INV-32", "25.00", Some(&shop.url));
    shop.answers(503);
    assert_eq!(simulator.move_to(&payment.guid, "Paid").await.unwrap(), Delivery::Answered(503));
    simulator.wait_for_posts(&payment.guid, 3, SOON).await.unwrap();
    shop.answers(200);
    let taken = async {
        let mut attempts = 3;
        while simulator.posts(&payment.guid).last() != Some(&Delivery::Answered(200)) {
            attempts += 1;
            simulator.wait_for_posts(&payment.guid, attempts, SOON).await.unwrap();
        }
    };
    tokio::time::timeout(SOON, taken).await.unwrap();
    let posts = shop.posts();
    assert!(posts.windows(2).all(|pair| pair[0] == pair[1]));
    assert!(posts.len() >= 4 && posts.len() <= 11);
}

#[tokio::test]
async fn resends_end_after_the_tenth() {
    let shop = Shop::open().await;
    let simulator = Simulator::start(SimulatorSettings { time_factor: u32::MAX, ..settings() }).await.unwrap();
    let payment = simulator.initiate("INV-32", "25.00", Some(&shop.url));
    shop.answers(500);
    simulator.move_to(&payment.guid, "Paid").await.unwrap();
    simulator.wait_for_posts(&payment.guid, 11, SOON).await.unwrap();
    simulator.stop().await;
    assert_eq!(shop.posts().len(), 11);
}

#[tokio::test]
async fn a_merchant_who_is_not_there_is_tried_again() {
    let simulator = simulator().await;
    let closed = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap().local_addr().unwrap();
    let payment = simulator.initiate("INV-32", "25.00", Some(&format!("http://{closed}/")));
    assert!(matches!(simulator.move_to(&payment.guid, "Paid").await.unwrap(), Delivery::Unanswered(_)));
    simulator.wait_for_posts(&payment.guid, 2, SOON).await.unwrap();
}

#[tokio::test]
async fn nothing_is_posted_to_the_world() {
    let simulator = simulator().await;
    let payment = simulator.initiate("INV-32", "25.00", Some("https://shop.example/paynow"));
    let delivery = simulator.move_to(&payment.guid, "Paid").await.unwrap();
    assert!(matches!(&delivery, Delivery::Refused(why) if why.contains("this machine")), "{delivery}");
    assert_eq!(simulator.posts(&payment.guid), [delivery]);
    let elsewhere = PostSpec::status("Paid").to("http://192.0.2.1/");
    let refused = simulator.post(&payment.guid, &elsewhere).await;
    assert!(matches!(refused, Err(SimulatorError::Send(outbound::SendError::NotLoopback))));
    let refused = simulator.post_button("http://shop.example/", &ButtonSale::default()).await;
    assert!(matches!(refused, Err(SimulatorError::Send(outbound::SendError::NotLoopback))));
}

#[tokio::test]
async fn posts_meet_every_misbehaviour() {
    let (simulator, shop) = (simulator().await, Shop::open().await);
    let payment = simulator.initiate("INV-32", "1.00", Some(&shop.url));
    let guid = payment.guid.as_str();
    let once = |what| simulator.misbehave(Mischief::next(1, what).waiting(Duration::from_millis(1)));

    once(Misbehaviour::Duplicate);
    simulator.move_to(guid, "Sent").await.unwrap();
    let twice = shop.posts();
    assert!(twice.len() == 2 && twice[0] == twice[1]);

    once(Misbehaviour::Silence);
    assert_eq!(simulator.move_to(guid, "Paid").await.unwrap(), Delivery::Withheld(Misbehaviour::Silence));
    assert!(shop.posts().is_empty());

    once(Misbehaviour::WrongKey);
    simulator.move_to(guid, "Paid").await.unwrap();
    assert!(!is_genuine(&shop.post()));

    once(Misbehaviour::Recut);
    simulator.move_to(guid, "Paid").await.unwrap();
    let recut = shop.post();
    assert!(is_genuine(&recut));
    assert_eq!((recut.value("paynowreference"), recut.value("amount")), (Some("3521622"), Some("41.00")));

    once(Misbehaviour::RecutReference);
    simulator.move_to(guid, "Paid").await.unwrap();
    let recut = shop.post();
    assert!(is_genuine(&recut));
    assert_eq!((recut.value("reference"), recut.value("paynowreference")), (Some("INV-3"), Some("235216224")));

    once(Misbehaviour::Reorder);
    assert_eq!(simulator.move_to(guid, "Delivered").await.unwrap(), Delivery::Withheld(Misbehaviour::Reorder));
    simulator.move_to(guid, "Paid").await.unwrap();
    let words: Vec<_> = shop.posts().iter().map(|post| post.value("status").unwrap().to_owned()).collect();
    assert_eq!(words, ["Paid", "Delivered"]);

    let attempts = u32::try_from(simulator.posts(guid).len()).unwrap();
    once(Misbehaviour::Delay);
    assert_eq!(simulator.move_to(guid, "Paid").await.unwrap(), Delivery::Withheld(Misbehaviour::Delay));
    simulator.wait_for_posts(guid, attempts + 1, SOON).await.unwrap();
    assert!(is_genuine(&shop.post()));

    simulator.misbehave(Misbehaviour::Silence);
    simulator.behave();
    simulator.move_to(guid, "Paid").await.unwrap();
    assert!(is_genuine(&shop.post()));
    assert_eq!(Mischief::from(Misbehaviour::Silence).times, Times::Always);
}

#[tokio::test]
async fn a_post_can_be_spoilt_in_every_respect() {
    let (simulator, shop) = (simulator().await, Shop::open().await);
    let payment = simulator.initiate("INV-32", "25.00", Some(&shop.url));
    let told = async |spec: PostSpec| {
        assert_eq!(simulator.post(&payment.guid, &spec).await.unwrap(), 200);
        shop.post()
    };
    let paid = || PostSpec::status("Paid");

    assert!(!is_genuine(&told(paid().signed(Signature::Wrong)).await));
    assert!(!is_genuine(&told(paid().signed(Signature::With(Key::guid(BUTTON_KEY).unwrap()))).await));
    assert_eq!(told(paid().signed(Signature::Text("00".into()))).await.value("hash"), Some("00"));
    assert_eq!(told(paid().signed(Signature::Missing)).await.value("hash"), None);

    let ordered = told(paid().order(&["status", "reference"]).hash_name("Hash").extras()).await;
    assert_eq!(names(&ordered)[..3], ["status", "reference", "paynowreference"]);
    assert!(names(&ordered).contains(&"Hash") && is_genuine(&ordered));

    let changed = told(paid().field("amount", "1,000.00").field("token", "x").without("pollurl")).await;
    assert_eq!((changed.value("amount"), changed.value("token")), (Some("1,000.00"), Some("x")));
    assert!(changed.value("pollurl").is_none() && is_genuine(&changed));

    let recut = told(paid().recut(Recut::GatewayReferenceToReference)).await;
    assert_eq!((recut.value("reference"), recut.value("paynowreference")), (Some("INV-323"), Some("5216224")));
    assert!(is_genuine(&recut));

    let verbatim = told(paid().body("a=b").header("content-type", "text/plain").header("x-note", "y")).await;
    assert_eq!(verbatim, fields(b"a=b"));
    assert_eq!(fields(&post(&payment.poll_url, "").await.body).value("status"), Some("Created"));
}

#[tokio::test]
async fn a_button_sale_is_told_with_the_templates_key() {
    let (simulator, shop) = (simulator().await, Shop::open().await);
    let extras = vec![("Shirt_Size".to_owned(), "M".to_owned())];
    let sale = ButtonSale { paid: "26.30".into(), extras, ..ButtonSale::default() };
    assert_eq!(simulator.post_button(&shop.url, &sale).await.unwrap(), 200);
    let told = shop.post();
    assert_eq!(told.encode(), simulator.button_body(&sale));
    let template = Keys::new(Key::guid(BUTTON_KEY).unwrap(), vec![]);
    assert!(hash::verify(&told, Rule::NamesAndValues, &template).is_ok());
    assert_eq!(names(&told).last(), Some(&"Hash"));
}

#[tokio::test]
async fn a_payment_that_does_not_exist_is_said_so() {
    let simulator = simulator().await;
    assert!(matches!(simulator.move_to("x", "Paid").await, Err(SimulatorError::UnknownPayment)));
    assert!(matches!(simulator.set_status("x", "Paid"), Err(SimulatorError::UnknownPayment)));
    assert!(matches!(simulator.wait_for_polls("x", 1, SOON).await, Err(SimulatorError::UnknownPayment)));
    let payment = simulator.initiate("INV-32", "25.00", None);
    assert!(matches!(simulator.post(&payment.guid, &PostSpec::status("Paid")).await, Err(SimulatorError::NoResultUrl)));
}
