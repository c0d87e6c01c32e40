//! The least that moving a file can be: read it, send it over TCP, write it. No encryption, no hash, no protocol.
//!
//! The raw limits for transfers. `serve FILE [ADDRESS]` prints its address and sends the file to each client that connects; `fetch ADDRESS FILE`
//! writes what comes, and with `--sync` makes it as durable as peerd does; `cat FILE` writes it to standard output.

use std::{
    env,
    fs::{self, File},
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::ExitCode,
};

/// Bytes moved at a time. Larger ones are no faster.
const PIECE_BYTES: usize = 256 << 10;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["serve", file] => serve(Path::new(file), "127.0.0.1:0"),
        ["serve", file, address] => serve(Path::new(file), address),
        ["fetch", address, file] => fetch(address, Path::new(file), false),
        ["fetch", address, file, "--sync"] => fetch(address, Path::new(file), true),
        ["cat", file] => File::open(file).and_then(|file| pump(file, io::stdout()).map(drop)),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    };
    if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn serve(path: &Path, address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    writeln!(io::stdout(), "{}", listener.local_addr()?)?;
    for stream in listener.incoming() {
        pump(File::open(path)?, stream?)?;
    }
    Ok(())
}

fn fetch(address: &str, path: &Path, sync: bool) -> io::Result<()> {
    let temporary = path.with_extension("part");
    let file = pump(TcpStream::connect(address)?, File::create(&temporary)?)?;
    if !sync {
        return fs::rename(temporary, path);
    }
    file.sync_all()?;
    fs::rename(temporary, path)?;
    File::open(path.parent().ok_or(io::ErrorKind::InvalidInput)?)?.sync_all()
}

/// Deliberately by `read` and `write`: what `io::copy` would have the kernel do, nothing that looks at the bytes can.
fn pump<W: Write>(mut from: impl Read, mut to: W) -> io::Result<W> {
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(to),
            count => to.write_all(buffer.get(..count).unwrap_or_default())?,
        }
    }
}
