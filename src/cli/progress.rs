//! A progress bar for long work, on a terminal only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Shown while `what` goes on; gone when dropped.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Starts a spinner for work on `bytes` bytes; nothing is shown for small work or where standard error is no terminal.
    pub(crate) fn start(what: &'static str, bytes: usize) -> Self {
        const LONG: usize = 4 << 20;
        if bytes < LONG {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner();
        bar.set_style(
            ProgressStyle::with_template("{spinner} {msg} {elapsed}").unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        bar.set_message(format!("{what} ({} MiB)", bytes >> 20));
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(bar)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
