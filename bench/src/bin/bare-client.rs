//! The least that a control command can be: one connection to a Unix socket, one round trip, the end.
//!
//! The raw limit for `dosctl status`. It has no argument parser and no runtime, and knows no protocol.

use std::{
    env,
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    process::ExitCode,
};

fn main() -> ExitCode {
    match round_trip() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn round_trip() -> io::Result<()> {
    let path = env::args_os().nth(1).ok_or(io::ErrorKind::InvalidInput)?;
    let mut stream = UnixStream::connect(path)?;
    stream.write_all(b"status\n")?;
    let mut answer = [0; 512];
    let count = stream.read(&mut answer)?;
    io::stdout().write_all(answer.get(..count).unwrap_or_default())
}
