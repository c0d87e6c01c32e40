//! `dosctl gallery`: has peerd serve the gallery, and opens it in the browser.
//!
//! The address lets one browser in. It is no argument of any process, which other users of the machine could read: the browser gets a
//! file that leads there, for this user alone, beside peerd's socket. Once the address was used the file is worth nothing; peerd removes it.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Command as Process, Stdio},
    time::Instant,
};

use dos_protocol::{
    Code, WireError,
    control::{Command, Outcome},
    paths::open_dir,
};

use crate::{
    context::{Context, unexpected},
    desktop::{FAILS_WITHIN, LOOK_EVERY, XDG_OPEN, check_desktop},
    error::{Error, cause_of},
    output::json,
};

/// Open the gallery in the browser: pictures, requests, people and messages, served by peerd on this machine alone
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl gallery
  dosctl gallery --no-open      print the address, to be opened by hand within 5 minutes

The address lets one browser in, once. A session ends when you sign out, after an hour in which you \
do nothing, or with peerd.")]
pub(crate) struct Args {
    /// Print the address instead of opening it; it is a secret until it was used
    #[arg(long)]
    no_open: bool,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let opens = !args.no_open;
    if opens {
        check_desktop("the gallery").map_err(|error| error.hint("dosctl gallery --no-open"))?;
    }
    let (address, place, token) = match context.ask(Command::Gallery)? {
        Outcome::Gallery { address, token } => (Some(address), format!("http://{address}"), token),
        Outcome::GalleryAt { url, token } if is_plain(&url) => (None, url.into(), token),
        _ => return Err(unexpected()),
    };
    let url = format!("{place}/enter#{token}");
    if !opens {
        return context.screen.show(&json::Gallery { address, url: Some(&url) }, |text| text.line(&url));
    }
    let socket = context.target()?.socket;
    open(&socket, &place, &url).map_err(|error| {
        let text = WireError::new(Code::Internal, "cannot open the gallery in a browser");
        Error::from(text.caused_by(cause_of(&error)).hint("dosctl gallery --no-open"))
    })?;
    context.screen.show(&json::Gallery { address, url: None }, |text| {
        text.line(&format!("opened the gallery at {place} in the browser"));
        text.note("if no window appears: dosctl gallery --no-open");
    })
}

/// Whether an address has nothing in it that means something in HTML.
fn is_plain(url: &str) -> bool {
    url.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '/' | '.' | '-' | '[' | ']'))
}

/// Has the desktop open a file that leads to `url`.
fn open(socket: &Path, place: &str, url: &str) -> io::Result<()> {
    let page = leading(socket, place, url)?;
    let mut child = Process::new(XDG_OPEN)
        .arg(&page)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    // Where no browser runs yet, it may become the browser and stay: what has not failed by then has opened it.
    let end = Instant::now() + FAILS_WITHIN;
    while Instant::now() < end {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(io::Error::other(format!("{XDG_OPEN} failed: {status}"))),
            None => std::thread::park_timeout(LOOK_EVERY),
        }
    }
    Ok(())
}

/// Writes the file.
fn leading(socket: &Path, place: &str, url: &str) -> io::Result<PathBuf> {
    let path = open_dir(socket).join("gallery.html");
    if let Err(error) = fs::remove_file(&path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    // All of it is of letters, digits and marks that mean nothing in HTML.
    write!(
        file,
        "<!doctype html><meta charset=utf-8><meta name=referrer content=no-referrer><title>Gallery</title>\n\
         <meta http-equiv=refresh content=\"0;url={url}\"><a href=\"{url}\">To the gallery at {place}</a>\n"
    )?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_file_that_leads_to_the_gallery_is_for_its_user_alone_and_made_anew() {
        let temp = tempfile::tempdir().unwrap();
        let socket = temp.path().join("control.sock");
        fs::create_dir(open_dir(&socket)).unwrap();
        let address = "http://127.1.2.3:4000";
        for token in ["first", "second"] {
            let path = leading(&socket, address, &format!("{address}/enter#{token}")).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(&format!("0;url=http://127.1.2.3:4000/enter#{token}\"")), "{text}");
        }
    }
}
