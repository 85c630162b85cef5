//! Dates of header fields, and their parts (RFC 5322 3.3, RFC 5260 4.2).

use crate::sieve::program::DatePart;
use crate::time::{Civil, Timestamp};

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// A point in time, and the zone in which it was written: minutes east of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Date {
    pub(super) at: Timestamp,
    pub(super) zone: i32,
}

/// Reads a date, with or without the name of its day; comments are passed over.
///
/// ```text
/// date-time = [ day-name "," ] day month year hour ":" minute [ ":" second ] zone
/// ```
pub(super) fn parse(value: &str) -> Option<Date> {
    let plain = without_comments(value);
    let text = plain.split_once(',').map_or(plain.as_str(), |(_, rest)| rest);
    let mut words = text.split_ascii_whitespace();
    let day: u8 = number(words.next()?)?;
    let month = words.next()?.to_ascii_lowercase();
    let month = MONTHS.iter().zip(1_u8..).find(|(name, _)| **name == month)?.1;
    let written = words.next()?;
    let year: i64 = number(written)?;
    // RFC 5322 4.3: two digits are of 1950 to 2049, three count from 1900
    let year = match (written.len(), year) {
        (2, 0..50) => year.checked_add(2000)?,
        (2 | 3, _) => year.checked_add(1900)?,
        _ => year,
    };
    let mut clock = words.next()?.split(':');
    let (hour, minute) = (number(clock.next()?)?, number(clock.next()?)?);
    let second: u8 = clock.next().map_or(Some(0), number)?;
    let zone = words.next().map_or(Some(0), |word| zone(word).or_else(|| named_zone(word)))?;
    if clock.next().is_some() || second > 60 {
        return None;
    }
    let local = Timestamp::from_civil(Civil { year, month, day, hour, minute, second: second.min(59) })?;
    Some(Date { at: local.plus_seconds(i64::from(zone).checked_mul(-60)?), zone })
}

/// Minutes east of UTC of `+hhmm` or `-hhmm`.
pub(super) fn zone(text: &str) -> Option<i32> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = digits.split_at_checked(2).filter(|_| digits.len() == 4)?;
    let (hours, minutes): (i32, i32) = (number(hours)?, number(minutes)?);
    let all = hours.checked_mul(60)?.checked_add(minutes)?;
    (hours < 24 && minutes < 60).then(|| all.saturating_mul(sign))
}

/// RFC 5322 4.3; names that are not known say nothing, which is UTC.
fn named_zone(name: &str) -> Option<i32> {
    let hours = match name.to_ascii_uppercase().as_str() {
        "EDT" => -4,
        "EST" | "CDT" => -5,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        other => return other.bytes().all(|byte| byte.is_ascii_alphabetic()).then_some(0),
    };
    Some(hours * 60)
}

fn number<N: std::str::FromStr>(digits: &str) -> Option<N> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

fn without_comments(value: &str) -> String {
    let mut depth = 0_usize;
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            c if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}

impl Date {
    /// One part, as it reads in its zone.
    pub(super) fn part(self, part: DatePart) -> String {
        let local = self.at.plus_seconds(i64::from(self.zone).saturating_mul(60));
        let c = local.civil();
        let sign = if self.zone < 0 { '-' } else { '+' };
        let (hours, minutes) = (self.zone.abs() / 60, self.zone.abs() % 60);
        let time = format!("{:02}:{:02}:{:02}", c.hour, c.minute, c.second);
        match part {
            DatePart::Year => format!("{:04}", c.year),
            DatePart::Month => format!("{:02}", c.month),
            DatePart::Day => format!("{:02}", c.day),
            DatePart::Date => format!("{:04}-{:02}-{:02}", c.year, c.month, c.day),
            // days since 1858-11-17
            DatePart::Julian => local.unix().div_euclid(86_400).saturating_add(40_587).to_string(),
            DatePart::Hour => format!("{:02}", c.hour),
            DatePart::Minute => format!("{:02}", c.minute),
            DatePart::Second => format!("{:02}", c.second),
            DatePart::Time => time,
            DatePart::Iso8601 => format!("{:04}-{:02}-{:02}T{time}{sign}{hours:02}:{minutes:02}", c.year, c.month, c.day),
            DatePart::Std11 => {
                let utc = crate::mime::compose::date(local);
                format!("{}{sign}{hours:02}{minutes:02}", utc.trim_end_matches("+0000"))
            }
            DatePart::Zone => format!("{sign}{hours:02}{minutes:02}"),
            DatePart::Weekday => local.weekday().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_forms_of_the_standard() {
        let at = |text| parse(text).map(|date| (date.at.unix(), date.zone));
        assert_eq!(at("Thu, 26 Nov 2026 08:00:00 +0100"), Some((1_795_676_400, 60)));
        assert_eq!(at("26 Nov 26 07:00 GMT (a (nested) comment)"), Some((1_795_676_400, 0)));
        assert_eq!(at("Thu, 26 Nov 2026 02:00:00 EST"), Some((1_795_676_400, -300)));
        for wrong in
            ["", "yesterday", "31 Feb 2026 00:00:00 +0000", "1 Jan 2026", "1 Jan 2026 25:00 +0000", "1 Jan 2026 1:1:1:1 +0000"]
        {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn parts_are_those_of_the_zone() {
        let date = Date { at: Timestamp::from_unix(1_795_649_400), zone: -330 };
        let part = |name| date.part(DatePart::named(name).expect(name));
        assert_eq!(part("iso8601"), "2026-11-25T18:00:00-05:30");
        assert_eq!((part("weekday"), part("julian"), part("zone")), ("3".to_owned(), "61369".to_owned(), "-0530".to_owned()));
        assert_eq!(part("std11"), "Wed, 25 Nov 2026 18:00:00 -0530");
    }
}
