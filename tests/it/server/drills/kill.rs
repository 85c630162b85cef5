//! `kill -9` at any moment under load.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sealpost::crypto::random::{OsRandom, Random};

use super::load::{self, Done};
use super::{assert_nothing_lost, empty, is_long, messages, served, store};

/// A number below a bound, drawn by lot.
fn lot(bound: usize) -> usize {
    let mut byte = [0; 2];
    OsRandom.fill(&mut byte);
    usize::from(u16::from_le_bytes(byte)) % bound
}

#[test]
fn what_was_acknowledged_is_there_once_however_often_the_server_is_killed() {
    let rounds = if is_long() { 50 } else { 5 };
    let mut served = served();
    let (mut all, mut unacknowledged) = (0, 0);
    for _ in 0..rounds {
        let done = Arc::new(Done::default());
        let clients = load::start(served.port("smtp"), 8, usize::MAX, &done);
        let (enough, more) = (lot(60), lot(50_000));
        while done.count.load(Ordering::Relaxed) < enough {
            std::thread::yield_now();
        }
        // somewhere in the middle of what comes then
        (0..more).for_each(|_| std::hint::spin_loop());
        served.child.kill().expect("killed");
        served.child.wait().expect("gone");
        clients.into_iter().for_each(|client| client.join().expect("no panic"));
        served.restart();
        let (acknowledged, tried) = (done.acknowledged.lock().expect("no panic"), done.tried.lock().expect("no panic"));
        assert_nothing_lost(&served, &acknowledged, &tried);
        all += acknowledged.len();
        unacknowledged += super::kept(&store(&served)).len() - acknowledged.len();
        empty(&store(&served));
        super::until("what is deleted has no files", || super::files(&messages(&served)) == 0);
    }
    eprintln!("killed {rounds} times: {all} acknowledged and there once, {unacknowledged} there that nobody was told of");
}

#[test]
fn what_a_dead_server_left_half_done_is_gone_when_the_next_one_serves() {
    let mut served = served();
    served.child.kill().expect("killed");
    served.child.wait().expect("gone");
    let folder = messages(&served);
    std::fs::create_dir_all(folder.join("ab")).expect("made");
    for name in ["spool/.tmpA1b2C3", "ab/.new-Zz9", "ab/ab00-11"] {
        std::fs::write(folder.join(name), "half a message").expect("written");
    }
    served.restart();
    super::until("nothing is left", || super::files(&folder) == 0);
}
