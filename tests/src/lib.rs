//! The simulated world: the real machines on a disk that lies as disks do, and an oracle that
//! remembers every promise.
//!
//! Holds: a run is a function of its seed alone. Nothing here decides what the machines should do;
//! it breaks what is under them and compares what comes back with what was promised.
#![forbid(unsafe_code)]

pub mod content;
pub mod damage;
pub mod disk;
pub mod images;
pub mod mirror;
pub mod money;
pub mod node;
pub mod oracle;
pub mod random;
pub mod script;
pub mod store;
pub mod world;
