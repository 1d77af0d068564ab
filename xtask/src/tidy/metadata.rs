//! What `cargo metadata` says about our own packages.

use serde_json::Value;

use crate::failure::{Failure, Outcome};
use crate::shell::{cargo, output};

/// The members of the workspace.
#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) packages: Vec<Package>,
}

/// One of our packages: what it depends on and which features it has.
#[derive(Debug)]
pub(super) struct Package {
    pub(super) name: String,
    /// All but dev-dependencies: what a user of the crate gets.
    pub(super) dependencies: Vec<Dependency>,
    pub(super) dev_dependencies: Vec<String>,
    /// `default` left out.
    pub(super) features: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Dependency {
    pub(super) name: String,
    pub(super) optional: bool,
}

impl Workspace {
    pub(super) fn read() -> Outcome<Self> {
        let text = output(&mut cargo("metadata --format-version 1 --no-deps"))?;
        let json: Value = serde_json::from_str(&text)
            .map_err(|error| Failure::new(format!("cargo metadata: {error}"), "update cargo"))?;
        Ok(Self { packages: array(&json["packages"]).iter().map(Package::read).collect() })
    }
}

impl Package {
    fn read(json: &Value) -> Self {
        let (dev, normal): (Vec<&Value>, Vec<&Value>) =
            array(&json["dependencies"]).iter().partition(|dependency| dependency["kind"] == "dev");
        let features = json["features"].as_object().into_iter().flatten();
        Self {
            name: text(&json["name"]),
            dependencies: normal
                .into_iter()
                .map(|json| Dependency {
                    name: text(&json["name"]),
                    optional: json["optional"] == true,
                })
                .collect(),
            dev_dependencies: dev.into_iter().map(|json| text(&json["name"])).collect(),
            features: features
                .map(|(name, _)| name.clone())
                .filter(|name| name != "default")
                .collect(),
        }
    }
}

fn array(json: &Value) -> &[Value] {
    json.as_array().map_or(&[], Vec::as_slice)
}

fn text(json: &Value) -> String {
    json.as_str().unwrap_or_default().to_owned()
}
