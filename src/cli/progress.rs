//! A progress bar for long work, on a terminal only.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

/// Shown while work goes on, where anybody looks; gone when dropped.
pub(crate) struct Progress(Option<ProgressBar>);

/// Work on less than this many bytes is over before anyone looks.
const LONG: u64 = 4 << 20;
/// So is work on fewer things than this.
const MANY: u64 = 20;

impl Progress {
    /// A bar for work that says how far it is, on `bytes` bytes; nothing is shown for small work or where standard error is no terminal.
    pub(crate) fn bar(what: &'static str, bytes: u64) -> Self {
        Self::new(what, bytes, LONG, "{msg} {wide_bar} {bytes}/{total_bytes} {eta}")
    }

    /// A bar for work on many things, one after another.
    pub(crate) fn count(what: &'static str, things: usize) -> Self {
        Self::new(what, u64::try_from(things).unwrap_or(u64::MAX), MANY, "{msg} {wide_bar} {pos}/{len} {eta}")
    }

    fn new(what: &'static str, len: u64, least: u64, template: &str) -> Self {
        if len < least || !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::new(len);
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what);
        Self(Some(bar))
    }

    /// So many bytes, or things, more are done.
    pub(crate) fn advance(&self, more: usize) {
        if let Some(bar) = &self.0 {
            bar.inc(u64::try_from(more).unwrap_or(u64::MAX));
        }
    }

    /// So many bytes are done, and no more.
    pub(crate) fn set(&self, bytes: u64) {
        if let Some(bar) = &self.0 {
            bar.set_position(bytes);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
