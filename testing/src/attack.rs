//! How large an attack is: small in the suite, as large as it is meant with `cargo xtask attack`, and where its figures go.

use std::{env, io::Write};

/// Set to `long`, attacks have their full size.
const SIZE: &str = "DOS_ATTACK";

/// `long` with `cargo xtask attack`, `short` in the suite.
#[must_use]
pub fn size<T>(short: T, long: T) -> T {
    if env::var_os(SIZE).is_some_and(|size| size == "long") { long } else { short }
}

/// Prints a figure of an attack, also where the output of tests is captured.
pub fn report(attack: &str, figures: &str) {
    // Without a reader there is nobody to tell.
    drop(writeln!(std::io::stdout(), "attack: {attack}: {figures}"));
}
