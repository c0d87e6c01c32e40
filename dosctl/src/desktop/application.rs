//! The desktop's viewer for a kind of image: the default application, started directly, so that its end can be waited for.
//!
//! `xdg-mime` tells which it is, its desktop entry how it is started (Desktop Entry Specification 1.5, section 7). Where
//! that does not work out, `xdg-open` does it. What it does not do: talk to D-Bus; or look for entries in subdirectories.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use dos_protocol::{Code, WireError};

/// A desktop entry that is longer is none: they have some kilobytes, mostly translations.
const ENTRY_BYTES_MAX: u64 = 256 << 10;

/// That there is a desktop with a way to open files.
///
/// # Errors
/// `usage` if not.
pub(super) fn check_desktop() -> Result<(), WireError> {
    let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    let text = "there is no desktop whose viewer could be opened";
    if !set("DISPLAY") && !set("WAYLAND_DISPLAY") {
        let cause = "neither DISPLAY nor WAYLAND_DISPLAY is set";
        return Err(WireError::new(Code::Usage, text).caused_by(cause));
    }
    if find("xdg-open").is_none() {
        return Err(WireError::new(Code::Usage, text).caused_by("xdg-open is not installed"));
    }
    Ok(())
}

/// The command that shows `path`, which is of the media type `mime`.
pub(super) fn command(mime: &str, path: &Path) -> Command {
    let words = default_entry(mime).and_then(|entry| words_of(&entry, path));
    let mut command = match words.as_deref() {
        Some([program, arguments @ ..]) if find(program).is_some() => {
            let mut command = Command::new(program);
            command.args(arguments);
            command
        }
        _ => {
            let mut command = Command::new("xdg-open");
            command.arg(path);
            command
        }
    };
    command.stderr(Stdio::null());
    command
}

/// The program, as a shell finds it.
fn find(program: impl AsRef<OsStr>) -> Option<PathBuf> {
    let runs = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|known| known.is_file() && known.permissions().mode() & 0o111 != 0)
    };
    let program = Path::new(program.as_ref());
    if program.is_absolute() {
        return Some(program.to_owned()).filter(runs);
    }
    env::split_paths(&env::var_os("PATH")?).map(|directory| directory.join(program)).find(runs)
}

/// The text of the desktop entry of the default application.
fn default_entry(mime: &str) -> Option<String> {
    let output =
        Command::new("xdg-mime").args(["query", "default", mime]).stdin(Stdio::null()).output().ok()?;
    let name = String::from_utf8(output.stdout).ok()?;
    let name = name.trim();
    if !name.ends_with(".desktop") || name.contains('/') {
        return None;
    }
    let home = env::var_os("XDG_DATA_HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".local/share")));
    let others = env::var_os("XDG_DATA_DIRS").filter(|value| !value.is_empty());
    let others = others.unwrap_or_else(|| OsString::from("/usr/local/share:/usr/share"));
    let directories = home.into_iter().chain(env::split_paths(&others));
    directories.map(|directory| directory.join("applications").join(name)).find_map(|path| {
        let mut text = String::new();
        File::open(path).ok()?.take(ENTRY_BYTES_MAX).read_to_string(&mut text).ok()?;
        Some(text)
    })
}

/// The command line of a desktop entry for one file; nothing if it needs a terminal, or is none.
fn words_of(entry: &str, path: &Path) -> Option<Vec<OsString>> {
    let group = entry.lines().map(str::trim).skip_while(|line| *line != "[Desktop Entry]").skip(1);
    let (mut exec, mut terminal) = (None, false);
    for line in group.take_while(|line| !line.starts_with('[')) {
        match line.split_once('=').map(|(key, value)| (key.trim_end(), value.trim_start())) {
            Some(("Exec", value)) => exec = Some(value),
            Some(("Terminal", value)) => terminal = value == "true",
            _ => {}
        }
    }
    if terminal {
        return None;
    }
    let mut words = Vec::new();
    let mut named = false;
    for word in split(exec?)? {
        match word.as_str() {
            "%f" | "%F" | "%u" | "%U" => {
                named = true;
                words.push(path.into());
            }
            // The icon, the name, the entry's own path, and what is obsolete.
            "%i" | "%c" | "%k" | "%d" | "%D" | "%n" | "%N" | "%v" | "%m" => {}
            _ => words.push(word.replace("%%", "%").into()),
        }
    }
    if !named {
        words.push(path.into());
    }
    Some(words).filter(|words| words.len() > 1)
}

/// The words of a command line; within double quotes a backslash takes the next character as it is.
fn split(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut quoted = false;
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' if quoted => word.get_or_insert_default().push(chars.next()?),
            ' ' | '\t' if !quoted => words.extend(word.take()),
            _ => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    (!quoted).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(exec: &str) -> Option<Vec<String>> {
        let entry =
            format!("# c\n[Desktop Entry]\nName=Eye\nExec={exec}\n[Desktop Action new]\nExec=other\n");
        let words = words_of(&entry, Path::new("/r/my sea.jpg"))?;
        Some(words.into_iter().map(|word| word.into_string().unwrap()).collect())
    }

    #[test]
    fn the_file_takes_the_place_that_the_entry_gives_it() {
        assert_eq!(words("eog %U").unwrap(), ["eog", "/r/my sea.jpg"]);
        assert_eq!(words("imv").unwrap(), ["imv", "/r/my sea.jpg"]);
        assert_eq!(
            words("\"/opt/an \\\"eye\\\"/bin\" --name %c %i --at %f 100%%").unwrap(),
            ["/opt/an \"eye\"/bin", "--name", "--at", "/r/my sea.jpg", "100%"]
        );
    }

    #[test]
    fn an_entry_that_is_none_or_needs_a_terminal_has_no_command() {
        assert_eq!(words("\"eog %U"), None);
        assert_eq!(words(""), None);
        assert_eq!(words_of("Exec=eog\n", Path::new("/x")), None);
        assert_eq!(words_of("[Desktop Entry]\nExec=vi %f\nTerminal=true\n", Path::new("/x")), None);
    }
}
