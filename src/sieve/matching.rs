//! How a value is compared with a key: comparators and match types (RFC 5228 2.7, RFC 5231, RFC 4790).

use std::cmp::Ordering;

use crate::limits::{Budget, LimitReached};

/// A match type with its comparator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Matching {
    pub(super) kind: MatchType,
    pub(super) comparator: Comparator,
}

/// How values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MatchType {
    Is,
    Contains,
    Matches,
    Count(Relation),
    Value(Relation),
}

/// What counts as equal, and as less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparator {
    Octet,
    Casemap,
    Numeric,
}

/// A relation (RFC 5231 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Equal,
    Unequal,
}

impl Relation {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "gt" => Self::Greater,
            "ge" => Self::GreaterOrEqual,
            "lt" => Self::Less,
            "le" => Self::LessOrEqual,
            "eq" => Self::Equal,
            "ne" => Self::Unequal,
            _ => return None,
        })
    }

    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Equal => ordering.is_eq(),
            Self::Unequal => ordering.is_ne(),
        }
    }
}

/// What a comparison found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    No,
    Yes,
    /// `:matches` did, and these are the whole and what the wildcards stood for.
    Captures(Vec<String>),
}

impl Comparator {
    /// The order of two values.
    pub(super) fn order(self, value: &str, key: &str) -> Ordering {
        match self {
            Self::Octet => value.as_bytes().cmp(key.as_bytes()),
            Self::Casemap => {
                let folded = |text: &str| text.bytes().map(|byte| byte.to_ascii_uppercase()).collect::<Vec<_>>();
                folded(value).cmp(&folded(key))
            }
            Self::Numeric => numeric(value, key),
        }
    }
}

/// Numbers of any length; what begins with no digit is larger than every number, and equal to its like (RFC 4790 9.1.1).
fn numeric(value: &str, key: &str) -> Ordering {
    let digits = |text: &str| -> Option<String> {
        let len = text.bytes().take_while(u8::is_ascii_digit).count();
        let digits = text.get(..len).filter(|digits| !digits.is_empty())?;
        Some(digits.trim_start_matches('0').to_owned())
    };
    match (digits(value), digits(key)) {
        (Some(value), Some(key)) => value.len().cmp(&key.len()).then_with(|| value.cmp(&key)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

/// Compares one value with one key. `Count` compares as `Value` does; counting is the caller's.
pub(super) fn compare(matching: Matching, value: &str, key: &str, steps: &mut Budget) -> Result<Found, LimitReached> {
    let Matching { kind, comparator } = matching;
    steps.spend(value.len().saturating_add(key.len()).saturating_add(1))?;
    let is_true = match kind {
        MatchType::Is => comparator.order(value, key).is_eq(),
        MatchType::Count(relation) | MatchType::Value(relation) => relation.holds(comparator.order(value, key)),
        MatchType::Contains => match comparator {
            Comparator::Octet => memchr::memmem::find(value.as_bytes(), key.as_bytes()).is_some(),
            _ => memchr::memmem::find(value.to_ascii_lowercase().as_bytes(), key.to_ascii_lowercase().as_bytes()).is_some(),
        },
        MatchType::Matches => {
            return Ok(match wildcards(value, key, comparator, steps)? {
                Some(captures) => Found::Captures(captures),
                None => Found::No,
            });
        }
    };
    Ok(if is_true { Found::Yes } else { Found::No })
}

/// A piece of a pattern.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Char(char),
    /// `?`
    Any,
    /// `*`
    Many,
}

fn units(pattern: &str) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        units.push(match c {
            '*' => Unit::Many,
            '?' => Unit::Any,
            '\\' => Unit::Char(chars.next().unwrap_or('\\')),
            c => Unit::Char(c),
        });
    }
    units
}

/// Matches a whole value; each `*` stands for as little as it can, the first one first (RFC 5229 3.2).
///
/// What stands between two `*` is found at its first place: a later one would only take from the `*` behind it, so no place is ever tried
/// twice, and the work is at most the length of the value times that of the pattern.
fn wildcards(
    value: &str,
    pattern: &str,
    comparator: Comparator,
    steps: &mut Budget,
) -> Result<Option<Vec<String>>, LimitReached> {
    let text: Vec<char> = value.chars().collect();
    let units = units(pattern);
    let parts: Vec<&[Unit]> = units.split(|unit| *unit == Unit::Many).collect();
    let mut captures = vec![value.to_owned()];
    let last = parts.len().saturating_sub(1);
    let mut at = 0_usize;
    for (number, part) in parts.iter().enumerate() {
        let latest = text.len().checked_sub(part.len()).filter(|latest| *latest >= at);
        let Some(latest) = latest else { return Ok(None) };
        let places = match (number, last) {
            // without any `*` the one part is the whole
            (0, 0) if latest != 0 => return Ok(None),
            (0, _) => 0..=0,
            (number, last) if number == last => latest..=latest,
            _ => at..=latest,
        };
        let mut found = None;
        for place in places {
            steps.spend(part.len().saturating_add(1))?;
            let here = text.get(place..).unwrap_or_default();
            if part.iter().zip(here).all(|(unit, c)| is_match(*unit, *c, comparator)) {
                found = Some(place);
                break;
            }
        }
        let Some(place) = found else { return Ok(None) };
        if number > 0 {
            captures.push(text.get(at..place).unwrap_or_default().iter().collect());
        }
        let end = place.saturating_add(part.len());
        for (unit, c) in part.iter().zip(text.get(place..end).unwrap_or_default()) {
            if *unit == Unit::Any {
                captures.push(c.to_string());
            }
        }
        at = end;
    }
    Ok(Some(captures))
}

fn is_match(unit: Unit, c: char, comparator: Comparator) -> bool {
    match unit {
        Unit::Char(wanted) if comparator == Comparator::Octet => wanted == c,
        Unit::Char(wanted) => wanted.eq_ignore_ascii_case(&c),
        Unit::Any | Unit::Many => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captures(value: &str, pattern: &str) -> Option<Vec<String>> {
        wildcards(value, pattern, Comparator::Casemap, &mut Budget::new("steps", 100_000_u64)).expect("few steps")
    }

    #[test]
    fn wildcards_stand_for_as_little_as_they_can() {
        for (value, pattern, is) in [
            ("[acme-users] [fwd] version 1.0 is out", "[*] *", Some(vec!["acme-users", "[fwd] version 1.0 is out"])),
            ("frop.frml.de", "*.*.de", Some(vec!["frop", "frml"])),
            ("abcabc", "*bc", Some(vec!["abca"])),
            ("a*b", r"a\*b", Some(vec![])),
            ("axb", r"a\*b", None),
            ("", "*", Some(vec![""])),
            ("ab", "?", None),
            ("éb", "?B", Some(vec!["é"])),
            ("aXbXc", "*x?x*", Some(vec!["a", "b", "c"])),
            ("ab", "ab*ab", None),
            ("abab", "ab*ab", Some(vec![""])),
        ] {
            let found = captures(value, pattern).map(|all| all.into_iter().skip(1).collect::<Vec<_>>());
            assert_eq!(found, is.map(|all| all.into_iter().map(str::to_owned).collect::<Vec<_>>()), "{value} {pattern}");
        }
    }

    #[test]
    fn a_pattern_made_to_take_forever_does_not() {
        let (value, pattern) = ("a".repeat(2_000), format!("{}b", "*a".repeat(500)));
        let mut steps = Budget::new("sieve steps", 1_000_000_u64);
        assert_eq!(wildcards(&value, &pattern, Comparator::Octet, &mut steps), Ok(None));
        let mut few = Budget::new("sieve steps", 1_000_u64);
        let long = wildcards(&"a".repeat(2_000), &format!("*{}b*", "a".repeat(500)), Comparator::Octet, &mut few);
        assert_eq!(long.expect_err("many steps").name, "sieve steps");
    }

    #[test]
    fn numbers_are_compared_as_numbers_of_any_length() {
        let order = |value, key| Comparator::Numeric.order(value, key);
        assert_eq!(order("10", "9"), Ordering::Greater);
        assert_eq!(order("007", "7 apples"), Ordering::Equal);
        assert_eq!(order("", "999999999999999999999999"), Ordering::Greater);
        assert_eq!(order("x", "y"), Ordering::Equal);
        assert_eq!(order("-1", "0"), Ordering::Greater);
    }
}
