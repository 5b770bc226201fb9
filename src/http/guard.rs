//! Where the client may go. An address arrives in a stranger's message, so even an allowed name
//! must not lead into this machine or its network. Which names are allowed is the caller's list.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower_service::Service;

/// Why an address is not called. It is a matter of the address alone: trying again cannot help,
/// unless the name's owner mends its DNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not `https://host…`, nor `http://` to this machine.
    #[error("only https is spoken, or http to this machine")]
    Scheme,
    /// No host, or a user name before it.
    #[error("the address has no host or carries a user name")]
    Authority,
    /// A literal address, or every address of a name, lies in this machine or a private network.
    #[error("it leads to a private address")]
    Private,
}

/// Judges what can be judged without asking DNS; [`Guard`] judges the rest.
pub(super) fn judge(uri: &Uri) -> Result<(), Refusal> {
    let authority = uri.authority().ok_or(Refusal::Authority)?;
    let host = authority.host();
    if host.is_empty() || authority.as_str().contains('@') {
        return Err(Refusal::Authority);
    }
    // Written as an address, a host never reaches the resolver.
    let literal = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    let home = is_localhost(host) || literal.is_some_and(is_loopback);
    match uri.scheme_str() {
        Some("http") if home => Ok(()),
        Some("https") if home || literal.is_none_or(is_public) => Ok(()),
        Some("https") => Err(Refusal::Private),
        _ => Err(Refusal::Scheme),
    }
}

/// The system's resolver, whose private answers are struck out. `localhost` is the exception, and
/// may be nothing but this machine.
#[derive(Clone)]
pub(super) struct Guard(GaiResolver);

impl Guard {
    pub(super) fn new() -> Self {
        Self(GaiResolver::new())
    }
}

type Resolving<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl Service<Name> for Guard {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Resolving<Self::Response, Self::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let home = is_localhost(name.as_str());
        let answer = self.0.call(name);
        Box::pin(async move { Ok(allowed(home, answer.await?)?.into_iter()) })
    }
}

fn allowed(home: bool, answer: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Refusal> {
    let fits = if home { is_loopback } else { is_public };
    let fitting: Vec<_> = answer.filter(|address| fits(address.ip())).collect();
    if fitting.is_empty() {
        return Err(Refusal::Private);
    }
    Ok(fitting)
}

fn is_localhost(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let this_network = first == 0;
            let carrier_nat = first == 100 && second & 0xc0 == 64;
            let reserved = first >= 240;
            let private = v4.is_private() || v4.is_loopback() || v4.is_link_local();
            !(private || v4.is_multicast() || this_network || carrier_nat || reserved)
        }
        IpAddr::V6(v6) => {
            let private = v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local();
            !(private || v6.is_multicast() || v6.is_unspecified())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(uri: &str) -> Result<(), Refusal> {
        judge(&uri.parse().unwrap())
    }

    #[test]
    fn https_goes_to_the_world_and_to_this_machine() {
        for uri in [
            "https://www.paynow.co.zw/x",
            "https://8.8.8.8/",
            "https://[2001:db8::1]/",
            "https://localhost:8443/",
            "https://127.0.0.9/",
            "https://[::1]:1/",
        ] {
            assert_eq!(judged(uri), Ok(()), "{uri}");
        }
    }

    #[test]
    fn http_goes_nowhere_but_to_this_machine() {
        for uri in ["http://localhost/", "http://LocalHost:1/", "http://127.0.0.9/", "http://[::1]/"] {
            assert_eq!(judged(uri), Ok(()), "{uri}");
        }
        for uri in ["http://www.paynow.co.zw/", "http://8.8.8.8/", "http://10.0.0.1/", "ftp://localhost/"] {
            assert_eq!(judged(uri), Err(Refusal::Scheme), "{uri}");
        }
    }

    #[test]
    fn a_private_literal_is_refused() {
        for host in [
            "10.0.0.1",
            "192.168.1.1",
            "172.16.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "[::]",
            "[fe80::1]",
            "[fd00::1]",
            "[ff02::1]",
            "[::ffff:10.0.0.1]",
        ] {
            assert_eq!(judged(&format!("https://{host}/")), Err(Refusal::Private), "{host}");
        }
    }

    #[test]
    fn an_address_without_host_or_with_a_user_is_refused() {
        assert_eq!(judged("/only/a/path"), Err(Refusal::Authority));
        assert_eq!(judged("https://localhost@evil.example/"), Err(Refusal::Authority));
    }

    #[test]
    fn private_answers_are_struck_out() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (home, world) = (at("127.0.0.1:0"), at("8.8.8.8:0"));
        let mixed = || [home, world, at("10.0.0.1:0")].into_iter();
        assert_eq!(allowed(false, mixed()), Ok(vec![world]));
        assert_eq!(allowed(true, mixed()), Ok(vec![home]));
        assert_eq!(allowed(false, [home].into_iter()), Err(Refusal::Private));
        assert_eq!(allowed(true, [world].into_iter()), Err(Refusal::Private));
    }
}
