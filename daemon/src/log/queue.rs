//! Lines on their way to whoever reads the log: a bounded queue, and a thread of its own that writes them.
//!
//! What always holds: logging never waits for a reader. Lines for which there is no room are counted and left out, and when there
//! is room again the log says how many those were. At the end what is left is written, as long as that takes less than
//! [`FLUSH_TIME_MAX`].

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use tracing_subscriber::fmt::MakeWriter;

/// What waits for a reader: some ten thousand lines.
const QUEUE_BYTES_MAX: usize = 1 << 20;

/// How long the end of the program waits for what is left to be read.
pub(super) const FLUSH_TIME_MAX: Duration = Duration::from_millis(500);

/// Lines left out since the start.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// How many lines of the log were left out since the start, because no one read it.
#[must_use]
pub fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// The queue; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// There is something to write.
    filled: Condvar,
    /// Everything is written.
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    /// What was taken to be written is not written yet.
    is_writing: bool,
    /// Lines left out that the log does not tell of yet.
    dropped: u64,
}

impl Queue {
    fn add(&self, line: &[u8]) {
        let mut state = self.0.state.lock();
        if state.waiting.len() + line.len() > QUEUE_BYTES_MAX {
            state.dropped += 1;
            DROPPED.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.waiting.extend_from_slice(line);
        drop(state);
        self.0.filled.notify_one();
    }

    /// Writes what comes, for ever.
    pub(super) fn write_to(&self, mut output: impl Write) {
        loop {
            let mut state = self.0.state.lock();
            state.is_writing = false;
            if state.waiting.is_empty() {
                self.0.emptied.notify_all();
                self.0.filled.wait_while(&mut state, |state| state.waiting.is_empty());
            }
            let lines = std::mem::take(&mut state.waiting);
            state.is_writing = true;
            drop(state);
            // Without a reader there is no one to tell. A disk that is full now may have room for the next lines.
            drop(output.write_all(&lines));
            let dropped = std::mem::take(&mut self.0.state.lock().dropped);
            if dropped > 0 {
                // An event like any other, in the form of the others.
                tracing::warn!(lines = dropped, "the log was not read in time, and lines were left out here");
            }
        }
    }

    /// Waits until everything is written, if it is read in time.
    pub(super) fn flush(&self) {
        let deadline = Instant::now() + FLUSH_TIME_MAX;
        let mut state = self.0.state.lock();
        while !state.waiting.is_empty() || state.is_writing {
            if self.0.emptied.wait_until(&mut state, deadline).timed_out() {
                return;
            }
        }
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { queue: self, bytes: Vec::new() }
    }
}

/// A line that is being made; it is queued when it is whole.
#[derive(Debug)]
pub(super) struct Line<'a> {
    queue: &'a Queue,
    bytes: Vec<u8>,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.queue.add(&self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{SyncSender, sync_channel};

    use super::*;

    /// A reader that takes what is written only when it is asked to.
    struct Reader(SyncSender<Vec<u8>>);

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // The end of the test is the end of the reader.
            self.0.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn log(queue: &Queue, line: &str) {
        queue.make_writer().write_all(line.as_bytes()).unwrap();
    }

    #[test]
    fn without_a_reader_nothing_waits_and_what_has_no_room_is_left_out() {
        let queue = Queue::default();
        let (sender, reader) = sync_channel(0);
        let writing = queue.clone();
        std::thread::spawn(move || writing.write_to(Reader(sender)));
        let line = format!("{}\n", "x".repeat(1000));
        let begun = Instant::now();
        for _ in 0..10_000 {
            log(&queue, &line);
        }
        queue.flush();
        assert!(begun.elapsed() < Duration::from_secs(5));
        let left_out = queue.0.state.lock().dropped;
        assert!(left_out >= 10_000 - 2 * 1050, "{left_out}");
        assert!(queue.0.state.lock().waiting.len() <= QUEUE_BYTES_MAX);
        let mut read = 0;
        while read + usize::try_from(left_out).unwrap() < 10_000 {
            read += reader.recv_timeout(Duration::from_secs(20)).unwrap().len() / line.len();
        }
        queue.flush();
        assert_eq!(queue.0.state.lock().dropped, 0, "told when there was a reader again");
    }

    #[test]
    fn a_flush_waits_until_everything_is_written() {
        let queue = Queue::default();
        let (sender, reader) = sync_channel(100);
        let writing = queue.clone();
        std::thread::spawn(move || writing.write_to(Reader(sender)));
        log(&queue, "one\n");
        log(&queue, "two\n");
        queue.flush();
        assert_eq!(reader.try_iter().collect::<Vec<_>>().concat(), b"one\ntwo\n");
    }
}
