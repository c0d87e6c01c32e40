//! What the terminal can do: from its answers, where they come, and from the environment.
//!
//! The best comes first: kitty's protocol, then iTerm2's, then sixel, then half blocks. Pure: questions and answers pass
//! through [`crate::terminal`]. What a person types can pass for an answer: it can choose among the ways to draw and tell the
//! size of a cell, within bounds, and nothing else.

use super::{Colours, Graphics, kitty};

/// The cell of a terminal that does not tell: that of a VT340, which many keep for sixel.
pub(crate) const CELL_DEFAULT: (u16, u16) = (10, 20);

/// A cell that is larger than this, in pixels, is none.
const CELL_PIXELS_MAX: u16 = 200;

/// Which way to draw was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Wanted {
    /// What the terminal can do best
    Auto,
    /// The kitty graphics protocol
    Kitty,
    /// Inline images of iTerm2
    Iterm2,
    /// Sixel graphics
    Sixel,
    /// Half blocks
    Blocks,
    /// Nothing
    None,
}

/// What the environment tells of the terminal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Environment {
    /// `TERM`.
    pub(crate) term: String,
    /// `TERM_PROGRAM`.
    pub(crate) term_program: String,
    /// `LC_TERMINAL`, which iTerm2 sets and ssh passes on.
    pub(crate) lc_terminal: String,
    /// `COLORTERM`.
    pub(crate) colorterm: String,
    /// Whether `TMUX` or `STY` is set: the variables above then are those of another terminal.
    pub(crate) multiplexed: bool,
    /// `NO_COLOR` is set.
    pub(crate) no_color: bool,
}

impl Environment {
    /// This process's.
    #[must_use]
    pub(crate) fn of_process() -> Self {
        let text = |name| std::env::var_os(name).unwrap_or_default().to_string_lossy().into_owned();
        let set = |name| dos_host::variables::var_os(name).is_some();
        Self {
            term: text("TERM"),
            term_program: text("TERM_PROGRAM"),
            lc_terminal: text("LC_TERMINAL"),
            colorterm: text("COLORTERM"),
            multiplexed: set("TMUX") || set("STY"),
            no_color: set("NO_COLOR"),
        }
    }

    /// Whether anything but text can be written to it.
    #[must_use]
    pub(crate) fn is_capable(&self) -> bool {
        !self.term.is_empty() && self.term != "dumb"
    }

    /// Whether it can be asked: these two print parts of the questions.
    #[must_use]
    pub(crate) fn takes_questions(&self) -> bool {
        self.is_capable() && self.term != "linux" && self.term_program != "Apple_Terminal"
    }

    fn is_iterm2(&self) -> bool {
        !self.multiplexed
            && (matches!(self.term_program.as_str(), "iTerm.app" | "WezTerm" | "mintty")
                || self.lc_terminal == "iTerm2")
    }

    fn has_true_colour(&self) -> bool {
        matches!(self.colorterm.as_str(), "truecolor" | "24bit") || self.term.ends_with("-direct")
    }
}

/// The questions, the one that every terminal answers last: kitty's graphics, the terminal's name (XTVERSION), 24-bit
/// colours (XTGETTCAP of `RGB`), the size of a cell (XTWINOPS 16), and what it is (DA1).
#[must_use]
pub(crate) fn questions() -> Vec<u8> {
    [kitty::QUESTION, b"\x1b[>0q", b"\x1bP+q524742\x1b\\", b"\x1b[16t", b"\x1b[c"].concat()
}

/// What the terminal answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Answers {
    kitty: bool,
    sixel: bool,
    true_colour: bool,
    name: String,
    /// The size of a cell in pixels.
    pub(crate) cell: Option<(u16, u16)>,
    /// The last answer has come.
    pub(crate) complete: bool,
}

impl Answers {
    /// Reads them; whatever else was typed meanwhile is passed over.
    #[must_use]
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let mut answers = Self::default();
        let mut rest = bytes;
        while let Some(start) = rest.iter().position(|&byte| byte == 0x1b) {
            rest = &rest[start..];
            let end = match rest.get(1) {
                Some(b'[') => answers.control(rest),
                Some(b'_' | b'P') => answers.string(rest),
                _ => None,
            };
            rest = rest.get(end.unwrap_or(1)..).unwrap_or_default();
        }
        answers
    }

    /// A control sequence (ECMA-48 section 5.4); answers its length.
    fn control(&mut self, bytes: &[u8]) -> Option<usize> {
        let body = bytes.get(2..)?;
        let len = body.iter().position(|byte| (0x40..=0x7e).contains(byte))?;
        let parameters = body.get(..len).and_then(|text| str::from_utf8(text).ok()).unwrap_or_default();
        match body.get(len) {
            Some(b'c') => {
                if let Some(features) = parameters.strip_prefix('?') {
                    self.complete = true;
                    // The first is the kind of terminal, the 4 among the rest is sixel.
                    self.sixel |= features.split(';').skip(1).any(|feature| feature == "4");
                }
            }
            Some(b't') => {
                let numbers: Vec<u16> = parameters.split(';').filter_map(|text| text.parse().ok()).collect();
                if let [6, height, width] = numbers[..] {
                    self.cell = sound_cell((width, height));
                }
            }
            _ => {}
        }
        Some(len + 3)
    }

    /// A control string up to its terminator (ECMA-48 section 5.6); answers its length.
    fn string(&mut self, bytes: &[u8]) -> Option<usize> {
        let len = bytes.windows(2).position(|two| two == b"\x1b\\")?;
        let body = bytes.get(..len)?;
        if body.starts_with(kitty::YES) {
            self.kitty = true;
        } else if body.starts_with(b"\x1bP1+r524742") {
            self.true_colour = true;
        } else if let Some(name) = body.strip_prefix(b"\x1bP>|") {
            self.name = String::from_utf8_lossy(name).into_owned();
        }
        Some(len + 2)
    }

    fn is_iterm2(&self) -> bool {
        ["iTerm2", "WezTerm", "mintty"].iter().any(|name| self.name.starts_with(name))
    }
}

/// A cell's size, if it can be one.
#[must_use]
pub(crate) fn sound_cell(cell: (u16, u16)) -> Option<(u16, u16)> {
    let sound = |length| (1..=CELL_PIXELS_MAX).contains(&length);
    (sound(cell.0) && sound(cell.1)).then_some(cell)
}

/// How to draw, if at all. `NO_COLOR` speaks of the colours of text, so it forbids half blocks alone.
#[must_use]
pub(crate) fn choose(wanted: Wanted, answers: &Answers, environment: &Environment) -> Option<Graphics> {
    let true_colour = answers.true_colour || environment.has_true_colour();
    let blocks = Graphics::Blocks(if true_colour { Colours::True } else { Colours::Indexed });
    if !environment.is_capable() {
        return None;
    }
    match wanted {
        Wanted::None => None,
        Wanted::Kitty => Some(Graphics::Kitty),
        Wanted::Iterm2 => Some(Graphics::Iterm2),
        Wanted::Sixel => Some(Graphics::Sixel),
        Wanted::Blocks => Some(blocks),
        Wanted::Auto if answers.kitty => Some(Graphics::Kitty),
        Wanted::Auto if answers.is_iterm2() || environment.is_iterm2() => Some(Graphics::Iterm2),
        Wanted::Auto if answers.sixel => Some(Graphics::Sixel),
        Wanted::Auto => (!environment.no_color).then_some(blocks),
    }
}
