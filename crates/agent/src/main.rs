//! Arguments and exit codes of the program `otel-agent`.

fn main() {}
