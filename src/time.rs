//! Points in time as values; the library reads no clock.

use std::fmt;

/// Seconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A date and time of day in UTC, as the parts that formats write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// The year, 0 to 9999.
    pub year: i64,
    /// The month, 1 to 12.
    pub month: u8,
    /// The day of the month, 1 to 31.
    pub day: u8,
    /// The hour, 0 to 23.
    pub hour: u8,
    /// The minute, 0 to 59.
    pub minute: u8,
    /// The second, 0 to 59.
    pub second: u8,
}

impl Timestamp {
    /// Takes seconds since the Unix epoch.
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Gives seconds since the Unix epoch.
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// Makes a time from its parts in UTC; `None` where the parts are no date.
    pub fn from_civil(civil: Civil) -> Option<Self> {
        let Civil { year, month, day, hour, minute, second } = civil;
        let fits = (0..=9999).contains(&year) && (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
        if !fits || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        Some(Self(days_from_civil(year, month, day) * 86_400 + seconds))
    }

    /// Splits the time into its parts in UTC.
    pub fn civil(self) -> Civil {
        let days = self.0.div_euclid(86_400);
        let seconds = self.0.rem_euclid(86_400);
        let (year, month, day) = civil_from_days(days);
        let part = |value: i64| u8::try_from(value).unwrap_or(0);
        Civil { year, month, day, hour: part(seconds / 3600), minute: part(seconds / 60 % 60), second: part(seconds % 60) }
    }

    /// The day of the week, 0 for Sunday.
    pub fn weekday(self) -> u8 {
        u8::try_from((self.0.div_euclid(86_400) + 4).rem_euclid(7)).unwrap_or(0)
    }

    /// The time `seconds` later (earlier where negative), held at the ends of the range.
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// The time `days` later.
    pub const fn plus_days(self, days: i64) -> Self {
        self.plus_seconds(days.saturating_mul(86_400))
    }

    /// Reads RFC 3339, as `2026-04-11T09:30:00Z` or with an offset; a date alone is its midnight in UTC.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let number = |range: std::ops::Range<usize>| -> Option<i64> {
            let digits = text.get(range)?;
            digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
        };
        let byte = |at: usize| text.as_bytes().get(at).copied();
        let small = |value: i64| u8::try_from(value).ok();
        if byte(4)? != b'-' || byte(7)? != b'-' {
            return None;
        }
        let (year, month, day) = (number(0..4)?, small(number(5..7)?)?, small(number(8..10)?)?);
        if text.len() == 10 {
            return Self::from_civil(Civil { year, month, day, hour: 0, minute: 0, second: 0 });
        }
        if !matches!(byte(10)?, b'T' | b't' | b' ') || byte(13)? != b':' || byte(16)? != b':' {
            return None;
        }
        let (hour, minute, second) = (small(number(11..13)?)?, small(number(14..16)?)?, small(number(17..19)?)?);
        let local = Self::from_civil(Civil { year, month, day, hour, minute, second: second.min(59) })?;
        let mut rest = text.get(19..)?;
        if let Some(fraction) = rest.strip_prefix('.') {
            rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        }
        if matches!(rest, "Z" | "z") {
            return Some(local);
        }
        let sign = match rest.as_bytes().first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let (hours, minutes) = (rest.get(1..3)?, rest.get(4..6)?);
        if rest.len() != 6 || rest.as_bytes().get(3) != Some(&b':') {
            return None;
        }
        let offset = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
        Some(local.plus_seconds(-sign * offset))
    }
}

/// Writes RFC 3339 in UTC.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Civil { year, month, day, hour, minute, second } = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

fn days_in_month(year: i64, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar, counted in years that start in March.
fn days_from_civil(year: i64, month: u8, day: u8) -> i64 {
    let month = i64::from(month);
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, u8, u8) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = u8::try_from(day_of_year - (153 * shifted + 2) / 5 + 1).unwrap_or(1);
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, u8::try_from(month).unwrap_or(1), day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_and_unix_agree_over_four_centuries() {
        for day in (-146_097..146_097).step_by(13) {
            let time = Timestamp::from_unix(day * 86_400 + 3_661);
            assert_eq!(Timestamp::from_civil(time.civil()), Some(time));
        }
    }

    #[test]
    fn reads_rfc3339_with_offset_and_writes_utc() {
        let time = Timestamp::parse_rfc3339("2026-04-11T09:30:00.25+02:00").expect("a valid time");
        assert_eq!(time.to_string(), "2026-04-11T07:30:00Z");
        assert_eq!(time.weekday(), 6);
        assert_eq!(Timestamp::parse_rfc3339("2026-02-29T00:00:00Z"), None);
        assert_eq!(Timestamp::parse_rfc3339("2026-04-11").map(|t| t.unix()), Some(1_775_865_600));
    }
}
