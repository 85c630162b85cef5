use std::borrow::Borrow;
use std::hash::Hash;
use std::net::SocketAddr;

use mail_auth::DnssecStatus;
use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;
use mail_auth::dmarc::Dmarc;
use mail_auth::hickory_resolver::proto::op::ResponseCode;
use mail_auth::spf::Spf;

use super::*;
use crate::keys::domain::{self, Kind};
use crate::server::policy::dkim::Signer;
use crate::server::policy::dns::Nothing;
use crate::server::policy::dns::table::{Table, run};
use crate::time::Timestamp;

// The trait is generic in the name that is looked up; in truth it is a text, which its Display gives back only through Borrow. So the table is asked
// for all it knows, and the one whose name is equal is taken.
impl Table {
    fn names<Q: Hash + Eq + ?Sized>(&self, name: &Q) -> Option<String>
    where
        Box<str>: Borrow<Q>,
    {
        self.all_names().into_iter().find(|known| {
            let known: Box<str> = format!("{known}.").into_boxed_str();
            Borrow::<Q>::borrow(&known) == name
        })
    }
}

impl ResolverCache<Box<str>, Txt> for Table {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let none = || Some(Txt::Error(Error::Dns(DnsError::RecordNotFound(ResponseCode::NXDomain))));
        let Some(known) = self.names(name) else { return none() };
        match self.of(&known, "TXT") {
            // not known: the resolver is asked
            Err(Nothing::Later(why)) if why == MUTE => None,
            Err(Nothing::Later(why)) => Some(Txt::Error(Error::Dns(DnsError::Resolver(why)))),
            Err(Nothing::None) => none(),
            Ok(texts) => {
                let text = texts.first().expect("a text").as_bytes();
                Some(match () {
                    () if known.contains("_domainkey.") => DomainKey::parse(text).into(),
                    () if known.starts_with("_dmarc.") => Dmarc::parse(text).into(),
                    () => Spf::parse(text).into(),
                })
            }
        }
    }
    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }
    fn insert(&self, _: Box<str>, _: Txt, _: std::time::Instant) {}
}

fn set<T>(of: Vec<T>) -> Option<RecordSet<T>> {
    Some(RecordSet { rrset: of.into(), dnssec_status: DnssecStatus::Indeterminate })
}

macro_rules! answers {
    ($value:ty, $kind:literal, $read:expr) => {
        impl ResolverCache<Box<str>, RecordSet<$value>> for Table {
            fn get<Q>(&self, name: &Q) -> Option<RecordSet<$value>>
            where
                Box<str>: Borrow<Q>,
                Q: Hash + Eq + ?Sized,
            {
                let texts = self.names(name).and_then(|known| self.of(&known, $kind).ok()).unwrap_or_default();
                set(texts.iter().map(|text| $read(text.as_str())).collect())
            }
            fn remove<Q>(&self, _: &Q) -> Option<RecordSet<$value>>
            where
                Box<str>: Borrow<Q>,
                Q: Hash + Eq + ?Sized,
            {
                None
            }
            fn insert(&self, _: Box<str>, _: RecordSet<$value>, _: std::time::Instant) {}
        }
    };
}

answers!(Ipv4Addr, "A", |text: &str| text.parse().expect("an address"));
answers!(Ipv6Addr, "AAAA", |text: &str| text.parse().expect("an address"));
answers!(MX, "MX", |text: &str| MX { exchanges: vec![format!("{text}.").into_boxed_str()].into(), preference: 10 });

impl ResolverCache<IpAddr, RecordSet<Box<str>>> for Table {
    fn get<Q>(&self, _: &Q) -> Option<RecordSet<Box<str>>>
    where
        IpAddr: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        set(Vec::new())
    }
    fn remove<Q>(&self, _: &Q) -> Option<RecordSet<Box<str>>>
    where
        IpAddr: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }
    fn insert(&self, _: IpAddr, _: RecordSet<Box<str>>, _: std::time::Instant) {}
}

impl Known for Table {}

/// Why a name of the table gets no answer from a server that never gives one.
const MUTE: &str = "mute";

fn check(table: &Table, address: &str, sender: &str, message: &str) -> Found {
    let nowhere: SocketAddr = "127.0.0.1:9".parse().expect("an address");
    check_at(nowhere, PATIENCE, table, (address, sender, message))
}

fn check_at(server: SocketAddr, patience: Duration, table: &Table, (address, sender, message): (&str, &str, &str)) -> Found {
    let came = Came {
        address: address.parse().expect("an address"),
        helo: "mail.b.example",
        sender,
        message: message.as_bytes(),
        host: "mx.our.example",
        sealers: &[],
    };
    run(async {
        let authenticator = Authenticator::new(&Resolver::new(Some(server)).expect("a resolver"));
        Authenticator { patience, ..authenticator }.check_with(came, table).await
    })
}

fn results(found: &Found) -> Vec<String> {
    found.lines.iter().map(|line| format!("{}={}", line.method, line.result)).collect()
}

/// RFC 8463 A: the records, and the message with its two signatures.
const RFC8463_DNS: &str = "brisbane._domainkey.football.example.com TXT v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
test._domainkey.football.example.com TXT v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB";

const RFC8463_MESSAGE: &str = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r
 d=football.example.com; i=@football.example.com;\r
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r
 subject : date : message-id : from : subject : date;\r
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r
 d=football.example.com; i=@football.example.com;\r
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r
 date : message-id : from : subject : date;\r
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r
From: Joe SixPack <joe@football.example.com>\r
To: Suzie Q <suzie@shopping.example.net>\r
Subject: Is dinner ready?\r
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r
Message-ID: <20030712040037.46341.5F8J@football.example.com>\r
\r
Hi.\r
\r
We lost the game.  Are you hungry yet?\r
\r
Joe.\r
";

#[test]
fn the_signatures_of_rfc_8463_are_good_and_speak_for_their_domain() {
    let table = Table::new(&format!("{RFC8463_DNS}\n_dmarc.football.example.com TXT v=DMARC1; p=reject"));
    let found = check(&table, "192.0.2.1", "x@elsewhere.example", RFC8463_MESSAGE);
    assert_eq!(results(&found), ["spf=none", "dkim=pass", "dkim=pass", "dmarc=pass"], "{found:?}");
    let of = |line: &Line| line.properties.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
    assert_eq!(of(&found.lines[1]), ["header.d=football.example.com", "header.s=brisbane", "header.b=/gCrinpc"]);
    assert_eq!((found.wish, found.refusal(Check::Reject)), (Wish::Nothing, None));
}

#[test]
fn a_changed_message_fails_and_its_domain_says_what_follows() {
    let changed = RFC8463_MESSAGE.replace("lost", "won");
    let dns = |policy: &str| Table::new(&format!("{RFC8463_DNS}\n_dmarc.football.example.com TXT v=DMARC1; p={policy}"));
    let found = check(&dns("reject"), "192.0.2.1", "x@elsewhere.example", &changed);
    assert_eq!(results(&found), ["spf=none", "dkim=fail", "dkim=fail", "dmarc=fail"], "{found:?}");
    assert_eq!(found.wish, Wish::Reject);
    let refusal = found.refusal(Check::Reject).expect("it is refused");
    assert_eq!((refusal.code, refusal.enhanced), (550, "5.7.26"));
    assert!(refusal.text.starts_with("football.example.com asks to refuse"), "{}", refusal.text);
    assert_eq!(found.refusal(Check::Report), None);
    assert_eq!(check(&dns("quarantine"), "192.0.2.1", "", &changed).wish, Wish::Quarantine);
    assert_eq!(check(&dns("none"), "192.0.2.1", "", &changed).wish, Wish::Nothing);
    let again = RFC8463_MESSAGE.replace("From: Joe", "From: Eve <eve@bank.example>\r\nFrom: Joe");
    assert_eq!(
        results(&check(&dns("reject"), "192.0.2.1", "", &again))[1..3],
        ["dkim=fail", "dkim=fail"],
        "a second author in front"
    );
}

#[test]
fn who_makes_his_own_names_slow_hides_nothing() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let server = silent.local_addr().expect("bound");
    let table = Table::new(
        "_dmarc.bank.example TXT v=DMARC1; p=reject
         evil.example LATER mute
         test._domainkey.football.example.com LATER mute
         brisbane._domainkey.football.example.com LATER mute
         sel._domainkey.bank.example TXT v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    );
    // signatures of another domain stand in front of one in the bank's name
    let (first, _) = RFC8463_MESSAGE.split_once("DKIM-Signature: v=1; a=rsa").expect("two");
    let bogus = first.replace("football.example.com", "bank.example").replace("s=brisbane", "s=sel");
    let forged = RFC8463_MESSAGE.replace("From: Joe SixPack <joe@football.example.com>", "From: ceo@bank.example");
    let (fields, rest) = forged.split_once("From: ceo").expect("an author");
    let forged = format!("{fields}{bogus}From: ceo{rest}");
    let found = check_at(server, Duration::from_secs(2), &table, ("192.0.2.1", "x@evil.example", &forged));
    let wanted = ["spf=temperror", "dkim=fail", "dkim=temperror", "dkim=temperror", "dmarc=fail"];
    assert_eq!((results(&found), found.wish), (wanted.map(str::to_owned).to_vec(), Wish::Reject), "{found:?}");
}

#[test]
fn of_several_authors_the_strictest_domain_is_heard() {
    let table = Table::new("b.example TXT v=spf1 ip4:192.0.2.0/28 -all\n_dmarc.bank.example TXT v=DMARC1; p=reject");
    for authors in [
        "From: a@b.example, ceo@bank.example",
        "From: ceo@bank.example, a@b.example",
        "From: a@b.example\r\nFrom: ceo@bank.example",
        "From : ceo@bank.example\r\nFrom: a@b.example",
        "From : Ceo <ceo@BANK.example.>",
    ] {
        let found = check(&table, "192.0.2.1", "a@b.example", &format!("{authors}\r\nSubject: x\r\n\r\nhi\r\n"));
        assert!(results(&found).iter().any(|result| result == "dmarc=fail"), "{authors}: {found:?}");
        assert_eq!((found.wish, found.author.as_str()), (Wish::Reject, "bank.example"), "{authors}");
    }
    let both = check(&table, "192.0.2.1", "a@b.example", "From: a@b.example, c@d.example\r\n\r\nhi\r\n");
    assert_eq!((results(&both).last().map(String::as_str), both.wish), (Some("dmarc=none"), Wish::Nothing));
    let many: Vec<String> = (0..100).map(|number| format!("x@d{number}.example")).collect();
    let found = check(&table, "192.0.2.1", "a@b.example", &format!("From: {}\r\n\r\n", many.join(", ")));
    assert_eq!((results(&found).last().map(String::as_str), found.wish), (Some("dmarc=permerror"), Wish::Quarantine));
    assert!(found.lines.len() < 10, "{}", found.lines.len());
    let none = check(&table, "192.0.2.1", "a@b.example", "Subject: x\r\n\r\nhi\r\n");
    assert_eq!(results(&none).last().map(String::as_str), Some("dmarc=none"));
}

#[test]
fn names_that_speak_for_nobody_here_make_nothing_unsure() {
    let table = Table::new(
        "_dmarc.bank.example TXT v=DMARC1; p=reject
         evil.example LATER
         brisbane._domainkey.football.example.com LATER
         test._domainkey.football.example.com LATER
         bank.example LATER",
    );
    let forged = RFC8463_MESSAGE.replace("joe@football.example.com", "ceo@bank.example");
    let dmarc = |sender: &str, message: &str| {
        let found = check(&table, "192.0.2.1", sender, message);
        (results(&found).last().cloned().expect("a line"), found.wish)
    };
    let refused = ("dmarc=fail".to_owned(), Wish::Reject);
    assert_eq!(dmarc("x@evil.example", "From: ceo@bank.example\r\n\r\n"), refused, "the sender's own domain is slow");
    assert_eq!(dmarc("", &forged), refused, "keys of another domain are slow");
    assert_eq!(
        dmarc("x@bank.example", "From: ceo@bank.example\r\n\r\n"),
        ("dmarc=temperror".to_owned(), Wish::Nothing),
        "SPF may pass for it"
    );
}

#[test]
fn what_dns_cannot_tell_now_refuses_nothing() {
    let table = Table::new(
        "_dmarc.football.example.com TXT v=DMARC1; p=reject
         brisbane._domainkey.football.example.com LATER
         test._domainkey.football.example.com LATER",
    );
    let found = check(&table, "192.0.2.1", "", RFC8463_MESSAGE);
    assert_eq!(results(&found)[1..], ["dkim=temperror", "dkim=temperror", "dmarc=temperror"], "{found:?}");
    assert_eq!(found.refusal(Check::Reject), None);
}

#[test]
fn spf_is_judged_as_rfc_7208_has_it() {
    let table = Table::new(
        "b.example TXT v=spf1 ip4:192.0.2.0/28 a:mail.b.example mx include:c.example ip6:2001:db8::/32 -all
         mail.b.example A 198.51.100.1
         b.example MX mx.b.example
         mx.b.example A 198.51.100.2
         c.example TXT v=spf1 ip4:203.0.113.0/28 -all
         soft.example TXT v=spf1 ~all
         open.example TXT v=spf1 ?all
         broken.example TXT v=spf1 ip4:nonsense -all
         moved.example TXT v=spf1 redirect=b.example
         slow.example LATER
         round.example TXT v=spf1 include:round.example -all",
    );
    let spf = |address: &str, sender: &str| results(&check(&table, address, sender, "From: x@y.example\r\n\r\n"))[0].clone();
    for good in ["192.0.2.1", "198.51.100.1", "198.51.100.2", "203.0.113.1", "2001:db8::1", "::ffff:192.0.2.1"] {
        assert_eq!(spf(good, "x@b.example"), "spf=pass", "{good}");
    }
    assert_eq!(spf("192.0.2.16", "x@b.example"), "spf=fail");
    assert_eq!(spf("192.0.2.1", "x@moved.example"), "spf=pass");
    assert_eq!(spf("192.0.2.1", "x@soft.example"), "spf=softfail");
    assert_eq!(spf("192.0.2.1", "x@open.example"), "spf=neutral");
    assert_eq!(spf("192.0.2.1", "x@broken.example"), "spf=permerror");
    assert_eq!(spf("192.0.2.1", "x@none.example"), "spf=none");
    assert_eq!(spf("192.0.2.1", "x@slow.example"), "spf=temperror");
    assert_eq!(spf("192.0.2.1", "x@round.example"), "spf=permerror", "ten look-ups are the most");
    assert_eq!(spf("192.0.2.1", ""), "spf=none", "without a sender it is the name of the client");
}

#[test]
fn dmarc_takes_what_is_aligned_and_nothing_else() {
    let table = Table::new(
        "b.example TXT v=spf1 ip4:192.0.2.0/28 -all
         evil.example TXT v=spf1 ip4:192.0.2.0/28 -all
         _dmarc.b.example TXT v=DMARC1; p=reject; sp=quarantine
         _dmarc.strict.example TXT v=DMARC1; p=reject; aspf=s
         sub.strict.example TXT v=spf1 ip4:192.0.2.0/28 -all",
    );
    let dmarc = |sender: &str, author: &str| {
        let found = check(&table, "192.0.2.1", sender, &format!("From: {author}\r\n\r\n"));
        (results(&found).last().cloned().expect("a line"), found.wish)
    };
    assert_eq!(dmarc("x@b.example", "y@b.example").0, "dmarc=pass");
    assert_eq!(dmarc("x@b.example", "y@sub.b.example").0, "dmarc=pass", "below it, relaxed");
    assert_eq!(dmarc("x@evil.example", "y@b.example"), ("dmarc=fail".to_owned(), Wish::Reject), "SPF passes for another");
    assert_eq!(
        dmarc("x@evil.example", "y@sub.b.example"),
        ("dmarc=fail".to_owned(), Wish::Quarantine),
        "the policy for those below"
    );
    assert_eq!(dmarc("x@sub.strict.example", "y@strict.example"), ("dmarc=fail".to_owned(), Wish::Reject));
    assert_eq!(dmarc("x@b.example", "y@free.example"), ("dmarc=none".to_owned(), Wish::Nothing));
}

#[test]
fn what_is_signed_here_is_good_and_no_field_can_be_added_in_front() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let day = |text: &str| Timestamp::parse_rfc3339(text).expect(text);
    let mut dns = String::from("_dmarc.a.example TXT v=DMARC1; p=reject\n");
    for (kind, from) in [(Kind::Rsa, "2026-11-01"), (Kind::Ed25519, "2026-11-01"), (Kind::Ed25519, "2026-11-20")] {
        let key = domain::tests::made(folder.path(), kind, day(from));
        dns.push_str(&format!("{} TXT {}\n", key.name(), key.record().expect("a record")));
    }
    let (table, signer) = (Table::new(&dns), Signer::load(folder.path()).expect("keys"));
    let letter = "From: Jane <jane@a.example>\r\nTo: bob@b.example\r\nSubject:  hello \r\n  there\r\nMIME-Version: 1.0\r\n\r\nhi  there \r\n\r\n\r\n";
    let signed = |now| format!("{}{letter}", signer.sign("A.example", (b"", letter.as_bytes()), day(now)).expect("signed"));
    let message = signed("2026-11-19");
    assert!(message.contains("s=20261101r") && message.contains("s=20261101e") && !message.contains("s=20261120e"), "{message}");
    assert!(signed("2026-11-20").contains("s=20261120e"), "the new key on its day");
    let found = check(&table, "192.0.2.1", "jane@a.example", &message);
    assert_eq!(results(&found), ["spf=none", "dkim=pass", "dkim=pass", "dmarc=pass"], "{found:?}\n{message}");
    let front = "Date: Thu, 26 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@a.example>\r\n";
    let fields = signer.sign("a.example", (front.as_bytes(), letter.as_bytes()), day("2026-11-20")).expect("signed");
    let found = check(&table, "192.0.2.1", "jane@a.example", &format!("{fields}{front}{letter}"));
    assert_eq!(results(&found)[1..3], ["dkim=pass", "dkim=pass"], "with what is put in front");
    let found = check(&table, "192.0.2.1", "jane@a.example", &format!("{fields}{}{letter}", front.replace("<1@", "<2@")));
    assert_eq!(results(&found)[1..3], ["dkim=fail", "dkim=fail"], "which is signed too");
    for added in [
        "Subject: buy\r\n",
        "From: eve@e.example\r\n",
        "To: all@b.example\r\n",
        "Reply-To: eve@e.example\r\n",
        "Cc: x@y.example\r\n",
    ] {
        let found = check(&table, "192.0.2.1", "jane@a.example", &message.replace(letter, &format!("{added}{letter}")));
        assert_eq!(results(&found)[1..3], ["dkim=fail", "dkim=fail"], "{added}");
    }
    let found = check(&table, "192.0.2.1", "jane@a.example", &message.replace("\r\nhi", "\r\nho"));
    assert_eq!(found.wish, Wish::Reject);
    assert_eq!(signer.sign("b.example", (b"", letter.as_bytes()), day("2026-11-20")).as_deref(), Ok(""), "no key, no signature");
    assert_eq!(signer.sign("a.example", (b"", letter.as_bytes()), day("2026-10-01")).as_deref(), Ok(""), "not before its day");
}

#[test]
fn a_message_with_very_many_signatures_costs_little() {
    let one = RFC8463_MESSAGE.split("DKIM-Signature: v=1; a=rsa").next().expect("the first");
    let message = format!("{}{RFC8463_MESSAGE}", one.repeat(500));
    let table = Table::new(RFC8463_DNS);
    let found = check(&table, "192.0.2.1", "", &message);
    assert!(found.lines.len() <= SIGNATURES + 3, "{}", found.lines.len());
}

#[test]
fn hostile_messages_are_read_without_harm() {
    for message in [
        "",
        "\r\n",
        "x",
        "DKIM-Signature:\r\n\r\n",
        "ARC-Seal: i=1\r\nARC-Seal: i=1\r\n\r\n",
        "From: \"\r\n\r\n",
        "DKIM-Signature: v=1; a=rsa-sha256; d=; s=; h=; bh=; b=\r\n\r\n",
    ] {
        check(&Table::new(""), "192.0.2.1", "\"@\"@b.example", message);
    }
    check(
        &Table::new(""),
        "192.0.2.1",
        "x@b.example",
        &"ARC-Seal: i=1; a=rsa-sha256; cv=none; d=a.example; s=s; b=AAAA\r\n".repeat(200),
    );
}
