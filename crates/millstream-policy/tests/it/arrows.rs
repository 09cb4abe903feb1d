//! Which package may know which.

use anyhow::Result;
use cargo_metadata::{DependencyKind, Package};

use crate::repository::{metadata, none};

/// What one package may depend on.
struct Arrows {
    from: &'static str,
    /// In what it ships or runs.
    to: &'static [&'static str],
    /// In its tests besides.
    tests: &'static [&'static str],
    /// Packages from elsewhere that it must not ship: they would break what it stands for.
    never: &'static [&'static str],
}

const DRIVERS: &[&str] = &[
    "rusqlite",
    "libsqlite3-sys",
    "redis",
    "tokio-postgres",
    "mysql_async",
];

/// The picture in ARCHITECTURE.md, bottom to top.
const PICTURE: &[Arrows] = &[
    Arrows {
        from: "millstream-core",
        to: &[],
        tests: &[],
        never: &[
            "tokio",
            "rusqlite",
            "libsqlite3-sys",
            "redis",
            "tokio-postgres",
            "mysql_async",
        ],
    },
    Arrows {
        from: "millstream-sqlite",
        to: &["millstream-core"],
        tests: &[],
        never: &["redis", "tokio-postgres", "mysql_async"],
    },
    Arrows {
        from: "millstream-transport",
        to: &["millstream-core", "millstream-sqlite"],
        tests: &["millstream-testkit"],
        never: &["tokio-postgres", "mysql_async"],
    },
    Arrows {
        from: "millstream-sql",
        to: &["millstream-core", "millstream-sqlite"],
        tests: &["millstream-testkit"],
        never: &["redis"],
    },
    Arrows {
        from: "millstream-engine",
        to: &["millstream-core"],
        tests: &["millstream-testkit"],
        never: DRIVERS,
    },
    Arrows {
        from: "millstream",
        to: &[
            "millstream-core",
            "millstream-sqlite",
            "millstream-transport",
            "millstream-sql",
            "millstream-engine",
        ],
        tests: &["millstream-testkit"],
        never: &[],
    },
    Arrows {
        from: "millstream-http",
        to: &["millstream-core", "millstream-engine"],
        tests: &["millstream-testkit"],
        never: DRIVERS,
    },
    Arrows {
        from: "millstream-cli",
        to: &[
            "millstream",
            "millstream-core",
            "millstream-engine",
            "millstream-http",
        ],
        tests: &["millstream-testkit"],
        never: &[],
    },
    Arrows {
        from: "millstream-testkit",
        to: &["millstream-core"],
        tests: &[],
        never: &[],
    },
    Arrows {
        from: "millstream-proofs",
        to: &[
            "millstream",
            "millstream-testkit",
            "millstream-core",
            "millstream-engine",
            "millstream-transport",
            "millstream-sql",
        ],
        tests: &[],
        never: &[],
    },
    Arrows {
        from: "millstream-policy",
        to: &[],
        tests: &[],
        never: &[],
    },
];

#[test]
fn packages_depend_downwards_only() -> Result<()> {
    let metadata = metadata()?;
    let packages = metadata.workspace_packages();
    let mut problems = Vec::new();
    for package in &packages {
        let Some(arrows) = arrows(package) else {
            problems.push(format!("{} is not in the picture", package.name));
            continue;
        };
        for dependency in &package.dependencies {
            let to = dependency.name.as_str();
            let test = dependency.kind == DependencyKind::Development;
            let allowed = arrows.to.contains(&to) || (test && arrows.tests.contains(&to));
            if packages.iter().any(|package| package.name.as_str() == to) && !allowed {
                let kind = if test { "tests of " } else { "" };
                problems.push(format!("{kind}{} -> {to}", package.name));
            }
        }
    }
    none(
        &problems,
        "Remove these arrows, by a trait in millstream-core or a move to the package above. A new \
         package or arrow needs its line in PICTURE (crates/millstream-policy/tests/it/arrows.rs) \
         and in the picture of ARCHITECTURE.md:",
    )
}

#[test]
fn packages_keep_to_their_subject() -> Result<()> {
    let metadata = metadata()?;
    let mut problems = Vec::new();
    for package in metadata.workspace_packages() {
        let never = arrows(package).map_or(&[][..], |arrows| arrows.never);
        for dependency in &package.dependencies {
            let shipped = dependency.kind != DependencyKind::Development;
            if shipped && never.contains(&dependency.name.as_str()) {
                problems.push(format!("{} -> {}", package.name, dependency.name));
            }
        }
    }
    none(
        &problems,
        "These packages must not know a driver or a runtime; use the traits of millstream-core:",
    )
}

fn arrows(package: &Package) -> Option<&'static Arrows> {
    PICTURE
        .iter()
        .find(|arrows| arrows.from == package.name.as_str())
}
