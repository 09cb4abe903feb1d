use std::collections::BTreeSet;

use serde_json::json;

use millstream::core::name::StreamName;
use millstream::redis::Role;
use millstream::{App, Config};

use crate::cli::{Acl, AclRole, Global};
use crate::context;
use crate::exit_code::{Code, Coded};
use crate::output;

/// A user of the server, and what it may do.
struct User {
    name: String,
    rules: Vec<String>,
}

pub(super) fn run(global: &Global, args: &Acl) -> anyhow::Result<Code> {
    let config = context::load(global)?;
    let mut users = Vec::new();
    for app in context::select(&config, &args.app)? {
        for role in Role::ALL {
            let streams = streams(&config, app, role);
            if is_wanted(args, role) && !streams.is_empty() {
                users.push(User {
                    name: format!("{}-{role}", app.name()),
                    rules: role.rules(app.name(), &streams),
                });
            }
        }
    }
    if users.is_empty() {
        return Err(Coded::invalid(
            "the applications chosen publish and subscribe to nothing in these roles",
        ));
    }
    if let Some(name) = &args.user {
        users = vec![merged(name, users)];
    }
    for User { name, rules } in &users {
        if global.json {
            output::json(&json!({ "user": name, "rules": rules }))?;
        } else {
            let rules: Vec<String> = rules.iter().map(|rule| quoted(rule)).collect();
            let rules = rules.join(" ");
            output::line(format!("ACL SETUSER {name} on >PASSWORD {rules}"))?;
        }
    }
    output::remark(
        global,
        "put passwords in the place of PASSWORD, then give the lines to redis-cli",
    );
    Ok(Code::Done)
}

fn is_wanted(args: &Acl, role: Role) -> bool {
    let named = |wanted: &AclRole| Role::from(*wanted) == role;
    args.role.is_empty() || args.role.iter().any(named)
}

/// The streams on which an application plays a role.
fn streams(config: &Config, app: &App, role: Role) -> Vec<StreamName> {
    let publishes = || app.publishes().iter().map(|stream| stream.name.clone());
    let subscribes = || app.subscribes().iter().cloned();
    match role {
        Role::Relay => publishes().collect(),
        Role::Consumer => subscribes().collect(),
        Role::Observer => context::streams(config),
        // Shared streams have the names of those that are published or followed.
        Role::Publisher | Role::Trimmer => {
            let both: BTreeSet<StreamName> = publishes().chain(subscribes()).collect();
            both.into_iter().collect()
        }
    }
}

/// One user for everything that the users may do. What is taken away stands at the beginning of each,
/// and must not come twice.
fn merged(name: &str, users: Vec<User>) -> User {
    let mut rules = Vec::new();
    for rule in users.into_iter().flat_map(|user| user.rules) {
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    User {
        name: name.to_owned(),
        rules,
    }
}

/// As redis-cli takes one argument.
fn quoted(rule: &str) -> String {
    if rule.contains(' ') {
        format!("\"{rule}\"")
    } else {
        rule.to_owned()
    }
}
