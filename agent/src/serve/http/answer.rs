//! Which request gets which response. All of it is made from memory.
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{
        ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue,
        X_CONTENT_TYPE_OPTIONS,
    },
};

use super::{
    connections::Slot,
    events::{self, Events},
    page, status,
};
use crate::serve::{
    metrics::Exposition,
    shared::{Phase, Shared},
};

/// A response's body.
pub(super) type Body = Either<Full<Bytes>, Events>;

const TEXT: &str = "text/plain; charset=utf-8";

/// The page has its style in it, and loads nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Responds on one connection.
pub(super) struct Answer {
    shared: Arc<Shared>,
    slot: Slot,
}

impl Answer {
    pub(super) fn new(shared: Arc<Shared>, slot: Slot) -> Self {
        Self { shared, slot }
    }

    /// The response to a request, whose body is not read.
    pub(super) fn to(&self, request: &Request<Incoming>) -> Response<Body> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response =
                plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are served\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match request.uri().path() {
            "/metrics" => self.metrics(request),
            "/healthz" => self.health(),
            "/readyz" => self.readiness(),
            "/status" => response(StatusCode::OK, "application/json", status::json(&self.shared)),
            "/events" => self.events(request.method()),
            "/" => response(StatusCode::OK, "text/html; charset=utf-8", page::html(&self.shared)),
            _ => plain(
                StatusCode::NOT_FOUND,
                "there are /, /metrics, /healthz, /readyz, /status and /events\n",
            ),
        }
    }

    fn metrics(&self, request: &Request<Incoming>) -> Response<Body> {
        let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
        let exposition = Exposition::accepted(accept.unwrap_or_default());
        match self.shared.metrics.text(exposition) {
            Ok(text) => response(StatusCode::OK, exposition.content_type(), text),
            Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics can't be written\n"),
        }
    }

    fn health(&self) -> Response<Body> {
        let silent = self.shared.silent_for().as_secs();
        if self.shared.is_alive() {
            plain(StatusCode::OK, "the event loop is alive\n")
        } else {
            let text = format!("the event loop has not taken a turn for {silent} s\n");
            plain(StatusCode::SERVICE_UNAVAILABLE, text)
        }
    }

    fn readiness(&self) -> Response<Body> {
        match self.shared.phase() {
            Phase::Watching => plain(StatusCode::OK, "the hooks are in place\n"),
            Phase::Starting => {
                plain(StatusCode::SERVICE_UNAVAILABLE, "the hooks are being attached\n")
            }
            Phase::Stopping => plain(StatusCode::SERVICE_UNAVAILABLE, "it is about to end\n"),
        }
    }

    fn events(&self, method: &Method) -> Response<Body> {
        let body = if *method == Method::HEAD {
            Either::Left(Full::default())
        } else {
            self.slot.begin_stream();
            Either::Right(events::stream(&self.shared))
        };
        with_headers(Response::new(body), StatusCode::OK, "text/event-stream")
    }
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    response(status, TEXT, text)
}

fn response(
    status: StatusCode,
    content_type: &'static str,
    text: impl Into<Bytes>,
) -> Response<Body> {
    with_headers(Response::new(Either::Left(Full::new(text.into()))), status, content_type)
}

fn with_headers(
    mut response: Response<Body>,
    status: StatusCode,
    content_type: &'static str,
) -> Response<Body> {
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, POLICY),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
