//! A small ledger, its snapshot, and everything that may be wrong with one.

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use ledger::NoteSigner;
use model::Seq;
use tar::{EntryType, Header};
use tempfile::TempDir;

use super::{archive, manifest::Manifest, *};
use crate::{tests::world::World, verify::verify};

const SEED: [u8; 32] = [1; 32];

fn signer() -> NoteSigner {
    NoteSigner::new("example.test/ledger", &SEED).unwrap()
}

/// Keys as a node keeps them beside the ledger.
fn keys(home: &Path) -> PathBuf {
    let keys = home.join("keys");
    fs::create_dir_all(&keys).unwrap();
    fs::write(keys.join("checkpoint.key"), hex::encode(SEED) + "\n").unwrap();
    fs::write(keys.join("log.vkey"), format!("{}\n", signer().verifier())).unwrap();
    keys
}

struct Snapshot {
    world: World,
    home: TempDir,
    file: PathBuf,
    created: Created,
}

fn snapshot(transfers: u64) -> Snapshot {
    let (world, home) = (World::new(), tempfile::tempdir().unwrap());
    world.life(transfers);
    let file = home.path().join("snap.tar.zst");
    let created = create(&CreateParams {
        data_dir: world.directory(),
        keys: Some(keys(home.path())),
        out: file.clone(),
        mib_per_s: None,
    });
    Snapshot { world, file, created: created.unwrap(), home }
}

impl Snapshot {
    fn restore(
        &self,
        name: &str,
        change: impl FnOnce(&mut RestoreParams),
    ) -> Result<Restored, SnapshotError> {
        let mut params = RestoreParams {
            file: self.file.clone(),
            key: Some(signer().verifier().to_string()),
            to_dir: self.home.path().join(name),
            to: None,
            same_life: false,
            reason: None,
        };
        change(&mut params);
        restore(&params, &mut |_, _| {})
    }

    fn unpacked(&self) -> Vec<u8> {
        zstd::decode_all(fs::File::open(&self.file).unwrap()).unwrap()
    }

    /// The archive with other bytes.
    fn replaced(&self, tar: &[u8]) -> PathBuf {
        let path = self.home.path().join("replaced.tar.zst");
        fs::write(&path, zstd::encode_all(tar, 1).unwrap()).unwrap();
        path
    }

    /// What is left of a restore that was refused.
    fn is_untouched(&self) {
        let names: Vec<String> = fs::read_dir(self.home.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "keys" && !name.ends_with(".tar.zst"))
            .collect();
        assert_eq!(names, Vec::<String>::new());
    }
}

fn checked(file: &Path, key: Option<&str>) -> Result<SnapshotReport, SnapshotError> {
    let params = VerifyParams { file: file.into(), key: key.map(str::to_owned), scratch: None };
    verify_snapshot(&params, &mut |_, _| {})
}

#[test]
fn a_snapshot_holds_the_ledger_and_is_not_written_over() {
    use std::os::unix::fs::PermissionsExt;
    let snapshot = snapshot(20);
    let report = checked(&snapshot.file, Some(&signer().verifier().to_string())).unwrap();
    assert!(report.audit.clean && report.key_given, "{}", report.text());
    assert_eq!((report.entries, &report.root), (snapshot.created.entries, &snapshot.created.root));
    let original = verify(&snapshot.world.directory(), &mut |_, _| {}).unwrap();
    assert_eq!(original.checked.root, snapshot.created.root);
    let mode = fs::metadata(&snapshot.file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = CreateParams {
        data_dir: snapshot.world.directory(),
        keys: Some(snapshot.home.path().join("keys")),
        out: snapshot.file.clone(),
        mib_per_s: None,
    };
    assert_eq!(create(&again).unwrap_err().exit_code(), 73);
    assert!(!checked(&snapshot.file, None).unwrap().key_given);
    // What a kill left of an earlier one is written over.
    let out = snapshot.home.path().join("other.tar.zst");
    for ending in [".new", ".body.new"] {
        fs::write(snapshot.home.path().join(format!(".other.tar.zst{ending}")), vec![7; 1 << 20]).unwrap();
    }
    create(&CreateParams { out: out.clone(), ..again }).unwrap();
    assert!(checked(&out, None).unwrap().audit.clean);
    snapshot.is_untouched();
}

#[test]
fn a_restore_ends_at_every_frame_boundary() {
    let snapshot = snapshot(6);
    let mut sizes = Vec::new();
    for seq in 1..=snapshot.created.entries {
        let name = format!("at-{seq}");
        let restored = snapshot.restore(&name, |params| params.to = Some(Point::Seq(Seq(seq))));
        let restored = match restored {
            Ok(restored) => restored,
            // The first frame has more than one entry.
            Err(error) => {
                assert!(sizes.is_empty() && error.exit_code() == 2, "{error}");
                continue;
            }
        };
        assert!(restored.kept <= seq && restored.kept + restored.dropped == snapshot.created.entries);
        assert_eq!((restored.incarnation, restored.entries), (2, restored.kept + 1));
        let report = verify(&snapshot.home.path().join(&name), &mut |_, _| {}).unwrap();
        assert!(report.clean, "{}", report.text());
        assert_eq!((report.checked.last_seq, &report.checked.root), (restored.entries, &restored.root));
        assert_eq!(report.checked.entries_by_kind["incarnation"], 1);
        if sizes.last() != Some(&restored.kept) {
            sizes.push(restored.kept);
        }
    }
    // One entry a frame but for the first two, which open accounts.
    assert!(sizes.len() >= 9, "{sizes:?}");
    assert_eq!(sizes.last(), Some(&snapshot.created.entries));
}

#[test]
fn a_restore_at_a_time_and_of_all_there_is() {
    let snapshot = snapshot(4);
    let early = snapshot.restore("early", |params| params.to = Point::parse("1999-01-01T00:00:00Z").ok());
    assert_eq!(early.unwrap_err().exit_code(), 2);
    let late = snapshot.restore("late", |params| params.to = Point::parse("2500-01-01T00:00:00Z").ok());
    assert_eq!(late.unwrap_err().exit_code(), 2);
    let beyond = snapshot.restore("beyond", |params| params.to = Some(Point::Seq(Seq(10_000))));
    assert_eq!(beyond.unwrap_err().exit_code(), 2);
    let both = snapshot.restore("both", |params| {
        (params.to, params.same_life) = (Some(Point::Seq(Seq(5))), true);
    });
    assert_eq!(both.unwrap_err().exit_code(), 2);
    snapshot.is_untouched();

    // The ledger time of the last frame takes all of it.
    let at = snapshot.created.at.clone();
    let whole = snapshot.restore("whole", |params| params.to = Point::parse(&at).ok()).unwrap();
    assert!(whole.dropped <= snapshot.created.entries, "frames of the same millisecond are of the next");
    let same = snapshot.restore("same", |params| params.same_life = true).unwrap();
    assert_eq!((same.incarnation, same.entries, same.dropped), (1, snapshot.created.entries, 0));
    assert_eq!(same.root, snapshot.created.root);
    let taken = snapshot.restore("same", |params| params.same_life = true);
    assert_eq!(taken.unwrap_err().exit_code(), 73, "it is not empty");
    fs::create_dir(snapshot.home.path().join("empty")).unwrap();
    let fresh = snapshot.restore("empty", |_| {}).unwrap();
    assert_eq!((fresh.incarnation, fresh.entries), (2, snapshot.created.entries + 1));
}

#[test]
fn a_snapshot_of_a_restored_ledger_can_be_cut_in_either_life() {
    let first = snapshot(4);
    let restored = first.restore("second", |_| {}).unwrap();
    let vkey = signer().verifier().to_string();
    let file = first.home.path().join("second.tar.zst");
    let params = CreateParams {
        data_dir: first.home.path().join("second"),
        keys: Some(first.home.path().join("keys")),
        out: file.clone(),
        mib_per_s: Some(1_000),
    };
    let created = create(&params).unwrap();
    assert_eq!((created.entries, created.incarnation), (restored.entries, 2));
    assert!(checked(&file, Some(&vkey)).unwrap().audit.clean);
    for (to, kept) in [(created.entries, created.entries), (created.entries - 1, created.entries - 1)] {
        let name = format!("third-{to}");
        let third = first
            .restore(&name, |params| {
                (params.file, params.to) = (file.clone(), Some(Point::Seq(Seq(to))));
            })
            .unwrap();
        // The number of a life that was dropped is not given out again.
        assert_eq!((third.kept, third.incarnation), (kept, 3));
        let report = verify(&first.home.path().join(&name), &mut |_, _| {}).unwrap();
        assert!(report.clean, "{}", report.text());
    }
}

#[test]
fn what_is_cut_short_or_altered_is_refused() {
    let snapshot = snapshot(4);
    let packed = fs::read(&snapshot.file).unwrap();
    let file = snapshot.home.path().join("cut.tar.zst");
    let mut codes = std::collections::BTreeSet::new();
    for len in (0..packed.len()).step_by(packed.len() / 40 + 1) {
        fs::write(&file, &packed[..len]).unwrap();
        let error = snapshot.restore("nowhere", |params| params.file = file.clone()).unwrap_err();
        assert_eq!(error.exit_code(), 65, "{len}: {error}");
        let mut flipped = packed.clone();
        flipped[len] ^= 0x10;
        fs::write(&file, &flipped).unwrap();
        let error = snapshot.restore("nowhere", |params| params.file = file.clone()).unwrap_err();
        codes.insert(error.exit_code());
    }
    assert!(codes.is_subset(&[1, 65].into()), "{codes:?}");
    // The same inside the compression, where every byte is hashed, signed or checked.
    let tar = snapshot.unpacked();
    for at in (0..tar.len()).step_by(tar.len() / 60 + 1).chain([0, 124, 156, 512, 1024, tar.len() - 1]) {
        let mut flipped = tar.clone();
        flipped[at] ^= 1;
        let file = snapshot.replaced(&flipped);
        match snapshot.restore("nowhere", |params| params.file = file) {
            Err(error) => assert!([1, 65].contains(&error.exit_code()), "byte {at}: {error}"),
            // Padding after an entry is in no hash, and nothing takes anything from it.
            Ok(_) => fs::remove_dir_all(snapshot.home.path().join("nowhere")).unwrap(),
        }
    }
    snapshot.is_untouched();
}

#[test]
fn signatures_of_others_are_refused() {
    let snapshot = snapshot(2);
    let other = NoteSigner::new("example.test/ledger", &[2; 32]).unwrap().verifier().to_string();
    let error = checked(&snapshot.file, Some(&other)).unwrap_err();
    assert_eq!(error.exit_code(), 1, "{error}");
    assert_eq!(checked(&snapshot.file, Some("no key")).unwrap_err().exit_code(), 2);
    // Signed by somebody else over the same files: the archive's own key holds, the log's does not.
    let manifest = manifest_of(&snapshot.unpacked());
    let forger = NoteSigner::new("example.test/ledger", &[2; 32]).unwrap();
    let forged = rebuilt(&snapshot.unpacked(), &manifest.text(), &manifest.sign(&forger));
    let file = snapshot.replaced(&forged);
    assert!(checked(&file, None).unwrap().audit.clean);
    assert_eq!(checked(&file, Some(&signer().verifier().to_string())).unwrap_err().exit_code(), 1);
    // A right signature over another manifest.
    let raised = Manifest { through: Seq(manifest.through.0 + 1), ..manifest.clone() };
    let file = snapshot.replaced(&rebuilt(&snapshot.unpacked(), &raised.text(), &manifest.sign(&signer())));
    assert_eq!(checked(&file, None).unwrap_err().exit_code(), 1);
    // Signed rightly, and not what the journal says.
    let file = snapshot.replaced(&rebuilt(&snapshot.unpacked(), &raised.text(), &raised.sign(&signer())));
    assert_eq!(checked(&file, None).unwrap_err().exit_code(), 1);
}

#[test]
fn entries_that_lead_elsewhere_or_do_not_end_are_refused() {
    let snapshot = snapshot(2);
    let tar = snapshot.unpacked();
    let manifest = manifest_of(&tar);
    let note = manifest.sign(&signer());
    let front = |out: &mut Vec<u8>| {
        for (name, text) in [("manifest", manifest.text()), ("manifest.note", note.clone())] {
            archive::append(out, name, text.len() as u64, 0, &mut text.as_bytes()).unwrap();
        }
    };
    let entry = |name: &str, kind: EntryType, size: u64| {
        let mut header = Header::new_ustar();
        header.as_ustar_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o600);
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    let size = journal::IMAGE_FILE_BYTES;
    let cases = [
        entry("../superblock", EntryType::Regular, size),
        entry("/etc/superblock", EntryType::Regular, size),
        entry("superblock", EntryType::Symlink, 0),
        entry("superblock", EntryType::Link, 0),
        entry("superblock", EntryType::Directory, 0),
        entry("superblock", EntryType::XHeader, 1 << 40),
        entry("superblock", EntryType::GNULongName, 1 << 40),
        entry("superblock", EntryType::Regular, u64::MAX >> 1),
        entry("slot", EntryType::Regular, size),
    ];
    for (at, header) in cases.into_iter().enumerate() {
        let mut bytes = Vec::new();
        front(&mut bytes);
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&vec![0; 1 << 18]);
        let file = snapshot.replaced(&bytes);
        let error = snapshot.restore("nowhere", |params| params.file = file).unwrap_err();
        assert_eq!(error.exit_code(), 65, "case {at}: {error}");
    }
    // One file twice, and one more than was signed.
    let mut more = tar[..tar.len() - 1024].to_vec();
    archive::append(&mut more, "superblock", 1, 0, &mut &b"x"[..]).unwrap();
    archive::end(&mut more).unwrap();
    let file = snapshot.replaced(&more);
    assert_eq!(checked(&file, None).unwrap_err().exit_code(), 65);
    // Zeros without end behind it, which compress to nothing.
    let mut endless = tar.clone();
    endless.resize(tar.len() + (8 << 20), 0);
    let file = snapshot.replaced(&endless);
    assert_eq!(checked(&file, None).unwrap_err().exit_code(), 65);
    snapshot.is_untouched();
}

#[test]
fn names_of_a_manifest_lead_nowhere_else() {
    let snapshot = snapshot(2);
    let manifest = manifest_of(&snapshot.unpacked());
    assert_eq!(Manifest::parse(&manifest.text()), Ok(manifest.clone()));
    let last = manifest.files.len() - 1;
    for name in
        ["../0000000000.segment", "segments/../slot", "/segments/0000000000.segment", "segments/0.segment"]
    {
        let mut wrong = manifest.clone();
        wrong.files[last].name = name.into();
        assert!(Manifest::parse(&wrong.text()).is_err(), "{name}");
    }
    let mut wrong = manifest.clone();
    wrong.files.push(manifest.files[last].clone());
    assert!(Manifest::parse(&wrong.text()).is_err(), "a segment twice");
    let mut wrong = manifest.clone();
    wrong.files[last].bytes = 1 << 40;
    assert!(Manifest::parse(&wrong.text()).is_err(), "a segment larger than a segment");
    assert!(Manifest::parse(&manifest.text().replace("frame ", "frame 0")).is_err(), "a leading zero");
}

fn manifest_of(tar: &[u8]) -> Manifest {
    let mut archive = tar::Archive::new(tar);
    let mut text = String::new();
    archive.entries().unwrap().next().unwrap().unwrap().read_to_string(&mut text).unwrap();
    Manifest::parse(&text).unwrap()
}

/// The archive with another front.
fn rebuilt(tar: &[u8], text: &str, note: &str) -> Vec<u8> {
    let mut out = Vec::new();
    archive::append(&mut out, "manifest", text.len() as u64, 0, &mut text.as_bytes()).unwrap();
    archive::append(&mut out, "manifest.note", note.len() as u64, 0, &mut note.as_bytes()).unwrap();
    let mut archive = tar::Archive::new(tar);
    for entry in archive.entries().unwrap().skip(2) {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        archive::append(&mut out, &name, bytes.len() as u64, 0, &mut bytes.as_slice()).unwrap();
    }
    archive::end(&mut out).unwrap();
    out.flush().unwrap();
    out
}

#[test]
fn a_key_that_is_not_the_logs_signs_nothing() {
    let snapshot = snapshot(1);
    let keys = snapshot.home.path().join("keys");
    fs::write(keys.join("checkpoint.key"), hex::encode([9; 32])).unwrap();
    let params = CreateParams {
        data_dir: snapshot.world.directory(),
        keys: Some(keys.clone()),
        out: snapshot.home.path().join("unsigned.tar.zst"),
        mib_per_s: None,
    };
    assert_eq!(create(&params).unwrap_err().exit_code(), 94);
    fs::remove_file(keys.join("log.vkey")).unwrap();
    assert_eq!(create(&params).unwrap_err().exit_code(), 94);
    assert!(!params.out.exists());
}
