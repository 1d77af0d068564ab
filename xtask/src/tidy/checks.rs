//! Whether `cargo xtask ci` checks every feature that there is.

use super::metadata::Workspace;
use crate::ci::FEATURE_CHECKS;

pub(super) fn complaints(workspace: &Workspace) -> Vec<String> {
    let mut complaints = Vec::new();
    for package in workspace.packages.iter().filter(|package| package.name != "xtask") {
        let listed = FEATURE_CHECKS.iter().find(|(name, _)| *name == package.name);
        let Some((name, listed)) = listed else {
            complaints.push(format!("{} is not in FEATURE_CHECKS (xtask/src/ci.rs)", package.name));
            continue;
        };
        for feature in &package.features {
            if !listed.contains(&feature.as_str()) {
                complaints.push(format!(
                    "feature {feature} of {name} is not in FEATURE_CHECKS (xtask/src/ci.rs)"
                ));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_is_checked() {
        let workspace = Workspace::read().expect("cargo metadata");
        assert_eq!(complaints(&workspace), [""; 0]);
    }
}
