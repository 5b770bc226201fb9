//! Who is connected, and how often: no caller may take all the room there is.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::peer::{Cidr, household};

/// Counts connections by caller.
pub(super) struct Crowd {
    most: usize,
    proxies: Vec<Cidr>,
    present: Present,
}

/// How many connections each caller has who has any. Never more entries than connections.
type Present = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// A place for one connection, given back when dropped.
pub(super) struct Seat(Option<(IpAddr, Present)>);

impl Crowd {
    /// At most `most` connections for each caller but these `proxies`, who speak for many.
    pub(super) fn new(most: usize, proxies: Vec<Cidr>) -> Self {
        Self { most, proxies, present: Present::default() }
    }

    /// A place for one more connection from `peer`, if it may have one.
    pub(super) fn admit(&self, peer: IpAddr) -> Option<Seat> {
        if self.proxies.iter().any(|network| network.contains(peer)) {
            return Some(Seat(None));
        }
        let caller = household(peer);
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let has = present.entry(caller).or_default();
        if *has >= self.most {
            return None;
        }
        *has += 1;
        Some(Seat(Some((caller, Arc::clone(&self.present)))))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some((caller, present)) = self.0.take() else { return };
        let mut present = present.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(has) = present.get_mut(&caller) {
            *has -= 1;
            if *has == 0 {
                present.remove(&caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_has_its_places_and_gets_them_back_and_a_proxy_has_all() {
        let crowd = Crowd::new(2, vec!["10.0.0.0/8".parse().unwrap()]);
        let at = |text: &str| crowd.admit(text.parse().unwrap());
        let mut seats = vec![at("2001:db8::1").unwrap(), at("2001:db8::ffff").unwrap()];
        assert!(at("2001:db8::2").is_none(), "one network is one caller");
        seats.extend([at("2001:db8:0:1::1"), at("192.0.2.1"), at("::ffff:192.0.2.1")].map(Option::unwrap));
        assert!(at("192.0.2.1").is_none());
        seats.pop();
        seats.push(at("192.0.2.1").unwrap());
        seats.extend((0..5).map(|_| at("10.1.2.3").unwrap()));
        drop(seats);
        assert!(crowd.present.lock().unwrap().is_empty(), "nobody is remembered who has left");
    }
}
