//! The order as the document states it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};

use super::imports::Arrow;

/// The modules of a program, each with its layer: 0 is the top.
pub(super) struct Order(BTreeMap<String, usize>);

impl Order {
    /// Reads the block `layers PROGRAM` of the document.
    ///
    /// # Errors
    /// If there is none, or a module stands in it twice.
    pub(super) fn read(document: &str, program: &str) -> Result<Self> {
        let head = format!("```layers {program}");
        let mut lines = document.lines().skip_while(|line| *line != head);
        lines.next().with_context(|| format!("there is no block `{head}`"))?;
        let mut layers = BTreeMap::new();
        for (layer, line) in lines.take_while(|line| !line.starts_with("```")).enumerate() {
            for module in line.split([',', ' ']).filter(|word| !word.is_empty()) {
                if layers.insert(module.to_owned(), layer).is_some() {
                    bail!("{module} stands twice in `{head}`");
                }
            }
        }
        Ok(Self(layers))
    }

    /// Modules that are there and not listed, or the other way round.
    pub(super) fn unlisted(&self, modules: &BTreeSet<String>) -> Vec<String> {
        let listed: BTreeSet<String> = self.0.keys().cloned().collect();
        let missing = modules.difference(&listed).map(|module| format!("{module} is not listed"));
        let gone = listed.difference(modules).map(|module| format!("{module} is listed and not there"));
        missing.chain(gone).collect()
    }

    /// What is wrong with an import, if anything.
    pub(super) fn breaks(&self, arrow: &Arrow) -> Option<String> {
        let Arrow { from, to, file, line } = arrow;
        let place = format!("{}:{line}", file.display());
        let from_layer = self.0.get(from)?;
        match self.0.get(to) {
            None => Some(format!("{place}: {from} imports {to} of the wiring")),
            Some(layer) if layer == from_layer => Some(format!("{place}: {from} imports {to} beside it")),
            Some(layer) if layer < from_layer => Some(format!("{place}: {from} imports {to} above it")),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "text\n```layers some\ntop\nleft, right\nbottom\n```\nmore\n";

    fn order() -> Order {
        Order::read(DOCUMENT, "some").unwrap()
    }

    fn wrong(from: &str, to: &str) -> Option<String> {
        order().breaks(&Arrow { from: from.into(), to: to.into(), file: "src/x.rs".into(), line: 7 })
    }

    #[test]
    fn imports_go_down_only() {
        assert_eq!(wrong("top", "bottom"), None);
        assert_eq!(wrong("right", "bottom"), None);
        assert_eq!(wrong("right", "left").unwrap(), "src/x.rs:7: right imports left beside it");
        assert_eq!(wrong("bottom", "top").unwrap(), "src/x.rs:7: bottom imports top above it");
        assert_eq!(wrong("bottom", "Core").unwrap(), "src/x.rs:7: bottom imports Core of the wiring");
    }

    #[test]
    fn every_module_is_listed_once() {
        let modules = ["top", "left", "right", "new"].map(str::to_owned).into();
        assert_eq!(order().unlisted(&modules), ["new is not listed", "bottom is listed and not there"]);
        assert!(Order::read(DOCUMENT, "other").is_err());
        assert!(Order::read("```layers some\na\na\n```", "some").is_err());
    }
}
