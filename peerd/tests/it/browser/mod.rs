//! The gallery in a real browser: Chromium, driven by its own driver, with three people in three windows.
//!
//! Needs `chromium` and `chromedriver` (Debian: chromium, chromium-driver), and for one test axe-core, whose file `DOS_TEST_AXE` names.
//! What is missing is said and skipped; with `DOS_TEST_BROWSER` in the environment it is a failure. Chromium is large: one test
//! uses it at a time.

mod adding;
mod hostile;
mod pages;
mod scene;
mod story;
mod window;

use std::{
    cell::RefCell,
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{ChildStdout, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dos_testing::{Guarded, has_program, skipped};
use serde_json::{Value, json};
use thirtyfour::{Capabilities, WebDriver, WindowHandle, error::WebDriverResult};
use tokio::runtime::Runtime;

use crate::{
    gallery::pass,
    stage::{PATIENCE, Peer, temporary},
};
use window::Window;

/// With this in the environment a missing browser is an error.
const REQUIRED: &str = "DOS_TEST_BROWSER";

/// Whose turn it is.
static TURN: Mutex<()> = Mutex::new(());

/// Chromium, and what it has written. It ends with its handle.
struct Chrome {
    driver: Option<WebDriver>,
    runtime: Runtime,
    server: Guarded,
    /// The driver would die of a pipe that nobody holds.
    _told: BufReader<ChildStdout>,
    /// All that it may write to: home, profile, temporary files.
    home: tempfile::TempDir,
    /// The window that the driver speaks to.
    current: RefCell<WindowHandle>,
    /// The window that it began with, until somebody uses it.
    first: RefCell<Option<WindowHandle>>,
    _turn: MutexGuard<'static, ()>,
}

/// Tells that something is missing, or fails if it must not be.
#[track_caller]
fn missing(test: &str, why: &str) {
    assert!(std::env::var_os(REQUIRED).is_none(), "{test}: {why}");
    skipped(test, why);
}

impl Chrome {
    /// Starts it. Nothing if there is none, after saying so for this test.
    #[track_caller]
    fn start(test: &str) -> Option<Self> {
        if !has_program("chromium") || !has_program("chromedriver") {
            missing(test, "chromium or chromedriver is not installed");
            return None;
        }
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let home = temporary();
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").env("HOME", home.path()).env("TMPDIR", home.path());
        for folder in ["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"] {
            command.env(folder, home.path());
        }
        let mut server =
            Guarded::start(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()));
        let mut told = BufReader::new(server.stdout());
        let port = port(&mut told);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let builder = WebDriver::builder(
            format!("http://127.0.0.1:{port}"),
            capabilities(&home.path().join("profile")),
        );
        let driver = runtime.block_on(builder.request_timeout(PATIENCE * 2).connect()).unwrap();
        runtime.block_on(driver.set_script_timeout(PATIENCE)).unwrap();
        let first = runtime.block_on(driver.window()).unwrap();
        Some(Self {
            driver: Some(driver),
            runtime,
            server,
            _told: told,
            home,
            current: RefCell::new(first.clone()),
            first: RefCell::new(Some(first)),
            _turn: turn,
        })
    }

    fn driver(&self) -> &WebDriver {
        self.driver.as_ref().unwrap()
    }

    fn wait<T>(&self, work: impl Future<Output = WebDriverResult<T>>) -> WebDriverResult<T> {
        self.runtime.block_on(work)
    }

    /// A window of its own.
    #[track_caller]
    fn bare_window(&self) -> Window<'_> {
        let handle = match self.first.borrow_mut().take() {
            Some(first) => first,
            None => self.wait(self.driver().new_window()).unwrap(),
        };
        Window::of(self, handle)
    }

    /// A window with the gallery of this peer, which it has entered as a person does: by the address that dosctl gives.
    #[track_caller]
    fn window(&self, peer: &Peer) -> Window<'_> {
        let (address, token) = pass(peer);
        let mut window = self.bare_window();
        window.origin = format!("http://{address}");
        window.open(&format!("/enter#{token}"));
        window.waits_for("the gallery is open", "document.querySelector('nav') && location.pathname === '/'");
        window
    }

    /// A command of the browser's own protocol, to the window that the driver speaks to.
    #[track_caller]
    fn devtools(&self, method: &str, params: Value) -> Value {
        self.wait(self.driver().cdp().send_raw(method, params)).unwrap()
    }

    /// Ends it in order, so that it writes down whatever it does; gives the folder of all that it has written.
    #[track_caller]
    fn quit(mut self) -> tempfile::TempDir {
        let driver = self.driver.take().unwrap();
        self.wait(driver.quit()).unwrap();
        let Self { server, home, .. } = self;
        drop(server);
        home
    }
}

/// The port that the driver says it listens at.
#[track_caller]
fn port(told: &mut impl BufRead) -> u16 {
    for line in told.lines() {
        let line = line.unwrap();
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            return port.trim_end_matches('.').parse().unwrap();
        }
    }
    panic!("chromedriver does not say where it listens")
}

/// How it is started: without a screen, with an empty profile, asking nothing of anybody by itself.
fn capabilities(profile: &std::path::Path) -> Capabilities {
    fs::create_dir(profile).unwrap();
    let mut arguments = vec![format!("--user-data-dir={}", profile.display())];
    let flags = [
        "headless=new",
        "disable-gpu",
        "disable-quic",
        "disable-dev-shm-usage",
        "no-first-run",
        "disable-sync",
        "disable-background-networking",
        "disable-component-update",
        "window-size=1440,900",
    ];
    arguments.extend(flags.iter().map(|flag| format!("--{flag}")));
    // Chromium has no sandbox for root.
    if rustix::process::getuid().is_root() {
        arguments.push("--no-sandbox".into());
    }
    let mut capabilities = Capabilities::new();
    capabilities.set("browserName", json!("chrome")).unwrap();
    // A question of the page is answered by the test that expects it.
    capabilities.set("unhandledPromptBehavior", json!("ignore")).unwrap();
    capabilities.set("goog:chromeOptions", json!({ "args": arguments })).unwrap();
    capabilities.set("goog:loggingPrefs", json!({ "browser": "ALL" })).unwrap();
    capabilities
}

/// The file of axe-core. Nothing if it is not there, after saying so for this test.
#[track_caller]
fn axe(test: &str) -> Option<String> {
    let file = std::env::var_os("DOS_TEST_AXE").map(PathBuf::from);
    let text = file.and_then(|file| fs::read_to_string(file).ok());
    if text.is_none() {
        missing(test, "DOS_TEST_AXE does not name axe-core's axe.min.js");
    }
    text
}

/// The longest that a page may take to show something: programs without optimisation, on a machine that does other things.
const SEEN_TIME_MAX: Duration = PATIENCE;
