//! The log on standard error: one line per event.
//!
//! Where standard error is the journal, each line begins with its priority (sd-daemon(3)) and has no time of its own, since
//! the journal keeps both. For programs each line is a JSON object, wherever it goes; in the journal its priority stands
//! before it all the same. What always holds outside a terminal: an event is one line, whatever its fields contain, so that
//! nobody can forge another one, or its priority.

mod json;
mod throttle;

use std::{
    ffi::OsStr,
    fmt,
    fs::File,
    io::{self, IsTerminal},
    os::{fd::AsFd, unix::fs::MetadataExt},
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

use self::json::Json;
pub use self::throttle::Throttle;

/// Why there is no log, or not the one that is wanted.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Neither a level nor a filter.
    #[error("cannot understand the log level {0}")]
    Filter(String, #[source] tracing_subscriber::filter::ParseError),
    /// The process logs already.
    #[error("the log is set up already")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
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
}

impl Log {
    /// Starts it. `filter` is a level (`error`, `warn`, `info`, `debug`, `trace`) or a filter per module as tracing has it.
    ///
    /// # Errors
    /// [`LogError::Filter`]; [`LogError::Twice`] in a process that has one.
    pub fn start(filter: &str, style: Style) -> Result<Self, LogError> {
        let (filter, handle) = reload::Layer::new(parse(filter)?);
        let events = layer().with_writer(io::stderr).with_ansi(style == Style::Colours);
        let events: Box<dyn Layer<_> + Send + Sync> = match style {
            Style::Colours => events.boxed(),
            Style::Plain => {
                events.event_format(OneLine { format: Format::default(), priority: false }).boxed()
            }
            Style::Journal => {
                let format = Format::default().without_time().with_level(false);
                events.event_format(OneLine { format, priority: true }).boxed()
            }
            Style::Json => events.event_format(OneLine { format: Json, priority: false }).boxed(),
            Style::JournalJson => events.event_format(OneLine { format: Json, priority: true }).boxed(),
        };
        tracing_subscriber::registry().with(filter).with(events).try_init().map_err(LogError::Twice)?;
        Ok(Self { filter: handle })
    }

    /// Logs by another filter from now on.
    ///
    /// # Errors
    /// [`LogError::Filter`], and then the old one stays in force; [`LogError::Reload`].
    pub fn set_filter(&self, filter: &str) -> Result<(), LogError> {
        self.filter.reload(parse(filter)?).map_err(LogError::Reload)
    }
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
}

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
        if self.priority {
            write!(writer, "<{}>", priority(*event.metadata().level()))?;
        }
        writeln!(writer, "{}", text.trim_end_matches('\n').replace('\n', "\\n").replace('\r', "\\r"))
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

    use tracing_subscriber::{filter::Directive, fmt::format::Full};

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

    fn logged(format: OneLine<Format<Full, ()>>, log: impl FnOnce()) -> String {
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
        }
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
        let lines = Lines::default();
        let writer = lines.clone();
        let format = OneLine { format: Json, priority: true };
        let events = layer().with_writer(move || writer.clone()).with_ansi(false).event_format(format);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(events), || {
            let cause =
                io::Error::other(LogError::Filter("x".into(), "a=loud".parse::<Directive>().unwrap_err()));
            let error = &cause as &dyn Error;
            tracing::warn!(name = %"x\n\"<0>", count = 3, level = "none", error, "hello");
        });
        let text = lines.text();
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
