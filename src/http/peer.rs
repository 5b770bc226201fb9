//! Who is really calling, when proxies stand in between. It believes only what a trusted proxy
//! wrote, and knows nothing of names or ports.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// A network such as `10.0.0.0/8`, or a single address such as `::1`. Bits beyond the prefix are
/// ignored, and an IPv4 address written inside IPv6 (`::ffff:10.0.0.1`) is that IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    /// IPv4 lives in `::ffff:0:0/96`, so that one comparison serves both families.
    network: u128,
    prefix: u32,
}

/// How many leading bits say "this is IPv4" once an address is written as IPv6.
const MAPPED: u32 = 96;

/// Text that is no network. Tell the operator; the message carries the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a network such as 10.0.0.0/8 or ::1")]
pub struct CidrError(String);

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let parse = || {
            let (address, prefix) = match text.split_once('/') {
                Some((address, prefix)) => (address, Some(prefix.parse::<u32>().ok()?)),
                None => (text, None),
            };
            let address: IpAddr = address.parse().ok()?;
            let prefix = match (address, prefix) {
                (_, None) => 128,
                (IpAddr::V4(_), Some(prefix @ 0..=32)) => MAPPED + prefix,
                (IpAddr::V6(_), Some(prefix @ 0..=128)) => prefix,
                _ => return None,
            };
            let network = bits(address);
            Some(Cidr { network, prefix })
        };
        parse().ok_or_else(|| CidrError(text.to_owned()))
    }
}

impl From<IpAddr> for Cidr {
    fn from(address: IpAddr) -> Self {
        Self { network: bits(address), prefix: 128 }
    }
}

impl Cidr {
    /// Whether this address belongs to the network. `::/0` holds no IPv4 address.
    pub fn contains(self, address: IpAddr) -> bool {
        let foreign = address.to_canonical().is_ipv4() && self.prefix < MAPPED;
        let differing = (self.network ^ bits(address)).leading_zeros();
        !foreign && differing >= self.prefix
    }
}

/// The address of whoever started the request: `peer`, or if that is a trusted proxy, whom the
/// proxy names in `X-Forwarded-For`, and so on from right to left. It ends at the first address
/// that is not trusted, or at the last proxy if what it wrote is no address.
///
/// `forwarded_for` are the header's values in order of arrival; each may be a list with commas.
pub fn client_ip<'a>(
    peer: IpAddr,
    forwarded_for: impl DoubleEndedIterator<Item = &'a str>,
    trusted: &[Cidr],
) -> IpAddr {
    let mut client = peer.to_canonical();
    for told in forwarded_for.rev().flat_map(|value| value.rsplit(',')) {
        if !trusted.iter().any(|network| network.contains(client)) {
            break;
        }
        match address(told.trim()) {
            Some(next) => client = next,
            None => break,
        }
    }
    client
}

/// Whose caller an address is: with IPv6, one caller has a whole network of 64 bits to call from.
pub fn household(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Some proxies add the port.
fn address(told: &str) -> Option<IpAddr> {
    let with_port = || told.parse().map(|socket: SocketAddr| socket.ip());
    told.parse().or_else(|_| with_port()).ok().map(|address: IpAddr| address.to_canonical())
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn holds(network: &str, address: &str) -> bool {
        network.parse::<Cidr>().unwrap().contains(ip(address))
    }

    fn client(peer: &str, forwarded_for: &[&str]) -> IpAddr {
        let trusted = ["127.0.0.1", "10.0.0.0/8", "fd00::/8"].map(|net| net.parse().unwrap());
        client_ip(ip(peer), forwarded_for.iter().copied(), &trusted)
    }

    #[test]
    fn a_network_holds_its_own_addresses_and_no_others() {
        assert!(holds("10.0.0.0/8", "10.255.0.1"));
        assert!(!holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("10.9.9.9/8", "10.1.2.3"));
        assert!(holds("192.0.2.128/25", "192.0.2.255"));
        assert!(!holds("192.0.2.128/25", "192.0.2.127"));
        assert!(holds("::1", "::1"));
        assert!(!holds("::1", "::2"));
        assert!(holds("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(!holds("2001:db8::/32", "2001:db9::1"));
    }

    #[test]
    fn everything_of_one_family_is_nothing_of_the_other() {
        assert!(holds("0.0.0.0/0", "203.0.113.9"));
        assert!(!holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("::/0", "2001:db8::1"));
        assert!(!holds("::/0", "203.0.113.9"));
    }

    #[test]
    fn an_ipv4_address_inside_ipv6_is_that_ipv4_address() {
        assert!(holds("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(holds("::ffff:10.0.0.0/104", "10.1.2.3"));
        assert!(!holds("10.0.0.0/8", "::ffff:11.1.2.3"));
        assert_eq!(client("::ffff:203.0.113.9", &[]), ip("203.0.113.9"));
        assert_eq!(client("::ffff:127.0.0.1", &["::ffff:203.0.113.9"]), ip("203.0.113.9"));
    }

    #[test]
    fn what_is_no_network_is_refused_with_its_text() {
        for text in ["", "10.0.0.0/33", "::1/129", "10.0.0.0/", "10.0.0/8", "host", "::1/-1"] {
            assert_eq!(text.parse::<Cidr>(), Err(CidrError(text.to_owned())));
        }
    }

    #[test]
    fn a_stranger_is_not_believed_about_itself() {
        assert_eq!(client("203.0.113.9", &["198.51.100.1"]), ip("203.0.113.9"));
    }

    #[test]
    fn proxies_are_followed_from_right_to_left_up_to_the_first_stranger() {
        let chain = ["192.0.2.66, 198.51.100.1", "10.2.2.2, fd00::2"];
        assert_eq!(client("127.0.0.1", &chain), ip("198.51.100.1"));
        assert_eq!(client("127.0.0.1", &["198.51.100.1:443"]), ip("198.51.100.1"));
        assert_eq!(client("127.0.0.1", &["10.3.3.3"]), ip("10.3.3.3"));
    }

    #[test]
    fn at_an_unreadable_entry_the_last_proxy_answers_for_it() {
        assert_eq!(client("127.0.0.1", &["198.51.100.1, unknown, 10.2.2.2"]), ip("10.2.2.2"));
        assert_eq!(client("127.0.0.1", &[""]), ip("127.0.0.1"));
    }
}
