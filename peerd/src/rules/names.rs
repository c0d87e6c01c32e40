//! Names of images and the files that they come from.

use dos_protocol::ImageName;

/// The endings of the files that can be added.
const ENDINGS: [&str; 6] = ["jpg", "jpeg", "jpe", "png", "webp", "gif"];

/// The name without the ending of a file of an image, if it has one.
pub(crate) fn without_ending(name: &ImageName) -> Option<ImageName> {
    let (stem, ending) = name.as_str().rsplit_once('.')?;
    let known = ENDINGS.iter().any(|known| known.eq_ignore_ascii_case(ending));
    if known { stem.parse().ok() } else { None }
}

/// The name with a number, as far as there is room for one.
pub(crate) fn numbered(name: &ImageName, number: u32) -> Option<ImageName> {
    format!("{name}-{number}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_part_of_the_name() {
        assert_eq!(numbered(&"sea".parse().unwrap(), 2).unwrap().as_str(), "sea-2");
        assert_eq!(numbered(&"x".repeat(99).parse().unwrap(), 2), None);
    }

    #[test]
    fn only_the_endings_of_images_are_taken_off() {
        for (name, expected) in [
            ("sea.jpg", Some("sea")),
            ("the sea.v2.PNG", Some("the sea.v2")),
            ("sea", None),
            ("sea.txt", None),
            (".jpg", None),
        ] {
            let stem = without_ending(&name.parse().unwrap());
            assert_eq!(stem.as_ref().map(ImageName::as_str), expected, "{name}");
        }
    }
}
