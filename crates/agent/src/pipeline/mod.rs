//! The way of a batch from the door to the exporters: budget, ledger, queue, retry.
