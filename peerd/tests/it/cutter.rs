//! A TCP proxy before an owner's port that counts what passes from the owner to viewers, and holds it up on command: from some moment on
//! it takes nothing any more, until its connections are cut. What was under way then is lost.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use crate::stage::PATIENCE;

/// How often somebody who waits looks after other things.
const LOOK: Duration = Duration::from_millis(50);

/// A running proxy; its threads end with the connections.
pub(crate) struct Cutter {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    target: Option<SocketAddr>,
    /// Bytes that have come from the owner, in all.
    sent: u64,
    /// From here on, nothing passes.
    hold_from: Option<u64>,
    /// Connections under way.
    open: Vec<TcpStream>,
    /// Connections made so far, and those of them that have ended.
    made: usize,
    ended: usize,
}

impl Cutter {
    /// Before nobody yet.
    pub(crate) fn new() -> Self {
        Self::at("127.0.0.1")
    }

    /// The same, at this address.
    pub(crate) fn at(host: &str) -> Self {
        let listener = TcpListener::bind((host, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let proxy = Self { address, shared: Arc::clone(&shared) };
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Some(target) = shared.state.lock().unwrap().target else { continue };
                let Ok(far) = TcpStream::connect(target) else { continue };
                let ends = [near.try_clone().unwrap(), far.try_clone().unwrap()];
                {
                    let mut state = shared.state.lock().unwrap();
                    state.open.extend(ends);
                    state.made += 1;
                }
                let (near2, far2) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                thread::spawn(move || pump(near2, far2, |_| ()));
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    pump(far, near, |count| shared.pass(count));
                    shared.state.lock().unwrap().ended += 1;
                });
            }
        });
        proxy
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// The owner is there now.
    pub(crate) fn lead_to(&self, target: &str) {
        self.shared.state.lock().unwrap().target = Some(target.parse().unwrap());
    }

    /// How many connections have been made so far, and how many of them are open.
    pub(crate) fn connections(&self) -> (usize, usize) {
        let state = self.shared.state.lock().unwrap();
        (state.made, state.made - state.ended)
    }

    /// What has come from the owner so far.
    pub(crate) fn sent(&self) -> u64 {
        self.shared.state.lock().unwrap().sent
    }

    /// Lets nothing pass any more once so much has come from the owner in all.
    pub(crate) fn hold_from(&self, sent: u64) {
        self.shared.state.lock().unwrap().hold_from = Some(sent);
    }

    /// Waits until so much has come from the owner in all; `meanwhile` is called now and then.
    #[track_caller]
    pub(crate) fn wait_for(&self, sent: u64, mut meanwhile: impl FnMut()) {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.shared.state.lock().unwrap();
        while state.sent < sent {
            assert!(
                Instant::now() < deadline,
                "waited in vain until {sent} bytes were sent; it is {}",
                state.sent
            );
            let (unlocked, waited) = self.shared.changed.wait_timeout(state, LOOK).unwrap();
            state = unlocked;
            if waited.timed_out() {
                drop(state);
                meanwhile();
                state = self.shared.state.lock().unwrap();
            }
        }
    }

    /// Cuts all connections, with whatever is under way in them. New ones work.
    pub(crate) fn cut(&self) {
        let mut state = self.shared.state.lock().unwrap();
        state.hold_from = None;
        for end in state.open.drain(..) {
            drop(end.shutdown(Shutdown::Both));
        }
        self.shared.changed.notify_all();
    }
}

impl Shared {
    /// Counts what has come from the owner, and waits until it may pass.
    fn pass(&self, bytes: usize) {
        let mut state = self.state.lock().unwrap();
        state.sent += u64::try_from(bytes).unwrap();
        self.changed.notify_all();
        while state.hold_from.is_some_and(|from| state.sent >= from) {
            state = self.changed.wait(state).unwrap();
        }
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, pass: impl Fn(usize)) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(bytes @ 1..) = from.read(&mut buffer) {
        pass(bytes);
        if to.write_all(&buffer[..bytes]).is_err() {
            break;
        }
    }
    drop(from.shutdown(Shutdown::Both));
    drop(to.shutdown(Shutdown::Both));
}
