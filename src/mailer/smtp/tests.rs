//! Conversations with a scripted server: what is delivered, refused, deferred, and never mistaken for another's.

mod protection;

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use super::scripted::Act::{Await, Hang, Hear, Letter, Say, Tell};
use super::scripted::{Act, Server, at_once, brisk_hello, hello, taken, up_to_data};
use super::*;
use crate::mailer::letter::tests::composed;

/// How long a deadline is that a test means to be missed: long enough for all that should come before.
const SHORT: Duration = Duration::from_secs(1);
/// How long anything may take before a test is stuck.
const STUCK: Duration = Duration::from_secs(20);

fn client(port: u16, security: Security) -> Smtp {
    let settings = SmtpSettings {
        host: "localhost".into(),
        port,
        security,
        username: None,
        password: None,
        timeout: Duration::from_mins(1),
    };
    Smtp { idle_max: Duration::from_mins(1), ..Smtp::new(settings, "shop.example".into()) }
}

async fn deliver(smtp: &mut Smtp, number: u32) -> Result<(), Failure> {
    let letter = composed(&format!("{number}@shop.example"), &format!("r{number}@shop.example"));
    tokio::time::timeout(STUCK, smtp.deliver(&letter)).await.expect("deliver ends by itself")
}

/// One letter to a server that answers with this script.
async fn outcome(script: Vec<Act>) -> Result<(), Failure> {
    let server = Server::start(vec![script], None).await;
    let mut smtp = client(server.port, Security::None);
    let outcome = deliver(&mut smtp, 1).await;
    assert_eq!(smtp.kept.is_some(), outcome.is_ok(), "a connection is kept after success and only then");
    smtp.close().await;
    server.finish().await;
    outcome
}

fn refused(code: u16, text: &str) -> Result<(), Failure> {
    Err(Failure::Refused { code, text: text.into() })
}

#[track_caller]
fn assert_deferred(outcome: &Result<(), Failure>, words: &str) {
    assert!(matches!(outcome, Err(Failure::Deferred(text)) if text.contains(words)), "{outcome:?}");
}

#[track_caller]
fn assert_misconfigured(outcome: &Result<(), Failure>, words: &str) {
    assert!(matches!(outcome, Err(Failure::Misconfigured(text)) if text.contains(words)), "{outcome:?}");
}

#[tokio::test]
async fn two_letters_go_over_one_kept_connection() {
    let script = [hello(), taken(), taken(), vec![Hear("QUIT"), Say("221 bye\r\n")]].concat();
    let server = Server::start(vec![script], None).await;
    let mut smtp = client(server.port, Security::None);
    assert_eq!(deliver(&mut smtp, 1).await, Ok(()));
    assert_eq!(deliver(&mut smtp, 2).await, Ok(()));
    smtp.close().await;
    let heard = server.finish().await;
    assert_eq!(heard.iter().filter(|line| line.starts_with("1: RCPT")).count(), 2);
    assert!(heard.contains(&"1: Message-ID: <2@shop.example>".into()), "{heard:?}");
}

#[tokio::test]
async fn a_connection_idle_too_long_is_not_used_again() {
    let patient = [hello(), taken(), vec![Hang]].concat();
    let server = Server::start(vec![patient, [hello(), taken()].concat()], None).await;
    let mut smtp = client(server.port, Security::None);
    smtp.idle_max = Duration::ZERO;
    assert_eq!(deliver(&mut smtp, 1).await, Ok(()));
    assert_eq!(deliver(&mut smtp, 2).await, Ok(()));
    server.finish().await;
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closed_is_replaced_without_a_failure() {
    let server = Server::start(vec![[hello(), taken()].concat(); 2], None).await;
    let mut smtp = client(server.port, Security::None);
    assert_eq!(deliver(&mut smtp, 1).await, Ok(()));
    assert_eq!(deliver(&mut smtp, 2).await, Ok(()));
    server.finish().await;
}

#[tokio::test]
async fn a_5xx_about_the_letter_is_final() {
    assert_eq!(
        outcome([hello(), vec![Hear("MAIL"), Say("553 not yours\r\n")]].concat()).await,
        refused(553, "not yours")
    );
    let unknown = vec![Hear("MAIL"), Say("250 ok\r\n"), Hear("RCPT"), Say("550-no such\r\n550 user \x1b[31mhere\r\n")];
    assert_eq!(outcome([hello(), unknown].concat()).await, refused(550, "no such user ?[31mhere"));
    let spam = vec![Letter, Say("554 looks like spam\r\n")];
    assert_eq!(outcome([hello(), up_to_data(), spam].concat()).await, refused(554, "looks like spam"));
}

#[tokio::test]
async fn a_refusal_in_a_local_alphabet_is_still_a_refusal() {
    let unknown = vec![Hear("MAIL"), Say("250 ok\r\n"), Hear("RCPT"), Say("550 użytkownik nieznany\r\n")];
    assert_eq!(outcome([hello(), unknown].concat()).await, refused(550, "u??ytkownik nieznany"));
}

#[tokio::test]
async fn a_4xx_a_strange_answer_or_a_lost_connection_is_tried_again() {
    let greylisted = vec![Hear("MAIL"), Say("250 ok\r\n"), Hear("RCPT"), Say("450 later\r\n")];
    assert_deferred(&outcome([hello(), greylisted].concat()).await, "450 later");
    let strange =
        vec![Hear("MAIL"), Say("250 ok\r\n"), Hear("RCPT"), Say("250 ok\r\n"), Hear("DATA"), Say("250 ok\r\n")];
    assert_deferred(&outcome([hello(), strange].concat()).await, "DATA with 250");
    assert_deferred(&outcome([hello(), up_to_data(), vec![Letter]].concat()).await, "lost at the letter");
    assert_deferred(&outcome([hello(), up_to_data(), vec![Letter, Say("nonsense\r\n")]].concat()).await, "the letter");
    assert_deferred(&outcome(vec![]).await, "lost at the greeting");
}

#[tokio::test]
async fn the_deadline_ends_a_send_that_hangs_at_any_point() {
    async fn missed(script: Vec<Act>) {
        let server = Server::start(vec![script], None).await;
        let mut smtp = client(server.port, Security::None);
        smtp.settings.timeout = SHORT;
        assert_deferred(&deliver(&mut smtp, 1).await, "longer than 1s");
        assert!(smtp.kept.is_none());
        server.finish().await;
    }
    tokio::join!(
        missed(vec![Hang]),
        missed([hello(), vec![Hear("MAIL"), Hang]].concat()),
        missed([hello(), up_to_data(), vec![Letter, Say("250-almost\r\n"), Hang]].concat()),
    );
}

#[tokio::test]
async fn a_late_reply_is_never_attributed_to_the_next_letter() {
    let (second_waits, late_was_said) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let late =
        vec![Letter, Await(Arc::clone(&second_waits)), Say("250 taken, late\r\n"), Tell(Arc::clone(&late_was_said))];
    let second = vec![
        Hear("MAIL"),
        Say("250 ok\r\n"),
        Hear("RCPT TO:<r2@shop.example>"),
        Tell(second_waits),
        Await(late_was_said),
        Say("550 no such user\r\n"),
    ];
    let scripts = vec![[hello(), up_to_data(), late].concat(), [hello(), second].concat()];
    let server = Server::start(scripts, None).await;
    let mut smtp = client(server.port, Security::None);
    smtp.settings.timeout = SHORT;
    assert_deferred(&deliver(&mut smtp, 1).await, "longer than");
    smtp.settings.timeout = Duration::from_mins(1);
    assert_eq!(deliver(&mut smtp, 2).await, refused(550, "no such user"));
    server.finish().await;
}

#[tokio::test]
async fn a_send_that_its_caller_gave_up_leaves_no_connection_behind() {
    let reached = Arc::new(Notify::new());
    let first = [hello(), taken(), up_to_data(), vec![Letter, Tell(Arc::clone(&reached)), Hang]].concat();
    let server = Server::start(vec![first, [hello(), taken()].concat()], None).await;
    let mut smtp = client(server.port, Security::None);
    assert_eq!(deliver(&mut smtp, 1).await, Ok(()));
    tokio::select! {
        ended = deliver(&mut smtp, 2) => panic!("ended with {ended:?}"),
        () = reached.notified() => {}
    }
    assert_eq!(deliver(&mut smtp, 3).await, Ok(()));
    server.finish().await;
}

#[tokio::test]
async fn a_second_answer_to_one_letter_is_never_taken_for_the_next() {
    for (twice, first) in [
        ("250 taken\r\n554 on second thoughts\r\n", Ok(())),
        ("250 taken\r\n250 taken\r\n", Ok(())),
        ("554 no\r\n250 taken\r\n", refused(554, "no")),
    ] {
        let scripts = vec![
            [hello(), up_to_data(), vec![Letter, Say(twice), Hang]].concat(),
            [hello(), vec![Hear("MAIL"), Say("250 ok\r\n"), Hear("RCPT"), Say("450 later\r\n")]].concat(),
        ];
        let server = Server::start(scripts, None).await;
        let mut smtp = client(server.port, Security::None);
        assert_eq!(deliver(&mut smtp, 1).await, first);
        assert_deferred(&deliver(&mut smtp, 2).await, "450 later");
        drop(smtp);
        server.finish().await;
    }
}

#[tokio::test]
async fn a_word_said_between_two_letters_is_never_taken_for_the_next_answer() {
    let (go, said) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let stray = vec![Await(Arc::clone(&go)), Say("250 taken\r\n"), Tell(Arc::clone(&said)), Hang];
    let server = Server::start(vec![[hello(), taken(), stray].concat(), [hello(), taken()].concat()], None).await;
    let mut smtp = client(server.port, Security::None);
    assert_eq!(deliver(&mut smtp, 1).await, Ok(()));
    go.notify_one();
    said.notified().await;
    see_what_arrived().await;
    assert_eq!(deliver(&mut smtp, 2).await, Ok(()));
    server.finish().await;
}

/// Makes the runtime look at its sockets: it cannot hand over these bytes without also noticing what came before them.
async fn see_what_arrived() {
    let (mut near, mut far) = tokio::net::UnixStream::pair().unwrap();
    near.write_all(b"x").await.unwrap();
    far.read_exact(&mut [0]).await.unwrap();
}

#[tokio::test]
async fn an_answer_before_the_letter_was_sent_does_not_count_as_its_acceptance() {
    let eager = vec![
        Hear("MAIL"),
        Say("250 ok\r\n"),
        Hear("RCPT"),
        Say("250 ok\r\n"),
        Hear("DATA"),
        Say("354 go\r\n250 taken\r\n"),
        Hang,
    ];
    assert_deferred(&outcome([hello(), eager].concat()).await, "out of turn");
}

#[tokio::test]
async fn a_server_that_takes_several_commands_at_once_is_told_all_before_a_letter() {
    let letter = || [at_once("250 ok\r\n250 ok\r\n354 go\r\n"), vec![Letter, Say("250 taken\r\n")]].concat();
    let server = Server::start(vec![[brisk_hello(), letter(), letter()].concat()], None).await;
    let mut smtp = client(server.port, Security::None);
    assert_eq!(deliver(&mut smtp, 1).await, Ok(()));
    assert_eq!(deliver(&mut smtp, 2).await, Ok(()));
    server.finish().await;
}

#[tokio::test]
async fn what_is_said_at_once_is_answered_one_by_one() {
    for (answers, outcome_is) in [
        ("553 not yours\r\n503 no sender\r\n503 no sender\r\n", refused(553, "not yours")),
        ("250 ok\r\n550 no such user\r\n354 go\r\n", refused(550, "no such user")),
        ("250 ok\r\n250 ok\r\n554 not today\r\n", refused(554, "not today")),
    ] {
        // No letter follows: the server would take it for somebody.
        assert_eq!(outcome([brisk_hello(), at_once(answers), vec![Hang]].concat()).await, outcome_is);
    }
    let greylisted = at_once("250 ok\r\n450 later\r\n503 no recipient\r\n");
    assert_deferred(&outcome([brisk_hello(), greylisted].concat()).await, "450 later");
    let eager = [at_once("250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n"), vec![Hang]].concat();
    assert_deferred(&outcome([brisk_hello(), eager].concat()).await, "out of turn");
    let stray = [at_once("250 stray\r\n250 ok\r\n250 ok\r\n354 go\r\n"), vec![Hang]].concat();
    assert_deferred(&outcome([brisk_hello(), stray].concat()).await, "DATA with 250");
    assert_deferred(&outcome([brisk_hello(), at_once("250 ok\r\n250 ok\r\n")].concat()).await, "lost at DATA");
}
