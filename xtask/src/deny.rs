//! `cargo xtask deny`: licences, banned crates and sources of all dependencies, as `deny.toml` has them.
//!
//! The file is cargo-deny's, and this is the part of cargo-deny that needs neither network nor advisories. cargo-deny itself takes
//! longer to build than everything else here; where it is installed, it is right.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{cargo, say};

/// What is allowed and what is not.
#[derive(Debug, Default)]
struct Policy {
    licenses: Vec<String>,
    banned: Vec<String>,
}

impl Policy {
    fn read(text: &str) -> Result<Self> {
        let table: toml::Table = text.parse().context("deny.toml is no TOML")?;
        let list = |section: &str, key: &str| -> Result<Vec<toml::Value>> {
            let found =
                table.get(section).and_then(|section| section.get(key)).and_then(toml::Value::as_array);
            found.cloned().with_context(|| format!("deny.toml has no list {section}.{key}"))
        };
        let texts = |values: Vec<toml::Value>| -> Vec<String> {
            values.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect()
        };
        let banned = list("bans", "deny")?;
        let banned = banned.iter().filter_map(|entry| entry.get("crate").cloned()).collect::<Vec<_>>();
        Ok(Self { licenses: texts(list("licenses", "allow")?), banned: texts(banned) })
    }

    /// What is wrong with a package of cargo's metadata.
    fn objection(&self, package: &Value) -> Option<String> {
        let text = |key: &str| package[key].as_str();
        let name = text("name").unwrap_or_default();
        let which = format!("{name} {}", text("version").unwrap_or_default());
        if self.banned.iter().any(|banned| banned == name) {
            return Some(format!("{which} is banned"));
        }
        // None of our own: a path.
        if let Some(source) = text("source")
            && !["registry+", "sparse+"].iter().any(|kind| source.starts_with(kind))
        {
            return Some(format!("{which} comes from {source}"));
        }
        let Some(license) = text("license") else { return Some(format!("{which} tells no licence")) };
        match self.allows(license) {
            Ok(true) => None,
            Ok(false) => Some(format!("{which} has the licence {license}")),
            Err(error) => Some(format!("{which}: {error:#}")),
        }
    }

    /// Whether an expression (SPDX, annex D; also the slash that stood for `OR`) can be met with what is allowed.
    fn allows(&self, expression: &str) -> Result<bool> {
        let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let mut words = spaced.split_whitespace().peekable();
        let allowed = self.any(&mut words, 0)?;
        ensure!(words.next().is_none(), "{expression:?} is no licence expression");
        Ok(allowed)
    }

    fn any<'a>(&self, words: &mut Words<'a, impl Iterator<Item = &'a str>>, depth: u8) -> Result<bool> {
        let mut allowed = self.all(words, depth)?;
        while words.next_if_eq(&"OR").is_some() {
            // Both sides are read, whatever the first one says.
            allowed |= self.all(words, depth)?;
        }
        Ok(allowed)
    }

    fn all<'a>(&self, words: &mut Words<'a, impl Iterator<Item = &'a str>>, depth: u8) -> Result<bool> {
        let mut allowed = self.one(words, depth)?;
        while words.next_if_eq(&"AND").is_some() {
            allowed &= self.one(words, depth)?;
        }
        Ok(allowed)
    }

    fn one<'a>(&self, words: &mut Words<'a, impl Iterator<Item = &'a str>>, depth: u8) -> Result<bool> {
        ensure!(depth < 8, "a licence expression that is nested too deep");
        let word = words.next().context("a licence expression that ends too early")?;
        if word == "(" {
            let allowed = self.any(words, depth + 1)?;
            ensure!(words.next() == Some(")"), "a licence expression without its closing parenthesis");
            return Ok(allowed);
        }
        if words.next_if_eq(&"WITH").is_none() {
            return Ok(self.licenses.iter().any(|allowed| allowed == word));
        }
        let exception = words.next().context("a licence expression that ends too early")?;
        Ok(self.licenses.iter().any(|allowed| *allowed == format!("{word} WITH {exception}")))
    }
}

/// Where packages come from beside the one registry that most of them come from, which is cargo's own.
fn other_registries(packages: &[Value]) -> Vec<String> {
    let mut registries: BTreeMap<&str, usize> = BTreeMap::new();
    for source in packages.iter().filter_map(|package| package["source"].as_str()) {
        *registries.entry(source).or_default() += 1;
    }
    let most = registries.iter().max_by_key(|(_, packages)| **packages).map(|(source, _)| *source);
    let others = registries.keys().filter(|source| Some(**source) != most);
    others.map(|source| format!("packages come from {source}, too")).collect()
}

type Words<'a, I> = std::iter::Peekable<I>;

/// Checks all packages of both lock files.
///
/// # Errors
/// With everything that is not as it must be.
pub(crate) fn run(workspace: &Path) -> Result<()> {
    let file = workspace.join("deny.toml");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let policy = Policy::read(&text)?;
    let mut objections = Vec::new();
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml"] {
        let packages = cargo::packages(&workspace.join(manifest))?;
        objections.extend(packages.iter().filter_map(|package| policy.objection(package)));
        objections.extend(other_registries(&packages));
        say(&format!("{manifest}: {} packages", packages.len()));
    }
    objections.sort();
    objections.dedup();
    if !objections.is_empty() {
        bail!("dependencies that deny.toml does not allow:\n{}", objections.join("\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const POLICY: &str = "
        [licenses]\nallow = ['MIT', 'ISC', 'Apache-2.0 WITH LLVM-exception']
        [bans]\ndeny = [{ crate = 'openssl-sys' }]";

    #[test]
    fn expressions_are_met_with_what_is_allowed() {
        let policy = Policy::read(POLICY).unwrap();
        for good in [
            "MIT",
            "MIT OR GPL-3.0",
            "GPL-3.0/MIT",
            "MIT AND ISC",
            "(GPL-3.0 OR MIT) AND ISC",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert!(policy.allows(good).unwrap(), "{good}");
        }
        for bad in ["GPL-3.0", "MIT AND GPL-3.0", "Apache-2.0", "ISC AND (GPL-3.0 OR LGPL-2.1)", "MIT WITH x"]
        {
            assert!(!policy.allows(bad).unwrap(), "{bad}");
        }
        for none in ["", "MIT OR", "(MIT", "MIT ISC", &"(".repeat(100)] {
            assert!(policy.allows(none).is_err(), "{none}");
        }
    }

    #[test]
    fn packages_are_refused_with_the_reason() {
        let policy = Policy::read(POLICY).unwrap();
        let package = |name: &str, license: Option<&str>, source: Option<&str>| json!({"name": name, "version": "1.0.0", "license": license, "source": source});
        let objection = |package: Value| policy.objection(&package).unwrap_or_default();
        assert_eq!(objection(package("a", Some("MIT"), Some("registry+https://registry"))), "");
        assert_eq!(objection(package("ours", Some("MIT"), None)), "");
        assert_eq!(objection(package("openssl-sys", Some("MIT"), None)), "openssl-sys 1.0.0 is banned");
        assert_eq!(objection(package("a", Some("GPL-3.0"), None)), "a 1.0.0 has the licence GPL-3.0");
        assert_eq!(objection(package("a", None, None)), "a 1.0.0 tells no licence");
        let other = objection(package("a", Some("MIT"), Some("git+https://example.org/a")));
        assert_eq!(other, "a 1.0.0 comes from git+https://example.org/a");
    }

    #[test]
    fn a_second_registry_is_noticed() {
        let of = |source: &str| json!({"source": source});
        let ours = json!({"source": null});
        let packages = [of("registry+https://a"), of("registry+https://b"), ours, of("registry+https://a")];
        assert_eq!(other_registries(&packages), ["packages come from registry+https://b, too"]);
        assert!(other_registries(&packages[2..]).is_empty());
    }
}
