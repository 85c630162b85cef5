//! A progress bar for long work, on a terminal only.

use std::io::Write;

use indicatif::{ProgressBar, ProgressStyle};

/// Shown while work goes on; gone when dropped.
pub(crate) struct Progress(ProgressBar);

/// Work on less than this many bytes is over before anyone looks.
const LONG: usize = 4 << 20;

impl Progress {
    /// A bar for work that says how far it is, on `bytes` bytes; nothing is shown for small work or where standard error is no terminal.
    pub(crate) fn bar(what: &'static str, bytes: usize) -> Self {
        if bytes < LONG {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(u64::try_from(bytes).unwrap_or(u64::MAX));
        let template = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {eta}");
        bar.set_style(template.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what);
        Self(bar)
    }

    /// So many bytes more are done.
    pub(crate) fn advance(&self, bytes: usize) {
        self.0.inc(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// What is written to the sink counts as done.
    pub(crate) fn sink<'a>(&'a self, sink: &'a mut dyn Write) -> impl Write + 'a {
        Counted { sink, progress: self }
    }
}

/// What so many bytes become as lines of base64.
pub(crate) fn encoded(bytes: usize) -> usize {
    bytes.div_ceil(57) * 78
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

struct Counted<'a> {
    sink: &'a mut dyn Write,
    progress: &'a Progress,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.sink.write(bytes)?;
        self.progress.advance(written);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.sink.flush()
    }
}
