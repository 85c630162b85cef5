//! What the gate needs from time to time: its lists tested, its greylist written.

use std::time::Duration;

use tokio::sync::watch;

use crate::server::drive::now;
use crate::server::policy::gate::Gate;
use crate::server::trace::Tracer;

/// The greylist is written so often; a crash forgets what came after.
const SAVE: Duration = Duration::from_secs(300);

/// Saves after which the lists are tested again: an hour.
const TEST: u32 = 12;

/// Keeps a gate until the server stops.
pub(in crate::server) async fn keep(gate: Gate, tracer: Tracer, mut stop: watch::Receiver<bool>) {
    let mut round = 0_u32;
    loop {
        if round.is_multiple_of(TEST) {
            gate.test_lists().await.iter().for_each(|why| tracer.note(now(), why));
        }
        round = round.wrapping_add(1);
        let stops = tokio::select! {
            () = tokio::time::sleep(SAVE) => false,
            _ = stop.wait_for(|stops| *stops) => true,
        };
        if let Err(why) = gate.save(now()) {
            tracer.note(now(), &format!("the greylist cannot be written – {why}"));
        }
        if stops {
            return;
        }
    }
}
