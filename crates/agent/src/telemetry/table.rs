//! Every metric the agent has about itself.
//!
//! `/metrics` and `docs/reference/metrics.md` are both written from this table. Names that start with `otelcol_` are the
//! Collector's, with its labels; names that start with `otel_agent_` are our own.

use super::metric::{Kind, Level, Metric, PerSignal, Section, table};

/// All rows, in the order of the reference page.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    SECTIONS.iter().flat_map(Section::rows)
}

table! {
    "Receivers" {
        per signal {
            RECEIVER_ACCEPTED: Counter Basic "otelcol_receiver_accepted" ["receiver", "transport"]
                "Number of " " successfully pushed into the pipeline.";
            RECEIVER_REFUSED: Counter Basic "otelcol_receiver_refused" ["receiver", "transport"]
                "Number of " " that could not be pushed into the pipeline.";
            RECEIVER_FAILED: Counter Basic "otelcol_receiver_failed" ["receiver", "transport"]
                "Number of " " that failed to be processed by the receiver due to internal errors.";
        }
        REFUSED_REQUESTS: Counter Basic "otel_agent_receiver_refused_requests" "{requests}" ["receiver", "transport", "reason"]
            "Number of requests that were not taken, by reason; the sender was told.";
        RECEIVED_BYTES: Counter Normal "otel_agent_receiver_received_bytes" "By" ["receiver", "transport"]
            "Bytes of request bodies as they arrived, still compressed.";
        CONNECTIONS: Gauge Basic "otel_agent_receiver_connections" "{connections}" ["receiver", "transport"]
            "Number of connections that are open.";
        CONNECTIONS_OPENED: Counter Normal "otel_agent_receiver_connections_opened" "{connections}" ["receiver", "transport"]
            "Number of connections that were accepted.";
        CONNECTIONS_REFUSED: Counter Basic "otel_agent_receiver_connections_refused" "{connections}"
            ["receiver", "transport", "reason"]
            "Number of connections that were closed before a request was read, by reason.";
    }

    "Processors" {
        per signal {
            MEMORY_LIMITER_ACCEPTED: Counter Basic "otelcol_processor_memory_limiter_accepted" ["processor"]
                "Number of " " that the memory limiter let pass.";
            MEMORY_LIMITER_REFUSED: Counter Basic "otelcol_processor_memory_limiter_refused" ["processor"]
                "Number of " " that the memory limiter refused.";
            PROCESSOR_ACCEPTED: Counter Basic "otelcol_processor_accepted" ["processor"]
                "Number of " " that the memory limiter let pass; the name before version 0.155 of the Collector.";
            PROCESSOR_REFUSED: Counter Basic "otelcol_processor_refused" ["processor"]
                "Number of " " that the memory limiter refused; the name before version 0.155 of the Collector.";
        }
        PROCESSOR_INCOMING_ITEMS: Counter Basic "otelcol_processor_incoming_items" "{items}" ["processor", "otel_signal"]
            "Number of items passed to the processor.";
        PROCESSOR_OUTGOING_ITEMS: Counter Basic "otelcol_processor_outgoing_items" "{items}" ["processor", "otel_signal"]
            "Number of items emitted from the processor.";
        BATCH_SEND_SIZE: Histogram Normal "otelcol_processor_batch_batch_send_size" "{unit}" ["processor"]
            "Number of units in the batch that was sent."
            bounds [10, 25, 50, 75, 100, 250, 500, 750, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10000, 20000,
                30000, 50000, 100000];
        BATCH_SEND_SIZE_BYTES: Histogram Detailed "otelcol_processor_batch_batch_send_size_bytes" "By" ["processor"]
            "Number of bytes in the batch that was sent."
            bounds [128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072, 262144, 524288, 1048576, 2097152,
                4194304, 8388608, 16777216];
        BATCH_SIZE_TRIGGER: Counter Normal "otelcol_processor_batch_batch_size_trigger_send" "{times}" ["processor"]
            "Number of times the batch was sent due to a size trigger.";
        BATCH_TIMEOUT_TRIGGER: Counter Normal "otelcol_processor_batch_timeout_trigger_send" "{times}" ["processor"]
            "Number of times the batch was sent due to a timeout trigger.";
        BATCH_METADATA_CARDINALITY: Gauge Normal "otelcol_processor_batch_metadata_cardinality" "{combinations}" ["processor"]
            "Number of distinct metadata value combinations being processed.";
    }

    "Pods" {
        per signal {}
        K8S_ASSOCIATION: Counter Basic "otelcol_k8s_pod_association" "{resources}"
            ["status", "pod_identifier", "otelcol_signal"]
            "Number of resources that a pod was looked for, by whether it was found (success or error) and by what.";
        K8S_MISSES: Counter Basic "otel_agent_k8s_association_misses" "{resources}" ["processor", "method", "reason"]
            "Number of resources that no pod was found for, by how it was looked for and why it was not found.";
        K8S_MISMATCHES: Counter Normal "otel_agent_k8s_identity_mismatches" "{resources}" ["processor"]
            "Number of resources whose attributes name another pod than the one that they came from.";
        K8S_WAITING: Gauge Basic "otel_agent_k8s_waiting_requests" "{requests}" ["processor"]
            "Number of requests that wait for the pod that they came from to become known.";
        K8S_WAITED: Counter Basic "otel_agent_k8s_waited_requests" "{requests}" ["processor", "outcome"]
            "Number of requests that were to wait for their pod, by outcome: found, vain, crowded (too many waited), stopped.";
    }

    "Exporters" {
        per signal {
            EXPORTER_SENT: Counter Basic "otelcol_exporter_sent" ["exporter", "server_address", "server_port", "url_path"]
                "Number of " " successfully sent to destination.";
            EXPORTER_SEND_FAILED: Counter Basic "otelcol_exporter_send_failed"
                ["exporter", "server_address", "server_port", "url_path"]
                "Number of " " that were given up after all attempts to send them.";
            EXPORTER_ENQUEUE_FAILED: Counter Basic "otelcol_exporter_enqueue_failed" ["exporter"]
                "Number of " " failed to be added to the sending queue.";
        }
        EXPORTER_QUEUE_SIZE: Gauge Basic "otelcol_exporter_queue_size" "{batches}" ["exporter", "data_type"]
            "Current size of the sending queue, in units of its sizer.";
        EXPORTER_QUEUE_CAPACITY: Gauge Basic "otelcol_exporter_queue_capacity" "{batches}" ["exporter", "data_type"]
            "Fixed capacity of the sending queue, in units of its sizer.";
        EXPORTER_IN_FLIGHT: Gauge Basic "otelcol_exporter_in_flight_requests" "{requests}" ["exporter", "data_type"]
            "Number of requests being sent right now.";
        EXPORTER_STALLED: Gauge Basic "otel_agent_exporter_stalled_seconds" "s" ["exporter", "otel_signal"]
            "Seconds for which the exporter has had data without its destination taking any of it; 0 while it moves or has none.";
        EXPORTER_ENQUEUE_SIZE: Histogram Detailed "otelcol_exporter_enqueue_size" "{items}" ["exporter"]
            "Number of items in the batches that were put into the sending queue."
            bounds [10, 25, 50, 75, 100, 250, 500, 750, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10000, 20000,
                30000, 50000, 100000];
        EXPORTER_ENQUEUE_SIZE_BYTES: Histogram Detailed "otelcol_exporter_enqueue_size_bytes" "By" ["exporter"]
            "Number of bytes in the batches that were put into the sending queue."
            bounds [128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072, 262144, 524288, 1048576, 2097152,
                4194304, 8388608, 16777216];
        EXPORTER_QUEUE_BATCH_SEND_SIZE: Histogram Detailed "otelcol_exporter_queue_batch_send_size" "{items}" ["exporter"]
            "Number of items in the batches that the queue's own batching made."
            bounds [10, 25, 50, 75, 100, 250, 500, 750, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10000, 20000,
                30000, 50000, 100000];
        EXPORTER_QUEUE_BATCH_SEND_SIZE_BYTES: Histogram Detailed "otelcol_exporter_queue_batch_send_size_bytes" "By" ["exporter"]
            "Number of bytes in the batches that the queue's own batching made."
            bounds [128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072, 262144, 524288, 1048576, 2097152,
                4194304, 8388608, 16777216];
        REMOTE_WRITE_FAILED_TRANSLATIONS: Counter Basic "otelcol_exporter_prometheusremotewrite_failed_translations" "1"
            ["exporter", "endpoint"]
            "Number of requests in which some points have no form in Prometheus.";
        REMOTE_WRITE_SERIES: Counter Basic "otelcol_exporter_prometheusremotewrite_translated_time_series" "1"
            ["exporter", "endpoint"]
            "Number of series that were made of requests.";
        REMOTE_WRITE_SENT_BATCHES: Counter Basic "otelcol_exporter_prometheusremotewrite_sent_batches" "{batches}"
            ["exporter", "endpoint"]
            "Number of write requests that were sent, also those that failed.";
        REMOTE_WRITE_CONSUMERS: Gauge Basic "otelcol_exporter_prometheusremotewrite_consumers" "{consumers}"
            ["exporter", "endpoint"]
            "Number of write requests of a batch that may be sent at a time.";
        EXPORTER_UNTRANSLATED_POINTS: Counter Basic "otel_agent_exporter_untranslated_points" "{datapoints}" ["exporter", "reason"]
            "Number of points that have no form in Prometheus, by reason; the ledger counts them as dropped.";
        EXPORTER_RETRIES: Counter Normal "otel_agent_exporter_retries" "{requests}" ["exporter", "otel_signal"]
            "Number of attempts that were made again after a failure that may pass.";
        EXPORTER_TAKEN_APART: Counter Normal "otel_agent_exporter_taken_apart" "{batches}" ["exporter", "otel_signal"]
            "Number of batches that the destination refused as a whole and that were sent again in parts.";
        EXPORTER_SENT_BYTES: Counter Normal "otel_agent_exporter_sent_bytes" "By" ["exporter", "otel_signal"]
            "Bytes of request bodies that the destination took, before compression.";
    }

    "Exporter prometheus" {
        per signal {}
        PROMETHEUS_SERIES: Gauge Basic "otel_agent_prometheus_series" "{series}" ["exporter"]
            "Number of series that are shown; a histogram or a summary is one.";
        PROMETHEUS_SERIES_LIMIT: Gauge Basic "otel_agent_prometheus_series_limit" "{series}" ["exporter"]
            "How many series there may be (max_series).";
        PROMETHEUS_SERIES_BYTES: Gauge Basic "otel_agent_prometheus_series_bytes" "By" ["exporter"]
            "Bytes of memory that the series take.";
        PROMETHEUS_DROPPED: Counter Basic "otel_agent_prometheus_dropped_points" "{datapoints}" ["exporter", "reason"]
            "Number of data points that were not kept, by reason. The ledger has them as partially_rejected.";
        PROMETHEUS_REFUSED: Counter Basic "otel_agent_prometheus_refused_points" "{datapoints}" ["exporter", "metric", "pod"]
            "Number of data points that were not kept, by metric and pod: the 50 with most, the rest as other.";
        PROMETHEUS_CONFLICTS: Counter Basic "otel_agent_prometheus_conflicts" "{conflicts}" ["exporter", "kind"]
            "Number of times two metrics or senders contradicted each other, by kind; the log names both.";
        PROMETHEUS_METRIC_SERIES: Gauge Normal "otel_agent_prometheus_metric_series" "{series}" ["exporter", "metric"]
            "Number of series of the 20 metrics that have most.";
        PROMETHEUS_POD_SERIES: Gauge Normal "otel_agent_prometheus_pod_series" "{series}" ["exporter", "pod"]
            "Number of series of the 20 pods that have most.";
        PROMETHEUS_SCRAPES: Counter Basic "otel_agent_prometheus_scrapes" "{requests}" ["exporter"]
            "Number of times the series were fetched.";
    }

    "Ledger" {
        per signal {}
        LEDGER_ACCEPTED: Counter Basic "otel_agent_ledger_accepted_items" "{items}" ["pipeline", "exporter", "otel_signal"]
            "Number of items taken for this exporter. Always accepted = sent + dropped + held + kept.";
        LEDGER_SENT: Counter Basic "otel_agent_ledger_sent_items" "{items}" ["pipeline", "exporter", "otel_signal"]
            "Number of items that the exporter's destination took.";
        LEDGER_DROPPED: Counter Basic "otel_agent_ledger_dropped_items" "{items}"
            ["pipeline", "exporter", "otel_signal", "reason"]
            "Number of items that were given up, by reason.";
        LEDGER_HELD: Gauge Basic "otel_agent_ledger_held_items" "{items}" ["pipeline", "exporter", "otel_signal"]
            "Number of items between the door and the destination right now.";
        LEDGER_KEPT: Gauge Basic "otel_agent_ledger_kept_items" "{items}" ["pipeline", "exporter", "otel_signal"]
            "Number of items that lie in the journal alone, to be sent later.";
    }

    "Journal" {
        per signal {}
        JOURNAL_BYTES: Gauge Basic "otel_agent_journal_bytes" "By" ["storage"]
            "Bytes of the journal on disk.";
        JOURNAL_LIMIT: Gauge Basic "otel_agent_journal_limit_bytes" "By" ["storage"]
            "Bytes that the journal may take on disk; above it senders are told to wait.";
        JOURNAL_RECORDS: Gauge Basic "otel_agent_journal_records" "{requests}" ["storage"]
            "Number of requests in the journal that an exporter has not answered yet.";
        JOURNAL_SYNCS: Counter Normal "otel_agent_journal_syncs" "{times}" ["storage"]
            "Number of times the journal was made to survive a power failure.";
        JOURNAL_REPLAYED: Counter Basic "otel_agent_journal_replayed_items" "{items}" ["storage"]
            "Number of items that were read back to be sent. After a crash some of them may have been sent before.";
        JOURNAL_REFUSED: Counter Basic "otel_agent_journal_refused_items" "{items}" ["storage", "reason"]
            "Number of items that the journal did not take, by reason: full or disk. The sender was told.";
        JOURNAL_CUT: Counter Basic "otel_agent_journal_cut_bytes" "By" ["storage"]
            "Bytes that were cut off the end of the journal because they were not written whole.";
        JOURNAL_SKIPPED: Counter Basic "otel_agent_journal_skipped_bytes" "By" ["storage"]
            "Bytes in the journal that were left out because they are damaged.";
    }

    "Who sends what" {
        per signal {}
        SENDER_ITEMS: Counter Normal "otel_agent_sender_items" "{items}" ["sender", "otel_signal"]
            "Number of items taken from a sender: its pod, or its address. Only the senders with most items are shown.";
        SENDER_REFUSED: Counter Normal "otel_agent_sender_refused_items" "{items}" ["sender", "otel_signal"]
            "Number of items of that sender that were not taken; it was told.";
        SENDER_REFUSED_REQUESTS: Counter Normal "otel_agent_sender_refused_requests" "{requests}" ["sender", "reason"]
            "Number of requests of that sender that were turned away, by reason: memory, share or limit; it was told.";
        SENDER_SERIES: Gauge Normal "otel_agent_sender_series" "{series}" ["sender"]
            "Number of different series of that sender in the last 10 to 20 minutes, estimated.";
        METRIC_SERIES: Gauge Normal "otel_agent_metric_series" "{series}" ["metric_name"]
            "Number of different series of a metric in the last 10 to 20 minutes, estimated. Only the metrics with most are shown.";
        METRIC_POINTS: Counter Normal "otel_agent_metric_points" "{datapoints}" ["metric_name"]
            "Number of points of that metric among those that were looked at.";
        INSPECTED_POINTS: Counter Normal "otel_agent_inspected_points" "{datapoints}" []
            "Number of points that were looked at to know metrics and series.";
        INSPECTION_SECONDS: Counter Normal "otel_agent_inspection_seconds" "s" []
            "Time spent on looking; at most a hundredth of one core.";
    }

    "Memory budget" {
        per signal {}
        BUDGET_USED: Gauge Basic "otel_agent_budget_used_bytes" "By" []
            "Bytes of telemetry held in memory right now.";
        BUDGET_BESIDE: Gauge Basic "otel_agent_budget_beside_bytes" "By" ["what"]
            "Bytes beside payload, estimated: connections, series of the exporter prometheus, pods. What is above 4 MiB is taken from the budget.";
        BUDGET_LIMIT: Gauge Basic "otel_agent_budget_limit_bytes" "By" []
            "Bytes of telemetry that may be held in memory; above it senders are told to wait.";
    }

    "Kubernetes" {
        per signal {}
        K8S_POD_TABLE_SIZE: Gauge Basic "otelcol_k8s_watcher_pod_cache_size" "{pods}" []
            "Number of pods that are known and have not ended.";
        K8S_POD_ADDED: Counter Basic "otelcol_k8s_watcher_pod_added" "{pods}" []
            "Number of pods that became known.";
        K8S_POD_UPDATED: Counter Basic "otelcol_k8s_watcher_pod_updated" "{pods}" []
            "Number of changes of pods that were known.";
        K8S_POD_DELETED: Counter Basic "otelcol_k8s_watcher_pod_deleted" "{pods}" []
            "Number of pods that ended.";
        KUBERNETES_REQUESTS: Counter Basic "otel_agent_kubernetes_requests" "{requests}" ["resource", "verb", "code"]
            "Number of requests to the API server or kubelet, by HTTP status; `none` where no answer came.";
        KUBERNETES_LISTS: Counter Basic "otel_agent_kubernetes_lists" "{lists}" []
            "Number of complete lists of pods that were read: one at the start, and one whenever a watch could not go on.";
        KUBERNETES_FAILURES: Counter Basic "otel_agent_kubernetes_failures" "{failures}" ["resource", "reason"]
            "Number of times that pods or objects could not be read, by reason; what is known stays in use.";
        KUBERNETES_MISSING_RIGHTS: Gauge Basic "otel_agent_kubernetes_missing_rights" "{rights}" ["resource"]
            "Number of permissions that are missing right now.";
    }

    "Process" {
        per signal {}
        PROCESS_UPTIME: Counter Basic "otelcol_process_uptime" "s" []
            "Uptime of the process.";
        PROCESS_CLOCK: Gauge Basic "otel_agent_process_clock" "s" []
            "What the clock of this node says when the metrics are read, in seconds since 1970.";
        PROCESS_CPU_SECONDS: Counter Basic "otelcol_process_cpu_seconds" "s" []
            "Total CPU user and system time in seconds.";
        PROCESS_MEMORY_RSS: Gauge Basic "otelcol_process_memory_rss" "By" []
            "Total physical memory (resident set size).";
        PROCESS_MEMORY_LIMIT: Gauge Basic "otel_agent_process_memory_limit_bytes" "By" []
            "Memory limit of the container; above it the kernel ends the process. Absent when there is none.";
        PROCESS_HEAP_ALLOC: Gauge Basic "otelcol_process_runtime_heap_alloc_bytes" "By" []
            "Bytes of heap memory in use.";
        PROCESS_TOTAL_SYS_MEMORY: Gauge Basic "otelcol_process_runtime_total_sys_memory_bytes" "By" []
            "Bytes of memory that the allocator has from the system.";
        PROCESS_OPEN_FILES: Gauge Normal "otel_agent_process_open_files" "{files}" []
            "Number of open file descriptors.";
        PROCESS_TASKS: Gauge Normal "otel_agent_process_tasks" "{tasks}" []
            "Number of asynchronous tasks that have not ended; each connection has at least one.";
    }

    "Agent" {
        per signal {}
        READY: Gauge Basic "otel_agent_ready" "1" []
            "1 while applications of the node should send here, as the path /ready of health_check says; otherwise 0.";
        CONFIG_RELOADS: Counter Basic "otel_agent_config_reloads" "{reloads}" ["outcome"]
            "Number of times a new configuration was read, by outcome: applied or refused.";
        CONFIG_CHECKSUM: Gauge Basic "otel_agent_config_checksum" "1" ["source"]
            "CRC-32 of the text that is in force, by source: the path of a file, or how else it was given.";
        CONFIG_APPLIED: Gauge Basic "otel_agent_config_applied" "s" []
            "When the configuration that is in force was applied, in seconds since 1970.";
        LOG_LINES: Counter Normal "otel_agent_log_lines" "{lines}" ["level"]
            "Number of the agent's own log lines, also those left out by sampling.";
        LOG_LINES_LEFT_OUT: Counter Normal "otel_agent_log_lines_left_out" "{lines}" ["level"]
            "Number of the agent's own log lines left out by sampling.";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_carry_one_of_the_two_prefixes() {
        let mut names: Vec<_> = all().map(|metric| metric.name).collect();
        assert!(names.iter().all(|name| name.starts_with("otelcol_") || name.starts_with("otel_agent_")));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_histogram_has_ascending_bounds_and_nothing_else_has_any() {
        for metric in all() {
            assert_eq!(metric.kind == Kind::Histogram, !metric.bounds.is_empty(), "{}", metric.name);
            assert!(metric.bounds.is_sorted(), "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
        }
    }
}
