//! What another clock says: one question by SNTP, and what its answer shows (RFC 5905 section 14).
//!
//! ```text
//! 0 leap (2 bits), version (3), mode (3)   1 stratum   2 poll   3 precision   4 root delay   8 root dispersion   12 reference identifier
//! 16 reference time   24 origin time   32 receive time   40 transmit time, each in seconds since 1900 and 2^-32 of them
//! ```

/// Microseconds since 1970.
pub type Micros = i64;

/// How far another clock is ahead of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// Microseconds; less than none where it is behind.
    pub ahead: i64,
    /// By so many microseconds at most that may be wrong: half of the way there and back.
    pub within: i64,
}

/// A question.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    cookie: [u8; 8],
}

/// No leap, version 4, mode 3 (a client).
const CLIENT: u8 = 0x23;
/// Seconds from 1900 to 1970.
const EPOCH: i64 = 2_208_988_800;
/// Seconds of an era: its first began in 1900.
const ERA: i64 = 1 << 32;
/// Microseconds of a second.
const SECOND: i64 = 1_000_000;

impl Question {
    /// A question with these random bytes, which its answer repeats: it gives away no time of ours, and who does not see it cannot answer.
    pub fn new(cookie: [u8; 8]) -> Self {
        Self { cookie }
    }

    /// What is sent.
    pub fn packet(&self) -> [u8; 48] {
        let mut packet = [0; 48];
        packet[0] = CLIENT;
        packet[40..].copy_from_slice(&self.cookie);
        packet
    }

    /// Whether these bytes answer this question. What does not is somebody else's, and is to be passed over.
    pub fn is_answered_by(&self, bytes: &[u8]) -> bool {
        bytes.get(24..32) == Some(&self.cookie[..]) && bytes.get(40..48).is_some()
    }

    /// The difference that an answer shows, where the question was sent and the answer came at these times of our clock.
    pub fn difference(&self, bytes: &[u8], sent: Micros, came: Micros) -> Result<Difference, String> {
        let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
        if !self.is_answered_by(bytes) || byte(0) & 7 != 4 {
            return Err("it does not answer as a time server does".to_owned());
        }
        match byte(1) {
            // RFC 5905 7.4: who is asked too often says so in the reference identifier
            0 => return Err(format!("it refuses to answer ({})", bytes.get(12..16).unwrap_or_default().escape_ascii())),
            1..=15 if byte(0) >> 6 != 3 => {}
            _ => return Err("its own clock is not set".to_owned()),
        }
        let (Some(received), Some(answered)) = (time(bytes, 32), time(bytes, 40)) else {
            return Err("its answer has no time".to_owned());
        };
        // RFC 5905 section 8: the way there and the way back are taken to be equally long
        let there = received.saturating_sub(sent);
        let back = answered.saturating_sub(came);
        let way = came.saturating_sub(sent).saturating_sub(answered.saturating_sub(received));
        Ok(Difference { ahead: there.saturating_add(back) / 2, within: (way / 2).max(0) })
    }
}

/// The time that stands there; none where it is zero.
fn time(bytes: &[u8], at: usize) -> Option<Micros> {
    let eight: [u8; 8] = bytes.get(at..at.checked_add(8)?)?.try_into().ok()?;
    let whole = u64::from_be_bytes(eight);
    let (seconds, fraction) = (i64::try_from(whole >> 32).ok()?, i64::try_from(whole & 0xffff_ffff).ok()?);
    // RFC 4330 section 3: the first bit tells the eras apart, until 2104
    let seconds = if seconds < ERA / 2 { seconds.checked_add(ERA)? } else { seconds };
    let since = seconds.checked_sub(EPOCH)?.checked_mul(SECOND)?;
    (whole != 0).then(|| since.saturating_add(fraction.saturating_mul(SECOND) >> 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOKIE: [u8; 8] = *b"a cookie";

    /// An answer of a server that is at these NTP seconds.
    fn answer(first: u8, stratum: u8, seconds: u32) -> Vec<u8> {
        let mut bytes = vec![0; 48];
        (bytes[0], bytes[1]) = (first, stratum);
        bytes[12..16].copy_from_slice(b"RATE");
        bytes[24..32].copy_from_slice(&COOKIE);
        for at in [32, 40] {
            bytes[at..at + 4].copy_from_slice(&seconds.to_be_bytes());
            bytes[at + 4..at + 8].copy_from_slice(&0x8000_0000_u32.to_be_bytes());
        }
        bytes
    }

    #[test]
    fn the_difference_is_what_the_middle_of_the_way_shows() {
        let question = Question::new(COOKIE);
        assert_eq!((question.packet()[0], &question.packet()[40..]), (0x23, &COOKIE[..]));
        // RFC 5905 figure 4: 1972-01-01 is 2,272,060,800; the next era begins on 2036-02-07 06:28:16
        for (ntp, unix) in
            [(2_272_060_800, 63_072_000), (0x8000_0000, -61_505_152), (1, 2_085_978_497), (u32::MAX, 2_085_978_495)]
        {
            let sent = unix * SECOND;
            let told = question.difference(&answer(0x24, 2, ntp), sent, sent + 200_000);
            assert_eq!(told, Ok(Difference { ahead: 400_000, within: 100_000 }), "{ntp}");
        }
    }

    #[test]
    fn what_is_no_answer_of_a_clock_that_is_set_is_refused_with_the_reason() {
        let question = Question::new(COOKIE);
        let told = |bytes: &[u8]| question.difference(bytes, 0, 0).expect_err("refused");
        assert_eq!(told(&answer(0x24, 0, 1)), "it refuses to answer (RATE)");
        for unset in [answer(0xe4, 2, 1), answer(0x24, 16, 1)] {
            assert_eq!(told(&unset), "its own clock is not set");
        }
        let mut forged = answer(0x24, 2, 1);
        forged[24] ^= 1;
        for foreign in [&forged[..], &answer(0x23, 2, 1), &answer(0x24, 2, 1)[..47], b""] {
            assert_eq!(told(foreign), "it does not answer as a time server does");
        }
        let mut timeless = answer(0x24, 2, 1);
        timeless[32..].fill(0);
        assert_eq!(told(&timeless), "its answer has no time");
    }
}
