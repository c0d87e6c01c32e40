//! What a test needs of the machine, and what it does where that is missing.

use std::io::Write as _;

/// Whether there is a program of this name.
#[must_use]
pub fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(name).is_file())
}

/// Tells that the test called `test` is skipped, past the harness, which shows nothing of a test that passes.
pub fn skipped(test: &str, why: &str) {
    // Where there is no standard error, nobody reads it.
    drop(writeln!(std::io::stderr(), "skipped: {test}: {why}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_by_name() {
        assert!(has_program("sh"));
        assert!(!has_program("no-program-has-this-name"));
    }
}
