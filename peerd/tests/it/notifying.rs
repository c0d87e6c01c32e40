//! Desktop notifications, on a session bus of the test's own, whose desktop is the test.

use std::{
    collections::HashMap,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use dos_testing::{Guarded, has_program, skipped};
use futures_util::StreamExt;
use tokio::runtime::Runtime;
use zbus::{MessageStream, OwnedVariant, connection::Builder, message::Type};

use crate::stage::{Peer, Stage, wait_until};

/// As the desktop gets them: summary and body.
type Shown = Arc<Mutex<Vec<(String, String)>>>;

/// What the desktop is given: `Notify` of the Desktop Notifications Specification.
type Notify = (String, u32, String, String, String, Vec<String>, HashMap<String, OwnedVariant>, i32);

/// A session bus with a desktop.
struct Desktop {
    address: String,
    shown: Shown,
    _bus: Guarded,
    _runtime: Runtime,
}

impl Desktop {
    fn new(stage: &Stage) -> Self {
        let socket = stage.path("bus");
        let address = format!("unix:path={}", socket.display());
        let mut command = Command::new("dbus-daemon");
        command.args(["--session", "--nofork", "--nopidfile", "--address", &address]);
        let bus = Guarded::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
        wait_until("there is a bus", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
        let (runtime, shown) = (Runtime::new().unwrap(), Shown::default());
        let serving = serve(address.clone(), Arc::clone(&shown));
        runtime.block_on(serving);
        Self { address, shown, _bus: bus, _runtime: runtime }
    }

    fn all(&self) -> Vec<(String, String)> {
        self.shown.lock().unwrap().clone()
    }
}

/// Takes the name of the desktop, and answers from then on.
async fn serve(address: String, shown: Shown) {
    let bus = Builder::address(&*address).name("org.freedesktop.Notifications").build().await.unwrap();
    let mut calls = MessageStream::from(&bus);
    tokio::spawn(async move {
        while let Some(Ok(call)) = calls.next().await {
            let header = call.header();
            if header.message_type() != Type::MethodCall {
                continue;
            }
            if header.member().is_some_and(|member| member.as_str() == "Notify") {
                let (_, _, _, summary, body, ..): Notify = call.body().deserialize().unwrap();
                shown.lock().unwrap().push((summary, body));
                bus.reply(&header, &1u32).await.unwrap();
            }
        }
    });
}

fn peer(stage: &Stage, name: &str, desktop: &Desktop) -> Peer {
    let mut peer = stage.stranger_with(name, None, &["--listen", "127.0.0.1:0"]);
    peer.kill();
    peer.environment.push(("DBUS_SESSION_BUS_ADDRESS".into(), desktop.address.clone().into()));
    peer.extra.extend(["--notify".into(), "on".into()]);
    peer.start();
    peer.ctl(&["register", "--server", &stage.link(), "--name", name]).ok();
    peer
}

#[test]
fn the_desktop_shows_what_others_have_done_as_text_and_not_without_end() {
    if !has_program("dbus-daemon") {
        return skipped("the_desktop_shows_what_others_have_done", "there is no dbus-daemon");
    }
    let stage = Stage::new();
    let desktop = Desktop::new(&stage);
    let (alice, bob) = (stage.peer("alice"), peer(&stage, "bob", &desktop));
    for number in 0..12 {
        alice.ctl(&["send", "bob", &format!("<b>{number}</b> & so on")]).ok();
    }
    wait_until("the desktop shows something", || !desktop.all().is_empty());
    let (summary, body) = desktop.all().remove(0);
    assert_eq!(summary, "dos (bob)");
    assert!(body.contains("alice") && !body.contains('<'), "{body}");
    wait_until("all of it is shown", || {
        let shown = desktop.all();
        let count =
            |body: &String| body.split(' ').next().and_then(|word| word.parse::<u32>().ok()).unwrap_or(1);
        shown.iter().map(|(_, body)| count(body)).sum::<u32>() >= 12
    });
    assert!(desktop.all().len() <= 3, "{:?}", desktop.all());
    assert!(!bob.log().contains("WARN"), "{}", bob.log());
}

#[test]
fn a_daemon_without_a_desktop_goes_on_and_says_so_once() {
    let stage = Stage::new();
    let mut bob = stage.stranger_with("bob", None, &["--listen", "127.0.0.1:0", "--notify", "on"]);
    bob.kill();
    bob.environment.push(("DBUS_SESSION_BUS_ADDRESS".into(), "unix:path=/nowhere/bus".into()));
    bob.start();
    bob.ctl(&["register", "--server", &stage.link(), "--name", "bob"]).ok();
    let alice = stage.peer("alice");
    alice.ctl(&["send", "bob", "hello"]).ok();
    wait_until("bob says so", || bob.log().matches("the desktop shows no notifications").count() == 1);
    assert!(bob.ctl(&["messages"]).ok().contains("hello"));
}
