//! Running other programs: printed first, always from the workspace root.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Failure, Outcome};

/// The workspace root, wherever the command was started.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask/ lies inside the workspace")
}

/// Where cargo puts what it builds: `CARGO_TARGET_DIR` when set, as cargo itself reads it.
pub(crate) fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// The cargo that runs this program, with `line` split at spaces as its arguments.
pub(crate) fn cargo(line: &str) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(line.split_whitespace());
    // Set for xtask by the cargo that runs it; build scripts that look at them would run again.
    for (name, _) in env::vars_os() {
        let own = ["CARGO_PKG_", "CARGO_MANIFEST_"];
        if name.to_str().is_some_and(|name| own.iter().any(|prefix| name.starts_with(prefix))) {
            command.env_remove(name);
        }
    }
    command
}

/// Any other program, by the same rules.
pub(crate) fn program(name: impl AsRef<OsStr>, line: &str) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root()).args(line.split_whitespace());
    command
}

/// Prints the command, runs it and waits; its output goes to the terminal.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let line = describe(command);
    println!("$ {line}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::new(
            format!("`{line}` failed ({status})"),
            "fix what it printed above and run the same line again",
        )),
        Err(error) => Err(Failure::new(
            format!("`{line}` could not be started: {error}"),
            "is that program installed and on the PATH?",
        )),
    }
}

/// Runs the command silently and returns what it wrote to stdout.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let line = describe(command);
    let advice = "run the same line by hand to see why";
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failure::new(format!("`{line}` could not be started: {error}"), advice))?;
    if !output.status.success() {
        return Err(Failure::new(format!("`{line}` failed ({})", output.status), advice));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether the command runs and succeeds; says nothing.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}

/// The file that typing `name` would run.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(format!("{name}{}", env::consts::EXE_SUFFIX)))
        .find(|file| file.is_file())
}

/// Whether this run may skip nothing: continuous integration sets `CI`.
pub(crate) fn in_ci() -> bool {
    env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false" && value != "0")
}

fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_stem().unwrap_or(program.as_os_str());
    let words = std::iter::once(name).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_the_workspace() {
        let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("read manifest");
        assert!(manifest.contains("[workspace]"));
    }

    #[test]
    fn a_failing_command_names_itself_and_the_next_step() {
        let failure = run(&mut cargo("no-such-verb")).expect_err("no such verb");
        let text = failure.to_string();
        assert!(text.contains("`cargo no-such-verb` failed"), "{text}");
        assert!(text.contains("next:"), "{text}");
    }

    #[test]
    fn a_missing_program_is_a_failure_and_not_a_panic() {
        assert!(run(&mut program("no-such-program-anywhere", "")).is_err());
        assert!(output(&mut program("no-such-program-anywhere", "")).is_err());
        assert!(!succeeds(&mut program("no-such-program-anywhere", "")));
        assert_eq!(find("no-such-program-anywhere"), None);
    }
}
