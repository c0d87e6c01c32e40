//! Aligned tables with short headers. Cells are disarmed, numbers stand at the right; nothing is cut off.
//!
//! Columns are as wide as a terminal shows them (Unicode Standard Annex #11): most CJK characters and emoji take two columns,
//! combining characters none.

use dos_protocol::name::printable;
use unicode_width::UnicodeWidthStr;

use super::Text;

/// A table in the making.
#[derive(Debug)]
pub(crate) struct Table {
    header: Vec<&'static str>,
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns; those that begin with `>` stand at the right.
    #[must_use]
    pub(crate) fn new(columns: &[&'static str]) -> Self {
        let right = columns.iter().map(|column| column.starts_with('>')).collect();
        let header = columns.iter().map(|column| column.trim_start_matches('>')).collect();
        Self { header, right, rows: Vec::new() }
    }

    /// Adds a row, a cell for each column.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.into_iter().map(|cell| printable(&cell).into_owned()).collect());
    }

    /// Adds the table to `text`, the header in bold where there is colour.
    pub(crate) fn show(&self, text: &mut Text) {
        let widths: Vec<usize> = (0..self.header.len()).map(|column| self.width(column)).collect();
        let header = self.line(self.header.iter().copied(), &widths);
        let (on, off) = if text.colour { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
        text.out.push_str(&format!("{on}{header}{off}\n"));
        for row in &self.rows {
            text.out.push_str(&self.line(row.iter().map(String::as_str), &widths));
            text.out.push('\n');
        }
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width());
        let header = self.header.get(column).map_or(0, |header| header.width());
        cells.max().unwrap_or(0).max(header)
    }

    fn line<'a>(&self, cells: impl Iterator<Item = &'a str>, widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, width), right) in cells.zip(widths).zip(&self.right) {
            if !line.is_empty() {
                line.push_str("  ");
            }
            let padding = " ".repeat(width.saturating_sub(cell.width()));
            let (before, after) = if *right { (&*padding, "") } else { ("", &*padding) };
            line.extend([before, cell, after]);
        }
        line.truncate(line.trim_end().len());
        line
    }
}

#[cfg(test)]
mod tests {
    use dos_protocol::Timestamp;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_a_terminal_shows_them() {
        let mut table = Table::new(&["IMAGE", ">SIZE", "ACCESS"]);
        for name in [
            "sea",
            "\u{6d77}\u{8fb9}",
            "e\u{301}te\u{301}",
            "\u{1f30a}",
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
        ] {
            table.row(vec![name.into(), "7 MB".into(), "own".into()]);
        }
        let mut text = Text::new(false, Timestamp(0));
        table.show(&mut text);
        let start = |line: &str| line.rsplit("  ").next().map(|last| line.width() - last.width());
        let starts: Vec<_> = text.out.lines().map(start).collect();
        assert_eq!(starts, [Some(13); 6], "{}", text.out);
    }
}
