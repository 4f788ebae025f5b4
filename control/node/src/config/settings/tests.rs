use super::*;

fn load(file: Option<&str>, env: &[(&str, &str)], flags: &[&str]) -> Result<Settings, Problems> {
    let path = file.map(|text| {
        let name = format!("macronode-config-{}-{:?}", std::process::id(), std::thread::current().id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        path
    });
    let env = env.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    let flags: Vec<String> = flags.iter().map(|flag| (*flag).into()).collect();
    let result = Settings::load(path.as_deref(), env, &flags);
    if let Some(path) = path {
        std::fs::remove_file(path).unwrap();
    }
    result
}

#[test]
fn flag_beats_environment_beats_file_beats_default() {
    let file =
        "profile = \"macronode\"\n[ledger]\nhttp = \"1.1.1.1:1\"\nadmin = \"1.1.1.1:2\"\norigin = \"f\"\n";
    let env =
        [("MACRONODE_LEDGER__HTTP", "2.2.2.2:1"), ("MACRONODE_LEDGER__ADMIN", "2.2.2.2:2"), ("OTHER", "x")];
    let settings = load(Some(file), &env, &["ledger.http=3.3.3.3:1"]).unwrap();
    assert_eq!(settings.text("ledger.http"), "3.3.3.3:1");
    assert_eq!(settings.text("ledger.admin"), "2.2.2.2:2");
    assert_eq!(settings.text("ledger.origin"), "f");
    let printed = settings.print();
    for line in [
        "ledger.http = \"3.3.3.3:1\"  # flag --set\n",
        "ledger.admin = \"2.2.2.2:2\"  # environment MACRONODE_LEDGER__ADMIN\n",
        ":5\nledger.segment_mib = 16  # default\n",
        "wallet.inflight = 1024  # default\n",
    ] {
        assert!(printed.contains(line), "{line:?} not in {printed}");
    }
}

#[test]
fn other_names_are_weaker_than_a_key_s_own() {
    let all = [("MACRONODE_LOG", "own"), ("RUST_LOG", "rust"), ("LOG_LEVEL", "level")];
    for from in 0..all.len() {
        let settings = load(Some("profile = \"macronode\"\nlog = \"file\"\n"), &all[from..], &[]).unwrap();
        assert_eq!(settings.text("log"), all[from].1);
        assert_eq!(*settings.origin("log"), Origin::Environment(all[from].0.into()));
    }
    assert_eq!(load(None, &[("RUST_LOG", ""), ("LOG_LEVEL", "level")], &[]).unwrap().text("log"), "level");
    let refused = load(None, &[("RON_LEDGER_PROFILE", "nano")], &[]).unwrap_err().to_string();
    assert!(refused.starts_with("profile = nano (environment RON_LEDGER_PROFILE)"), "{refused}");
}

#[test]
fn each_wrong_setting_is_told_with_its_key_and_place() {
    for (file, expected) in [
        ("\n[ledger]\nhtpp = \"x\"\n", ":3): there is no such key; the nearest is `ledger.http`"),
        ("\nsegment = 1\n", ":2): there is no such key"),
        ("[ledger]\nsegment_mib = \"big\"\n", "ledger.segment_mib = \"big\" (file "),
        ("[ledger]\nsegment_mib = \"big\"\n", ":2): expected a whole number from 1 to 4096"),
        ("[ledger]\nsegment_mib = 1.5\n", "ledger.segment_mib = (float) (file "),
        ("[ledger]\nsegment_mib = 0x2000\n", "ledger.segment_mib = 8192 (file "),
        ("[ledger]\nhttp = [\"a\"]\n", "expected an address"),
        ("[ledger\n", "config file (file "),
        ("wallet = 1\n", "wallet (file "),
        ("[wallet.http]\nport = 1\n", "wallet.http.port (file "),
        ("profile = 7\n", "profile = 7 (file "),
        ("log = \"info\"\n", "profile (file "),
    ] {
        let error = load(Some(file), &[], &[]).unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} does not contain {expected:?}");
    }
    for (env, flag, expected) in [
        (
            Some(("MACRONODE_LEDGER__HTPP", "x")),
            None,
            "ledger.htpp (environment MACRONODE_LEDGER__HTPP): there",
        ),
        (
            Some(("MACRONODE_LEDGER__SPIN", "yes")),
            None,
            "MACRONODE_LEDGER__SPIN): expected `true` or `false`",
        ),
        (None, Some("wallet=1"), "wallet (flag --set): this is a section"),
        (None, Some("wallet"), "wallet (flag --set): expected KEY=VALUE"),
        (None, Some("queues.ingress=1.5"), "queues.ingress = 1.5 (flag --set): expected a whole number"),
        (None, Some("ledger.frames_in_flight=9"), "expected a whole number from 1 to 8"),
        (None, Some("ledger.http=localhost"), "expected an address"),
        (None, Some("ledger.hash=md5"), "expected `sha256` or `blake3`"),
        (None, Some("data_dir="), "data_dir =  (flag --set): expected a path"),
    ] {
        let env: Vec<_> = env.into_iter().collect();
        let flags: Vec<_> = flag.into_iter().collect();
        let error = load(None, &env, &flags).unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} does not contain {expected:?}");
    }
}

#[test]
fn every_problem_is_told_at_once_and_a_hidden_one_too() {
    let file = "profile = \"macronode\"\nlgo = \"info\"\n[wallet]\nread_ms = 1\n";
    let problems = load(Some(file), &[], &["wallet.read_ms=100", "ledger.core=-2"]).unwrap_err();
    assert_eq!(problems.0.len(), 3, "{problems}");
    assert_eq!(problems.to_string().lines().count(), 3);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let missing = Path::new("/nonexistent/macronode.toml");
    let error = Settings::load(Some(missing), std::iter::empty(), &[]).unwrap_err().to_string();
    assert!(error.contains("/nonexistent/macronode.toml") && error.contains("cannot be read"), "{error}");
}
