//! Gives a descriptor to a type of another library that knows no safe way to take it.

use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};

/// Makes a `T` that owns `fd`. What `T` makes of a descriptor of another kind is `T`'s business: it
/// gets an error from the kernel, as the safe conversions of the standard library do.
#[must_use]
#[expect(unsafe_code, reason = "the library behind the shards' sockets takes raw descriptors only")]
pub fn adopt<T: FromRawFd>(fd: OwnedFd) -> T {
    let raw = fd.into_raw_fd();
    // SAFETY: `raw` is open and nobody else owns it: `into_raw_fd` has just given it up, and it is
    // used nowhere else.
    unsafe { T::from_raw_fd(raw) }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        os::unix::net::UnixStream,
    };

    use super::*;

    #[test]
    fn what_is_adopted_is_the_same_socket() {
        let (mut here, there) = UnixStream::pair().unwrap();
        let mut there: UnixStream = adopt(OwnedFd::from(there));
        here.write_all(b"ring").unwrap();
        let mut bytes = [0; 4];
        there.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"ring");
    }
}
