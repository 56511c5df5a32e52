//! Clients that only sit there.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::rig::serve;

const SOON: Duration = Duration::from_secs(5);
const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

async fn connect(address: &str) -> TcpStream {
    let address = address.strip_prefix("http://").expect("plain http");
    timeout(SOON, TcpStream::connect(address)).await.expect("in time").expect("connected")
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_waits_for_nobody_who_says_nothing() {
    let served = serve("").await;
    let _silent = connect(&served.address).await;
    let mut kept = connect(&served.address).await;
    kept.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
    kept.read_u8().await.expect("answered");
    timeout(SOON, served.stop()).await.expect("in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_too_many_waits_until_another_one_ends() {
    let served = serve("").await;
    let mut others = Vec::new();
    for _ in 0..256 {
        others.push(connect(&served.address).await);
    }
    let mut late = connect(&served.address).await;
    late.write_all(REQUEST).await.expect("sent");
    let mut answer = String::new();
    let early = timeout(Duration::from_millis(300), late.read_to_string(&mut answer)).await;
    assert!(early.is_err(), "{answer}");
    others.pop();
    timeout(SOON, late.read_to_string(&mut answer)).await.expect("in time").expect("read");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    drop(others);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_http_harms_nobody() {
    let served = serve("").await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"GET\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ] {
        let mut stream = connect(&served.address).await;
        stream.write_all(bytes).await.expect("sent");
        stream.shutdown().await.expect("half closed");
        let mut answer = Vec::new();
        // Closed without a word is an answer, too.
        let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.expect("in time");
    }
    assert_eq!(served.get("/healthz").await.status, 200);
    served.stop().await;
}
