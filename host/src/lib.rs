//! What all three programs are to the machine that they run on, whatever it is like: its users, its file systems, its signals.
//!
//! - [`dir`]: making a directory's entries durable, where the file system can.
//! - [`lock`]: who holds a lock file.
//! - [`process`]: what others may see of the process's memory.
//! - [`shell`]: arguments as a shell takes them.
//! - [`signals`]: the signals that are to be ignored.
//! - [`socket`]: the file of a local socket, and who listens there.
//! - [`user`]: whose process this is.
//! - [`variables`]: the environment.
//!
//! Nothing here knows dos, and nothing here starts a runtime.

pub mod dir;
pub mod lock;
pub mod process;
pub mod shell;
pub mod signals;
pub mod socket;
pub mod user;
pub mod variables;
