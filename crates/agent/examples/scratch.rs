//! scratch
fn main() -> std::process::ExitCode {
    let mut request = otel_agent::config::Request::default();
    let args: Vec<String> = std::env::args().collect();
    for pair in args.windows(2) {
        if pair[0] == "--config" {
            request.configs.push(pair[1].clone());
        }
        if pair[0] == "--set" {
            request.sets.push(pair[1].clone());
        }
    }
    match args.get(1).map(String::as_str) {
        Some("components") => {
            print!("{}", otel_agent::cli::components::listing());
            std::process::ExitCode::SUCCESS
        }
        Some("print-config") => otel_agent::cli::print_config::main(
            &request,
            otel_agent::cli::print_config::Format::Yaml,
            otel_agent::config::effective::Mode::Redacted,
            true,
        ),
        _ => otel_agent::cli::validate::main(&request),
    }
}
