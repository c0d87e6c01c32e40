//! Scaling pictures in a process of its own: what a decoder of strangers' bytes does wrong there, it does to no key and to no other picture,
//! and a program that seldom shows a picture need not have all decoders in it.
//!
//! On standard input come any number of pictures, each as the width and the height of what it is to fit in (4 bytes each, as all numbers big-endian),
//! the length of its file (8 bytes) and the file. On standard output come a byte when the process is ready, and for each picture a 1, the
//! width, the height and the rows of pixels, or a 0, the length of a text (4 bytes) and the text, which says why there are none.
//!
//! The program that asks believes nothing of what comes: sizes have to fit in what was asked for, texts are bounded.

use std::io::{self, BufWriter, Cursor, Read, Write};

use crate::{Pixels, SCALED_PIXELS_MAX, scale};

/// What the process says when it is ready.
const READY: u8 = b'>';

const SCALED: u8 = 1;
const FAILED: u8 = 0;

/// Bytes of a text at most.
const TEXT_BYTES_MAX: usize = 4 << 10;

/// Why there are no pixels.
#[derive(Debug, thiserror::Error)]
pub enum ApartError {
    /// The process says why it has made none.
    #[error("{0}")]
    Image(Box<str>),
    /// The process has ended or cannot be talked with.
    #[error("the process that decodes pictures has failed")]
    Io(#[from] io::Error),
    /// What the process says cannot be.
    #[error("the process that decodes pictures does not answer as it should")]
    Nonsense,
}

/// Scales what comes on `input` until its end.
///
/// # Errors
/// If the other side is gone in the middle of a picture.
pub fn serve(mut input: impl Read, output: impl Write) -> io::Result<()> {
    let mut output = BufWriter::new(output);
    output.write_all(&[READY])?;
    output.flush()?;
    loop {
        let mut width = [0; 4];
        // Between two pictures is the end.
        if input.read(&mut width[..1])? == 0 {
            return Ok(());
        }
        input.read_exact(&mut width[1..])?;
        let (height, bytes) = (number(&mut input)?, {
            let mut bytes = [0; 8];
            input.read_exact(&mut bytes)?;
            u64::from_be_bytes(bytes)
        });
        let mut file = Vec::new();
        if input.by_ref().take(bytes).read_to_end(&mut file).map(|read| read as u64)? < bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match scale(Cursor::new(file), (u32::from_be_bytes(width), height)) {
            Ok(pixels) => {
                output.write_all(&[SCALED])?;
                output.write_all(&pixels.width.to_be_bytes())?;
                output.write_all(&pixels.height.to_be_bytes())?;
                output.write_all(&pixels.rgb)?;
            }
            Err(error) => {
                let text = error.to_string();
                let text = text.as_bytes().get(..TEXT_BYTES_MAX).unwrap_or(text.as_bytes());
                output.write_all(&[FAILED])?;
                output.write_all(&u32::try_from(text.len()).unwrap_or_default().to_be_bytes())?;
                output.write_all(text)?;
            }
        }
        output.flush()?;
    }
}

fn number(input: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    input.read_exact(&mut bytes)?;
    Ok(u32::from_be_bytes(bytes))
}

/// The other side: what a process that runs [`serve()`] is asked.
#[derive(Debug)]
pub struct Scaler<W, R> {
    input: W,
    output: R,
}

impl<W: Write, R: Read> Scaler<W, R> {
    /// Waits until the process with this standard input and output is ready.
    ///
    /// # Errors
    /// If it says something else, or nothing.
    pub fn new(input: W, mut output: R) -> Result<Self, ApartError> {
        let mut ready = [0];
        output.read_exact(&mut ready)?;
        if ready == [READY] { Ok(Self { input, output }) } else { Err(ApartError::Nonsense) }
    }

    /// As [`scale()`].
    ///
    /// # Errors
    /// As in [`ApartError`]. After any but [`ApartError::Image`] the process is of no use.
    pub fn scale(&mut self, file: &[u8], bounds: (u32, u32)) -> Result<Pixels, ApartError> {
        let bound = |side: u32| side.clamp(1, SCALED_PIXELS_MAX);
        let bounds = (bound(bounds.0), bound(bounds.1));
        self.input.write_all(&bounds.0.to_be_bytes())?;
        self.input.write_all(&bounds.1.to_be_bytes())?;
        self.input.write_all(&(file.len() as u64).to_be_bytes())?;
        self.input.write_all(file)?;
        self.input.flush()?;
        let mut kind = [0];
        self.output.read_exact(&mut kind)?;
        let first = number(&mut self.output)?;
        match kind {
            [SCALED] => {
                let (width, height) = (first, number(&mut self.output)?);
                if !(1..=bounds.0).contains(&width) || !(1..=bounds.1).contains(&height) {
                    return Err(ApartError::Nonsense);
                }
                // At most the square of SCALED_PIXELS_MAX, which is 4 million.
                let mut rgb = vec![0; width as usize * height as usize * 3];
                self.output.read_exact(&mut rgb)?;
                Ok(Pixels { width, height, rgb })
            }
            [FAILED] if first as usize <= TEXT_BYTES_MAX => {
                let mut text = vec![0; first as usize];
                self.output.read_exact(&mut text)?;
                Err(ApartError::Image(String::from_utf8_lossy(&text).into()))
            }
            _ => Err(ApartError::Nonsense),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, PipeWriter, pipe};

    use super::*;

    /// A process, as a thread.
    fn process() -> Scaler<PipeWriter, PipeReader> {
        let (input, theirs) = pipe().unwrap();
        let (ours, output) = pipe().unwrap();
        std::thread::spawn(move || serve(input, output));
        Scaler::new(theirs, ours).unwrap()
    }

    /// What is made of such an answer to a picture that is to fit in 10 x 10 pixels.
    fn answered(answer: &[u8]) -> Result<Pixels, ApartError> {
        let mut scaler = Scaler::new(Vec::new(), Cursor::new([b">", answer].concat()))?;
        scaler.scale(b"a picture", (10, 10))
    }

    #[test]
    fn pictures_are_scaled_as_they_are_here_and_failures_told_one_after_the_other() {
        let file = include_bytes!("../tests/data/huffman.jpg");
        let mut process = process();
        for bounds in [(100, 100), (7, 2000), (0, 1)] {
            let here = scale(Cursor::new(file), bounds).unwrap();
            assert!(process.scale(file, bounds).unwrap() == here);
        }
        for broken in [&b"dear diary"[..], &file[..300], &[]] {
            let here = scale(Cursor::new(broken), (9, 9)).unwrap_err().to_string();
            assert_eq!(process.scale(broken, (9, 9)).unwrap_err().to_string(), here);
        }
        assert!(process.scale(file, (100, 100)).is_ok());
    }

    #[test]
    fn what_cannot_be_is_not_believed() {
        let size =
            |width: u32, height: u32| [&[SCALED][..], &width.to_be_bytes(), &height.to_be_bytes()].concat();
        let good = answered(&[size(2, 1), vec![7; 6]].concat()).unwrap();
        assert_eq!((good.width, good.height, good.rgb), (2, 1, vec![7; 6]));
        for (width, height) in [(0, 1), (1, 0), (11, 1), (1, 11), (u32::MAX, u32::MAX)] {
            let told = [size(width, height), vec![7; 1000]].concat();
            assert!(matches!(answered(&told), Err(ApartError::Nonsense)), "{width} x {height}");
        }
        for told in [&[2, 0, 0, 0, 1][..], &[FAILED, 0, 0, 16, 1], &[FAILED, 255, 255, 255, 255]] {
            assert!(matches!(answered(told), Err(ApartError::Nonsense)), "{told:?}");
        }
        for cut in [&[][..], &[SCALED], &[SCALED, 0, 0, 0, 1, 0, 0, 0, 1, 7], &[FAILED, 0, 0, 0, 2, b'x']] {
            assert!(matches!(answered(cut), Err(ApartError::Io(_))), "{cut:?}");
        }
        assert!(matches!(Scaler::new(Vec::new(), Cursor::new(b"x")), Err(ApartError::Nonsense)));
        assert!(matches!(Scaler::new(Vec::new(), Cursor::new(b"")), Err(ApartError::Io(_))));
    }

    #[test]
    fn a_process_ends_with_its_input_and_a_picture_that_is_cut_is_an_error() {
        let mut out = Vec::new();
        serve(&b""[..], &mut out).unwrap();
        assert_eq!(out, [READY]);
        let cut = [&[0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 1, 0][..], &[7; 255]].concat();
        for end in [1, 8, 16, cut.len()] {
            assert!(serve(&cut[..end], Vec::new()).is_err(), "{end}");
        }
    }
}
