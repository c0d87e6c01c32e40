//! A disk that is really full: a small file system in memory, in a mount namespace of the server's own.
//!
//! Needs root and util-linux; where that is missing the test says that it was skipped.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use dos_protocol::{
    Code, Reason, ViewId,
    directory::{Answer, Op, Preview, Publish, ViewsChange},
    limits::PREVIEW_BYTES_MAX,
    model::PeerRef,
};
use dos_testing::{Guarded, skipped, wait_until_async};

use crate::{
    commands::run,
    net::{Client, Net},
    shelf::{everything, publication, share, views},
};

/// Enough for a server that has just begun, and for its log.
const DISK_BYTES: u64 = 24 << 20;

/// A server whose data directory is on a disk of its own.
struct OnSmallDisk {
    data_dir: PathBuf,
    _server: Guarded,
}

impl OnSmallDisk {
    /// `reserve` are the bytes that the server keeps free, at most a sixteenth of the disk.
    async fn start(place: &Path, reserve: u64) -> Self {
        let script = "mount -t tmpfs -o size=$3,mode=700 none \"$1\" && exec \"$2\" serve --data-dir \"$1\" \
                      --listen 127.0.0.1:0 --registration open --log error \
                      --disk-reserve-bytes $4";
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--", "sh", "-c", script, "sh"])
            .arg(place)
            .arg(env!("CARGO_BIN_EXE_dosd"))
            .arg(DISK_BYTES.to_string())
            .arg(reserve.to_string())
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

    /// Writes until only this much room is left.
    fn fill_but(&self, bytes: u64) -> PathBuf {
        let path = self.fill();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_len(file.metadata().unwrap().len() - bytes).unwrap();
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
    let disk = OnSmallDisk::start(dir.path(), 0).await;
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

#[tokio::test]
async fn a_disk_that_is_nearly_full_takes_what_is_owed_and_nothing_that_peers_add() {
    if !possible() {
        let name = "a_disk_that_is_nearly_full_takes_what_is_owed_and_nothing_that_peers_add";
        skipped(name, "no file system can be mounted here (needs root, and unshare of util-linux)");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let disk = OnSmallDisk::start(dir.path(), 1 << 30).await;
    let net = disk.net().await;
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    alice.share(sea.no, bob.id(), views(9)).await;
    let stats = async || run(&disk.data_dir, &["stats", "--json"]).await.json();
    assert_eq!(stats().await["room"], "ample");

    let filler = disk.fill_but(DISK_BYTES / 20);
    wait_until_async("the server looks at the disk", async || stats().await["room"] == "full").await;
    assert_eq!(stats().await["room_limit"], "disk_reserve_bytes");
    let told = run(&disk.data_dir, &["stats"]).await.out;
    assert!(told.contains("WARNING: none, peers can add nothing (limit disk_reserve_bytes)"), "{told}");
    for refused in [
        publish(&mut alice, 7).await,
        alice.ask(share(sea.no, bob.id(), views(10))).await,
        net.newcomer("carol", None).await.map(|_| Answer::Done),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!((refused.code, refused.reason), (Code::Denied, Some(Reason::Limit)), "{refused:?}");
        assert!(refused.message.ends_with("(limit disk_reserve_bytes)"), "{refused:?}");
        assert!(refused.retry_after_ms.is_some());
    }
    assert!(bob.spend(sea.no, ViewId::generate()).await.is_ok(), "a view that was granted");
    bob.acknowledge().await;
    bob.sign_out().await;
    let mut bob = net.again(&bob).await;
    assert!(alice.share(sea.no, bob.id(), ViewsChange::Revoke).await.revoked);
    assert!(bob.spend(sea.no, ViewId::generate()).await.is_err());

    std::fs::remove_file(filler).unwrap();
    wait_until_async("there is room again", async || publish(&mut alice, 8).await.is_ok()).await;
    assert_eq!(stats().await["room"], "ample");
    let checked = run(&disk.data_dir, &["check", "--json"]).await.json();
    assert_eq!(checked["sound"], true, "{checked}");
}
