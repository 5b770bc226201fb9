//! Floor 0: words and decisions.
