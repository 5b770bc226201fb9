//! Floor 2: HTTP without Paynow.
