//! The targets of [`dos_fuzz::DAEMONS`] in one program: `DOS_FUZZ_TARGET` says which. With a program for each, linking takes longer than
//! building.
#![no_main]

use std::sync::LazyLock;

static CHOSEN: LazyLock<dos_fuzz::Target> = LazyLock::new(|| dos_fuzz::chosen(dos_fuzz::DAEMONS));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| CHOSEN(bytes));
