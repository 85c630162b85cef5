//! `sealpost serve` beside Postfix and Dovecot: the same client, the same machine, durable defaults on both sides.
//!
//! `benches/mailserver/run` starts the servers and calls this, once for each of them, with `name=… smtp=PORT pop3=PORT pop3s=PORT host=NAME
//! ca=FILE domain=DOMAIN password=… pid=PID,PID maildir=FOLDER` and `rounds=N seconds=N`. `pop3=0` leaves out what needs a password
//! without TLS; `maildir` is where messages are counted as delivered (none: what is answered `250` is in the mailbox, and POP3 counts it at the end).
//!
//! A rate is messages in a second, the median of the rounds; the processor's time is that of the server's processes, from `/proc`. What one
//! client on the same two processors takes itself lowers the rates of a fast server, not those of a slow one.
#![allow(clippy::print_stdout, reason = "its result")]

mod client;
mod processes;

use std::path::Path;
use std::time::{Duration, Instant};

use client::{Client, Pop3, Secured};
use processes::Processes;

/// What is measured, and where.
struct Bench {
    name: String,
    client: Client,
    domain: String,
    password: String,
    processes: Processes,
    maildir: Option<String>,
    rounds: usize,
    time: Duration,
}

fn main() {
    let args: std::collections::HashMap<String, String> = std::env::args()
        .skip(1)
        .filter_map(|arg| arg.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())))
        .collect();
    let Some(name) = args.get("name") else {
        eprintln!("called by benches/mailserver/run");
        return;
    };
    let text = |key: &str| args.get(key).cloned().unwrap_or_default();
    let number = |key: &str, usual: u64| args.get(key).map_or(usual, |text| text.parse().expect("a number"));
    let port = |key: &str| u16::try_from(number(key, 0)).expect("a port");
    let bench = Bench {
        name: name.clone(),
        client: Client::new(&text("host"), &text("ca"), port("smtp"), port("pop3"), port("pop3s")),
        domain: text("domain"),
        password: text("password"),
        processes: Processes::of(&text("pid")),
        maildir: args.get("maildir").filter(|folder| !folder.is_empty()).cloned(),
        rounds: usize::try_from(number("rounds", 5)).expect("small"),
        time: Duration::from_secs(number("seconds", 3)),
    };
    bench.idle(number("idle", 100));
    for (size, sessions) in [(4 << 10, 1), (4 << 10, 10), (4 << 10, 50), (75 << 10, 10), (1 << 20, 10)] {
        bench.smtp(size, sessions);
    }
    bench.starttls();
    bench.logins();
    bench.downloads();
    bench.tell("memory at the end", &format!("{:8.1} MB", bench.processes.memory()));
}

/// The middle one.
fn median(mut rounds: Vec<(f64, f64)>) -> (f64, f64) {
    rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    rounds[rounds.len() / 2]
}

impl Bench {
    fn tell(&self, row: &str, result: &str) {
        println!("{:10} {row:36} {result}", self.name);
    }

    fn rate(&self, row: &str, rounds: Vec<(f64, f64)>) {
        let (rate, cost) = median(rounds);
        self.tell(row, &format!("{rate:8.0} /s  {cost:7.3} CPU-ms each"));
    }

    /// Runs something that says how much of it there was: its rate, and what one cost.
    fn timed(&self, run: impl FnOnce() -> usize) -> (f64, f64) {
        let (before, begin) = (self.processes.processor(), Instant::now());
        let count = run().max(1) as f64;
        let seconds = begin.elapsed().as_secs_f64();
        (count / seconds, (self.processes.processor() - before) * 1000.0 / count)
    }

    /// Messages accepted, and messages in the mailbox, which are the same where 250 says so.
    fn smtp(&self, size: usize, sessions: usize) {
        let recipient = format!("jane@{}", self.domain);
        let line = format!("{}\r\n", "x".repeat(70));
        let message = format!("From: x@b.example\r\nSubject: load\r\n\r\n{}.\r\n", line.repeat(size / 72));
        let (mut accepted, mut delivered) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            let there = self.delivered();
            let begin = Instant::now();
            let before = self.processes.processor();
            let (mut count, mut rate) = (0, 0.0);
            accepted.push(self.timed(|| {
                count = self.load(&recipient, &message, sessions);
                count
            }));
            if let Some(there) = there {
                while self.delivered().unwrap_or(0) < there + count {
                    std::thread::sleep(Duration::from_millis(5));
                }
                rate = count as f64 / begin.elapsed().as_secs_f64();
            }
            delivered.push((rate, (self.processes.processor() - before) * 1000.0 / count as f64));
            self.empty();
        }
        self.rate(&format!("{:4} KiB accepted, {sessions:2} sessions", size >> 10), accepted);
        if self.maildir.is_some() {
            self.rate(&format!("{:4} KiB delivered, {sessions:2} sessions", size >> 10), delivered);
        }
    }

    /// So many sessions send for so long; gives how many messages were answered 250.
    fn load(&self, recipient: &str, message: &str, sessions: usize) -> usize {
        let end = Instant::now() + self.time;
        std::thread::scope(|scope| {
            let session = || {
                let mut smtp = self.client.smtp();
                let mut count = 0;
                while Instant::now() < end {
                    smtp.hand_over(recipient, message);
                    count += 1;
                }
                count
            };
            let all: Vec<_> = (0..sessions).map(|_| scope.spawn(session)).collect();
            all.into_iter().map(|one| one.join().expect("it sends")).sum()
        })
    }

    /// Messages in the folder of mailboxes; none where there is no such folder.
    fn delivered(&self) -> Option<usize> {
        let folder = Path::new(self.maildir.as_ref()?).join("jane/new");
        Some(std::fs::read_dir(folder).map_or(0, Iterator::count))
    }

    /// The next round begins with an empty folder, so that counting is cheap.
    fn empty(&self) {
        let Some(folder) = &self.maildir else { return };
        for file in std::fs::read_dir(Path::new(folder).join("jane/new")).into_iter().flatten().flatten() {
            // it is gone then
            let _ = std::fs::remove_file(file.path());
        }
    }

    /// A connection with STARTTLS for each message.
    fn starttls(&self) {
        let recipient = format!("jane@{}", self.domain);
        let message = format!("From: x@b.example\r\n\r\n{}.\r\n", "x\r\n".repeat(1000));
        let rounds = (0..self.rounds).map(|_| {
            self.timed(|| {
                let end = Instant::now() + self.time;
                std::thread::scope(|scope| {
                    let session = || {
                        let mut count = 0;
                        while Instant::now() < end {
                            self.client.smtp_secured().hand_over(&recipient, &message);
                            count += 1;
                        }
                        count
                    };
                    let all: Vec<_> = (0..4).map(|_| scope.spawn(session)).collect();
                    all.into_iter().map(|one| one.join().expect("it sends")).sum()
                })
            })
        });
        self.rate("   4 KiB, STARTTLS for each message", rounds.collect());
        self.empty();
    }

    /// A connection with TLS, a login and STAT, over and over.
    fn logins(&self) {
        let secured = (0..self.rounds).map(|_| {
            self.timed(|| {
                let end = Instant::now() + self.time;
                let mut count = 0;
                while Instant::now() < end {
                    let mut pop3 = self.client.pop3(Secured::Yes);
                    pop3.login(&format!("user1@{}", self.domain), &self.password);
                    pop3.say("STAT\r\n");
                    pop3.say("QUIT\r\n");
                    count += 1;
                }
                count
            })
        });
        self.rate("POP3 under TLS, login and STAT", secured.collect());
    }

    /// Four users fetch a thousand messages each.
    fn downloads(&self) {
        const MESSAGES: usize = 1000;
        let users: Vec<String> = (1..=4).map(|number| format!("user{number}@{}", self.domain)).collect();
        let message = format!("From: x@b.example\r\nSubject: load\r\n\r\n{}.\r\n", format!("{}\r\n", "x".repeat(70)).repeat(56));
        std::thread::scope(|scope| {
            for user in &users {
                scope.spawn(|| {
                    let mut smtp = self.client.smtp();
                    (0..MESSAGES).for_each(|_| smtp.hand_over(user, &message));
                });
            }
        });
        let ready = |secured| {
            let open = |user: &String| {
                // a queue may still be at it
                for _ in 0..600 {
                    let mut pop3 = self.client.pop3(secured);
                    pop3.login(user, &self.password);
                    let status = pop3.say("STAT\r\n");
                    if status.split(' ').nth(1).and_then(|count| count.parse().ok()).unwrap_or(0) >= MESSAGES {
                        return pop3;
                    }
                    pop3.say("QUIT\r\n");
                    std::thread::sleep(Duration::from_millis(500));
                }
                panic!("{user} has not all of it");
            };
            users.iter().map(open).collect::<Vec<Pop3>>()
        };
        for (row, secured, at_once) in [
            ("POP3 download, plain", Secured::No, 1),
            ("POP3 download, TLS", Secured::Yes, 1),
            ("POP3 download, plain, pipelined", Secured::No, 50),
            ("POP3 download, TLS, pipelined", Secured::Yes, 50),
        ] {
            if secured == Secured::No && !self.client.has_plain_pop3() {
                continue;
            }
            let rounds = (0..self.rounds).map(|_| {
                let sessions = ready(secured);
                self.timed(|| {
                    std::thread::scope(|scope| {
                        let fetch = |mut pop3: Pop3| move || pop3.fetch(MESSAGES, at_once);
                        let all: Vec<_> = sessions.into_iter().map(|pop3| scope.spawn(fetch(pop3))).collect();
                        all.into_iter().map(|one| one.join().expect("it fetches")).sum()
                    })
                })
            });
            self.rate(row, rounds.collect());
        }
    }

    /// What it takes to do nothing.
    fn idle(&self, connections: u64) {
        self.tell("memory idle", &format!("{:8.1} MB", self.processes.memory()));
        for (row, secured) in [("plain", Secured::No), ("TLS", Secured::Yes)] {
            // the first one brings code into memory that all others share
            drop(self.client.pop3_any(secured));
            std::thread::sleep(Duration::from_millis(500));
            let before = self.processes.memory();
            let open: Vec<Pop3> = (0..connections).map(|_| self.client.pop3_any(secured)).collect();
            std::thread::sleep(Duration::from_millis(500));
            let each = (self.processes.memory() - before) * 1000.0 / open.len().max(1) as f64;
            self.tell(&format!("an idle POP3 connection, {row}"), &format!("{each:8.1} kB"));
            drop(open);
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}
