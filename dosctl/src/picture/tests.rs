//! What each way of drawing sends, taken apart again as the terminal would; and which way is taken.

use std::io::Cursor;

use base64::{Engine, prelude::BASE64_STANDARD};

use super::{
    detect::{Answers, Environment, Wanted, choose, sound_cell},
    *,
};

/// A picture whose every pixel is another.
fn gradient(width: u32, height: u32) -> Pixels {
    let byte = |value: u32| u8::try_from(value % 256).unwrap();
    let rgb = (0..height)
        .flat_map(|y| {
            (0..width).flat_map(move |x| [byte(x * 255 / width), byte(y * 255 / height), byte(x + y)])
        })
        .collect();
    Pixels { width, height, rgb }
}

/// The pixels of a PNG file, by the library that wrote it.
fn decoded(file: &[u8]) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(Cursor::new(file)).read_info().unwrap();
    let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut rgb).unwrap();
    (info.width, info.height, rgb)
}

fn surface(graphics: Graphics) -> Surface {
    Surface { graphics, window: (100, 40), cell: (8, 16) }
}

#[test]
fn what_kitty_gets_is_the_picture_in_chunks_that_it_takes() {
    let pixels = gradient(300, 200);
    let out = String::from_utf8(kitty::draw(&png(&pixels).unwrap())).unwrap();
    let mut text = String::new();
    let chunks: Vec<&str> = out.strip_suffix('\n').unwrap().split_inclusive("\u{1b}\\").collect();
    assert!(chunks.len() > 2);
    for (index, chunk) in chunks.iter().enumerate() {
        let body = chunk.strip_prefix("\u{1b}_G").unwrap().strip_suffix("\u{1b}\\").unwrap();
        let (keys, data) = body.split_once(';').unwrap();
        let more = if index + 1 < chunks.len() { "m=1" } else { "m=0" };
        assert_eq!(keys, if index == 0 { format!("a=T,f=100,q=2,{more}") } else { more.into() });
        assert!(data.len() <= 4096 && (more == "m=0" || data.len().is_multiple_of(4)));
        text.push_str(data);
    }
    assert_eq!(decoded(&BASE64_STANDARD.decode(text).unwrap()), (300, 200, pixels.rgb));
}

#[test]
fn what_iterm2_gets_is_the_picture() {
    let pixels = gradient(30, 20);
    let file = png(&pixels).unwrap();
    let out = String::from_utf8(iterm2::draw(&file, (30, 20))).unwrap();
    let body = out.strip_prefix("\u{1b}]1337;File=").unwrap().strip_suffix("\u{7}\n").unwrap();
    let (keys, data) = body.split_once(':').unwrap();
    assert_eq!(keys, format!("inline=1;size={};width=30px;height=20px;preserveAspectRatio=1", file.len()));
    assert_eq!(decoded(&BASE64_STANDARD.decode(data).unwrap()), (30, 20, pixels.rgb));
}

/// What a VT340 with enough memory shows: the pixels that were drawn.
fn shown_by_sixel(out: &[u8]) -> (usize, usize, Vec<Option<[u8; 3]>>) {
    let text = str::from_utf8(out).unwrap();
    let body = text.strip_prefix("\u{1b}P0;1;0q\"1;1;").unwrap().strip_suffix("\u{1b}\\\n").unwrap();
    let number = |rest: &mut &str| -> usize {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, tail) = rest.split_at(end);
        *rest = tail.strip_prefix(';').unwrap_or(tail);
        digits.parse().unwrap()
    };
    let mut rest = body;
    let (width, height) = (number(&mut rest), number(&mut rest));
    let mut palette = vec![[0; 3]; 256];
    let mut shown = vec![None; width * height];
    let (mut colour, mut x, mut top) = (0, 0, 0);
    while let Some(char) = rest.chars().next() {
        rest = &rest[1..];
        let mut count = 1;
        let mut sixel = char;
        match char {
            '#' => {
                let before = rest;
                colour = number(&mut rest);
                if before[..before.len() - rest.len()].ends_with(';') {
                    assert_eq!(number(&mut rest), 2);
                    palette[colour] = [(); 3].map(|()| u8::try_from(number(&mut rest) * 255 / 100).unwrap());
                }
                continue;
            }
            '$' => x = 0,
            '-' => (x, top) = (0, top + 6),
            '!' => {
                count = number(&mut rest);
                sixel = rest.chars().next().unwrap();
                rest = &rest[1..];
            }
            _ => {}
        }
        if ('?'..='~').contains(&sixel) {
            let mask = sixel as u32 - '?' as u32;
            for x in x..x + count {
                for row in (0..6).filter(|row| mask >> row & 1 == 1) {
                    let at = (top + row) * width + x;
                    assert_eq!(shown[at], None, "a pixel is drawn once");
                    shown[at] = Some(palette[colour]);
                }
            }
            x += count;
        }
    }
    (width, height, shown)
}

#[test]
fn what_sixel_shows_is_the_picture_but_for_its_grain() {
    // Not a multiple of six rows.
    let pixels = gradient(97, 64);
    let (width, height, shown) = shown_by_sixel(&sixel::draw(&pixels));
    assert_eq!((width, height), (97, 64));
    let all: Vec<[u8; 3]> = shown.into_iter().map(|pixel| pixel.unwrap()).collect();
    // Seen from some way off, which is what dithering is for: the mean of 8 x 8 pixels.
    let mean = |rgb: &dyn Fn(usize, usize) -> [u8; 3], left: usize, top: usize, channel: usize| -> i32 {
        let cells = (0..64).map(|at| i32::from(rgb(left + at % 8, top + at / 8)[channel]));
        cells.sum::<i32>() / 64
    };
    let truth = |x: usize, y: usize| super::pixel(&pixels.rgb[(y * 97 + x) * 3..]);
    let drawn = |x: usize, y: usize| all[y * 97 + x];
    for (left, top) in [(0, 0), (40, 24), (80, 56), (8, 48)] {
        for channel in 0..2 {
            let (wanted, got) = (mean(&truth, left, top, channel), mean(&drawn, left, top, channel));
            assert!(wanted.abs_diff(got) <= 16, "({left}, {top}) {channel}: {got} for {wanted}");
        }
    }
}

/// The two colours of every cell of half blocks, line by line.
fn cells(out: &[u8]) -> Vec<Vec<(String, String)>> {
    let text = str::from_utf8(out).unwrap();
    let mut lines = Vec::new();
    for line in text.lines() {
        let line = line.strip_suffix("\u{1b}[0m").unwrap();
        let (mut front, mut back) = (String::new(), String::new());
        let mut cells = Vec::new();
        for part in line.split_inclusive('\u{2580}') {
            for code in part.trim_end_matches('\u{2580}').split_terminator('m') {
                let code = code.strip_prefix("\u{1b}[").unwrap();
                match code.split_once(';').unwrap() {
                    ("38", colour) => front = colour.into(),
                    ("48", colour) => back = colour.into(),
                    other => panic!("{other:?}"),
                }
            }
            cells.push((front.clone(), back.clone()));
        }
        lines.push(cells);
    }
    lines
}

#[test]
fn half_blocks_show_every_pixel_in_its_place() {
    let pixels = gradient(20, 7);
    let lines = cells(&blocks::draw(&pixels, Colours::True));
    assert_eq!(lines.len(), 4);
    let said = |x: usize, y: usize| {
        let [red, green, blue] = super::pixel(&pixels.rgb[(y * 20 + x) * 3..]);
        format!("2;{red};{green};{blue}")
    };
    for (row, line) in lines.iter().enumerate() {
        assert_eq!(line.len(), 20);
        for (x, (front, back)) in line.iter().enumerate() {
            assert_eq!(*front, said(x, row * 2));
            // Below the last row there is nothing.
            assert_eq!(*back, if row == 3 { String::new() } else { said(x, row * 2 + 1) });
        }
    }
}

#[test]
fn with_256_colours_the_nearest_is_taken_and_said_once() {
    for (colour, index) in [
        ([0, 0, 0], 16),
        ([255, 255, 255], 231),
        ([255, 0, 0], 196),
        ([130, 128, 127], 244),
        ([9, 8, 7], 232),
        ([95, 135, 175], 67),
    ] {
        assert_eq!(blocks::indexed(colour), index, "{colour:?}");
    }
    let flat = Pixels { width: 3, height: 2, rgb: vec![255; 18] };
    let out = String::from_utf8(blocks::draw(&flat, Colours::Indexed)).unwrap();
    assert_eq!(out, "\u{1b}[38;5;231m\u{1b}[48;5;231m\u{2580}\u{2580}\u{2580}\u{1b}[0m\n");
}

#[test]
fn a_picture_fits_above_the_prompt_or_in_its_share() {
    let kitty = surface(Graphics::Kitty);
    assert_eq!(kitty.bounds(Share::Window), (800, 38 * 16));
    assert_eq!(kitty.bounds(Share::Cells(48, 20)), (384, 320));
    let blocks = surface(Graphics::Blocks(Colours::True));
    assert_eq!(blocks.bounds(Share::Window), (100, 76));
    let tiny = Surface { window: (10, 1), ..blocks };
    assert_eq!(tiny.bounds(Share::Cells(48, 20)), (10, 2));
    let file = png(&gradient(400, 400)).unwrap();
    let out =
        blocks.draw(&dos_preview::scale(Cursor::new(file), blocks.bounds(Share::Window)).unwrap()).unwrap();
    assert_eq!(cells(&out).len(), 38);
}

fn environment(term: &str) -> Environment {
    Environment { term: term.into(), ..Environment::default() }
}

const KITTY: &[u8] =
    b"\x1b_Gi=31;OK\x1b\\\x1bP>|kitty(0.35.2)\x1b\\\x1bP1+r524742=38\x1b\\\x1b[6;20;10t\x1b[?62;c";
const ITERM2: &[u8] = b"\x1bP>|iTerm2 3.4.19\x1b\\\x1b[6;34;16t\x1b[?62;4c";
const XTERM: &[u8] =
    b"\x1bP>|XTerm(379)\x1b\\\x1bP0+r524742\x1b\\\x1b[6;17;8t\x1b[?64;1;2;4;6;9;15;18;21;22c";
const VTE: &[u8] = b"\x1bP>|VTE(6800)\x1b\\\x1b[?65;1;9c";
const KONSOLE: &[u8] = b"\x1b_Gi=31;OK\x1b\\\x1b[?62;1;4c";

#[test]
fn the_best_that_a_terminal_answers_is_taken() {
    let auto = |bytes: &[u8], term: &str| choose(Wanted::Auto, &Answers::read(bytes), &environment(term));
    assert_eq!(auto(KITTY, "xterm-kitty"), Some(Graphics::Kitty));
    assert_eq!(auto(KONSOLE, "xterm-256color"), Some(Graphics::Kitty));
    assert_eq!(auto(ITERM2, "xterm-256color"), Some(Graphics::Iterm2));
    assert_eq!(auto(XTERM, "xterm"), Some(Graphics::Sixel));
    assert_eq!(auto(VTE, "xterm-256color"), Some(Graphics::Blocks(Colours::Indexed)));
    assert_eq!(auto(b"", "linux"), Some(Graphics::Blocks(Colours::Indexed)));
    assert_eq!(auto(KITTY, "dumb"), None);
    assert_eq!(auto(KITTY, ""), None);
    assert_eq!(Answers::read(KITTY).cell, Some((10, 20)));
    assert!([KITTY, ITERM2, XTERM, VTE, KONSOLE].iter().all(|bytes| Answers::read(bytes).complete));
}

#[test]
fn the_environment_tells_what_the_terminal_does_not() {
    let auto = |environment: &Environment| choose(Wanted::Auto, &Answers::read(VTE), environment);
    let vte = Environment { colorterm: "truecolor".into(), ..environment("xterm-256color") };
    assert_eq!(auto(&vte), Some(Graphics::Blocks(Colours::True)));
    let iterm2 = Environment { term_program: "iTerm.app".into(), ..environment("xterm-256color") };
    assert_eq!(auto(&iterm2), Some(Graphics::Iterm2));
    // In tmux the variable is that of the terminal outside, whose pictures tmux does not pass on.
    assert_eq!(auto(&Environment { multiplexed: true, ..iterm2 }), Some(Graphics::Blocks(Colours::Indexed)));
    assert!(!environment("linux").takes_questions() && !environment("dumb").takes_questions());
}

#[test]
fn no_color_forbids_half_blocks_alone_and_a_wish_is_obeyed() {
    let plain = Environment { no_color: true, ..environment("xterm-256color") };
    assert_eq!(choose(Wanted::Auto, &Answers::read(VTE), &plain), None);
    assert_eq!(choose(Wanted::Auto, &Answers::read(KITTY), &plain), Some(Graphics::Kitty));
    assert_eq!(choose(Wanted::Blocks, &Answers::read(b""), &plain), Some(Graphics::Blocks(Colours::Indexed)));
    assert_eq!(choose(Wanted::None, &Answers::read(KITTY), &environment("xterm")), None);
    assert_eq!(choose(Wanted::Sixel, &Answers::read(b""), &environment("xterm")), Some(Graphics::Sixel));
}

#[test]
fn answers_that_are_cut_foreign_or_mad_do_no_harm() {
    for bytes in [KITTY, ITERM2, XTERM] {
        for len in 0..bytes.len() {
            assert!(!Answers::read(&bytes[..len]).complete, "only the last byte completes them");
        }
    }
    let typed = [b"ls\x1b[A\x1b", KITTY, b"q\x1b[B"].concat();
    assert_eq!(Answers::read(&typed), Answers::read(KITTY));
    assert_eq!(Answers::read(b"\x1b[6;65535;65535t").cell, None);
    assert_eq!(Answers::read(b"\x1b[6;0;8t").cell, None);
    assert_eq!(Answers::read(b"\x1b[6;99999999999;8t").cell, None);
    assert_eq!(sound_cell((200, 1)), Some((200, 1)));
    assert!(!Answers::read(&[0x1b; 5000]).complete);
}
