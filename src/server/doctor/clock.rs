//! Whether the clock can be right: it is behind where something was written later than now.

use crate::pki::Certificate;
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
    vec![Finding::error("clock-behind", Concern::Machine, text).fix("timedatectl set-ntp true")]
}

#[cfg(test)]
mod tests {
    use super::*;

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
