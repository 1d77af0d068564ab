//! Which crate may know what: the drawing in `docs/architecture.md`, as a table.

use super::metadata::{Dependency, Package, Workspace};
use crate::failure::Outcome;
use crate::shell::{cargo, output};

/// Which of our own crates each crate may use. Arrows only ever point toward `cache-core`.
const ARROWS: &[(&str, &[&str])] = &[
    ("cache-core", &[]),
    ("cache-key", &["cache-core"]),
    ("cache-memory", &["cache-core"]),
    ("cache-redis", &["cache-core"]),
    ("cache-conformance", &["cache-core"]),
    ("cache-dual", &["cache-core", "cache-memory", "cache-redis"]),
    ("cache-llm", &["cache-core", "cache-key", "cache-dual"]),
    ("cache-tower", &["cache-core", "cache-key", "cache-dual", "cache-llm"]),
    ("cache-proxy", &["cache-core", "cache-key", "cache-dual", "cache-llm", "cache-tower"]),
    ("testbed", &[]),
    ("xtask", &["cache-key"]),
];

/// Crates that only help with tests: never more than a dev-dependency.
const TEST_ONLY: &[&str] = &["cache-conformance", "testbed"];

/// Knowledge that belongs to few crates: the outside crates that carry it and who may use them.
const KNOWLEDGE: &[(&str, &[&str], &[&str])] = &[
    ("Redis", &["redis", "deadpool-redis", "fred"], &["cache-redis"]),
    (
        "JSON",
        &["serde_json", "simd-json", "sonic-rs"],
        // cache-redis: only for its feature `llmix`, whose stored form is a strange one.
        &["cache-key", "cache-llm", "cache-dual", "cache-redis"],
    ),
    (
        "HTTP",
        &[
            "http",
            "http-body",
            "http-body-util",
            "hyper",
            "hyper-util",
            "hyper-rustls",
            "axum",
            "tower",
            "tower-layer",
            "tower-service",
            "reqwest",
        ],
        &["cache-tower", "cache-proxy"],
    ),
    ("a metrics exporter", &["metrics-exporter-prometheus"], &["cache-proxy"]),
];

/// What somebody gets who takes a crate with the least features, and must not get.
const LEAN: &[(&str, &[&str])] = &[
    (
        "cache-dual",
        &[
            "redis",
            "deadpool-redis",
            "http",
            "hyper",
            "axum",
            "serde_json",
            "bincode",
            "rmp-serde",
            "metrics-exporter-prometheus",
        ],
    ),
    ("cache-memory", &["tokio", "redis", "http", "serde_json"]),
    ("cache-core", &["tokio", "redis", "http", "serde_json"]),
    ("cache-key", &["tokio", "redis", "http"]),
];

/// What the manifests break of the rules above.
pub(super) fn complaints(workspace: &Workspace) -> Vec<String> {
    workspace.packages.iter().flat_map(of_package).collect()
}

fn of_package(package: &Package) -> Vec<String> {
    let name = &package.name;
    let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| from == name) else {
        return vec![format!("{name} is not in xtask/src/tidy/arrows.rs: say what it may use")];
    };
    let ours = |dependency: &&Dependency| ARROWS.iter().any(|(name, _)| *name == dependency.name);
    let mut complaints = Vec::new();
    for dependency in package.dependencies.iter().filter(ours) {
        if !allowed.contains(&dependency.name.as_str()) {
            complaints.push(format!("{name} must not depend on {}", dependency.name));
        }
    }
    if !is_tool(name) {
        for dependency in &package.dependencies {
            complaints.extend(stolen_knowledge(name, dependency));
        }
    }
    for dependency in &package.dev_dependencies {
        // A test may look down along the arrows and use the test kits, but never up: that would be a
        // circle, which cargo allows for dev-dependencies and readers do not.
        let is_ours = ARROWS.iter().any(|(name, _)| name == dependency);
        let is_fine = allowed.contains(&dependency.as_str()) || TEST_ONLY.contains(&&**dependency);
        if is_ours && !is_fine {
            complaints.push(format!("{name} must not dev-depend on {dependency}"));
        }
    }
    complaints
}

fn stolen_knowledge(name: &str, dependency: &Dependency) -> Option<String> {
    let (what, _, owners) =
        KNOWLEDGE.iter().find(|(_, crates, _)| crates.contains(&dependency.name.as_str()))?;
    if !owners.contains(&name) {
        return Some(format!(
            "{name} depends on {}, but only {} may know {what}",
            dependency.name,
            owners.join(" and ")
        ));
    }
    // `cache-dual` takes JSON (a codec) only for those who ask for it.
    if name == "cache-dual" && !dependency.optional {
        return Some(format!("{name}: {} must be optional", dependency.name));
    }
    None
}

fn is_tool(name: &str) -> bool {
    matches!(name, "testbed" | "xtask")
}

/// What the resolved trees hold beyond the manifests.
pub(super) fn tree_complaints() -> Outcome<Vec<String>> {
    let mut complaints = Vec::new();
    for (package, banned) in LEAN {
        let mut tree = cargo("tree --no-default-features --edges normal --prefix none -p");
        let tree = output(tree.arg(package))?;
        let present = tree.lines().filter_map(|line| line.split(' ').next());
        let mut present: Vec<&str> = present.filter(|name| banned.contains(name)).collect();
        present.sort_unstable();
        present.dedup();
        complaints.extend(present.iter().map(|name| {
            format!("{package} without default features pulls in {name}: see `cargo tree -p {package} --no-default-features -i {name}`")
        }));
    }
    Ok(complaints)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[&str]) -> Package {
        Package {
            name: name.to_owned(),
            dependencies: dependencies
                .iter()
                .map(|name| Dependency { name: (*name).to_owned(), optional: false })
                .collect(),
            dev_dependencies: Vec::new(),
            features: Vec::new(),
        }
    }

    #[test]
    fn arrows_point_toward_the_core() {
        assert_eq!(of_package(&package("cache-memory", &["cache-core", "dashmap"])), [""; 0]);
        assert_eq!(of_package(&package("cache-core", &["cache-memory"])).len(), 1);
        assert_eq!(of_package(&package("cache-redis", &["cache-memory"])).len(), 1);
        assert_eq!(of_package(&package("cache-new", &[])).len(), 1);
    }

    #[test]
    fn knowledge_stays_with_its_owners() {
        assert_eq!(of_package(&package("cache-redis", &["redis"])), [""; 0]);
        assert_eq!(of_package(&package("cache-llm", &["redis"])).len(), 1);
        assert_eq!(of_package(&package("cache-llm", &["http"])).len(), 1);
        assert_eq!(of_package(&package("cache-memory", &["serde_json"])).len(), 1);
        assert_eq!(of_package(&package("cache-dual", &["serde_json"])).len(), 1, "not optional");
    }

    #[test]
    fn test_kits_are_dev_dependencies_only() {
        assert_eq!(of_package(&package("cache-proxy", &["testbed"])).len(), 1);
        let mut redis = package("cache-redis", &[]);
        redis.dev_dependencies = vec!["testbed".to_owned(), "cache-conformance".to_owned()];
        assert_eq!(of_package(&redis), [""; 0]);
        redis.dev_dependencies = vec!["cache-dual".to_owned()];
        assert_eq!(of_package(&redis).len(), 1);
    }

    #[test]
    fn this_workspace_keeps_its_rules() {
        let workspace = Workspace::read().expect("cargo metadata");
        assert_eq!(complaints(&workspace), [""; 0]);
        assert_eq!(tree_complaints().expect("cargo tree"), [""; 0]);
    }
}
