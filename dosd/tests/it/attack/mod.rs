//! Attacks on a directory, a file per theme: small in the suite, in full size with `cargo xtask attack`.
//!
//! Each plays an attack with real connections and measures what others notice of it; [`dos_testing::attack`] has its size.
