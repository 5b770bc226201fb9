//! One day with everything in it, and then a search of all that was written for what nobody may read.

use paynowd::protocol::Key;
use paynowd::simulator::{ButtonSale, Misbehaviour, Mischief, PostSpec, Recut, Signature};
use rustix::process::Signal;

use crate::house::http::{FORM, ask, post};
use crate::house::post_office::{PostOffice, Protection, Verdict};
use crate::house::{BUTTON_KEY, House, SHOP_KEY, Settings, paynowd};

const TOKEN: &str = "t0ken-of-the-operators-door";
const PASSWORD: &str = "s3cret-word-of-the-post-office";
const FORMER_KEY: &str = "0b9c3a44-52c9-4b0e-8a2c-9a4f0c1d2e3f";
const PHONE: &str = "0779876543";
/// Another customer's, which the shop uses for an order number: it stands where orders are named, and nowhere else.
const ORDER: &str = "0771234567";
const EMAIL: &str = "private.person@home.example";
const NAME: &str = "Rudo Nyathi";
const CARD: &str = "CARD4111111111111111";

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_and_nothing_personal_is_written_where_it_does_not_belong() {
    let office = PostOffice::open(Protection::Plain, &[Verdict::Later, Verdict::Refuse]).await;
    let settings = Settings::usual()
        .smtp(office.port, "none")
        .set("mail.smtp.username", "ledger")
        .set("mail.smtp.password_file", "smtp.password")
        .set("admin.token_file", "admin.token")
        .set("log.level", "trace")
        .set("server.refusals_per_minute", 8)
        .set("integrations.shop.key_files", ["shop.key", "former.key"])
        .set("integrations.shop.announce", "reported")
        .file("smtp.password", PASSWORD)
        .file("admin.token", TOKEN)
        .file("former.key", FORMER_KEY);
    let mut house = House::start(settings).await;
    let (guids, metrics) = a_day(&mut house, &office).await;
    let metrics = metrics + &ask(house.admin, "GET", "/metrics", &[], b"").await.body;
    house.reload().await;
    house.write("shop.key", &format!("{FORMER_KEY} {FORMER_KEY}"));
    house.reload().await;
    house.write("shop.key", SHOP_KEY);
    house.stop().await;

    let digests: Vec<String> = {
        let ledger = house.ledger();
        let mut bodies = ledger.prepare("SELECT body FROM event UNION ALL SELECT body FROM quarantine").unwrap();
        let bodies = bodies.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap().map(Result::unwrap);
        bodies.filter_map(|body| hash_of(&String::from_utf8_lossy(&body))).collect()
    };
    assert!(digests.len() > 8, "the day was not eventful enough: {digests:?}");
    let mut secrets: Vec<&str> = vec![SHOP_KEY, BUTTON_KEY, FORMER_KEY, TOKEN, PASSWORD, PHONE, EMAIL, NAME, CARD];
    secrets.extend(["AGxlZGdlcg"]);
    secrets.extend(digests.iter().map(String::as_str));
    for (place, text) in places(&house, &office).into_iter().chain([("metrics", metrics)]) {
        assert!(!text.is_empty(), "{place}");
        let text = text.to_lowercase();
        for secret in &secrets {
            let told = text.lines().find(|line| line.contains(&secret.to_lowercase()));
            assert_eq!(told, None, "{place} tells {secret}");
        }
        let names_orders = ["letters", "tables", "json", "show"].contains(&place);
        assert!(names_orders || !text.contains(ORDER), "{place} tells a telephone number");
        for guid in guids.iter().filter(|_| place != "json") {
            assert!(!text.contains(guid.as_str()), "{place} tells a poll URL's GUID");
        }
    }
    let log = house.log();
    for happened in ["post recorded", "poll recorded", "poll proved nothing", "trace brought no payment", "letter sent"]
    {
        let masked = |line: &str| line.contains(happened) && line.contains("payment.reference=***567");
        assert!(log.lines().any(masked), "no line of the log says that an order of this number was meant: {happened}");
    }
    for payment in house.payments_json(&[]) {
        let rest: String = house.done(&["payments", "show", payment["gateway_key"].as_str().unwrap(), "--json"]);
        let mut story: serde_json::Value = serde_json::from_str(&rest).unwrap();
        story["gateway_key"].take();
        for list in ["letters", "discrepancies"] {
            for one in story[list].as_array_mut().unwrap() {
                one["gateway_key"].take();
            }
        }
        for found in story["discrepancies"].as_array_mut().unwrap() {
            found["gateway_key"].take();
        }
        assert!(!guids.iter().any(|guid| story.to_string().contains(guid)), "a GUID is nothing but a gateway_key");
    }
}

/// Everything that can happen to a shop. Returns the GUIDs of its payments, and what was counted before it was killed.
async fn a_day(house: &mut House, office: &PostOffice) -> (Vec<String>, String) {
    let paid = house.begin(ORDER, "25.00");
    house.gateway.set_status(&paid.guid, "Paid").unwrap();
    let personal = PostSpec::status("Paid").extras().field("paymentinstrument", PHONE).field("token", CARD);
    assert_eq!(house.post(&paid, &personal).await, 200);
    house.until_it_is(&paid.guid, "paid", "confirmed").await;
    let sale = ButtonSale { name: NAME.into(), email: EMAIL.into(), phone: PHONE.into(), ..ButtonSale::default() };
    assert_eq!(house.gateway.post_button(&house.url("button"), &sale).await.unwrap(), 200);

    let claimed = house.begin("INV-2", "2.00");
    for spec in [
        PostSpec::status("Paid").recut(Recut::GatewayReferenceToAmount),
        PostSpec::status("Paid").signed(Signature::Wrong),
        PostSpec::status("Paid").signed(Signature::With(Key::opaque(FORMER_KEY))).field("token", CARD),
        PostSpec::status("Paid").field("amount", PHONE).field("pollurl", "http://elsewhere.example/?guid=1"),
        PostSpec::status("Quantum").field("paymentinstrument", EMAIL),
        PostSpec::status("Cancelled").recut(Recut::ReferenceToGatewayReference),
    ] {
        house.post(&claimed, &spec).await;
    }
    let asked = house.begin(&format!("{ORDER}/3"), "3.00");
    for what in [Misbehaviour::Lie, Misbehaviour::Html, Misbehaviour::UnsignedError, Misbehaviour::Redirect] {
        house.gateway.misbehave(Mischief::next(1, what));
    }
    house.gateway.move_to(&asked.guid, "Sent").await.unwrap();
    house.gateway.wait_for_polls(&asked.guid, 6, crate::house::DEADLINE).await.unwrap();
    let metrics = ask(house.admin, "GET", "/metrics", &[], b"").await.body;
    for counted in [r#"old_key_proofs_total{integration="shop",key="2"} 1"#, r#"outcome="suspect"} 1"#] {
        assert!(metrics.contains(counted), "{metrics}");
    }
    house.restart().await;
    for _ in 0..12 {
        let body = house.gateway.body(&asked.guid, &PostSpec::status("Paid").signed(Signature::Wrong)).unwrap();
        post(house.public, "/paynow/shop", body).await;
    }
    for header in [format!("Authorization: Bearer {TOKEN}"), format!("X-Token: {SHOP_KEY}")] {
        ask(house.admin, "GET", "/v1/payments", &[&header], b"").await;
        ask(house.public, "GET", &format!("/paynow/shop?key={SHOP_KEY}"), &[FORM, &header], b"").await;
    }
    house.gateway.move_to(&asked.guid, "Paid").await.unwrap();
    house.until_it_is(&asked.guid, "paid", "confirmed").await;
    office.until_letters(2).await;
    let add = "expect add --integration shop --currency USD --amount 4.00 --merchanttrace T-4 --reference";
    house.done(&add.split(' ').chain([format!("{ORDER}/4").as_str()]).collect::<Vec<_>>());
    house.until_logged("trace brought no payment").await;
    ([paid, claimed, asked].map(|payment| payment.guid).into(), metrics)
}

/// Everything that people and machines get to see, by name.
fn places(house: &House, office: &PostOffice) -> Vec<(&'static str, String)> {
    let said = |arguments: &[&str]| {
        let output = house.run(arguments);
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let letters: String = office.letters().into_iter().map(|(.., letter)| letter.text + &letter.raw).collect();
    let mut places = vec![
        ("log", house.log()),
        ("letters", letters),
        ("tables", said(&["payments", "list"]) + &said(&["mail", "list"]) + &said(&["quarantine", "list"])),
        ("check", said(&["check"])),
        ("json", said(&["payments", "list", "--json"]) + &said(&["mail", "list", "--json"])),
        ("quarantine", said(&["quarantine", "list", "--json"]) + &said(&["quarantine", "release", "--all"])),
        ("verify", said(&["ledger", "verify"]) + &said(&["ledger", "verify", "--json"])),
    ];
    let quarantined = house.quarantine().len();
    assert!(quarantined > 5, "{quarantined}");
    for id in 1..=quarantined {
        places.push(("explain", said(&["explain", &id.to_string()]) + &said(&["explain", &id.to_string(), "--json"])));
    }
    for payment in house.payments_json(&[]) {
        let key = payment["gateway_key"].as_str().unwrap();
        places.push(("json", said(&["payments", "show", key, "--json"])));
        // Who asks for one payment by name is shown its key, and nothing else that is secret.
        places.push(("show", said(&["payments", "show", key]).replace(key, "KEY")));
    }
    let debug = paynowd(&house.path("")).args(["check", "-c", "daemon.toml", "--online"]).output().unwrap();
    places.push(("check --online", String::from_utf8([debug.stdout, debug.stderr].concat()).unwrap()));
    places
}

/// The value of the hash field of a form.
fn hash_of(body: &str) -> Option<String> {
    body.split('&').find_map(|field| field.to_ascii_lowercase().strip_prefix("hash=").map(str::to_owned))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_kept_for_its_owner() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut house = House::start(Settings::usual()).await;
    house.pay("INV-32", "25.00").await;
    house.until_letters(1).await;
    house.signal(Signal::TERM);
    assert_eq!(house.ended().await.code(), Some(0));
    for (name, others) in [("mail", 0o077), ("paynowd.db", 0o007)] {
        let mode = std::fs::metadata(house.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & others, 0, "{name} can be read by others: {mode:o}");
    }
}
