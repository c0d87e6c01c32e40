//! Images as arguments of the commands that hints name.

use dos_protocol::ImageArg;

/// The image as an argument of a command that a shell reads.
pub(crate) fn quoted(arg: &ImageArg) -> String {
    dos_host::shell::quoted(&arg.to_string())
}
