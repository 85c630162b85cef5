//! Scripts made at random, run here and by Pigeonhole: each asks some dozens of questions and files the message by the answers.

use sealpost::crypto::random::{Random, Seeded};

use super::judge::{Judge, files, ours};

struct Maker(Seeded);

impl Maker {
    fn below(&mut self, bound: usize) -> usize {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        usize::try_from(u32::from_le_bytes(bytes)).expect("small") % bound
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    /// A string list of one to three.
    fn list(&mut self, of: &[&str]) -> String {
        let some: Vec<String> = (0..=self.below(3)).map(|_| format!("\"{}\"", self.one(of))).collect();
        if some.len() == 1 { some[0].clone() } else { format!("[{}]", some.join(", ")) }
    }

    fn matching(&mut self) -> String {
        let relation = self.one(&["gt", "ge", "lt", "le", "eq", "ne"]);
        let kind = match self.below(7) {
            0 => "",
            1 => ":is",
            2 => ":contains",
            3 | 4 => ":matches",
            5 => return format!(":count \"{relation}\" :comparator \"i;ascii-numeric\""),
            _ => {
                // i;ascii-casemap orders by capital letters (RFC 4790 9.2.1); Pigeonhole by small ones, which differs for `[` to `_`
                let comparator = self.one(&["i;octet", "i;ascii-numeric"]);
                return format!(":value \"{relation}\" :comparator \"{comparator}\"");
            }
        };
        match self.below(4) {
            0 => format!("{kind} :comparator \"i;octet\""),
            1 => format!(":comparator \"i;ascii-casemap\" {kind}"),
            _ => kind.to_owned(),
        }
    }

    fn test(&mut self, depth: usize) -> String {
        let headers = ["subject", "Subject", "to", "From", "x-number", "x-none", "received", "cc", "list-id", "x-many"];
        let keys = [
            "",
            "*",
            "?*",
            "hello",
            "Hello World",
            "*o*",
            "h*o",
            "1",
            "2",
            "3",
            "10",
            "9",
            "a.example",
            "*@*.example",
            "jane",
            "JANE*",
            "jane.doe@a.example",
            "*<*>*",
            "bob+lists@b.example",
            "lists",
            "b?b",
            "\\\\*",
            "??",
            "W",
            "grüße",
            "GRÜßE*",
            "*[*]*",
            "${1}",
            "${x}*",
            "world",
            "z",
        ];
        let matching = self.matching();
        match self.below(if depth > 2 { 9 } else { 12 }) {
            0 | 1 => format!("header {matching} {} {}", self.list(&headers), self.list(&keys)),
            2 => {
                let part = self.one(&["", ":all", ":localpart", ":domain", ":user", ":detail"]);
                format!(
                    "address {matching} {part} {} {}",
                    self.list(&["to", "from", "cc", "Reply-To", "sender"]),
                    self.list(&keys)
                )
            }
            3 => {
                let part = self.one(&["", ":all", ":localpart", ":domain", ":user", ":detail"]);
                format!("envelope {part} {matching} {} {}", self.list(&["to", "from"]), self.list(&keys))
            }
            4 => format!("exists {}", self.list(&headers)),
            5 => format!("size {} {}", self.one(&[":over", ":under"]), self.one(&["100", "500", "1K", "0"])),
            // without a comparator Pigeonhole takes i;octet here; RFC 5228 2.7.3 says i;ascii-casemap for every test
            6 if !matching.contains(":comparator") => {
                format!(
                    "string :comparator \"i;ascii-casemap\" {matching} {} {}",
                    self.list(&["${x}", "Hello World", ""]),
                    self.list(&keys)
                )
            }
            6 => format!(
                "string {matching} {} {}",
                self.list(&["${x}", "${1}${2}", "a", "", "Hello World", "12"]),
                self.list(&keys)
            ),
            7 => {
                let part = self.one(&["year", "month", "hour", "weekday", "zone", "date", "time", "julian", "iso8601", "minute"]);
                let zone = self.one(&["", ":zone \"+0530\"", ":originalzone", ":zone \"-0800\""]);
                let keys = self.list(&["2026", "11", "08", "4", "+0000", "+0100", "*-*-*", "26", "10"]);
                format!("date {zone} {matching} \"date\" \"{part}\" {keys}")
            }
            8 => {
                let flags = self.list(&["\\\\seen", "a", "b c", "\\\\Flagged", "*", "a*"]);
                format!("hasflag {matching} {flags}")
            }
            9 => format!("not {}", self.test(depth + 1)),
            number => {
                let inner: Vec<String> = (0..=self.below(3)).map(|_| self.test(depth + 1)).collect();
                format!("{}({})", if number == 10 { "allof" } else { "anyof" }, inner.join(", "))
            }
        }
    }

    fn script(&mut self) -> String {
        let mut script =
            "require [\"fileinto\",\"envelope\",\"relational\",\"comparator-i;ascii-numeric\",\"variables\",\"subaddress\",\
             \"imap4flags\",\"date\",\"copy\"];\nset \"r\" \"r\";\n"
                .to_owned();
        for _ in 0..20 {
            let test = self.test(0);
            match self.below(6) {
                0 => {
                    let modifier =
                        self.one(&["", ":lower", ":upper :length", ":upperfirst :lower", ":quotewildcard", ":lowerfirst"]);
                    let value = self.one(&["${1}", "Hello", "${x}${2}", "*?", "grüße", "x"]);
                    script.push_str(&format!("set {modifier} \"x\" \"{value}\";\n"));
                }
                1 => {
                    let verb = self.one(&["setflag", "addflag", "removeflag"]);
                    let flags = self.list(&["\\\\seen", "a b", "\\\\Flagged a", "(x", "\\\\nope", ""]);
                    script.push_str(&format!("{verb} {flags};\n"));
                }
                2 => script.push_str(&format!("if {test} {{ fileinto :copy \"F{}\"; }}\n", self.below(3))),
                _ => {}
            }
            script.push_str(&format!("if {test} {{ set \"r\" \"${{r}}1\"; }} else {{ set \"r\" \"${{r}}0\"; }}\n"));
        }
        script.push_str(
            "fileinto \"${r}\";\nset :length \"n\" \"${x}\"; set :length \"o\" \"${1}${2}\"; fileinto \"n${n}-${o}\";\n",
        );
        script
    }
}

/// 40: two seconds; `SEALPOST_SIEVE_ROUNDS=5000` looks longer, with other scripts.
#[test]
fn pigeonhole_answers_the_same_questions_alike() {
    let Some(judge) = Judge::new() else { return };
    let rounds = std::env::var("SEALPOST_SIEVE_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(40);
    let mut maker = Maker(Seeded::new(format!("sieve {rounds}").as_bytes()));
    let messages = files("messages");
    for round in 0..rounds {
        let script = maker.script();
        let (letter, message) = &messages[round % messages.len()];
        let theirs = judge.run("generated", script.as_bytes(), message);
        let ours = ours(script.as_bytes(), message);
        assert_eq!(theirs, ours, "round {round}, on {letter}:\n{script}");
        assert_ne!(ours, ["refused"], "{script}");
    }
}
