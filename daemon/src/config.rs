//! Reading a configuration file, so that a mistake in it is told where it is, with what was probably meant.
//!
//! What always holds: a key that the program does not know is refused, never ignored.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

/// A configuration is typed by people; a file that is longer is not one.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// How alike two words are, from 0 to 1 (Jaro and Winkler), so that one is offered for the other. As in clap.
const ALIKE: f64 = 0.7;

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read the configuration {path}", path = .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// It is larger than any configuration.
    #[error("the configuration {path} has more than {FILE_BYTES_MAX} bytes", path = .0.display())]
    Large(PathBuf),
    /// It is not TOML, or a value is not what its key takes.
    #[error("the configuration {path} is wrong", path = .0.display())]
    Wrong(PathBuf, #[source] Box<toml::de::Error>),
    /// It has a key that there is not.
    #[error("the configuration {path} has an unknown key \"{key}\"{near}", path = .path.display(), key = .key.escape_debug())]
    UnknownKey {
        /// Which file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What was probably meant, as the end of the sentence.
        near: String,
    },
}

/// Reads the file at `path`, which may have these keys.
///
/// # Errors
/// As in [`FileError`].
pub fn read<T: DeserializeOwned>(path: &Path, known: &[&str]) -> Result<T, FileError> {
    let failed = |error| FileError::Read(path.to_owned(), error);
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() > usize::try_from(FILE_BYTES_MAX).unwrap_or(usize::MAX) {
        return Err(FileError::Large(path.to_owned()));
    }
    parse(path, &text, known)
}

fn parse<T: DeserializeOwned>(path: &Path, text: &str, known: &[&str]) -> Result<T, FileError> {
    let wrong = |error| FileError::Wrong(path.to_owned(), Box::new(error));
    let table: toml::Table = toml::from_str(text).map_err(wrong)?;
    if let Some(key) = table.keys().find(|key| !known.contains(&key.as_str())) {
        let near = nearest(key, known).map(|near| format!(", do you mean \"{near}\"?")).unwrap_or_default();
        return Err(FileError::UnknownKey { path: path.to_owned(), key: key.clone(), near });
    }
    // From the text again, so that an error tells the line.
    toml::from_str(text).map_err(wrong)
}

fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let key = key.replace('-', "_");
    known
        .iter()
        .map(|known| (strsim::jaro_winkler(&key, known), *known))
        .filter(|(alike, _)| *alike > ALIKE)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Some {
        listen: Option<u16>,
    }

    fn read_text(text: &str) -> Result<Some, String> {
        let known = ["listen", "data_dir", "registration"];
        parse(Path::new("/etc/x.toml"), text, &known).map_err(|error| error.to_string())
    }

    #[test]
    fn a_mistyped_key_is_refused_with_the_nearest_one() {
        let unknown = |key: &str, near: &str| {
            format!("the configuration /etc/x.toml has an unknown key \"{key}\"{near}")
        };
        assert_eq!(read_text("lissen = 1").unwrap_err(), unknown("lissen", ", do you mean \"listen\"?"));
        assert_eq!(
            read_text("data-dir = 1").unwrap_err(),
            unknown("data-dir", ", do you mean \"data_dir\"?")
        );
        assert_eq!(read_text("xyz = 1").unwrap_err(), unknown("xyz", ""));
        assert_eq!(read_text("listen = 7").unwrap().listen, Option::Some(7));
    }

    #[test]
    fn what_is_wrong_with_a_value_is_told_with_its_line() {
        let error = parse::<Some>(Path::new("x"), "\nlisten = 'here'", &["listen"]).unwrap_err();
        let FileError::Wrong(_, cause) = error else { panic!("{error}") };
        assert!(cause.to_string().contains("line 2"), "{cause}");
    }

    #[test]
    fn a_huge_file_is_refused() {
        let temp = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(temp.path(), vec![b'\n'; 2 << 20]).unwrap();
        assert!(matches!(read::<Some>(temp.path(), &[]), Err(FileError::Large(_))));
    }
}
