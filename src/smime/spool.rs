//! What a verb reads, and where its result goes.

use std::io::{self, Read, Seek, Write};

use zeroize::Zeroize;

/// What a verb reads: it may be read once more from its start, where what comes late decides about what came early.
///
/// A file is one, and so is `std::io::Cursor` over bytes in memory; a pipe must be spooled by the caller.
pub trait Input: Read + Seek {}

impl<T: Read + Seek> Input for T {}

/// Where a result goes: a private place that nobody reads before the verb has ended well.
///
/// Opening writes plaintext here before it is checked, and signing writes before it is known whether every line may stay as it is; so
/// it may be begun anew, and a caller throws it away where the verb fails.
pub trait Spool: Write {
    /// Forgets what was written.
    fn restart(&mut self) -> io::Result<()>;

    /// Lends room for so many bytes, some KiB at most; they count as written, and whoever borrows fills them. `None` where it only copies,
    /// always then: lending saves that copy.
    fn lend(&mut self, bytes: usize) -> io::Result<Option<&mut [u8]>> {
        let _ = bytes;
        Ok(None)
    }

    /// Whether what is written from here on is encoded here, in lines of base64 (RFC 2045 6.8), up to [`Spool::end_base64`]. It is asked where
    /// a line begins, again and again: a spool that has a thread beside says yes once there is much to write.
    fn begin_base64(&mut self) -> io::Result<bool> {
        Ok(false)
    }

    /// Ends the last line; what is written then stays as it is. Only after a [`Spool::begin_base64`] that said yes.
    fn end_base64(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Spool for Vec<u8> {
    fn restart(&mut self) -> io::Result<()> {
        // nothing was written since the last time: the room that was reserved needs no wiping
        if !self.is_empty() {
            self.zeroize();
        }
        Ok(())
    }

    fn lend(&mut self, bytes: usize) -> io::Result<Option<&mut [u8]>> {
        let from = self.len();
        self.resize(from.saturating_add(bytes), 0);
        Ok(self.get_mut(from..))
    }
}

impl Spool for io::Sink {
    fn restart(&mut self) -> io::Result<()> {
        Ok(())
    }
}
