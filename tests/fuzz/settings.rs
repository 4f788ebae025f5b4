//! The settings file.

use std::cell::RefCell;

use node::{Params, Problems, Settings};

use super::harness::Target;

/// What is printed, without where it comes from.
fn values(settings: &Settings) -> String {
    let printed = settings.print();
    printed.lines().filter_map(|line| Some(format!("{}\n", line.rsplit_once("  # ")?.0))).collect()
}

#[test]
fn files() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("macronode.toml");
    let written = RefCell::new(Vec::new());
    let load = |bytes: &[u8]| -> Result<Settings, Problems> {
        if *written.borrow() != bytes {
            std::fs::write(&path, bytes).unwrap();
            *written.borrow_mut() = bytes.to_vec();
        }
        let settings = Settings::load(Some(&path), std::iter::empty(), &[])?;
        Params::new(&settings).map(|_| settings)
    };
    let sample = "environment = \"dev\"\nprofile = \"macronode\"\n[ledger]\nhttp = \"127.0.0.1:0\"\n\
        hash = \"sha256\"\nsegment_mib = 4\ncore = -1\n[wallet]\nread_ms = 3000\nbody_max_bytes = 1048576\n";
    let more = "profile = \"macronode\"\n[queues]\ningress = 64\n[commit]\nbatch_max_entries = 5\n";
    let target = Target {
        name: "settings",
        times: 1,
        seeds: vec![sample.into(), more.into()],
        repair: None,
        // The defaults, and one message for each line that is wrong.
        fixed: 256 << 10,
        factor: 1024,
        refusals: &["Problems"],
    };
    target.run(
        |bytes| load(bytes).map(drop),
        |bytes| {
            let first = values(&load(bytes).unwrap());
            assert_eq!(values(&load(first.as_bytes()).unwrap()), first);
        },
    );
}
