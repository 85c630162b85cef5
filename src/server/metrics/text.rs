//! Prometheus' text.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use crate::server::metrics::family::Family;
use crate::server::metrics::{Gauges, Metrics};
use crate::server::store::BOUNDS;

/// A text that grows. Writing to it cannot fail.
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (at, (label, of)) in labels.iter().enumerate() {
            let begin = if at == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{begin}{label}=\"{}\"", escaped(of));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{end} {value}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.head(name, kind, help);
        self.line(name, &[], value);
    }

    fn family(&mut self, family: &Family) {
        self.head(family.name, "counter", family.help);
        for (labels, count) in family.all_counts() {
            let labels: Vec<_> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
            self.line(family.name, &labels, count);
        }
    }

    fn by_service<T: std::fmt::Display>(
        &mut self,
        (name, kind, help): (&str, &str, &str),
        values: impl Iterator<Item = (&'static str, T)>,
    ) {
        self.head(name, kind, help);
        values.for_each(|(service, value)| self.line(name, &[("service", service)], value));
    }
}

/// The value of a label.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

impl Metrics {
    /// What was counted, without what is known only when somebody asks.
    pub fn to_text(&self) -> String {
        let mut page = Page(String::with_capacity(8192));
        let is_smtp = |(service, _): &(&'static str, u64)| service.starts_with("smtp") || service.starts_with("submission");
        let accepted = ("sealpost_messages_accepted_total", "counter", "Messages that were accepted.");
        page.by_service(accepted, self.each(|of| of.accepted.load(Ordering::Relaxed)).filter(is_smtp));
        let bytes = ("sealpost_messages_accepted_bytes_total", "counter", "Bytes of the messages that were accepted.");
        page.by_service(bytes, self.each(|of| of.accepted_bytes.load(Ordering::Relaxed)).filter(is_smtp));
        page.family(&self.refusals);
        let delivered = self.delivered.load(Ordering::Relaxed);
        page.single("sealpost_delivered_total", "counter", "Copies that were put into mailboxes here.", delivered);
        page.family(&self.relayed);
        page.by_service(("sealpost_sessions_open", "gauge", "Connections that are open."), self.open());
        let sessions = ("sealpost_sessions_total", "counter", "Connections since the start.");
        page.by_service(sessions, self.each(|of| of.sessions.load(Ordering::Relaxed)));
        let received = ("sealpost_received_bytes_total", "counter", "Bytes that clients sent, without TLS.");
        page.by_service(received, self.each(|of| of.received.load(Ordering::Relaxed)));
        let sent = ("sealpost_sent_bytes_total", "counter", "Bytes that clients were sent, without TLS.");
        page.by_service(sent, self.each(|of| of.sent.load(Ordering::Relaxed)));
        for family in [&self.logins, &self.tls, &self.filters, &self.scanners, &self.api] {
            page.family(family);
        }
        page.0
    }

    /// All of it.
    pub fn page(&self, gauges: &Gauges) -> String {
        let mut page = Page(self.to_text());
        page.head("sealpost_build_info", "gauge", "The program that runs.");
        page.line("sealpost_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        let started = gauges.started.unix();
        page.single("sealpost_start_time_seconds", "gauge", "When the server started, in seconds since 1970.", started);
        if let Some(depth) = gauges.depth {
            page.head("sealpost_queue_recipients", "gauge", "Recipients elsewhere that wait, by state.");
            for (state, count) in [("waiting", depth.waiting), ("due", depth.due), ("held", depth.held)] {
                page.line("sealpost_queue_recipients", &[("state", state)], count);
            }
            let age = depth.oldest.map_or(0, |oldest| gauges.now.unix().saturating_sub(oldest.unix()).max(0));
            page.single(
                "sealpost_queue_oldest_seconds",
                "gauge",
                "Age of the oldest message of the queue; 0 where there is none.",
                age,
            );
        }
        if let Some(free) = gauges.disk_free {
            page.single("sealpost_disk_free_bytes", "gauge", "Bytes that are free on the disk of the data.", free);
        }
        let name = "sealpost_store_commit_seconds";
        page.head(name, "histogram", "How long it took until what was written was on disk.");
        let bucket = format!("{name}_bucket");
        for (bound, count) in BOUNDS.iter().zip(gauges.commits.buckets) {
            page.line(&bucket, &[("le", &bound.to_string())], count);
        }
        page.line(&bucket, &[("le", "+Inf")], gauges.commits.count);
        page.line(&format!("{name}_sum"), &[], gauges.commits.seconds);
        page.line(&format!("{name}_count"), &[], gauges.commits.count);
        page.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::metrics::Relayed;
    use crate::server::store::{Counted, Depth};
    use crate::time::Timestamp;

    #[test]
    fn a_page_tells_what_was_counted_and_what_waits() {
        let metrics = Metrics::default();
        metrics.opened("smtp");
        metrics.opened("smtp");
        metrics.closed("smtp");
        metrics.accepted("smtp", 4096);
        metrics.moved("pop3", 10, 2000);
        metrics.tls("submission", "TLS_AES_256_GCM_SHA384 (TLSv1.3)");
        metrics.relayed(Relayed::Failed);
        metrics.delivered(2);
        metrics.opened("unheard of");
        let (now, oldest) = (Timestamp::from_unix(1000), Some(Timestamp::from_unix(940)));
        let depth = Some(Depth { waiting: 1, due: 2, held: 3, oldest });
        let commits = Counted { count: 4, seconds: 0.5, ..Counted::default() };
        let page = metrics.page(&Gauges { depth, commits, disk_free: Some(7), started: now, now });
        for line in [
            r#"sealpost_sessions_open{service="smtp"} 1"#,
            r#"sealpost_sessions_total{service="smtp"} 2"#,
            r#"sealpost_messages_accepted_bytes_total{service="smtp"} 4096"#,
            r#"sealpost_sent_bytes_total{service="pop3"} 2000"#,
            r#"sealpost_tls_handshakes_total{service="submission",version="TLSv1.3"} 1"#,
            r#"sealpost_relayed_total{result="failed"} 1"#,
            "sealpost_delivered_total 2",
            r#"sealpost_queue_recipients{state="held"} 3"#,
            "sealpost_queue_oldest_seconds 60",
            "sealpost_disk_free_bytes 7",
            r#"sealpost_store_commit_seconds_bucket{le="0.0001"} 0"#,
            r#"sealpost_store_commit_seconds_bucket{le="+Inf"} 4"#,
            "sealpost_store_commit_seconds_sum 0.5",
        ] {
            assert!(page.lines().any(|known| known == line), "{line}: {page}");
        }
        assert_eq!(escaped("a\"b\\c\nd"), r#"a\"b\\c\nd"#);
    }
}
