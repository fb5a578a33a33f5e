//! The account, its rights and the Service: what is left to others has to be there.

use super::Check;
use super::settings::NAME_REMEDY;
use crate::problem::Problem;
use crate::values::{Mode, Routing};

pub(super) fn check(check: &Check<'_>, problems: &mut Vec<Problem>) {
    account(check, problems);
    service(check, problems);
}

fn account(check: &Check<'_>, problems: &mut Vec<Problem>) {
    let (values, account) = (check.values, check.values.account());
    if !account.split('.').all(super::settings::is_label) {
        let what = format!("`{account}` cannot be the name of an account");
        problems.push(Problem::error("serviceAccount.name", what, NAME_REMEDY));
    }
    if values.service_account.create && account == "default" {
        let what = "every namespace has an account `default` already, which is that of all pods that name none";
        let remedy = "use another name, or add `--set serviceAccount.create=false`";
        problems.push(Problem::error("serviceAccount.name", what, remedy));
    }
    let needs = !check.workload.permissions.is_empty();
    if !values.service_account.create && account == "default" && needs && values.rbac.create {
        let what = "the account `default` gets the rights of the agents, and with it every pod of the namespace that names no account";
        problems.push(Problem::warning("serviceAccount.name", what, "name an account of its own"));
    }
    if !values.service_account.create && !values.service_account.annotations.is_empty() {
        let what = "annotations of an account that is not rendered have no effect";
        problems.push(Problem::warning("serviceAccount.annotations", what, "write them into the account itself"));
    }
    if !values.rbac.create && needs {
        let needed: Vec<String> = check
            .workload
            .permissions
            .iter()
            .map(|permission| format!("{} {}", permission.verbs.join(", "), permission.resource))
            .collect();
        let what = format!("no role is rendered, and the configuration needs the rights to {}", needed.join("; "));
        let remedy = format!("bind them to the account `{account}` of namespace `{}`", values.namespace);
        problems.push(Problem::note("rbac.create", what, remedy));
    }
}

fn service(check: &Check<'_>, problems: &mut Vec<Problem>) {
    let values = check.values;
    let on_node =
        values.mode == Mode::Daemonset && (values.host_network || values.routing() == Some(Routing::HostPort));
    if !values.service.enabled && !on_node {
        let what = "without the Service applications have no address that leads to an agent";
        let remedy = "make one of your own, or use `--routing host-port`";
        problems.push(Problem::warning("service.enabled", what, remedy));
    }
}
