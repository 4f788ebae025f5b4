//! Tests of the crate as a whole.

mod merkle;
mod note;
