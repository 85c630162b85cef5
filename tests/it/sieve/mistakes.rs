//! What is wrong with a script is told with its line and what to do; Pigeonhole refuses the same scripts.

use sealpost::limits::Limits;
use sealpost::sieve::Script;

use super::judge::Judge;

/// Scripts, with the line of the mistake and what is said.
const WRONG: &[(&str, usize, &str)] = &[
    ("keep", 1, "`keep` ends with `;` or with a block in braces, and the script ends there"),
    ("require \"fileinto\";\nfilein \"x\";", 2, "there is no command `filein` – did you mean `fileinto`?"),
    ("fileinto \"x\";", 1, "`fileinto` needs an extension – write require \"fileinto\"; at the beginning"),
    ("keep;\nrequire \"fileinto\";", 2, "`require` comes before every other command"),
    ("require \"filinto\";", 1, "there is no extension \"filinto\" here – did you mean \"fileinto\"?"),
    ("require \"no-such\";", 1, "take it away, with all that needs it"),
    ("if headr \"a\" \"b\" { keep; }", 1, "there is no test `headr` – did you mean `header`?"),
    ("if header :ist \"a\" \"b\" { keep; }", 1, "`header` does not know `:ist`"),
    ("if header \"a\" { keep; }", 1, "`header` lacks a list of keys"),
    ("if header \"a\" \"b\" \"c\" { keep; }", 1, "takes nothing more here, and a string stands there"),
    ("if header \"a\" :is \"b\" { keep; }", 1, "tags come before all else"),
    ("if header :is :contains \"a\" \"b\" { keep; }", 1, "`:contains` is a second one"),
    ("if header :comparator \"i;nope\" \"a\" \"b\" { keep; }", 1, "there is no comparator \"i;nope\" here"),
    ("if header :comparator \"i;ascii-numeric\" \"a\" \"b\" { keep; }", 1, "needs an extension"),
    (
        "require \"comparator-i;ascii-numeric\";\nif header :contains :comparator \"i;ascii-numeric\" \"a\" \"1\" { keep; }",
        2,
        "compares whole numbers",
    ),
    ("if address \"subject\" \"b\" { keep; }", 1, "the field \"subject\" holds no addresses"),
    ("if address :user \"to\" \"b\" { keep; }", 1, "write require \"subaddress\";"),
    ("if header :count \"eq\" \"to\" \"1\" { keep; }", 1, "write require \"relational\";"),
    ("require \"relational\";\nif header :count \"xx\" \"to\" \"1\" { keep; }", 2, "\"xx\" is no relation"),
    ("if size 100 { keep; }", 1, "`size` takes :over or :under"),
    ("if size :over \"100\" { keep; }", 1, "takes a number of bytes here, and a string stands there"),
    ("if not { keep; }", 1, "`not` takes one test"),
    ("if anyof { keep; }", 1, "`anyof` takes tests between parentheses"),
    ("if { keep; }", 1, "`if` takes a test"),
    ("if (true, false) { keep; }", 1, "`if` takes one test"),
    ("if true keep;", 1, "`true` takes no other test"),
    ("if true;", 1, "takes a block in braces"),
    ("else { keep; }", 1, "`else` follows the block of an `if`"),
    ("if true { } else { }\nelse { }", 2, "`else` follows the block of an `if`"),
    ("if true { keep;", 1, "the block that begins here has no end"),
    ("keep; }", 1, "`}` closes nothing"),
    ("keep { stop; }", 1, "`keep` takes no block"),
    ("stop true;", 1, "`stop` takes no test"),
    ("redirect \"nobody\";", 1, "\"nobody\" is no address"),
    ("redirect \"a@b.example, c@d.example\";", 1, "is no address"),
    ("redirect [\"a@b.example\"];", 1, "takes an address here, and a list of strings stands there"),
    ("if true { redirect \"a@b.example\" }", 1, "`redirect` ends with `;`"),
    ("require \"variables\";\nset \"1a\" \"b\";", 2, "\"1a\" is no name of a variable"),
    ("require \"variables\";\nset :lower :upper \"a\" \"b\";", 2, "`:upper` does not go with the modifiers before it"),
    ("require \"variables\";\nredirect \"${a.b}\";", 2, "no extension that is required here has variables like ${a.b}"),
    ("require \"vacation\";\nvacation :days 1 :days 2 \"x\";", 2, "or not a second time"),
    ("require \"vacation\";\nvacation :from \"x y z\" \"x\";", 2, "is no address"),
    ("require \"vacation\";\nvacation;", 2, "`vacation` lacks what to answer"),
    ("require \"envelope\";\nif envelope \"size\" \"x\" { keep; }", 2, "the envelope has no part \"size\""),
    ("require \"date\";\nif date \"date\" \"century\" \"21\" { keep; }", 2, "\"century\" is no part of a date"),
    ("require \"date\";\nif currentdate :zone \"CET\" \"hour\" \"21\" { keep; }", 2, "\"CET\" is no zone"),
    ("require \"index\";\nif header :last \"to\" \"x\" { keep; }", 2, "`:last` goes with `:index`"),
    ("if header \"a b\" \"c\" { keep; }", 1, "\"a b\" is no name of a header field"),
    ("if exists [] { keep; }", 1, "a list holds strings in double quotes"),
    ("if exists [\"a\" \"b\"] { keep; }", 1, "a list goes on with `,` or ends with `]`"),
    ("keep;\n\n\"x", 3, "the string that begins here has no end"),
    ("keep :flags \"x\";", 1, "write require \"imap4flags\";"),
    ("require [\"fileinto\"];\nfileinto :copy \"x\";", 2, "write require \"copy\";"),
];

/// Pigeonhole takes these: it calls them warnings, or asks when the script runs.
const TAKEN_BY_PIGEONHOLE: &[&str] = &[
    "require \"variables\";\nredirect \"${a.b}\";",
    "require \"date\";\nif date \"date\" \"century\" \"21\" { keep; }",
    "require \"date\";\nif currentdate :zone \"CET\" \"hour\" \"21\" { keep; }",
    "if header \"a b\" \"c\" { keep; }",
];

#[test]
fn every_mistake_has_its_line_and_what_to_do() {
    for (script, line, says) in WRONG {
        let mistakes = Script::parse(script.as_bytes(), &Limits::default()).expect_err(script);
        let is_told = mistakes.iter().any(|mistake| mistake.line == *line && mistake.text.contains(says));
        assert!(is_told, "{script}: {mistakes:?}");
    }
}

#[test]
fn pigeonhole_refuses_the_same_scripts() {
    let Some(judge) = Judge::new() else { return };
    let taken: Vec<&str> = WRONG
        .iter()
        .map(|(script, ..)| *script)
        .filter(|script| judge.run("wrong", script.as_bytes(), b"Subject: x\r\n\r\nx\r\n") != ["refused"])
        .collect();
    assert_eq!(taken, TAKEN_BY_PIGEONHOLE);
}

#[test]
fn mistakes_are_told_all_at_once() {
    let script = b"filein \"x\";\nif headr \"a\" \"b\" { kep; }\nredirect \"x\";\n";
    let mistakes = Script::parse(script, &Limits::default()).expect_err("wrong");
    assert_eq!(mistakes.iter().map(|mistake| mistake.line).collect::<Vec<_>>(), [1, 2, 2, 3], "{mistakes:?}");
}

#[test]
fn bounds_of_scripts_are_named() {
    let deep = format!("{}keep;{}", "if true {".repeat(40), "}".repeat(40));
    let nots = format!("if {}true {{}}", "not ".repeat(100_000));
    for script in [deep, nots] {
        let mistakes = Script::parse(script.as_bytes(), &Limits::default()).expect_err("deep");
        assert!(mistakes[0].text.contains("more than 32 times – split the script"), "{mistakes:?}");
    }
    let long = vec![b' '; (1 << 20) + 1];
    assert!(Script::parse(&long, &Limits::default()).expect_err("long")[0].text.contains("more than 1048576 bytes"));
    let latin = Script::parse(b"keep;\n# caf\xe9\n", &Limits::default()).expect_err("Latin-1");
    assert!(latin[0].line == 2 && latin[0].text.contains("not UTF-8"), "{latin:?}");
}
