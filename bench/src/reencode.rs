//! The comparison: the same path done the usual way. Each request is decoded into an object tree, edited, merged into a
//! batch, and the batch is encoded and sent. Same HTTP/2 library, same batch size and timeout as the agent under test.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use prost::Message;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::harness::{ADDED_ATTRIBUTES, BATCH_ITEMS, BATCH_TIMEOUT};
use crate::sink::success;

/// Where it listens and where it sends.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    to: SocketAddr,
}

/// Runs until it is killed.
pub(crate) async fn run(options: Options) -> Result<()> {
    let (batches, queue) = mpsc::channel(64);
    tokio::spawn(export(options.to, queue));
    let listener = TcpListener::bind(options.listen).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let batches = batches.clone();
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| receive(request, batches.clone()));
            let _closed = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .initial_stream_window_size(1 << 20)
                .initial_connection_window_size(4 << 20)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

type Answer = http::Response<http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>>;

async fn receive(request: http::Request<Incoming>, batches: mpsc::Sender<Vec<ResourceMetrics>>) -> Result<Answer> {
    let mut body = request.into_body().collect().await?.aggregate();
    ensure!(body.remaining() >= 5, "no gRPC prefix");
    body.advance(5);
    let mut request = ExportMetricsServiceRequest::decode(body)?;
    for group in &mut request.resource_metrics {
        edit(&mut group.resource.get_or_insert_default().attributes);
    }
    batches.send(request.resource_metrics).await?;
    Ok(success())
}

/// `upsert` of each added attribute, as the resource processor does it.
fn edit(attributes: &mut Vec<KeyValue>) {
    for (key, value) in ADDED_ATTRIBUTES {
        let value = AnyValue { value: Some(any_value::Value::StringValue((*value).to_owned())) };
        match attributes.iter_mut().find(|attribute| attribute.key == *key) {
            Some(attribute) => attribute.value = Some(value),
            None => attributes.push(KeyValue { key: (*key).to_owned(), value: Some(value), ..Default::default() }),
        }
    }
}

async fn export(to: SocketAddr, mut queue: mpsc::Receiver<Vec<ResourceMetrics>>) -> Result<()> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) =
        hyper::client::conn::http2::handshake::<_, _, Full<Bytes>>(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    while let Some(batch) = gather(&mut queue).await {
        let mut sender = sender.clone();
        let request =
            http::Request::post("http://localhost/opentelemetry.proto.collector.metrics.v1.MetricsService/Export")
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .body(Full::new(encode(batch)))?;
        tokio::spawn(async move {
            sender.ready().await?;
            sender.send_request(request).await?.into_body().collect().await
        });
    }
    Ok(())
}

/// The next batch: as many requests as reach the batch size, or what has come when the timeout is over.
async fn gather(queue: &mut mpsc::Receiver<Vec<ResourceMetrics>>) -> Option<Vec<ResourceMetrics>> {
    let mut batch = queue.recv().await?;
    let mut points: usize = batch.iter().map(count).sum();
    let deadline = tokio::time::Instant::now() + BATCH_TIMEOUT;
    while points < BATCH_ITEMS {
        match tokio::time::timeout_at(deadline, queue.recv()).await {
            Ok(Some(more)) => {
                points += more.iter().map(count).sum::<usize>();
                batch.extend(more);
            }
            Ok(None) | Err(_) => break,
        }
    }
    Some(batch)
}

fn count(group: &ResourceMetrics) -> usize {
    let metrics = group.scope_metrics.iter().flat_map(|scope| &scope.metrics);
    metrics.map(testkit::generate::points).sum()
}

fn encode(resource_metrics: Vec<ResourceMetrics>) -> Bytes {
    let request = ExportMetricsServiceRequest { resource_metrics };
    let length = request.encoded_len();
    let mut framed = BytesMut::with_capacity(length + 5);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(length).expect("a batch is far below 4 GiB"));
    request.encode(&mut framed).expect("a BytesMut grows");
    framed.freeze()
}
