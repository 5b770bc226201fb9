//! How much nonsense one peer may have kept: a bucket per peer that fills again with time. Posts that are believed
//! never pass here, so that a flood behind a shared proxy cannot crowd them out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::http::household;

/// How many peers are told apart. Those that have been quiet for long enough are forgotten; while so many are noisy,
/// one more has nothing kept.
const PEERS: usize = 4096;

/// How long a full minute's worth takes to come back.
const MINUTE: Duration = Duration::from_mins(1);

/// Counts refused posts per peer.
pub(super) struct Flood {
    per_minute: u32,
    peers: Mutex<HashMap<IpAddr, Bucket>>,
}

struct Bucket {
    /// When the bucket will be full again if nothing more is taken.
    full_at: Instant,
}

impl Flood {
    pub(super) fn new(per_minute: u32) -> Self {
        Self { per_minute: per_minute.max(1), peers: Mutex::default() }
    }

    /// Takes one from the peer's bucket, or says how long until there is one.
    pub(super) fn admit(&self, peer: IpAddr, now: Instant) -> Result<(), Duration> {
        let peer = household(peer);
        let one = MINUTE / self.per_minute;
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if peers.len() >= PEERS && !peers.contains_key(&peer) {
            peers.retain(|_, bucket| bucket.full_at > now);
            if peers.len() >= PEERS {
                return Err(one);
            }
        }
        let bucket = peers.entry(peer).or_insert(Bucket { full_at: now });
        let full_at = bucket.full_at.max(now) + one;
        let overdrawn = full_at.saturating_duration_since(now).saturating_sub(MINUTE);
        if !overdrawn.is_zero() {
            return Err(overdrawn);
        }
        bucket.full_at = full_at;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn a_caller_cannot_multiply_by_having_many_addresses() {
        let (flood, start) = (Flood::new(60), Instant::now());
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        for last in 0..60_u128 {
            let peer = Ipv6Addr::from_bits((0x2001_0db8 << 96) + last);
            assert_eq!(flood.admit(peer.into(), start), Ok(()));
        }
        assert!(flood.admit(at("2001:db8::ffff:ffff:ffff:ffff"), start).is_err());
        assert_eq!(flood.admit(at("2001:db8:0:1::1"), start), Ok(()), "the neighbours are somebody else");
        assert_eq!(flood.admit(at("::ffff:192.0.2.1"), start), Ok(()), "an IPv4 address is one caller");
    }

    #[test]
    fn a_peer_gets_its_minutes_worth_and_then_one_at_a_time() {
        let (flood, start, peer) = (Flood::new(60), Instant::now(), IpAddr::from([192, 0, 2, 1]));
        for _ in 0..60 {
            assert_eq!(flood.admit(peer, start), Ok(()));
        }
        assert_eq!(flood.admit(peer, start), Err(Duration::from_secs(1)));
        assert_eq!(flood.admit(IpAddr::from([192, 0, 2, 2]), start), Ok(()));
        assert_eq!(flood.admit(peer, start + Duration::from_secs(1)), Ok(()));
        assert!(flood.admit(peer, start + Duration::from_secs(1)).is_err());
    }

    #[test]
    fn a_flood_of_peers_is_bounded_and_forgotten() {
        let (flood, start) = (Flood::new(60), Instant::now());
        for peer in 0..u32::try_from(PEERS).unwrap() {
            assert_eq!(flood.admit(IpAddr::from(peer.to_be_bytes()), start), Ok(()));
        }
        let late = IpAddr::from([255, 0, 0, 1]);
        assert!(flood.admit(late, start).is_err());
        assert_eq!(flood.admit(late, start + MINUTE), Ok(()));
    }
}
