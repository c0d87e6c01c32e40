//! A message through NATS JetStream, where `nats-server` is installed: stored with `sync_interval: always` before it is passed on, which
//! is what the directory promises of an update. For the table only.
//!
//! A client of the few words of the protocol that this takes (NATS client protocol; JetStream API): no TLS, one publisher, one subscriber.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, bail, ensure};
use dos_testing::Guarded;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    task::block_in_place,
};

use crate::{others::find, peers::wait_until, stats::micros};

/// What the server must have written before it is believed to listen.
const READY: &str = "Server is ready";

/// A server with a stream, somebody who publishes, and somebody who gets what is published.
pub(crate) struct Nats {
    publisher: Client,
    subscriber: Client,
    _server: Guarded,
}

impl Nats {
    /// Starts the server with its files in `dir`; nothing if it is not installed.
    ///
    /// # Errors
    /// If it does not start, or knows no `sync_interval: always` (before 2.10).
    pub(crate) async fn start(dir: &Path) -> anyhow::Result<Option<Self>> {
        let Some(program) = find("nats-server") else { return Ok(None) };
        let dir = dir.join("nats");
        fs::create_dir(&dir)?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let (config, log) = (dir.join("config"), dir.join("log"));
        let store = dir.join("store");
        let text = format!(
            "listen: \"{address}\"\njetstream {{ store_dir: \"{}\", sync_interval: always }}\n",
            store.display()
        );
        fs::write(&config, text)?;
        let mut command = Command::new(program);
        command.arg("-c").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
        let server = Guarded::try_start(&mut command).context("cannot start nats-server")?;
        block_in_place(|| {
            wait_until("nats-server is ready", || Ok(fs::read_to_string(&log)?.contains(READY)))
        })
        .with_context(|| format!("nats-server wrote {:?}", fs::read_to_string(&log).unwrap_or_default()))?;
        let (mut publisher, mut subscriber) =
            (Client::connect(address, "stored").await?, Client::connect(address, "made").await?);
        publisher
            .api("STREAM.CREATE.bench", r#"{"name":"bench","subjects":["bench"],"storage":"file"}"#)
            .await?;
        subscriber.send("SUB delivered 2\r\n").await?;
        let consumer =
            r#"{"stream_name":"bench","config":{"deliver_subject":"delivered","ack_policy":"explicit"}}"#;
        subscriber.api("CONSUMER.CREATE.bench", consumer).await?;
        Ok(Some(Self { publisher, subscriber, _server: server }))
    }

    /// Microseconds from the publication of `bytes` until the subscriber has them.
    ///
    /// # Errors
    /// If a connection ends or the server does not store it.
    pub(crate) async fn pass(&mut self, bytes: &[u8]) -> anyhow::Result<f64> {
        let start = Instant::now();
        let arrives = async {
            let message = self.subscriber.message().await?;
            let time = micros(start.elapsed());
            ensure!(message.payload == bytes, "another message came");
            let reply = message.reply.context("nothing to acknowledge")?;
            self.subscriber.publish(&reply, None, b"+ACK").await?;
            Ok(time)
        };
        let stored = async {
            self.publisher.publish("bench", Some(self.publisher.answers), bytes).await?;
            let answer = self.publisher.message().await?;
            ensure!(!answer.text().contains("\"error\""), "not stored: {}", answer.text());
            Ok(())
        };
        // The publisher's answer is read meanwhile, as with dosd.
        Ok(tokio::try_join!(arrives, stored)?.0)
    }
}

/// A connection.
struct Client {
    stream: BufReader<TcpStream>,
    /// Where what answers this one goes.
    answers: &'static str,
}

/// What a subscription brought.
struct Message {
    reply: Option<String>,
    payload: Vec<u8>,
}

impl Message {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }
}

impl Client {
    /// A connection that is subscribed to `answers`.
    async fn connect(address: SocketAddr, answers: &'static str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut client = Self { stream: BufReader::new(stream), answers };
        client.send("CONNECT {\"verbose\":false,\"pedantic\":false}\r\n").await?;
        client.send(&format!("SUB {answers} 1\r\nPING\r\n")).await?;
        while client.line().await?.trim_end() != "PONG" {}
        Ok(client)
    }

    /// A request to JetStream, which must be granted.
    async fn api(&mut self, what: &str, request: &str) -> anyhow::Result<()> {
        self.publish(&format!("$JS.API.{what}"), Some(self.answers), request.as_bytes()).await?;
        let answer = self.message().await?;
        ensure!(!answer.text().contains("\"error\""), "{what}: {}", answer.text());
        Ok(())
    }

    async fn publish(&mut self, subject: &str, reply: Option<&str>, payload: &[u8]) -> anyhow::Result<()> {
        let mut out = match reply {
            Some(reply) => format!("PUB {subject} {reply} {}\r\n", payload.len()).into_bytes(),
            None => format!("PUB {subject} {}\r\n", payload.len()).into_bytes(),
        };
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\r\n");
        Ok(self.stream.get_mut().write_all(&out).await?)
    }

    /// The next message: `MSG <subject> <sid> [reply] <bytes>`.
    async fn message(&mut self) -> anyhow::Result<Message> {
        loop {
            let line = self.line().await?;
            let mut words = line.split_whitespace();
            match words.next() {
                Some("MSG") => {}
                Some("PING") => {
                    self.send("PONG\r\n").await?;
                    continue;
                }
                Some("INFO" | "PONG") => continue,
                _ => bail!("nats-server sent {line:?}"),
            }
            let words: Vec<&str> = words.collect();
            let (reply, bytes) = match words.as_slice() {
                [_, _, bytes] => (None, bytes),
                [_, _, reply, bytes] => (Some((*reply).to_owned()), bytes),
                _ => bail!("nats-server sent {line:?}"),
            };
            let mut payload = vec![0; bytes.parse()?];
            self.stream.read_exact(&mut payload).await?;
            self.stream.read_exact(&mut [0; 2]).await?;
            return Ok(Message { reply, payload });
        }
    }

    async fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        ensure!(self.stream.read_line(&mut line).await? > 0, "nats-server has hung up");
        Ok(line)
    }

    async fn send(&mut self, text: &str) -> anyhow::Result<()> {
        Ok(self.stream.get_mut().write_all(text.as_bytes()).await?)
    }
}
