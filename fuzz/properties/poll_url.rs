//! Poll URLs: whatever is taken leads to the configured gateway and nowhere else, by the words of the very library that
//! goes there.

use hyper::Uri;
use paynowd::domain::{Origin, PollUrl};
use paynowd::protocol::Protocol;

use super::harmless;

/// A text is a poll URL; if it has two lines, the first is where the gateway lives.
pub fn holds(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let usual: Origin = Protocol::Zimbabwe.default_origin().parse().unwrap();
    taken(text, &usual);
    if let Some((origin, url)) = text.split_once('\n') {
        match origin.parse() {
            Ok(origin) => {
                sound(&origin);
                taken(url, &origin);
            }
            Err(refused) => harmless(&refused.to_string(), "\n"),
        }
        taken(url, &usual);
    }
}

/// An origin is scheme, host and perhaps a port, and reads the same again.
fn sound(origin: &Origin) {
    assert_eq!(origin.to_string().parse().as_ref(), Ok(origin));
    let uri: Uri = origin.as_str().parse().expect("the client can go to an origin");
    let host = uri.host().expect("an origin has a host");
    let port = uri.port().map(|port| format!(":{}", port.as_u16())).unwrap_or_default();
    let scheme = uri.scheme_str().expect("an origin has a scheme");
    assert_eq!(format!("{scheme}://{host}{port}"), origin.as_str(), "nothing else is in it");
    let loopback = host == "localhost" || host == "[::1]" || host.starts_with("127.");
    assert!(scheme == "https" || scheme == "http" && loopback, "{origin} is asked in the clear");
}

/// If `text` is taken for a poll URL of `origin`, it is one.
fn taken(text: &str, origin: &Origin) {
    let url = match PollUrl::parse(text, origin) {
        Ok(url) => url,
        Err(refused) => return harmless(&refused.to_string(), "\n"),
    };
    assert_eq!(url.as_str(), text);
    let (uri, home): (Uri, Uri) = (text.parse().expect("the client can go there"), origin.as_str().parse().unwrap());
    assert_eq!(uri.scheme_str(), home.scheme_str());
    assert_eq!(uri.port_u16(), home.port_u16());
    assert_eq!(uri.host().map(str::to_ascii_lowercase), home.host().map(str::to_ascii_lowercase));
    assert!(!uri.authority().is_some_and(|authority| authority.as_str().contains('@')), "{text}");
    let path = uri.path().to_ascii_lowercase();
    assert!(path == "/interface/checkpayment" || path == "/interface/checkpayment/", "{text}");
    let asked = uri.query().map(str::to_ascii_lowercase);
    assert_eq!(asked, Some(format!("guid={}", url.key())));
    assert!(url.key().guid().is_some());
    assert_eq!(PollUrl::stored(text).as_ref(), Some(&url), "the ledger gives it back");
}
