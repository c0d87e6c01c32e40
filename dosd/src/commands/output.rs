//! What is shown, and where: data on standard output, everything else on standard error, as text or as JSON.

use std::io::{self, BufWriter, Write};

use dos_protocol::{
    WireError,
    text::{printable, safe_json},
};
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use crate::admin::AskError;

/// The version of the JSON documents.
const SCHEMA: u32 = 1;

/// Why a command failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// What there is to tell.
    Told(WireError),
    /// Nobody reads standard output any more.
    ClosedPipe,
}

impl From<WireError> for Failure {
    fn from(error: WireError) -> Self {
        Self::Told(error)
    }
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        Self::Told(error.into())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ClosedPipe;
        }
        let told = WireError::new(dos_protocol::Code::Internal, "cannot write to standard output");
        Self::Told(told.caused_by(error.to_string()))
    }
}

/// Standard output and standard error, as a command sees them.
pub(super) struct Screen {
    out: BufWriter<io::Stdout>,
    json: bool,
}

impl Screen {
    pub(super) fn of_process(json: bool) -> Self {
        Self { out: BufWriter::new(io::stdout()), json }
    }

    /// Data for people.
    pub(super) fn text(&mut self, text: &str) -> Result<(), Failure> {
        for line in text.split_inclusive('\n') {
            let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
            write!(self.out, "{}{end}", printable(line))?;
        }
        Ok(())
    }

    /// One document: `object` with the schema's version, or a line of text for people.
    pub(super) fn show(&mut self, mut object: Value, line: &str) -> Result<(), Failure> {
        if self.json {
            if let Some(map) = object.as_object_mut() {
                map.insert("schema".into(), SCHEMA.into());
            }
            Ok(writeln!(self.out, "{}", safe_json(&object.to_string()))?)
        } else {
            self.text(&format!("{line}\n"))
        }
    }

    /// Everything that was shown is on its way.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }

    /// Something that is no data.
    pub(super) fn note(&self, text: &str) {
        // If even standard error is closed there is nobody to tell.
        drop(io::stderr().write_all(text.as_bytes()));
    }

    /// Tells a person what went wrong, or a program.
    pub(super) fn fail(&self, error: &WireError) {
        let line = |name: &str, text: &str| format!("{name}: {}\n", printable(text));
        let part = |name, text: &Option<Box<str>>| text.as_ref().map(|text| line(name, text));
        if !self.json {
            let text =
                [Some(line("error", &error.message)), part("cause", &error.cause), part("hint", &error.hint)];
            return self.note(&text.into_iter().flatten().collect::<String>());
        }
        let mut object = json!({ "code": error.code.as_str(), "message": error.message });
        for (key, text) in [("cause", &error.cause), ("hint", &error.hint)] {
            if let Some(text) = text {
                object[key] = Value::from(&**text);
            }
        }
        let document = json!({ "error": object, "schema": SCHEMA }).to_string();
        self.note(&format!("{}\n", safe_json(&document)));
    }
}

/// A list that is shown page by page: one JSON document, or a table whose columns fit what came so far. Nothing is shown
/// before the first page: a command that fails at once has no output.
pub(super) struct List<'a> {
    screen: &'a mut Screen,
    key: &'static str,
    columns: &'static [&'static str],
    widths: Vec<usize>,
    begun: bool,
}

/// A row, as an object and as cells.
pub(super) type ListRow = (Value, Vec<String>);

impl<'a> List<'a> {
    /// A list under this key, or with these columns.
    pub(super) fn new(screen: &'a mut Screen, key: &'static str, columns: &'static [&'static str]) -> Self {
        let widths = columns.iter().map(|column| column.len()).collect();
        Self { screen, key, columns, widths, begun: false }
    }

    /// Adds a page.
    pub(super) fn page(&mut self, rows: Vec<ListRow>) -> Result<(), Failure> {
        if self.screen.json { self.json(rows) } else { self.table(rows) }
    }

    fn json(&mut self, rows: Vec<ListRow>) -> Result<(), Failure> {
        for (object, _) in rows {
            let object = object.to_string();
            let object = safe_json(&object);
            if self.begun {
                write!(self.screen.out, ",{object}")?;
            } else {
                write!(self.screen.out, "{}{object}", self.opening())?;
            }
            self.begun = true;
        }
        Ok(())
    }

    fn opening(&self) -> String {
        format!("{{\"schema\":{SCHEMA},\"{}\":[", self.key)
    }

    fn table(&mut self, rows: Vec<ListRow>) -> Result<(), Failure> {
        for (_, cells) in &rows {
            for (width, cell) in self.widths.iter_mut().zip(cells) {
                *width = (*width).max(printable(cell).width());
            }
        }
        if !self.begun && !rows.is_empty() {
            self.begun = true;
            self.line(self.columns.iter().copied())?;
        }
        rows.iter().try_for_each(|(_, cells)| self.line(cells.iter().map(String::as_str)))
    }

    fn line<'b>(&mut self, cells: impl Iterator<Item = &'b str>) -> Result<(), Failure> {
        let mut line = String::new();
        for (cell, width) in cells.zip(&self.widths) {
            let cell = printable(cell);
            // Formatting with a width would count characters, of which some take two columns and some none.
            let padding = width.saturating_sub(cell.width());
            line += &format!("{cell}{:padding$}  ", "");
        }
        Ok(writeln!(self.screen.out, "{}", line.trim_end())?)
    }

    /// Nothing more comes.
    pub(super) fn end(self) -> Result<(), Failure> {
        if self.screen.json {
            let opening = if self.begun { String::new() } else { self.opening() };
            writeln!(self.screen.out, "{opening}]}}")?;
        }
        Ok(())
    }
}

/// A value that may be missing, for a table.
pub(super) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".into(), |value| value.to_string())
}

/// A value that may be missing, for JSON.
pub(super) fn or_null(value: Option<impl ToString>) -> Value {
    value.map_or(Value::Null, |value| value.to_string().into())
}
