//! TLS, authentication and plain text: what the conversation is protected by, and what happens where it is not.

use super::super::scripted::Act::Tls;
use super::super::scripted::Certificate;
use super::*;

fn trusting(port: u16, security: Security, certificate: &Certificate) -> Smtp {
    Smtp { tls: Some(certificate.trust()), ..client(port, security) }
}

fn authenticating(mut smtp: Smtp) -> Smtp {
    smtp.settings.username = Some("ledger".into());
    smtp.settings.password = Some("s3cret-word".into());
    smtp
}

fn starttls() -> Vec<Act> {
    vec![
        Say("220 ready\r\n"),
        Hear("EHLO shop.example"),
        Say("250-mail.example\r\n250 STARTTLS\r\n"),
        Hear("STARTTLS"),
        Say("220 go ahead\r\n"),
        Tls,
    ]
}

fn again() -> Vec<Act> {
    vec![Hear("EHLO shop.example"), Say("250-mail.example\r\n250 AUTH LOGIN PLAIN\r\n")]
}

#[tokio::test]
async fn letters_go_encrypted_and_authenticated_by_starttls_and_by_tls() {
    let certificate = Certificate::new("localhost", 4000);
    let login = vec![Hear("AUTH PLAIN AGxlZGdlcgBzM2NyZXQtd29yZA=="), Say("235 welcome\r\n")];
    for (security, opening) in
        [(Security::StartTls, [starttls(), again()].concat()), (Security::Tls, [vec![Tls], hello()].concat())]
    {
        let server = Server::start(vec![[opening, login.clone(), taken(), taken()].concat()], Some(&certificate)).await;
        let mut smtp = authenticating(trusting(server.port, security, &certificate));
        assert_eq!(deliver(&mut smtp, 1).await, Ok(()));
        assert_eq!(deliver(&mut smtp, 2).await, Ok(()));
        server.finish().await;
    }
}

#[tokio::test]
async fn a_server_without_starttls_gets_no_letter_and_no_password() {
    let server = Server::start(vec![[hello(), vec![Hang]].concat()], None).await;
    let mut smtp = authenticating(trusting(server.port, Security::StartTls, &Certificate::new("localhost", 4000)));
    assert_misconfigured(&deliver(&mut smtp, 1).await, "does not offer STARTTLS");
    assert_eq!(server.finish().await, ["1: EHLO shop.example"]);
}

#[tokio::test]
async fn a_refused_starttls_is_loud_and_a_postponed_one_is_not() {
    let script = |answer| {
        vec![Say("220 ready\r\n"), Hear("EHLO"), Say("250-m\r\n250 STARTTLS\r\n"), Hear("STARTTLS"), Say(answer), Hang]
    };
    let server = Server::start(vec![script("502 no\r\n"), script("454 not now\r\n")], None).await;
    let mut smtp = trusting(server.port, Security::StartTls, &Certificate::new("localhost", 4000));
    assert_misconfigured(&deliver(&mut smtp, 1).await, "STARTTLS with 502 no");
    assert_deferred(&deliver(&mut smtp, 1).await, "STARTTLS with 454 not now");
    server.finish().await;
}

#[tokio::test]
async fn words_slipped_in_before_the_handshake_end_the_connection() {
    let certificate = Certificate::new("localhost", 4000);
    let mut script = starttls();
    script[4] = Say("220 go ahead\r\n250-evil.example\r\n250 AUTH PLAIN\r\n");
    let server = Server::start(vec![[script, vec![Hang]].concat()], Some(&certificate)).await;
    let mut smtp = authenticating(trusting(server.port, Security::StartTls, &certificate));
    assert_misconfigured(&deliver(&mut smtp, 1).await, "before TLS");
    server.finish().await;
}

#[tokio::test]
async fn a_certificate_that_does_not_hold_is_said_in_words() {
    let good = Certificate::new("localhost", 4000);
    for (presented, trusted, words) in [
        (&Certificate::new("localhost", 2001), None, "expired"),
        (&Certificate::new("elsewhere.example", 4000), None, "localhost"),
        (&Certificate::new("localhost", 4000), Some(&good), "SSL_CERT_FILE"),
    ] {
        for (security, script) in [(Security::Tls, vec![Tls]), (Security::StartTls, starttls())] {
            let server = Server::start(vec![script], Some(presented)).await;
            let mut smtp = trusting(server.port, security, trusted.unwrap_or(presented));
            assert_misconfigured(&deliver(&mut smtp, 1).await, words);
            assert!(server.finish().await.contains(&"1: no handshake".into()));
        }
    }
}

#[tokio::test]
async fn a_server_that_is_not_speaking_tls_is_said_in_words() {
    let server = Server::start(vec![hello()[..1].to_vec()], None).await;
    let mut smtp = trusting(server.port, Security::Tls, &Certificate::new("localhost", 4000));
    assert_misconfigured(&deliver(&mut smtp, 1).await, "does not speak TLS");
}

#[tokio::test]
async fn a_wrong_password_is_loud_and_never_repeated() {
    let script = [hello(), vec![Hear("AUTH PLAIN"), Say("535 5.7.8 credentials invalid\r\n")]].concat();
    let server = Server::start(vec![script], None).await;
    let mut smtp = authenticating(client(server.port, Security::None));
    let outcome = deliver(&mut smtp, 1).await;
    assert_misconfigured(&outcome, "535 5.7.8 credentials invalid");
    assert!(!format!("{outcome:?} {smtp:?}").contains("s3cret"));
    server.finish().await;
}

#[tokio::test]
async fn a_server_that_wants_no_password_we_can_give_is_a_matter_for_a_person() {
    let script = vec![Say("220 ready\r\n"), Hear("EHLO"), Say("250-m\r\n250 AUTH GSSAPI\r\n"), Hang];
    let server = Server::start(vec![script.clone(), script], None).await;
    let mut smtp = authenticating(client(server.port, Security::None));
    assert_misconfigured(&deliver(&mut smtp, 1).await, "neither AUTH PLAIN nor AUTH LOGIN");
    smtp.settings.password = None;
    assert_misconfigured(&deliver(&mut smtp, 1).await, "no password for mail user");
    server.finish().await;
}

#[tokio::test]
async fn a_demand_for_authentication_does_not_condemn_the_letter() {
    let script = [hello(), vec![Hear("MAIL"), Say("530 authentication required\r\n")]].concat();
    assert_misconfigured(&outcome(script).await, "530 authentication required");
}

#[tokio::test]
async fn plain_text_never_leaves_this_machine() {
    let elsewhere = std::net::UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });
    let Some(address) = elsewhere.ok().map(|address| address.ip()).filter(|ip| !ip.is_loopback()) else {
        return; // A machine without any address but its own has nowhere to send to.
    };
    let listener = tokio::net::TcpListener::bind((address, 0)).await.unwrap();
    let mut smtp = client(listener.local_addr().unwrap().port(), Security::None);
    smtp.settings.host = address.to_string();
    assert_misconfigured(&deliver(&mut smtp, 1).await, "not this machine");
}

#[tokio::test]
async fn a_probe_says_everything_but_a_letter() {
    let certificate = Certificate::new("localhost", 4000);
    let login = vec![
        Hear("AUTH PLAIN"),
        Say("235 welcome\r\n"),
        Hear("NOOP"),
        Say("250 ok\r\n"),
        Hear("QUIT"),
        Say("221 bye\r\n"),
    ];
    let server = Server::start(vec![[starttls(), again(), login].concat()], Some(&certificate)).await;
    let mut smtp = authenticating(trusting(server.port, Security::StartTls, &certificate));
    assert_eq!(smtp.probe().await, Ok(()));
    server.finish().await;

    let settings = client(1, Security::None).settings;
    assert_deferred(&probe(&settings, "shop.example").await, "cannot connect to mail server localhost:1");
    assert_misconfigured(&probe(&settings, "shop\r\nMAIL FROM:<x>").await, "EHLO");
}
