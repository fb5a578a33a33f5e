//! Extensions: what stands beside the pipelines (health, authenticators). A closed enum.

use crate::component::components;

components! {
    /// The settings of an extension.
    pub enum Config "extension" {}
    not_yet {
        "zpages" => "remove it; the agent's own metrics and logs say what it does",
        "pprof" => "remove it; there is no Go runtime to profile",
        "file_storage" => "remove it, and `sending_queue::storage` with it; queues are kept in memory",
        "healthcheckv2" => "use `health_check`",
        "memory_limiter" => "use the `memory_limiter` processor; it refuses before a body is read",
        "ack" => "remove it",
        "cgroup_runtime" => "remove it; threads follow the cgroup's CPU quota by themselves",
        "cgroupruntime" => "remove it; threads follow the cgroup's CPU quota by themselves",
        "headers_setter" => "write fixed `headers` at the exporter",
        "http_forwarder" => "remove it",
        "oauth2client" => "use `bearertokenauth` with a token file that something else renews",
        "oidc" => "use `bearertokenauth` or mTLS (`client_ca_file`)",
        "host_observer" => "remove it",
        "k8s_observer" => "remove it",
        "k8s_leader_elector" => "remove it",
        "opamp" => "remove it; a changed configuration file is loaded by `--watch-config` or SIGHUP",
        "memory_ballast" => "remove it; there is no garbage collector here",
    }
}
