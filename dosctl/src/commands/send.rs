//! `dosctl send`: a message to another peer.

use std::io::{self, IsTerminal, Read};

use dos_protocol::{
    Code, PeerRef, WireError,
    control::{Command, Outcome},
    limits::MESSAGE_BYTES_MAX,
};

use crate::{
    context::{Context, unexpected},
    error::{Error, cause_of},
    output::{Screen, human, json},
};

/// Send a message to a peer; if it is offline, it gets the message when it is back
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl send bob see you at eight
  fortune | dosctl send bob
  dosctl send bob --direct 'unseen by the directory'")]
pub(crate) struct Args {
    /// The recipient, by ID, name or IP:PORT
    peer: PeerRef,
    /// Text of the message; several words are one text [default: read from standard input]
    #[arg(value_name = "TEXT")]
    text: Vec<String>,
    /// Send peer to peer, unseen by the directory; fails if the peer is offline
    #[arg(long)]
    direct: bool,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let text = if args.text.is_empty() { from_standard_input(&context.screen)? } else { args.text.join(" ") };
    let command = Command::Send { to: args.peer, text: checked(text)?, direct: args.direct };
    // If what follows is lost, the same text again is taken for the same message: it does not arrive twice.
    context.run(command, |outcome| match outcome {
        Outcome::Sent { message, to, to_name, delivery, way } => {
            let sent = json::Sent::new(message, to, to_name.as_ref(), delivery, way);
            context.screen.show(&sent, |text| human::sent(text, &sent))
        }
        _ => Err(unexpected()),
    })
}

/// A text that can be a message.
///
/// # Errors
/// `invalid` if there is nothing in it, or too much.
pub(super) fn checked(text: String) -> Result<Box<str>, WireError> {
    if text.len() > MESSAGE_BYTES_MAX {
        Err(too_long())
    } else if text.trim().is_empty() {
        Err(WireError::new(Code::Invalid, "a message cannot be empty").hint("dosctl send --help"))
    } else {
        Ok(text.into())
    }
}

fn too_long() -> WireError {
    let text = format!("a message has at most {MESSAGE_BYTES_MAX} bytes");
    WireError::new(Code::Invalid, text).hint("split the text into several messages")
}

fn from_standard_input(screen: &Screen) -> Result<String, WireError> {
    let input = io::stdin();
    if input.is_terminal() {
        screen.note("message, end with Ctrl-D:\n");
    }
    read_text(input.lock())
}

/// Everything up to the end without its last line break, as much as a message can hold.
fn read_text(input: impl Read) -> Result<String, WireError> {
    let most = u64::try_from(MESSAGE_BYTES_MAX).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    // With the line break at its end, and one byte more to see that it is too long.
    let read = input.take(most.saturating_add(3)).read_to_end(&mut bytes);
    read.map_err(|error| {
        WireError::new(Code::Invalid, "cannot read the message from standard input")
            .caused_by(cause_of(&error))
    })?;
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(too_long());
    }
    String::from_utf8(bytes).map_err(|_| WireError::new(Code::Invalid, "a message must be UTF-8 text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_at_the_end_is_no_part_of_the_message() {
        assert_eq!(read_text(&b"hello\n"[..]).unwrap(), "hello");
        assert_eq!(read_text(&b"a\n\nb\r\n"[..]).unwrap(), "a\n\nb");
        assert_eq!(read_text(&b"a\n\n"[..]).unwrap(), "a\n");
        assert_eq!(read_text(&b""[..]).unwrap(), "");
    }

    #[test]
    fn no_more_is_read_than_a_message_can_have() {
        let most = [&b"x".repeat(MESSAGE_BYTES_MAX)[..], b"\r\n"].concat();
        assert_eq!(read_text(&most[..]).unwrap().len(), MESSAGE_BYTES_MAX);
        assert_eq!(read_text(&b"x".repeat(MESSAGE_BYTES_MAX + 1)[..]).unwrap_err().code, Code::Invalid);
        assert_eq!(read_text(io::repeat(b'x')).unwrap_err().code, Code::Invalid);
        assert_eq!(read_text(&[0xff_u8][..]).unwrap_err().code, Code::Invalid);
    }

    #[test]
    fn what_says_nothing_is_no_message() {
        assert_eq!(checked(" \n\t".into()).unwrap_err().code, Code::Invalid);
        assert_eq!(checked("x".repeat(MESSAGE_BYTES_MAX + 1)).unwrap_err().code, Code::Invalid);
        assert_eq!(&*checked(" a ".into()).unwrap(), " a ");
    }
}
