//! What is acknowledged was synced: the calls of the server are counted, and set beside its replies.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::disk::Traced;
use super::load::{self, Done, Letter, greeted, send};
use super::{is_long, served};
use crate::support;

const RULE: &str = "trace=fsync,fdatasync,recvfrom,sendto";

/// What a log of strace shows: how many messages were acknowledged, and how often the disk was told to sync. Each acknowledgement has a sync of
/// its own or another's behind it that began after the last byte of its message had come and ended before it was said.
fn judged(log: &str) -> (usize, usize) {
    let (mut acknowledged, mut syncs) = (0, 0);
    // by thread: where the sync began that it is in; by connection: where its last bytes came
    let (mut begun, mut received) = (HashMap::new(), HashMap::new());
    let mut unfinished = HashMap::new();
    // where each sync that is over began
    let mut last_begun = 0;
    for (at, line) in log.lines().enumerate() {
        let (thread, call) = line.trim_start().split_once(' ').expect("a thread and a call");
        let call = call.trim_start();
        let is_sync = |call: &str| call.starts_with("fsync(") || call.starts_with("fdatasync(");
        let descriptor = || call.split_once('(').and_then(|(_, rest)| rest.split([',', ')']).next()).expect("one").to_owned();
        if is_sync(call) {
            begun.insert(thread, at);
        }
        let is_over = (is_sync(call) && call.ends_with("= 0")) || (call.contains("sync resumed>") && call.ends_with("= 0"));
        if is_over {
            syncs += 1;
            last_begun = last_begun.max(begun[thread]);
        }
        if call.starts_with("recvfrom(") {
            unfinished.insert(thread, descriptor());
            if !call.ends_with("<unfinished ...>") && !call.contains("= -1") {
                received.insert(descriptor(), at);
            }
        }
        if call.starts_with("<... recvfrom resumed>") && !call.contains("= -1") {
            received.insert(unfinished[thread].clone(), at);
        }
        if call.starts_with("sendto(") && call.contains("250 2.0.0 the message is on disk") {
            acknowledged += 1;
            let came = received[&descriptor()];
            assert!(last_begun > came, "line {at}: no sync between the last byte (line {came}) and this reply\n{line}");
        }
    }
    (acknowledged, syncs)
}

#[test]
fn every_acknowledgement_of_one_session_has_a_sync_behind_it() {
    if !support::peer("strace") {
        return;
    }
    let served = served();
    let mut stream = greeted(served.port("smtp")).expect("greets");
    let Some(debugger) = Traced::attach(&served, "log", &[RULE]) else { return };
    let count = if is_long() { 500 } else { 30 };
    for number in 0..count {
        let letter = Letter { number, size: load::SIZES[number % 3] };
        let reply = send(&mut stream, ["joe@a.example", "far@a.example"][number % 2], &letter, number % 4 == 0).expect("a reply");
        assert!(reply.starts_with("250"), "{reply}");
    }
    let (acknowledged, syncs) = judged(&debugger.end());
    eprintln!("one session: {acknowledged} acknowledged, {syncs} syncs");
    assert_eq!(acknowledged, count);
    // each has a commit; a large one its file and that file's folder besides
    assert!(syncs >= count + 2 * (count * 2 / 3), "{syncs}");
}

#[test]
fn fifty_sessions_share_syncs_and_each_acknowledgement_has_one_behind_it() {
    let shared = |acknowledged: usize, syncs: usize| syncs < acknowledged;
    let Some((_, syncs)) = until_shared(shared, || at_once("letters of 4 KiB", load::small, 50)) else { return };
    assert!(syncs > 0);
}

#[test]
fn large_letters_that_come_at_once_share_the_sync_of_their_folder() {
    // each has its file; the folder and the commit are for all that are there
    let shared = |acknowledged: usize, syncs: usize| syncs < 3 * acknowledged;
    let Some((acknowledged, syncs)) = until_shared(shared, || at_once("letters of 75 KiB", load::large, 10)) else { return };
    assert!(syncs >= acknowledged, "{syncs}");
}

/// What a load shows once letters have come at the same time: on a machine that is busy enough they come one after another. That each has its sync
/// holds every time.
fn until_shared(is_shared: fn(usize, usize) -> bool, load: impl Fn() -> Option<(usize, usize)>) -> Option<(usize, usize)> {
    let mut seen = Vec::new();
    for _ in 0..5 {
        let (acknowledged, syncs) = load()?;
        if is_shared(acknowledged, syncs) {
            return Some((acknowledged, syncs));
        }
        seen.push((acknowledged, syncs));
    }
    panic!("syncs are not shared: {seen:?}");
}

/// A load: the port, so many clients, letters of each.
type Load = fn(u16, usize, usize, &Arc<Done>) -> Vec<JoinHandle<()>>;

/// So many sessions send at once; gives how many letters were acknowledged, which are all, and how many syncs there were.
fn at_once(what: &str, send: Load, sessions: usize) -> Option<(usize, usize)> {
    if !support::peer("strace") {
        return None;
    }
    let served = served();
    let debugger = Traced::attach(&served, "log", &[RULE])?;
    let each = if is_long() { 40 } else { 4 };
    let done = Arc::new(Done::default());
    send(served.port("smtp"), sessions, each, &done).into_iter().for_each(|client| client.join().expect("no panic"));
    let (acknowledged, syncs) = judged(&debugger.end());
    eprintln!("{sessions} sessions, {what}: {acknowledged} acknowledged, {syncs} syncs");
    assert_eq!(acknowledged, sessions * each);
    Some((acknowledged, syncs))
}
