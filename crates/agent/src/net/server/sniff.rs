//! What a connection speaks, by its first bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// What the peer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    Http1,
    Http2,
    /// A TLS ClientHello.
    Tls,
}

/// What HTTP/2 begins with; HTTP/1 never does.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream whose first bytes were looked at; it gives them out again.
#[derive(Debug)]
pub(super) struct Sniffed<S> {
    head: [u8; PREFACE.len()],
    read: usize,
    given: usize,
    stream: S,
}

impl<S: AsyncRead + Unpin> Sniffed<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { head: [0; PREFACE.len()], read: 0, given: 0, stream }
    }

    /// Waits for as many bytes as it takes to tell. `None`: the peer went away without a word.
    pub(super) async fn speaks(&mut self) -> io::Result<Option<Speaks>> {
        loop {
            if let Some(speaks) = tell(&self.head[..self.read]) {
                return Ok(Some(speaks));
            }
            match self.stream.read(&mut self.head[self.read..]).await? {
                0 if self.read == 0 => return Ok(None),
                0 => return Ok(Some(Speaks::Http1)),
                read => self.read += read,
            }
        }
    }
}

/// `None`: more bytes are needed.
fn tell(head: &[u8]) -> Option<Speaks> {
    match head {
        [] => None,
        // A TLS record of a handshake, version 3.
        [0x16] => None,
        [0x16, 3, ..] => Some(Speaks::Tls),
        _ if head == PREFACE => Some(Speaks::Http2),
        _ if PREFACE.starts_with(head) => None,
        _ => Some(Speaks::Http1),
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Sniffed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.given < self.read {
            let end = self.read.min(self.given + buffer.remaining());
            buffer.put_slice(&self.head[self.given..end]);
            self.given = end;
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Sniffed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tells_the_protocol_and_gives_the_bytes_out_again() {
        async fn check(sent: &[u8], expected: Option<Speaks>) {
            // Two bytes at a time, so that it has to wait.
            let mut mock = Sniffed::new(tokio_util_chunks(sent));
            assert_eq!(mock.speaks().await.unwrap(), expected, "{}", sent.escape_ascii());
            let mut all = Vec::new();
            mock.read_to_end(&mut all).await.unwrap();
            assert_eq!(all, sent);
        }
        check(b"", None).await;
        check(b"POST /v1/traces HTTP/1.1\r\n", Some(Speaks::Http1)).await;
        check(b"PRIx", Some(Speaks::Http1)).await;
        check(b"P", Some(Speaks::Http1)).await;
        check(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nmore", Some(Speaks::Http2)).await;
        check(&[0x16, 3, 1, 0, 5], Some(Speaks::Tls)).await;
    }

    fn tokio_util_chunks(bytes: &[u8]) -> impl AsyncRead + Unpin + use<> {
        struct Chunks(Vec<u8>);
        impl AsyncRead for Chunks {
            fn poll_read(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                let take = self.0.len().min(2).min(buffer.remaining());
                buffer.put_slice(&self.0.drain(..take).collect::<Vec<_>>());
                Poll::Ready(Ok(()))
            }
        }
        Chunks(bytes.to_vec())
    }
}
