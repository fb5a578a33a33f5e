//! A request body: OTLP as protobuf or JSON, compressed or as it is.
//!
//! As it is, nothing is copied. Compressing and writing JSON take time; above a size they move to a thread of their own,
//! so that senders that wait for an answer do not wait for that too.

use std::io;

use bytes::Bytes;
use tokio::sync::Semaphore;
use wire::{Chain, Signal};

use crate::net::compression::{self, Encoding};
use crate::pipeline::Parcel;
use crate::settings::{Reader, settings};

/// Up to here the body is packed where it is: a tenth of a millisecond of gzip 1, half a one of gzip 6.
const AT_ONCE: usize = 64 * 1024;

/// Bodies packed at a time, over all exporters. More would not be sooner done, and take the CPU from those who answer.
static PACKING: Semaphore = Semaphore::const_new(2);

settings! {
    /// How hard to compress.
    pub struct CompressionParams {
        /// Level of the compression: 1 (fastest) to 9 (smallest) for gzip, zlib and deflate, 1 to 22 for zstd. The others
        /// have none. Default: 1, which costs least for what it saves; 0 and -1 mean the default, too.
        pub level: Option<i64> = None,
    }
}

impl CompressionParams {
    /// Finds a level that the encoding does not have.
    pub(in crate::exporters) fn check(&self, encoding: Encoding, cx: &mut Reader<'_>) {
        let Some(level) = self.level.filter(|level| ![-1, 0].contains(level)) else { return };
        let most = match encoding {
            Encoding::Gzip | Encoding::Zlib => 9,
            Encoding::Zstd => 22,
            _ => 0,
        };
        if most == 0 {
            let what = "this compression has no levels";
            cx.error_at("compression_params::level", what, "remove it");
        } else if !(1..=most).contains(&level) {
            let what = format!("{level} is not a level of {encoding}");
            cx.error_at("compression_params::level", what, format!("use 1 (fastest) to {most} (smallest)"));
        }
    }
}

/// Packs the bodies of one exporter.
#[derive(Debug, Clone, Copy)]
pub(in crate::exporters) struct Packer {
    encoding: Encoding,
    level: Option<i32>,
    json: bool,
}

impl Packer {
    pub(in crate::exporters) fn new(encoding: Encoding, params: &CompressionParams, json: bool) -> Self {
        let written = params.level.filter(|level| *level > 0).and_then(|level| i32::try_from(level).ok());
        Self { encoding, level: written.or(default_level(encoding)), json }
    }

    pub(in crate::exporters) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The body of a request, in slices.
    pub(in crate::exporters) async fn pack(self, parcel: Parcel<'_>) -> io::Result<Vec<Bytes>> {
        if self.json {
            // Several times as long as the request. Compressed protobuf is so much smaller that the budget allows for it.
            let packed = parcel.make(move |request| self.pack_in_turn(parcel.signal, request)).await?;
            return Ok(vec![packed]);
        }
        if self.encoding == Encoding::Identity {
            return Ok(parcel.body.iter().cloned().collect());
        }
        Ok(vec![self.pack_in_turn(parcel.signal, parcel.body.clone()).await?])
    }

    async fn pack_in_turn(self, signal: Signal, request: Chain) -> io::Result<Bytes> {
        if request.len() <= AT_ONCE {
            return self.pack_now(signal, &request);
        }
        let _turn = PACKING.acquire().await;
        tokio::task::spawn_blocking(move || self.pack_now(signal, &request))
            .await
            .unwrap_or_else(|error| Err(error.into()))
    }

    fn pack_now(self, signal: Signal, request: &Chain) -> io::Result<Bytes> {
        if self.json {
            return compression::compress_written(self.encoding, self.level, None, &mut |to| {
                wire::json::write(signal, request, to)
            });
        }
        compression::compress(self.encoding, self.level, request.iter().map(|slice| &slice[..]))
    }
}

/// Measured on requests as SDKs make them; `docs/decisions/0003-export-compression.md` has the figures.
fn default_level(encoding: Encoding) -> Option<i32> {
    matches!(encoding, Encoding::Gzip | Encoding::Zlib | Encoding::Zstd).then_some(1)
}
