//! The verbs: sign, encrypt, seal, open (RFC 8551).
