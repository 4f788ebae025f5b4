//! A file system in a file: real ext4 or XFS of a given size, mounted through a loop device.
//!
//! The image is sparse and on tmpfs where there is one, so it costs what is written to it. Dropping
//! unmounts it; the loop device goes with the mount.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted image.
pub(crate) struct Image {
    file_system: &'static str,
    image: PathBuf,
    mount: PathBuf,
    /// The small file system in memory that the image lies on, if it does.
    backing: Option<PathBuf>,
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
        Self::make(file_system, len_bytes, home.map_err(|error| error.to_string())?, None)
    }

    /// The same, on a file system in memory of `backing_bytes`: fewer than the image has, so that the
    /// device begins to fail when so much of it was written to.
    pub(crate) fn mount_on_small(
        file_system: &'static str,
        len_bytes: u64,
        backing_bytes: u64,
    ) -> Result<Self, String> {
        let home = tempfile::tempdir().map_err(|error| error.to_string())?;
        let backing = home.path().join("backing");
        std::fs::create_dir(&backing).map_err(|error| error.to_string())?;
        let size = format!("size={backing_bytes}");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&backing))?;
        Self::make(file_system, len_bytes, home, Some(backing))
    }

    fn make(
        file_system: &'static str,
        len_bytes: u64,
        home: tempfile::TempDir,
        backing: Option<PathBuf>,
    ) -> Result<Self, String> {
        let image = backing.as_deref().unwrap_or(home.path()).join("image");
        let mount = home.path().join("mount");
        let file = std::fs::File::create(&image).map_err(|error| error.to_string())?;
        file.set_len(len_bytes).map_err(|error| error.to_string())?;
        std::fs::create_dir(&mount).map_err(|error| error.to_string())?;
        run(Command::new(format!("mkfs.{file_system}")).arg("-q").arg(&image))?;
        mount_loop(file_system, &image, &mount)?;
        Ok(Self { file_system, image, mount, backing, home })
    }

    /// Unmounts it and mounts it again, as an operator does after a failure. Nothing on it may be open.
    pub(crate) fn remount(&self) -> Result<(), String> {
        run(Command::new("umount").arg(&self.mount))?;
        mount_loop(self.file_system, &self.image, &self.mount)
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
        for mounted in [Some(&self.mount), self.backing.as_ref()].into_iter().flatten() {
            // Lazily, because a test that panics may still have files open.
            if let Err(error) = run(Command::new("umount").arg("-l").arg(mounted)) {
                eprintln!(
                    "{} stays mounted, below {}: {error}",
                    mounted.display(),
                    self.home.path().display()
                );
            }
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
