//! Whom the server takes mail from: relays, lists, and what SPF, DKIM and DMARC say; DKIM as others sign and check it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use super::dns::Dns;
use super::own::is_signed;
use super::{Served, say};
use crate::support;

/// A server that checks by this DNS, and refuses what DMARC asks to refuse.
pub(super) fn checking(dns: &Dns) -> Served {
    let found = format!("[delivery]\nresolver = \"{}\"\n[authentication]\ncheck = \"reject\"\n", dns.address);
    Served::of("b.example", &["bob"], |text| text.split("[delivery]").next().unwrap_or_default().to_owned() + &found)
}

fn connect(served: &Served) -> BufReader<TcpStream> {
    BufReader::new(TcpStream::connect(("127.0.0.1", served.port("smtp"))).expect("connects"))
}

/// Hands over a message without TLS or login; gives the last reply.
pub(super) fn hand(served: &Served, sender: &str, message: &str) -> String {
    let mut stream = connect(served);
    let mut last = say(&mut stream, "").expect("a greeting");
    for line in ["EHLO mail.a.example", &format!("MAIL FROM:<{sender}>"), "RCPT TO:<bob@b.example>", "DATA"] {
        last = say(&mut stream, &format!("{line}\r\n")).expect("a reply");
        if last.starts_with(['4', '5']) {
            return last;
        }
    }
    assert!(last.starts_with("354"), "{last}");
    say(&mut stream, &format!("{message}.\r\n")).expect("a reply")
}

/// What the program says is to be published.
pub(super) fn records(served: &Served) -> Vec<(String, String)> {
    let json: serde_json::Value = serde_json::from_str(&served.run(&["dkim", "dns", "--json"]).0).expect("JSON");
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    json["records"].as_array().expect("a list").iter().map(|record| (text(&record["name"]), text(&record["text"]))).collect()
}

const LETTER: &str = "From: Jane <jane@a.example>\r\nTo: bob@b.example\r\nSubject:  hello\r\n  there\r\nMessage-ID: <1@a.example>\r\n\
                      Date: Thu, 26 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\n\r\nA  letter. \r\n\r\n..dot\r\n\r\n\r\n";

#[test]
fn what_users_send_is_signed_and_good_for_others() {
    let dns = Dns::run("_dmarc.a.example TXT v=DMARC1; p=reject\n");
    let b = checking(&dns);
    let route = format!("[dkim]\nfolder = \"dkim\"\n[routes]\n\"b.example\" = \"127.0.0.1:{}\"\n", b.port("smtp"));
    let mut a = Served::of("a.example", &["jane"], |text| text.replace("[routes]\n", &route));
    assert!(a.run(&["dkim", "new", "a.example"]).0.contains("._domainkey.a.example. IN TXT ( \"v=DKIM1; k=rsa; p="));
    let list = a.run(&["dkim", "list"]).0;
    assert_eq!(list.matches("signs").count(), 2, "{list}");
    let records = records(&a);
    records.iter().for_each(|(name, text)| dns.text(name, text));
    a.child.kill().expect("killed");
    a.child.wait().expect("gone");
    a.restart();
    a.send("jane@a.example", "From: Jane <jane@a.example>\nTo: bob@b.example\nSubject: hi\n\nA letter.\n");
    let arrived = b.fetch("bob@b.example").concat();
    assert_eq!(arrived.matches("dkim=pass").count(), 2, "{arrived}");
    assert!(
        arrived.contains("\r\nAuthentication-Results: mail.b.example;\r\n spf=none") && arrived.contains("dmarc=pass"),
        "{arrived}"
    );
    is_signed(&records, &arrived);
    if let Some(opendkim) = opendkim() {
        let keys: String = records.iter().map(|(name, text)| format!("{name} {text}\n")).collect();
        std::fs::write(a.path("keys.txt"), keys).expect("written");
        let config = format!("TestPublicKeys {}\nMode v\nDomain b.example\nSyslog no\n", a.path("keys.txt"));
        std::fs::write(a.path("opendkim.conf"), config).expect("written");
        std::fs::write(a.path("arrived.eml"), &arrived).expect("written");
        let (code, out, talk) =
            support::run(opendkim, &["-t", &a.path("arrived.eml"), "-x", &a.path("opendkim.conf"), "-v"], b"");
        let said = String::from_utf8_lossy(&out) + talk.as_str();
        assert!(
            code == 0 && said.contains("d=a.example, 2048-bit key) succeeded") && !said.contains("failed"),
            "{said}\n{arrived}"
        );
    }
}

#[test]
fn what_others_sign_is_good_here() {
    if !support::peer("python3") || !has_dkimpy() {
        return;
    }
    let dns = Dns::run("_dmarc.a.example TXT v=DMARC1; p=reject\n");
    let b = checking(&dns);
    let script = "import dkim, sys, base64\n\
                  m, key, alg = sys.stdin.buffer.read(), open(sys.argv[1], 'rb').read(), sys.argv[2].encode()\n\
                  c = tuple(x.encode() for x in sys.argv[3].split('/'))\n\
                  sys.stdout.buffer.write(dkim.sign(m, b'sel', b'a.example', key, canonicalize=c, signature_algorithm=alg))\n";
    // one RSA key of OpenSSL, and the Ed25519 key of RFC 8463 as dkimpy takes it
    let (rsa, small) = (b.path("rsa.pem"), b.path("ed25519.b64"));
    std::fs::write(&small, "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=").expect("written");
    let (code, _, talk) = support::run("openssl", &["genrsa", "-traditional", "-out", &rsa, "2048"], b"");
    assert_eq!(code, 0, "{talk}");
    let (_, public, _) = support::run("sh", &["-c", &format!("openssl rsa -in {rsa} -pubout -outform DER | base64 -w0")], b"");
    let public = String::from_utf8(public).expect("text");
    for (key, algorithm, record) in [
        (&rsa, "rsa-sha256", format!("v=DKIM1; p={public}")),
        (&small, "ed25519-sha256", "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=".to_owned()),
    ] {
        // the resolver keeps what it heard
        let selector = format!("sel{algorithm}");
        let script = script.replace("b'sel'", &format!("b'{selector}'"));
        dns.text(&format!("{selector}._domainkey.a.example"), &record);
        for how in ["relaxed/relaxed", "simple/simple", "relaxed/simple"] {
            let plain = LETTER.replace("\r\n..", "\r\n.");
            let (code, field, talk) = support::run("/usr/bin/python3", &["-c", &script, key, algorithm, how], plain.as_bytes());
            assert_eq!(code, 0, "{talk}");
            let field = String::from_utf8(field).expect("text");
            assert!(hand(&b, "jane@a.example", &format!("{field}{LETTER}")).starts_with("250"), "{algorithm} {how}");
            let arrived = b.fetch("bob@b.example").concat();
            assert!(arrived.contains("dkim=pass") && arrived.contains("dmarc=pass"), "{algorithm} {how}: {arrived}");
            let changed = hand(&b, "jane@a.example", &format!("{field}{}", LETTER.replace("A  letter", "A lettre")));
            assert!(changed.starts_with("550 5.7.26 a.example asks to refuse"), "{algorithm} {how}: {changed}");
        }
    }
}

#[test]
fn what_opendkim_signs_is_good_here() {
    let Some(opendkim) = opendkim() else { return };
    let dns = Dns::run("_dmarc.a.example TXT v=DMARC1; p=reject\n");
    let b = checking(&dns);
    let key = b.path("rsa.pem");
    let (code, _, talk) = support::run("openssl", &["genrsa", "-out", &key, "2048"], b"");
    assert_eq!(code, 0, "{talk}");
    let (_, public, _) = support::run("sh", &["-c", &format!("openssl rsa -in {key} -pubout -outform DER | base64 -w0")], b"");
    dns.text("sel._domainkey.a.example", &format!("v=DKIM1; k=rsa; p={}", String::from_utf8(public).expect("text")));
    let config = format!(
        "Mode s\nDomain a.example\nKeyFile {key}\nSelector sel\nCanonicalization relaxed/simple\nInternalHosts 0.0.0.0/0\n\
         RequireSafeKeys no\nSyslog no\n"
    );
    std::fs::write(b.path("opendkim.conf"), config).expect("written");
    std::fs::write(b.path("letter.eml"), LETTER.replace("\r\n..", "\r\n.")).expect("written");
    let (_, out, talk) = support::run(opendkim, &["-t", &b.path("letter.eml"), "-x", &b.path("opendkim.conf"), "-vv"], b"");
    let said = String::from_utf8_lossy(&out) + talk.as_str();
    let field = said.split("hname='DKIM-Signature' hvalue='").nth(1).and_then(|rest| rest.split('\'').next());
    let field = field.unwrap_or_else(|| panic!("{said}")).replace("\r\n", "\n").replace('\n', "\r\n");
    assert!(hand(&b, "jane@a.example", &format!("DKIM-Signature: {field}\r\n{LETTER}")).starts_with("250"));
    let arrived = b.fetch("bob@b.example").concat();
    assert!(arrived.contains("dkim=pass") && arrived.contains("dmarc=pass"), "{said}\n{arrived}");
}

#[test]
fn forged_mail_is_refused_and_forged_results_do_not_arrive() {
    let dns = Dns::run(
        "_dmarc.bank.example TXT v=DMARC1; p=reject
         _dmarc.shop.example TXT v=DMARC1; p=quarantine
         good.example TXT v=spf1 ip4:127.0.0.0/8 -all
         _dmarc.good.example TXT v=DMARC1; p=reject",
    );
    let b = checking(&dns);
    let from = |author: &str| {
        format!("Authentication-Results: mail.b.example; dmarc=pass (forged)\r\nX-Quarantine: no\r\nFrom: {author}\r\n\r\nhi\r\n")
    };
    let reply = hand(&b, "x@elsewhere.example", &from("ceo@bank.example"));
    assert!(reply.starts_with("550 5.7.26 bank.example asks to refuse"), "{reply}");
    assert!(hand(&b, "x@elsewhere.example", &from("x@shop.example")).starts_with("250"));
    let arrived = b.fetch("bob@b.example").concat();
    assert!(arrived.contains("dmarc=fail") && arrived.contains("\r\nX-Quarantine: dmarc\r\n"), "{arrived}");
    assert!(!arrived.contains("forged") && !arrived.contains("X-Quarantine: no"), "{arrived}");
    assert!(hand(&b, "x@good.example", &from("x@good.example")).starts_with("250"));
    let arrived = b.fetch("bob@b.example").concat();
    assert!(arrived.contains("spf=pass") && arrived.contains("dmarc=pass") && !arrived.contains("X-Quarantine"), "{arrived}");
}

#[test]
fn who_is_barred_hears_so_and_listed_networks_relay() {
    let with = |sections: &'static str| Served::of("b.example", &[], move |text| format!("{text}\n{sections}"));
    let barred = with("[access]\ndeny = [\"127.0.0.0/8\"]\n");
    assert_eq!(say(&mut connect(&barred), "").as_deref(), Some("554 5.7.1 no mail is taken from 127.0.0.1\r\n"));
    let rcpt = |served: &Served, to: &str| {
        let mut stream = connect(served);
        say(&mut stream, "").expect("a greeting");
        say(&mut stream, "EHLO x.example\r\n").expect("a reply");
        say(&mut stream, "MAIL FROM:<x@x.example>\r\n").expect("a reply");
        say(&mut stream, &format!("RCPT TO:<{to}>\r\n")).expect("a reply")
    };
    assert!(rcpt(&with(""), "x@far.example").starts_with("550 5.7.1"));
    assert!(rcpt(&with("[relay]\nnetworks = [\"127.0.0.0/8\"]\n"), "x@far.example").starts_with("250"));
    let second = with("[relay]\ndomains = [\"second.example\"]\n");
    assert!(rcpt(&second, "x@second.example").starts_with("250") && rcpt(&second, "x@far.example").starts_with("550"));
    let greylisting = with("[greylist]\n");
    let reply = rcpt(&greylisting, "postmaster@b.example");
    assert!(reply.starts_with("550 5.1.1") || reply.starts_with("450 4.7.1"), "{reply}");
}

#[test]
fn a_virtual_server_has_rules_and_a_name_of_its_own() {
    let office = "[[server]]\nname = \"office\"\nhostname = \"relay.b.example\"\nbanner = \"ESMTP for the office\"\n\
                  [server.listen]\nsmtp = \"127.0.0.1:0\"\n[server.limits]\nrecipients = 200\nconnections = 2\n\
                  [server.relay]\nnetworks = [\"127.0.0.0/8\"]\n";
    let b = Served::of("b.example", &[], |text| format!("{text}\n{office}"));
    let ports: Vec<u16> = b.ports.iter().filter(|(service, _)| service == "smtp").map(|(_, port)| *port).collect();
    let hear = |port: u16| {
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).expect("connects"));
        let greeting = say(&mut stream, "").expect("a greeting");
        say(&mut stream, "EHLO x.example\r\n").expect("a reply");
        say(&mut stream, "MAIL FROM:<x@x.example>\r\n").expect("a reply");
        (greeting, say(&mut stream, "RCPT TO:<x@far.example>\r\n").expect("a reply"))
    };
    let [main, other] = ports.as_slice() else { panic!("{ports:?}") };
    let (greeting, reply) = hear(*main);
    assert!(greeting.starts_with("220 mail.b.example") && reply.starts_with("550"), "{greeting} {reply}");
    let (greeting, reply) = hear(*other);
    assert!(greeting == "220 relay.b.example ESMTP for the office\r\n" && reply.starts_with("250"), "{greeting} {reply}");
    let knock = |port: u16| {
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).expect("connects"));
        let greeting = say(&mut stream, "").unwrap_or_default();
        (greeting, stream)
    };
    // the session above may take a moment to end
    let begin = std::time::Instant::now();
    let open = loop {
        let open = [knock(*other), knock(*other)];
        if open.iter().all(|(greeting, _)| greeting.starts_with("220 ")) {
            break open;
        }
        assert!(begin.elapsed() < support::LONGEST, "there is room for two: {open:?}");
    };
    assert!(knock(*other).0.starts_with("421 4.3.2 too many connections"), "{open:?}");
    assert!(knock(*main).0.starts_with("220 mail.b.example ESMTP ready"), "the main one counts alone");
    let [(_, mut stream), _] = open;
    stream.get_mut().write_all(b"EHLO x.example\r\n").expect("written");
    let mut offers = String::new();
    while !offers.contains("LIMITS ") {
        assert!(stream.read_line(&mut offers).expect("a line") > 0, "{offers}");
    }
    assert!(offers.contains("LIMITS RCPTMAX=200\r\n"), "{offers}");
}

#[test]
fn a_sender_is_banned_while_the_server_runs() {
    let b = Served::of("b.example", &["bob"], str::to_owned);
    let letter = "From: x@spam.example\r\n\r\nhi\r\n";
    assert!(hand(&b, "x@spam.example", letter).starts_with("250"));
    assert_eq!(b.run(&["ban", "add", "spam.example", "--for", "1h"]).0, "spam.example is banned\n");
    assert!(hand(&b, "x@spam.example", letter).starts_with("550 5.7.1 no mail is taken from x@spam.example"));
    assert!(hand(&b, "x@other.example", letter).starts_with("250"));
    b.run(&["ban", "lift", "spam.example"]);
    assert!(hand(&b, "x@spam.example", letter).starts_with("250"));
}

#[test]
fn virtual_servers_are_paused_stopped_and_started_alone_and_rules_change_while_they_run() {
    // it comes back where it was: nobody else has the port meanwhile
    let port = support::free_port();
    let office = format!("[[server]]\nname = \"office\"\n[server.listen]\nsmtp = \"127.0.0.1:{port}\"\n");
    let b = Served::of("b.example", &[], |text| format!("{text}\n{office}"));
    let ports: Vec<u16> = b.ports.iter().filter(|(service, _)| service == "smtp").map(|(_, port)| *port).collect();
    let [main, other] = ports.as_slice() else { panic!("{ports:?}") };
    let greeting = |port: u16| {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        say(&mut BufReader::new(stream), "")
    };
    let greets = |port: u16, with: &str| greeting(port).is_some_and(|text| text.starts_with(with));
    assert!(b.run(&["server", "list"]).0.contains("office  running  smtp 127.0.0.1:"));
    let mut open = BufReader::new(TcpStream::connect(("127.0.0.1", *other)).expect("connects"));
    say(&mut open, "").expect("a greeting");
    b.run(&["server", "pause", "office"]);
    assert!(greets(*other, "421 4.3.2 ") && greets(*main, "220 "));
    assert!(say(&mut open, "NOOP\r\n").expect("a reply").starts_with("250"), "who is in stays in");
    b.run(&["server", "start", "office"]);
    assert!(greets(*other, "220 "));
    b.run(&["server", "stop", "office"]);
    assert!(say(&mut open, "").is_none_or(|text| text.starts_with("421")), "who is in is told");
    assert!(greeting(*other).is_none() && greets(*main, "220 "));
    let list: serde_json::Value = serde_json::from_str(&b.run(&["server", "list", "--json"]).0).expect("JSON");
    assert_eq!((&list["servers"][1]["name"], &list["servers"][1]["state"]), (&"office".into(), &"stopped".into()));
    let (_, said, _) = support::run(env!("CARGO_BIN_EXE_sealpost"), &["--home", &b.path("home"), "doctor", "--offline"], b"");
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(said.contains(&other.to_string()) && !said.contains(&main.to_string()), "doctor knocks at each: {said}");
    b.run(&["server", "start", "office"]);
    assert!(greets(*other, "220 "), "it comes back where it was");
    let (code, _, talk) =
        support::run(env!("CARGO_BIN_EXE_sealpost"), &["--home", &b.path("home"), "server", "stop", "shop"], b"");
    assert!(code == 2 && talk.contains("there is no server shop – there are main, office"), "{talk}");
    // other rules for new connections
    let config = b.path("home/sealpost.toml");
    let text = std::fs::read_to_string(&config).expect("a configuration");
    std::fs::write(&config, format!("{text}[server.access]\ndeny = [\"127.0.0.0/8\"]\n")).expect("written");
    assert_eq!(b.run(&["reload"]).0, "changed: [[server]]\n");
    assert!(greets(*other, "554 5.7.1 ") && greets(*main, "220 "));
}

pub(super) fn has_dkimpy() -> bool {
    let has = support::run("/usr/bin/python3", &["-c", "import dkim, nacl"], b"").0 == 0;
    if !has {
        support::skip("python3-dkim and python3-nacl are not installed");
    }
    has
}

fn opendkim() -> Option<&'static str> {
    let program = "/usr/sbin/opendkim";
    let is_there = std::path::Path::new(program).is_file();
    if !is_there {
        support::skip("opendkim is not installed");
    }
    is_there.then_some(program)
}

#[test]
fn who_guesses_passwords_waits_by_whatever_door_he_comes() {
    if !["curl", "gsasl"].into_iter().all(support::peer) {
        return;
    }
    let served = Served::of("a.example", &["jane", "joe"], str::to_owned);
    let (root, smtp) = (served.path("root.pem"), served.port("submission").to_string());
    let pop3 = format!("pop3s://localhost:{}/", served.port("pop3s"));
    let curl = |login: &str| support::run("curl", &["-vsS", "--cacert", &root, "-u", login, &pop3], b"").2;
    let gsasl = |password: &str| {
        let (ca, password) = (format!("--x509-ca-file={root}"), format!("--password={password}"));
        let mechanism = "--mechanism=SCRAM-SHA-256-PLUS";
        let args = ["--smtp", "--starttls", &ca, mechanism, "--authentication-id=jane@a.example", &password, "localhost", &smtp];
        let (code, out, talk) = support::run("gsasl", &args, b"");
        (code, String::from_utf8_lossy(&out).into_owned() + &talk)
    };
    // thirty in an hour are borne for one name, over POP3 and SMTP together, whatever the mechanism
    for guess in 0..15 {
        let talk = curl(&format!("jane@a.example:guess{guess}"));
        assert!(talk.contains("-ERR [AUTH] name or password is wrong"), "{talk}");
        let (_, talk) = gsasl(&format!("guess{guess}"));
        assert!(talk.contains("535 5.7.8"), "{talk}");
    }
    let wait = "too many failed logins for this name";
    let talk = curl("jane@a.example:secret-word");
    assert!(talk.contains("-ERR [SYS/TEMP]") && talk.contains(wait), "{talk}");
    let (code, talk) = gsasl("secret-word");
    assert!(code != 0 && talk.contains("454 4.7.0") && talk.contains(wait), "{talk}");
    let talk = curl("joe@a.example:secret-word");
    assert!(talk.contains("+OK 0 messages"), "another user comes in: {talk}");
}
