//! Attacks on peers and their directory, a file per theme: small in the suite, in full size with `cargo xtask attack`.
//!
//! Each plays an attack with the real programs and measures what others notice of it; [`dos_testing::attack`] has its size.

mod addresses;
mod blocks;
mod left_behind;
mod strangers;
mod surroundings;
