//! Any bytes as what a gRPC peer sends, in any pieces: the message of a call, what an answer says, and which protocol a
//! connection begins with.
#![no_main]
#![allow(
    dead_code,
    unfulfilled_lint_expectations,
    unused_imports,
    unreachable_pub,
    reason = "the rooms are taken whole; the target calls a part of them"
)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::Frame;
use testkit::generate::Random;

use net::body::{Full, Limits, Pace, Reserve};
use net::client::Answer;
use net::compression::{Encoding, compress};
use net::grpc::server::{NoMessage, read_message, refuse};
use net::grpc::{Code, PREFIX, Status, client};

#[path = "../../crates/agent/src/net"]
mod net {
    pub mod body;
    pub mod code;
    pub mod compression;
    pub mod grpc;
    pub mod reply;

    /// What `grpc` knows of the client; the rest of it wants a network.
    pub mod client {
        pub const ANSWER_CAP: usize = 64 * 1024;

        pub struct Answer {
            pub status: http::StatusCode,
            pub headers: http::HeaderMap,
            pub body: bytes::Bytes,
            pub trailers: http::HeaderMap,
        }
    }

    pub mod server {
        mod sniff;

        use sniff::{Sniffed, Speaks};
        use tokio::io::AsyncReadExt;

        const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

        /// The protocol is told from the first bytes, in whatever pieces they come, and none of them is lost.
        pub async fn check(sent: &[u8], pieces: crate::Pieces) {
            let expected = match sent {
                [] => None,
                [0x16, 3, ..] => Some(Speaks::Tls),
                _ if sent.starts_with(PREFACE) => Some(Speaks::Http2),
                _ => Some(Speaks::Http1),
            };
            let mut stream = Sniffed::new(pieces);
            assert_eq!(stream.speaks().await.expect("memory can be read"), expected);
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.expect("memory can be read");
            assert_eq!(all, sent);
        }
    }
}

/// A message may have this many bytes.
const MOST: usize = 4096;
/// What may be held at once: enough for what the decoders keep.
const BUDGET: usize = 1 << 20;

/// What a peer sends, piece by piece. It may end with an error.
#[derive(Clone, Default)]
pub struct Pieces {
    rest: VecDeque<Bytes>,
    /// There is nothing to read yet before every other piece.
    halting: bool,
    halted: bool,
    broken: bool,
}

impl Pieces {
    fn whole(bytes: &[u8]) -> Pieces {
        Pieces { rest: [Bytes::copy_from_slice(bytes)].into(), ..Pieces::default() }
    }

    fn cut(mut bytes: &[u8], random: &mut Random) -> Pieces {
        let largest = random.pick(&[1, 3, 7, 100, 5000]);
        let mut rest = VecDeque::new();
        while !bytes.is_empty() {
            let (piece, behind) = bytes.split_at(random.below(largest + 1).min(bytes.len()));
            rest.push_back(Bytes::copy_from_slice(piece));
            bytes = behind;
        }
        Pieces { rest, halting: random.once_in(4), ..Pieces::default() }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        self.halted = self.halting && !self.halted;
        if self.halted {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let next = self.rest.pop_front().map(Ok);
        Poll::Ready(next.or_else(|| self.broken.then(|| Err(io::ErrorKind::ConnectionReset.into()))))
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.poll_next(cx).map(|next| next.map(|piece| piece.map(Frame::data)))
    }
}

impl tokio::io::AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // An empty read would be the end.
        while self.rest.front().is_some_and(Bytes::is_empty) {
            self.rest.pop_front();
        }
        self.poll_next(cx).map(|next| {
            let Some(mut piece) = next.transpose()? else { return Ok(()) };
            buffer.put_slice(&piece.split_to(piece.len().min(buffer.remaining())));
            self.rest.push_front(piece);
            Ok(())
        })
    }
}

/// What is held now and was at most.
#[derive(Default)]
struct Held(usize, usize);

impl Reserve for Held {
    fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        if bytes > BUDGET - self.0 {
            return Err(Full { wanted: bytes, used: self.0, limit: BUDGET, of_sender: false });
        }
        self.0 += bytes;
        self.1 = self.1.max(self.0);
        Ok(())
    }

    fn shrink_to(&mut self, bytes: usize) {
        self.0 = self.0.min(bytes);
    }
}

/// Reads a message; `None`: there was no room for it.
async fn read(mut body: Pieces, encoding: Encoding) -> Option<Result<Bytes, Status>> {
    let (mut held, limits) = (Held::default(), Limits { bytes: MOST, pace: Pace::default() });
    match read_message(&mut body, encoding, &limits, &mut held).await {
        Ok(received) => {
            assert!(received.bytes.len() <= MOST, "larger than it may be");
            assert_eq!(held.0, received.bytes.len(), "what is held is what was read");
            Some(Ok(received.bytes))
        }
        Err(NoMessage::Full(_)) => None,
        Err(NoMessage::Status(status)) => {
            assert!(encoding != Encoding::Identity || held.1 <= 2 * MOST, "a refusal cost {} bytes", held.1);
            Some(Err(status))
        }
    }
}

/// What a frame says, told without reading piece by piece: whether the message is compressed, and its bytes.
fn frame(body: &[u8], encoding: Encoding) -> Result<(bool, &[u8]), Code> {
    let Some((prefix, rest)) = body.split_first_chunk::<PREFIX>() else {
        return Err(if body.is_empty() { Code::Internal } else { Code::Unknown });
    };
    let [flag, len @ ..] = *prefix;
    let len = u32::from_be_bytes(len) as usize;
    match flag {
        _ if len > MOST => Err(Code::ResourceExhausted),
        2.. => Err(Code::Internal),
        1 if encoding == Encoding::Identity => Err(Code::Internal),
        _ if rest.len() > len => Err(Code::Internal),
        _ if rest.len() < len => Err(Code::Unknown),
        flag => Ok((flag == 1, rest)),
    }
}

/// However the body is cut, it is read the same; an uncompressed message is what stands in its frame.
async fn check_call(body: &[u8], encoding: Encoding, random: &mut Random) -> Option<Result<Bytes, Status>> {
    let whole = read(Pieces::whole(body), encoding).await;
    let pieces = Pieces::cut(body, random);
    // What is read in pieces is copied, so it may want more room.
    if let (Some(whole), Some(cut)) = (&whole, &read(pieces.clone(), encoding).await) {
        assert_eq!(whole, cut);
    }
    let expected = frame(body, encoding);
    if let Some(read) = &whole {
        match (&expected, read) {
            (Ok((false, message)), read) => assert_eq!(read.as_deref(), Ok(*message)),
            (Ok((true, _)), _) => {}
            (Err(code), read) => assert_eq!(read.as_ref().map_err(|status| status.code), Err(*code)),
        }
    }
    let broken = read(Pieces { broken: true, ..pieces }, encoding).await;
    assert!(!matches!(broken, Some(Ok(_))), "a body that breaks off is no message");
    whole
}

/// What was compressed is read as it was, in an answer as well as in a call.
async fn check_compressed(message: &[u8], encoding: Encoding, random: &mut Random) {
    let packed = compress(encoding, None, [message]).expect("memory takes everything");
    let prefix = client::prefix(true, packed.len() as u64).expect("it is short");
    let body = [&prefix[..], &packed].concat();
    if packed.len() <= MOST {
        let read = check_call(&body, encoding, random).await;
        match read.expect("there is room") {
            Ok(read) => assert_eq!(read, message),
            Err(status) => assert!(message.len() > MOST && status.code == Code::ResourceExhausted, "{status:?}"),
        }
    }
    let headers = [("grpc-status", b"0".to_vec()), ("grpc-encoding", encoding.grpc_name().into())];
    let answer = answer(&headers, &body);
    assert_eq!(client::message(&answer).expect("the status is 0"), message);
}

fn answer(headers: &[(&'static str, Vec<u8>)], body: &[u8]) -> Answer {
    let value = |bytes: &Vec<u8>| HeaderValue::from_bytes(bytes).ok();
    let headers = headers.iter().filter_map(|(name, bytes)| Some((name.parse().ok()?, value(bytes)?)));
    let mut headers: HeaderMap = headers.collect();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    Answer { status: StatusCode::OK, headers, body: Bytes::copy_from_slice(body), trailers: HeaderMap::new() }
}

/// Any bytes as the status of an answer, and any status there and back.
fn check_answers(data: &[u8], random: &mut Random) {
    let number = random.pick(&["0", "8", "14", "99", "x"]).into();
    let half = random.below(data.len() + 1);
    let headers = [
        ("grpc-status", number),
        ("grpc-message", data[..half].to_vec()),
        ("grpc-status-details-bin", data[half..].to_vec()),
        ("grpc-encoding", random.pick(&["identity", "gzip", "zstd", "deflate", "snappy", "br"]).into()),
    ];
    if let Ok(message) = client::message(&answer(&headers, data)) {
        assert!(message.len() <= net::client::ANSWER_CAP);
    }
    let status = Status {
        code: random.pick(&Code::ALL[1..]),
        message: String::from_utf8_lossy(data).into_owned(),
        retry_after: random.once_in(2).then(|| Duration::new(random.number() >> 30, random.below(1_000_000_000) as u32)),
    };
    let (head, _) = refuse(&status).into_parts();
    let told = Answer { status: head.status, headers: head.headers, body: Bytes::new(), trailers: HeaderMap::new() };
    assert_eq!(client::message(&told), Err(status));
}

thread_local! {
    static RUNTIME: tokio::runtime::Runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime can be made");
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [how, low, high, data @ ..] = data else { return };
    let mut random = Random::new(u64::from(u16::from_le_bytes([*low, *high])));
    let encodings = [Encoding::Identity, Encoding::Gzip, Encoding::Zlib, Encoding::Zstd, Encoding::SnappyFramed];
    let encoding = encodings[usize::from(how >> 4) % encodings.len()];
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            match how & 3 {
                0 => drop(check_call(data, encoding, &mut random).await),
                // What is inside the frame is reached.
                1 => {
                    let prefix = client::prefix(encoding != Encoding::Identity, data.len() as u64).expect("it is short");
                    drop(check_call(&[&prefix[..], data].concat(), encoding, &mut random).await);
                }
                2 => check_compressed(data, encodings[1 + usize::from(how >> 4) % 4], &mut random).await,
                _ => {
                    check_answers(data, &mut random);
                    net::server::check(data, Pieces::cut(data, &mut random)).await;
                }
            }
        });
    });
});
