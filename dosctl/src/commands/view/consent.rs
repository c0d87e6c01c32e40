//! Whether a view is to be spent: what a person is asked before, and what is refused where no one can be asked.
//!
//! What always holds: a script is asked nothing. One that has its picture in a file or on standard output is refused nothing
//! either; one that draws on a terminal with coloured half blocks alone says `--yes`.

use dos_protocol::{Allowance, Code, ImageArg, WireError, control::Spends};

use crate::{confirm::confirm, error::Error};

/// What is known of the caller and of the place for the picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four independent facts, each named where it is set")]
pub(super) struct Consent {
    /// The caller has agreed to everything.
    pub(super) yes: bool,
    /// The caller has agreed to the last view.
    pub(super) last: bool,
    /// The picture would be drawn with half blocks, which no one has asked for.
    pub(super) coarse: bool,
    /// A person can be asked.
    pub(super) can_ask: bool,
}

/// What is to be done before a view is spent.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Go,
    Ask(String),
    Refuse(WireError),
}

impl Consent {
    /// Makes sure that the view is wanted; asks a person where that is not clear.
    ///
    /// # Errors
    /// `usage` if it is not, or if there is no one to ask.
    pub(super) fn obtain(self, spends: Option<Spends>, image: &ImageArg) -> Result<(), Error> {
        match self.verdict(spends, image) {
            Verdict::Go => Ok(()),
            Verdict::Refuse(error) => Err(error.into()),
            Verdict::Ask(question) if confirm(&question)? => Ok(()),
            Verdict::Ask(_) => Err(Error::new(Code::Usage, "not viewed; no view was spent")),
        }
    }

    fn verdict(self, spends: Option<Spends>, image: &ImageArg) -> Verdict {
        let Some(Spends { left }) = spends.filter(|_| !self.yes) else { return Verdict::Go };
        let last = left == Allowance::Views(1) && !self.last;
        let preview = format!("dosctl preview {}", dos_host::shell::quoted(&image.to_string()));
        match (self.coarse, self.can_ask) {
            (true, true) => {
                let cost = match left {
                    Allowance::Views(1) => "the last view".into(),
                    Allowance::Views(left) => format!("one of {left} views"),
                    Allowance::Unlimited => "a view".into(),
                };
                Verdict::Ask(format!(
                    "This terminal draws {image} with coloured half blocks, which show less than `{preview}`, and that \
                     is free.\nSpend {cost} on it? [y/N] "
                ))
            }
            (true, false) => {
                let text = "this terminal draws with coloured half blocks alone, and a view would be spent: \
                            use -o FILE, or --yes";
                Verdict::Refuse(WireError::new(Code::Usage, text).hint(preview))
            }
            (false, true) if last => Verdict::Ask(format!("Spend the last view of {image}? [y/N] ")),
            (false, _) => Verdict::Go,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(consent: Consent, left: Option<u32>) -> Verdict {
        consent.verdict(Some(Spends { left: left.into() }), &"bob/sea".parse().unwrap())
    }

    #[test]
    fn a_person_is_asked_before_the_last_view_and_before_half_blocks() {
        let person = Consent { can_ask: true, ..Consent::default() };
        let coarse = Consent { coarse: true, ..person };
        assert_eq!(verdict(person, Some(2)), Verdict::Go);
        assert_eq!(verdict(person, None), Verdict::Go);
        assert_eq!(verdict(person, Some(1)), Verdict::Ask("Spend the last view of bob/sea? [y/N] ".into()));
        assert_eq!(verdict(Consent { last: true, ..person }, Some(1)), Verdict::Go);
        for (left, cost) in [(Some(1), "the last view"), (Some(3), "one of 3 views"), (None, "a view")] {
            let Verdict::Ask(question) = verdict(coarse, left) else { panic!("not asked") };
            assert!(question.contains(&format!("Spend {cost} on it?")), "{question}");
        }
        // To agree to the last view is not to agree to how it is drawn.
        assert!(matches!(verdict(Consent { last: true, ..coarse }, Some(1)), Verdict::Ask(_)));
        assert_eq!(verdict(Consent { yes: true, ..coarse }, Some(1)), Verdict::Go);
    }

    #[test]
    fn a_script_is_refused_half_blocks_and_nothing_else() {
        let script = Consent::default();
        assert_eq!(verdict(script, Some(1)), Verdict::Go);
        let coarse = Consent { coarse: true, ..script };
        let Verdict::Refuse(error) = verdict(coarse, Some(2)) else { panic!("not refused") };
        assert_eq!((error.code, error.hint.as_deref()), (Code::Usage, Some("dosctl preview bob/sea")));
        assert_eq!(verdict(Consent { yes: true, ..coarse }, Some(2)), Verdict::Go);
    }

    #[test]
    fn what_costs_nothing_is_not_asked_about() {
        let coarse = Consent { coarse: true, ..Consent::default() };
        assert_eq!(coarse.verdict(None, &"sea".parse().unwrap()), Verdict::Go);
    }
}
