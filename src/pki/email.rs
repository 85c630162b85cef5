//! Whether two mail addresses are the same.

/// Whether two addresses are the same mailbox.
///
/// Domains are compared without regard to case (RFC 5321 2.4). Local parts too, for ASCII letters: the standard leaves their case to
/// the receiving host, no host in use tells two people apart by it, and RFC 9788 4.4.5 compares so.
pub fn same_address(a: &str, b: &str) -> bool {
    let (Some((local_a, domain_a)), Some((local_b, domain_b))) = (a.rsplit_once('@'), b.rsplit_once('@')) else { return false };
    !local_a.is_empty()
        && !domain_a.is_empty()
        && local_a.eq_ignore_ascii_case(local_b)
        && domain_a.eq_ignore_ascii_case(domain_b)
}

/// Whether an address is among those of a certificate.
pub fn find(addresses: &[String], address: &str) -> bool {
    addresses.iter().any(|known| same_address(known, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_does_not_tell_mailboxes_apart_and_nothing_else_is_forgiven() {
        assert!(same_address("Jane@A.Example", "jane@a.example"));
        for other in ["jane@a.example.", "jane@a.exampl", "jane", "@a.example", "jane@", "jane @a.example", "jane@a.example\0"] {
            assert!(!same_address("jane@a.example", other), "{other:?}");
        }
    }
}
