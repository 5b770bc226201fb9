//! Floor 1: bytes and messages, with proof.
