//! The order of a program's modules: imports go down only.
//!
//! ARCHITECTURE.md states the order in blocks of code whose info string is `layers PROGRAM`: a line is a layer, upper lines
//! may import lower ones, and modules of one line do not import each other. `lib.rs` and `main.rs` are the wiring on top
//! and import what they like; nothing imports them. Code for tests is left out.

mod imports;
mod order;

use std::path::Path;

use anyhow::{Context, Result, bail};

use order::Order;

/// Programs whose order must be stated.
const PROGRAMS: [&str; 2] = ["dosd", "peerd"];

/// Where the orders are stated.
const DOCUMENT: &str = "ARCHITECTURE.md";

/// Checks every program under `root`, and prints what it found.
///
/// # Errors
/// If an import goes up or sideways, a module is not listed, or a listed one is not there.
pub(crate) fn run(root: &Path) -> Result<()> {
    let document = root.join(DOCUMENT);
    let text =
        std::fs::read_to_string(&document).with_context(|| format!("cannot read {}", document.display()))?;
    let mut broken = 0;
    for program in PROGRAMS {
        let order = Order::read(&text, program)?;
        let found = imports::of_program(&root.join(program).join("src"))?;
        let mut wrong = order.unlisted(&found.modules);
        wrong.extend(found.arrows.iter().filter_map(|arrow| order.breaks(arrow)));
        wrong.sort();
        wrong.dedup();
        let arrows = found.arrows.len();
        super::say(&format!("{program}: {} modules, {arrows} imports between them", found.modules.len()));
        for line in &wrong {
            super::say(&format!("  {line}"));
        }
        broken += wrong.len();
    }
    if broken > 0 {
        bail!("{broken} imports or modules break the order that {DOCUMENT} states")
    } else {
        Ok(())
    }
}
