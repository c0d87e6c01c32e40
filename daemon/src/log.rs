//! The log on standard error: one line per event.
//!
//! Where standard error is the journal, each line begins with its priority (sd-daemon(3)) and has no time of its own, since
//! the journal keeps both. For programs each line is a JSON object, wherever it goes; in the journal its priority stands
//! before it all the same. What always holds outside a terminal: an event is one line, whatever its fields contain, so that
//! nobody can forge another one, or its priority. And nothing waits for who reads the log ([`queue`]): a reader that stops, or a
//! terminal that is held, holds up neither a daemon nor its end.

mod json;
mod queue;
mod throttle;

use std::{
    ffi::OsStr,
    fmt,
    fs::File,
    io::{self, IsTerminal, Write},
    os::{fd::AsFd, unix::fs::MetadataExt},
    panic,
    sync::mpsc::sync_channel,
    thread,
};

use dos_host::variables::var_os;
use serde::Deserialize;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Writer},
        layer,
    },
    layer::SubscriberExt as _,
    registry::LookupSpan,
    reload::{self, Handle},
    util::SubscriberInitExt as _,
};

use self::{json::Json, queue::Queue};
pub use self::{queue::dropped, throttle::Throttle};

/// Why there is no log, or not the one that is wanted.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Neither a level nor a filter.
    #[error("cannot understand the log level {0}")]
    Filter(String, #[source] tracing_subscriber::filter::ParseError),
    /// The process logs already.
    #[error("the log is set up already")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
    /// There is no thread to write it.
    #[error("cannot start the thread that writes the log")]
    Thread(#[source] io::Error),
    /// The filter cannot be changed any more.
    #[error("cannot change what is logged")]
    Reload(#[source] reload::Error),
}

/// For whom the log is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// For programs: one JSON object a line, with timestamp, level, target, message and fields
    Json,
}

/// How an event is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// For people at a terminal: time and colours.
    Colours,
    /// For files and pipes: time, no colours.
    Plain,
    /// For the journal: the priority in front, neither time nor level.
    Journal,
    /// For programs: an object.
    Json,
    /// For programs that read the journal: an object with the priority in front.
    JournalJson,
}

impl Style {
    /// The one that fits this process's standard error and its `NO_COLOR` (<https://no-color.org>).
    #[must_use]
    pub fn of_stderr(format: LogFormat) -> Self {
        let stderr = io::stderr();
        let is_journal = var_os("JOURNAL_STREAM").is_some_and(|stream| is_journal(&stderr, &stream));
        if format == LogFormat::Json {
            if is_journal { Self::JournalJson } else { Self::Json }
        } else if is_journal {
            Self::Journal
        } else if stderr.is_terminal() && var_os("NO_COLOR").is_none() {
            Self::Colours
        } else {
            Self::Plain
        }
    }
}

/// Whether `output` is the stream that systemd has connected with the journal, as `JOURNAL_STREAM` has its device and inode
/// (systemd.exec(5)): the variable alone is inherited by children whose output goes elsewhere.
fn is_journal(output: &impl AsFd, stream: &OsStr) -> bool {
    let status = || File::from(output.as_fd().try_clone_to_owned().ok()?).metadata().ok();
    let Some(status) = status() else { return false };
    *stream == *format!("{}:{}", status.dev(), status.ino())
}

/// The log of this process.
#[derive(Debug)]
pub struct Log {
    filter: Handle<EnvFilter, Registry>,
    queue: Queue,
}

/// Writes what is left of the log when it is dropped, as far as it is read in time.
#[derive(Debug)]
pub struct Flush(Queue);

impl Drop for Flush {
    fn drop(&mut self) {
        self.0.flush();
    }
}

/// A line that must reach whoever reads standard error at the end of the program, as far as it is read in time.
pub fn last_words(text: String) {
    let (done, told) = sync_channel(1);
    let telling = move || {
        // If even standard error is closed there is nobody to tell.
        drop(io::stderr().write_all(text.as_bytes()));
        done.send(()).unwrap_or_default();
    };
    if thread::Builder::new().spawn(telling).is_ok() {
        told.recv_timeout(queue::FLUSH_TIME_MAX).unwrap_or_default();
    }
}

impl Log {
    /// Starts it. `filter` is a level (`error`, `warn`, `info`, `debug`, `trace`) or a filter per module as tracing has it.
    ///
    /// # Errors
    /// [`LogError::Filter`]; [`LogError::Twice`] in a process that has one; [`LogError::Thread`].
    pub fn start(filter: &str, style: Style) -> Result<Self, LogError> {
        let (filter, handle) = reload::Layer::new(parse(filter)?);
        let queue = Queue::default();
        let events = layer().with_writer(queue.clone()).with_ansi(style == Style::Colours);
        let events: Box<dyn Layer<_> + Send + Sync> = match style {
            Style::Colours => events.boxed(),
            Style::Plain => {
                events.event_format(OneLine { format: Format::default(), priority: false, cut: true }).boxed()
            }
            Style::Journal => {
                let format = Format::default().without_time().with_level(false);
                events.event_format(OneLine { format, priority: true, cut: true }).boxed()
            }
            Style::Json => events.event_format(OneLine { format: Json, priority: false, cut: false }).boxed(),
            Style::JournalJson => {
                events.event_format(OneLine { format: Json, priority: true, cut: false }).boxed()
            }
        };
        tracing_subscriber::registry().with(filter).with(events).try_init().map_err(LogError::Twice)?;
        // Not through the standard library's handle, whose lock the thread would hold while nobody reads.
        let stderr = io::stderr().as_fd().try_clone_to_owned();
        let output: Box<dyn Write + Send> = match stderr {
            Ok(stderr) => Box::new(File::from(stderr)),
            Err(_) => Box::new(io::sink()),
        };
        let writing = queue.clone();
        let thread = thread::Builder::new().name("log".into()).spawn(move || writing.write_to(output));
        thread.map_err(LogError::Thread)?;
        log_panics(queue.clone());
        Ok(Self { filter: handle, queue })
    }

    /// Writes what is left of the log when what this returns is dropped.
    #[must_use]
    pub fn flush_at_end(&self) -> Flush {
        Flush(self.queue.clone())
    }

    /// Logs by another filter from now on.
    ///
    /// # Errors
    /// [`LogError::Filter`], and then the old one stays in force; [`LogError::Reload`].
    pub fn set_filter(&self, filter: &str) -> Result<(), LogError> {
        self.filter.reload(parse(filter)?).map_err(LogError::Reload)
    }
}

/// Has panics logged like anything else: the standard library's own words would wait for who reads them.
fn log_panics(queue: Queue) {
    panic::set_hook(Box::new(move |panicked| {
        let backtrace = std::backtrace::Backtrace::capture();
        let backtrace =
            (backtrace.status() == std::backtrace::BacktraceStatus::Captured).then_some(backtrace);
        tracing::error!(backtrace = backtrace.map(tracing::field::display), "{panicked}");
        queue.flush();
    }));
}

/// Whether that is a filter.
///
/// # Errors
/// [`LogError::Filter`].
pub fn check_filter(filter: &str) -> Result<(), LogError> {
    parse(filter).map(drop)
}

fn parse(filter: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::try_new(filter).map_err(|error| LogError::Filter(filter.to_owned(), error))
}

/// Writes an event as `format` does, in one line.
struct OneLine<F> {
    format: F,
    /// The priority comes first.
    priority: bool,
    /// A long line is cut; an object would be none any more.
    cut: bool,
}

/// A longer line is cut. Nothing that is logged needs more; a field may be text of somebody else.
const LINE_BYTES_MAX: usize = 8 << 10;

impl<S, N, F> FormatEvent<S, N> for OneLine<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut text = String::new();
        self.format.format_event(context, Writer::new(&mut text), event)?;
        if self.cut {
            cut(&mut text, LINE_BYTES_MAX);
        }
        if self.priority {
            write!(writer, "<{}>", priority(*event.metadata().level()))?;
        }
        writeln!(writer, "{}", text.trim_end_matches('\n').replace('\n', "\\n").replace('\r', "\\r"))
    }
}

/// Cuts a longer text between two characters.
fn cut(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        let at = (0..=bytes_max).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(at.unwrap_or(0));
        text.push_str("...");
    }
}

/// The priority of syslog (RFC 5424, section 6.2.1). What is of use to operators day by day is `info`.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        error::Error,
        io::Write,
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::{
        filter::Directive,
        fmt::format::{DefaultFields, Full},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged<F>(format: OneLine<F>, log: impl FnOnce()) -> String
    where
        OneLine<F>: FormatEvent<Registry, DefaultFields> + Send + Sync + 'static,
    {
        let lines = Lines::default();
        let writer = lines.clone();
        let events = layer().with_writer(move || writer.clone()).with_ansi(false).event_format(format);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(events), log);
        lines.text()
    }

    fn journal() -> OneLine<Format<Full, ()>> {
        OneLine {
            format: Format::default().without_time().with_level(false).with_target(false),
            priority: true,
            cut: true,
        }
    }

    #[test]
    fn a_long_line_is_cut_between_characters_and_a_long_field_of_an_object_too() {
        let long = "\u{1f980}".repeat(10_000);
        let text = logged(journal(), || tracing::info!(name = %long, "x"));
        assert!(text.len() < LINE_BYTES_MAX + 10 && text.ends_with("\u{1f980}...\n"), "{}", text.len());
        let text = logged(OneLine { format: Json, priority: false, cut: false }, || {
            tracing::info!(name = %long, other = &*long, "x");
        });
        let event: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(text.len() < 2 * LINE_BYTES_MAX && event["name"].as_str().unwrap().ends_with("\u{1f980}..."));
    }

    #[test]
    fn lines_for_the_journal_carry_their_priority_and_no_time() {
        let text = logged(journal(), || {
            tracing::error!(why = 1, "a");
            tracing::warn!("b");
            tracing::info!("c");
            tracing::debug!("d");
        });
        assert_eq!(text, "<3>a why=1\n<4>b\n<6>c\n<7>d\n");
    }

    #[test]
    fn no_field_can_begin_a_line_of_its_own() {
        let text = logged(journal(), || tracing::info!(name = %"x\n<0>the disk is on fire\r\n", "hello"));
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.starts_with("<6>hello name=x"), "{text}");
    }

    #[test]
    fn for_programs_an_event_is_an_object_of_one_line_with_its_priority_in_the_journal() {
        let format = OneLine { format: Json, priority: true, cut: false };
        let text = logged(format, || {
            let cause =
                io::Error::other(LogError::Filter("x".into(), "a=loud".parse::<Directive>().unwrap_err()));
            let error = &cause as &dyn Error;
            tracing::warn!(name = %"x\n\"<0>", count = 3, level = "none", error, "hello");
        });
        let line = text.strip_prefix("<4>").unwrap().strip_suffix('\n').unwrap();
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["level"], "WARN");
        assert_eq!(event["message"], "hello");
        assert_eq!(event["name"], "x\n\"<0>");
        assert_eq!(event["count"], 3);
        assert!(
            event["error"].as_str().unwrap().starts_with("cannot understand the log level x: "),
            "{event}"
        );
        assert!(event["timestamp"].as_str().unwrap().ends_with('Z'), "{event}");
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn only_the_stream_that_was_named_is_the_journal() {
        let file = tempfile::tempfile().unwrap();
        let status = file.metadata().unwrap();
        let named = format!("{}:{}", status.dev(), status.ino());
        assert!(is_journal(&file, OsStr::new(&named)));
        for other in ["", ":", "1:1", &format!("{named}0")] {
            assert!(!is_journal(&file, OsStr::new(other)), "{other}");
        }
    }

    #[test]
    fn a_filter_that_makes_no_sense_is_refused() {
        assert!(matches!(parse("dosd=loud"), Err(LogError::Filter(..))));
        assert!(parse("info,dosd::session=debug").is_ok());
    }
}
