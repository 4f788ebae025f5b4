//! Tests of the routes behind what every request passes, over a real ledger in RAM.

mod bad_input;
mod bed;
mod desk;
mod money;
mod past;
mod roles;
mod socket;
mod usage;

pub(crate) use bed::StillClock;
