//! What is seen of a preview before it is there: its ThumbHash, which the script draws on a canvas behind the picture. Without the script
//! the canvas stays empty, and without a hash there is none.

use dos_protocol::model::ImageInfo;
use maud::{Markup, html};

/// The longer side of the canvas, in pixels: the hash has no finer detail.
const SIDE: u32 = 32;

/// The picture of an image in its frame.
pub(super) fn framed(image: &ImageInfo, picture: &Markup) -> Markup {
    let (width, height) = size((image.preview.width, image.preview.height));
    html! {
        span.frame {
            @if let Some(hash) = image.thumbhash() {
                canvas data-thumbhash=(hash) width=(width) height=(height) aria-hidden="true" {}
            }
            (picture)
        }
    }
}

/// The size of the canvas for a preview of this size.
fn size((width, height): (u32, u32)) -> (u32, u32) {
    let (width, height) = (u64::from(width.max(1)), u64::from(height.max(1)));
    let longest = width.max(height);
    let scaled = |side: u64| u32::try_from(u64::from(SIDE) * side / longest).unwrap_or(SIDE).max(1);
    (scaled(width), scaled(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canvas_has_the_shape_of_the_preview_and_few_pixels() {
        assert_eq!(size((256, 192)), (32, 24));
        assert_eq!(size((341, 512)), (21, 32));
        assert_eq!(size((1, 512)), (1, 32));
        assert_eq!(size((0, 0)), (32, 32));
        assert_eq!(size((u32::MAX, 1)), (32, 1));
    }
}
