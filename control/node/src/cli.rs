//! The command line of a face, and its exit codes.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::{
    config::{Problems, Settings, page, template},
    demo,
    params::Params,
    process, terminal,
};

/// What a face was built from.
#[derive(Clone, Copy, Debug)]
pub struct Build {
    /// The face's name.
    pub service: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Its commit.
    pub git: &'static str,
    /// Its compiler.
    pub rustc: &'static str,
    /// Its cargo profile.
    pub profile: &'static str,
}

/// All roles of a node in one process. Disk format 0: it may still break.
#[derive(Debug, Parser)]
struct Arguments {
    /// Config file (TOML); without one, the development defaults.
    #[arg(long, env = "RON_CONFIG", global = true)]
    config: Option<PathBuf>,
    /// Sets one key, as in `--set wallet.http=127.0.0.1:0`; stronger than environment and file.
    #[arg(long = "set", value_name = "KEY=VALUE", global = true)]
    set: Vec<String>,
    /// Goes on with one of two copies of the ledger although the other is not there, and begins a new
    /// incarnation. For one start.
    #[arg(long)]
    force_single: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the node (the default).
    Run,
    /// Prints or checks the settings.
    Config {
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// Shows and checks it: a node under traffic, killed in the middle, every receipt verified.
    Demo(demo::Options),
}

#[derive(Debug, Subcommand)]
enum ConfigAction {
    /// Every key with its value and where it comes from.
    Print,
    /// Whether the settings hold: `ok` and 0, or every problem by its key and 2.
    Check {
        /// The config file; stronger than `--config`.
        file: Option<PathBuf>,
    },
    /// Writes `docs/CONFIG.md` to standard output.
    Page,
    /// Writes a config file with every key and its default to standard output.
    Template,
}

/// Runs the face and gives its exit code.
#[must_use]
pub fn main(build: &Build) -> ExitCode {
    let face = Arguments::command().name(build.service).version(build.version);
    let matches = face.get_matches();
    let Arguments { config, set, force_single, command } =
        Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let file = config.as_deref();
    match command.unwrap_or(Command::Run) {
        Command::Config { action } => settings(build, action, file, &set),
        Command::Demo(options) => match load(file, &set) {
            Ok((_, params)) => demo::run(options, &demo::Passed::new(config, set, params.accounting.shards)),
            Err(problems) => refuse(build, &problems),
        },
        Command::Run => match load(file, &set) {
            Ok((_, mut params)) => {
                params.ledger.force_single = force_single;
                process::run(build, &params)
            }
            Err(problems) => refuse(build, &problems),
        },
    }
}

fn settings(build: &Build, action: ConfigAction, file: Option<&Path>, set: &[String]) -> ExitCode {
    let loaded = match &action {
        ConfigAction::Page | ConfigAction::Template => None,
        ConfigAction::Print => Some(load(file, set)),
        ConfigAction::Check { file: named } => Some(load(named.as_deref().or(file), set)),
    };
    let settings = match loaded.transpose() {
        Ok(loaded) => loaded.map(|(settings, _)| settings),
        Err(problems) => return refuse(build, &problems),
    };
    match (action, settings) {
        (ConfigAction::Print, Some(settings)) => terminal::say(&settings.print()),
        (ConfigAction::Template, _) => terminal::say(&template()),
        (ConfigAction::Page, _) => terminal::say(&page()),
        (ConfigAction::Check { .. } | ConfigAction::Print, _) => terminal::say("ok\n"),
    }
    ExitCode::SUCCESS
}

fn refuse(build: &Build, problems: &Problems) -> ExitCode {
    for problem in &problems.0 {
        terminal::complain(&format!("{}: {problem}\n", build.service));
    }
    ExitCode::from(2)
}

fn load(file: Option<&Path>, set: &[String]) -> Result<(Settings, Params), Problems> {
    // A name that is not UTF-8 is none of ours; such a value becomes one that no key takes.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())));
    let settings = Settings::load(file, environment, set)?;
    let params = Params::new(&settings)?;
    Ok((settings, params))
}
