//! Who imports whom, read from the source: `use` items, paths and the insides of macros.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

/// A module that imports another one of its program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Arrow {
    /// The importing module, a top-level one.
    pub(super) from: String,
    /// What it imports: a top-level module, or something of the crate's root.
    pub(super) to: String,
    /// In which file.
    pub(super) file: PathBuf,
    /// At which line.
    pub(super) line: usize,
}

/// The modules of a program and the imports between them.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) modules: BTreeSet<String>,
    pub(super) arrows: BTreeSet<Arrow>,
}

/// Reads every source file of a program below `src`.
///
/// # Errors
/// If a file cannot be read or is no Rust.
pub(super) fn of_program(src: &Path) -> Result<Found> {
    let mut found = Found::default();
    for entry in sorted(src)? {
        let name = entry.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if entry.is_dir() {
            of_folder(&entry, &[name], &mut found)?;
        } else if is_source(&entry) && !["lib", "main"].contains(&&*name) {
            of_file(&entry, &[name], &mut found)?;
        }
    }
    Ok(found)
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut entries = read.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    entries.sort();
    Ok(entries)
}

fn is_source(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "rs")
}

fn of_folder(folder: &Path, module: &[String], found: &mut Found) -> Result<()> {
    for entry in sorted(folder)? {
        let name = entry.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let inner: Vec<String> = match &*name {
            "tests" => continue,
            "mod" => module.to_vec(),
            _ => module.iter().cloned().chain([name]).collect(),
        };
        if entry.is_dir() {
            of_folder(&entry, &inner, found)?;
        } else if is_source(&entry) {
            of_file(&entry, &inner, found)?;
        }
    }
    Ok(())
}

fn of_file(file: &Path, module: &[String], found: &mut Found) -> Result<()> {
    if module.last().is_some_and(|name| name == "tests") {
        return Ok(());
    }
    let shown = || format!("cannot read {}", file.display());
    let text = fs::read_to_string(file).with_context(shown)?;
    let syntax = syn::parse_file(&text).with_context(shown)?;
    found.modules.extend(module.first().cloned());
    Reader { file, module: module.to_vec(), found }.visit_file(&syntax);
    Ok(())
}

struct Reader<'a> {
    file: &'a Path,
    /// Where the reader stands, from the crate's root.
    module: Vec<String>,
    found: &'a mut Found,
}

impl Reader<'_> {
    /// Takes a path that begins with `crate` or `super`.
    fn take(&mut self, path: &[String], line: usize) {
        let mut base: &[String] = match path.first().map(String::as_str) {
            Some("crate") => &[],
            Some("super") => self.module.split_last().map_or(&[], |(_, outer)| outer),
            _ => return,
        };
        let mut rest = path.get(1..).unwrap_or_default();
        while let Some(("super", further)) = rest.split_first().map(|(first, further)| (&**first, further)) {
            base = base.split_last().map_or(&[], |(_, outer)| outer);
            rest = further;
        }
        // Inside its own top-level module a path goes where it likes.
        let (true, Some(to), Some(from)) = (base.is_empty(), rest.first(), self.module.first()) else {
            return;
        };
        if to != from {
            let (from, to, file) = (from.clone(), to.clone(), self.file.to_owned());
            self.found.arrows.insert(Arrow { from, to, file, line });
        }
    }

    fn take_tree(&mut self, before: &mut Vec<String>, tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.take_tree(before, &path.tree);
                before.pop();
            }
            syn::UseTree::Name(name) => self.take_use(before, &name.ident),
            syn::UseTree::Rename(rename) => self.take_use(before, &rename.ident),
            syn::UseTree::Glob(_) => self.take(before, 0),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.take_tree(before, tree)),
        }
    }

    fn take_use(&mut self, before: &[String], ident: &syn::Ident) {
        let path: Vec<String> = before.iter().cloned().chain([ident.to_string()]).collect();
        self.take(&path, ident.span().start().line);
    }

    fn take_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut line = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if path.is_empty() {
                        line = ident.span().start().line;
                    }
                    path.push(ident.to_string());
                    continue;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => continue,
                TokenTree::Group(group) => self.take_tokens(group.stream()),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            self.take(&path, line);
            path.clear();
        }
        self.take(&path, line);
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes: &[syn::Attribute] = match item {
            syn::Item::Mod(module) => &module.attrs,
            syn::Item::Fn(function) => &function.attrs,
            syn::Item::Use(import) => &import.attrs,
            syn::Item::Impl(block) => &block.attrs,
            _ => &[],
        };
        if !is_for_tests(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.module.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.module.pop();
    }

    fn visit_item_use(&mut self, import: &'ast syn::ItemUse) {
        self.take_tree(&mut Vec::new(), &import.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        let line = path.segments.first().map_or(0, |segment| segment.ident.span().start().line);
        self.take(&names, line);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invoked: &'ast syn::Macro) {
        self.take_tokens(invoked.tokens.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrows(module: &[&str], source: &str) -> Vec<(String, usize)> {
        let mut found = Found::default();
        let module = module.iter().map(|&name| name.to_owned()).collect();
        let mut reader = Reader { file: Path::new("src/x.rs"), module, found: &mut found };
        reader.visit_file(&syn::parse_file(source).unwrap());
        found.arrows.into_iter().map(|arrow| (arrow.to, arrow.line)).collect()
    }

    #[test]
    fn imports_are_found_wherever_they_stand() {
        let source = "use crate::{store::Store, hub};\nfn f() {\n crate::relay::g();\n let x: super::keys::Key = 1;\n \
                      debug!(a = crate::live::h(), \"text\");\n}\n";
        let found = [("hub", 1), ("keys", 4), ("live", 5), ("relay", 3), ("store", 1)];
        assert_eq!(arrows(&["session"], source), found.map(|(to, line)| (to.to_owned(), line)));
    }

    #[test]
    fn paths_within_a_module_and_tests_are_no_imports() {
        let source = "use super::sibling::A;\nuse crate::session::B;\n#[cfg(test)]\nmod tests { use crate::store::C; }\n\
                      mod inner { use super::super::D; }";
        assert_eq!(arrows(&["session", "clock"], source), []);
        assert_eq!(arrows(&["session", "clock"], "use super::super::store::A;"), [("store".to_owned(), 1)]);
        assert_eq!(
            arrows(&["session"], "mod inner { use super::super::store::A; }"),
            [("store".to_owned(), 1)]
        );
    }
}
