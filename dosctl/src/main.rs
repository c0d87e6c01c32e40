//! The program `dosctl`: arguments in, exit code out. Everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    dos_host::process::conceal();
    ExitCode::from(dosctl::main(std::env::args_os()))
}
