//! What Paynow posts: status updates, signed, ready to be written to a socket.

use paynowd::protocol::Key;
use paynowd::protocol::zimbabwe::{Fields, Rule, hash};

/// The key of the shop and of the gateway: made up.
pub const KEY: &str = "3e9fed89-60e1-4ce5-ab6e-6b1eb2d4f977";

/// Where the gateway lives unless a bench starts one: nobody listens there.
pub const NOWHERE: &str = "http://127.0.0.1:9";

/// Messages about payments at the gateway of this address.
pub struct Author {
    origin: String,
    key: Key,
}

impl Author {
    /// Writes as the gateway at `origin`.
    pub fn at(origin: &str) -> Self {
        Self { origin: origin.to_owned(), key: Key::opaque(KEY) }
    }

    /// The form of a status update about the payment of this number: about 400 bytes.
    pub fn update(&self, serial: u64, status: &str) -> String {
        let fields = Fields::from_pairs([
            ("reference", format!("INV-{serial}")),
            ("paynowreference", format!("{}", 30_000_000 + serial)),
            ("amount", "25.00".to_owned()),
            ("status", status.to_owned()),
            ("pollurl", format!("{}/Interface/CheckPayment/?guid={}", self.origin, guid(serial))),
        ]);
        hash::sign(fields, "hash", Rule::Values, &self.key).encode()
    }

    /// The same as a request.
    pub fn post(&self, serial: u64, status: &str) -> String {
        request(&self.update(serial, status))
    }
}

/// A request that posts this form.
pub fn request(body: &str) -> String {
    format!(
        "POST /paynow/shop HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The GUID of the payment of this number: in no order, as in life, but the number can be told from it.
pub fn guid(serial: u64) -> String {
    let mixed = mixed(serial);
    format!("{:08x}-{:04x}-4000-8000-{serial:012x}", mixed >> 32, mixed >> 16 & 0xffff)
}

/// The number of the payment that the GUID at the end of `text` belongs to.
pub fn serial(text: &str) -> Option<u64> {
    u64::from_str_radix(text.get(text.len().checked_sub(12)?..)?, 16).ok()
}

/// A number that looks random (splitmix64).
pub const fn mixed(serial: u64) -> u64 {
    let mut z = serial.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
