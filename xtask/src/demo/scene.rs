//! Paints landscapes: a sky with a sun, hills behind each other, and a foreground, with the texture and grain that make
//! an encoder work as it does on a photograph.
//!
//! Whole numbers only, so that the same scene has the same pixels everywhere. Positions are in 1024ths of the height.

use image::{Rgb, RgbImage};

type Colour = [i32; 3];

/// What is in a picture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene {
    /// The sky, at the top and at the horizon.
    pub(crate) sky: [Colour; 2],
    /// The sun, or the moon.
    pub(crate) sun: Colour,
    /// The nearest hills; farther ones are paler.
    pub(crate) hills: Colour,
    /// The foreground.
    pub(crate) ground: Colour,
    /// How much of the sun the foreground mirrors at most, in percent.
    pub(crate) shine: i32,
    /// Makes the shapes different.
    pub(crate) seed: u32,
}

/// Where the ground begins.
const SHORE: i32 = 740;
/// Where the crests of the hills are on average, the farthest first.
const CRESTS: [i32; 3] = [470, 560, 660];
/// The sun's place, as a fraction of the width in 16ths, and its height and radius.
const SUN: (i32, i32, i32) = (11, 260, 46);

impl Scene {
    /// Paints it.
    pub(crate) fn paint(&self, width: u32, height: u32) -> RgbImage {
        let (columns, rows) = (to_i32(width), to_i32(height).max(1));
        let position = |pixels: i32| pixels * 1024 / rows;
        let crests: Vec<[i32; 3]> = (0..columns).map(|x| self.crests(position(x))).collect();
        let sun_x = position(columns) * SUN.0 / 16;
        let mut picture = RgbImage::new(width, height);
        for (y, row) in (0..).zip(picture.rows_mut()) {
            let down = position(y);
            for ((x, pixel), crests) in (0..).zip(row).zip(&crests) {
                let colour = self.colour(crests, (position(x) - sun_x, down), (x, y));
                let grain = to_i32(hash(x, y, self.seed ^ 0x9e37) & 15) - 8;
                *pixel = Rgb(colour.map(|part| to_u8(part + grain)));
            }
        }
        picture
    }

    fn crests(&self, across: i32) -> [i32; 3] {
        let mut layer = 0;
        CRESTS.map(|crest| {
            layer += 1;
            let seed = self.seed.wrapping_add(layer * 101);
            let wide = noise(across, 0, 8, seed) * 5 / 8;
            let narrow = noise(across, 0, 6, seed) / 4 + noise(across, 0, 3, seed) / 24;
            crest + 100 - wide - narrow
        })
    }

    /// The colour at a place: `from_sun` is to the right of the sun and down from the top, `pixel` where it is in the file.
    fn colour(&self, crests: &[i32; 3], from_sun: (i32, i32), pixel: (i32, i32)) -> Colour {
        let (aside, down) = from_sun;
        let texture = noise(pixel.0, pixel.1, 4, self.seed) - 128;
        if down > SHORE {
            let ripples = noise(pixel.0 >> 3, pixel.1, 3, self.seed) - 128;
            let path = (160 - aside.abs()).max(0) * (ripples + 100).max(0) / 160;
            let depth = (down - SHORE) * 100 / (1024 - SHORE);
            let base = mix(self.ground, self.ground.map(|part| part / 2), depth);
            return mix(base.map(|part| part + ripples / 6 + texture / 12), self.sun, path.min(self.shine));
        }
        if let Some(layer) = (0..3).rev().find(|&layer| crests.get(layer).is_some_and(|crest| down > *crest))
        {
            let haze = [55, 28, 0].get(layer).copied().unwrap_or(0);
            let fine = noise(pixel.0, pixel.1, 2, self.seed ^ 7) - 128;
            let lit = self.hills.map(|part| part + texture / 5 + fine / 8);
            return mix(lit, self.sky[1], haze);
        }
        let height = down - SUN.1;
        let (distance, radius) = (aside * aside + height * height, SUN.2 * SUN.2);
        if distance < radius {
            return self.sun;
        }
        let clouds = (noise(pixel.0 >> 3, pixel.1 >> 1, 6, self.seed ^ 3) - 150).max(0);
        let sky = mix(self.sky[0], self.sky[1], (down * 100 / CRESTS[1]).min(100));
        mix(sky.map(|part| part + clouds / 3), self.sun, 80 * radius / distance)
    }
}

/// `percent` of `b`, the rest of `a`.
fn mix(a: Colour, b: Colour, percent: i32) -> Colour {
    let [[r, g, bl], [r2, g2, b2]] = [a, b];
    [(r, r2), (g, g2), (bl, b2)].map(|(from, to)| from + (to - from) * percent / 100)
}

/// Value noise from 0 to 255, smooth over cells of `1 << cell` pixels.
fn noise(x: i32, y: i32, cell: u32, seed: u32) -> i32 {
    let (column, row) = (x >> cell, y >> cell);
    let smooth = |place: i32| {
        let t = (place & ((1 << cell) - 1)) << (8 - cell);
        (t * t * (768 - 2 * t)) >> 16
    };
    let (right, below) = (smooth(x), smooth(y));
    let corner = |dx, dy| to_i32(hash(column + dx, row + dy, seed) >> 24);
    let blend = |from: i32, to: i32, part: i32| from + (((to - from) * part) >> 8);
    let above = blend(corner(0, 0), corner(1, 0), right);
    blend(above, blend(corner(0, 1), corner(1, 1), right), below)
}

/// Mixes a place into 32 bits: the finalizer of MurmurHash3 over the coordinates times large primes.
fn hash(x: i32, y: i32, seed: u32) -> u32 {
    let place = x.cast_unsigned().wrapping_mul(0x9e37_79b1) ^ y.cast_unsigned().wrapping_mul(0x85eb_ca77);
    let mut mixed = place.wrapping_add(seed.wrapping_mul(0xc2b2_ae3d));
    mixed = (mixed ^ (mixed >> 16)).wrapping_mul(0x85eb_ca6b);
    mixed = (mixed ^ (mixed >> 13)).wrapping_mul(0xc2b2_ae35);
    mixed ^ (mixed >> 16)
}

fn to_i32(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn to_u8(part: i32) -> u8 {
    u8::try_from(part.clamp(0, 255)).unwrap_or(u8::MAX)
}
