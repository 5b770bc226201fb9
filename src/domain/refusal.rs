//! Why a post is not believed as it stands.

/// Why a post is in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// Its proof does not hold under any key of the integration.
    Forged,
    /// It cannot be read, so there is nothing to prove.
    Malformed,
    /// Its proof holds, but its fields are not as the gateway writes them.
    Suspect,
    /// It is authentic, and contradicts what is known of the payment.
    Contradicts,
}

super::codes!(Refusal { Forged = "forged", Malformed = "malformed", Suspect = "suspect", Contradicts = "contradicts" });
