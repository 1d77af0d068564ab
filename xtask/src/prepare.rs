//! What the tests need beside Rust: a Redis server and the `openai` Python client.
//!
//! Preparing never fails a run by itself: tests that miss something say so in the skipped list, and
//! where nothing may be skipped they fail there, with the reason.

use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::shell::{find, program, root, run, succeeds, target_dir};

/// Finds `redis-server`, or installs it where that needs no questions; says how otherwise.
pub(crate) fn redis_server() -> Option<PathBuf> {
    if let Some(given) = env::var_os("TESTBED_REDIS_SERVER") {
        return Some(given.into());
    }
    if let Some(found) = find("redis-server") {
        return Some(found);
    }
    println!("redis-server is not on the PATH.");
    let installed = if is_root() && find("apt-get").is_some() {
        apt_install("redis-server")
    } else if find("brew").is_some() {
        run(&mut program("brew", "install redis")).is_ok()
    } else {
        false
    };
    if !installed {
        println!(
            "Install Redis to run its tests (Debian, Ubuntu: `sudo apt-get install redis-server`; \
             macOS: `brew install redis`; Fedora: `sudo dnf install redis`), or name a server \
             binary in TESTBED_REDIS_SERVER."
        );
    }
    find("redis-server")
}

/// Puts the pinned `openai` client into `target/python`, once, and returns that folder.
pub(crate) fn openai_client() -> Option<PathBuf> {
    let folder = target_dir().join("python");
    let requirements = root().join("xtask/requirements.txt");
    let wanted = fs::read_to_string(&requirements).ok()?;
    // Written last, so a half-finished install is never taken for a whole one.
    let stamp = folder.join("installed-requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Some(folder);
    }
    if !has_python_and_pip() {
        println!(
            "Install Python 3.11 or newer with pip to test the `openai` client against the proxy \
             (Debian, Ubuntu: `sudo apt-get install python3-pip`; macOS: `brew install python`)."
        );
        return None;
    }
    // Whatever is there belongs to other requirements, or to an install that was cut short.
    fs::remove_dir_all(&folder).ok();
    let mut pip = program("python3", "-m pip install --quiet --no-deps");
    pip.args(["--disable-pip-version-check", "--root-user-action=ignore", "--target"]);
    pip.arg(relative(&folder)).arg("-r").arg(relative(&requirements));
    if let Err(failure) = run(&mut pip) {
        println!("The `openai` client could not be installed: {failure}");
        return None;
    }
    fs::write(stamp, wanted).ok()?;
    Some(folder)
}

fn has_python_and_pip() -> bool {
    let has_pip = || succeeds(&mut program("python3", "-m pip --version"));
    if !has_pip() && is_root() && find("apt-get").is_some() {
        apt_install("python3-pip");
    }
    has_pip()
}

fn apt_install(package: &str) -> bool {
    let install = || {
        let mut apt = program("apt-get", "install --yes --no-install-recommends");
        // The tests start servers of their own; a service on the default port would be in nobody's care.
        apt.arg(package).env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
        run(&mut apt).is_ok()
    };
    // A fresh container has no package lists yet.
    install() || (run(&mut program("apt-get", "update --quiet")).is_ok() && install())
}

fn is_root() -> bool {
    succeeds(program("sh", "-c").arg("test \"$(id -u)\" = 0"))
}

fn relative(path: &Path) -> &Path {
    path.strip_prefix(root()).unwrap_or(path)
}
