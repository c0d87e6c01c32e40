//! Rows of results, as a table for people and as JSON. A ratio is always "ours divided by the raw limit".

use std::{fmt, path::Path};

use anyhow::Context as _;
use serde::Serialize;

/// In what a figure is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Unit {
    #[serde(rename = "KB")]
    Kilobytes,
    #[serde(rename = "/s")]
    PerSecond,
    #[serde(rename = "MB/s")]
    MegabytesPerSecond,
    #[serde(rename = "us")]
    Micros,
    #[serde(rename = "ms")]
    Millis,
    #[serde(rename = "s")]
    Seconds,
    #[serde(rename = "")]
    Count,
}

impl Unit {
    fn show(self, value: f64) -> String {
        let (digits, name) = match self {
            Self::Kilobytes => (1, " KB"),
            Self::PerSecond => (0, "/s"),
            Self::MegabytesPerSecond => (0, " MB/s"),
            Self::Micros => (0, " us"),
            Self::Millis => (2, " ms"),
            Self::Seconds => (2, " s"),
            Self::Count => (0, ""),
        };
        format!("{value:.digits$}{name}")
    }
}

/// What must be reached.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bar {
    /// The ratio is at most this.
    RatioAtMost(f64),
    /// The ratio is at least this.
    RatioAtLeast(f64),
    /// The raw limit takes at least this many times as long: "1.4 times as fast".
    TimesAsFast(f64),
    /// The figure itself is below this.
    Below(f64),
}

/// One measured thing.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    what: String,
    unit: Unit,
    ours: Option<f64>,
    raw: Option<f64>,
    /// What the raw limit is.
    raw_is: &'static str,
    ratio: Option<f64>,
    bar: Option<Bar>,
    ok: Option<bool>,
    note: String,
}

impl Row {
    /// A row with nothing in it yet.
    pub(crate) fn new(what: impl Into<String>, unit: Unit) -> Self {
        Self {
            what: what.into(),
            unit,
            ours: None,
            raw: None,
            raw_is: "",
            ratio: None,
            bar: None,
            ok: None,
            note: String::new(),
        }
    }

    /// What was measured of ours.
    pub(crate) fn ours(mut self, value: f64) -> Self {
        self.ours = Some(value);
        self.judged()
    }

    /// The raw limit, measured in the same run, and what it is.
    pub(crate) fn raw(mut self, value: f64, is: &'static str) -> Self {
        (self.raw, self.raw_is) = (Some(value), is);
        self.judged()
    }

    /// What must be reached.
    pub(crate) fn bar(mut self, bar: Bar) -> Self {
        self.bar = Some(bar);
        self.judged()
    }

    /// More about it, in a few words.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    fn judged(mut self) -> Self {
        self.ratio = self.ours.zip(self.raw).filter(|(_, raw)| *raw > 0.0).map(|(ours, raw)| ours / raw);
        self.ok = match self.bar {
            None => None,
            Some(Bar::RatioAtMost(limit)) => self.ratio.map(|ratio| ratio <= limit),
            Some(Bar::RatioAtLeast(limit)) => self.ratio.map(|ratio| ratio >= limit),
            Some(Bar::TimesAsFast(times)) => self.ratio.map(|ratio| ratio * times <= 1.0),
            Some(Bar::Below(limit)) => self.ours.map(|ours| ours < limit),
        };
        self
    }

    /// Whether a bar was missed.
    pub(crate) fn is_short(&self) -> bool {
        self.ok == Some(false)
    }

    fn cells(&self) -> [String; 7] {
        let show = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| self.unit.show(value));
        [
            self.what.clone(),
            show(self.ours),
            if self.raw.is_some() { format!("{} ({})", show(self.raw), self.raw_is) } else { "-".into() },
            self.ratio.map_or_else(|| "-".into(), |ratio| format!("{ratio:.2}")),
            match self.bar {
                None => "-".into(),
                Some(Bar::RatioAtMost(limit)) => format!("<= {limit}"),
                Some(Bar::RatioAtLeast(limit)) => format!(">= {limit}"),
                Some(Bar::TimesAsFast(times)) => format!(">= {times} times as fast"),
                Some(Bar::Below(limit)) => format!("< {}", self.unit.show(limit)),
            },
            match (self.ok, self.bar) {
                (Some(true), _) => "ok",
                (Some(false), _) => "SHORT",
                (None, Some(_)) => "not measured",
                (None, None) => "-",
            }
            .into(),
            self.note.clone(),
        ]
    }
}

/// All rows as a Markdown table.
pub(crate) struct Table<'a>(pub(crate) &'a [Row]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["what", "measured", "raw limit", "ratio", "bar", "", "note"].map(String::from);
        let lines: Vec<_> = std::iter::once(head).chain(self.0.iter().map(Row::cells)).collect();
        let mut widths = [0; 7];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for (number, line) in lines.iter().enumerate() {
            for (cell, width) in line.iter().zip(widths) {
                write!(f, "| {cell:width$} ")?;
            }
            writeln!(f, "|")?;
            if number == 0 {
                for width in widths {
                    write!(f, "| {:-<width$} ", "")?;
                }
                writeln!(f, "|")?;
            }
        }
        Ok(())
    }
}

/// Writes all rows as a JSON array.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn write_json(rows: &[Row], path: &Path) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(rows)?;
    std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_judged_by_the_ratio_or_the_figure() {
        let row = |bar| Row::new("x", Unit::Millis).ours(3.0).raw(2.0, "y").bar(bar).is_short();
        assert!(!row(Bar::RatioAtMost(1.5)) && row(Bar::RatioAtMost(1.4)));
        assert!(!row(Bar::RatioAtLeast(1.5)) && row(Bar::RatioAtLeast(1.6)));
        assert!(!row(Bar::TimesAsFast(0.6)) && row(Bar::TimesAsFast(0.7)));
        assert!(!row(Bar::Below(3.1)) && row(Bar::Below(3.0)));
    }

    #[test]
    fn what_was_not_measured_is_neither_reached_nor_missed() {
        let row = Row::new("x", Unit::Millis).ours(3.0).bar(Bar::RatioAtMost(1.0));
        assert!(!row.is_short());
        assert!(Table(&[row]).to_string().contains("not measured"));
    }
}
