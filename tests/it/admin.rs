//! `/v1/expectations` on the admin address: who is let in, what is taken, and what is answered.

use serde_json::{Value, json};

use crate::house::http::{Answer, ask};
use crate::house::{House, Settings};

const TOKEN: &str = "t0ken-of-the-operators-door";
const JSON: &str = "Content-Type: application/json";

fn settings() -> Settings {
    Settings::usual().set("admin.token_file", "admin.token").file("admin.token", TOKEN)
}

async fn post(house: &House, token: &str, body: &Value) -> (u16, Value) {
    let authorization = format!("Authorization: Bearer {token}");
    let body = body.to_string();
    let answer = ask(house.admin, "POST", "/v1/expectations", &[JSON, &authorization], body.as_bytes()).await;
    (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
}

fn order(reference: &str, amount: &str) -> Value {
    json!({"integration": "shop", "reference": reference, "amount": amount, "currency": "USD"})
}

fn expected(house: &House) -> Vec<Value> {
    house.done(&["expect", "list", "--json"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_file_there_is_no_v1_and_with_one_nothing_without_the_token() {
    let mut house = House::start(Settings::usual()).await;
    assert_eq!(post(&house, TOKEN, &order("INV-1", "25.00")).await.0, 404);
    let settings = std::fs::read_to_string(house.path("daemon.toml")).unwrap();
    let with = settings.replace("[admin]\n", "[admin]\ntoken_file = \"admin.token\"\n");
    assert_ne!(with, settings);
    house.write("daemon.toml", &with);
    house.write("admin.token", TOKEN);
    house.reload().await;
    assert_eq!(post(&house, TOKEN, &order("INV-1", "25.00")).await.0, 201);

    house.write("admin.token", "an0ther-token-of-the-door");
    house.reload().await;
    for headers in [
        &[JSON][..],
        &[JSON, "Authorization: Basic dDpw"],
        &[JSON, "Authorization: Bearer t0ken-of-the-operators-door"],
    ] {
        for page in ["/v1/expectations", "/v1/anything"] {
            let answer = ask(house.admin, "POST", page, headers, b"{}").await;
            assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")), "{page} {headers:?}");
        }
    }
    assert_eq!(post(&house, "an0ther-token-of-the-door", &order("INV-1", "25.00")).await.0, 200);
    assert!(!house.log().contains("t0ken-of"), "a token reached the log");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_stored_before_it_is_answered_and_again_without_effect() {
    let mut house = House::start(settings()).await;
    let (status, answer) = post(&house, TOKEN, &order("INV-1", "25.00")).await;
    assert_eq!((status, &answer["outcome"]), (201, &json!("new")));
    house.restart().await;
    let (status, answer) = post(&house, TOKEN, &order("INV-1", "25")).await;
    assert_eq!((status, &answer["outcome"]), (200, &json!("known")));
    let (status, answer) = post(&house, TOKEN, &order("INV-1", "26.00")).await;
    assert_eq!((status, &answer["expected_already"]), (409, &json!({"amount": "25.00", "currency": "USD"})));
    let mut instead = order("INV-1", "26.00");
    instead["replace"] = json!(true);
    assert_eq!(post(&house, TOKEN, &instead).await.0, 200);
    assert_eq!(expected(&house)[0]["amount"], "26.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_answered_row_by_row_and_the_good_ones_are_kept() {
    let house = House::start(settings()).await;
    let mut number = order("INV-2", "");
    number["amount"] = json!(25.5);
    let mut odd = order("INV-3", "1.00");
    odd["colour"] = json!("red");
    let mut local = order("INV-4", "1.00");
    local["created"] = json!("2026-03-12 14:05");
    let mut nowhere = order("INV-5", "1.00");
    nowhere["poll_url"] =
        json!("https://evil.example/Interface/CheckPayment/?guid=06f656ab-ed60-4a03-8373-a3321b4b3e68");
    let mut ancient = order("INV-7", "1.00");
    ancient["created"] = json!("-262143-01-01");
    let rows = json!([order("INV-1", "25.00"), number, odd, local, nowhere, "INV-6", ancient, order("INV-1", "25.00")]);
    let (status, answers) = post(&house, TOKEN, &rows).await;
    assert_eq!(status, 422);
    let seen: Vec<Value> = answers.as_array().unwrap().iter().map(|row| json!([row["status"], row["field"]])).collect();
    let wanted = [
        json!([201, null]),
        json!([422, "amount"]),
        json!([422, "colour"]),
        json!([201, null]),
        json!([422, "poll_url"]),
        json!([422, ""]),
        json!([422, "created"]),
        json!([200, null]),
    ];
    assert_eq!(seen, wanted);
    assert!(answers[1]["reason"].as_str().unwrap().contains("in quotes"));
    assert!(!answers.to_string().contains("evil.example"));
    let kept = expected(&house);
    assert_eq!((kept.len(), &kept[0]["created"]), (2, &json!("2026-03-12T12:05:00.000Z")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_order_at_all_is_answered_with_the_reason() {
    let house = House::start(settings()).await;
    let authorization = format!("Authorization: Bearer {TOKEN}");
    let ask = async |method: &str, headers: &[&str], body: &[u8]| -> Answer {
        ask(house.admin, method, "/v1/expectations", &[&[authorization.as_str()], headers].concat(), body).await
    };
    let order = order("INV-1", "25.00").to_string();
    let get = ask("GET", &[], b"").await;
    assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
    assert_eq!(ask("POST", &["Content-Type: text/plain"], order.as_bytes()).await.status, 415);
    assert_eq!(ask("POST", &[JSON, "Content-Encoding: gzip"], order.as_bytes()).await.status, 415);
    assert_eq!(ask("POST", &[JSON], &vec![b' '; (1 << 20) + 1]).await.status, 413);
    assert_eq!(ask("POST", &[JSON], b"{\"integration\":").await.status, 400);
    let many = format!("[{}]", vec![order.as_str(); 1001].join(","));
    for body in ["[]", "7", many.as_str()] {
        let answer = ask("POST", &[JSON], body.as_bytes()).await;
        assert_eq!(answer.status, 422, "{}", answer.body);
        assert!(answer.body.contains("order"), "{}", answer.body);
    }
    for twice in [r#"{"amount":"1.00","amount":"1000.00","#, r#"{"amount":"1.00","\u0061mount":"1.00","#] {
        let answer = ask("POST", &[JSON], order.replacen('{', twice, 1).as_bytes()).await;
        let said: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((answer.status, &said["field"]), (422, &json!("amount")), "{}", answer.body);
    }
    assert!(expected(&house).is_empty(), "neither is taken");
    assert_eq!(ask("POST", &[JSON], order.as_bytes()).await.status, 201);
}
