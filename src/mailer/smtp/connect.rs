//! From a host name to a connection that is ready for letters: TCP, TLS, greeting, authentication. It sends no letter.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::{ClientId, Extension, ServerInfo};
use lettre::transport::smtp::response::Response;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt;
use secrecy::ExposeSecret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::fault::{Fault, checked};
use super::in_turn::{InTurn, Wire};
use super::session::Session;
use super::{Security, SmtpSettings};
use crate::mailer::Failure;

/// How much a server may say in one answer before TLS, in bytes.
const ANSWER_LENGTH: usize = 8 * 1024;

/// Trust in what this machine trusts, for servers' certificates.
pub(super) async fn system_trust() -> Result<Arc<ClientConfig>, Failure> {
    let failure = |text: String| Failure::Misconfigured(format!("cannot use this machine's certificate store: {text}"));
    let loaded = tokio::task::spawn_blocking(|| {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok::<_, rustls::Error>(builder.with_platform_verifier()?.with_no_client_auth())
    });
    match loaded.await {
        Ok(Ok(config)) => Ok(Arc::new(config)),
        Ok(Err(error)) => Err(failure(error.to_string())),
        Err(stopped) => Err(failure(stopped.to_string())),
    }
}

/// A connection ready for letters. With TLS, `tls` says whom to trust.
pub(super) async fn open(
    settings: &SmtpSettings,
    hello: &str,
    tls: Option<Arc<ClientConfig>>,
) -> Result<Session, Failure> {
    if !is_host_name(hello) {
        return Err(Failure::Misconfigured(format!("{hello:?} cannot be our name in EHLO: not an ASCII host name")));
    }
    let tcp = dial(settings).await?;
    let stream = match (settings.security, tls) {
        (Security::Tls, Some(tls)) => InTurn::new(encrypted(tcp, settings, tls).await?),
        (Security::StartTls, Some(tls)) => starttls(tcp, settings, hello, tls).await?,
        (Security::None, _) if is_this_machine(&tcp) => InTurn::new(Wire::Plain(tcp)),
        (Security::None | Security::Tls | Security::StartTls, _) => {
            return Err(Failure::Misconfigured(format!(
                "{} is not this machine, so mail does not go there without TLS",
                settings.host
            )));
        }
    };
    let pipelines = stream.pipelines();
    let mut connection = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &client(hello))
        .await
        .map_err(|error| Fault::of(&error).about_session("the greeting"))?;
    authenticate(&mut connection, settings).await?;
    Ok(Session::new(connection, pipelines.load(Ordering::Relaxed)))
}

/// TCP, without Nagle's delay: what is said after something that has not been acknowledged yet would wait 40 ms.
async fn dial(settings: &SmtpSettings) -> Result<TcpStream, Failure> {
    let (host, port) = (settings.host.as_str(), settings.port);
    let failure = |error| Failure::Deferred(format!("cannot connect to mail server {host}:{port}: {error}"));
    let tcp = TcpStream::connect((host, port)).await.map_err(failure)?;
    tcp.set_nodelay(true).map_err(failure)?;
    Ok(tcp)
}

/// Where the connection really goes, whatever the name said.
fn is_this_machine(tcp: &TcpStream) -> bool {
    tcp.peer_addr().is_ok_and(|peer| peer.ip().to_canonical().is_loopback())
}

/// TLS to the host we were told of.
async fn encrypted(tcp: TcpStream, settings: &SmtpSettings, tls: Arc<ClientConfig>) -> Result<Wire, Failure> {
    let host = &settings.host;
    let name = ServerName::try_from(host.clone())
        .map_err(|_| Failure::Misconfigured(format!("{host:?} is not a name a certificate could carry")))?;
    let stream = TlsConnector::from(tls)
        .connect(name, tcp)
        .await
        .map_err(|error| Fault::of_cause(&error).about_session(&format!("the handshake with {host}")))?;
    Ok(Wire::Tls(Box::new(stream)))
}

/// TLS after a plain beginning, or nothing: greeting, EHLO, STARTTLS, handshake. The library's own STARTTLS would keep
/// what came in plain text behind the server's answer and take it for encrypted; here that ends the connection.
async fn starttls(
    tcp: TcpStream,
    settings: &SmtpSettings,
    hello: &str,
    tls: Arc<ClientConfig>,
) -> Result<InTurn, Failure> {
    let mut plain = InTurn::new(Wire::Plain(tcp));
    let greeting = answer(&mut plain, 220).await.map_err(|fault| fault.about_session("the greeting"))?;
    let extensions = ask(&mut plain, &format!("EHLO {}\r\n", client(hello)), 250)
        .await
        .and_then(|text| read(&text))
        .and_then(|answer| ServerInfo::from_response(&answer).map_err(|error| Fault::of(&error)))
        .map_err(|fault| fault.about_session("EHLO"))?;
    if !extensions.supports_feature(Extension::StartTls) {
        return Err(Failure::Misconfigured(format!(
            "mail server {} does not offer STARTTLS, and mail does not go there without",
            settings.host
        )));
    }
    ask(&mut plain, "STARTTLS\r\n", 220).await.map_err(|fault| fault.about_session("STARTTLS"))?;
    match plain.into_wire() {
        Some(Wire::Plain(tcp)) => Ok(InTurn::greeted(encrypted(tcp, settings, tls).await?, greeting.into_bytes())),
        Some(Wire::Tls(_)) | None => Err(Failure::Misconfigured(format!(
            "mail server {} said more than it should before TLS; somebody may be in between",
            settings.host
        ))),
    }
}

/// Says a command and wants this answer.
async fn ask(plain: &mut InTurn, command: &str, wanted: u16) -> Result<String, Fault> {
    plain.write_all(command.as_bytes()).await.map_err(|error| Fault::of_cause(&error))?;
    answer(plain, wanted).await
}

/// The server's answer, which must be this one.
async fn answer(plain: &mut InTurn, wanted: u16) -> Result<String, Fault> {
    let mut text = Vec::new();
    while !plain.is_answered() {
        let count = plain.read_buf(&mut text).await.map_err(|error| Fault::of_cause(&error))?;
        if count == 0 || text.len() > ANSWER_LENGTH {
            return Err(Fault::Line("no complete answer".to_owned()));
        }
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    checked(Ok(read(&text)?), &[wanted])?;
    Ok(text)
}

/// The text as an SMTP answer.
fn read(text: &str) -> Result<Response, Fault> {
    text.parse().map_err(|_| Fault::Line("not an SMTP answer".to_owned()))
}

/// Says who we are, if the configuration does.
async fn authenticate(connection: &mut AsyncSmtpConnection, settings: &SmtpSettings) -> Result<(), Failure> {
    let (username, password) = match (&settings.username, &settings.password) {
        (None, _) => return Ok(()),
        (Some(username), Some(password)) => (username.clone(), password.expose_secret().to_owned()),
        (Some(username), None) => {
            return Err(Failure::Misconfigured(format!("there is no password for mail user {username:?}")));
        }
    };
    let mechanisms = [Mechanism::Plain, Mechanism::Login];
    if connection.server_info().get_auth_mechanism(&mechanisms).is_none() {
        let host = &settings.host;
        return Err(Failure::Misconfigured(format!("mail server {host} offers neither AUTH PLAIN nor AUTH LOGIN")));
    }
    let verdict = connection.auth(&mechanisms, &Credentials::new(username, password.clone())).await;
    checked(verdict, &[235]).map_err(|fault| fault.without(&password).about_session("our user name and password"))
}

fn client(hello: &str) -> ClientId {
    ClientId::Domain(hello.to_owned())
}

/// A domain, or an address in brackets: nothing that could end a command and begin another.
fn is_host_name(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'[' | b']' | b':'))
}
