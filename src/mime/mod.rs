//! Messages as byte ranges over the original (RFC 5322, 2045-2047, 2231); knows no cryptography.
