//! What the tests of this crate stand on.

pub(crate) mod world;
