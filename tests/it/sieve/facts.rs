//! What a run does, where no judge is needed: bounds, failures, replies.

use sealpost::limits::Limits;
use sealpost::sieve::{Action, Envelope, Failure, Memory, NoMemory, Outcome, Script, ready};
use sealpost::time::Timestamp;

use crate::support;

const NOW: Timestamp = Timestamp::from_unix(1_795_676_400);

const LETTER: &str = "From: Jane <jane@a.example>\r\nTo: Bob <bob@b.example>\r\nSubject: hello\r\nMessage-ID: <1@a.example>\r\n\
    References: <0@a.example>\r\n\r\nhi\r\n";

fn script(text: &str) -> Script {
    Script::parse(text.as_bytes(), &Limits::default()).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

fn run_with(text: &str, message: &str, memory: &dyn Memory, limits: &Limits) -> Outcome {
    script(text).run(message.as_bytes(), &Envelope::new("jane@a.example", "bob@b.example"), NOW, memory, limits)
}

fn run(text: &str, message: &str) -> Outcome {
    run_with(text, message, &NoMemory, &Limits::default())
}

fn kept() -> Vec<Action> {
    vec![Action::Keep { flags: Vec::new() }]
}

#[test]
fn bounds_of_a_run_end_it_and_the_message_is_kept() {
    let mut few = Limits::default();
    few.sieve_actions = 2;
    few.sieve_redirects = 1;
    few.sieve_variables = 1;
    few.sieve_steps = 10_000;
    let files = "require \"fileinto\"; fileinto \"a\"; fileinto \"b\"; fileinto \"c\";";
    let redirects = "redirect \"a@b.example\"; redirect \"c@d.example\";";
    let variables = "require \"variables\"; set \"a\" \"1\"; set \"b\" \"1\";";
    let steps = format!("if header :matches \"subject\" \"{}\" {{ stop; }}", "*a".repeat(50));
    let long = format!("Subject: {}\r\n\r\nx\r\n", "ab".repeat(4_000));
    for (name, text, message) in [
        ("sieve actions", files, LETTER),
        ("sieve redirects", redirects, LETTER),
        ("sieve variables", variables, LETTER),
        ("sieve steps", &steps, &long),
    ] {
        let outcome = run_with(text, message, &NoMemory, &few);
        assert!(matches!(&outcome.failure, Some(Failure::Limit(limit)) if limit.name == name), "{name}: {outcome:?}");
        assert_eq!(outcome.actions, kept());
    }
}

#[test]
fn a_script_made_to_take_forever_ends_soon() {
    let mut text = "require [\"variables\", \"body\"];\nset \"a\" \"aaaaaaaaaaaaaaaa\";\n".to_owned();
    for _ in 0..20 {
        text.push_str("set \"a\" \"${a}${a}${a}${a}\";\n");
    }
    for _ in 0..2_000 {
        text.push_str(&format!("if body :matches \"*{}b*\" {{ stop; }}\n", "?a".repeat(40)));
    }
    let message = format!("Subject: x\r\n\r\n{}\r\n", "a".repeat(200_000));
    let begin = support::processor("thread-self");
    let outcome = run(&text, &message);
    assert!(matches!(&outcome.failure, Some(Failure::Limit(limit)) if limit.name == "sieve steps"), "{:?}", outcome.failure);
    let took = support::processor("thread-self").saturating_sub(begin);
    assert!(took.as_secs() < 20, "{took:?}");
}

#[test]
fn a_script_that_is_slow_to_read_or_looks_for_fields_without_end_is_neither() {
    let begin = support::processor("thread-self");
    for piece in ["${", "${a", "${hex:", "${hex: 4", "${unicode: "] {
        let text = format!(
            "require [\"variables\", \"encoded-character\", \"reject\"]; reject \"{}}}\";",
            piece.repeat(1_000_000 / piece.len())
        );
        assert!(Script::parse(text.as_bytes(), &Limits::default()).is_ok(), "{piece}");
    }
    let message = format!("{}\r\nx\r\n", "A:\r\n".repeat(5_000));
    let mut few = Limits::default();
    few.sieve_steps = 1_000_000;
    let names = vec!["\"b\""; 200_000].join(",");
    for test in [format!("not exists [\"a\", {}]", "\"a\",".repeat(200_000) + "\"a\""), format!("header :is [{names}] \"x\"")] {
        let outcome = run_with(&format!("if {test} {{ stop; }}"), &message, &NoMemory, &few);
        assert!(matches!(&outcome.failure, Some(Failure::Limit(limit)) if limit.name == "sieve steps"), "{:?}", outcome.failure);
    }
    let addresses = |host: &str| (0..20_000).map(|number| format!("x{number:05}@{host}.example")).collect::<Vec<_>>();
    let own = addresses("b").iter().map(|one| format!("\"{one}\"")).collect::<Vec<_>>().join(",");
    let message = format!("To: {}\r\n\r\nx\r\n", addresses("c").join(",\r\n "));
    let outcome = run(&format!("require \"vacation\"; vacation :addresses [{own}] \"away\";"), &message);
    assert_eq!(outcome.actions, kept());
    let took = support::processor("thread-self").saturating_sub(begin);
    assert!(took.as_secs() < 20, "{took:?}");
}

#[test]
fn nobody_is_sent_more_than_a_person_could_write() {
    let mut text = "require [\"variables\", \"vacation\"];\nset \"a\" \"aaaaaaaaaaaaaaaa\";\n".to_owned();
    text.push_str(&"set \"a\" \"${a}${a}\";\n".repeat(10));
    text.push_str(&format!("vacation \"{}\";", "${a}".repeat(1_000)));
    let outcome = run(&text, LETTER);
    assert!(
        matches!(&outcome.failure, Some(Failure::Limit(limit)) if limit.name == "sieve string bytes"),
        "{:?}",
        outcome.failure
    );
    assert_eq!(outcome.actions, kept());
}

#[test]
fn what_does_not_go_together_keeps_the_message() {
    for text in [
        "require [\"reject\", \"fileinto\"]; fileinto \"a\"; reject \"no\";",
        "require [\"reject\", \"fileinto\"]; reject \"no\"; fileinto \"a\";",
        "require \"ereject\"; ereject \"no\"; ereject \"no\";",
        "require [\"ereject\", \"vacation\"]; vacation \"away\"; ereject \"no\";",
    ] {
        let outcome = run(text, LETTER);
        assert!(matches!(outcome.failure, Some(Failure::Conflict { line: 1, .. })), "{text}: {outcome:?}");
        assert_eq!(outcome.actions, kept());
    }
}

fn reply(text: &str, message: &str) -> Option<sealpost::sieve::Reply> {
    let outcome = run(text, message);
    assert_eq!(outcome.failure, None);
    outcome.actions.into_iter().find_map(|action| if let Action::Vacation(reply) = action { Some(reply) } else { None })
}

#[test]
fn a_reply_is_one_that_no_program_answers() {
    let text = "require \"vacation\"; vacation :from \"Bob B. <bob@b.example>\" text:\nIch bin weg – grüße\n.\n;";
    let reply = reply(text, LETTER).expect("a reply");
    assert_eq!((reply.to.as_str(), reply.subject.as_str()), ("jane@a.example", "Auto: hello"));
    let message = String::from_utf8(reply.message("bob@b.example", NOW, "x@b.example")).expect("ASCII");
    for field in [
        "To: jane@a.example\r\n",
        "In-Reply-To: <1@a.example>\r\n",
        "References: <0@a.example> <1@a.example>\r\n",
        "Auto-Submitted: auto-replied (vacation)\r\n",
        "Content-Transfer-Encoding: quoted-printable\r\n",
        "gr=C3=BC=C3=9Fe",
    ] {
        assert!(message.contains(field), "{field}: {message}");
    }
    assert!(message.is_ascii());
}

#[test]
fn the_header_of_a_reply_is_ascii_in_short_lines_whatever_the_message_says() {
    let text =
        "require \"vacation\"; vacation :subject \"Ich bin weg – grüße\" :from \"\\\"Jürgen B.\\\" <bob@b.example>\" \"away\";";
    let long = format!("<{}@a.example>", "x".repeat(5_000));
    let letter = LETTER.replace("<0@a.example>", &format!("{long} <é@a.example> <0@a.example>"));
    let message = reply(text, &letter).expect("a reply").message("bob@b.example", NOW, "x@b.example");
    let message = String::from_utf8(message).expect("text");
    assert!(message.is_ascii() && message.lines().all(|line| line.len() <= 998), "{message}");
    assert!(message.contains("\r\nReferences: <0@a.example> <1@a.example>\r\n"), "{message}");
    assert!(message.contains("<bob@b.example>\r\n") && message.contains("Subject: Ich bin weg =?utf-8?"), "{message}");
    let odd = LETTER.replace("<1@a.example>", &long);
    let message = reply(text, &odd).expect("a reply").message("bob@b.example", NOW, "x@b.example");
    assert!(!String::from_utf8_lossy(&message).contains("In-Reply-To"));
}

#[test]
fn who_may_get_no_reply_gets_none() {
    let text = "require \"vacation\"; vacation \"away\";";
    assert!(reply(text, LETTER).is_some());
    for field in [
        "List-Id: <x.example>",
        "Precedence: bulk",
        "Auto-Submitted: auto-generated",
        "Auto-Submitted: auto-replied; owner-email=\"x\"",
        "X-Auto-Response-Suppress: DR, OOF",
        "X-Spam-Flag: YES",
    ] {
        assert!(reply(text, &format!("{field}\r\n{LETTER}")).is_none(), "{field}");
    }
    assert!(reply(text, &format!("Auto-Submitted: no\r\n{LETTER}")).is_some());
    let other = LETTER.replace("bob@b.example", "staff@b.example");
    assert!(reply(text, &other).is_none(), "not to the user");
    assert!(reply("require \"vacation\"; vacation :addresses \"staff@b.example\" \"away\";", &other).is_some());
    for sender in
        ["", "owner-x@a.example", "x-request@a.example", "MAILER-DAEMON@a.example", "bob@b.example", "no-reply@a.example"]
    {
        let outcome =
            script(text).run(LETTER.as_bytes(), &Envelope::new(sender, "bob@b.example"), NOW, &NoMemory, &Limits::default());
        assert_eq!(outcome.actions, kept(), "{sender}");
    }
}

#[test]
fn a_sender_gets_one_reply_in_its_time() {
    struct Until(i64);
    impl Memory for Until {
        fn silent_until(&self, handle: &str, address: &str) -> Option<Timestamp> {
            assert_eq!((handle, address), ("h", "jane@a.example"));
            Some(NOW.plus_seconds(self.0))
        }
    }
    let text = "require \"vacation\"; vacation :handle \"h\" \"away\";";
    let count = |memory| run_with(text, LETTER, &memory, &Limits::default()).actions.len();
    assert_eq!((count(Until(1)), count(Until(0))), (1, 2));
}

#[test]
fn an_entity_brings_no_header_fields_of_others() {
    let text = "require \"vacation\"; vacation :mime text:\nContent-Type: text/html\nBcc: x@y.example\n folded\nFrom: z@y.example\n\n<p>away\n.\n;";
    let message = reply(text, LETTER).expect("a reply").message("bob@b.example", NOW, "x@b.example");
    let message = String::from_utf8(message).expect("ASCII");
    assert!(message.contains("Content-Type: text/html\r\n\r\n<p>away\r\n"), "{message}");
    assert!(!message.contains("y.example") && !message.contains("folded"), "{message}");
}

#[test]
fn variables_cannot_make_a_second_line_or_leave_a_folder() {
    let text = "require [\"variables\", \"fileinto\"]; if header :matches \"subject\" \"*\" { fileinto \"a/${1}\"; }";
    let outcome = run(text, &LETTER.replace("hello", "../../etc/passwd"));
    assert!(matches!(outcome.failure, Some(Failure::Value { line: 1, .. })), "{outcome:?}");
    let text = "require [\"variables\"]; if header :matches \"subject\" \"*\" { redirect \"${1}\"; }";
    let outcome = run(text, &LETTER.replace("hello", "=?utf-8?Q?a@b.example=0D=0ADATA?="));
    assert!(matches!(outcome.failure, Some(Failure::Value { line: 1, .. })), "{outcome:?}");
}

#[test]
fn ready_rules_do_what_they_say() {
    let does = |name: &str, fields: &str, to: &str| {
        let rule = ready::named(name).unwrap_or_else(|| panic!("no rule {name}"));
        let message = format!("{fields}\r\n{LETTER}");
        script(rule.script)
            .run(message.as_bytes(), &Envelope::new("jane@a.example", to), NOW, &NoMemory, &Limits::default())
            .actions
    };
    let filed = |folder: &str| vec![Action::FileInto { folder: folder.to_owned(), flags: Vec::new() }];
    for field in ["X-Spam-Flag: YES", "X-Spam: Yes", "X-Spam-Status: Yes, score=7", "X-Spam-Level: ******"] {
        assert_eq!(does("spam", field, "bob@b.example"), filed("Junk"), "{field}");
    }
    assert_eq!(does("spam", "X-Spam-Status: No, score=0", "bob@b.example"), kept());
    assert_eq!(does("lists", "List-Id: Roses <Gardening.a.example>", "bob@b.example"), filed("Lists/gardening"));
    assert_eq!(does("lists", "List-Id: <../x.a.example>", "bob@b.example"), kept());
    assert_eq!(does("plus", "X-A: b", "bob+receipts@b.example"), filed("Receipts"));
    assert_eq!(does("plus", "X-A: b", "bob@b.example"), kept());
    assert_eq!(does("plus", "X-A: b", "bob+..@b.example"), kept());
    let read = vec![Action::FileInto { folder: "Notices".to_owned(), flags: vec!["\\Seen".to_owned()] }];
    assert_eq!(does("machines", "Auto-Submitted: auto-generated", "bob@b.example"), read);
    assert_eq!(does("machines", "Auto-Submitted: no", "bob@b.example"), kept());
    assert_eq!(does("large", "X-A: b", "bob@b.example"), kept());
    assert!(matches!(does("away", "X-A: b", "bob@b.example").as_slice(), [Action::Vacation(_), Action::Keep { .. }]));
}

#[test]
fn every_extension_is_known_by_name_and_standard() {
    let all: Vec<_> = sealpost::sieve::extensions().collect();
    assert!(all.len() == 18 && all.contains(&("vacation-seconds", "RFC 6131")), "{all:?}");
}

#[test]
fn examples_of_the_page_are_scripts_and_rules_are_named() {
    let page = include_str!("../../../docs/filters.md");
    let examples: Vec<&str> = page.split("```sieve\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 4);
    examples.iter().for_each(|example| drop(script(example)));
    for rule in ready::RULES {
        assert!(page.contains(&format!("`{}`", rule.name)), "{}", rule.name);
    }
    let names: Vec<_> =
        sealpost::sieve::extensions().map(|(name, _)| name).filter(|name| !name.starts_with("comparator")).collect();
    for name in names {
        assert!(page.contains(name), "{name}");
    }
    let does = |fields: &str| run(examples[2], &format!("{fields}\r\n{LETTER}")).actions;
    assert_eq!(does("X-Spam-Score: 7.5"), [Action::FileInto { folder: "Junk".to_owned(), flags: Vec::new() }]);
    assert_eq!(does("X-Spam-Score: 2"), kept());
    assert!(matches!(does("X-Spam-Score: 20").as_slice(), [Action::Reject { .. }]));
    assert_eq!(does("X-Spam-Score: -2"), kept());
}

/// One who was answered, until then.
struct Answered(i64);

impl Memory for Answered {
    fn silent_until(&self, _: &str, _: &str) -> Option<Timestamp> {
        Some(NOW.plus_seconds(self.0))
    }
}

#[test]
fn no_silence_is_longer_than_the_script_says_whatever_a_clock_wrote_down() {
    let text = "require \"vacation\"; vacation :days 3 \"away\";";
    let is_answered = |until| {
        let outcome = run_with(text, LETTER, &Answered(until), &Limits::default());
        outcome.actions.iter().any(|action| matches!(action, Action::Vacation(_)))
    };
    let days = 86_400;
    assert!(!is_answered(1) && !is_answered(3 * days), "he has had one");
    assert!(is_answered(0), "its time is over");
    assert!(is_answered(365 * days), "the clock was a year ahead when it was written");
}
