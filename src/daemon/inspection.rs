//! Looking before leaping: what `check` tries beyond reading the configuration.

use super::wiring;
use crate::config::{Config, Transport};
use crate::domain::Origin;
use crate::http::{Client, Method, Request};
use crate::mailer;

/// Something that was tried, and what came of it.
#[derive(Debug)]
pub struct Probe {
    /// What.
    pub what: String,
    /// What came of it, in words.
    pub result: Result<(), String>,
}

/// Tries the mail server and each gateway: name, connection, certificate, and for mail the password.
pub async fn probe(config: &Config) -> Vec<Probe> {
    let mut probes = Vec::new();
    if let Transport::Smtp(smtp) = &config.mail.transport {
        let result = mailer::probe(&wiring::smtp(smtp), config.mail.from.email.domain()).await;
        probes.push(Probe {
            what: format!("mail.smtp: {}:{}", smtp.host, smtp.port),
            result: result.map_err(|failure| failure.to_string()),
        });
    }
    let mut origins: Vec<&Origin> = config.integrations.iter().map(|integration| &integration.origin).collect();
    origins.sort_unstable_by_key(|origin| origin.as_str());
    origins.dedup();
    for origin in origins {
        probes.push(Probe { what: format!("gateway: {origin}"), result: reach(config, origin).await });
    }
    probes
}

/// Any HTTP answer will do: it came through the certificate.
async fn reach(config: &Config, origin: &Origin) -> Result<(), String> {
    let client = Client::new(wiring::client(config)).map_err(|error| error.to_string())?;
    let uri = format!("{origin}/").parse().map_err(|_| "not an address".to_owned())?;
    let request = Request { method: Method::Get, uri, headers: Vec::new(), body: hyper::body::Bytes::new() };
    client.send(request).await.map(drop).or_else(|error| match error {
        crate::http::SendError::TooLarge(_) => Ok(()),
        trouble => Err(trouble.to_string()),
    })
}
