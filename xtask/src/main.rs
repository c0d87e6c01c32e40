//! Chores of the project: `cargo xtask demo` plays the whole story with the real programs, `cargo xtask bench` measures,
//! `cargo xtask package` builds the Debian packages.
//!
//! Nothing here is part of the product, and nothing of the product depends on it.

mod bombs;
mod campaigns;
mod cargo;
mod cluster;
mod demo;
mod deny;
mod dist;
mod earlier;
mod formats;
mod fuzz;
mod layers;
mod mutants;
mod package;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

/// Chores of the project.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Builds the programs and plays the user's story with them, checking every step
    #[command(after_help = "Example: cargo xtask demo ~/Pictures/sea.jpg ~/Pictures/dunes.png")]
    Demo {
        /// The images to share; without any, a few are painted
        #[arg(value_name = "IMAGE")]
        images: Vec<PathBuf>,
        /// Leaves the temporary directory with everything in it, and tells where it is
        #[arg(long)]
        keep: bool,
    },
    /// Generates manual pages and shell completions into target/release/dist
    Dist,
    /// Builds the Debian packages dos-server and dos-peer into target/debian; needs cargo-deb
    Package,
    /// Builds the Debian packages and tries them out on a booted systemd, where that is possible
    Systemd,
    /// Builds the programs of an earlier commit and plays the main job with both side by side, and with its state
    Earlier {
        /// Which commit
        #[arg(value_name = "COMMIT", default_value = "d608605")]
        commit: String,
    },
    /// Checks that imports inside dosd and peerd go one way: the order of ARCHITECTURE.md
    Layers,
    /// Changes the rules of dosd and peerd in every way that cargo-mutants knows; no change may pass their tests
    Mutants,
    /// Kills dosctl, peerd, dosd and readers at random moments of a view, and compares pictures with counts
    Kills {
        /// How often
        #[arg(long, value_name = "N", default_value_t = 200)]
        kills: u32,
    },
    /// Attacks dosd and peerd as strangers and registered peers do, in full size, and prints what others notice of it
    Attack {
        /// Only attacks whose module or name begins so
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// Tries two peers behind every pair of routers in network namespaces, and prints a table of the ways; needs root, ip and nft
    Nat,
    /// Checks licences, sources and banned crates of all dependencies against deny.toml
    Deny,
    /// Kills daemons and cuts connections while clients work, and checks their history: lost, doubled, over-granted, stuck
    History(campaigns::History),
    /// Cuts the power of the disk that everything is on, at random moments, and checks the history; needs root
    Powercut(campaigns::PowerCuts),
    /// Starts a directory of three nodes on three PostgreSQL under Patroni and etcd on this machine, until Ctrl-C; or a campaign on one
    #[command(
        after_help = "Needs Debian's postgresql, etcd-server, openssl, curl, iproute2 and python3-venv. As root every server is in \
a network namespace of its own and can be cut off. Patroni comes by pip into target/patroni."
    )]
    Cluster(cluster::Options),
    /// Feeds what fuzzers make up to everything that reads bytes of others
    Fuzz(fuzz::Fuzz),
    /// Looks at all files of folders, and prints the table of formats of docs/pictures.md, with libvips as the reference
    #[command(after_help = "Example: cargo xtask formats --each /usr/share/icons")]
    Formats(formats::Formats),
    /// Looks at files that cost much more than they are large, and measures that none takes more than it may
    Bombs(bombs::Bombs),
    /// Looks at one file, for `formats`
    #[command(hide = true)]
    FormatsOne(formats::One),
    /// Runs the measurements with these arguments: `cargo xtask bench --help`
    #[command(disable_help_flag = true)]
    Bench {
        /// The arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARG")]
        args: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().chore {
        Chore::Demo { images, keep } => demo::run(&demo::Options { images, keep }),
        Chore::Dist => cargo::target_dir().and_then(|target| dist::generate(&target)).map(drop),
        Chore::Package => package::run(),
        Chore::Systemd => package::try_out(),
        Chore::Earlier { commit } => earlier::run(&commit),
        Chore::Layers => layers::run(&cargo::workspace()),
        Chore::Mutants => mutants::run(),
        Chore::Kills { kills } => cargo::kills(kills),
        Chore::Attack { name } => cargo::attack(name.as_deref()),
        Chore::Nat => campaigns::nat(),
        Chore::Deny => deny::run(&cargo::workspace()),
        Chore::History(history) => campaigns::history(history),
        Chore::Powercut(cuts) => campaigns::power_cuts(cuts),
        Chore::Cluster(options) => cluster::run(&options),
        Chore::Fuzz(options) => fuzz::run(&options),
        Chore::Formats(options) => formats::run(&options),
        Chore::Bombs(options) => bombs::run(&options),
        Chore::FormatsOne(one) => formats::look_at(&one),
        Chore::Bench { args } => cargo::bench(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write;
            // With standard error closed there is nobody left to tell.
            drop(writeln!(std::io::stderr(), "error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// A line to standard output; that nobody reads it is no error.
fn say(line: &str) {
    use std::io::Write;
    drop(writeln!(std::io::stdout(), "{line}"));
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
