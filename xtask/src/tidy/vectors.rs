//! Whether the key format has golden vectors: `FORMAT_VERSION` of cache-key and the newest folder of
//! `crates/cache-key/tests/vectors` go together.

use std::fs;
use std::path::Path;

use crate::shell::root;

const SOURCE: &str = "crates/cache-key/src/lib.rs";
const VECTORS: &str = "crates/cache-key/tests/vectors";

pub(super) fn complaints() -> Vec<String> {
    let source = fs::read_to_string(root().join(SOURCE)).unwrap_or_default();
    let Some(version) = format_version(&source) else {
        return vec![format!("{SOURCE} declares no `FORMAT_VERSION: ... = NUMBER;`")];
    };
    match newest(&root().join(VECTORS)) {
        Some(newest) if newest == version => Vec::new(),
        Some(newest) => vec![format!(
            "{SOURCE} says format version {version}, but the newest vectors are {VECTORS}/v{newest}"
        )],
        None => vec![format!("{VECTORS}/v{version} holds no golden vectors")],
    }
}

fn format_version(source: &str) -> Option<u32> {
    let (_, rest) = source.split_once("const FORMAT_VERSION:")?;
    let (_, rest) = rest.split_once('=')?;
    rest.split(';').next()?.trim().parse().ok()
}

/// The highest `N` of the folders `vN` that hold at least one file.
fn newest(folder: &Path) -> Option<u32> {
    let folders = fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let filled = folders
        .filter(|entry| fs::read_dir(entry.path()).is_ok_and(|mut files| files.next().is_some()));
    filled.filter_map(|entry| entry.file_name().to_str()?.strip_prefix('v')?.parse().ok()).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_source() {
        assert_eq!(format_version("pub const FORMAT_VERSION: u32 = 12;\n"), Some(12));
        assert_eq!(format_version("pub const OTHER: u32 = 12;\n"), None);
    }

    #[test]
    fn the_newest_filled_folder_counts() {
        let folder = tempfile::tempdir().expect("temporary folder");
        assert_eq!(newest(folder.path()), None);
        for name in ["v1", "v2", "v10", "notes"] {
            fs::create_dir(folder.path().join(name)).expect("create");
        }
        fs::write(folder.path().join("v2/chat.json"), "{}").expect("write");
        assert_eq!(newest(folder.path()), Some(2));
    }

    #[test]
    fn the_key_format_has_its_vectors() {
        assert_eq!(complaints(), [""; 0]);
    }
}
