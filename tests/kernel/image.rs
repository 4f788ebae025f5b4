//! A file system in a file: real ext4 or XFS of a given size, mounted through a loop device.
//!
//! The image is sparse and on tmpfs where there is one, so it costs what is written to it. Dropping
//! unmounts it; the loop device goes with the mount.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted image.
pub(crate) struct Image {
    file_system: &'static str,
    mount: PathBuf,
    /// Whether `home` is a tmpfs of its own.
    on_tmpfs: bool,
    home: tempfile::TempDir,
}

/// The file systems that journals are kept on, with the smallest size that each can be made in.
pub(crate) const FILE_SYSTEMS: [(&str, u64); 2] = [("ext4", 24 << 20), ("xfs", 320 << 20)];

impl Image {
    /// Makes and mounts one, or says why this host cannot.
    pub(crate) fn mount(file_system: &'static str, len_bytes: u64) -> Result<Self, String> {
        let shared_memory = Path::new("/dev/shm");
        let home =
            if shared_memory.is_dir() { tempfile::tempdir_in(shared_memory) } else { tempfile::tempdir() };
        let home = home.map_err(|error| error.to_string())?;
        Self::make(Self { file_system, mount: home.path().join("mount"), on_tmpfs: false, home }, len_bytes)
    }

    /// The same on a tmpfs of its own, which can be made too small for it.
    pub(crate) fn mount_on_tmpfs(file_system: &'static str, len_bytes: u64) -> Result<Self, String> {
        let home = tempfile::tempdir().map_err(|error| error.to_string())?;
        run(Command::new("mount").args(["-t", "tmpfs", "none"]).arg(home.path()))?;
        Self::make(Self { file_system, mount: home.path().join("mount"), on_tmpfs: true, home }, len_bytes)
    }

    fn make(made: Self, len_bytes: u64) -> Result<Self, String> {
        let Self { file_system, mount, home, .. } = &made;
        let image = home.path().join("image");
        let file = std::fs::File::create(&image).map_err(|error| error.to_string())?;
        file.set_len(len_bytes).map_err(|error| error.to_string())?;
        std::fs::create_dir(mount).map_err(|error| error.to_string())?;
        run(Command::new(format!("mkfs.{file_system}")).arg("-q").arg(&image))?;
        mount_loop(file_system, &image, mount)?;
        Ok(made)
    }

    /// Unmounts it and mounts it again, as an operator does after a failure. Nothing on it may be open.
    pub(crate) fn remount(&self) -> Result<(), String> {
        run(Command::new("umount").arg(&self.mount))?;
        mount_loop(self.file_system, &self.home.path().join("image"), &self.mount)
    }

    /// Makes the tmpfs below as small as what is in it: from now on the device fails for every block
    /// that it has not been given before, those of the file system's own journal too.
    pub(crate) fn starve(&self) -> Result<(), String> {
        let image = std::fs::metadata(self.home.path().join("image")).map_err(|error| error.to_string())?;
        self.resize(&format!("size={}", image.blocks() * 512))
    }

    /// Gives the tmpfs below room again.
    pub(crate) fn feed(&self) -> Result<(), String> {
        self.resize("size=50%")
    }

    fn resize(&self, size: &str) -> Result<(), String> {
        assert!(self.on_tmpfs, "there is a tmpfs below");
        run(Command::new("mount").args(["-o", &format!("remount,{size}")]).arg(self.home.path()))
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        &self.mount
    }

    /// Cuts the file system off from its device, as a failing controller would: every write from now
    /// on is an error.
    pub(crate) fn shut_down(&self) -> Result<(), String> {
        run(Command::new("xfs_io").args(["-x", "-c", "shutdown"]).arg(&self.mount))
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // Lazily, because a test that panics may still have files open.
        if let Err(error) = run(Command::new("umount").arg("-l").arg(&self.mount)) {
            eprintln!("{} stays mounted: {error}", self.mount.display());
        }
        if self.on_tmpfs {
            drop(run(Command::new("umount").arg("-l").arg(self.home.path())));
        }
    }
}

fn mount_loop(file_system: &str, image: &Path, mount: &Path) -> Result<(), String> {
    run(Command::new("mount").args(["-t", file_system, "-o", "loop"]).arg(image).arg(mount))
}

/// Runs a command; its complaint if it fails.
fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!("{name}: {}", complaint.lines().next().unwrap_or("failed without a word")))
}
