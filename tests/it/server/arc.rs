//! Mail that came by lists and forwarders: chains of ARC as others seal them.

use super::Served;
use super::dns::Dns;
use super::policy::{hand, has_dkimpy};
use crate::support;

/// Changes a message as a list does, where it is to, and seals it: `python3 -c … KEY DOMAIN RESULTS CHANGE`.
const SEAL: &str = "
import dkim, sys
key, domain, results, change = open(sys.argv[1], 'rb').read(), sys.argv[2].encode(), sys.argv[3].encode(), sys.argv[4] == 'change'
m = sys.stdin.buffer.read()
if change:
    m = m.replace(b'\\r\\nSubject: ', b'\\r\\nSubject: [list] ') + b'-- \\r\\nthe list\\r\\n'
m = b'Authentication-Results: ' + domain + b'; ' + results + b'\\r\\n' + m
fields = dkim.arc_sign(m, b'sel', domain, key, domain, include_headers=[b'from', b'to', b'subject', b'message-id'])
assert fields
sys.stdout.buffer.write(b''.join(fields) + m)
";

const LETTER: &str =
    "From: Jane <jane@a.example>\r\nTo: list@lists.example\r\nSubject: hi\r\nMessage-ID: <1@a.example>\r\n\r\nA letter.\r\n";

const PASSED: &str = "spf=pass smtp.mailfrom=jane@a.example; dmarc=pass (p=reject) header.from=a.example";

struct Hops {
    served: Served,
    dns: Dns,
    key: String,
}

impl Hops {
    /// A server that refuses what DMARC asks to refuse, and trusts this seal; sealers of every name have one key.
    fn new() -> Option<Self> {
        let has_authres = support::run("/usr/bin/python3", &["-c", "import authres"], b"").0 == 0;
        if !support::peer("python3") || !support::peer("openssl") || !has_dkimpy() || !has_authres {
            if !has_authres {
                support::skip("python3-authres is not installed");
            }
            return None;
        }
        let dns = Dns::run("_dmarc.a.example TXT v=DMARC1; p=reject\n");
        let found = format!(
            "[delivery]\nresolver = \"{}\"\n[authentication]\ncheck = \"reject\"\ntrusted_sealers = [\"lists.example\", \".friend.example\"]\n",
            dns.address
        );
        let served =
            Served::of("b.example", &["bob"], |text| text.split("[delivery]").next().unwrap_or_default().to_owned() + &found);
        let key = served.path("rsa.pem");
        let (code, _, talk) = support::run("openssl", &["genrsa", "-traditional", "-out", &key, "2048"], b"");
        assert_eq!(code, 0, "{talk}");
        let line = format!("openssl rsa -in {key} -pubout -outform DER | base64 -w0");
        let public = String::from_utf8(support::run("sh", &["-c", &line], b"").1).expect("text");
        for domain in ["lists.example", "mx.friend.example", "stranger.example"] {
            dns.text(&format!("sel._domainkey.{domain}"), &format!("v=DKIM1; k=rsa; p={public}"));
        }
        Some(Self { served, dns, key })
    }

    fn seal(&self, message: &str, domain: &str, results: &str, change: &str) -> String {
        let args = ["-c", SEAL, &self.key, domain, results, change];
        let (code, out, talk) = support::run("/usr/bin/python3", &args, message.as_bytes());
        assert_eq!(code, 0, "{talk}");
        String::from_utf8(out).expect("text")
    }

    /// The message as it arrived, or why it was refused.
    fn hand(&self, message: &str) -> Result<String, String> {
        let reply = hand(&self.served, "bounces@lists.example", message);
        if reply.starts_with("250") { Ok(self.served.fetch("bob@b.example").concat()) } else { Err(reply) }
    }
}

#[test]
fn what_a_trusted_sealer_saw_pass_is_taken_although_dmarc_fails_here() {
    let Some(hops) = Hops::new() else { return };
    let refused = |message: &str| {
        let why = hops.hand(message).expect_err("it is refused");
        assert!(why.starts_with("550 5.7.26 a.example asks to refuse"), "{why}");
    };
    refused(LETTER);
    let forwarded = hops.seal(LETTER, "lists.example", PASSED, "change");
    let arrived = hops.hand(&forwarded).expect("taken");
    for part in [
        "\r\n arc=pass\r\n  smtp.remote-ip=127.0.0.1",
        "\r\n dmarc=fail reason=\"local policy: arc=pass as[1].d=lists.example as[1].s=sel\"\r\n  header.from=a.example",
        "policy.published=reject",
    ] {
        assert!(arrived.contains(part), "{part} in {arrived}");
    }
    assert!(!arrived.contains("X-Quarantine") && arrived.contains("Subject: [list] hi"), "{arrived}");
    // who is not trusted, what was not seen to pass, and for whom
    refused(&hops.seal(LETTER, "stranger.example", PASSED, "change"));
    refused(&hops.seal(LETTER, "lists.example", "spf=pass smtp.mailfrom=jane@a.example", "change"));
    refused(&hops.seal(LETTER, "lists.example", &PASSED.replace("header.from=a.example", "header.from=c.example"), "change"));
    // over two hops, both trusted; behind a stranger nothing is believed, but a trusted one may have seen it himself
    let arc = "arc=pass; dmarc=fail header.from=a.example";
    let twice = hops.seal(&forwarded, "mx.friend.example", arc, "keep");
    let arrived = hops.hand(&twice).expect("taken");
    assert!(arrived.contains("arc=pass") && arrived.contains("as[1].d=lists.example"), "{arrived}");
    refused(&hops.seal(&forwarded, "stranger.example", arc, "keep"));
    let invented = hops.seal(LETTER, "stranger.example", PASSED, "change");
    refused(&hops.seal(&invented, "lists.example", arc, "keep"));
    let seen = hops.seal(&invented, "lists.example", &format!("arc=pass; {PASSED}"), "keep");
    assert!(hops.hand(&seen).expect("taken").contains("as[2].d=lists.example"));
}

#[test]
fn a_chain_that_does_not_hold_is_a_failure_and_helps_nobody() {
    let Some(hops) = Hops::new() else { return };
    hops.dns.text("c.example", "v=spf1 ip4:127.0.0.0/8 -all");
    let from_c = LETTER.replace("jane@a.example", "jane@c.example");
    let sealed = hops.seal(&from_c, "lists.example", PASSED, "keep");
    let twice = hops.seal(&sealed, "mx.friend.example", "arc=pass", "keep");
    let claimed = hops.seal(&sealed, "mx.friend.example", "arc=fail", "keep");
    let (before, rest) = twice.split_once("ARC-Seal: i=1").expect("the first seal");
    let cut =
        format!("{before}ARC-Message-Signature: i=1{}", rest.split_once("ARC-Message-Signature: i=1").expect("its signature").1);
    for (what, broken) in [
        ("another body", sealed.replace("A letter.", "A lettre.")),
        ("another subject", sealed.replace("Subject: hi", "Subject: ho")),
        ("other results", sealed.replace("dmarc=pass", "dmarc=fail")),
        ("a seal less", cut),
        ("a chain that its sealer calls broken", claimed),
        ("no key", sealed.replace("d=lists.example", "d=gone.example")),
    ] {
        assert!(broken != sealed && broken != twice, "{what}");
        let arrived = hops.hand(&broken).expect("c.example asks for nothing");
        assert!(arrived.contains("\r\n arc=fail reason="), "{what}: {arrived}");
        // and of an author who asks for it, it is refused
        assert!(hops.hand(&broken.replace("jane@c.example", "jane@a.example")).is_err(), "{what}");
    }
    assert!(hops.hand(&twice).expect("taken").contains("\r\n arc=pass\r\n"), "it held before");
}
