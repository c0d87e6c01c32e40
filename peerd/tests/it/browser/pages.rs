//! Every page, in light and in dark, from a phone to a wide screen: what axe-core finds, what runs over the edge, and whether the
//! keyboard alone is enough. With a folder in `DOS_TEST_SCREENSHOTS` pictures of all of them go there.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};

use super::{Chrome, axe, scene::Scene, window::Window};

/// Runs axe-core, and gives what it found: rule, and the elements that break it.
const AXE: &str = "const done = arguments[arguments.length - 1];
    axe.run(document, { resultTypes: ['violations'] }).then((found) => done(found.violations.map((one) =>
        one.id + ': ' + one.nodes.map((node) => node.html.slice(0, 200) + ' ' + node.failureSummary).join(' | '))),
        (error) => done([String(error)]));";

/// Widths and heights: a small and a common phone, a laptop at 200 %, a laptop, a large screen.
const SIZES: [(u32, u32); 5] = [(360, 740), (390, 844), (720, 450), (1440, 900), (2560, 1300)];

/// What sticks out of the page to the right: the elements, each by a name; what scrolls by itself does not.
const OVERFLOW: &str = "const out = [];
    const wide = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth > wide) out.push('the page: ' + document.documentElement.scrollWidth);
    for (const one of document.body.querySelectorAll('*')) {
        if (one.closest('.scroll, .skip, .visually-hidden, .stage')) continue;
        const box = one.getBoundingClientRect();
        if (box.width && box.right > wide + 1) out.push(one.tagName + '.' + one.className + ' ' + one.textContent.slice(0, 40));
    }
    return out.slice(0, 5);";

/// Opens the page that shows an original.
fn viewer(window: &Window<'_>, question: &str) {
    window.open(question);
    window.click("form[action='/view'] button");
    window.waits_for("the original is there", "document.getElementById('original')?.naturalWidth");
}

fn shots() -> Option<PathBuf> {
    let folder = std::env::var_os("DOS_TEST_SCREENSHOTS").map(PathBuf::from)?;
    fs::create_dir_all(&folder).unwrap();
    Some(folder)
}

#[track_caller]
fn shoot(window: &Window<'_>, file: &str) {
    let Some(folder) = shots() else { return };
    // Whatever comes into view by and by is there.
    window.js("for (const one of document.images) one.loading = 'eager'", vec![]);
    window.waits_for("all previews are there", "[...document.images].every((one) => one.complete)");
    let png = window.screenshot();
    fs::write(folder.join(file), png).unwrap();
}

#[test]
fn every_page_is_accessible_and_fits_from_a_phone_to_a_wide_screen_in_light_and_dark() {
    const TEST: &str = "every_page_is_accessible_and_fits_from_a_phone_to_a_wide_screen_in_light_and_dark";
    let Some(chrome) = Chrome::start(TEST) else { return };
    let axe = axe(TEST);
    let scene = Scene::new();
    let window = chrome.window(&scene.alice);
    let mut pages = scene.pages();
    // It can be looked at as often as this test does.
    let view = pages.iter().find(|(name, _)| *name == "own").unwrap().1.clone();
    pages.push(("viewer", view.clone()));
    let mut found = Vec::new();
    for (name, path) in &pages {
        if *name == "viewer" {
            viewer(&window, path)
        } else {
            window.open(path)
        }
        for size in SIZES {
            window.looks(size, "light", 1.0);
            let over = window.js(OVERFLOW, vec![]);
            if over != json!([]) {
                found.push(format!("{name} at {} pixels runs over: {over}", size.0));
            }
        }
        for (size, scheme) in
            [(SIZES[1], "light"), (SIZES[1], "dark"), (SIZES[3], "light"), (SIZES[3], "dark")]
        {
            window.looks(size, scheme, 1.0);
            if let Some(axe) = &axe {
                window.js(&format!("if (!window.axe) {{ {axe} }}"), vec![]);
                for violation in window.js_async(AXE, vec![]).as_array().unwrap() {
                    found.push(format!("{name}, {scheme}, {} pixels: {violation}", size.0));
                }
            }
            shoot(&window, &format!("{name}-{scheme}-{}.png", size.0));
        }
    }
    // The way in is seen by those who are not signed in; an error has a page, too.
    window.open("/enter");
    if let Some(axe) = &axe {
        window.js(axe, vec![]);
        found.extend(window.js_async(AXE, vec![]).as_array().unwrap().iter().map(Value::to_string));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_keyboard_alone_is_enough_and_nothing_moves_for_those_who_do_not_want_it() {
    let Some(chrome) =
        Chrome::start("the_keyboard_alone_is_enough_and_nothing_moves_for_those_who_do_not_want_it")
    else {
        return;
    };
    let scene = Scene::new();
    let window = chrome.window(&scene.alice);
    window.still();
    let moving =
        "return [...document.querySelectorAll('*')].filter((one) => { const style = getComputedStyle(one);
        return style.transitionDuration !== '0s' || style.animationName !== 'none'; }).length";
    assert_eq!(window.js(moving, vec![]), json!(0));
    // The first stop leads past the navigation; the focus can be seen on every one.
    window.press("\u{e004}");
    window.waits_for("the first stop leads to the content", "document.activeElement.className === 'skip'");
    window.press("\u{e007}");
    window.tab_to("#search [type=search]");
    window.press("Chelsea");
    window.waits_for("one picture is left", "document.querySelectorAll('#grid img').length === 1");
    window.tab_to("#grid a");
    window.press("\u{e007}");
    window.waits_for("its page is open", "document.querySelector('article.picture')");
    window.tab_to("#access a.button");
    window.press("\u{e007}");
    window.sees("This uses 1 of 3 views");
    window.tab_to("form[action='/view'] button");
    window.press("\u{e007}");
    window.waits_for("the original is there", "document.getElementById('original')?.naturalWidth");
    window.press("z");
    window.waits_for("it has its actual size", "document.querySelector('.stage.actual')");
    window.press("z");
    window.waits_for("it fits", "!document.querySelector('.stage.actual')");
    window.press("\u{e00c}");
    window.waits_for("it is closed", "document.querySelector('article.picture')");
    window.sees("2 views left");
    // A form, from a field to its button.
    window.open("/messages");
    window.tab_to("#send [name=to]");
    window.press("bob\u{e004}good evening\u{e004}\u{e007}");
    window.sees("good evening");
    assert_eq!(window.complaints(), Vec::<String>::new());
}
