//! A window of the browser, used as a person does: what is seen, what is clicked, what is typed.

use std::time::Duration;

use dos_testing::Backoff;
use serde_json::{Value, json};
use thirtyfour::{
    By, WebElement, WindowHandle,
    error::{WebDriverError, WebDriverErrorInner, WebDriverResult},
};

use super::{Chrome, SEEN_TIME_MAX};

/// One of the browser's windows.
pub(super) struct Window<'a> {
    pub(super) chrome: &'a Chrome,
    handle: WindowHandle,
    /// Scheme, address and port of the gallery that it shows.
    pub(super) origin: String,
}

/// Whether it may be another moment: the page changes just now.
fn may_pass(error: &WebDriverError) -> bool {
    matches!(
        error.as_inner(),
        WebDriverErrorInner::NoSuchElement(_)
            | WebDriverErrorInner::StaleElementReference(_)
            | WebDriverErrorInner::ElementNotInteractable(_)
            | WebDriverErrorInner::ElementClickIntercepted(_)
            | WebDriverErrorInner::JavascriptError(_)
            | WebDriverErrorInner::UnknownError(_)
    )
}

impl<'a> Window<'a> {
    pub(super) fn of(chrome: &'a Chrome, handle: WindowHandle) -> Self {
        Self { chrome, handle, origin: String::new() }
    }

    /// Has the driver speak to this window.
    #[track_caller]
    pub(super) fn here(&self) {
        if *self.chrome.current.borrow() != self.handle {
            let switch = self.chrome.driver().switch_to_window(self.handle.clone());
            self.chrome.wait(switch).unwrap();
            *self.chrome.current.borrow_mut() = self.handle.clone();
        }
    }

    /// Opens a page of the gallery.
    #[track_caller]
    pub(super) fn open(&self, path: &str) {
        self.open_url(&format!("{}{path}", self.origin));
    }

    #[track_caller]
    pub(super) fn open_url(&self, url: &str) {
        self.here();
        self.chrome.wait(self.chrome.driver().goto(url)).unwrap();
    }

    #[track_caller]
    pub(super) fn back(&self) {
        self.here();
        self.chrome.wait(self.chrome.driver().back()).unwrap();
    }

    fn try_js(&self, script: &str, arguments: Vec<Value>) -> WebDriverResult<Value> {
        let run = self.chrome.driver().execute(script, arguments);
        self.chrome.wait(run).map(|found| found.json().clone())
    }

    /// What a function with this body gives.
    #[track_caller]
    pub(super) fn js(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.here();
        self.try_js(script, arguments).unwrap()
    }

    /// What a function with this body hands to the function that is its last argument.
    #[track_caller]
    pub(super) fn js_async(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.here();
        let run = self.chrome.driver().execute_async(script, arguments);
        self.chrome.wait(run).unwrap().json().clone()
    }

    /// Tries until it succeeds; what fails because the page is about to change is tried again.
    #[track_caller]
    fn patiently<T>(&self, what: &str, mut attempt: impl FnMut() -> WebDriverResult<Option<T>>) -> T {
        self.here();
        let mut backoff = Backoff::within(SEEN_TIME_MAX);
        loop {
            match attempt() {
                Ok(Some(found)) => return found,
                Ok(None) => {}
                Err(error) if may_pass(&error) => {}
                Err(error) => panic!("{what}: {error}"),
            }
            if !backoff.pause() {
                let text = self.try_js("return location.href + '\\n' + document.body.innerText", Vec::new());
                panic!("waited in vain until {what}; the page: {}", text.unwrap_or_default());
            }
        }
    }

    /// Waits until this expression is true in the page.
    #[track_caller]
    pub(super) fn waits_for(&self, what: &str, expression: &str) {
        let script = format!("return Boolean({expression})");
        self.patiently(what, || {
            let found = self.try_js(&script, Vec::new())?;
            Ok((found == json!(true)).then_some(()))
        });
    }

    fn text(&self) -> WebDriverResult<String> {
        self.try_js("return document.body.innerText", Vec::new())
            .map(|text| text.as_str().unwrap_or_default().into())
    }

    /// Waits until the page shows this text.
    #[track_caller]
    pub(super) fn sees(&self, wanted: &str) {
        self.patiently(&format!("{wanted:?} is seen"), || Ok(self.text()?.contains(wanted).then_some(())));
    }

    /// Whether the page shows this text now.
    #[track_caller]
    pub(super) fn shows(&self, text: &str) -> bool {
        self.here();
        self.text().unwrap().contains(text)
    }

    /// The first element of this selector that can be seen.
    #[track_caller]
    pub(super) fn with<T>(&self, selector: &str, act: impl AsyncFn(&WebElement) -> WebDriverResult<T>) -> T {
        let driver = self.chrome.driver();
        self.patiently(&format!("{selector} can be used"), || {
            self.chrome.wait(async { act(&driver.find(By::Css(selector)).await?).await.map(Some) })
        })
    }

    #[track_caller]
    pub(super) fn click(&self, selector: &str) {
        self.with(selector, async |element| {
            element.scroll_into_view().await?;
            element.click().await
        });
    }

    /// Writes into a field, in place of what is there.
    #[track_caller]
    pub(super) fn fill(&self, selector: &str, text: &str) {
        self.with(selector, async |element| {
            element.clear().await?;
            element.send_keys(text).await
        });
    }

    /// Gives keys to an element; to a field for files, paths.
    #[track_caller]
    pub(super) fn keys(&self, selector: &str, keys: &str) {
        self.with(selector, async |element| element.send_keys(keys).await);
    }

    /// Presses keys wherever the focus is.
    #[track_caller]
    pub(super) fn press(&self, keys: &str) {
        self.here();
        let press = self.chrome.driver().action_chain().send_keys(keys);
        self.chrome.wait(press.perform()).unwrap();
    }

    /// Drops files onto the window, as from a file manager.
    #[track_caller]
    pub(super) fn drop_files(&self, paths: &[&str]) {
        self.here();
        let data = json!({ "items": [], "files": paths, "dragOperationsMask": 1 });
        for kind in ["dragEnter", "dragOver", "drop"] {
            let event = json!({ "type": kind, "x": 300, "y": 300, "data": data });
            self.chrome.devtools("Input.dispatchDragEvent", event);
        }
    }

    /// Shows the page in this size, with these colours, in this many points of the screen for one of the page.
    #[track_caller]
    pub(super) fn looks(&self, (width, height): (u32, u32), scheme: &str, zoom: f64) {
        self.here();
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": zoom, "mobile": false });
        self.chrome.devtools("Emulation.setDeviceMetricsOverride", metrics);
        // In the midst of a transition no colour is the one that is meant.
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.chrome.devtools("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// As somebody has it who wants nothing to move.
    #[track_caller]
    pub(super) fn still(&self) {
        self.here();
        let features = json!([{ "name": "prefers-reduced-motion", "value": "reduce" }]);
        self.chrome.devtools("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Goes from stop to stop until the focus is here, and can be seen there.
    #[track_caller]
    pub(super) fn tab_to(&self, selector: &str) {
        const STOPS_MAX: usize = 60;
        let is_there = format!("return document.activeElement.matches({})", json!(selector));
        for _ in 0..STOPS_MAX {
            if self.js(&is_there, Vec::new()) == json!(true) {
                let outline =
                    self.js("return getComputedStyle(document.activeElement).outlineStyle", Vec::new());
                assert_ne!(outline, "none", "the focus on {selector} is not seen");
                return;
            }
            self.press("\u{e004}");
        }
        panic!("{selector} is not reached with the keyboard");
    }

    /// The whole page as it looks, in a PNG.
    #[track_caller]
    pub(super) fn screenshot(&self) -> Vec<u8> {
        self.here();
        self.chrome.wait(self.chrome.driver().screenshot_as_png()).unwrap()
    }

    /// What the page and the browser have said of errors since it was asked last.
    #[track_caller]
    pub(super) fn complaints(&self) -> Vec<String> {
        self.here();
        let log = self.chrome.wait(self.chrome.driver().browser_log()).unwrap();
        log.into_iter().map(|entry| entry.message).collect()
    }
}

/// A pause of the page's own, longer than it takes to do what it must not do.
pub(super) const A_WHILE: Duration = Duration::from_millis(500);
