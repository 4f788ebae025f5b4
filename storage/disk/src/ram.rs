//! A file system in memory that belongs to this process alone and is gone with it.
//!
//! Holds: it is a tmpfs that is mounted nowhere: no name leads to it but those of this process's
//! descriptor, and the kernel frees it with the last of those, also after a kill. Its size is bounded,
//! and full it says `ENOSPC` as any disk. Nothing of it is swapped out where the kernel can promise
//! that (Linux 6.4).

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
    fsmount, fsopen,
};

use crate::error::{DiskError, Operation};

/// A file system in memory.
#[derive(Debug)]
pub struct RamDisk {
    path: PathBuf,
    never_swapped: bool,
    _root: OwnedFd,
}

impl RamDisk {
    /// Makes one of at most `bytes`, its root private (0700).
    ///
    /// # Errors
    /// What the kernel refuses: `EPERM` without `CAP_SYS_ADMIN`, `ENOSYS` before Linux 5.2.
    pub fn new(bytes: u64) -> Result<Self, DiskError> {
        let made = make(bytes, true).map(|root| (root, true));
        // Before 6.4 the option is not known.
        let made = match made {
            Err(Errno::INVAL) => make(bytes, false).map(|root| (root, false)),
            made => made,
        };
        let (root, never_swapped) =
            made.map_err(|errno| DiskError::Kernel { operation: Operation::RamDisk, errno })?;
        // By the process's number, not `self`: so the names lead there from outside too.
        let path = PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), root.as_raw_fd()));
        Ok(Self { path, never_swapped, _root: root })
    }

    /// Its root, for as long as the value lives.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the kernel promises to keep it out of swap.
    #[must_use]
    pub fn is_never_swapped(&self) -> bool {
        self.never_swapped
    }
}

fn make(bytes: u64, never_swapped: bool) -> Result<OwnedFd, Errno> {
    let tmpfs = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&tmpfs, "size", bytes.to_string())?;
    fsconfig_set_string(&tmpfs, "mode", "0700")?;
    if never_swapped {
        fsconfig_set_flag(&tmpfs, "noswap")?;
    }
    fsconfig_create(&tmpfs)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(&tmpfs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Access, Direct, DirectFile, directory};

    #[test]
    fn it_is_bounded_private_and_gone_with_its_value() {
        let disk = match RamDisk::new(1 << 20) {
            Ok(disk) => disk,
            Err(error) => return println!("not run: {error}"),
        };
        let path = disk.path().join("dir/file");
        directory::create_private_dir(path.parent().unwrap()).unwrap();
        let file = DirectFile::open(&path, Access::CreateNew, Direct::Preferred).unwrap();
        file.write_zeros(0, 512 << 10).unwrap();
        let full = file.write_zeros(512 << 10, 2 << 20);
        assert!(matches!(full, Err(DiskError::NoSpace { .. })), "{full:?}");
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        assert!(!mounts.contains("size=1024k"), "it is mounted nowhere");
        let root = disk.path().to_path_buf();
        drop(disk);
        // An open file keeps it; its name is gone.
        assert!(directory::list(&root).is_err());
    }
}
