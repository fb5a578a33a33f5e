use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full as FullBody, StreamBody};

use super::server::{NoMessage, answer, encoding, not_here, read_message, refuse, refuse_foreign};
use super::*;
use crate::net::body::{Full, Limits, Pace, Reserve};
use crate::net::compression::{Encoding, compress};

/// What is held now and was at most, in a budget of 1 MiB.
#[derive(Default)]
struct Held(usize, usize);

impl Reserve for Held {
    fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        if self.0 + bytes > 1 << 20 {
            return Err(Full { wanted: bytes, used: self.0, limit: 1 << 20, of_sender: false });
        }
        self.0 += bytes;
        self.1 = self.1.max(self.0);
        Ok(())
    }

    fn shrink_to(&mut self, bytes: usize) {
        self.0 = self.0.min(bytes);
    }
}

fn framed(flag: u8, len: u32, message: &[u8]) -> Bytes {
    let mut framed = BytesMut::new();
    framed.put_u8(flag);
    framed.put_u32(len);
    framed.put_slice(message);
    framed.freeze()
}

/// Reads a body given as one frame, and again byte by byte: both must come to the same.
async fn read(body: Bytes, encoding: Encoding, held: &mut Held) -> Result<Bytes, Status> {
    let limits = Limits { bytes: 4096, pace: Pace::default() };
    let bytes = body.to_vec();
    let frames = bytes.into_iter().map(|byte| Ok::<_, std::io::Error>(http_body::Frame::data(Bytes::from(vec![byte]))));
    let mut dripping = StreamBody::new(futures_util::stream::iter(frames));
    let slow = read_message(&mut dripping, encoding, &limits, &mut Held::default()).await.map_err(status);
    let read = read_message(&mut FullBody::new(body), encoding, &limits, held).await.map_err(status);
    assert_eq!(read, slow);
    read.map(|received| received.bytes)
}

fn status(error: NoMessage) -> Status {
    match error {
        NoMessage::Status(status) => status,
        NoMessage::Full(full) => Status::new(Code::Unavailable, full.to_string()),
    }
}

async fn check(body: Bytes, encoding: Encoding, code: Code) {
    let held = &mut Held::default();
    let refused = read(body, encoding, held).await.expect_err("refused");
    assert_eq!((refused.code, refused.retry_after), (code, None), "{}", refused.message);
    assert!(held.1 <= 8192, "held {}", held.1);
}

#[tokio::test]
async fn a_message_is_read_with_a_permit_of_its_size() {
    for size in [0, 1, 4096] {
        let message = vec![5; size];
        let held = &mut Held::default();
        let read = read(framed(0, size as u32, &message), Encoding::Gzip, held).await.unwrap();
        assert_eq!((&read[..], held.0), (&message[..], size));
    }
}

#[tokio::test]
async fn every_encoding_is_inflated() {
    for name in Encoding::GRPC_ACCEPTED.split(',').filter(|name| *name != "identity") {
        let encoding = Encoding::from_grpc(name).unwrap();
        let packed = compress(encoding, None, [&[1_u8; 4000][..]]).unwrap();
        let body = framed(1, packed.len() as u32, &packed);
        assert_eq!(read(body, encoding, &mut Held::default()).await.unwrap().len(), 4000, "{name}");
    }
}

#[tokio::test]
async fn what_is_not_one_whole_message_is_refused() {
    check(Bytes::new(), Encoding::Identity, Code::Internal).await;
    check(Bytes::from_static(&[0, 0, 0]), Encoding::Identity, Code::Unknown).await;
    check(framed(0, 10, b"short"), Encoding::Identity, Code::Unknown).await;
    check(framed(0, 2, b"two and more"), Encoding::Identity, Code::Internal).await;
    check(framed(2, 1, b"x"), Encoding::Identity, Code::Internal).await;
    check(framed(1, 1, b"x"), Encoding::Identity, Code::Internal).await;
    check(framed(1, 4, b"junk"), Encoding::Gzip, Code::Internal).await;
}

#[tokio::test]
async fn too_large_is_resource_exhausted_without_a_time_to_try_again() {
    check(framed(0, 4097, &[0; 4097]), Encoding::Identity, Code::ResourceExhausted).await;
    check(framed(0, u32::MAX, b""), Encoding::Identity, Code::ResourceExhausted).await;
    let bomb = compress(Encoding::Zstd, None, [&[0_u8; 1 << 20][..]]).unwrap();
    check(framed(1, bomb.len() as u32, &bomb), Encoding::Zstd, Code::ResourceExhausted).await;
}

#[test]
fn an_unknown_encoding_is_unimplemented_and_told_what_there_is() {
    let mut headers = HeaderMap::new();
    assert_eq!(encoding(&headers), Ok(Encoding::Identity));
    headers.insert("grpc-encoding", HeaderValue::from_static("br"));
    let refused = refuse(&encoding(&headers).unwrap_err());
    assert_eq!(refused.headers()["grpc-status"], "12");
    assert_eq!(refused.headers()["grpc-accept-encoding"], "identity,gzip,zstd,snappy,deflate");
}

#[tokio::test]
async fn an_answer_has_its_status_behind_the_message() {
    let collected = answer(&[0x0a, 0]).into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(&collected.to_bytes()[..], [0, 0, 0, 0, 2, 0x0a, 0]);
}

#[test]
fn a_refusal_says_when_to_try_again() {
    let status =
        Status { retry_after: Some(Duration::from_secs(2)), ..Status::new(Code::Unavailable, "später, 100 %") };
    let refused = refuse(&status);
    assert_eq!(refused.headers()["grpc-message"], "sp%C3%A4ter, 100 %25");
    let details = refused.headers()["grpc-status-details-bin"].to_str().unwrap();
    let details = base64::Engine::decode(&base64::engine::general_purpose::STANDARD_NO_PAD, details).unwrap();
    assert_eq!(wire::rpc::Status::decode(&details), status.to_rpc());
}

#[test]
fn only_posts_of_grpc_are_calls() {
    let headers = |content_type: &'static str| {
        HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type))])
    };
    let refused = |method, content_type| refuse_foreign(&method, &headers(content_type)).map(|answer| answer.status());
    use http::{Method, StatusCode};
    assert_eq!(refused(Method::POST, "application/grpc"), None);
    assert_eq!(refused(Method::POST, "application/grpc+proto"), None);
    assert_eq!(refused(Method::POST, "application/grpc-web"), Some(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    assert_eq!(refused(Method::POST, "application/x-protobuf"), Some(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    assert_eq!(refused(Method::GET, "application/grpc"), Some(StatusCode::METHOD_NOT_ALLOWED));
    for (timeout, status) in
        [("10S", None), ("12345678n", None), ("", Some(400)), ("soon", Some(400)), ("S", Some(400))]
    {
        let mut headers = headers("application/grpc");
        headers.insert("grpc-timeout", HeaderValue::from_static(timeout));
        let refused = refuse_foreign(&Method::POST, &headers).map(|answer| answer.status().as_u16());
        assert_eq!(refused, status, "{timeout}");
    }
}

#[test]
fn what_is_not_here_is_named() {
    assert_eq!(not_here("/a.B/C", false).message, "unknown service a.B");
    assert_eq!(not_here("/a.B/C", true).message, "unknown method C for service a.B");
    assert_eq!(not_here("x", false).message, "malformed method name: \"x\"");
}

proptest::proptest! {
    /// Whatever comes, in whatever pieces: an answer, within the limit, and the permit fits what is returned.
    #[test]
    fn any_frames_end_in_a_message_or_a_status(
        pieces in proptest::collection::vec(proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40), 0..6),
        whole in proptest::prelude::any::<bool>(),
        gzip in proptest::prelude::any::<bool>(),
    ) {
        let mut pieces: Vec<Bytes> = pieces.into_iter().map(Bytes::from).collect();
        if whole {
            let len: usize = pieces.iter().map(Bytes::len).sum();
            pieces.insert(0, framed(u8::from(gzip), len as u32, b""));
        }
        let frames = pieces.into_iter().map(|piece| Ok::<_, std::io::Error>(http_body::Frame::data(piece)));
        let mut body = StreamBody::new(futures_util::stream::iter(frames));
        let limits = Limits { bytes: 100, pace: Pace::default() };
        let held = &mut Held::default();
        let encoding = if gzip { Encoding::Gzip } else { Encoding::Identity };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        match runtime.block_on(read_message(&mut body, encoding, &limits, held)) {
            Ok(received) => proptest::prop_assert!(received.bytes.len() <= 100 && held.0 == received.bytes.len()),
            Err(_) => proptest::prop_assert!(held.1 <= 8192),
        }
    }
}
