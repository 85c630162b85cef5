//! What a log must rewrite to give room back: a model without a disk.
//!
//! Messages of one size come evenly. Some stay for 90 days, the others go within a day, both on average and by lot. Whenever the log is larger than
//! what lives in it by more than is allowed, what lives of its emptiest segment is rewritten: to segments of such messages alone, since what has lived
//! for long lives on.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// 64 MiB of 75 KiB each.
const SEGMENT: usize = 873;
const A_DAY: u32 = 5_000;
const DAYS: u32 = 400;
/// Before that, the log fills.
const FROM: u32 = 250;

pub(crate) fn tell() {
    for stay in [0.05, 0.2, 0.5] {
        for most in [1.25, 1.5, 2.0] {
            println!(
                "{:2.0} % of messages stay, {most:.2} bytes on disk for each that lives: {:.2} bytes rewritten for each that came",
                stay * 100.0,
                rewritten(stay, most)
            );
        }
    }
}

#[derive(Default)]
struct Segment {
    all: Vec<u32>,
    living: usize,
}

/// Where each message is, and what has become of it.
#[derive(Default)]
struct Model {
    segments: Vec<Segment>,
    /// The segment that is written, of messages that come and of those that are rewritten.
    open: [Option<usize>; 2],
    /// By message; none where it is gone.
    places: Vec<Option<usize>>,
    /// Messages on disk, and those that live.
    held: usize,
    living: usize,
    rewritten: u64,
}

impl Model {
    fn come(&mut self, message: u32) {
        self.places.push(None);
        self.living += 1;
        self.append(message, 0);
    }

    fn append(&mut self, message: u32, kind: usize) {
        let at = self.open[kind].unwrap_or_else(|| {
            self.segments.push(Segment::default());
            self.segments.len() - 1
        });
        let segment = &mut self.segments[at];
        segment.all.push(message);
        segment.living += 1;
        self.open[kind] = (segment.all.len() < SEGMENT).then_some(at);
        self.places[index(message)] = Some(at);
        self.held += 1;
    }

    fn end(&mut self, message: u32) {
        if let Some(at) = self.places[index(message)].take() {
            self.segments[at].living -= 1;
            self.living -= 1;
        }
    }

    fn give_back(&mut self, most: f64) {
        while self.held as f64 > most * self.living as f64 {
            let is_full = |at: &usize| self.segments[*at].all.len() == SEGMENT;
            let emptiest = (0..self.segments.len()).filter(is_full).min_by_key(|at| self.segments[*at].living);
            let Some(at) = emptiest.filter(|at| self.segments[*at].living < SEGMENT) else { return };
            let Segment { all, .. } = std::mem::take(&mut self.segments[at]);
            self.held -= all.len();
            for message in all {
                if self.places[index(message)] == Some(at) {
                    self.rewritten += 1;
                    self.append(message, 1);
                }
            }
        }
    }
}

/// Bytes rewritten for each that came.
fn rewritten(stay: f64, most: f64) -> f64 {
    let mut model = Model::default();
    let mut ends: BinaryHeap<Reverse<(u32, u32)>> = BinaryHeap::new();
    let mut lot = Lot(0x2545_f491_4f6c_dd1d);
    let mut before = 0;
    for now in 0..A_DAY * DAYS {
        while ends.peek().is_some_and(|Reverse((end, _))| *end <= now) {
            if let Some(Reverse((_, message))) = ends.pop() {
                model.end(message);
            }
        }
        let days = if lot.next() < stay { 90.0 } else { 1.0 };
        let life = -(1.0 - lot.next()).ln() * days * f64::from(A_DAY);
        ends.push(Reverse((now.saturating_add(life as u32), now)));
        model.come(now);
        if now % 100 == 0 {
            model.give_back(most);
        }
        if now == FROM * A_DAY {
            before = model.rewritten;
        }
    }
    (model.rewritten - before) as f64 / f64::from((DAYS - FROM) * A_DAY)
}

fn index(message: u32) -> usize {
    usize::try_from(message).expect("small")
}

/// The same numbers each time, from 0 to 1.
struct Lot(u64);

impl Lot {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}
