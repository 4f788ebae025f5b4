//! The loops that join the machines to the kernel.
#![forbid(unsafe_code)]
