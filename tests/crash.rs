//! Every image that a crash of a small journal may leave, and every kind of damage to every stride
//! of it, against the table of `docs/recovery.md`.

mod damage;
mod decisions;
mod images;
mod mirror;
