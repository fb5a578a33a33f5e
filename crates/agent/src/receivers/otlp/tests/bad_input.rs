//! What strangers send: refused in time, in bounds, and with the right words.

use std::net::Ipv4Addr;

use tokio::net::TcpSocket;

use super::*;
use crate::net::compression::{Encoding, compress};

/// Peak of what the connection's body may hold is the budget: a tight one shows what is reserved.
const TIGHT: usize = 1 << 20;

#[tokio::test]
async fn truncated_and_random_bodies_are_malformed_in_both_protocols() {
    let bench = Bench::start(BOTH);
    let whole = request(10);
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut noise = |len: usize| -> Vec<u8> {
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random as u8
        };
        (0..len).map(|_| next()).collect()
    };
    let mut bodies: Vec<Vec<u8>> = (1..20).map(|cut| whole[..whole.len() - cut].to_vec()).collect();
    bodies.extend((1..40).map(&mut noise));
    for body in bodies {
        if wire::skim(Signal::Logs, &body).is_ok() {
            continue;
        }
        let answer = post(bench.last(), &[PROTOBUF], &body).await;
        assert_eq!((answer.status, answer.status_message().code), (400, 3), "{}", body.escape_ascii());
        let (_, headers, _) = send_h2(bench.first(), call(LOGS, framed(&body))).await;
        assert_eq!(headers["grpc-status"], "13");
        let answer = post(bench.last(), &[JSON], &body).await;
        assert_eq!(answer.status, 400);
        assert!(answer.text().starts_with(r#"{"code":3,"message":"#), "{}", answer.text());
    }
    assert!(bench.taken().is_empty());
}

#[tokio::test]
async fn wrong_structures_are_malformed() {
    let bench = Bench::start(BOTH);
    let bodies: [&[u8]; 5] = [
        // A nested length beyond its parent.
        &[0x0a, 0x04, 0x12, 0x7f, 0x00, 0x00],
        // A group.
        &[0x0b, 0x0c],
        // A field of a wrong wire type: resource_logs as a varint.
        &[0x08, 0x01],
        // Text that is not UTF-8: schema_url of a resource.
        &[0x0a, 0x04, 0x1a, 0x02, 0xff, 0xfe],
        // A length of 2^63.
        &[0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
    ];
    for body in bodies {
        let answer = post(bench.last(), &[PROTOBUF], body).await;
        assert_eq!((answer.status, answer.status_message().code), (400, 3), "{}", body.escape_ascii());
    }
    let refused = bench.counted(&table::REFUSED_REQUESTS, &[("transport", "http"), ("reason", "malformed")]);
    assert_eq!(refused, bodies.len() as f64);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_without_being_read() {
    let bench =
        Bench::with_budget("{protocols: {http: {endpoint: 'localhost:0', max_request_body_size: 1000}}}", TIGHT);
    for length in ["1001", "1073741824", "9223372036854775807"] {
        let answer = post(bench.last(), &[PROTOBUF, ("content-length", length)], b"").await;
        let status = answer.status_message();
        assert_eq!((answer.status, status.message.as_str()), (400, "http: request body too large"), "{length}");
    }
    assert_eq!(post(bench.last(), &[PROTOBUF], &vec![0; 500_000]).await.status, 400, "the answer comes through");
}

#[tokio::test]
async fn an_oversized_message_is_not_to_be_tried_again() {
    let bench = Bench::with_budget(BOTH, TIGHT);
    let announced = [&[0][..], &(1_u32 << 30).to_be_bytes()].concat();
    let (_, headers, _) = send_h2(bench.first(), call(LOGS, announced)).await;
    assert_eq!(headers["grpc-status"], "8");
    assert_eq!(headers["grpc-message"], "grpc: received message larger than max (1073741824 vs. 4194304)");
    assert!(!headers.contains_key("grpc-status-details-bin"), "no time to try again: clients let it be");
    let large = framed(&vec![0; 5 << 20]);
    assert_eq!(send_h2(bench.first(), call(LOGS, large)).await.1["grpc-status"], "8");
}

#[tokio::test]
async fn a_length_that_never_arrives_reserves_one_step() {
    let bench = Bench::with_budget(BOTH, TIGHT);
    let stream = TcpStream::connect(("127.0.0.1", bench.first())).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    // Twelve calls that announce 4 MiB each and send nothing more, in a budget of 1 MiB.
    let mut waiting = Vec::new();
    for _ in 0..12 {
        let head = [&[0][..], &(4_u32 << 20).to_be_bytes()].concat();
        let frames =
            futures_util::stream::once(async { Ok::<_, std::io::Error>(http_body::Frame::data(Bytes::from(head))) });
        let never = futures_util::StreamExt::chain(frames, futures_util::stream::pending());
        let body = BodyExt::boxed_unsync(http_body_util::StreamBody::new(never));
        let request = Request::post(format!("http://test{LOGS}")).header("content-type", "application/grpc").body(body);
        let mut sender = sender.clone();
        waiting.push(tokio::spawn(async move { sender.send_request(request.unwrap()).await }));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(waiting.iter().all(|call| !call.is_finished()), "they wait, none was refused");
    let (_, headers, _) = send_h2(bench.first(), call(LOGS, framed(&request(20)))).await;
    assert_eq!(headers["grpc-status"], "0", "there is room for those who send");
}

#[tokio::test]
async fn bombs_end_at_the_limit() {
    let bench = Bench::with_budget(BOTH, 64 << 20);
    let zeros = vec![0; 24 << 20];
    for encoding in Encoding::ALL {
        let bomb = compress(encoding, None, [&zeros[..]]).unwrap();
        if bomb.len() < 20 << 20 {
            let answer = post(bench.last(), &[PROTOBUF, ("content-encoding", encoding.http_name())], &bomb).await;
            assert_eq!(answer.status_message().message, "http: request body too large", "{encoding}");
        }
        let Some(Encoding::Gzip | Encoding::Zstd) = Encoding::from_grpc(encoding.http_name()) else { continue };
        let mut message = framed(&bomb);
        message[0] = 1;
        let mut call = call(LOGS, message);
        call.headers_mut().insert("grpc-encoding", encoding.grpc_name().parse().unwrap());
        assert_eq!(send_h2(bench.first(), call).await.1["grpc-status"], "8", "{encoding}");
    }
}

#[tokio::test]
async fn broken_and_unknown_encodings_are_told() {
    let bench = Bench::start(BOTH);
    let check = async |encoding: &str, message: &str| {
        let answer = post(bench.last(), &[PROTOBUF, ("content-encoding", encoding)], b"not compressed").await;
        assert_eq!((answer.status, answer.status_message().message.as_str()), (400, message));
    };
    check("br", "unsupported Content-Encoding: br").await;
    check("gzip", "gzip: invalid header").await;
    let mut unknown = call(LOGS, framed(b""));
    unknown.headers_mut().insert("grpc-encoding", "br".parse().unwrap());
    let (_, headers, _) = send_h2(bench.first(), unknown).await;
    assert_eq!(headers["grpc-status"], "12");
    assert_eq!(headers["grpc-message"], "grpc: Decompressor is not installed for grpc-encoding \"br\"");
    assert_eq!(headers["grpc-accept-encoding"], Encoding::GRPC_ACCEPTED);
}

#[tokio::test]
async fn without_algorithms_a_compressed_body_is_malformed() {
    let bench = Bench::start("{protocols: {http: {endpoint: 'localhost:0', compression_algorithms: []}}}");
    let packed = compress(Encoding::Gzip, None, [&request(1)[..]]).unwrap();
    assert_eq!(post(bench.last(), &[PROTOBUF, ("content-encoding", "gzip")], &packed).await.status, 400);
}

#[tokio::test]
async fn json_with_ten_thousand_levels_is_refused() {
    let bench = Bench::start(BOTH);
    let deep = format!("{}{}", r#"{"resourceLogs":[{"x":"#, "[".repeat(10_000));
    let answer = post(bench.last(), &[JSON], deep.as_bytes()).await;
    assert_eq!(answer.status, 400);
    let value = r#"{"arrayValue":{"values":["#;
    let deep = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{}"#, value.repeat(10_000));
    assert_eq!(post(bench.last(), &[JSON], deep.as_bytes()).await.status, 400);
}

#[tokio::test]
async fn a_body_that_does_not_come_ends_in_time() {
    let bench = Bench::start("{protocols: {http: {endpoint: 'localhost:0', read_timeout: 200ms}}}");
    let answer = post(bench.last(), &[PROTOBUF, ("content-length", "100")], b"ten bytes.").await;
    let status = answer.status_message();
    assert_eq!((answer.status, status.message.as_str()), (408, "the body came too slowly"));
    assert_eq!(bench.counted(&table::REFUSED_REQUESTS, &[("transport", "http"), ("reason", "too_slow")]), 1.0);
}

#[tokio::test]
async fn silent_connections_end_in_time_and_do_not_count_for_ever() {
    let bench =
        Bench::start("{protocols: {http: {endpoint: 'localhost:0', idle_timeout: 300ms, max_connections: 20}}}");
    let mut silent = Vec::new();
    for _ in 0..30 {
        silent.push(TcpStream::connect(("127.0.0.1", bench.last())).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let labels = [("transport", "http")];
    let open = || bench.running.servers[0].counts().open.load(Ordering::Relaxed);
    assert_eq!(open(), 20);
    assert_eq!(bench.running.servers[0].counts().too_many.load(Ordering::Relaxed), 10);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(open(), 0, "half a minute of nothing is enough");
    assert_eq!(post(bench.last(), &[PROTOBUF], &request(1)).await.status, 200);
    assert_eq!(bench.counted(table::RECEIVER_ACCEPTED.of(Signal::Logs), &labels), 1.0);
}

/// As many as the limit of file descriptors allows, up to 10,000: both ends are in this process.
#[tokio::test]
async fn thousands_of_idle_connections_leave_room_for_work() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(1 << 20);
    let many = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(200).min(20_000) / 2;
    let bench =
        Bench::start(&format!("{{protocols: {{http: {{endpoint: 'localhost:0', max_connections: {}}}}}}}", many + 10));
    let mut idle = Vec::new();
    for number in 0..many {
        // one address alone may hold half of them
        let socket = TcpSocket::new_v4().unwrap();
        let host = u8::try_from(number % 100).unwrap() + 2;
        socket.bind((Ipv4Addr::new(127, 0, 0, host), 0).into()).unwrap();
        idle.push(socket.connect((Ipv4Addr::LOCALHOST, bench.last()).into()).await.unwrap());
    }
    assert_eq!(post(bench.last(), &[PROTOBUF], &request(1)).await.status, 200);
    let open = bench.running.servers[0].counts().open.load(Ordering::Relaxed);
    assert!(open >= many, "{open} of {many}");
}
