//! A daemon's page for those who watch it: `/metrics` in the text format of OpenMetrics 1.0, `/healthz` and `/readyz`.
//!
//! What always holds: it is bounded in connections and in time, reads no more than a request's head, changes nothing, and
//! knows no secret. It is meant for a local address or a network of the operator's own: it has neither TLS nor passwords.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::CONTENT_TYPE,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::{
    encoding::text::{encode_eof, encode_registry},
    registry::Registry,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};

use crate::listen;
use crate::log::Throttle;

/// Scrapers together; a further one waits.
const CONNECTIONS_MAX: usize = 16;

/// Connections that wait to be taken.
const BACKLOG: i32 = 128;

/// A request's head comes within this time.
const HEAD_TIME_MAX: Duration = Duration::from_secs(5);

/// A connection, with all its requests, lasts no longer: a scraper comes again.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(60);

/// What does not answer for this time is not healthy.
const HEALTH_TIME_MAX: Duration = Duration::from_secs(5);

/// After a failure to accept (no file descriptor left): time for others to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Such failures are logged this far apart.
const ACCEPT_LOG_PAUSE: Duration = Duration::from_secs(60);

/// The media type of OpenMetrics 1.0.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// These registries, one after the other, in the text format of OpenMetrics. No name may be in two of them.
#[must_use]
pub fn open_metrics(registries: &[&Registry]) -> String {
    let mut text = String::new();
    let mut written = Ok(());
    for registry in registries {
        written = written.and_then(|()| encode_registry(&mut text, registry));
    }
    if let Err(error) = written.and_then(|()| encode_eof(&mut text)) {
        tracing::error!(%error, "the metrics cannot be written");
    }
    text
}

/// What there is to tell.
pub trait Page: Send + Sync + 'static {
    /// The metrics, as they are now. Never called twice at a time.
    fn metrics(&self) -> impl Future<Output = String> + Send;
    /// Whether the work gets done; if not, a restart may help. Not to answer in time means no.
    fn is_healthy(&self) -> impl Future<Output = bool> + Send;
    /// Whether it serves: why not, if not.
    fn is_ready(&self) -> impl Future<Output = Result<(), String>> + Send;
}

/// Opens the port. Needs a runtime around it.
///
/// # Errors
/// What the system says.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::from_std(listen::bind(address, BACKLOG)?)?;
    tracing::info!(listen = %listener.local_addr()?, "metrics are served");
    Ok(listener)
}

/// A page with what many connections share.
struct Shared<P> {
    page: P,
    /// Metrics are looked up by one connection at a time, so that many do not take all of a store's readers.
    looking: Semaphore,
}

/// Serves until it is cancelled.
pub async fn serve<P: Page>(listener: TcpListener, page: P) {
    let (places, failures) = (Arc::new(Semaphore::new(CONNECTIONS_MAX)), Throttle::new(ACCEPT_LOG_PAUSE));
    let page = Arc::new(Shared { page, looking: Semaphore::new(1) });
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let page = Arc::clone(&page);
                tokio::spawn(async move {
                    let _place = place;
                    // A scraper that takes longer is cut off.
                    drop(timeout(CONNECTION_TIME_MAX, connection(stream, page)).await);
                });
            }
            Err(error) => {
                if let Some(left_out) = failures.take(Instant::now()) {
                    tracing::warn!(%error, left_out, "cannot accept a connection for metrics");
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection<P: Page>(stream: TcpStream, page: Arc<Shared<P>>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let page = Arc::clone(&page);
        async move { Ok::<_, Infallible>(answer(&request, &*page).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection for metrics failed");
    }
}

async fn answer<P: Page>(request: &Request<Incoming>, shared: &Shared<P>) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
    }
    let Shared { page, looking } = shared;
    match request.uri().path() {
        "/metrics" => {
            // Never closed, so that there is always a turn.
            let turn = looking.acquire().await;
            let metrics = page.metrics().await;
            drop(turn);
            let mut response = text(StatusCode::OK, metrics);
            response
                .headers_mut()
                .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(METRICS_TYPE));
            response
        }
        "/healthz" if timeout(HEALTH_TIME_MAX, page.is_healthy()).await.unwrap_or(false) => {
            text(StatusCode::OK, "ok\n")
        }
        "/healthz" => text(StatusCode::SERVICE_UNAVAILABLE, "the work does not get done\n"),
        "/readyz" => match page.is_ready().await {
            Ok(()) => text(StatusCode::OK, "ok\n"),
            Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        },
        _ => text(StatusCode::NOT_FOUND, "there are /metrics, /healthz and /readyz\n"),
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let plain = hyper::header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    struct Sick;

    impl Page for Sick {
        async fn metrics(&self) -> String {
            "x 1\n# EOF\n".into()
        }
        async fn is_healthy(&self) -> bool {
            false
        }
        async fn is_ready(&self) -> Result<(), String> {
            Err("not yet".into())
        }
    }

    async fn ask(address: SocketAddr, head: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(format!("{head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn each_path_has_its_answer() {
        let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(serve(listener, Sick));
        for (head, status, body) in [
            ("GET /metrics", "200", "x 1\n# EOF\n"),
            ("GET /healthz", "503", "the work does not get done\n"),
            ("GET /readyz", "503", "not yet\n"),
            ("GET /", "404", "there are /metrics, /healthz and /readyz\n"),
            ("POST /metrics", "405", "only GET\n"),
        ] {
            let answer = ask(address, head).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{head}: {answer}");
            assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{head}: {answer}");
        }
        serving.abort();
    }

    #[tokio::test]
    async fn nonsense_disturbs_nobody() {
        let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(serve(listener, Sick));
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&[0x16, 3, 1, 0, 200, 0, 0]).await.unwrap();
        drop(stream);
        assert!(ask(address, "GET /metrics").await.starts_with("HTTP/1.1 200"));
        serving.abort();
    }
}
