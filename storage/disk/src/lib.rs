//! The one place that touches the kernel for storage.
