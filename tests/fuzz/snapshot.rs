//! Snapshots: the manifest's text, the front of an archive, and the tar entries behind it, signed
//! rightly. Sums of headers and signatures are made right again, so that what is behind them is met.
//!
//! Where a mutant has an odd length, zeros without end follow it.

use std::{
    cell::Cell,
    io::{self, Read, Write},
    path::Path,
};

use ctl::snapshot::{Manifest, ManifestFile, Opened, SnapshotError, append_file};
use journal::{FrameHash, FrameNumber, Geometry, HashKind, IMAGE_FILE_BYTES, SegmentNumber};
use model::{Incarnation, LedgerId, Seq, Timestamp};

use super::harness::Target;

const BLOCK: usize = 512;
/// Fields of a tar header: where they begin, and their bytes.
const NAME: usize = 0;
const SIZE: (usize, usize) = (124, 12);
const SUM: (usize, usize) = (148, 8);
const KIND: usize = 156;
/// Kinds of entries that are no ordinary file: links, devices, directories, and all that some tools
/// put before a file to say more of it.
const KINDS: [u8; 12] = *b"1234567xgLKS";
/// Where headers stand behind the two images: before 700, 4,096 and 8,192 bytes, and where the archive
/// ends.
const HEADERS: [usize; 4] = [0, 3 * BLOCK, 12 * BLOCK, 29 * BLOCK];

fn signer() -> ledger::NoteSigner {
    ledger::NoteSigner::new("example.test/ledger", &[1; 32]).unwrap()
}

fn file(name: String, content: &[u8]) -> ManifestFile {
    ManifestFile { name, bytes: content.len() as u64, digest: *blake3::hash(content).as_bytes() }
}

/// The files of a small snapshot.
fn contents() -> Vec<(String, Vec<u8>)> {
    let image = vec![7; usize::try_from(IMAGE_FILE_BYTES).unwrap()];
    let checkpoint = journal::checkpoint_file_name(FrameNumber(5));
    let segment = |number| format!("segments/{}", journal::segment_file_name(SegmentNumber(number)));
    vec![
        ("superblock".into(), image.clone()),
        ("slot".into(), image),
        (format!("checkpoints/{checkpoint}"), vec![3; 700]),
        (segment(0), vec![4; 4096]),
        (segment(1), vec![5; 8192]),
    ]
}

fn manifest(files: Vec<ManifestFile>) -> Manifest {
    Manifest {
        ledger: LedgerId([1; 16]),
        hash: HashKind::Sha256,
        incarnation: Incarnation(2),
        geometry: Geometry::new(4096, 1 << 20).unwrap(),
        frame: FrameNumber(9),
        frame_hash: FrameHash([7; 32]),
        through: Seq(40),
        root: [8; 32],
        at: Timestamp::from_millis(1_760_631_062_000),
        taken: Timestamp::from_millis(1_760_631_063_000),
        files,
    }
}

fn whole() -> Manifest {
    manifest(contents().iter().map(|(name, content)| file(name.clone(), content)).collect())
}

fn entry(out: &mut Vec<u8>, name: &str, content: &[u8]) {
    append_file(out, name, content.len() as u64, 0, &mut &*content).unwrap();
}

fn front(text: &str, note: &str) -> Vec<u8> {
    let mut out = Vec::new();
    entry(&mut out, "manifest", text.as_bytes());
    entry(&mut out, "manifest.note", note.as_bytes());
    out
}

/// What is wrong, without the words that every refusal begins with.
fn reason(error: impl ToString) -> String {
    let text = error.to_string();
    text.rsplit(": ").next().unwrap_or(&text).to_owned()
}

#[test]
fn manifests() {
    let bare = Manifest { hash: HashKind::Blake3, files: whole().files[..2].to_vec(), ..whole() };
    let target = Target {
        name: "snapshot_manifest",
        times: 10,
        seeds: vec![whole().text().into_bytes(), bare.text().into_bytes()],
        repair: None,
        // The text that is written again, and room for the words of a line.
        fixed: 8 << 10,
        factor: 8,
        refusals: &[
            "\"utf8\"",
            "\"it",
            "\"ledger\"",
            "\"hash\"",
            "\"sizes\"",
            "\"a",
            "\"superblock",
            "\"hex",
        ],
    };
    target.run(
        |bytes| {
            let text = std::str::from_utf8(bytes).map_err(|_| "utf8".to_owned())?;
            Manifest::parse(text).map(drop).map_err(reason)
        },
        |bytes| {
            let manifest = Manifest::parse(std::str::from_utf8(bytes).unwrap()).unwrap();
            assert_eq!(manifest.text().as_bytes(), bytes);
            let names = manifest.files.iter().map(|file| &file.name);
            assert!(names.clone().all(|name| !name.starts_with('/') && !name.contains("..")));
            assert_eq!(names.clone().count(), names.collect::<std::collections::BTreeSet<_>>().len());
        },
    );
}

/// Makes a header's sum right again.
fn resum(header: &mut [u8]) {
    let sum_field = SUM.0..SUM.0 + SUM.1;
    header[sum_field.clone()].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[sum_field].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// Plants in a header what an archive must not have, now and then; what, hangs on its bytes alone.
fn plant(header: &mut [u8], before: &[u8]) {
    let hash = blake3::hash(header);
    let [kind, what, which, ..] = hash.as_bytes();
    if kind % 4 > 0 {
        return;
    }
    let name = |header: &mut [u8], name: &[u8]| {
        header[NAME..NAME + 100].fill(0);
        header[NAME..NAME + name.len()].copy_from_slice(name);
    };
    let size = |header: &mut [u8], bytes: [u8; 12]| header[SIZE.0..SIZE.0 + SIZE.1].copy_from_slice(&bytes);
    match what % 8 {
        0 => name(header, b"../segments/0000000000.segment"),
        1 => name(header, b"/etc/passwd"),
        2 => name(header, b"segments/../../slot"),
        3 => header[KIND] = KINDS[usize::from(*which) % KINDS.len()],
        4 => header.copy_from_slice(before),
        // As octal digits, as a number of 95 bits, and below zero.
        5 => size(header, *b"77777777777\0"),
        6 => size(header, [0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        _ => size(header, [0xff; 12]),
    }
}

/// Reads an archive to its end into nothing, and counts what it gave.
fn read(front: &[u8], whole: impl Read, unpacked: &Cell<u64>) -> Result<Manifest, SnapshotError> {
    struct Counted<'a>(&'a Cell<u64>);
    impl Write for Counted<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.set(self.0.get() + bytes.len() as u64);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    unpacked.set(0);
    let log = signer().verifier();
    let opened = Opened::of(Path::new("archive"), front, whole, Some(&log))?;
    Ok(opened.unpack(|_| Ok(Counted(unpacked)), |_, _| Ok(()))?.0)
}

#[test]
fn fronts_of_archives() {
    let seed = front(&whole().text(), &whole().sign(&signer()));
    let repair = |bytes: &mut [u8]| {
        if let Some(header) = bytes.get_mut(..BLOCK) {
            resum(header);
        }
    };
    let target = Target {
        name: "snapshot_front",
        times: 1,
        seeds: vec![seed],
        repair: Some(&repair),
        // The text twice while it grows, the manifest, its text again, the note.
        fixed: 64 << 10,
        factor: 16,
        refusals: &["\"Archive", "\"Signature"],
    };
    let log = signer().verifier();
    let opened = |bytes: &[u8]| match Opened::of(Path::new("archive"), bytes, io::empty(), Some(&log)) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{error:?}")),
    };
    target.run(opened, |bytes| {
        // Owner, times and padding are in no signature; what was signed is as it was.
        let at = BLOCK..BLOCK + whole().text().len();
        assert_eq!(&bytes[at], whole().text().as_bytes());
    });
}

#[test]
fn entries_of_archives() {
    let contents = contents();
    let whole = whole();
    let mut constant = front(&whole.text(), &whole.sign(&signer()));
    for (name, content) in &contents[..2] {
        entry(&mut constant, name, content);
    }
    let mut seed = Vec::new();
    for (name, content) in &contents[2..] {
        entry(&mut seed, name, content);
    }
    seed.resize(seed.len() + 2 * BLOCK, 0);
    let repair = |bytes: &mut [u8]| {
        let mut before = [b'a'; BLOCK];
        for at in HEADERS {
            let Some(header) =
                bytes.get_mut(at..at + BLOCK).filter(|bytes| bytes.iter().any(|byte| *byte > 0))
            else {
                continue;
            };
            plant(header, &before);
            resum(header);
            before.copy_from_slice(header);
        }
    };
    let target = Target {
        name: "snapshot_entries",
        times: 2,
        seeds: vec![seed],
        repair: Some(&repair),
        // The megabyte that a file is copied through, the manifest and its text; nothing of it grows
        // with what an entry says of itself.
        fixed: (1 << 20) + (64 << 10),
        factor: 0,
        refusals: &["\"stands\"", "\"kind\"", "\"size\"", "\"hash\"", "\"tar\""],
    };
    let unpacked = Cell::new(0);
    let most: u64 = whole.files.iter().map(|file| file.bytes).sum();
    let decode = |bytes: &[u8]| {
        let endless = if bytes.len() % 2 == 1 { u64::MAX } else { 0 };
        let rest = constant.as_slice().chain(bytes).chain(io::repeat(0).take(endless));
        let read = read(&constant, rest, &unpacked);
        assert!(unpacked.get() <= most, "{} bytes of {most} came out", unpacked.get());
        read.map(drop).map_err(|error| {
            let text = error.to_string();
            let words = [
                ("stands where", "stands"),
                ("is no ordinary file", "kind"),
                ("which are not those", "size"),
                ("is not what was signed", "hash"),
                ("there is more than was signed", "more"),
                ("something follows its end", "zeros"),
                ("is missing", "missing"),
            ];
            words.iter().find(|(part, _)| text.contains(part)).map_or("tar", |(_, word)| word).to_owned()
        })
    };
    target.run(decode, |_| assert_eq!(unpacked.get(), most, "every byte that was signed, and no other"));
}
