//! Letters over SMTP: a real conversation with a post office that has good days and bad ones.

use std::time::Duration;

use paynowd::simulator::PostSpec;
use serde_json::Value;

use crate::house::letters::assert_same;
use crate::house::post_office::{Authority, PostOffice, Protection, Verdict};
use crate::house::{House, Settings};

/// Waits until the only letter is in this state, and returns it as `mail list --json` does.
async fn until_letter_is(house: &House, state: &str) -> Value {
    let found = house.wait(|| house.mail_json().into_iter().find(|letter| letter["state"] == state)).await;
    found.unwrap_or_else(|| panic!("no letter is {state}: {:#?}\n{}", house.mail_json(), house.log()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_reaches_the_mail_server_and_is_known_to_be_sent() {
    let office = PostOffice::open(Protection::Plain, &[]).await;
    let house = House::start(Settings::usual().smtp(office.port, "none")).await;
    house.pay("INV-32", "25.00").await;
    let letters = office.until_letters(1).await;
    assert_eq!((letters[0].1.as_str(), letters[0].2.subject()), ("owner@shop.example", "Paid: USD 25.00, INV-32"));
    let letter = until_letter_is(&house, "sent").await;
    assert_eq!((&letter["attempts"], &letter["error"]), (&1.into(), &Value::Null));
    assert!(office.lines().contains(&"MAIL FROM:<ledger@shop.example>".to_owned()), "{:?}", office.lines());
    assert!(house.letters().is_empty(), "nothing goes into the directory");
}

#[tokio::test(flavor = "multi_thread")]
async fn not_now_is_tried_again_with_the_same_letter() {
    let office = PostOffice::open(Protection::Plain, &[Verdict::Later, Verdict::Later]).await;
    let house = House::start(Settings::usual().smtp(office.port, "none")).await;
    house.pay("INV-32", "25.00").await;
    let letter = until_letter_is(&house, "sent").await;
    assert_eq!(letter["attempts"], 3);
    assert_eq!(office.letters().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_letter_is_on_its_way_the_next_is_taken_up_and_does_not_go_yet() {
    let office = PostOffice::open(Protection::Plain, &[Verdict::TakeLate]).await;
    let settings = Settings::usual().set("integrations.shop.notify", ["owner@shop.example", "books@shop.example"]);
    let house = House::start(settings.smtp(office.port, "none")).await;
    house.pay("INV-32", "25.00").await;
    office.until_letters(1).await;
    let all = |such: &dyn Fn(&Value) -> bool| house.mail_json().iter().all(such).then_some(());
    house.wait(|| all(&|letter| letter["attempts"] == 1)).await.expect("the second letter is taken up");
    assert_eq!(office.lines().iter().filter(|line| line.starts_with("RCPT")).count(), 1);
    office.take_it();
    let letters = office.until_letters(2).await;
    assert_ne!(letters[0].1, letters[1].1);
    house.wait(|| all(&|letter| letter["state"] == "sent" && letter["attempts"] == 1)).await.expect("both are sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_is_recalled_while_it_lies_here_goes_all_the_same_and_has_been_tried_once() {
    let office = PostOffice::open(Protection::Plain, &[Verdict::TakeLate]).await;
    let settings = Settings::usual().set("integrations.shop.notify", ["owner@shop.example", "books@shop.example"]);
    let house = House::start(settings.smtp(office.port, "none")).await;
    let payment = house.pay("INV-32", "25.00").await;
    office.until_letters(1).await;
    let taken_up = || house.mail_json().iter().all(|letter| letter["attempts"] == 1).then_some(());
    house.wait(taken_up).await.expect("the second letter is taken up");
    assert_eq!(house.post(&payment, &PostSpec::status("Paid")).await, 200);
    office.take_it();
    office.until_letters(2).await;
    let sent_once = || {
        let letters = house.mail_json();
        letters.iter().all(|letter| letter["state"] == "sent").then(|| letters.iter().all(|it| it["attempts"] == 1))
    };
    assert_eq!(house.wait(sent_once).await, Some(true), "{:#?}", house.mail_json());
    assert_eq!(office.letters().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_cannot_note_that_letters_went_does_not_send_them_again_and_again() {
    let office = PostOffice::open(Protection::Plain, &[]).await;
    let recipients = ["one@shop.example", "two@shop.example", "three@shop.example"];
    let house =
        House::start(Settings::usual().set("integrations.shop.notify", recipients).smtp(office.port, "none")).await;
    let full = "CREATE TRIGGER full BEFORE UPDATE ON outbox WHEN new.state = 'sent' \
                BEGIN SELECT RAISE(ABORT, 'no room'); END";
    house.ledger().execute_batch(full).unwrap();
    house.pay("INV-32", "25.00").await;
    office.until_letters(1).await;
    // Twice it looks for what is due, and would find the same letters. The second was on its way when the first could
    // not be noted.
    let again = || (house.log().matches("the outbox could not be read or written").count() > 2).then_some(());
    house.wait(again).await.expect("the mailer says that it cannot write");
    assert_eq!(office.letters().len(), 2);
    house.ledger().execute_batch("DROP TRIGGER full").unwrap();
    let letters = office.until_letters(3).await;
    let mut to: Vec<_> = letters.iter().map(|(_, to, _)| to.as_str()).collect();
    to.sort_unstable();
    assert_eq!(to, ["one@shop.example", "three@shop.example", "two@shop.example"], "each has theirs once");
    let all_sent = || house.mail_json().iter().all(|it| it["state"] == "sent" && it["attempts"] == 1).then_some(());
    house.wait(all_sent).await.expect("and the ledger knows");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_recipient_is_final_shown_and_can_be_tried_again_by_hand() {
    let office = PostOffice::open(Protection::Plain, &[Verdict::Refuse]).await;
    let settings = Settings::usual().set("integrations.shop.notify", ["owner@shop.example", "books@shop.example"]);
    let house = House::start(settings.smtp(office.port, "none")).await;
    house.pay("INV-32", "25.00").await;
    let refused = until_letter_is(&house, "refused").await;
    assert!(refused["error"].as_str().unwrap().contains("550 no such user"), "{refused}");
    until_letter_is(&house, "sent").await;
    assert_eq!(office.letters().len(), 1, "the other recipient has theirs");
    assert!(house.log().contains("letter refused: mail retry sends it again"));
    let id = refused["id"].to_string();
    assert!(house.done(&["mail", "list", "--state", "refused"]).contains("550 no such user"));
    assert_eq!(house.run(&["mail", "list", "--state", "lost"]).status.code(), Some(64), "no such state");
    assert!(house.done(&["mail", "retry", &id]).starts_with("1 back in the post"));
    let letters = office.until_letters(2).await;
    assert_ne!(letters[0].1, letters[1].1);
    assert_eq!(house.run(&["mail", "retry", "4711"]).status.code(), Some(1), "there is no such letter");
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_go_by_starttls_and_by_tls_to_a_server_whose_authority_is_trusted() {
    for security in ["starttls", "tls"] {
        let authority = Authority::new();
        let protection = match security {
            "tls" => Protection::Tls(authority.clone()),
            _ => Protection::StartTls(authority.clone()),
        };
        let office = PostOffice::open(protection, &[]).await;
        let mut house = House::build(trusting(&office, security)).await;
        house.write("authority.pem", &authority.pem);
        house.open().await;
        house.pay("INV-32", "25.00").await;
        assert_eq!(office.until_letters(1).await[0].2.subject(), "Paid: USD 25.00, INV-32");
        // \0ledger\0s3cret-word
        let login = "AUTH PLAIN AGxlZGdlcgBzM2NyZXQtd29yZA==".to_owned();
        assert!(office.lines().contains(&login), "{security}: {:?}", office.lines());
    }
}

/// A house that trusts the authority in `authority.pem` and knows a password.
fn trusting(office: &PostOffice, security: &str) -> Settings {
    Settings::usual()
        .smtp(office.port, security)
        .set("mail.smtp.username", "ledger")
        .set("mail.smtp.password_file", "smtp.password")
        .file("smtp.password", "s3cret-word")
        .variable("SSL_CERT_FILE", "authority.pem")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_strangers_certificate_gets_no_letter_and_the_log_is_loud() {
    for protection in [Protection::Tls(Authority::new()), Protection::StartTls(Authority::new())] {
        let security = if matches!(protection, Protection::Tls(_)) { "tls" } else { "starttls" };
        let office = PostOffice::open(protection, &[]).await;
        let recipients = ["owner@shop.example", "books@shop.example"];
        let mut house = House::build(trusting(&office, security).set("integrations.shop.notify", recipients)).await;
        house.write("authority.pem", &Authority::new().pem);
        house.open().await;
        house.pay("INV-32", "25.00").await;
        house.until_logged("ERROR").await;
        house.until_logged("letters wait until mail works").await;
        house.until_logged("does not trust the certificate's issuer").await;
        let letter = until_letter_is(&house, "waiting").await;
        assert_eq!(letter["settled"], Value::Null);
        // What came of the one is noted together with the other's being put back.
        let failed = || house.mail_json().iter().any(|letter| !letter["error"].is_null()).then_some(());
        house.wait(failed).await.expect("one letter was tried");
        let tried = house.mail_json().iter().map(|letter| letter["attempts"].as_u64().unwrap()).sum::<u64>();
        assert_eq!(tried, 1, "and the other was not");
        assert!(office.letters().is_empty());
        assert!(!office.lines().iter().any(|line| line.starts_with("AUTH")), "{:?}", office.lines());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_is_left_at_the_deadline_and_gets_the_same_letter_again() {
    let office = PostOffice::open(Protection::Plain, &[Verdict::FallSilent]).await;
    let house = House::start(Settings::usual().smtp(office.port, "none").set("mail.smtp.timeout", "300ms")).await;
    house.pay("INV-32", "25.00").await;
    let letters = office.until_letters(2).await;
    assert_eq!((letters[0].0, letters[1].0), (Verdict::FallSilent, Verdict::Take));
    assert_same(&letters[0].2, &letters[1].2);
    let letter = until_letter_is(&house, "sent").await;
    assert_eq!(letter["attempts"], 2);
    assert!(house.log().contains("took longer than 300ms"), "{}", house.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_up_after_the_letter_gets_the_same_letter_again() {
    let office = PostOffice::open(Protection::Plain, &[Verdict::HangUp]).await;
    let house = House::start(Settings::usual().smtp(office.port, "none")).await;
    house.pay("INV-32", "25.00").await;
    let letters = office.until_letters(2).await;
    assert_same(&letters[0].2, &letters[1].2);
    assert_eq!(until_letter_is(&house, "sent").await["attempts"], 2);
    house.until_logged("letter not sent yet").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn not_now_and_then_never_is_never() {
    let office = PostOffice::open(Protection::Plain, &[Verdict::Later, Verdict::Refuse]).await;
    let house = House::start(Settings::usual().smtp(office.port, "none")).await;
    house.pay("INV-32", "25.00").await;
    let refused = until_letter_is(&house, "refused").await;
    assert_eq!(refused["attempts"], 2);
    assert!(refused["error"].as_str().unwrap().contains("550 no such user"), "{refused}");
    house.until_logged("letter refused: mail retry sends it again").await;
    house.pay("INV-33", "1.00").await;
    assert_eq!(office.until_letters(1).await[0].2.subject(), "Paid: USD 1.00, INV-33", "the next one goes out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_offers_no_encryption_gets_neither_letter_nor_password() {
    let office = PostOffice::open(Protection::Plain, &[]).await;
    let mut house = House::build(trusting(&office, "starttls")).await;
    house.write("authority.pem", &Authority::new().pem);
    house.open().await;
    house.pay("INV-32", "25.00").await;
    house.until_logged("letters wait until mail works").await;
    let letter = until_letter_is(&house, "waiting").await;
    assert!(letter["error"].as_str().unwrap().contains("STARTTLS"), "{letter}");
    let said = |line: &String| line.starts_with("AUTH") || line.starts_with("MAIL");
    assert!(!office.lines().iter().any(said), "{:?}", office.lines());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_letter_that_does_not_go_is_promised_no_other_try() {
    let house = House::build(Settings::usual().smtp(1, "none")).await;
    let output = house.run(&["mail", "test", "owner@shop.example"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert!(said.contains("not delivered: ") && !said.contains("tried again"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_field_of_a_payment_can_add_a_header_or_a_recipient() {
    let office = PostOffice::open(Protection::Plain, &[]).await;
    let house = House::start(Settings::usual().smtp(office.port, "none")).await;
    let odd = [
        "a%0D%0ABcc: everybody@example.com",
        "x\u{2029}Bcc: everybody@example.com",
        "=?utf-8?q?x=0D=0ABcc:_everybody@example.com?=",
        "<script>alert(1)</script> \u{202e}23-VNI {{ 7 * 7 }} $(id) '\"",
        &"\u{fffc}\u{ad}É".repeat(20),
        "\u{2028}.\u{2028}",
    ];
    let mut sent = 0;
    for reference in odd {
        let payment = house.begin(reference, "25.00");
        house.gateway.set_status(&payment.guid, "Paid").unwrap();
        assert_eq!(house.post(&payment, &PostSpec::status("Paid")).await, 200);
        if house.story(&payment.guid).is_some_and(|story| !story["reference"].is_null()) {
            sent += 1;
            house.until_it_is(&payment.guid, "paid", "confirmed").await;
        }
    }
    assert_eq!(sent, 4, "line separators are outside the grammar, everything else is somebody's reference");
    let letters = office.until_letters(sent).await;
    for (_, recipient, letter) in &letters {
        assert_eq!((recipient.as_str(), letter.to()), ("owner@shop.example", "owner@shop.example"));
        let names: Vec<&str> = letter.headers.iter().map(|(name, _)| name.as_str()).collect();
        let wanted = ["Message-ID", "Date", "From", "To", "Subject", "Auto-Submitted", "MIME-Version", "Content-Type"];
        assert_eq!(names, wanted);
        assert!(letter.raw.is_ascii() && letter.subject().len() < 998, "{}", letter.raw);
        assert!(
            !letter.raw.contains("<script>") || !letter.raw.split("text/html").nth(1).unwrap().contains("<script>")
        );
        assert!(!letter.text.contains('\u{202e}'));
    }
    assert!(!office.lines().iter().any(|line| line.contains("everybody")), "{:?}", office.lines());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_letter_tries_the_whole_way() {
    let office = PostOffice::open(Protection::Plain, &[Verdict::Take, Verdict::Refuse]).await;
    let house = House::build(Settings::usual().smtp(office.port, "none")).await;
    let said = house.done(&["mail", "test", "owner@shop.example"]);
    assert!(said.contains("on its way"), "{said}");
    assert_eq!(office.letters()[0].2.subject(), "Test letter from paynowd");
    let refused = house.run(&["mail", "test", "owner@shop.example"]);
    assert_eq!(refused.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("550 no such user"), "{refused:?}");
    let nobody = house.run(&["mail", "test", "a\nRCPT TO:<everybody@example.com>"]);
    assert_ne!(nobody.status.code(), Some(0));
    assert_eq!(office.letters().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_wait_for_a_mail_server_that_is_not_there() {
    let office = PostOffice::open(Protection::Plain, &[]).await;
    let port = office.port;
    drop(office);
    let house = House::start(Settings::usual().smtp(port, "none").set("mail.give_up_after", "1s")).await;
    house.pay("INV-32", "25.00").await;
    house.until_logged("letter not sent yet").await;
    let letter = until_letter_is(&house, "given-up").await;
    assert!(letter["error"].as_str().unwrap().contains("cannot connect"), "{letter}");
    let tries = letter["attempts"].as_u64().unwrap();
    assert!((2..=12).contains(&tries), "tried every 100 ms for a second: {tries}");
    assert!(Duration::from_millis(tries * 100) <= Duration::from_millis(1200));
    let given_up = |log: String| log.matches("letter given up: mail retry sends it again").count();
    house
        .wait(|| (given_up(house.log()) == 1).then_some(()))
        .await
        .expect("the log says that it is not tried any more");
    assert_eq!(house.log().matches("letter not sent yet").count(), usize::try_from(tries).unwrap() - 1);

    assert!(house.done(&["mail", "retry"]).starts_with("1 back in the post"));
    house.wait(|| (given_up(house.log()) == 2).then_some(())).await.expect("given up again");
    let again = until_letter_is(&house, "given-up").await["attempts"].as_u64().unwrap();
    assert!(again >= tries + 2, "it has its time again: {tries} tries, then {again} in all");
}
