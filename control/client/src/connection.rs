//! `Client`: one HTTP/1.1 connection.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{HeaderMap, Method, Request, client::conn::http1, header::HeaderValue};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Bytes of an answer's body at most.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers at this address.
    #[error("{address}: cannot connect: {error}")]
    Connect {
        /// Where to.
        address: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// The request does not form: a path or header with a forbidden byte.
    #[error("the request does not form: {0}")]
    Request(#[from] hyper::http::Error),
    /// The connection broke before the answer was whole. The fate of the request is open.
    #[error("the connection broke before the answer was whole: {0}")]
    Broken(#[from] hyper::Error),
    /// The answer's body broke off or is too large.
    #[error("the answer's body broke off or is over {ANSWER_BYTES_MAX} bytes: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
}

/// One keep-alive connection.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    sender: http1::SendRequest<Full<Bytes>>,
    bearer: Option<HeaderValue>,
}

/// An answer, read whole.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON; `null` if it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text, damaged characters replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    /// Connects; `token` goes out as `Authorization: Bearer` with every request.
    ///
    /// # Errors
    /// If nobody listens there, or the token has a byte that no header may have.
    pub async fn connect(address: SocketAddr, token: Option<&str>) -> Result<Self, ClientError> {
        let stream =
            TcpStream::connect(address).await.map_err(|error| ClientError::Connect { address, error })?;
        stream.set_nodelay(true).map_err(|error| ClientError::Connect { address, error })?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the sender; its errors surface at the request that meets them.
        tokio::spawn(connection);
        let bearer = token
            .map(|token| HeaderValue::try_from(format!("Bearer {token}")))
            .transpose()
            .map_err(hyper::http::Error::from)?;
        Ok(Self { address, sender, bearer })
    }

    /// Asks with GET.
    ///
    /// # Errors
    /// If the connection breaks first.
    pub async fn get(&mut self, path: &str) -> Result<Reply, ClientError> {
        self.send(Method::GET, path, &[], Bytes::new()).await
    }

    /// Asks with POST and a JSON body under an idempotency key.
    ///
    /// # Errors
    /// If the connection breaks first: the fate of the request is then open.
    pub async fn post(&mut self, path: &str, key: &str, body: Bytes) -> Result<Reply, ClientError> {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        self.send(Method::POST, path, &headers, body).await
    }

    /// Asks.
    ///
    /// # Errors
    /// If the request does not form or the connection breaks first.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Reply, ClientError> {
        let mut request =
            Request::builder().method(method).uri(path).header("host", self.address.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", bearer);
        }
        let request = request.body(Full::new(body))?;
        self.sender.ready().await?;
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        let body =
            Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(ClientError::Body)?.to_bytes();
        Ok(Reply { status: head.status.as_u16(), headers: head.headers, body })
    }
}
