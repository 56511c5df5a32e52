//! Cameras over HTTP: a stream of JPEGs (`multipart/x-mixed-replace`), or an address that answers with one picture and is asked
//! again and again. Which of the two it is, the first answer tells.
//!
//! Every size is bounded, and every wait is: what counts is a whole picture within the time, so a camera that drips a byte a second
//! is as stalled as one that is silent.

pub(super) mod parts;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_auth::{PasswordClient, PasswordParams};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use reqwest::{Client, Response, StatusCode};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use secrecy::ExposeSecret as _;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use url::Position;

use super::arrivals::Arrivals;
use super::queue::Closed;
use super::status::from_status;
use super::{Capture, End, Failure, PacketSender, USER_AGENT};
use crate::config::HttpSource;
use crate::model::{Captured, Codec, Offline, Packet};
use parts::{BadParts, MAX_PICTURE, Parts};

/// How a JPEG begins.
const START_OF_IMAGE: [u8; 2] = [0xff, 0xd8];

pub(super) async fn run_once(
    capture: &Capture,
    source: &HttpSource,
    out: &PacketSender,
    cancel: &CancellationToken,
) -> Result<End, Failure> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Ok(End::Cancelled),
        () = out.closed() => Ok(End::Unwanted),
        result = run_session(capture, source, out) => result,
    }
}

async fn run_session(capture: &Capture, source: &HttpSource, out: &PacketSender) -> Result<End, Failure> {
    // Pictures without time stamps are of the time at which they are taken.
    let _cannot = capture.naps.wait();
    let mut session = Session { capture, source, client: client(capture, source)?, login: None };
    let answer = session.get_in_time().await?;
    let mut sender = Sender { capture, out, began: Instant::now(), arrivals: capture.arrivals() };
    let header = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = header.unwrap_or_default().to_owned();
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        multipart if multipart.starts_with("multipart/") => {
            stream(capture, answer, &content_type, &mut sender).await
        }
        // Those that say nothing are asked to prove it by what they send.
        "image/jpeg" | "image/jpg" | "image/pjpeg" | "application/octet-stream" | "" => {
            poll(&mut session, answer, &mut sender).await
        }
        _ => Err(Failure::new(
            Offline::Codec,
            format!(
                "the address answers with {kind}, not with an MJPEG stream or a JPEG; check the path in it"
            ),
        )),
    }
}

/// Pictures as they come.
async fn stream(
    capture: &Capture,
    mut answer: Response,
    content_type: &str,
    sender: &mut Sender<'_>,
) -> Result<End, Failure> {
    let odd = |error: BadParts| {
        Failure::new(Offline::Protocol, format!("the MJPEG stream cannot be read: {error}"))
    };
    let mut parts = Parts::new(content_type).map_err(odd)?;
    loop {
        let picture = async {
            loop {
                if let Some(picture) = parts.next().map_err(odd)? {
                    return Ok(picture);
                }
                match answer.chunk().await.map_err(|error| failed(error, "the stream broke off"))? {
                    Some(bytes) => parts.push(&bytes),
                    None => return Err(Failure::new(Offline::Protocol, "the camera ended the stream")),
                }
            }
        };
        let picture =
            timeout(capture.patience.stall, picture).await.map_err(|_| stalled(capture.patience.stall))??;
        if sender.offer(picture)? == Err(Closed) {
            return Ok(End::Unwanted);
        }
    }
}

/// One picture after the other, each asked for.
async fn poll(session: &mut Session<'_>, first: Response, sender: &mut Sender<'_>) -> Result<End, Failure> {
    let stall = session.capture.patience.stall;
    let mut due = tokio::time::interval(session.source.interval);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    due.tick().await;
    let mut answer = first;
    loop {
        let picture = timeout(stall, body(answer)).await.map_err(|_| stalled(stall))??;
        if sender.offer(picture)? == Err(Closed) {
            return Ok(End::Unwanted);
        }
        due.tick().await;
        answer = session.get_in_time().await?;
    }
}

async fn body(mut answer: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(bytes) = answer.chunk().await.map_err(|error| failed(error, "the picture broke off"))? {
        if body.len() + bytes.len() > MAX_PICTURE {
            return Err(Failure::new(Offline::Protocol, "the camera sends a picture of more than 16 MB"));
        }
        body.extend_from_slice(&bytes);
    }
    Ok(body)
}

struct Sender<'c> {
    capture: &'c Capture,
    out: &'c PacketSender,
    began: Instant,
    arrivals: Arrivals<'c>,
}

impl Sender<'_> {
    fn offer(&mut self, data: Vec<u8>) -> Result<Result<(), Closed>, Failure> {
        if !data.starts_with(&START_OF_IMAGE) {
            return Err(Failure::new(Offline::Codec, "the camera sends something that is no JPEG"));
        }
        let captured = Captured::now();
        self.arrivals.picture(captured.at);
        Ok(self.out.offer(Packet {
            camera: Arc::clone(&self.capture.camera),
            captured,
            pts: captured.at.saturating_duration_since(self.began),
            codec: Codec::Jpeg,
            key: true,
            gap: false,
            data,
        }))
    }
}

struct Session<'c> {
    capture: &'c Capture,
    source: &'c HttpSource,
    client: Client,
    /// What the camera asked for: basic or digest, with its counter.
    login: Option<PasswordClient>,
}

impl Session<'_> {
    async fn get_in_time(&mut self) -> Result<Response, Failure> {
        let limit = self.capture.patience.connect;
        timeout(limit, self.get()).await.map_err(|_| {
            let secs = limit.as_secs_f32().ceil();
            Failure::new(
                Offline::Unreachable,
                format!("the camera does not answer within {secs} s; check its power, cable and address"),
            )
        })?
    }

    /// Asks; if the camera wants a password, asks again with it. A digest's challenge may run out at any time.
    async fn get(&mut self) -> Result<Response, Failure> {
        let mut answer = self.ask().await?;
        if answer.status() == StatusCode::UNAUTHORIZED && self.source.credentials.is_some() {
            let mut challenges = PasswordClient::builder();
            for value in answer.headers().get_all(WWW_AUTHENTICATE) {
                challenges = challenges.challenges(value.to_str().unwrap_or_default());
            }
            self.login = Some(challenges.build().map_err(|_| {
                Failure::new(Offline::Auth, "the camera asks for a login that is neither basic nor digest")
            })?);
            answer = self.ask().await?;
        }
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let known = self.source.credentials.is_some();
        Err(from_status(status.as_u16(), &status.to_string(), known))
    }

    async fn ask(&mut self) -> Result<Response, Failure> {
        let mut request = self.client.get(self.source.url.clone());
        if let (Some(login), Some(credentials)) = (&mut self.login, &self.source.credentials) {
            let authorization = login.respond(&PasswordParams {
                username: &credentials.username,
                password: credentials.password.expose_secret(),
                uri: &self.source.url[Position::BeforePath..Position::AfterQuery],
                method: "GET",
                body: Some(&[]),
            });
            let authorization = authorization.map_err(|_| {
                Failure::new(Offline::Auth, "the camera's question for the password cannot be answered")
            })?;
            request = request.header(AUTHORIZATION, authorization);
        }
        request.send().await.map_err(|error| failed(error, "the camera does not speak HTTP as expected"))
    }
}

fn client(capture: &Capture, source: &HttpSource) -> Result<Client, Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(Offline::Protocol, format!("cannot make an HTTP client: {error}"))
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?;
    let tls = if source.url.scheme() == "https" {
        tls.with_platform_verifier().map_err(|error| failed(&error))?
    } else {
        // Nothing is encrypted, and the system's certificates need not be there.
        tls.with_root_certificates(RootCertStore::empty())
    };
    Client::builder()
        .user_agent(USER_AGENT)
        .tls_backend_preconfigured(tls.with_no_client_auth())
        .http1_only()
        .no_proxy()
        // A login answers for one address.
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(capture.patience.connect)
        .build()
        .map_err(|error| failed(&error))
}

fn stalled(limit: Duration) -> Failure {
    let secs = limit.as_secs_f32();
    Failure::new(
        Offline::Stalled,
        format!("connected, but no picture for {secs} s; restart the camera if this does not pass"),
    )
}

/// Never with the address, which may hold a password.
fn failed(error: reqwest::Error, otherwise: &str) -> Failure {
    let error = error.without_url();
    let chain: Vec<&(dyn std::error::Error + 'static)> =
        std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source()).collect();
    let refused = chain.iter().any(|cause| {
        let io = cause.downcast_ref::<io::Error>();
        io.is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused)
    });
    let cause = chain.last().map(ToString::to_string).unwrap_or_default();
    if refused {
        return Failure::new(
            Offline::Refused,
            "nobody listens at that address and port; is HTTP switched on in the camera, and the port right?",
        );
    }
    if cause.contains("certificate") {
        return Failure::new(
            Offline::Protocol,
            format!(
                "the camera's certificate is not trusted; use http:// inside the house, or install it ({cause})"
            ),
        );
    }
    if error.is_connect() {
        return Failure::new(
            Offline::Unreachable,
            format!("the camera cannot be reached; check its power, cable, name and address ({cause})"),
        );
    }
    Failure::new(Offline::Protocol, format!("{otherwise}: {cause}"))
}
