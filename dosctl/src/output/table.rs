//! Aligned tables with short headers. Cells are disarmed, numbers stand at the right; nothing is cut off.

use dos_protocol::name::printable;

use super::Text;

/// A table in the making.
#[derive(Debug)]
pub struct Table {
    header: Vec<&'static str>,
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns; those that begin with `>` stand at the right.
    #[must_use]
    pub fn new(columns: &[&'static str]) -> Self {
        let right = columns.iter().map(|column| column.starts_with('>')).collect();
        let header = columns.iter().map(|column| column.trim_start_matches('>')).collect();
        Self { header, right, rows: Vec::new() }
    }

    /// Adds a row, a cell for each column.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.into_iter().map(|cell| printable(&cell).into_owned()).collect());
    }

    /// Adds the table to `text`, the header in bold where there is colour.
    pub fn show(&self, text: &mut Text) {
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
        let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        let header = self.header.get(column).map_or(0, |header| header.len());
        cells.max().unwrap_or(0).max(header)
    }

    fn line<'a>(&self, cells: impl Iterator<Item = &'a str>, widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, width), right) in cells.zip(widths).zip(&self.right) {
            if !line.is_empty() {
                line.push_str("  ");
            }
            if *right {
                line.push_str(&format!("{cell:>width$}"));
            } else {
                line.push_str(&format!("{cell:<width$}"));
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}
