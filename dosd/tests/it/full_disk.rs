//! A disk that is really full: a small file system in memory, in a mount namespace of the server's own.
//!
//! Needs root and util-linux; where that is missing the test says that it was skipped.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use dos_protocol::{
    Code,
    directory::{Answer, Op, Preview, Publish},
    limits::PREVIEW_BYTES_MAX,
    model::PeerRef,
};
use dos_testing::{Guarded, skipped, wait_until_async};

use crate::{
    commands::run,
    net::{Client, Net},
    shelf::{everything, publication},
};

/// Enough for a server that has just begun, and for its log.
const DISK_BYTES: u64 = 24 << 20;

/// A server whose data directory is on a disk of its own.
struct OnSmallDisk {
    data_dir: PathBuf,
    _server: Guarded,
}

impl OnSmallDisk {
    async fn start(place: &Path) -> Self {
        let script = "mount -t tmpfs -o size=$3,mode=700 none \"$1\" && exec \"$2\" serve --data-dir \"$1\" \
                      --listen 127.0.0.1:0 --registration open --log error";
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--", "sh", "-c", script, "sh"])
            .arg(place)
            .arg(env!("CARGO_BIN_EXE_dosd"))
            .arg(DISK_BYTES.to_string())
            .stdin(Stdio::null());
        let server = Guarded::start(&mut command);
        // As the server sees it.
        let data_dir = PathBuf::from(format!("/proc/{}/root{}", server.id(), place.display()));
        wait_until_async("the server answers", async || run(&data_dir, &["link"]).await.code == 0).await;
        Self { data_dir, _server: server }
    }

    async fn net(&self) -> Net {
        let link = run(&self.data_dir, &["link"]).await.out;
        Net::elsewhere(link.trim().parse().unwrap())
    }

    /// Writes until there is no room left.
    fn fill(&self) -> PathBuf {
        let path = self.data_dir.join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        for size in [1 << 16, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        path
    }
}

async fn publish(client: &mut Client, number: usize) -> Result<Answer, dos_protocol::WireError> {
    let data = vec![1; PREVIEW_BYTES_MAX];
    let small = publication(&format!("image{number}"), u8::try_from(number % 256).unwrap());
    let publish = Publish { preview: Preview { data, ..small.preview.clone() }, ..small };
    client.ask(Op::Publish(Box::new(publish))).await
}

fn possible() -> bool {
    let mount = ["--mount", "--", "mount", "-t", "tmpfs", "none", "/mnt"];
    let tried = Command::new("unshare").args(mount).stdin(Stdio::null()).stderr(Stdio::null()).status();
    tried.is_ok_and(|status| status.success())
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_nothing_else_and_recovers_by_itself() {
    if !possible() {
        let name = "a_full_disk_refuses_writes_and_nothing_else_and_recovers_by_itself";
        skipped(name, "no file system can be mounted here (needs root, and unshare of util-linux)");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let disk = OnSmallDisk::start(dir.path()).await;
    let net = disk.net().await;
    let (mut alice, bob) = (net.peer("alice").await, net.peer("bob").await);
    assert!(publish(&mut alice, 0).await.is_ok());

    let filler = disk.fill();
    // The log has some room of its own, which is used up first.
    let room = usize::try_from(DISK_BYTES).unwrap() / PREVIEW_BYTES_MAX;
    let mut published = 1;
    let refused = loop {
        assert!(published < room, "the disk does not get full");
        match publish(&mut alice, published).await {
            Ok(_) => published += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((refused.code, &*refused.message), (Code::Internal, "the directory's disk is full"));

    // What only reads goes on, and so does presence.
    let images =
        |page: dos_protocol::directory::Page| page.peers.iter().map(|peer| peer.images.len()).sum::<usize>();
    assert_eq!(images(alice.page(everything()).await), published.min(100), "what was refused is not there");
    let mut bob = net.again(&bob).await;
    let Ok(Answer::Peer(seen)) = alice.ask(Op::Resolve(PeerRef::Id(bob.id()))).await else { panic!() };
    assert!(seen.online);
    bob.sign_out().await;
    let Ok(Answer::Peer(seen)) = alice.ask(Op::Resolve(PeerRef::Id(bob.id()))).await else { panic!() };
    assert!(!seen.online);

    std::fs::remove_file(filler).unwrap();
    assert!(publish(&mut alice, published).await.is_ok(), "there is room again");
    net.again(&bob).await;
    let checked = run(&disk.data_dir, &["check", "--json"]).await.json();
    assert_eq!((&checked["sound"], &checked["images"]), (&true.into(), &(published + 1).into()));
}
