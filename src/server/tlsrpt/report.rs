//! One report: what was counted of a domain on a day, as JSON (RFC 8460 4.4), and the message that carries it (5.3).

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::{Value, json};

use crate::mime::{compose, transfer};
use crate::server::store::TlsResult;
use crate::time::Timestamp;

/// A report.
#[derive(Debug)]
pub(in crate::server::tlsrpt) struct Report {
    hostname: String,
    domain: String,
    /// The first and the last second of the day.
    range: (i64, i64),
    id: String,
    json: Vec<u8>,
}

impl Report {
    /// What this host says of a domain and a day (since 1970).
    pub(in crate::server::tlsrpt) fn new(hostname: &str, (day, domain): (i64, &str), results: &[(TlsResult, u64)]) -> Self {
        let begin = day.saturating_mul(86_400);
        let range = (begin, begin.saturating_add(86_399));
        let id = format!("{begin}.{domain}@{hostname}");
        let written = |at: i64| Timestamp::from_unix(at).to_string();
        let value = json!({
            "organization-name": hostname,
            "date-range": { "start-datetime": written(range.0), "end-datetime": written(range.1) },
            "contact-info": format!("postmaster@{hostname}"),
            "report-id": id,
            "policies": policies(domain, results),
        });
        Self { hostname: hostname.to_owned(), domain: domain.to_owned(), range, id, json: value.to_string().into_bytes() }
    }

    /// Its JSON, as it is sent.
    pub(in crate::server::tlsrpt) fn gzip(&self) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        // writing into memory does not fail
        let written = encoder.write_all(&self.json).and_then(|()| encoder.finish());
        written.unwrap_or_default()
    }

    /// The message to an address that carries it.
    pub(in crate::server::tlsrpt) fn mail(&self, to: &str, now: Timestamp) -> Vec<u8> {
        let Self { hostname, domain, range: (begin, end), id, .. } = self;
        let mut random = [0; 6];
        crate::keys::files::random_name(&mut random);
        let unique = format!("tlsrpt-{begin}-{}", crate::pki::hex(&random));
        let boundary = format!("{unique}={hostname}");
        let file = format!("{hostname}!{domain}!{begin}!{end}.json.gz");
        let text = format!(
            "From: Mail Delivery System <postmaster@{hostname}>\r\nTo: <{to}>\r\n\
             Subject: Report Domain: {domain}\r\n Submitter: {hostname}\r\n Report-ID: <{id}>\r\n\
             Date: {}\r\nMessage-ID: <{unique}@{hostname}>\r\nTLS-Report-Domain: {domain}\r\nTLS-Report-Submitter: {hostname}\r\n\
             TLS-Required: No\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n boundary=\"{boundary}\"\r\n\r\n\
             --{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\
             This is how TLS went from {hostname} to the mail servers of\r\n{domain} on {} (RFC 8460).\r\n\r\n\
             --{boundary}\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment;\r\n filename=\"{file}\"\r\n\r\n",
            compose::date(now),
            Timestamp::from_unix(*begin).to_string().get(..10).unwrap_or_default(),
        );
        let content = transfer::encode_base64(&self.gzip());
        let end = format!("\r\n--{boundary}--\r\n");
        [text.as_bytes(), content.trim_ascii_end(), end.as_bytes()].concat()
    }
}

/// Of each policy that applied, how often it went well, and what failed.
fn policies(domain: &str, results: &[(TlsResult, u64)]) -> Vec<Value> {
    let mut by_policy: BTreeMap<(&str, &str), (u64, u64, Vec<Value>)> = BTreeMap::new();
    for (one, count) in results {
        let (good, bad, details) = by_policy.entry((&one.policy, &one.wording)).or_default();
        if one.result == "success" {
            *good = good.saturating_add(*count);
            continue;
        }
        *bad = bad.saturating_add(*count);
        let mut detail = json!({ "result-type": one.result, "failed-session-count": count });
        let (receiving, sending) = &one.between;
        for (name, value) in [("sending-mta-ip", sending), ("receiving-mx-hostname", &one.mx), ("receiving-ip", receiving)] {
            if let Some(fields) = detail.as_object_mut().filter(|_| !value.is_empty()) {
                fields.insert(name.to_owned(), json!(value));
            }
        }
        details.push(detail);
    }
    let written = by_policy.into_iter().map(|((kind, wording), (good, bad, details))| {
        json!({
            "policy": policy(domain, kind, wording),
            "summary": { "total-successful-session-count": good, "total-failure-session-count": bad },
            "failure-details": details,
        })
    });
    written.collect()
}

fn policy(domain: &str, kind: &str, wording: &str) -> Value {
    let lines: Vec<&str> = wording.lines().collect();
    let hosts: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("mx:")).map(str::trim).collect();
    let mut value = json!({ "policy-type": kind, "policy-domain": domain });
    for (name, list) in [("policy-string", &lines), ("mx-host", &hosts)] {
        if let Some(fields) = value.as_object_mut().filter(|_| !list.is_empty()) {
            fields.insert(name.to_owned(), json!(list));
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(result: &str, mx: &str) -> TlsResult {
        let wording = "version: STSv1\nmode: testing\nmx: *.mail.company-y.example\nmax_age: 86400".to_owned();
        let text = |text: &str| text.to_owned();
        let between =
            if result == "success" { Default::default() } else { (text("203.0.113.58"), text("2001:db8:abcd:0012::1")) };
        TlsResult { domain: text("company-y.example"), policy: text("sts"), wording, mx: text(mx), between, result: text(result) }
    }

    /// The example of RFC 8460, appendix B, as far as it is of things that we know.
    #[test]
    fn what_was_counted_is_written_as_the_standard_does() {
        let results = [
            (result("success", "mx1.mail.company-y.example"), 5000),
            (result("success", "mx2.mail.company-y.example"), 326),
            (result("certificate-expired", "mx1.mail.company-y.example"), 100),
            (result("starttls-not-supported", "mx2.mail.company-y.example"), 200),
        ];
        let report = Report::new("mail.company-x.example", (16_892, "company-y.example"), &results);
        let value: Value = serde_json::from_slice(&report.json).expect("JSON");
        let wanted = json!({
            "organization-name": "mail.company-x.example",
            "date-range": { "start-datetime": "2016-04-01T00:00:00Z", "end-datetime": "2016-04-01T23:59:59Z" },
            "contact-info": "postmaster@mail.company-x.example",
            "report-id": "1459468800.company-y.example@mail.company-x.example",
            "policies": [{
                "policy": {
                    "policy-type": "sts",
                    "policy-string": ["version: STSv1", "mode: testing", "mx: *.mail.company-y.example", "max_age: 86400"],
                    "policy-domain": "company-y.example",
                    "mx-host": ["*.mail.company-y.example"],
                },
                "summary": { "total-successful-session-count": 5326, "total-failure-session-count": 300 },
                "failure-details": [
                    {
                        "result-type": "certificate-expired",
                        "sending-mta-ip": "2001:db8:abcd:0012::1",
                        "receiving-mx-hostname": "mx1.mail.company-y.example",
                        "receiving-ip": "203.0.113.58",
                        "failed-session-count": 100,
                    },
                    {
                        "result-type": "starttls-not-supported",
                        "sending-mta-ip": "2001:db8:abcd:0012::1",
                        "receiving-mx-hostname": "mx2.mail.company-y.example",
                        "receiving-ip": "203.0.113.58",
                        "failed-session-count": 200,
                    },
                ],
            }],
        });
        assert_eq!(value, wanted);
    }

    #[test]
    fn where_no_policy_was_found_none_is_written() {
        let one = TlsResult { policy: "no-policy-found".to_owned(), result: "success".to_owned(), ..TlsResult::default() };
        let report = Report::new("a.example", (0, "b.example"), &[(one, 3)]);
        let value: Value = serde_json::from_slice(&report.json).expect("JSON");
        let policy = value.pointer("/policies/0/policy").expect("one");
        assert_eq!(policy, &json!({ "policy-type": "no-policy-found", "policy-domain": "b.example" }));
    }
}
