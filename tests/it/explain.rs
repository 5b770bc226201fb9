//! `explain`: the hash doctor at the command line, on what a shop's developer has in hand.

use std::io::Write as _;
use std::process::{Output, Stdio};

use paynowd::protocol::Key;
use paynowd::simulator::{PostSpec, Signature};
use serde_json::Value;

use crate::house::http::post;
use crate::house::{BUTTON_KEY, House, SHOP_KEY, Settings};

const FORMER_KEY: &str = "0b9c3a44-52c9-4b0e-8a2c-9a4f0c1d2e3f";

fn signed_with(key: &str) -> PostSpec {
    PostSpec::status("Paid").signed(Signature::With(Key::opaque(key)))
}

/// `explain` with this on its standard input.
fn explain(house: &House, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = house.command(&[&["explain"], arguments].concat());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8([output.stdout.as_slice(), &output.stderr].concat()).unwrap().to_lowercase();
    for key in [SHOP_KEY, BUTTON_KEY, FORMER_KEY] {
        assert!(!said.contains(key) && !said.contains(&key.replace('-', "")), "{said}");
    }
    if !arguments.contains(&"--sign") {
        let digits = |word: &str| word.len() > 6 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(!said.split(|c: char| !c.is_alphanumeric()).any(digits), "more of a digest than its beginning: {said}");
    }
    output
}

/// A shop that also sells in Poland.
fn with_poland() -> Settings {
    Settings::usual()
        .set("integrations.sklep.protocol", "paynow-poland")
        .set("integrations.sklep.key_files", ["sklep.key"])
        .set("integrations.sklep.api_key_file", "sklep.api.key")
        .set("integrations.sklep.currency", "PLN")
        .file("sklep.key", "b305b996-bca5-4404-a0b7-2ccea3d2b64b")
        .file("sklep.api.key", "97a55694-5478-43b5-b406-fb49ebfdd2b5")
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn told(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

fn codes(found: &Value) -> Vec<String> {
    let mistakes = found["fit"]["mistakes"].as_array().cloned().unwrap_or_default();
    mistakes.iter().map(|mistake| mistake["code"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_is_said_to_hold_with_its_key_rule_and_answer() {
    let settings =
        Settings::usual().set("integrations.shop.key_files", ["shop.key", "former.key"]).file("former.key", FORMER_KEY);
    let house = House::build(settings).await;
    let payment = house.gateway.initiate("INV 32", "25.00", None);
    let body = |spec: &PostSpec| house.gateway.body(&payment.guid, spec).unwrap();
    let genuine = body(&PostSpec::status("Paid"));
    let output = explain(&house, &[], &genuine);
    assert_eq!(output.status.code(), Some(0));
    let said = text(&output);
    for words in ["current key of shop", "over the values", "as the gateway writes them", "answer 200 and record it"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let former = told(&explain(&house, &["--json"], &body(&signed_with(FORMER_KEY))));
    assert_eq!((former["verifies"].as_bool(), former["fit"]["key"].as_u64()), (Some(true), Some(1)));
    let odd = explain(&house, &["--integration", "shop"], &body(&PostSpec::status("Paid").field("amount", "much")));
    assert_eq!(odd.status.code(), Some(0), "the hash is right");
    assert!(text(&odd).contains("field amount") && text(&odd).contains("answer 200 and keep it in quarantine"));
    let lower = String::from_utf8(genuine).unwrap();
    let (fields, hash) = lower.split_once("&hash=").unwrap();
    let lower = explain(&house, &["-"], format!("{fields}&hash={}\n", hash.to_lowercase()).as_bytes());
    assert!(lower.status.success() && text(&lower).contains("lower-case digits"), "{lower:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mistake_is_named_with_what_to_change() {
    let house = House::build(Settings::usual()).await;
    let payment = house.gateway.initiate("INV 32", "25.00", None);
    let body = |key: &str| house.gateway.body(&payment.guid, &signed_with(key)).unwrap();
    house.write("message.txt", std::str::from_utf8(&body(&SHOP_KEY.to_uppercase())).unwrap());
    let output = house.run(&["explain", "message.txt"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("the key was used in upper case. Use the integration key in lower case"));

    let other = explain(&house, &["--integration", "shop", "--json"], &body(BUTTON_KEY));
    assert_eq!((other.status.code(), codes(&told(&other))), (Some(1), vec!["other-key".to_owned()]));
    let added = [body(SHOP_KEY), b"&utm_source=mail".to_vec()].concat();
    let output = explain(&house, &[], &added);
    assert!(text(&output).contains("\"utm_source\" is in the message but not in the hash"), "{}", text(&output));
    assert!(text(&output).contains("403 and keep it in quarantine") || text(&output).contains("would have to begin"));

    let stranger = explain(&house, &["--integration", "shop"], &body("00000000-0000-4000-8000-000000000000"));
    assert_eq!(stranger.status.code(), Some(1));
    for words in ["none of", "sorted", "MD5", "not configured here", "answer 403 and keep it in quarantine"] {
        assert!(text(&stranger).contains(words), "{words}: {}", text(&stranger));
    }
    let none = explain(&house, &["--integration", "shop"], b"hello=world");
    assert!(text(&none).contains("there is no hash field") && text(&none).contains("answer 400"), "{}", text(&none));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_concluded_about_a_proof_that_was_never_tried() {
    let house = House::build(with_poland()).await;
    for (arguments, input, what, instead) in [
        (&["--integration", "shop"][..], "reference=INV-1&amount=1.00", "there is no hash field", "--sign"),
        (&[], "reference=INV-1\namount=1.00\nhash=0BF21B\n", "these are lines", "as it was posted"),
        (&["--integration", "shop"], r#"{"hash":"0BF21B"}"#, "it is JSON", "as it was posted"),
        (&[], r#"{"paymentId":"NOLV-8F9-08K-WGD"}"#, "there is no Signature header", "--signature"),
        (&["--expected-prefix", "0BF21B"], "reference=INV-1\namount=1.00", "these are lines", "as it was posted"),
    ] {
        let output = explain(&house, arguments, input.as_bytes());
        let said = text(&output);
        assert!(
            said.starts_with("No proof could be tried: ") && said.contains(what) && said.contains(instead),
            "{said}"
        );
        for conclusion in ["does not hold", "tried fits", "not configured here", "No way"] {
            assert!(!said.contains(conclusion), "{said}");
        }
        assert_eq!(output.status.code(), Some(1));
    }
    let missing = told(&explain(&house, &["--json", "--integration", "shop"], b"a=1"));
    assert_eq!(
        (missing["missing"].as_str(), missing["tried"].as_u64()),
        (Some("there is no hash field in it"), Some(0))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_hash_without_its_end_is_called_that() {
    let house = House::build(Settings::usual()).await;
    let payment = house.gateway.initiate("INV 32", "25.00", None);
    let genuine = house.gateway.body(&payment.guid, &PostSpec::status("Paid")).unwrap();
    let said = text(&explain(&house, &["--integration", "shop"], &genuine[..genuine.len() - 8]));
    assert!(
        said.contains("It was made under the current key of shop, and:\n- it is the right digest, but cut off"),
        "{said}"
    );
    assert!(said.contains("after 120 of its 128 digits") && said.contains("128 characters"), "{said}");
    assert!(!said.contains("would have to begin"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn paynows_own_hint_tells_whether_key_or_code_is_wrong() {
    let house = House::build(Settings::usual()).await;
    let fields = b"id=1201&reference=INV-1&amount=1.00&status=Message";
    let signed = text(&explain(&house, &["--sign", "--integration", "shop"], fields));
    let hint = &signed.split_once("&hash=").unwrap().1[..6];
    let wrong = [fields.as_slice(), b"&hash=", "0".repeat(128).as_bytes()].concat();
    let right_key = explain(&house, &["--expected-prefix", hint], &wrong);
    assert!(text(&right_key).contains(&format!("begins with {hint} is the right one under the current key of shop")));
    let wrong_key = told(&explain(&house, &["--json", "--expected-prefix", "0BF21B"], &wrong));
    assert!(wrong_key["expected"].is_null());
    let wrong_key = text(&explain(&house, &["--expected-prefix", "0BF21B"], &wrong));
    assert!(wrong_key.contains("No way that was tried gives a digest that begins with 0BF21B."), "{wrong_key}");
    // Fields without a hash are asked about for the sake of the hint alone.
    let fields_only = explain(&house, &["--expected-prefix", hint, "--integration", "shop"], fields);
    let right = format!("The digest that begins with {hint} is the right one under the current key of shop.\n");
    assert_eq!((text(&fields_only), fields_only.status.code()), (right, Some(0)));
    let fields_only = explain(&house, &["--expected-prefix", "0BF21B", "--integration", "shop"], fields);
    let said = text(&fields_only);
    assert!(said.starts_with("No way that was tried gives a digest that begins with 0BF21B.\nUnder the"), "{said}");
    assert!(said.contains(hint) && fields_only.status.code() == Some(1), "{said}");
    assert_eq!(house.run(&["explain", "--expected-prefix", "0BF"]).status.code(), Some(64));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_in_quarantine_is_explained_by_its_number() {
    let house = House::start(Settings::usual()).await;
    let payment = house.begin("INV-32", "25.00");
    assert_eq!(house.post(&payment, &signed_with(BUTTON_KEY)).await, 403);
    let sale = house.gateway.button_body(&paynowd::simulator::ButtonSale::default());
    assert_eq!(post(house.public, "/paynow/shop", &sale).await.status, 403);
    let codes = |id: &str| codes(&told(&house.run(&["explain", id, "--json"])));
    assert_eq!(codes("1"), ["other-key"]);
    assert_eq!(codes("2"), ["other-integration"], "a sale of the button, posted to the shop");
    assert_eq!(house.run(&["explain", "3"]).status.code(), Some(1));
    assert_eq!(house.run(&["explain", "nowhere.txt"]).status.code(), Some(69));
    assert_eq!(house.run(&["explain", "1", "--integration", "nobody"]).status.code(), Some(64));
    assert_eq!(house.quarantine().len(), 2, "explaining changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_here_is_taken_here() {
    let house = House::start(Settings::usual()).await;
    let lines = "reference=Order 7 & more\npaynowreference=1,082\namount=25.00\nstatus=Sent\n\
                 pollurl=https://www.paynow.co.zw/Interface/CheckPayment/?guid=06f656ab-ed60-4a03-8373-a3321b4b3e68";
    let lines = lines.replace("https://www.paynow.co.zw", house.gateway.origin());
    let signed = text(&explain(&house, &["--sign", "--integration", "shop"], lines.as_bytes()));
    assert_eq!(post(house.public, "/paynow/shop", signed.trim()).await.status, 200);
    let sale = "Paynow_Reference=40222\nTransaction_Amount=25.00\nAmount_Paid=26.30\n";
    let signed = text(&explain(&house, &["--sign", "--integration", "button"], sale.as_bytes()));
    assert!(signed.contains("&Hash="));
    assert_eq!(post(house.public, "/paynow/button", signed.trim()).await.status, 200);
    assert_eq!(house.run(&["explain", "--sign"]).status.code(), Some(64), "by which key?");
    let bad = explain(&house, &["--sign", "--integration", "shop"], b"no fields here");
    assert_eq!((bad.status.code(), bad.stdout.len()), (Some(64), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_polish_notification_is_explained_by_the_same_command() {
    let house = House::build(with_poland()).await;
    let compact = br#"{"paymentId":"NOLV-8F9-08K-WGD","status":"NEW","modifiedAt":"2018-12-12T13:24:52"}"#;
    let header = text(&explain(&house, &["--sign", "--integration", "sklep"], compact));
    let signature = header.trim().strip_prefix("Signature: ").unwrap();
    let asked = ["--integration", "sklep", "--json", "--signature", signature];
    let holds = told(&explain(&house, &asked, compact));
    assert_eq!((holds["verifies"].as_bool(), holds["answer"].as_u64()), (Some(true), Some(200)));
    let spaced = compact.iter().flat_map(|byte| if *byte == b',' { vec![b',', b' '] } else { vec![*byte] });
    let rewritten = told(&explain(&house, &asked, &spaced.collect::<Vec<_>>()));
    assert_eq!((codes(&rewritten), rewritten["answer"].as_u64()), (vec!["body-was-compact".to_owned()], Some(403)));
    let padded = told(&explain(&house, &asked, &[compact.as_slice(), b"\n"].concat()));
    assert_eq!(codes(&padded), ["body-padded"]);
    let unsigned = told(&explain(&house, &["--integration", "sklep", "--json"], compact));
    assert!(unsigned["obstacle"].as_str().unwrap().contains("no Signature header"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_held_against_no_integration_that_takes_none() {
    let house = House::build(with_poland()).await;
    let payment = house.begin("INV-32", "25.00");
    let forged = house.gateway.status_update_body(&payment.guid, "Paid").unwrap().replace("25.00", "26.00");
    let said = text(&explain(&house, &[], forged.as_bytes()));
    assert!(said.starts_with("The proof does not hold, and none of "), "{said}");
    assert!(said.contains("current key of shop") && !said.contains("current key of sklep"), "{said}");
}
