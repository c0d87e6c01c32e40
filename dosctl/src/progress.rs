//! The progress of a transfer: a bar on standard error for people, lines of JSON for programs.
//!
//! It begins with the command and not with the first report, so that the rate is that of the whole transfer from its first
//! moment on; nothing is drawn before there is something to show. Lines come ten times a second at most, besides the first
//! and the last of a step.

use std::time::{Duration, Instant};

use clap::builder::FalseyValueParser;
use dos_protocol::control::{Progress, Step};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::{Screen, Stream, json};

/// Between two lines.
const LINE_EVERY: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
pub(crate) struct ProgressArgs {
    /// With --json: report progress in lines of JSON
    #[arg(long, env = "DOSCTL_PROGRESS", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub(crate) progress: bool,
}

/// How progress is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reporting {
    Silent,
    Bar,
    /// Lines of JSON.
    Lines(Stream),
}

/// Reports progress. A bar vanishes when this is dropped.
pub(crate) struct Meter(Kind);

enum Kind {
    Silent,
    Bar(ProgressBar, &'static str),
    Lines(Lines),
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match &self.0 {
            Kind::Silent => "silent",
            Kind::Bar(..) => "bar",
            Kind::Lines(_) => "lines",
        };
        f.debug_tuple("Meter").field(&kind).finish()
    }
}

impl Meter {
    pub(crate) fn new(reporting: Reporting) -> Self {
        Self(match reporting {
            Reporting::Silent => Kind::Silent,
            Reporting::Bar => Kind::Bar(bar(), ""),
            Reporting::Lines(stream) => Kind::Lines(Lines::new(stream)),
        })
    }

    /// Takes the bar away until there is more to show.
    pub(crate) fn clear(&mut self) {
        if let Kind::Bar(bar, _) = &self.0 {
            bar.finish_and_clear();
            self.0 = Kind::Bar(self::bar(), "");
        }
    }

    pub(crate) fn report(&mut self, progress: Progress) {
        let step = match progress.step {
            Step::Fetching => "fetching",
            Step::Opening => "opening",
        };
        self.show(step, progress.done, progress.total);
    }

    /// Reports that `done` of `total` bytes are transferred; a total of 0 is unknown.
    pub(crate) fn show(&mut self, step: &'static str, done: u64, total: u64) {
        match &mut self.0 {
            Kind::Silent => {}
            Kind::Bar(bar, last) => {
                let begins = *last != step;
                if begins && !last.is_empty() {
                    bar.reset();
                }
                *last = step;
                let length = total.max(done);
                if bar.length() != Some(length) {
                    bar.set_length(length);
                }
                bar.set_position(done);
                if begins {
                    // What was here before has not come now.
                    bar.reset_eta();
                }
                bar.set_message(step);
            }
            Kind::Lines(lines) => {
                if let Some(line) = lines.next(step, (done, total), Instant::now()) {
                    Screen::aside(lines.stream, &json::Progress { progress: line });
                }
            }
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Kind::Bar(bar, _) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    let template =
        "{msg} [{bar:30}] {decimal_bytes}/{decimal_total_bytes}  {decimal_bytes_per_sec}  ETA {eta}";
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}

/// The lines of a transfer.
struct Lines {
    stream: Stream,
    step: &'static str,
    /// When the step began, and how many bytes were there by then.
    begun: (Instant, u64),
    last: Option<(Instant, u64)>,
}

impl Lines {
    fn new(stream: Stream) -> Self {
        Self { stream, step: "", begun: (Instant::now(), 0), last: None }
    }

    /// The line to write, if it is time for one.
    fn next(
        &mut self,
        step: &'static str,
        (done, total): (u64, u64),
        now: Instant,
    ) -> Option<json::Transfer> {
        if self.step != step {
            // The first step began with the command.
            let begun = if self.step.is_empty() { self.begun.0 } else { now };
            (self.step, self.begun, self.last) = (step, (begun, done), None);
        }
        let whole = total != 0 && done >= total;
        if let Some((at, before)) = self.last
            && (done == before || (!whole && now.saturating_duration_since(at) < LINE_EVERY))
        {
            return None;
        }
        self.last = Some((now, done));
        let millis = now.saturating_duration_since(self.begun.0).as_millis().max(1);
        let through = u128::from(done.saturating_sub(self.begun.1));
        let rate = u64::try_from(through * 1000 / millis).unwrap_or(u64::MAX);
        let to_go = u128::from(total.saturating_sub(done)) * 1000;
        let left_ms = (total != 0).then_some(to_go).and_then(|to_go| to_go.checked_div(u128::from(rate)));
        Some(json::Transfer {
            step,
            done,
            total: (total != 0).then_some(total),
            rate,
            left_ms: left_ms.and_then(|left| u64::try_from(left).ok()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_few_but_the_first_and_the_last_of_a_step_are_there() {
        let mut lines = Lines::new(Stream::Out);
        let begun = lines.begun.0;
        let mut told = Vec::new();
        for tick in 0..=1000u64 {
            let now = begun + Duration::from_millis(tick);
            told.extend(lines.next("fetching", (tick * 1000, 1_000_000), now));
        }
        assert_eq!(told.len(), 11);
        assert_eq!((told[0].done, told[0].left_ms), (0, None));
        let half = &told[5];
        assert_eq!((half.done, half.rate, half.left_ms), (500_000, 1_000_000, Some(500)));
        assert_eq!((told[10].done, told[10].total, told[10].left_ms), (1_000_000, Some(1_000_000), Some(0)));
        let next = lines.next("opening", (0, 7), begun + Duration::from_millis(1001)).unwrap();
        assert_eq!((next.step, next.rate), ("opening", 0));
    }

    #[test]
    fn a_resumed_transfer_has_the_rate_of_what_came_now() {
        let mut lines = Lines::new(Stream::Out);
        let begun = lines.begun.0;
        assert_eq!(lines.next("fetching", (900, 1000), begun).unwrap().rate, 0);
        let line = lines.next("fetching", (950, 1000), begun + Duration::from_secs(1)).unwrap();
        assert_eq!((line.rate, line.left_ms), (50, Some(1000)));
    }

    #[test]
    fn the_bar_of_a_resumed_transfer_starts_where_that_starts_and_has_its_rate() {
        let mut meter = Meter(Kind::Bar(ProgressBar::hidden(), ""));
        meter.show("fetching", 900_000_000, 1_000_000_000);
        let Kind::Bar(bar, _) = &meter.0 else { panic!("no bar") };
        assert_eq!((bar.position(), bar.length()), (900_000_000, Some(1_000_000_000)));
        assert!(bar.per_sec() < 1.0, "nothing has come yet, and that makes {} a second", bar.per_sec());
    }

    #[test]
    fn an_unknown_total_is_told_as_such() {
        let mut lines = Lines::new(Stream::Err);
        let line = lines.next("adding", (5, 0), Instant::now()).unwrap();
        assert_eq!((line.total, line.left_ms), (None, None));
    }
}
