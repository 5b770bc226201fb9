//! Proof as a type: a value that only this room can make, after a key or a certificate vouched for it.

/// A value whose origin has been proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T> {
    value: T,
    key: usize,
}

impl<T> Verified<T> {
    /// Attests that `value` was proven by the `key`-th accepted key (zero is the current one).
    pub(in crate::protocol) const fn attest(value: T, key: usize) -> Self {
        Self { value, key }
    }

    /// The proven value.
    pub const fn value(&self) -> &T {
        &self.value
    }

    /// The proven value, taken out.
    pub fn into_value(self) -> T {
        self.value
    }

    /// Which accepted key proved it: zero is the current one, others are on their way out.
    pub const fn key(&self) -> usize {
        self.key
    }
}
