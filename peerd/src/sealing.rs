//! Sealing an image while it arrives, and making its preview from the sealed file.
//!
//! What always holds: the original is never on the disk in the clear; memory does not grow with it; a file that is not
//! kept is deleted. The work runs off the asynchronous threads.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

use dos_preview::{Picture, PreviewError, Warning};
use dos_protocol::{
    Code, SealedHash, WireError,
    directory::Preview,
    limits::ORIGINAL_BYTES_MAX,
    model::{Format, Original, SealedCopy},
};
use dos_sealed::{ContentKey, Opener, SealError, Sealed, Sealer};
use tokio::{
    sync::{Semaphore, mpsc},
    task::{JoinHandle, spawn_blocking},
};

use crate::copies::{Copies, blocking, disk_error};

/// Pieces of the original that wait to be sealed.
const PIECES_WAITING: usize = 4;

/// What tells the format of an image.
const HEAD_BYTES: usize = 12;

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
    head: Vec<u8>,
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
    /// What its owner should know of it.
    pub(crate) warning: Option<Warning>,
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
    /// Begins it under `key`.
    ///
    /// # Errors
    /// If there is no name for the file.
    pub(crate) fn begin(copies: &Copies, key: ContentKey) -> Result<Self, WireError> {
        let path = copies.temporary()?;
        let (pieces, waiting) = mpsc::channel(PIECES_WAITING);
        let task = spawn_blocking(move || seal(path, key, waiting));
        Ok(Self { pieces, task, bytes: 0, head: Vec::with_capacity(HEAD_BYTES) })
    }

    /// Takes the next piece of the original.
    ///
    /// # Errors
    /// `invalid` if it is no image by its first bytes, or gets too large; what went wrong with the sealing.
    pub(crate) async fn push(&mut self, piece: Vec<u8>) -> Result<(), WireError> {
        if self.head.len() < HEAD_BYTES {
            self.head.extend(piece.iter().take(HEAD_BYTES - self.head.len()));
            // What is shorter is found out at its end.
            if self.head.len() == HEAD_BYTES && dos_preview::Format::of_head(&self.head).is_none() {
                return Err(WireError::new(Code::Invalid, PreviewError::NotAnImage.to_string()));
            }
        }
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
    /// What went wrong with the sealing.
    pub(crate) async fn finish(self) -> Result<SealedFile, WireError> {
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
    /// `invalid` if it is none that is understood.
    pub(crate) async fn preview(self, places: &Semaphore) -> Result<Looked, WireError> {
        let _place = places.acquire().await.map_err(|_| cut_off())?;
        let (sealed, picture) = blocking(move || {
            let picture = look(&self.file, &self.key);
            (self, picture)
        })
        .await?;
        let picture = picture?;
        let original = Original {
            image_id: sealed.sealed.plain_hash.into(),
            format: format(picture.format),
            width: picture.width,
            height: picture.height,
            bytes: sealed.sealed.plain_bytes,
        };
        Ok(Looked { sealed, original, preview: preview(picture.preview), warning: picture.warning })
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

/// The preview of an image of one's own, made anew from its sealed copy.
///
/// # Errors
/// If the copy is not here, or cannot be read.
pub(crate) async fn preview_of(
    copies: &Copies,
    hash: SealedHash,
    key: ContentKey,
) -> Result<Preview, WireError> {
    let path = copies.path(&hash);
    blocking(move || {
        let file = File::open(&path).map_err(|error| disk_error("cannot open the sealed copy", &error))?;
        Ok(preview(look(&file, &key)?.preview))
    })
    .await?
}

fn preview(made: dos_preview::Preview) -> Preview {
    Preview { format: Format::Jpeg, width: made.width, height: made.height, data: made.jpeg }
}

/// Looks at an image through its sealed copy.
fn look(file: &File, key: &ContentKey) -> Result<Picture, WireError> {
    let unreadable = |error: &dyn std::error::Error| {
        WireError::new(Code::Internal, "the sealed copy cannot be read").caused_by(error.to_string())
    };
    let opener = Opener::new(file, key).map_err(|error| unreadable(&error))?;
    dos_preview::make(opener).map_err(|error| match error {
        PreviewError::Io(error) => unreadable(&error),
        other => WireError::new(Code::Invalid, other.to_string()),
    })
}

fn format(format: dos_preview::Format) -> Format {
    match format {
        dos_preview::Format::Jpeg => Format::Jpeg,
        dos_preview::Format::Png => Format::Png,
        dos_preview::Format::WebP => Format::WebP,
        dos_preview::Format::Gif => Format::Gif,
    }
}
