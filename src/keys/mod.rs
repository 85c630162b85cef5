//! Whose keys and certificates we hold.
