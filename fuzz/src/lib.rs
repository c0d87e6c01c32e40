//! What the fuzz targets try: every reader of bytes that a socket, a file, an image or a person brings.
//!
//! A target takes any bytes. It fails by a panic, by what a sanitizer finds, by memory or time beyond its bound, and where
//! what was read does not come out again as it was read.

pub mod copies;
#[cfg(feature = "daemons")]
pub mod files;
pub mod messages;
pub mod pictures;
#[cfg(feature = "daemons")]
pub mod rows;
pub mod secrets;
pub mod texts;

/// A target: it takes any bytes.
pub type Target = fn(&[u8]);

/// What needs the protocol and the libraries alone, by name, which is also that of its corpus.
pub const LIBRARIES: &[(&str, Target)] = &[
    ("admin_messages", messages::admin),
    ("block_lists", copies::blocks),
    ("control_messages", messages::control),
    ("directory_messages", messages::directory),
    ("frames", messages::frames),
    ("letters", secrets::letter),
    ("links", texts::links),
    ("names", texts::names),
    ("node_messages", messages::node),
    ("passwords", secrets::password),
    ("peer_messages", messages::peer),
    ("sealed_copies", copies::sealed),
];

/// Images. Apart, as the daemons are: decoding and colours are most of the code.
pub const PICTURES: &[(&str, Target)] = &[
    ("preview_avif", pictures::avif),
    ("preview_bitmaps", pictures::bitmaps),
    ("preview_gif", pictures::gif),
    ("preview_heic", pictures::heic),
    ("preview_jpeg", pictures::jpeg),
    ("preview_jxl", pictures::jxl),
    ("preview_png", pictures::png),
    ("preview_psd", pictures::psd),
    ("preview_raw", pictures::raw),
    ("preview_svg", pictures::svg),
    ("preview_tiff", pictures::tiff),
    ("preview_webp", pictures::webp),
];

/// What needs the daemons. Apart, because the fuzzer looks through all code that it was built with after every input.
#[cfg(feature = "daemons")]
pub const DAEMONS: &[(&str, Target)] =
    &[("config", files::config), ("identity", files::identity), ("stored_rows", rows::stored)];

/// The target that the environment names.
pub fn chosen(targets: &[(&str, Target)]) -> Target {
    let name = std::env::var("DOS_FUZZ_TARGET").unwrap_or_default();
    let found = targets.iter().find(|(known, _)| *known == name);
    found.map(|(_, target)| *target).unwrap_or_else(|| panic!("DOS_FUZZ_TARGET={name:?} is no target"))
}
