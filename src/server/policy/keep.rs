//! What the gate needs from time to time: its lists tested, its greylist written.

use std::time::Duration;

use tokio::sync::watch;

use crate::server::drive::now;
use crate::server::reload::Current;
use crate::server::trace::Tracer;

/// The greylist is written so often; a crash forgets what came after.
const SAVE: Duration = Duration::from_secs(300);

/// Saves after which the lists are tested again: an hour.
const TEST: u32 = 12;

/// Keeps the gate of a server until it stops, also when it becomes another one.
pub(in crate::server) async fn keep(current: Current, tracer: Tracer, mut stop: watch::Receiver<bool>) {
    let (mut round, mut changes) = (0_u32, current.changes());
    loop {
        let gate = current.get().mail.gate().clone();
        if round.is_multiple_of(TEST) {
            gate.test_lists().await.iter().for_each(|why| tracer.note(now(), why));
        }
        round = round.wrapping_add(1);
        let stops = tokio::select! {
            () = tokio::time::sleep(SAVE) => false,
            Ok(()) = changes.changed() => {
                // its lists may be others
                round = 0;
                false
            }
            _ = stop.wait_for(|stops| *stops) => true,
        };
        if let Err(why) = gate.save() {
            tracer.note(now(), &format!("the greylist cannot be written – {why}"));
        }
        if stops {
            return;
        }
    }
}
