//! `cargo xtask tidy`: rules about the tree that no compiler checks.

mod arrows;
mod checks;
mod links;
mod metadata;
mod vectors;

use crate::failure::{Failure, Outcome};
use metadata::Workspace;

/// Prints every broken rule, not only the first.
pub(crate) fn tidy() -> Outcome {
    let workspace = Workspace::read()?;
    let mut complaints = arrows::complaints(&workspace);
    complaints.extend(arrows::tree_complaints()?);
    complaints.extend(checks::complaints(&workspace));
    complaints.extend(vectors::complaints());
    complaints.extend(links::complaints()?);
    if complaints.is_empty() {
        println!("tidy: dependencies, feature list, key format and links are in order");
        return Ok(());
    }
    for complaint in &complaints {
        println!("tidy: {complaint}");
    }
    Err(Failure::new(
        format!("{} rules about the tree are broken", complaints.len()),
        "each line above names the file and what it should be; docs/architecture.md says why",
    ))
}
