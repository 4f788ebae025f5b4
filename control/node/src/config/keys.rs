//! Every key. A row here is all that a new one needs, beside the line in `params.rs` that reads it.

use super::key::{Key, address, boolean, integer, path, text, word};

/// A section of the file.
#[derive(Debug)]
pub(crate) struct Section {
    /// Its name; empty for the keys before the first section.
    pub(crate) name: &'static str,
    /// What it is about.
    pub(crate) doc: &'static str,
    /// Its keys, in the order of the file.
    pub(crate) keys: &'static [Key],
}

/// Every section with every key.
pub(crate) static SECTIONS: &[Section] = &[
    Section { name: "", doc: "The node.", keys: NODE },
    Section { name: "ledger", doc: "The ledger role.", keys: LEDGER },
    Section { name: "storage", doc: "How the journal is written.", keys: STORAGE },
    Section { name: "commit", doc: "Group commit.", keys: COMMIT },
    Section { name: "queues", doc: "Bounds of the queues.", keys: QUEUES },
    Section { name: "accounting", doc: "The accounting role.", keys: ACCOUNTING },
    Section { name: "wallet", doc: "The wallet role.", keys: WALLET },
    Section { name: "admin", doc: "The operators' socket.", keys: ADMIN },
    Section { name: "chaos", doc: "Faults that operators may inject.", keys: CHAOS },
];

static NODE: &[Key] = &[
    word(
        "environment",
        &["dev", "production"],
        "What the node is for. `production` needs an OTLP endpoint and is refused by this version, which exports no traces.",
    ),
    word(
        "profile",
        &["macronode", "micronode"],
        "`macronode` is persistent. `micronode` is refused by this version; `storage.io = \"ram\"` keeps nothing on disk. A config file must name it.",
    )
    .also(&["RON_LEDGER_PROFILE"]),
    path("data_dir", "./macronode-data", "Where everything durable lies; made with mode 0700."),
    integer(
        "drain_ms",
        (10, 60_000),
        3_000,
        "Milliseconds that requests in work may go on after SIGTERM; what is left then is cut.",
    ),
    text("log", "info", "Filter of the log, in the syntax of `RUST_LOG`, such as `info,engine=debug`.")
        .also(&["RUST_LOG", "LOG_LEVEL"]),
];

static LEDGER: &[Key] = &[
    address("ledger.http", "127.0.0.1:5082", "Address of `/ingest`, `/roots` and the proofs."),
    address("ledger.admin", "127.0.0.1:9909", "Address of health, readiness, metrics and version."),
    word(
        "ledger.hash",
        &["sha256", "blake3"],
        "Hash of the Merkle tree. Fixed when the ledger is created: another value is refused later.",
    ),
    text(
        "ledger.origin",
        "localhost/macronode-dev",
        "Name under which checkpoints are signed: no spaces, no `+`.",
    ),
    integer(
        "ledger.segment_mib",
        (1, 4_096),
        16,
        "MiB of a journal segment; fixed when the ledger is created.",
    ),
    text(
        "ledger.mirror",
        "",
        "Directory of a second copy of the journal, on another device: an answer then needs both. Empty: none.",
    ),
    integer("ledger.frames_in_flight", (1, 8), 4, "Frames on their way to the disk at once."),
    integer("ledger.core", (-1, 1_023), -1, "Core that the committer is pinned to; -1 lets the plan choose."),
    boolean(
        "ledger.spin",
        false,
        "Whether the committer polls instead of sleeping. For tuned hosts with a core to give.",
    ),
    integer(
        "ledger.accounts_max",
        (1_000, 100_000_000),
        1_000_000,
        "Accounts that the ledger holds at most.",
    ),
    integer(
        "ledger.keys_max",
        (1_000, 200_000_000),
        4_000_000,
        "Idempotency keys that the ledger remembers at most, each for a day; with as many, new writes are `busy`.",
    ),
    integer(
        "ledger.max_forward_jump_secs",
        (1, 3_155_760_000),
        2_592_000,
        "Seconds that the wall clock may be ahead of the last entry at start.",
    ),
];

static STORAGE: &[Key] = &[
    word(
        "storage.io",
        &["auto", "uring", "pwrite", "ram"],
        "What carries the writes: `auto` takes io_uring where there is one, `uring` refuses to start without. `ram` keeps the whole data directory in memory, keys too: it ends with the process, and needs CAP_SYS_ADMIN.",
    ),
    word(
        "storage.direct",
        &["auto", "required", "off"],
        "Whether the page cache is passed by (O_DIRECT): `auto` where the file system can, `required` refuses to start without.",
    ),
    word(
        "storage.commit",
        &["dsync", "fdatasync_linked", "fdatasync"],
        "How a frame is made durable: by its write (RWF_DSYNC), by a flush linked to its write, or by a flush for all that is written.",
    ),
    integer(
        "storage.ram_mib",
        (16, 1 << 20),
        256,
        "MiB that `storage.io = \"ram\"` takes at most; full, new entries are refused (`no_space`).",
    ),
];

static COMMIT: &[Key] =
    &[integer("commit.batch_max_entries", (1, 8_190), 8_190, "Entries after which a batch takes no more.")];

static QUEUES: &[Key] =
    &[integer("queues.ingress", (1, 1 << 20), 4_096, "Calls to the ledger open at once; beyond it 429.")];

static ACCOUNTING: &[Key] = &[
    address("accounting.admin", "127.0.0.1:9600", "Address of health, metrics and `/v1/usage`."),
    text(
        "accounting.socket",
        "",
        "Unix socket for producers, as a path or `unix://PATH`; empty: `accounting.sock` in the runtime directory.",
    ),
    integer(
        "accounting.window_millis",
        (100, 3_600_000),
        60_000,
        "Milliseconds of a window; a day must be whole windows.",
    ),
    integer("accounting.shards", (1, 64), 1, "Shards, each with a core of its own where there are enough."),
    integer(
        "accounting.label_limit",
        (16, 8_192),
        2_048,
        "Label sets of one shard at most; over 2048 needs `ledger.segment_mib` of 4.",
    ),
    word(
        "accounting.executor",
        &["auto", "glommio", "epoll"],
        "What runs the shards' loops. `auto`: glommio on a ring where the kernel gives one, else epoll.",
    ),
];

static WALLET: &[Key] = &[
    address("wallet.http", "127.0.0.1:8080", "Address of `/v1` and `/wallet`."),
    address("wallet.admin", "127.0.0.1:9090", "Address of health, readiness, metrics and version."),
    integer("wallet.read_ms", (10, 600_000), 3_000, "Milliseconds that a request may take to arrive."),
    integer(
        "wallet.write_ms",
        (10, 600_000),
        3_000,
        "Milliseconds that an answer may take to be made and taken.",
    ),
    integer("wallet.idle_ms", (10, 600_000), 10_000, "Milliseconds that a connection may be idle."),
    integer("wallet.inflight", (1, 65_536), 1_024, "Requests in work at once; beyond it 503."),
    integer(
        "wallet.body_max_bytes",
        (1_024, 1 << 20),
        1 << 20,
        "Bytes of a request body at most; beyond it 413.",
    ),
];

static ADMIN: &[Key] = &[text(
    "admin.socket",
    "",
    "Unix socket that `ronctl` asks, as a path or `unix://PATH`; empty: `ron/admin.sock` in `$XDG_RUNTIME_DIR`, or `run/admin.sock` in the data directory.",
)];

static CHAOS: &[Key] = &[boolean(
    "chaos.enabled",
    false,
    "Whether `ronctl chaos` may make requests wait and close their connections. For drills; off, the hooks are not there.",
)];

/// Every key, in the order of the file.
pub(crate) fn all() -> impl Iterator<Item = &'static Key> {
    SECTIONS.iter().flat_map(|section| section.keys)
}

/// The key that has this variable among its other names, and how weak the name is.
pub(crate) fn by_other_name(variable: &str) -> Option<(&'static Key, usize)> {
    all().find_map(|key| Some((key, key.also.iter().position(|other| *other == variable)?)))
}

/// Keys that have another name now.
static MOVED: &[(&str, &str)] = &[("ledger.io", "storage.io")];

/// The key of this name, or why there is none.
///
/// # Errors
/// A sentence that names the nearest key.
pub(crate) fn find(name: &str) -> Result<&'static Key, String> {
    if let Some(key) = all().find(|key| key.name == name) {
        return Ok(key);
    }
    if let Some((_, now)) = MOVED.iter().find(|(before, _)| *before == name) {
        return Err(format!("this key is `{now}` now"));
    }
    if SECTIONS.iter().any(|section| section.name == name) {
        return Err("this is a section, not a key".into());
    }
    let likeness = |key: &&Key| strsim::normalized_damerau_levenshtein(name, key.name);
    let nearest = all().max_by(|a, b| likeness(a).total_cmp(&likeness(b))).expect("there are keys");
    Err(format!("there is no such key; the nearest is `{}`", nearest.name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_key_lies_in_its_section_and_holds_its_default() {
        let mut names = BTreeSet::new();
        for section in SECTIONS {
            for key in section.keys {
                assert_eq!(key.parts().0, section.name, "{}", key.name);
                assert!(key.check(key.default.clone()).is_ok(), "{}", key.name);
                assert!(key.doc.ends_with('.'), "{}", key.name);
                assert!(names.insert(key.variable()), "{}", key.name);
                assert_eq!(Key::named_by_variable(&key.variable()).as_deref(), Some(key.name));
            }
        }
    }

    #[test]
    fn each_key_is_read() {
        for key in all() {
            let quoted = format!("\"{}\"", key.name);
            assert!(include_str!("../params.rs").contains(&quoted), "{} is read in params.rs", key.name);
        }
    }

    #[test]
    fn a_wrong_name_is_told_the_nearest() {
        for (wrong, nearest) in
            [("ledger.htpp", "ledger.http"), ("wallet.in_flight", "wallet.inflight"), ("datadir", "data_dir")]
        {
            assert!(find(wrong).unwrap_err().contains(&format!("`{nearest}`")), "{wrong}");
        }
        assert!(find("ledger").unwrap_err().contains("section"));
        assert_eq!(find("ledger.io").unwrap_err(), "this key is `storage.io` now");
        for (before, now) in MOVED {
            assert!(find(now).is_ok() && all().all(|key| key.name != *before), "{before}");
        }
    }
}
