//! Policies of domains (MTA-STS, RFC 8461): fetched, kept, kept to.

use sealpost::proto::smtp::client::{RequireTls, Terms};
use sealpost::server::store::PolicyStore;
use sealpost::time::Timestamp;

use super::dns::Dns;
use super::mx::{Mx, Web};
use super::{Authority, Host, Identity, LETTER, now, until};

/// Names, policies and an authority.
struct World {
    authority: Authority,
    folder: tempfile::TempDir,
    dns: Dns,
    web: Web,
}

impl World {
    /// The same answer for the policies of all these domains.
    fn new(domains: &[&str], answer: &str) -> Self {
        let authority = Authority::new("an authority");
        let names: Vec<String> = domains.iter().map(|domain| format!("mta-sts.{domain}")).collect();
        let identity = authority.issue(&names.iter().map(String::as_str).collect::<Vec<_>>());
        Self::with(authority, &identity, answer)
    }

    fn with(authority: Authority, identity: &Identity, answer: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("trust.pem"), authority.pem()).expect("written");
        Self { authority, folder, dns: Dns::run(""), web: Web::run(identity, answer) }
    }

    /// `domain MX mx.domain` at an address, with a policy of this version.
    fn names(&self, domains: &[(&str, &str, &str)]) {
        let lines = domains.iter().map(|(domain, ip, version)| {
            format!(
                "{domain} MX 10 mx.{domain}\nmx.{domain} A {ip}\nmta-sts.{domain} A 127.0.0.1\n_mta-sts.{domain} TXT v=STSv1; id={version};\n"
            )
        });
        self.dns.say(&lines.collect::<String>());
    }

    fn host(&self, port: u16) -> Host {
        self.host_with(port, self.web.port)
    }

    fn host_with(&self, port: u16, policy_port: u16) -> Host {
        Host::new(&format!(
            "[delivery]\nresolver = \"{}\"\nport = {port}\npolicy_port = {policy_port}\ndane = \"off\"\ntrust = \"{}\"\n",
            self.dns.address,
            self.folder.path().join("trust.pem").display()
        ))
    }
}

fn policy(mode: &str, hosts: &[&str], max_age: u32) -> String {
    let hosts: String = hosts.iter().map(|host| format!("mx: {host}\r\n")).collect();
    answer("200 OK", "text/plain", &format!("version: STSv1\r\nmode: {mode}\r\n{hosts}max_age: {max_age}\r\n"))
}

fn answer(status: &str, kind: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

const DOMAINS: [(&str, &str); 7] = [
    ("good.example", "127.0.0.1"),
    ("wild.example", "127.0.0.1"),
    ("other.example", "127.0.0.2"),
    ("strange.example", "127.0.0.3"),
    ("expired.example", "127.0.0.4"),
    ("stripped.example", "127.0.0.5"),
    ("unnamed.example", "127.0.0.1"),
];

/// What becomes of mail to each of the domains above, under a policy of this mode.
fn each(mode: &str) -> (Host, Vec<Mx>) {
    let named = [
        "mx.good.example",
        "*.wild.example",
        "mx.other.example",
        "mx.strange.example",
        "mx.expired.example",
        "mx.stripped.example",
    ];
    let domains: Vec<&str> = DOMAINS.iter().map(|(domain, _)| *domain).collect();
    let world = World::new(&domains, &policy(mode, &named, 86_400));
    world.names(&DOMAINS.map(|(domain, ip)| (domain, ip, "1")));
    let ca = &world.authority;
    let good = Mx::build().tls(&ca.issue(&["mx.good.example", "mx.wild.example", "mx.unnamed.example"])).run();
    let port = good.port();
    let at = |ip: &str| ip.parse().expect("an address");
    let of_another = Authority::new("nobody's").issue(&["mx.strange.example"]);
    let expired = ca.issue_with(&["mx.expired.example"], |params| params.not_after = rcgen::date_time_ymd(2021, 1, 1));
    let servers = vec![
        Mx::build().tls(&ca.issue(&["mx.elsewhere.example"])).run_at(at("127.0.0.2"), port),
        Mx::build().tls(&of_another).run_at(at("127.0.0.3"), port),
        Mx::build().tls(&expired).run_at(at("127.0.0.4"), port),
        Mx::build().run_at(at("127.0.0.5"), port),
        good,
    ];
    let host = world.host(port);
    let all: Vec<String> = domains.iter().map(|domain| format!("x@{domain}")).collect();
    host.send(&all.iter().map(String::as_str).collect::<Vec<_>>());
    host.tried(1);
    for (domain, result) in [
        ("good.example", "success"),
        ("wild.example", "success"),
        ("other.example", "certificate-host-mismatch"),
        ("strange.example", "certificate-not-trusted"),
        ("expired.example", "certificate-expired"),
        ("stripped.example", "starttls-not-supported"),
        ("unnamed.example", "validation-failure"),
    ] {
        host.counted(domain, "sts", result);
    }
    (host, servers)
}

#[test]
fn what_does_not_keep_to_a_policy_in_force_gets_no_mail_and_is_told() {
    let (host, servers) = each("enforce");
    let waiting: Vec<String> = host.waiting().into_iter().map(|one| one.recipient).collect();
    let wanted = ["expired", "other", "strange", "stripped", "unnamed"].map(|name| format!("x@{name}.example"));
    assert_eq!(waiting, wanted);
    assert_eq!(servers.iter().map(|mx| mx.messages().len()).collect::<Vec<_>>(), [0, 0, 0, 0, 2]);
    assert!(host.mailbox("jane@a.example").is_empty());
    // what says itself that it may go without goes (RFC 8689 5)
    let waived = Terms { tls: RequireTls::Waived, ..Terms::default() };
    host.send_as(LETTER.as_bytes(), &["y@stripped.example", "y@strange.example", "y@unnamed.example"], waived, now());
    until("they have gone", || host.waiting().len() == 5);
    assert_eq!(servers.iter().map(|mx| mx.messages().len()).collect::<Vec<_>>(), [0, 1, 0, 1, 3]);
}

#[test]
fn what_does_not_keep_to_a_policy_in_testing_gets_its_mail_and_is_told() {
    let (host, servers) = each("testing");
    until("all have gone", || host.waiting().is_empty());
    assert_eq!(servers.iter().map(|mx| mx.messages().len()).collect::<Vec<_>>(), [1, 1, 1, 1, 3]);
}

#[test]
fn a_policy_that_was_fetched_holds_while_nobody_can_fetch_it_also_after_a_restart() {
    let world = World::new(&["b.example"], &policy("enforce", &["mx.b.example"], 86_400));
    world.names(&[("b.example", "127.0.0.1", "1")]);
    let mx = Mx::build().tls(&world.authority.issue(&["mx.b.example"])).run();
    let mut host = world.host(mx.port());
    host.send(&["x@b.example"]);
    until("it has gone", || mx.messages().len() == 1 && host.waiting().is_empty());
    host.send(&["x@b.example"]);
    until("another has gone", || mx.messages().len() == 2);
    assert_eq!(world.web.asked().len(), 1, "it is fetched once");
    let asked = world.web.asked().remove(0);
    assert!(asked.starts_with("GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.b.example\r\n"), "{asked}");
    // somebody takes TLS away, the policy, and its record
    let stripped = Mx::build().run_at("127.0.0.2".parse().expect("an address"), mx.port());
    world.web.give(&answer("500 Broken", "text/plain", ""));
    world.names(&[("b.example", "127.0.0.2", "2")]);
    host.stop_idle();
    host.send(&["y@b.example"]);
    assert!(host.tried(1)[0].1.contains("offers no TLS"), "{:?}", host.waiting());
    assert_eq!(world.web.asked().len(), 2, "another version is another policy");
    host.stop();
    world.dns.say("b.example MX 10 mx.b.example\nmx.b.example A 127.0.0.2\n");
    host.start();
    host.retry();
    assert!(host.tried(2)[0].1.contains("offers no TLS"), "{:?}", host.waiting());
    assert!(stripped.messages().is_empty());
    // the domain gives it up
    world.web.give(&policy("none", &[], 86_400));
    world.names(&[("b.example", "127.0.0.2", "3")]);
    host.stop();
    host.start();
    host.retry();
    until("it has gone", || host.waiting().is_empty());
    assert_eq!(stripped.messages().len(), 1);
}

#[test]
fn a_policy_ends_with_its_age_and_is_fetched_anew_at_half_of_it() {
    let world = World::new(&["old.example", "half.example", "young.example"], &answer("404 Gone", "text/plain", ""));
    let domains = ["old.example", "half.example", "young.example"];
    world.names(&domains.map(|domain| (domain, "127.0.0.1", "1")));
    let stripped = Mx::build().run();
    let host = world.host(stripped.port());
    let age = 10_000;
    for (domain, past) in [("old.example", age + 10), ("half.example", age / 2 + 10), ("young.example", 10)] {
        let text = format!("version: STSv1\nmode: enforce\nmx: mx.{domain}\nmax_age: {age}\n");
        host.store.keep_policy(domain, "1", &text, Timestamp::from_unix(now().unix() - past)).expect("kept");
    }
    host.send(&["x@old.example", "x@half.example", "x@young.example"]);
    let left: Vec<String> = host.tried(1).into_iter().map(|(to, _)| to).collect();
    assert_eq!(left, ["x@half.example", "x@young.example"]);
    let mut asked: Vec<String> = world.web.asked().iter().filter_map(|asked| Some(asked.lines().nth(1)?.to_owned())).collect();
    asked.sort();
    assert_eq!(asked, ["Host: mta-sts.half.example", "Host: mta-sts.old.example"]);
    until("it is counted", || host.tls("old.example").contains(&("sts".to_owned(), "sts-policy-fetch-error".to_owned())));
}

#[test]
fn what_is_no_policy_counts_for_nothing_and_is_told() {
    let good = "version: STSv1\nmode: enforce\nmx: mx.nobody.example\nmax_age: 86400\n";
    let moved = "HTTP/1.1 301 Moved\r\nLocation: https://mta-sts.b.example/there\r\nContent-Length: 0\r\n\r\n";
    let long = format!("{good}{}", "x: y\n".repeat(20_000));
    let cut = policy("enforce", &["mx.nobody.example"], 86_400).replace("Content-Length: ", "Content-Length: 1");
    for (given, result) in [
        (moved.to_owned(), "sts-policy-fetch-error"),
        (answer("200 OK", "text/html", good), "sts-policy-fetch-error"),
        (answer("200 OK", "text/plain", &long), "sts-policy-fetch-error"),
        (cut, "sts-policy-fetch-error"),
        (answer("200 OK", "text/plain", "version: STSv2\n"), "sts-policy-invalid"),
        (answer("200 OK", "text/plain; charset=us-ascii", "version: STSv1\nmode: enforce\nmax_age: 1\n"), "sts-policy-invalid"),
    ] {
        let world = World::new(&["b.example"], &given);
        world.names(&[("b.example", "127.0.0.1", "1")]);
        let mx = Mx::build().run();
        let host = world.host(mx.port());
        host.send(&["x@b.example"]);
        until("it has gone", || mx.messages().len() == 1);
        until("it is counted", || host.tls("b.example").len() == 2);
        let told = host.tls("b.example");
        assert!(told.contains(&("sts".to_owned(), result.to_owned())), "{given}: {told:?}");
        assert_eq!(world.web.asked().len(), 1, "nobody is followed elsewhere");
    }
    // a certificate for another name, or of nobody's
    let authority = Authority::new("an authority");
    let identities = [authority.issue(&["b.example"]), Authority::new("nobody's").issue(&["mta-sts.b.example"])];
    let mut authority = Some(authority);
    for identity in identities {
        let authority = authority.take().unwrap_or_else(|| Authority::new("another"));
        let world = World::with(authority, &identity, &policy("enforce", &["mx.nobody.example"], 86_400));
        world.names(&[("b.example", "127.0.0.1", "1")]);
        let mx = Mx::build().run();
        let host = world.host(mx.port());
        host.send(&["x@b.example"]);
        until("it has gone", || mx.messages().len() == 1);
        until("it is counted", || host.tls("b.example").contains(&("sts".to_owned(), "sts-webpki-invalid".to_owned())));
    }
    // one that speaks no TLS shows no certificate that could be wrong
    let world = World::new(&["b.example"], "");
    world.names(&[("b.example", "127.0.0.1", "1")]);
    let (mx, other) = (Mx::build().run(), Mx::build().run());
    let host = world.host_with(mx.port(), other.port());
    host.send(&["x@b.example"]);
    until("it has gone", || mx.messages().len() == 1);
    until("it is counted", || host.tls("b.example").contains(&("sts".to_owned(), "sts-policy-fetch-error".to_owned())));
}
