//! Sealing an image while it arrives, and making its preview from the sealed file.
//!
//! What always holds: the original is never on the disk in the clear; memory does not grow with it; a file that is not
//! kept is deleted. The work runs off the asynchronous threads.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

use dos_preview::{Judged, Known, PreviewError};
use dos_protocol::{
    Code, SealedHash, TakenAt, ThumbHash, WireError,
    directory::Preview,
    limits::ORIGINAL_BYTES_MAX,
    model::{Format, ImageInfo, Original, PreviewSize, SealedCopy},
};
use dos_sealed::{ContentKey, Opener, SealError, Sealed, Sealer};
use tokio::{
    sync::{Semaphore, mpsc},
    task::{JoinHandle, spawn_blocking},
};

use crate::copies::{Copies, blocking, disk_error};

/// Pieces of the original that wait to be sealed.
const PIECES_WAITING: usize = 4;

/// A file that is deleted unless it is put in place.
#[derive(Debug)]
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Once it is in place, it is not here any more.
        drop(fs::remove_file(&self.0));
    }
}

/// An image that is being sealed.
#[derive(Debug)]
pub(crate) struct Sealing {
    pieces: mpsc::Sender<Option<Vec<u8>>>,
    task: JoinHandle<Result<SealedFile, WireError>>,
    bytes: u64,
    head: Head,
}

/// The first bytes of a file, while it is not told what it is.
#[derive(Debug)]
enum Head {
    Open(Vec<u8>),
    Told,
}

impl Head {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// `invalid` as soon as it is no image.
    fn push(&mut self, piece: &[u8]) -> Result<(), WireError> {
        let Self::Open(head) = self else { return Ok(()) };
        head.extend(piece.iter().take(dos_preview::HEAD_BYTES - head.len()));
        match Judged::of_start(head) {
            Judged::Nothing => Err(no_image()),
            Judged::Known(_) => {
                *self = Self::Told;
                Ok(())
            }
            Judged::Undecided => Ok(()),
        }
    }

    /// There is no more of it.
    fn end(&self) -> Result<(), WireError> {
        match self {
            Self::Told => Ok(()),
            Self::Open(_) => Err(no_image()),
        }
    }
}

fn no_image() -> WireError {
    WireError::new(Code::Invalid, PreviewError::NotAnImage.to_string()).hint("dosctl add FILE --any")
}

/// A sealed image, not yet in place.
#[derive(Debug)]
pub(crate) struct SealedFile {
    temporary: Temporary,
    file: File,
    sealed: Sealed,
    key: ContentKey,
}

/// A sealed image that was looked at.
#[derive(Debug)]
pub(crate) struct Looked {
    pub(crate) sealed: SealedFile,
    pub(crate) original: Original,
    pub(crate) preview: Preview,
    /// The ThumbHash of that.
    pub(crate) thumbhash: Option<ThumbHash>,
    /// When it was taken, if that is asked for and known.
    pub(crate) taken: Option<TakenAt>,
    /// What its owner should know of it.
    pub(crate) warning: Option<String>,
}

/// A preview that was made anew.
#[derive(Debug)]
pub(crate) struct Remade {
    pub(crate) preview: Preview,
    /// As in [`Looked`].
    pub(crate) thumbhash: Option<ThumbHash>,
}

/// What is looked at.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// The name of the image, which is shown where the image cannot be.
    pub(crate) name: String,
    /// Whether it may be any file.
    pub(crate) any: bool,
    /// Up to which size its preview is made.
    pub(crate) size: PreviewSize,
    /// Whether it is looked at for when it was taken.
    pub(crate) dated: bool,
}

impl Subject {
    /// An image that was published: whatever it is, it was taken.
    pub(crate) fn published(image: &ImageInfo, size: PreviewSize) -> Self {
        Self { name: image.name.to_string(), any: true, size, dated: false }
    }
}

fn seal_error(error: &SealError) -> WireError {
    match error {
        SealError::TooLarge => too_large(),
        _ => {
            let cause =
                std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
            WireError::new(Code::Internal, "the image cannot be sealed").caused_by(cause)
        }
    }
}

fn too_large() -> WireError {
    WireError::new(Code::Invalid, format!("the file is larger than {ORIGINAL_BYTES_MAX} bytes"))
}

impl Sealing {
    /// Begins it under `key`, of any file or of an image.
    ///
    /// # Errors
    /// If there is no name for the file.
    pub(crate) fn begin(copies: &Copies, key: ContentKey, any: bool) -> Result<Self, WireError> {
        let path = copies.temporary()?;
        let (pieces, waiting) = mpsc::channel(PIECES_WAITING);
        let task = spawn_blocking(move || seal(path, key, waiting));
        let head = if any { Head::Told } else { Head::Open(Vec::new()) };
        Ok(Self { pieces, task, bytes: 0, head })
    }

    /// Takes the next piece of the original.
    ///
    /// # Errors
    /// `invalid` if it is no image by its first bytes, or gets too large; what went wrong with the sealing.
    pub(crate) async fn push(&mut self, piece: Vec<u8>) -> Result<(), WireError> {
        self.head.push(&piece)?;
        self.bytes = self.bytes.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if self.bytes > ORIGINAL_BYTES_MAX {
            return Err(too_large());
        }
        if self.pieces.send(Some(piece)).await.is_err() {
            // The sealing has failed; it says why.
            let failed = (&mut self.task).await;
            return Err(failed.map_or_else(|_| cut_off(), |outcome| outcome.err().unwrap_or_else(cut_off)));
        }
        Ok(())
    }

    /// The original is complete.
    ///
    /// # Errors
    /// `invalid` if it is no image; what went wrong with the sealing.
    pub(crate) async fn finish(self) -> Result<SealedFile, WireError> {
        self.head.end()?;
        // If nobody takes it, the task says why.
        drop(self.pieces.send(None).await);
        self.task.await.map_err(|_| cut_off())?
    }
}

fn cut_off() -> WireError {
    WireError::new(Code::Internal, "the sealing was cut off")
}

fn seal(
    path: PathBuf,
    key: ContentKey,
    mut pieces: mpsc::Receiver<Option<Vec<u8>>>,
) -> Result<SealedFile, WireError> {
    let disk = |error: &std::io::Error| disk_error("cannot write the sealed copy", error);
    let open = OpenOptions::new().write(true).read(true).create_new(true).mode(0o600).open(&path);
    let file = open.map_err(|error| disk(&error))?;
    let temporary = Temporary(path);
    let mut sealer = Sealer::new(file, &key).map_err(|error| seal_error(&error))?;
    loop {
        match pieces.blocking_recv() {
            Some(Some(piece)) => sealer.push(&piece).map_err(|error| seal_error(&error))?,
            Some(None) => break,
            None => return Err(cut_off()),
        }
    }
    let (file, sealed) = sealer.finish().map_err(|error| seal_error(&error))?;
    Ok(SealedFile { temporary, file, sealed, key })
}

impl SealedFile {
    /// Its hash and size.
    pub(crate) fn copy(&self) -> SealedCopy {
        SealedCopy { hash: SealedHash::from(self.sealed.hash), bytes: self.sealed.bytes }
    }

    /// Its list of blocks.
    pub(crate) fn blocks(&self) -> Vec<u8> {
        self.sealed.blocks.to_bytes()
    }

    /// Looks at the image.
    ///
    /// # Errors
    /// `invalid` if it is none, and cannot be any file.
    pub(crate) async fn preview(self, places: &Semaphore, subject: Subject) -> Result<Looked, WireError> {
        let _place = places.acquire().await.map_err(|_| cut_off())?;
        let (sealed, seen) = blocking(move || {
            let seen = look(&self.file, &self.key, &subject, self.sealed.plain_bytes);
            (self, seen)
        })
        .await?;
        let Seen { format, size, preview, thumbhash, taken, warning } = seen?;
        let original = Original {
            image_id: sealed.sealed.plain_hash.into(),
            format,
            width: size.0,
            height: size.1,
            bytes: sealed.sealed.plain_bytes,
        };
        Ok(Looked { sealed, original, preview, thumbhash, taken, warning })
    }

    /// Has the disk keep what is written so far.
    ///
    /// # Errors
    /// `internal` if it fails.
    pub(crate) fn sync(&self) -> Result<(), WireError> {
        self.file.sync_data().map_err(|error| disk_error("cannot keep the sealed copy", &error))
    }

    /// Puts the file in place, for good.
    ///
    /// # Errors
    /// `internal` if the disk fails.
    pub(crate) async fn put_in_place(self, copies: &Copies) -> Result<(), WireError> {
        let copies = copies.clone();
        let hash = self.copy().hash;
        blocking(move || copies.put_in_place(&self.file, &self.temporary.0, &hash))
            .await?
            .map_err(|error| disk_error("cannot keep the sealed copy", &error))
    }
}

/// The preview of an image of one's own, made anew from its sealed copy, of up to this size.
///
/// # Errors
/// If the copy is not here, or cannot be read.
pub(crate) async fn preview_of(
    copies: &Copies,
    (image, size): (&ImageInfo, PreviewSize),
    key: ContentKey,
) -> Result<Remade, WireError> {
    let path = copies.path(&image.sealed.hash);
    let (subject, bytes) = (Subject::published(image, size), image.original.bytes);
    blocking(move || {
        let file = File::open(&path).map_err(|error| disk_error("cannot open the sealed copy", &error))?;
        let Seen { preview, thumbhash, .. } = look(&file, &key, &subject, bytes)?;
        Ok(Remade { preview, thumbhash })
    })
    .await?
}

/// What an image turns out to be.
struct Seen {
    format: Format,
    size: (u32, u32),
    preview: Preview,
    thumbhash: Option<ThumbHash>,
    taken: Option<TakenAt>,
    warning: Option<String>,
}

/// Looks at an image of `bytes` bytes through its sealed copy.
fn look(file: &File, key: &ContentKey, subject: &Subject, bytes: u64) -> Result<Seen, WireError> {
    let unreadable = |error: &dyn std::error::Error| {
        WireError::new(Code::Internal, "the sealed copy cannot be read").caused_by(error.to_string())
    };
    let opener = Opener::new(file, key).map_err(|error| unreadable(&error))?;
    let known = Known { name: &subject.name, bytes, any: subject.any, side: subject.size.pixels() };
    let mut opener = opener;
    let looked = dos_preview::look(&mut opener, known).map_err(|error| match error {
        PreviewError::Io(error) => unreadable(&error),
        other => WireError::new(Code::Invalid, other.to_string()).hint("dosctl add FILE --any"),
    })?;
    let taken = if subject.dated { dos_preview::taken(&mut opener) } else { Ok(None) };
    // A camera whose clock says nothing that can be is one that says nothing.
    let taken = taken.map_err(|error| unreadable(&error))?.and_then(|taken| taken.to_string().parse().ok());
    let (format, size, made, warning) = match looked {
        dos_preview::Looked::Picture(picture) => {
            let warning = picture.warning.map(|warning| warning.to_string());
            (picture.format, (picture.width, picture.height), picture.preview, warning)
        }
        dos_preview::Looked::Placeholder { format, preview, why } => {
            (format, (0, 0), preview, Some(format!("its preview shows its name and size alone: {why}")))
        }
    };
    let thumbhash = made.thumbhash.try_into().ok();
    let preview = Preview { format: Format::Jpeg, width: made.width, height: made.height, data: made.jpeg };
    // Both crates call a format the same; a test says so.
    let format = format.as_str().parse().unwrap_or(Format::Other);
    Ok(Seen { format, size, preview, thumbhash, taken, warning })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_of_the_preview_is_one_of_the_protocol() {
        for format in dos_preview::Format::ALL {
            let named: Result<Format, ()> = format.as_str().parse();
            assert_eq!(named.map(Format::as_str), Ok(format.as_str()));
        }
    }
}
