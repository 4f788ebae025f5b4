//! The command line of a face, and its exit codes.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    config::{ConfigError, Layered},
    params::Params,
    process,
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
}

#[derive(Debug, Subcommand)]
enum ConfigAction {
    /// Every key with its value and where it comes from.
    Print,
    /// Whether the settings hold; 2 if not.
    Check,
}

/// Runs the face and gives its exit code.
#[must_use]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is the command line")]
pub fn main(build: &Build) -> ExitCode {
    let arguments = Arguments::parse();
    let loaded = load(&arguments);
    let (layered, params) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("{}: {error}", build.service);
            return ExitCode::from(2);
        }
    };
    match arguments.command.unwrap_or(Command::Run) {
        Command::Config { action: ConfigAction::Print } => print!("{}", layered.print()),
        Command::Config { action: ConfigAction::Check } => println!("ok"),
        Command::Run => return process::run(build, &layered.config.log, &params),
    }
    ExitCode::SUCCESS
}

fn load(arguments: &Arguments) -> Result<(Layered, Params), ConfigError> {
    let layered = Layered::load(arguments.config.as_deref(), std::env::vars(), &arguments.set)?;
    let params = Params::new(&layered.config)?;
    Ok((layered, params))
}
