//! Enough of jq for the scripts of docs/scripting.md, so that their test runs where jq is not installed: `jq -r FILTER` over
//! one document on standard input.
//!
//! No part of the product: the test takes the real jq where there is one.

use std::io::{Read as _, Write as _, stdin, stdout};

use anyhow::{Context as _, anyhow, bail};
use jaq_core::{
    Compiler, Ctx, Vars, data,
    load::{Arena, File, Loader},
    unwrap_valr,
};
use jaq_json::{Val, read};

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [option, code] = args.as_slice() else { bail!("usage: jq -r FILTER") };
    if option != "-r" {
        bail!("usage: jq -r FILTER");
    }
    let mut input = Vec::new();
    stdin().read_to_end(&mut input)?;
    let input = read::parse_single(&input).map_err(|error| anyhow!("not JSON: {error}"))?;
    let arena = Arena::default();
    let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let modules = Loader::new(definitions).load(&arena, File { code: code.as_str(), path: () });
    let modules = modules.ok().context("not a filter")?;
    let functions = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    let filter = Compiler::default().with_funs(functions).compile(modules);
    let filter = filter.ok().context("the filter names what is not there")?;
    let context = Ctx::<data::JustLut<Val>>::new(&filter.lut, Vars::new([]));
    let mut out = stdout().lock();
    for found in filter.id.run((context, input)).map(unwrap_valr) {
        match found.map_err(|error| anyhow!("{error}"))? {
            // As -r has it: without quotes.
            Val::TStr(text) => out.write_all(&text)?,
            other => write!(out, "{other}")?,
        }
        out.write_all(b"\n")?;
    }
    Ok(())
}
