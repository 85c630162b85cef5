//! Reports of how TLS went (RFC 8460): to whom, what, once.

use sealpost::server::admin::{self, Question};
use sealpost::server::store::{PolicyStore, TlsResult};

use super::dns::Dns;
use super::mx::{Mx, Web};
use super::{Authority, Host, today, until};
use crate::server::own::is_signed;
use crate::support;

fn count(host: &Host, domain: &str, result: &str, times: usize) {
    let text = |text: &str| text.to_owned();
    let one = TlsResult {
        domain: text(domain),
        policy: text("sts"),
        wording: text("version: STSv1\nmode: testing\nmx: *.mail.b.example\nmax_age: 86400"),
        mx: text("mx1.mail.b.example"),
        between: if result == "success" { Default::default() } else { (text("192.0.2.1"), text("2001:db8::1")) },
        result: text(result),
    };
    (0..times).for_each(|_| host.store.count_tls(host.day - 1, one.clone()).expect("counted"));
}

fn send(host: &Host) -> Vec<String> {
    admin::ask(&host.data(), &Question::Report).expect("it runs").collect::<Result<_, _>>().expect("lines")
}

/// What RFC 8460 4.4 says that a report has, and what 5.3 says of the message; Python's libraries read both.
const JUDGE: &str = r#"
import email, email.policy, gzip, json, re, sys
m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
assert m.get_content_type() == 'multipart/report' and m.get_param('report-type') == 'tlsrpt', m['Content-Type']
assert not m.defects and all(not p.defects for p in m.walk())
assert m['TLS-Report-Domain'] == 'b.example' and m['TLS-Report-Submitter'] == 'mail.a.example' and m['TLS-Required'] == 'No'
assert re.fullmatch(r'Report Domain: b\.example Submitter: mail\.a\.example Report-ID: <\S+@mail\.a\.example>', m['Subject']), m['Subject']
text, part = m.get_payload()
assert part.get_content_type() == 'application/tlsrpt+gzip', part['Content-Type']
assert re.fullmatch(r'mail\.a\.example!b\.example!\d+!\d+\.json\.gz', part.get_filename()), part.get_filename()
r = json.loads(gzip.decompress(part.get_payload(decode=True)))
def shape(value, wanted, at=''):
    if isinstance(wanted, dict):
        assert isinstance(value, dict), at
        for key, of in wanted.items():
            if not key.endswith('?'):
                assert key in value, at + '/' + key
            if key.rstrip('?') in value:
                shape(value[key.rstrip('?')], of, at + '/' + key)
        extra = set(value) - {key.rstrip('?') for key in wanted}
        assert not extra, extra
    elif isinstance(wanted, list):
        assert isinstance(value, list), at
        for one in value:
            shape(one, wanted[0], at + '[]')
    elif isinstance(wanted, str):
        assert re.fullmatch(wanted, value), (at, value)
    else:
        assert type(value) is wanted, (at, value)
stamp = r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ'
kinds = ('starttls-not-supported|certificate-host-mismatch|certificate-expired|certificate-not-trusted|validation-failure|'
         'tlsa-invalid|dnssec-invalid|dane-required|sts-policy-fetch-error|sts-policy-invalid|sts-webpki-invalid')
shape(r, {'organization-name': str, 'date-range': {'start-datetime': stamp, 'end-datetime': stamp}, 'contact-info': r'\S+@\S+', 'report-id': str,
  'policies': [{'policy': {'policy-type': 'tlsa|sts|no-policy-found', 'policy-string?': [str], 'policy-domain': str, 'mx-host?': [str]},
    'summary': {'total-successful-session-count': int, 'total-failure-session-count': int},
    'failure-details': [{'result-type': kinds, 'sending-mta-ip?': str, 'receiving-mx-hostname?': str, 'receiving-mx-helo?': str,
      'receiving-ip?': str, 'failed-session-count': int, 'additional-information?': str, 'failure-reason-code?': str}]}]})
[p] = r['policies']
print(p['summary']['total-successful-session-count'], p['summary']['total-failure-session-count'],
  [(d['result-type'], d['failed-session-count'], d['receiving-ip']) for d in p['failure-details']], p['policy']['mx-host'])
"#;

/// parsedmarc, by which receivers of reports read them; it finds the report in the message itself.
const PARSEDMARC: &str = r#"
import parsedmarc, sys
found = parsedmarc.parse_report_email(sys.stdin.buffer.read(), offline=True)
assert found['report_type'] == 'smtp_tls', found
r = found['report']
assert r['organization_name'] == 'mail.a.example' and r['contact_info'] == 'postmaster@mail.a.example', r
assert r['begin_date'].endswith('T00:00:00Z') and r['end_date'].endswith('T23:59:59Z') and r['begin_date'][:10] == r['end_date'][:10], r
[p] = r['policies']
assert (p['policy_domain'], p['policy_type']) == ('b.example', 'sts') and p['policy_strings'][1] == 'mode: testing', p
assert all(d['sending_mta_ip'] == '2001:db8::1' and d['receiving_mx_hostname'] == 'mx1.mail.b.example' for d in p['failure_details']), p
print(p['successful_session_count'], p['failed_session_count'],
  [(d['result_type'], d['failed_session_count'], d['receiving_ip']) for d in p['failure_details']])
"#;

const TOLD: &str =
    "3 3 [('certificate-expired', 1, '192.0.2.1'), ('starttls-not-supported', 2, '192.0.2.1')] ['*.mail.b.example']";

fn with_parsedmarc() -> Option<String> {
    let python = support::named_peer("SEALPOST_PYTHON")?;
    if support::run(&python, &["-c", "import parsedmarc"], b"").0 != 0 {
        support::skip("SEALPOST_PYTHON has no parsedmarc");
        return None;
    }
    Some(python)
}

#[test]
fn a_domain_that_asks_for_it_gets_one_report_of_a_day() {
    let mx = Mx::build().run();
    let dns = Dns::run(
        "_smtp._tls.b.example TXT v=TLSRPTv1; rua=mailto:jane@a.example,mailto:tls@reports.example\n\
         c.example TXT x\n_smtp._tls.d.example TXT !servfail\n\
         reports.example MX 10 mx.reports.example\nmx.reports.example A 127.0.0.1\n",
    );
    let mut host = Host::new(&format!(
        "[dkim]\nfolder = \"dkim\"\n[delivery]\nresolver = \"{}\"\nport = {}\ndane = \"off\"\nmta_sts = \"off\"\n",
        dns.address,
        mx.port()
    ));
    let records = host.signs();
    count(&host, "b.example", "success", 3);
    count(&host, "b.example", "certificate-expired", 1);
    count(&host, "b.example", "starttls-not-supported", 2);
    count(&host, "c.example", "success", 1);
    count(&host, "d.example", "success", 1);
    let told = send(&host);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.contains(&"b.example: its report goes to jane@a.example, tls@reports.example".to_owned()), "{told:?}");
    assert!(told.contains(&"c.example: it wants no report".to_owned()), "{told:?}");
    assert!(told.iter().any(|line| line.starts_with("d.example: its report waits")), "{told:?}");
    let here = host.arrived("jane@a.example", 1).remove(0);
    until("it has gone", || mx.messages().len() == 1);
    assert!(mx.commands().iter().any(|line| line.starts_with("MAIL FROM:<>")), "{:?}", mx.commands());
    let there = mx.messages().remove(0);
    let there = there.strip_suffix(".\r\n").expect("the end of the data").to_owned();
    [&here, &there].iter().for_each(|report| is_signed(&records, report));
    if let Some(python) = with_parsedmarc() {
        for report in [&here, &there] {
            let (code, out, talk) = support::run(&python, &["-c", PARSEDMARC], report.as_bytes());
            let wanted = TOLD.split(" ['").next().expect("the counts");
            assert_eq!((code, String::from_utf8_lossy(&out).trim()), (0, wanted), "{talk}\n{report}");
            let broken = report.replace("H4sI", "AAAA");
            assert_ne!(support::run(&python, &["-c", PARSEDMARC], broken.as_bytes()).0, 0, "it judges");
        }
    }
    if support::peer("python3") {
        for report in [here, there] {
            let (code, out, talk) = support::run("python3", &["-c", JUDGE], report.as_bytes());
            assert_eq!((code, String::from_utf8_lossy(&out).trim()), (0, TOLD), "{talk}\n{report}");
        }
    }
    // by the program, again: only what waits is asked for
    let (code, out, talk) = support::run(
        env!("CARGO_BIN_EXE_sealpost"),
        &["--home", &host.folder.path().display().to_string(), "--batch", "queue", "tls", "--send"],
        b"",
    );
    let out = String::from_utf8_lossy(&out).into_owned();
    assert!(code == 0 && out.starts_with("d.example: its report waits") && out.lines().count() == 1, "{out} {talk}");
    dns.say("_smtp._tls.d.example TXT v=TLSRPTv1; rua=mailto:jane@a.example\n");
    assert_eq!(send(&host), ["d.example: its report goes to jane@a.example"]);
    assert_eq!(send(&host), [""; 0]);
    // what was counted is still shown
    let ago = (today() - host.day + 1).to_string();
    let (_, out, _) = support::run(
        env!("CARGO_BIN_EXE_sealpost"),
        &["--home", &host.folder.path().display().to_string(), "--batch", "--json", "queue", "tls", "--days-ago", &ago],
        b"",
    );
    let json: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
    assert_eq!(json["results"].as_array().map(Vec::len), Some(5), "{json}");
    assert_eq!(json.pointer("/results/0/policy_text/1").and_then(|line| line.as_str()), Some("mode: testing"));
}

#[test]
fn a_report_goes_over_https_to_who_proves_his_name() {
    let authority = Authority::new("an authority");
    let web = Web::run(&authority.issue(&["reports.example"]), "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    let dns = Dns::run(&format!(
        "_smtp._tls.b.example TXT v=TLSRPTv1; rua=https://reports.example:{0}/v1/tlsrpt?x=1\n\
         _smtp._tls.c.example TXT v=TLSRPTv1; rua=https://other.example:{0}/\n\
         reports.example A 127.0.0.1\nother.example A 127.0.0.1\n",
        web.port
    ));
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("trust.pem"), authority.pem()).expect("written");
    let host = Host::new(&format!(
        "[delivery]\nresolver = \"{}\"\ndane = \"off\"\nmta_sts = \"off\"\ntrust = \"{}\"\n",
        dns.address,
        folder.path().join("trust.pem").display()
    ));
    count(&host, "b.example", "success", 3);
    count(&host, "c.example", "success", 3);
    let told = send(&host);
    assert!(told.iter().any(|line| line.starts_with("b.example: its report goes to https://reports.example:")), "{told:?}");
    assert!(
        told.iter()
            .any(|line| line.starts_with("c.example: its report waits") && line.contains("certificate not valid for name")),
        "{told:?}"
    );
    let asked = web.asked();
    let [posted] = asked.as_slice() else { panic!("{asked:?}") };
    assert!(posted.starts_with("POST /v1/tlsrpt?x=1 HTTP/1.1\r\nHost: reports.example:"), "{posted}");
    assert!(posted.contains("\r\nContent-Type: application/tlsrpt+gzip\r\n"), "{posted}");
}
