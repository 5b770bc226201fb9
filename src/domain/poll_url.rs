//! Where a gateway can be asked about one payment. The URL arrives in a message whose field boundaries nothing
//! protects, so it is taken only if it lies exactly where the configured gateway keeps such URLs.

use std::fmt;
use std::str::FromStr;

use super::GatewayKey;
use super::names::guid_bytes;

/// Scheme, host and port of a gateway: `https://www.paynow.co.zw`. Plain http only to this machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin(Box<str>);

/// The text is not an origin we may talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be an origin like https://www.paynow.co.zw: scheme, host and optional port only; http is for loopback hosts"
)]
pub struct NotAnOrigin;

impl Origin {
    /// The origin as text, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Origin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        let text = text.strip_suffix('/').unwrap_or(text).to_ascii_lowercase();
        let (scheme, authority) = text.split_once("://").ok_or(NotAnOrigin)?;
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let ipv6 = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let named = !host.is_empty()
            && host.len() <= 253
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
        let host_is_sound = ipv6.map_or(named, |address| address.parse::<std::net::Ipv6Addr>().is_ok());
        // As it is written, without `+` or zeros before it: one origin has one spelling, and clients agree on it.
        let written = |port: &str| port.parse::<u16>().is_ok_and(|number| number > 0 && number.to_string() == port);
        let port_is_sound = port.is_none_or(written);
        let loopback = host == "localhost"
            || host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
            || ipv6 == Some("::1");
        match scheme {
            _ if !host_is_sound || !port_is_sound => Err(NotAnOrigin),
            "https" => Ok(Self(text.into())),
            "http" if loopback => Ok(Self(text.into())),
            _ => Err(NotAnOrigin),
        }
    }
}

/// A poll URL of Paynow Zimbabwe, pinned to its gateway: nothing in it can lead elsewhere.
///
/// <https://developers.paynow.co.zw/docs/polling_status.html>
#[derive(Clone, PartialEq, Eq)]
pub struct PollUrl {
    text: Box<str>,
    guid: [u8; 16],
}

/// The poll URL leads, or might lead, somewhere else than the configured gateway's `CheckPayment` page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be the configured gateway's /Interface/CheckPayment/?guid=… with a GUID and nothing else")]
pub struct NotAPollUrl;

impl PollUrl {
    /// Takes `text` if it is `{origin}/Interface/CheckPayment/?guid={GUID}`, path in any letter case.
    ///
    /// # Errors
    /// It is anything else; the caller must not go there.
    pub fn parse(text: &str, origin: &Origin) -> Result<Self, NotAPollUrl> {
        let there = origin.as_str().len();
        let (start, path) = text.split_at_checked(there).ok_or(NotAPollUrl)?;
        let (page, guid) = path.split_once('?').ok_or(NotAPollUrl)?;
        let (name, guid) = guid.split_once('=').ok_or(NotAPollUrl)?;
        let page = page.strip_suffix('/').unwrap_or(page);
        if !start.eq_ignore_ascii_case(origin.as_str())
            || !page.eq_ignore_ascii_case("/interface/checkpayment")
            || !name.eq_ignore_ascii_case("guid")
        {
            return Err(NotAPollUrl);
        }
        Ok(Self { text: text.into(), guid: guid_bytes(guid).ok_or(NotAPollUrl)? })
    }

    /// Takes back a poll URL that was pinned when it was stored.
    pub fn stored(text: &str) -> Option<Self> {
        let path = text.match_indices('/').nth(2)?.0;
        Self::parse(text, &text.get(..path)?.parse().ok()?).ok()
    }

    /// The URL as the gateway wrote it. Whoever has it can read the payment: never for a log, letter or page.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The payment it asks about.
    pub fn key(&self) -> GatewayKey {
        GatewayKey::from_guid(self.guid)
    }
}

impl fmt::Debug for PollUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PollUrl(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GUID: &str = "06f656ab-ed60-4a03-8373-a3321b4b3e68";

    fn paynow() -> Origin {
        "https://www.paynow.co.zw".parse().unwrap()
    }

    #[test]
    fn the_gateways_own_poll_urls_are_taken_in_any_path_case() {
        for page in ["/Interface/CheckPayment/", "/interface/checkpayment/", "/Interface/CheckPayment"] {
            let url = PollUrl::parse(&format!("https://www.paynow.co.zw{page}?guid={GUID}"), &paynow()).unwrap();
            assert_eq!(url.key().as_str(), GUID);
        }
        let shouted = format!("HTTPS://WWW.PAYNOW.CO.ZW/Interface/CheckPayment/?GUID={}", GUID.to_uppercase());
        assert_eq!(PollUrl::parse(&shouted, &paynow()).unwrap().key().as_str(), GUID);
    }

    #[test]
    fn a_poll_url_that_could_lead_elsewhere_is_refused() {
        for trick in [
            format!("http://www.paynow.co.zw/Interface/CheckPayment/?guid={GUID}"),
            format!("https://www.paynow.co.zw.evil.example/Interface/CheckPayment/?guid={GUID}"),
            format!("https://www.paynow.co.zw@evil.example/Interface/CheckPayment/?guid={GUID}"),
            format!("https://user@www.paynow.co.zw/Interface/CheckPayment/?guid={GUID}"),
            format!("https://www.paynow.co.zw:8443/Interface/CheckPayment/?guid={GUID}"),
            format!("https://www.paynow.co.zw/Interface/CheckPayment/../Admin/?guid={GUID}"),
            format!("https://www.paynow.co.zw/Interface/%2e%2e/CheckPayment/?guid={GUID}"),
            format!("https://www.paynow.co.zw/Interface/CheckPayment/?guid={GUID}&next=1"),
            format!("https://www.paynow.co.zw/Interface/CheckPayment/?guid={GUID}#x"),
            format!("https://www.paynow.co.zw/Interface/CheckPayment/?x=1&guid={GUID}"),
            format!("https://www.pаynow.co.zw/Interface/CheckPayment/?guid={GUID}"),
            format!("https://[::1]/Interface/CheckPayment/?guid={GUID}"),
            format!(" https://www.paynow.co.zw/Interface/CheckPayment/?guid={GUID}"),
            "https://www.paynow.co.zw/Interface/CheckPayment/?guid=".to_owned(),
            "https://www.paynow.co.zw".to_owned(),
            String::new(),
        ] {
            assert_eq!(PollUrl::parse(&trick, &paynow()), Err(NotAPollUrl), "{trick}");
        }
    }

    #[test]
    fn origins_are_https_or_loopback_and_nothing_more_than_an_origin() {
        for good in [
            "https://www.paynow.co.zw",
            "https://www.paynow.co.zw/",
            "http://127.0.0.1:9000",
            "http://[::1]:80",
            "http://localhost",
        ] {
            assert!(good.parse::<Origin>().is_ok(), "{good}");
        }
        for bad in [
            "http://www.paynow.co.zw",
            "ftp://localhost",
            "https://",
            "https://a/b",
            "https://a:0",
            "https://a:x",
            "https://a:+443",
            "https://a:0443",
            "https://u@a",
            "https://a?b",
            "www.paynow.co.zw",
            "http://localhost.evil.example",
            "https://[::g]",
            "http://127.0.0.1.evil.example",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn reading_urls_never_panics(text in any::<String>()) {
            let _ = text.parse::<Origin>();
            let _ = PollUrl::parse(&text, &paynow());
        }

        #[test]
        fn no_suffix_or_prefix_makes_a_poll_url_of_another_place(noise in "[ -~]{1,20}") {
            let url = format!("https://www.paynow.co.zw/Interface/CheckPayment/?guid={GUID}");
            prop_assert_eq!(PollUrl::parse(&format!("{url}{noise}"), &paynow()), Err(NotAPollUrl));
            prop_assert_eq!(PollUrl::parse(&format!("{noise}{url}"), &paynow()), Err(NotAPollUrl));
        }
    }
}
