//! The program as a probe and as `wget`: what the image has in place of a shell.
#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use testkit::{AgentProcess, free_address};

const BINARY: &str = env!("CARGO_BIN_EXE_otel-agent");

const CONFIG: &str = "receivers:
  otlp: {protocols: {grpc: {endpoint: 'GRPC'}, http: {endpoint: 'HTTP'}}}
exporters:
  debug: {}
extensions:
  health_check: {endpoint: 'HEALTH'}
service:
  extensions: [health_check]
  telemetry: {metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS_PORT}}}}]}}
  pipelines: {logs: {receivers: [otlp], exporters: [debug]}}
";

/// Exit code, standard output, standard error.
fn run(program: &Path, arguments: &[&str]) -> (i32, String, String) {
    testkit::process::run(program.to_str().unwrap(), arguments, Path::new("/")).unwrap()
}

fn healthcheck(arguments: &[&str]) -> (i32, String, String) {
    run(Path::new(BINARY), &[&["healthcheck"], arguments].concat())
}

/// The program under the name that it has in the image.
struct Wget {
    folder: tempfile::TempDir,
}

impl Wget {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(BINARY, folder.path().join("wget")).unwrap();
        Self { folder }
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        run(&self.folder.path().join("wget"), arguments)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A server of one connection that says `answer` and nothing else; it ends with what it was asked.
fn server(at: &str, answer: &'static [u8], stay: Duration) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind(at).unwrap();
    let address = listener.local_addr().unwrap();
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = vec![0; 4096];
        let length = stream.read(&mut head).unwrap();
        stream.write_all(answer).unwrap();
        std::thread::sleep(stay);
        String::from_utf8_lossy(&head[..length]).into_owned()
    });
    (address, asked)
}

#[test]
fn healthcheck_and_wget_get_the_health_page_of_a_running_agent() {
    let agent = AgentProcess::start(BINARY, CONFIG).unwrap();
    let config = agent.config_path();
    let (code, out, err) = healthcheck(&["--config", config.to_str().unwrap()]);
    assert!(code == 0 && out.starts_with("healthy: http://") && out.contains("Server available"), "{out}{err}");
    assert_eq!(out.lines().count(), 1, "{out}");

    let endpoint = out.split_whitespace().nth(1).unwrap().to_owned();
    assert_eq!(healthcheck(&["--endpoint", &endpoint]).0, 0);

    let wget = Wget::new();
    let (code, out, err) = wget.run(&["-O-", &endpoint]);
    assert!(code == 0 && out.contains("Server available"), "{out}{err}");
    assert!(err.contains("Connecting to 127.0.0.1:") && err.contains("writing to standard output"), "{err}");
    let (code, out, err) = wget.run(&["-qO-", &endpoint]);
    assert!((code, err.as_str()) == (0, "") && out.contains("Server available"), "{out}{err}");
}

#[test]
fn healthcheck_dials_what_the_configuration_listens_on() {
    let page = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nup";
    let (address, asked) = server("127.0.0.1:0", page, Duration::ZERO);
    let config =
        CONFIG.replace("endpoint: 'HEALTH'", &format!("endpoint: '0.0.0.0:{}', path: /healthz", address.port()));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.yaml");
    std::fs::write(&file, config.replace("GRPC", ":1").replace("HTTP", ":2").replace("METRICS_PORT", "3")).unwrap();
    let (code, out, err) = healthcheck(&["--config", file.to_str().unwrap()]);
    assert!(
        code == 0 && out == format!("healthy: http://localhost:{}/healthz answered 200: up\n", address.port()),
        "{err}"
    );
    assert!(asked.join().unwrap().starts_with("GET /healthz HTTP/1.1\r\n"));
}

#[test]
fn a_new_configuration_that_is_bad_does_not_make_a_running_agent_unhealthy() {
    let agent = AgentProcess::start(BINARY, CONFIG).unwrap();
    let file = agent.config_path();
    let bad = std::fs::read_to_string(&file).unwrap().replace("debug: {}", "debug: {verbosityy: detailed}");
    std::fs::write(&file, bad).unwrap();
    assert_eq!(run(Path::new(BINARY), &["validate", "--config", file.to_str().unwrap()]).0, 1);
    let (code, out, err) = healthcheck(&["--config", file.to_str().unwrap()]);
    assert!(code == 0 && out.starts_with("healthy: "), "{out}{err}");
}

#[test]
fn healthcheck_says_what_is_wrong_in_one_line() {
    let check = |arguments: &[&str], expected: &[&str]| {
        let (code, out, err) = healthcheck(arguments);
        assert_eq!((code, out.as_str(), err.lines().count()), (1, "", 1), "{arguments:?}: {out}{err}");
        for text in expected {
            assert!(err.contains(text), "{arguments:?}: {err}");
        }
    };
    let port = free_address().unwrap().port();
    let refused = format!("localhost:{port}");
    let (first, second) = (format!("127.0.0.1:{port}: Connection refused"), format!("[::1]:{port}: "));
    check(&["--endpoint", &refused], &["not healthy: http://localhost:", &first, &second, "the agent does not run"]);
    check(&["--endpoint", "https://localhost:13133"], &["only http://"]);
    check(&["--endpoint", "no-such-host.invalid:1"], &["no-such-host.invalid", "cannot be resolved"]);
    check(&["--set", "service.telemetry.logs.level=info"], &["no health_check", "--endpoint"]);

    let (stopping, _) = server(
        "127.0.0.1:0",
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9\r\n\r\nnot\nready",
        Duration::ZERO,
    );
    check(&["--endpoint", &stopping.to_string()], &["503 Service Unavailable: not ready"]);
    let (elsewhere, _) = server("127.0.0.1:0", b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", Duration::ZERO);
    check(&["--endpoint", &elsewhere.to_string()], &["answered 404 Not Found"]);
    let (other, _) = server("127.0.0.1:0", b"SSH-2.0-OpenSSH_9.2\r\n", Duration::ZERO);
    check(&["--endpoint", &other.to_string()], &["did not answer as HTTP"]);

    let began = Instant::now();
    let (silent, _) = server("127.0.0.1:0", b"", Duration::from_secs(20));
    check(&["--endpoint", &silent.to_string(), "--timeout", "300ms"], &["no answer within 300ms"]);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn localhost_is_both_loopback_addresses() {
    for at in ["127.0.0.1:0", "[::1]:0"] {
        let (address, _) = server(at, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nup", Duration::ZERO);
        let (code, out, err) = healthcheck(&["--endpoint", &format!("http://localhost:{}", address.port())]);
        assert!(code == 0 && out.ends_with("answered 200: up\n"), "{at}: {out}{err}");
    }
}

#[test]
fn wget_takes_what_people_type() {
    let wget = Wget::new();
    let page = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-One: two\r\n\r\n3\r\npag\r\n2\r\ne\n\r\n0\r\n\r\n";
    let serve = |answer| {
        let (address, asked) = server("127.0.0.1:0", answer, Duration::ZERO);
        (format!("http://{address}/a?b=c"), asked)
    };

    let (url, asked) = serve(page);
    assert_eq!(
        wget.run(&["-q", "-O", "-", "-T", "5", "--header", "X-Me: 1", &url]),
        (0, "page\n".into(), String::new())
    );
    let asked = asked.join().unwrap().to_lowercase();
    assert!(asked.starts_with("get /a?b=c http/1.1\r\n") && asked.contains("x-me: 1"), "{asked}");

    let (url, _) = serve(page);
    let (code, out, err) = wget.run(&["-S", "-O-", &url]);
    assert!(code == 0 && out == "page\n" && err.contains("  HTTP/1.1 200 OK\n  transfer-encoding: chunked"), "{err}");

    let (url, _) = serve(page);
    let (code, out, err) = wget.run(&["--spider", &url]);
    assert!(code == 0 && out.is_empty() && err.contains("remote file exists"), "{out}{err}");

    let (url, _) = serve(page);
    assert_eq!(wget.run(&["-nv", "--tries=1", "--spider", &url]), (0, String::new(), String::new()));

    let (url, _) = serve(page);
    let file = wget.file("page");
    assert_eq!(wget.run(&["-qO", file.to_str().unwrap(), &url]).0, 0);
    assert_eq!(std::fs::read_to_string(file).unwrap(), "page\n");
}

#[test]
fn wget_fails_with_its_own_words() {
    let wget = Wget::new();
    let check = |arguments: &[&str], expected: &str| {
        let (code, out, err) = wget.run(arguments);
        assert!(code == 1 && out.is_empty() && err.contains(expected), "{arguments:?}: {code} {out}{err}");
    };
    let serve = |answer| format!("http://{}", server("127.0.0.1:0", answer, Duration::ZERO).0);
    check(
        &["-qO-", &format!("http://localhost:{}", free_address().unwrap().port())],
        "wget: can't connect to remote host (127.0.0.1:",
    );
    check(&["-qO-", "http://no-such-host.invalid"], "wget: bad address 'no-such-host.invalid'");
    check(&["-qO-", "https://localhost"], "only http://");
    check(&["-qO-"], "<URL>");
    check(
        &["-qO-", &serve(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")],
        "wget: server returned error: HTTP/1.1 503 Service Unavailable",
    );
    check(
        &[
            "-qO-",
            &serve(b"HTTP/1.1 301 Moved Permanently\r\nLocation: http://else.where/\r\nContent-Length: 0\r\n\r\n"),
        ],
        "it points to http://else.where/; that is not followed",
    );
    let (silent, _) = server("127.0.0.1:0", b"", Duration::from_secs(20));
    check(&["-qO-", "-T", "1", &format!("http://{silent}")], "wget: download timed out");
    let cut = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
    check(&["-qO-", &cut], "took the connection but did not answer as HTTP");
    let page = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nup");
    check(&["-qO", "/no/such/folder/page", &page], "can't write to '/no/such/folder/page'");
}
