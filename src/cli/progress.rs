//! A progress bar for long work, on a terminal only.

use indicatif::{ProgressBar, ProgressStyle};

/// Shown while work goes on; gone when dropped.
pub(crate) struct Progress(ProgressBar);

/// Work on less than this many bytes is over before anyone looks.
const LONG: u64 = 4 << 20;
/// So is work on fewer things than this.
const MANY: usize = 20;

impl Progress {
    /// A bar for work that says how far it is, on `bytes` bytes; nothing is shown for small work or where standard error is no terminal.
    pub(crate) fn bar(what: &'static str, bytes: u64) -> Self {
        if bytes < LONG {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(bytes);
        let template = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {eta}");
        bar.set_style(template.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what);
        Self(bar)
    }

    /// A bar for work on many things, one after another.
    pub(crate) fn count(what: &'static str, things: usize) -> Self {
        if things < MANY {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(u64::try_from(things).unwrap_or(u64::MAX));
        let template = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}");
        bar.set_style(template.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what);
        Self(bar)
    }

    /// So many bytes, or things, more are done.
    pub(crate) fn advance(&self, more: usize) {
        self.0.inc(u64::try_from(more).unwrap_or(u64::MAX));
    }

    /// So many bytes are done, and no more.
    pub(crate) fn set(&self, bytes: u64) {
        self.0.set_position(bytes);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
