//! What is made of the programs' command lines for their users: manual pages, and completions for bash, zsh and fish.
//!
//! They go to `release/dist` in cargo's target directory, beside the programs, where the packages take them from. Nothing of
//! this is kept in the source: it cannot differ from what the programs take.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_complete::Shell;

/// A generated file.
#[derive(Debug)]
struct Page {
    /// Where, below the directory of all.
    path: PathBuf,
    content: Vec<u8>,
}

/// Generates everything below `target`, cargo's directory for output, and tells where.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn generate(target: &Path) -> Result<PathBuf> {
    let dist = target.join("release/dist");
    // What a former version had must not get into a package.
    if dist.exists() {
        fs::remove_dir_all(&dist).with_context(|| format!("cannot empty {}", dist.display()))?;
    }
    for page in pages()? {
        let path = dist.join(page.path);
        let failed = || format!("cannot write {}", path.display());
        fs::create_dir_all(path.parent().unwrap_or(&dist)).with_context(failed)?;
        fs::write(&path, page.content).with_context(failed)?;
    }
    Ok(dist)
}

/// The programs' command lines.
fn commands() -> [Command; 3] {
    [dosd::cli::Cli::command(), peerd::cli::Arguments::command(), dosctl::command()]
}

fn pages() -> Result<Vec<Page>> {
    let mut pages = Vec::new();
    for command in commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            pages.push(completion(&command, shell));
        }
        let program = command.get_name().to_owned();
        let mut named = command;
        // Subcommands know their full names only after this.
        named.build();
        manuals(&named, &program, &program, &mut pages)?;
    }
    Ok(pages)
}

/// The file for a shell, under the name by which the shell finds it.
fn completion(command: &Command, shell: Shell) -> Page {
    let program = command.get_name().to_owned();
    let name = match shell {
        Shell::Zsh => format!("_{program}"),
        Shell::Fish => format!("{program}.fish"),
        _ => program.clone(),
    };
    let mut content = Vec::new();
    clap_complete::generate(shell, &mut command.clone(), &program, &mut content);
    Page { path: Path::new("completions").join(shell.to_string()).join(name), content }
}

/// The page of a command, and those of its subcommands: `dosd-invite-create.1`.
fn manuals(command: &Command, name: &str, program: &str, pages: &mut Vec<Page>) -> Result<()> {
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help" && !sub.is_hide_set()) {
        manuals(sub, &format!("{name}-{}", sub.get_name()), program, pages)?;
    }
    let mut content = Vec::new();
    // The version stands at the root of the program only.
    let version = concat!("dos ", env!("CARGO_PKG_VERSION"));
    let man = clap_mangen::Man::new(command.clone().display_name(name).disable_help_subcommand(true));
    let man = man.title(name.to_uppercase()).section("1").date(date()).source(version).manual("dos");
    man.render(&mut content).with_context(|| format!("cannot write the manual of {name}"))?;
    pages.push(Page { path: format!("man/{program}/{name}.1").into(), content });
    Ok(())
}

/// The date in the pages, as `2026-11-30`: today, unless a build that must come out the same again says which
/// (<https://reproducible-builds.org/specs/source-date-epoch/>).
fn date() -> String {
    let said = env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.parse().ok());
    let time = said.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    // As far as years have four digits.
    let time = time.filter(|time| *time < UNIX_EPOCH + Duration::from_secs(253_402_300_800));
    let time = humantime::format_rfc3339_seconds(time.unwrap_or_else(SystemTime::now)).to_string();
    time.split('T').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Write, stderr},
        process::Command as Process,
    };

    use super::*;

    /// What a checker says about a file: nothing, if all is well, or if there is no such program here, which is told.
    fn check(program: &str, args: &[&str], path: &Path) -> String {
        let Ok(output) = Process::new(program).args(args).arg(path).output() else {
            writeln!(stderr(), "SKIPPED: there is no {program} to check {}", path.display()).unwrap();
            return String::new();
        };
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        if output.status.success() { said } else { format!("{said}\n{}", output.status) }
    }

    fn generated() -> (tempfile::TempDir, PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let dist = generate(temp.path()).unwrap();
        (temp, dist)
    }

    #[test]
    fn every_command_has_its_page_and_every_program_its_completions() {
        let (_temp, dist) = generated();
        for page in [
            "man/dosd/dosd.1",
            "man/dosd/dosd-serve.1",
            "man/dosd/dosd-invite-create.1",
            "man/peerd/peerd.1",
            "man/dosctl/dosctl.1",
            "man/dosctl/dosctl-share.1",
            "completions/bash/dosd",
            "completions/zsh/_peerd",
            "completions/fish/dosctl.fish",
        ] {
            let text = fs::read_to_string(dist.join(page)).unwrap();
            assert!(text.lines().count() > 5, "{page}: {text}");
        }
        let serve = fs::read_to_string(dist.join("man/dosd/dosd-serve.1")).unwrap();
        assert!(serve.contains("DOSD_LISTEN") && serve.contains("dosd\\-serve"), "{serve}");
    }

    #[test]
    fn what_was_there_before_is_gone() {
        let (temp, dist) = generated();
        fs::write(dist.join("man/dosd/dosd-old.1"), "old").unwrap();
        generate(temp.path()).unwrap();
        assert!(!dist.join("man/dosd/dosd-old.1").exists());
    }

    #[test]
    fn the_shells_can_read_their_completions() {
        let (_temp, dist) = generated();
        for command in commands() {
            let name = command.get_name();
            for (shell, file) in
                [("bash", name.to_owned()), ("zsh", format!("_{name}")), ("fish", format!("{name}.fish"))]
            {
                let said = check(shell, &["-n"], &dist.join("completions").join(shell).join(file));
                assert_eq!(said, "", "{shell} about {name}");
            }
        }
    }

    #[test]
    fn the_pages_are_sound_roff() {
        let (_temp, dist) = generated();
        for page in pages().unwrap().iter().filter(|page| page.path.starts_with("man")) {
            let said = check("groff", &["-man", "-ww", "-z", "-Tutf8"], &dist.join(&page.path));
            assert_eq!(said, "", "{}", page.path.display());
            let said = check("mandoc", &["-Tlint", "-Werror"], &dist.join(&page.path));
            assert_eq!(said, "", "{}", page.path.display());
        }
    }
}
