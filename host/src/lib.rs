//! What all three programs are to the machine that they run on, whatever it is like: its file systems, its users.
//!
//! - [`dir`]: making a directory's entries durable, where the file system can.
//!
//! Nothing here knows dos, and nothing here starts a runtime.

pub mod dir;
