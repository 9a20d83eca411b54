//! The access rules, as `moldau.server.publish` hands them over.

use std::collections::HashSet;

use moldau_server::{AccessRule, AccessTable};

/// `AccessRule`: resource type, whether the name is a prefix, name, principal, host, operation, whether it allows.
type PythonAccessRule = (u8, bool, String, String, String, i8, bool);

/// `AccessRules`: generation, super users, whether a resource without a rule is open, the rules.
pub type PythonAccess = (u64, HashSet<String>, bool, Vec<PythonAccessRule>);

pub fn table(access: PythonAccess) -> AccessTable {
    let (generation, super_users, open_without_rule, rules) = access;
    let rules = rules.into_iter().map(rule).collect();
    AccessTable::new(generation, super_users, open_without_rule, rules)
}

fn rule((resource_type, prefixed, name, principal, host, operation, allows): PythonAccessRule) -> AccessRule {
    AccessRule {
        resource_type,
        prefixed,
        name,
        principal,
        host,
        operation,
        allows,
    }
}
