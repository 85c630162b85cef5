//! Sizes as people write them.

/// What may stand behind a number: multiples of 1024, as disks and other mail servers count a quota.
const UNITS: [(char, u32); 4] = [('k', 10), ('m', 20), ('g', 30), ('t', 40)];

/// Reads bytes, alone or as a multiple: `1048576`, `1024k`, `1M`, `1MiB`. `MB` is not taken: for some it is a million, for others more.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.strip_suffix("iB").unwrap_or(unit);
    let shift = match unit.chars().collect::<Vec<_>>().as_slice() {
        [] if digits == text.len() => Some(0),
        [one] => UNITS.iter().find(|(known, _)| *known == one.to_ascii_lowercase()).map(|(_, shift)| *shift),
        _ => None,
    };
    // the database counts with a sign
    let fits = |bytes: &u64| i64::try_from(*bytes).is_ok();
    let bytes = shift.and_then(|shift| number.parse::<u64>().ok()?.checked_mul(1 << shift)).filter(fits);
    bytes
        .ok_or_else(|| "a size is a number of bytes, or one with k, M, G or T (KiB, MiB, GiB, TiB): multiples of 1024".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_bytes_or_a_multiple_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("1000", 1000),
            ("1k", 1024),
            ("1K", 1024),
            ("1KiB", 1024),
            ("3M", 3 << 20),
            ("500MiB", 500 << 20),
            ("20G", 20 << 30),
            ("2TiB", 2 << 40),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in ["", "k", "iB", "1iB", "1MB", "1kB", "1 M", "-1", "1.5G", "1Mi", "1E", "9223372036854775808", "9000000T"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
