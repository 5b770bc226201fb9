//! The pages for people and scripts.

use serde_json::Value;

use super::*;

fn read(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

#[tokio::test]
async fn a_script_begins_a_payment_and_moves_it_without_any_hash() {
    let (simulator, shop) = (simulator().await, Shop::open().await);
    let payments = format!("{}/simulator/payments", simulator.origin());
    let begun = post(&payments, &format!("reference=INV-32&amount=25&resulturl={}", shop.url)).await;
    assert_eq!(begun.status, 201);
    let guid = read(&begun)["guid"].as_str().unwrap().to_owned();
    let moved = read(&post(&format!("{payments}/{guid}/status"), "status=Paid").await);
    assert_eq!((&moved["status"], &moved["http_status"]), (&"Paid".into(), &200.into()));
    assert!(is_genuine(&shop.post()));
    let listed = read(&get(&payments).await);
    assert_eq!((&listed[0]["guid"], &listed[0]["status"]), (&guid.as_str().into(), &"Paid".into()));
    assert_eq!(listed[0]["posts"], serde_json::json!(["answered 200"]));
    assert_eq!(post(&format!("{payments}/none/status"), "status=Paid").await.status, 404);
    assert_eq!(post(&format!("{payments}/{guid}/status"), "x=y").await.status, 400);
    assert_eq!(post(&payments, "reference=INV-32&amount=free").await.status, 400);
}

#[tokio::test]
async fn a_post_to_the_world_is_refused_with_the_reason() {
    let simulator = simulator().await;
    let payment = simulator.initiate("INV-32", "25.00", Some("http://shop.example/paynow"));
    let status = format!("{}/simulator/payments/{}/status", simulator.origin(), payment.guid);
    let moved = read(&post(&status, "status=Paid").await);
    assert!(moved["post"].as_str().unwrap().contains("only to http:// on this machine"));
    let button = format!("{}/simulator/button", simulator.origin());
    let refused = post(&button, "url=http://shop.example/&amount=1.00").await;
    assert_eq!(refused.status, 502);
}

#[tokio::test]
async fn a_person_plays_the_customer_on_a_page_that_escapes_what_shops_say() {
    let (simulator, shop) = (simulator().await, Shop::open().await);
    let payment = simulator.initiate("<script>alert(1)</script>", "25.00", Some(&shop.url));
    let address = format!("{}/payment/confirmpayment/{}", simulator.origin(), payment.gateway_reference);
    let page = get(&address).await;
    let html = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(page.headers.contains_key("content-security-policy"));
    assert!(!html.contains("<script") && html.contains("&lt;script"));
    assert!(
        ["Pay", "Pay into escrow", "Cancel", "Fail"].iter().all(|label| html.contains(&format!(">{label}</button>")))
    );
    let pressed = post(
        &format!("{}/simulator/payments/{}/status", simulator.origin(), payment.guid),
        "from=page&status=Awaiting+Delivery",
    )
    .await;
    assert_eq!(pressed.status, 303);
    assert_eq!(shop.post().value("status"), Some("Awaiting Delivery"));
    let html = get(&format!("{}{}", simulator.origin(), pressed.headers["location"].to_str().unwrap())).await.body;
    assert!(String::from_utf8(html.to_vec()).unwrap().contains("Awaiting Delivery"));
}

#[tokio::test]
async fn a_script_sells_by_button_and_makes_the_twin_misbehave() {
    let (simulator, shop) = (simulator().await, Shop::open().await);
    let origin = simulator.origin();
    let sale = format!("url={}&amount=25.00&paid=26.30&Shirt+Size=M", shop.url);
    assert_eq!(post(&format!("{origin}/simulator/button"), &sale).await.status, 200);
    let told = shop.post();
    assert_eq!((told.value("Amount_Paid"), told.value("Shirt_Size")), (Some("26.30"), Some("M")));

    let payment = simulator.initiate("INV-32", "25.00", Some(&shop.url));
    let misbehave = format!("{origin}/simulator/misbehave");
    assert_eq!(post(&misbehave, "misbehaviour=retry-after&times=1&seconds=7").await.status, 200);
    assert_eq!(post(&payment.poll_url, "").await.headers["retry-after"].to_str().unwrap(), "7");
    assert!(is_genuine(&fields(&post(&payment.poll_url, "").await.body)));
    post(&misbehave, "misbehaviour=silence").await;
    post(&misbehave, "misbehaviour=none").await;
    simulator.move_to(&payment.guid, "Paid").await.unwrap();
    assert_eq!(shop.posts().len(), 1);
    let unknown = post(&misbehave, "misbehaviour=rudeness").await;
    assert!(unknown.status == 400 && read(&unknown)["error"].as_str().unwrap().contains("wrong-key"));
}

#[tokio::test]
async fn other_pages_and_methods_are_refused_politely() {
    let simulator = simulator().await;
    let origin = simulator.origin();
    assert_eq!(get(&format!("{origin}/")).await.status, 200);
    assert_eq!(get(&format!("{origin}/elsewhere")).await.status, 404);
    let wrong = get(&format!("{origin}/interface/trace")).await;
    assert_eq!((wrong.status, wrong.headers["allow"].to_str().unwrap()), (405, "POST"));
    let huge = outbound::send(Method::POST, &format!("{origin}/interface/trace"), &[], vec![b'a'; 70 << 10]).await;
    assert_eq!(huge.unwrap().status, 413);
}
