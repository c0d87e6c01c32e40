//! The images of a folder: which files are images, which of them are published already, and under which names the others are.
//!
//! What always holds: no link to a folder is followed, and the walk is bounded; two files never get one name; the same folder given
//! again leads to the same names, so that what has not changed is known as such.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use dos_protocol::{Code, ImageName, WireError, limits::IMAGES_PER_PEER_MAX, model::ImageInfo};

use super::text_of;
use crate::{
    error::{Error, of_file},
    source::Source,
};

/// Folders inside folders; deeper ones are no collection of a person.
const DEPTH_MAX: usize = 32;

/// A file that is to be published.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct New {
    pub(super) path: PathBuf,
    pub(super) name: ImageName,
}

/// What there is to do.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) new: Vec<New>,
    /// Images that are published as they are, under one of the names that their files lead to.
    pub(super) unchanged: Vec<ImageName>,
    /// Files that are no images.
    pub(super) skipped: u64,
    /// Bytes of the new ones.
    pub(super) bytes: u64,
}

/// Looks through `folders`, given what is published.
///
/// # Errors
/// If a folder cannot be read, or has too many files.
pub(super) fn plan(folders: &[PathBuf], published: &[ImageInfo]) -> Result<Plan, Error> {
    let published: HashMap<&str, &ImageInfo> =
        published.iter().map(|image| (image.name.as_str(), image)).collect();
    let (mut plan, mut found) = (Plan::default(), Vec::new());
    for folder in folders {
        walk(folder, folder, 0, &mut found)?;
    }
    found.retain(|file: &Found| {
        let is_image = Source::open(&file.path, false).is_ok();
        plan.skipped += u64::from(!is_image);
        is_image
    });
    let mut taken = HashSet::new();
    // What is there already keeps its name, whatever comes before it in the order.
    let mut changed = Vec::new();
    for file in found {
        let numbered = numbers(&file).take_while(|name| published.contains_key(name.as_str()));
        let same = file.names.iter().cloned().chain(numbered).find(|name| {
            let image = published.get(name.as_str());
            !taken.contains(name) && image.is_some_and(|image| is_same(&file.path, file.bytes, image))
        });
        match same {
            Some(name) => {
                taken.insert(name.clone());
                plan.unchanged.push(name);
            }
            None => changed.push(file),
        }
    }
    for file in changed {
        let is_free = |name: &ImageName| !taken.contains(name) && !published.contains_key(name.as_str());
        let name = file.names.iter().find(|name| !taken.contains(*name)).cloned();
        let name = name.or_else(|| numbers(&file).find(is_free));
        if let Some(name) = name {
            taken.insert(name.clone());
            plan.bytes = plan.bytes.saturating_add(file.bytes);
            plan.new.push(New { path: file.path, name });
        }
    }
    Ok(plan)
}

/// A file, and the names that it leads to, the shortest first.
struct Found {
    path: PathBuf,
    bytes: u64,
    names: Vec<ImageName>,
}

/// Its longest name with numbers, where even that is another's.
fn numbers(file: &Found) -> impl Iterator<Item = ImageName> {
    let last = file.names.last().map_or_else(String::new, ToString::to_string);
    (2..IMAGES_PER_PEER_MAX)
        .filter_map(move |number| ImageName::from_file_stem(&format!("{last}-{number}")).ok())
}

fn walk(root: &Path, folder: &Path, depth: usize, found: &mut Vec<Found>) -> Result<(), WireError> {
    let failed =
        |error: io::Error| of_file(format!("cannot read \"{}\"", folder.display()), &error, Code::Invalid);
    let mut entries = fs::read_dir(folder).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        // Hidden files are thumbnails and the notes of other programs.
        let kind = entry.file_type().map_err(failed)?;
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if is_hidden {
            continue;
        }
        if kind.is_dir() && depth < DEPTH_MAX {
            walk(root, &entry.path(), depth + 1, found)?;
        } else if kind.is_file() {
            let (path, bytes) = (entry.path(), entry.metadata().map_err(failed)?.len());
            // The folder that was given has a name, too, unless it is `.` or `..`.
            let from = root.file_name().and(root.parent()).unwrap_or(root);
            let names = names_of(path.strip_prefix(from).unwrap_or(&path));
            found.push(Found { path, bytes, names });
            if found.len() > usize::try_from(IMAGES_PER_PEER_MAX).unwrap_or(usize::MAX) {
                let text = format!("\"{}\" has more files than a peer may publish images", root.display());
                return Err(WireError::new(Code::Invalid, text));
            }
        }
    }
    Ok(())
}

/// The names that a file leads to: `sea`, then with the folders that it is in, `dawn-sea`, `2024-dawn-sea`.
fn names_of(path: &Path) -> Vec<ImageName> {
    let stem = text_of(path.file_stem().unwrap_or_default());
    let folders: Vec<String> = path.parent().into_iter().flatten().map(text_of).collect();
    let names = (0..=folders.len()).rev().filter_map(|from| {
        let parts = folders.iter().skip(from).map(String::as_str).chain([stem.as_str()]);
        ImageName::from_file_stem(&parts.collect::<Vec<_>>().join("-")).ok()
    });
    names.collect()
}

/// Whether the file is what is published. It is read only where its size says that it may be.
fn is_same(path: &Path, bytes: u64, image: &ImageInfo) -> bool {
    if bytes != image.original.bytes {
        return false;
    }
    let mut hasher = blake3::Hasher::new();
    let read = File::open(path).and_then(|file| hasher.update_reader(file).map(drop));
    read.is_ok() && image.original.image_id == (*hasher.finalize().as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use dos_protocol::{
        ImageNo, SealedHash,
        model::{Format, Original, PreviewInfo, SealedCopy},
    };

    use super::*;

    fn published(name: &str, bytes: &[u8]) -> ImageInfo {
        ImageInfo {
            no: ImageNo(1),
            owner: "7xKqPm2R".parse().unwrap(),
            name: name.parse().unwrap(),
            original: Original {
                image_id: (*blake3::hash(bytes).as_bytes()).into(),
                format: Format::Gif,
                width: 1,
                height: 1,
                bytes: bytes.len().try_into().unwrap(),
            },
            sealed: SealedCopy { hash: SealedHash::from([1; 32]), bytes: 1 },
            preview: PreviewInfo { format: Format::Png, width: 1, height: 1, bytes: 9 },
            access: None,
            record: None,
            signature: None,
            visibility: dos_protocol::Visibility::Listed,
            added_at: None,
        }
    }

    fn gif(number: u8) -> Vec<u8> {
        [b"GIF89a, as far as its head says", &[number][..]].concat()
    }

    fn shown(plan: &Plan, root: &Path) -> Vec<String> {
        let one = |new: &New| format!("{} {}", new.path.strip_prefix(root).unwrap().display(), new.name);
        plan.new.iter().map(one).collect()
    }

    #[test]
    fn files_of_one_name_are_told_apart_by_their_folders_and_keep_their_names() {
        let temp = tempfile::tempdir().unwrap();
        let root = &temp.path().join("pics");
        for (path, bytes) in [
            ("sea.gif", gif(1)),
            ("a/sea.gif", gif(2)),
            ("a/b/sea.gif", gif(3)),
            ("a/b/sea.jpg", gif(4)),
            ("a/notes.txt", b"no picture".to_vec()),
            (".thumbs/sea.gif", gif(5)),
        ] {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        std::os::unix::fs::symlink(root, root.join("again")).unwrap();
        let folders = [root.to_owned()];
        let first = plan(&folders, &[]).unwrap();
        assert_eq!((first.unchanged.len(), first.skipped), (0, 1));
        let names =
            ["a/b/sea.gif sea", "a/b/sea.jpg b-sea", "a/sea.gif a-sea", "sea.gif pics-sea"].map(String::from);
        assert_eq!(shown(&first, root), names);
        // The same folder again, with one file more that comes first and another that has changed.
        let there = [("sea", 3), ("b-sea", 4), ("a-sea", 9)];
        let there: Vec<ImageInfo> =
            there.iter().map(|(name, number)| published(name, &gif(*number))).collect();
        fs::create_dir(root.join("A")).unwrap();
        fs::write(root.join("A/sea.gif"), gif(6)).unwrap();
        let again = plan(&folders, &there).unwrap();
        assert_eq!(again.unchanged.len(), 2);
        assert_eq!(shown(&again, root), ["A/sea.gif A-sea", "a/sea.gif a-sea", "sea.gif pics-sea"]);
    }
}
