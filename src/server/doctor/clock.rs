//! Whether the clock can be right: it is behind where something was written later than now, and wrong where another clock says so.

use crate::pki::Certificate;
use crate::server::doctor::sntp::Difference;
use crate::server::doctor::{Concern, Finding, days};
use crate::time::Timestamp;

/// Seconds by which clocks of one machine and its disks may differ.
const PLAY: i64 = 120;

/// Judges now by times that were written down before, each with what it is of, and by the server's certificate.
pub fn judge(now: Timestamp, written: &[(String, Timestamp)], certificate: Option<&Certificate>) -> Vec<Finding> {
    let mut times: Vec<(String, Timestamp)> = written.to_vec();
    times.extend(certificate.map(|certificate| ("the server's certificate begins".to_owned(), certificate.not_before())));
    let newest = times.into_iter().max_by_key(|(_, at)| *at);
    let Some((what, at)) = newest.filter(|(_, at)| at.unix() > now.unix().saturating_add(PLAY)) else { return Vec::new() };
    let behind = days(at.unix().saturating_sub(now.unix()));
    let text = format!("the clock says {now}, and {what} on {at}: it is behind by {behind} at least");
    vec![Finding::error("clock-behind", Concern::Machine, text).fix(SET)]
}

/// What sets the clock, and keeps it right.
const SET: &str = "timedatectl set-ntp true";

/// Milliseconds by which clocks may differ that are kept right over a network: a time that is told in seconds is then the same.
const FINE: i64 = 2_000;

/// Judges what another clock said, or why it said nothing. Nobody vouches for it: what it says is a reason to look, and changes nothing.
pub fn compare(server: &str, told: Result<Difference, String>) -> Option<Finding> {
    let Difference { ahead, within } = match told {
        Ok(difference) => difference,
        Err(why) => {
            let text = format!("the clock was not compared – {server}: {why}");
            return Some(Finding::warning("clock-not-compared", Concern::Machine, text));
        }
    };
    let millis = (ahead.saturating_abs().saturating_sub(within)) / 1000;
    if millis <= FINE {
        return None;
    }
    let seconds = millis / 1000;
    let much = match seconds {
        ..120 => format!("{seconds} seconds"),
        120..7200 => format!("{} minutes", seconds / 60),
        _ => days(seconds),
    };
    let side = if ahead > 0 { "behind" } else { "ahead of" };
    let text = format!(
        "the clock is {much} {side} that of {server}: certificates, signatures and codes are judged by it, and mail is dated by it"
    );
    let finding = match seconds > PLAY {
        true => Finding::error("clock-wrong", Concern::Machine, text),
        false => Finding::warning("clock-wrong", Concern::Machine, text),
    };
    Some(finding.fix(SET))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::doctor::Severity;

    #[test]
    fn another_clock_is_believed_as_far_as_the_way_to_it_lets_it_be() {
        let told = |ahead, within| {
            let found = compare("time.a.example", Ok(Difference { ahead, within }))?;
            Some((found.code, found.severity, found.text.split(':').next().map(str::to_owned)?))
        };
        let wrong = |severity, text: &str| Some(("clock-wrong", severity, format!("the clock is {text} that of time.a.example")));
        assert_eq!(told(2_000_000, 0), None);
        assert_eq!(told(-9_000_000, 7_500_000), None, "the way took longer than they differ");
        assert_eq!(told(3_100_000, 0), wrong(Severity::Warning, "3 seconds behind"));
        assert_eq!(told(-600_000_000, 0), wrong(Severity::Error, "10 minutes ahead of"));
        assert_eq!(told(i64::MIN, 0).map(|(code, ..)| code), Some("clock-wrong"));
        assert_eq!(compare("x", Err("no route".to_owned())).map(|one| one.code), Some("clock-not-compared"));
    }

    #[test]
    fn a_clock_is_behind_what_was_written_before() {
        let now = Timestamp::from_unix(1_000_000);
        let at = |seconds| vec![("a message came".to_owned(), Timestamp::from_unix(seconds))];
        assert_eq!(judge(now, &at(1_000_060), None), []);
        let found = judge(now, &at(1_000_000 + 3 * 86_400), None);
        let [finding] = found.as_slice() else { panic!("{found:?}") };
        assert!(finding.code == "clock-behind" && finding.text.contains("by 3 days"), "{finding:?}");
    }
}
