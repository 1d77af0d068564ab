//! Whether relative links in Markdown files lead somewhere.

use std::fs;
use std::path::Path;

use crate::failure::Outcome;
use crate::shell::{output, program, root};

/// Looks at every Markdown file that git knows or would add.
pub(super) fn complaints() -> Outcome<Vec<String>> {
    let line = "ls-files --cached --others --exclude-standard -- *.md";
    let files = output(&mut program("git", line))?;
    let mut complaints = Vec::new();
    for file in files.lines() {
        let path = root().join(file);
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        }; // deleted, not yet committed
        let folder = path.parent().unwrap_or(root());
        complaints.extend(
            broken(&text, folder).iter().map(|target| format!("{file}: {target} does not exist")),
        );
    }
    Ok(complaints)
}

/// The relative link targets in `text` that name nothing below `folder`.
fn broken(text: &str, folder: &Path) -> Vec<String> {
    let targets = prose(text).flat_map(link_targets).collect::<Vec<_>>();
    let is_broken = |target: &&str| !is_elsewhere(target) && !folder.join(path_of(target)).exists();
    targets.into_iter().filter(is_broken).map(str::to_owned).collect()
}

/// The lines outside of code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence
    })
}

/// What stands in `](...)`, and after `[name]: ` at the start of a line.
fn link_targets(line: &str) -> Vec<&str> {
    let inline = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let definition = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]: "))
        .and_then(|(_, target)| target.split_whitespace().next());
    inline.chain(definition).filter(|target| !target.is_empty()).collect()
}

fn is_elsewhere(target: &str) -> bool {
    target.starts_with('#') || target.contains("://") || target.starts_with("mailto:")
}

fn path_of(target: &str) -> &str {
    target.split('#').next().unwrap_or(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_relative_links_to_nothing_are_broken() {
        let folder = tempfile::tempdir().expect("temporary folder");
        fs::write(folder.path().join("here.md"), "").expect("write");
        let text = "[a](here.md#part) [b](gone.md) [c](https://example.org) [d](#top)\n\
                    ```\n[e](in-code.md)\n```\n[f]: also-gone.md\n";
        assert_eq!(broken(text, folder.path()), ["gone.md", "also-gone.md"]);
    }

    #[test]
    fn every_link_of_this_workspace_leads_somewhere() {
        assert_eq!(complaints().expect("git ls-files"), [""; 0]);
    }
}
