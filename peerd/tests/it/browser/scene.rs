//! A gallery with something of everything in it: pictures of all shapes, grants in every state, requests, messages.

use std::{fs, path::Path};

use image::{ExtendedColorType, RgbImage, codecs::jpeg::JpegEncoder};

use crate::stage::{Peer, Stage, wait_until};

/// Three people and what is between them.
pub(super) struct Scene {
    pub(super) alice: Peer,
    pub(super) bob: Peer,
    pub(super) carol: Peer,
    _stage: Stage,
}

/// Name and size of the pictures of Alice.
const HERS: [(&str, (u32, u32)); 4] =
    [("Coffee", (900, 600)), ("Rocket", (500, 1100)), ("Moon at night", (1600, 400)), ("Coins", (40, 30))];

/// The same of Bob.
const HIS: [(&str, (u32, u32)); 8] = [
    ("Chelsea the cat", (800, 600)),
    ("Astronaut", (300, 900)),
    ("Gravel on the path, behind the old observatory", (1800, 450)),
    ("Grass", (600, 600)),
    ("Motorcycle", (700, 500)),
    ("Brick wall", (500, 700)),
    ("Deep field", (640, 360)),
    ("Camera", (360, 640)),
];

/// Something like a landscape: a sky, hills, a sun.
fn painted((width, height): (u32, u32), seed: u8) -> Vec<u8> {
    let (w, h, seed) = (f64::from(width), f64::from(height), f64::from(seed));
    let picture = RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (f64::from(x) / w, f64::from(y) / h);
        let hill = 0.55 + 0.12 * (x * 5.0 + seed).sin() + 0.05 * (x * 17.0 + seed * 2.0).sin();
        let far = ((x - 0.7).powi(2) * (w / h) + (y - 0.25).powi(2)).sqrt();
        let [r, g, b] = if y > hill {
            [0.2 + 0.1 * seed.sin(), 0.35 + 0.2 * (y - hill), 0.25]
        } else if far < 0.08 {
            [1.0, 0.95, 0.75]
        } else {
            [0.95 - 0.5 * y, 0.6 + 0.2 * y, 0.5 + 0.4 * y + 0.1 * seed.cos()]
        };
        #[expect(clippy::cast_possible_truncation, reason = "a float saturates, which is what is wanted")]
        let byte = |part: f64| (part * 255.0) as u8;
        image::Rgb([byte(r), byte(g), byte(b)])
    });
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 85)
        .encode(picture.as_raw(), width, height, ExtendedColorType::Rgb8)
        .unwrap();
    bytes
}

/// Writes the pictures of a peer: photographs, if a folder of this name has some, else painted ones.
fn write(peer: &Peer, pictures: &[(&str, (u32, u32))]) {
    let photographs =
        std::env::var_os("DOS_TEST_PHOTOGRAPHS").map(|folder| Path::new(&folder).join(&peer.name));
    let mut photographs: Vec<_> = photographs
        .and_then(|folder| fs::read_dir(folder).ok())
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default();
    photographs.sort();
    for (number, (name, size)) in (0_u8..).zip(pictures) {
        let bytes = match photographs.get(usize::from(number)) {
            Some(path) => fs::read(path).unwrap(),
            None => painted(*size, number),
        };
        fs::write(peer.dir.join(format!("{name}.jpg")), bytes).unwrap();
    }
}

impl Scene {
    #[track_caller]
    pub(super) fn new() -> Self {
        let stage = Stage::new();
        let scene = Self {
            alice: stage.peer("alice"),
            bob: stage.peer("bob"),
            carol: stage.peer("carol"),
            _stage: stage,
        };
        let Self { alice, bob, carol, .. } = &scene;
        write(alice, &HERS);
        write(bob, &HIS);
        let add = |peer: &Peer, pictures: &[(&str, (u32, u32))]| {
            let files: Vec<String> = pictures.iter().map(|(name, _)| format!("{name}.jpg")).collect();
            let mut args = vec!["add"];
            args.extend(files.iter().map(String::as_str));
            peer.ctl(&args).ok();
        };
        add(bob, &HIS);
        add(alice, &HERS);
        alice.ctl(&["set", "Coins", "--private"]).ok();
        alice.ctl(&["set", "Coffee", "Rocket", "--album", "Favourites"]).ok();
        alice
            .ctl(&[
                "set",
                "Coffee",
                "--description",
                "A cup of coffee with a heart of milk foam, on a wooden table",
            ])
            .ok();
        bob.ctl(&[
            "set",
            "Chelsea the cat",
            "--description",
            "The face of a red tabby cat that looks into the camera",
        ])
        .ok();
        // A file that no browser shows, and that peerd does not decode.
        fs::write(bob.dir.join("Manual.pdf"), "%PDF-1.4").unwrap();
        bob.ctl(&["add", "--any", "Manual.pdf"]).ok();
        scene.grants();
        alice.ctl(&["send", "bob", "The new scans are up: have a look at the coffee."]).ok();
        bob.ctl(&["send", "alice", "Thank you! May I have the rocket, too?\nIt is for the calendar."]).ok();
        carol.ctl(&["send", "alice", "Hello Alice, this is Carol from the photo club."]).ok();
        alice.ctl(&["group", "family", "--add", "bob"]).ok();
        wait_until("alice has all of it", || {
            let status = alice.json(&["status"]);
            status["pending"]["messages"] == 2 && status["pending"]["requests"] == 2
        });
        wait_until("and what bob has granted", || {
            let received = alice.json(&["shares", "--received"]);
            received["received"].as_array().is_some_and(|received| received.len() >= 5)
        });
        scene
    }

    /// Grants and requests in every state.
    fn grants(&self) {
        let Self { alice, bob, carol, .. } = self;
        alice.ctl(&["share", "Coffee", "bob", "--views", "5", "--expires", "7d"]).ok();
        alice.ctl(&["share", "Coffee", "carol", "--unlimited"]).ok();
        alice.ctl(&["share", "Coffee", "carol", "--revoke"]).ok();
        bob.ctl(&["share", "Chelsea the cat", "alice", "--views", "3", "--expires", "2d"]).ok();
        bob.ctl(&["share", "Astronaut", "alice", "--unlimited"]).ok();
        bob.ctl(&["share", "Grass", "alice", "--views", "1"]).ok();
        bob.ctl(&["share", "Manual", "alice", "--views", "2"]).ok();
        bob.ctl(&["share", "Deep field", "alice", "--views", "1"]).ok();
        bob.ctl(&["share", "Deep field", "alice", "--revoke"]).ok();
        wait_until("alice may view", || alice.right("/Grass").is_some());
        alice.view("bob/Grass");
        alice.ctl(&["request", "bob/Motorcycle", "--views", "3", "--note", "May I print it?"]).ok();
        alice.ctl(&["request", "bob/Brick wall", "--views", "2"]).ok();
        wait_until("bob has both", || bob.json(&["status"])["pending"]["requests"] == 2);
        let requests = bob.json(&["requests", "--incoming"]);
        let wall = requests["incoming"].as_array().unwrap().iter();
        let wall =
            wall.clone().find(|request| request["image"].as_str().unwrap().ends_with("/Brick wall")).unwrap();
        let number = wall["request"].as_u64().unwrap().to_string();
        bob.ctl(&["deny", &number, "--reason", "It is not mine to show."]).ok();
        bob.ctl(&["request", "alice/Rocket", "--views", "3", "--note", "for the calendar"]).ok();
        carol.ctl(&["request", "alice/Coffee", "--views", "10"]).ok();
        carol.ctl(&["request", "alice/Moon at night"]).ok();
        wait_until("alice has them", || alice.json(&["status"])["pending"]["requests"] == 3);
        let requests = alice.json(&["requests", "--incoming"]);
        let moon = requests["incoming"].as_array().unwrap().iter().cloned();
        let moon = moon
            .into_iter()
            .find(|request| request["image"].as_str().unwrap().ends_with("/Moon at night"))
            .unwrap();
        alice.ctl(&["approve", &moon["request"].as_u64().unwrap().to_string(), "--views", "1"]).ok();
    }

    /// The pages of Alice's gallery, each with a name for its file.
    pub(super) fn pages(&self) -> Vec<(&'static str, String)> {
        let id = |peer: &Peer| peer.json(&["status"])["id"].as_str().unwrap().to_owned();
        let (alice, bob) = (id(&self.alice), id(&self.bob));
        let page = |name: &'static str, path: &str| (name, path.to_owned());
        vec![
            page("pictures", "/"),
            page("by-name", "/?sort=name"),
            page("mine", "/?of=mine"),
            page("album", "/?of=mine&album=Favourites"),
            page("nothing", "/?q=zzz"),
            page("own", &format!("/picture/{alice}/Coffee")),
            page("picture", &format!("/picture/{bob}/Chelsea%20the%20cat")),
            page(
                "panorama",
                &format!("/picture/{bob}/Gravel%20on%20the%20path%2C%20behind%20the%20old%20observatory"),
            ),
            page("used-up", &format!("/picture/{bob}/Grass")),
            page("question", &format!("/view/{bob}/Chelsea%20the%20cat")),
            page("question-file", &format!("/view/{bob}/Manual")),
            page("missing", &format!("/picture/{bob}/nothing")),
            page("people", "/people"),
            page("requests", "/requests"),
            page("messages", "/messages"),
            page("news", "/news"),
            page("settings", "/settings"),
            page("add", "/add"),
        ]
    }
}
