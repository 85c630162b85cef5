//! Where the bytes of messages lie: the store's files and rows, beside an append-only log, each on disk when it says so.
//!
//! `cargo bench --bench bodies -- [folder=FOLDER] [rounds=N] [millis=N]`: works in a new folder below FOLDER (where cargo runs it), which must be on a
//! disk and not in memory, and takes up to 2 GiB there. All ways take turns in each round. A rate is the median of the rounds, and so is what
//! a message costs the processor (all threads of this process, and not what the kernel does later); a ratio is the median of the rounds' ratios to
//! the store. `benches/bodies/zstd` measures what would be saved by compressing.
#![allow(clippy::print_stdout, reason = "its result")]

mod lives;
mod log;
mod ways;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use log::Used;
use ways::{Files, LogAndRows, Rows, Store, Way};

const THREADS: [usize; 3] = [1, 10, 50];

/// 16 KiB stand in a row, and what is larger in a file.
const SIZES: [usize; 6] = [4 << 10, 16 << 10, 17 << 10, 32 << 10, 75 << 10, 1 << 20];

const NAMES: [&str; 7] = ["store", "log + its rows", "used log + its rows", "files", "log", "used log", "rows"];

struct Bench {
    folder: PathBuf,
    used: Used,
    rounds: usize,
    time: Duration,
}

/// Messages in a second, and processor milliseconds of one.
#[derive(Clone, Copy)]
struct Taken {
    rate: f64,
    cost: f64,
}

fn main() {
    let args: std::collections::HashMap<String, String> = std::env::args()
        .skip(1)
        .filter_map(|arg| arg.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())))
        .collect();
    let number = |key: &str, usual: u64| args.get(key).map_or(usual, |text| text.parse().expect("a number"));
    let folder = args.get("folder").map_or(".", String::as_str);
    let folder = tempfile::Builder::new().prefix("bodies-").tempdir_in(folder).expect("a folder");
    let bench = Bench {
        folder: folder.path().to_owned(),
        used: Used::new(&folder.path().join("used")),
        rounds: usize::try_from(number("rounds", 5)).expect("small"),
        time: Duration::from_millis(number("millis", 700)),
    };
    for size in SIZES {
        for threads in THREADS {
            bench.compare(size, threads);
        }
    }
    for size in [75 << 10, 1 << 20] {
        bench.delete(size);
    }
    lives::tell();
}

impl Bench {
    fn compare(&self, size: usize, threads: usize) {
        let mut taken: [Vec<Taken>; NAMES.len()] = Default::default();
        for _ in 0..self.rounds {
            for (taken, name) in taken.iter_mut().zip(NAMES) {
                let folder = self.folder.join("round");
                std::fs::create_dir(&folder).expect("made");
                let way = self.way(name, &folder, size);
                taken.push(self.load(way.as_ref(), size, threads));
                drop(way);
                self.remove(&folder);
            }
        }
        let [store, ..] = &taken;
        for (taken, name) in taken.iter().zip(NAMES) {
            let rate = median(taken.iter().map(|one| one.rate));
            let cost = median(taken.iter().map(|one| one.cost));
            let ratio = |of: fn(&Taken) -> f64| median(taken.iter().zip(store).map(|(one, store)| of(one) / of(store)));
            println!(
                "{:4} KiB, {threads:2} threads  {name:20} {rate:8.0} /s ({:5.2})  {cost:7.3} CPU-ms each ({:5.2})",
                size >> 10,
                ratio(|one| one.rate),
                ratio(|one| one.cost)
            );
        }
    }

    fn way(&self, name: &str, folder: &Path, size: usize) -> Box<dyn Way> {
        match name {
            "store" => Box::new(Store::new(folder)),
            "log + its rows" => Box::new(LogAndRows::new(folder, log::Log::grows(folder, size))),
            "used log + its rows" => Box::new(LogAndRows::new(folder, self.used.log(size))),
            "files" => Box::new(Files::new(folder)),
            "log" => Box::new(log::Log::grows(folder, size)),
            "used log" => Box::new(self.used.log(size)),
            _ => Box::new(Rows::new(folder)),
        }
    }

    fn load(&self, way: &dyn Way, size: usize, threads: usize) -> Taken {
        // what only the first one pays for is not counted
        way.keep(&body(size, threads));
        let (begin, before) = (Instant::now(), processor());
        let count: usize = std::thread::scope(|scope| {
            let thread = |number: usize| {
                let mut body = body(size, number);
                let mut count = 0_usize;
                while begin.elapsed() < self.time {
                    count += 1;
                    body[..8].copy_from_slice(&count.to_be_bytes());
                    way.keep(&body);
                }
                count
            };
            let all: Vec<_> = (0..threads).map(|number| scope.spawn(move || thread(number))).collect();
            all.into_iter().map(|one| one.join().expect("it keeps them")).sum()
        });
        let (seconds, spent) = (begin.elapsed().as_secs_f64(), processor() - before);
        Taken { rate: count as f64 / seconds, cost: spent * 1000.0 / count as f64 }
    }

    /// What it costs that a message goes: its file, or its place in the log, without the row.
    fn delete(&self, size: usize) {
        let count = (128 << 20) / size;
        let (mut files, mut holes) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            let folder = self.folder.join("round");
            std::fs::create_dir(&folder).expect("made");
            let way = Files::new(&folder);
            let names: Vec<PathBuf> = (0..count).map(|number| way.write(&body(size, number))).collect();
            self.sync(&folder);
            files.push(timed(count, || {
                names.iter().for_each(|name| std::fs::remove_file(name).expect("removed"));
                self.sync(&folder);
            }));
            let log = log::Log::grows(&folder, size);
            let places: Vec<_> = (0..count).map(|number| log.append(&body(size, number))).collect();
            log.sync();
            holes.push(timed(count, || {
                // not two that lie beside each other: what went at once needs one hole
                let (even, odd): (Vec<_>, Vec<_>) = places.iter().enumerate().partition(|(at, _)| at % 2 == 0);
                even.iter().chain(&odd).for_each(|(_, place)| log.punch(place));
                log.sync();
            }));
            drop((way, log));
            self.remove(&folder);
        }
        for (name, taken) in [("a file", files), ("a hole in the log", holes)] {
            let (rate, cost) = (median(taken.iter().map(|one| one.rate)), median(taken.iter().map(|one| one.cost)));
            println!("{:4} KiB, deleted     {name:20} {rate:8.0} /s          {cost:7.3} CPU-ms each", size >> 10);
        }
    }

    /// The next round does not pay for what this one leaves.
    fn remove(&self, folder: &Path) {
        std::fs::remove_dir_all(folder).expect("removed");
        self.sync(&self.folder);
    }

    fn sync(&self, folder: &Path) {
        std::fs::File::open(folder).and_then(|folder| folder.sync_all()).expect("synced");
    }
}

fn timed(count: usize, work: impl FnOnce()) -> Taken {
    let (begin, before) = (Instant::now(), processor());
    work();
    let (seconds, spent) = (begin.elapsed().as_secs_f64(), processor() - before);
    Taken { rate: count as f64 / seconds, cost: spent * 1000.0 / count as f64 }
}

/// Bytes that nothing makes smaller.
fn body(size: usize, seed: usize) -> Vec<u8> {
    let mut state = u64::try_from(seed).expect("small").wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// CPU seconds of this process, system and user.
fn processor() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
