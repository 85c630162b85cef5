use super::*;
use crate::server::policy::access::{Access, Client, Mailbox};
use crate::server::policy::blocklist::Kind;
use crate::server::policy::bucket::Rate;
use crate::server::policy::dns::table::{Table, run};
use crate::server::policy::greylist::Greylisting;
use crate::server::policy::network::Network;
use crate::server::policy::rates::Rates;
use crate::server::policy::relay::Relay;

const ROOM: &str = "203.0.113.9";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(1_800_000_000 + seconds)
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn gate(settings: Settings) -> (Gate, tempfile::TempDir) {
    let data = tempfile::tempdir().expect("a temporary folder");
    (Gate::new("mx.our.example", settings, None, &data.path().join("greylist"), 1).expect("a gate"), data)
}

fn settings() -> Settings {
    Settings {
        access: Access {
            allowed: vec![Client::parse("192.0.2.0/24").expect("a network"), Client::parse(".friend.example").expect("a name")],
            denied: vec![Client::parse("198.51.100.0/24").expect("a network"), Client::parse(".bad.example").expect("a name")],
            allowed_senders: vec![Mailbox::parse("good.example").expect("a domain")],
            allowed_recipients: vec![Mailbox::parse("postmaster@").expect("a local part")],
            ..Access::default()
        },
        relay: Relay { networks: vec![Network::parse("10.0.0.0/8").expect("a network")], ..Relay::default() },
        rates: Rates {
            recipients: Rate::per_hour(5),
            messages: Rate::per_hour(5),
            connections: Rate::per_hour(5),
            ..Rates::default()
        },
        greylist: Some(Greylisting { delay: 60 }),
        ..Settings::default()
    }
}

fn sends(address: &str) -> Sends<'static> {
    Sends { address: ip(address), user: None, sender: "bob@b.example" }
}

#[test]
fn a_friend_passes_every_rule_and_who_is_barred_none() {
    let (gate, _data) = gate(settings());
    for _ in 0..20 {
        assert!(gate.connection(ip("192.0.2.1"), at(0)).is_none());
        assert!(gate.sender(&sends("192.0.2.1"), &Told::default(), at(0)).is_none());
        assert!(gate.recipient(&sends("192.0.2.1"), &Told::default(), "jane@our.example", Place::Here, at(0)).is_none());
    }
    assert_eq!(gate.connection(ip("198.51.100.1"), at(0)).map(|refusal| refusal.code), Some(554));
    let named = |name: &str| Told { names: vec![name.to_owned()], listed: None };
    assert_eq!(gate.sender(&sends(ROOM), &named("x.bad.example"), at(0)).map(|refusal| refusal.code), Some(554));
    assert!(gate.recipient(&sends(ROOM), &named("x.friend.example"), "jane@our.example", Place::Here, at(0)).is_none());
    assert!(
        gate.recipient(&sends("192.0.2.1"), &Told::default(), "x@far.example", Place::Elsewhere, at(0)).is_some(),
        "and no friend relays"
    );
}

#[test]
fn strangers_are_greylisted_and_users_open_recipients_and_good_senders_are_not() {
    let (gate, _data) = gate(settings());
    let judge = |sends: &Sends<'_>, recipient: &str, now| {
        gate.recipient(sends, &Told::default(), recipient, Place::Here, now).map(|r| r.code)
    };
    assert_eq!(judge(&sends(ROOM), "jane@our.example", at(0)), Some(450));
    assert_eq!(judge(&sends(ROOM), "jane@our.example", at(60)), None);
    assert_eq!(judge(&sends(ROOM), "postmaster@our.example", at(60)), None);
    assert_eq!(judge(&Sends { sender: "x@good.example", ..sends(ROOM) }, "jane@our.example", at(60)), None);
    assert_eq!(judge(&Sends { user: Some("jane"), ..sends(ROOM) }, "john@our.example", at(60)), None);
    assert_eq!(judge(&sends("10.1.2.3"), "john@our.example", at(60)), None, "the office");
}

#[test]
fn what_a_list_says_is_told_to_strangers_alone() {
    let (gate, _data) = gate(Settings { greylist: None, ..settings() });
    let told = Told { names: Vec::new(), listed: Some(Refusal::new(550, "5.7.1", "listed")) };
    let judge = |sends: &Sends<'_>, recipient: &str| {
        gate.recipient(sends, &told, recipient, Place::Here, at(0)).map(|refusal| refusal.code)
    };
    assert_eq!(judge(&sends(ROOM), "jane@our.example"), Some(550));
    assert_eq!(judge(&sends(ROOM), "postmaster@our.example"), None, "who is listed may ask why");
    assert_eq!(judge(&Sends { user: Some("jane"), ..sends(ROOM) }, "jane@our.example"), None, "a user in a café");
}

#[test]
fn dns_is_asked_only_what_a_rule_needs_and_nothing_follows_where_it_is_silent() {
    let dns = Table::new(
        "203.0.113.9 PTR host.friend.example
         host.friend.example A 203.0.113.9
         203.0.113.7 PTR slow.bad.example
         slow.bad.example LATER
         7.113.0.203.list.example LATER
         9.113.0.203.list.example A 127.0.0.2",
    );
    let zones = [Zone::parse("list.example", Kind::Addresses).expect("a list")];
    let told = run(ask(&dns, &settings(), &zones, &sends(ROOM)));
    assert_eq!(told, Told { names: vec!["host.friend.example".to_owned()], listed: None }, "lists are not asked about friends");
    assert_eq!(run(ask(&dns, &settings(), &zones, &sends("203.0.113.7"))), Told::default());
    dns.asked.lock().expect("no panic").clear();
    assert_eq!(run(ask(&dns, &Settings::default(), &[], &sends(ROOM))), Told::default());
    // scanners hear the names of other machines
    let heard = Settings { names: Names::All, ..Settings::default() };
    assert_eq!(run(ask(&dns, &heard, &[], &sends("127.0.0.1"))), Told::default());
    assert!(dns.asked.lock().expect("no panic").is_empty());
    assert_eq!(run(ask(&dns, &heard, &[], &sends(ROOM))).names, ["host.friend.example"]);
}

#[test]
fn rates_count_for_strangers_by_address_and_for_users_by_name() {
    let (gate, _data) = gate(Settings { greylist: None, ..settings() });
    let told = Told::default();
    for _ in 0..5 {
        assert!(gate.connection(ip(ROOM), at(0)).is_none() && gate.sender(&sends(ROOM), &told, at(0)).is_none());
    }
    assert_eq!(gate.connection(ip(ROOM), at(0)).map(|refusal| refusal.code), Some(421));
    assert_eq!(gate.sender(&sends(ROOM), &told, at(0)).map(|refusal| refusal.code), Some(450));
    assert!(gate.sender(&Sends { user: Some("jane"), ..sends(ROOM) }, &told, at(0)).is_none());
}

#[test]
fn guessers_are_banned_at_the_door_and_friends_never() {
    let (gate, _data) = gate(Settings::default());
    let note = (0..10).find_map(|_| gate.logged_in(ip(ROOM), "jane", Login::Bad, at(0))).expect("a ban");
    assert_eq!(note, "203.0.113.9 is banned – too many failed logins");
    assert_eq!(gate.connection(ip(ROOM), at(1)).map(|refusal| refusal.code), Some(421));
    assert!(gate.login(ip(ROOM), "john", at(1)).is_some());
    assert_eq!(gate.bans(at(1)).len(), 1);
    let room = Whom::parse(ROOM).expect("an address");
    assert!(gate.lift_ban(&room, at(1)) && gate.connection(ip(ROOM), at(1)).is_none());
}

#[test]
fn bans_by_hand_hold_for_connections_logins_and_senders_and_outlive_other_rules() {
    let (gate, _data) = gate(Settings::default());
    let ban = |text: &str, until| gate.ban(&Whom::parse(text).expect(text), until, at(0)).expect("room");
    let told = Told::default();
    ban("203.0.113.0/24", Until::At(at(7200)));
    ban("spam.example", Until::Lifted);
    let refusal = gate.connection(ip(ROOM), at(1)).expect("banned");
    assert_eq!((refusal.code, refusal.text.as_str()), (421, "this address is banned – try again in 2 hours"));
    assert!(gate.login(ip(ROOM), "jane", at(1)).is_some_and(|refusal| refusal.code == 421));
    assert_eq!(gate.sender(&sends(ROOM), &told, at(1)).map(|refusal| refusal.code), Some(450), "who is in already");
    let spam = Sends { address: ip("192.0.2.1"), user: Some("jane"), sender: "x@Spam.example" };
    assert_eq!(gate.sender(&spam, &told, at(1)).map(|refusal| (refusal.code, refusal.enhanced)), Some((550, "5.7.1")));
    assert!(gate.sender(&Sends { sender: "x@other.example", ..spam }, &told, at(1)).is_none());
    ban("64.0.0.0/2", Until::Lifted);
    assert!(gate.connection(ip("127.0.0.1"), at(1)).is_none() && gate.login(ip("127.0.0.1"), "jane", at(1)).is_none());
    assert_eq!(gate.connection(ip("65.0.0.1"), at(1)).map(|refusal| refusal.code), Some(554), "nobody need try again");
    let strict = crate::server::policy::Logins { first_ban: 60, ..Default::default() };
    let gate = gate.renewed("mx.our.example", Settings { logins: strict, ..Settings::default() }, None).expect("renewed");
    assert_eq!(gate.bans_by_hand(at(1)).len(), 3);
    let network = Whom::parse("203.0.113.0/24").expect("a network");
    assert!(gate.lift_ban(&network, at(1)) && !gate.lift_ban(&network, at(1)) && gate.connection(ip(ROOM), at(1)).is_none());
}

#[test]
fn the_greylist_outlives_the_process() {
    let (gate, data) = gate(settings());
    let judge =
        |gate: &Gate, now| gate.recipient(&sends(ROOM), &Told::default(), "jane@our.example", Place::Here, now).map(|r| r.code);
    let begin = steady();
    assert_eq!(judge(&gate, begin), Some(450));
    gate.save().expect("written");
    let gate = Gate::new("mx.our.example", settings(), None, &data.path().join("greylist"), 2).expect("a gate");
    assert_eq!(judge(&gate, begin.plus_seconds(61)), None);
}

#[test]
fn programs_of_this_machine_have_no_rates_and_relay_nothing() {
    let (gate, _data) = gate(Settings { greylist: None, ..settings() });
    for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
        let told = Told::default();
        for _ in 0..20 {
            assert!(gate.connection(ip(address), at(0)).is_none() && gate.sender(&sends(address), &told, at(0)).is_none());
            assert!(gate.recipient(&sends(address), &told, "jane@our.example", Place::Here, at(0)).is_none());
            assert_eq!(gate.logged_in(ip(address), "jane", Login::Bad, at(0)), None);
        }
        assert!(gate.recipient(&sends(address), &told, "x@far.example", Place::Elsewhere, at(0)).is_some());
    }
    assert_eq!(
        gate.login(ip("127.0.0.1"), "jane", at(0)).map(|refusal| refusal.code),
        Some(454),
        "the name is shut all the same"
    );
}
