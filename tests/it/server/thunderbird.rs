//! Thunderbird sets up its accounts from our settings, sends by submission and fetches by POP3, all under TLS. It shows its windows on a
//! screen that nobody sees.

use serde_json::Value;

use super::Served;
use crate::support;

#[test]
fn thunderbird_sets_itself_up_sends_and_fetches() {
    if !["thunderbird", "Xvfb", "certutil", "python3"].into_iter().all(support::peer) {
        return;
    }
    let served = Served::new();
    // the settings name the ports that are configured, and those of a test are given by the system
    let mut settings = served.run(&["autoconfig", "a.example"]).0;
    for service in ["pop3s", "pop3", "submissions", "submission"] {
        settings = settings.replacen("<port>0<", &format!("<port>{}<", served.port(service)), 1);
    }
    let (root, file) = (served.path("root.pem"), served.path("config-v1.1.xml"));
    std::fs::write(&file, settings).expect("written");
    let script = format!("{}/tests/peers/thunderbird.py", env!("CARGO_MANIFEST_DIR"));
    let (code, out, talk) =
        support::run("python3", &[&script, &root, &file, "jane@a.example:secret-word", "joe@a.example:secret-word"], b"");
    assert_eq!(code, 0, "{talk}");
    let out = String::from_utf8(out).expect("text");
    let users: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let server = |kind: &str, service: &str, tls: &str| serde_json::json!([kind, "mail.a.example", served.port(service), tls]);
    let expected = [("pop3s", "submissions", "SSL", "joe"), ("pop3", "submission", "STARTTLS", "jane")];
    assert_eq!(users.len(), expected.len(), "{out}");
    for (user, (incoming, outgoing, tls, other)) in users.iter().zip(expected) {
        assert_eq!(user["headless"], false, "it has windows");
        assert_eq!(user["source"], "xml-from-isp-http", "the settings are ours, nothing is guessed");
        assert_eq!(user["incoming"], server("pop3", incoming, tls));
        assert_eq!(user["outgoing"], server("smtp", outgoing, tls));
        let fetched = &user["fetched"];
        assert_eq!(fetched["subjects"], serde_json::json!([format!("from {other}@a.example: grüß dich")]));
        let mailbox = fetched["mailbox"].as_str().expect("text").replace("\r\n", "\n");
        assert!(mailbox.contains("\n\nFirst.\n.dot\n\nÄnd.\n") && mailbox.contains("TLSv1.3"), "{mailbox}");
    }
}
