//! The bar that shows how far a transfer is: on standard error, and only where somebody watches.
//!
//! It begins with the command and not with the first report, so that the rate is that of the whole transfer from its first
//! moment on; nothing is drawn before there is something to show.

use dos_protocol::control::{Progress, Step};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar that appears with the first progress and vanishes when dropped.
pub struct Bar {
    /// Where somebody watches.
    bar: Option<ProgressBar>,
}

impl std::fmt::Debug for Bar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bar").field("wanted", &self.bar.is_some()).finish_non_exhaustive()
    }
}

impl Bar {
    /// A bar, or, unless `wanted`, none.
    #[must_use]
    pub fn new(wanted: bool) -> Self {
        let bar = wanted.then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            let template =
                "{msg} [{bar:30}] {decimal_bytes}/{decimal_total_bytes}  {decimal_bytes_per_sec}  ETA {eta}";
            match ProgressStyle::with_template(template) {
                Ok(style) => bar.with_style(style.progress_chars("=> ")),
                Err(_) => bar,
            }
        });
        Self { bar }
    }

    /// Shows what peerd reports.
    pub fn report(&mut self, progress: Progress) {
        let step = match progress.step {
            Step::Fetching => "fetching",
        };
        self.show(step, progress.done, progress.total);
    }

    /// Shows that `done` of `total` bytes are through; a total of 0 is an unknown one.
    pub fn show(&mut self, step: &'static str, done: u64, total: u64) {
        let Some(bar) = &self.bar else { return };
        let length = total.max(done);
        if bar.length() != Some(length) {
            bar.set_length(length);
        }
        bar.set_position(done);
        bar.set_message(step);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
