//! What the API says about receivers and about the agent as they see it: health checks, source addresses.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use reqwest::StatusCode;
use serde_json::json;

use crate::rig::{BASE, serve};

/// A receiver that answers every request with this status line.
fn receiver(status: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/hook?token=url-secret", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = BufReader::new(&stream).lines().map_while(Result::ok).find(String::is_empty);
            let _ = write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\n\r\n");
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_24_the_health_of_a_receiver_has_the_guides_keys() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let mut more = String::new();
    for (id, url) in [
        ("well", receiver("200 OK")),
        ("ill", receiver("503 Busy")),
        ("post_only", receiver("405 Method Not Allowed")),
        ("gone", format!("http://{closed}/secret-path?token=secret")),
    ] {
        more += &format!("[[webhook]]\nid = \"{id}\"\nurl = \"{url}\"\nsecret = \"x\"\n");
    }
    more += "[[webhook]]\nid = \"off\"\nurl = \"http://127.0.0.1/\"\nsecret = \"x\"\nenabled = false\n";
    let served = serve(&more).await;
    for (id, status, code) in
        [("well", "healthy", 200), ("ill", "unhealthy", 503), ("post_only", "healthy", 405)]
    {
        let answer = served.get(&format!("/api/v1/webhooks/{id}/health")).await;
        assert_eq!(answer.status, StatusCode::OK);
        let health = answer.json();
        let keys: Vec<&String> = health.as_object().expect("an object").keys().collect();
        let promised = ["webhook_id", "status", "response_code", "response_time", "checked_at"];
        assert!(promised.iter().all(|key| keys.contains(&&(*key).to_owned())), "{keys:?}");
        assert_eq!((&health["webhook_id"], &health["status"]), (&json!(id), &json!(status)));
        assert_eq!(health["response_code"], json!(code));
        assert!(health["response_time"].is_u64());
        assert!(health["checked_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{health}");
        assert_eq!(health.get("method_not_allowed"), (code == 405).then_some(&json!(true)));
        // Asked again at once, it is the same look, in either form of the address.
        assert_eq!(served.get(&format!("/api/v1/webhooks/{id}/health/")).await.json(), health);
    }
    let health = served.get("/api/v1/webhooks/gone/health").await.json();
    let mut keys: Vec<&String> = health.as_object().expect("an object").keys().collect();
    keys.sort();
    assert_eq!(keys, ["checked_at", "error", "status", "webhook_id"]);
    assert_eq!(health["status"], "unreachable");
    assert!(!health.to_string().contains("secret"), "{health}");
    for id in ["off", "unknown", "not%20an%20id"] {
        let answer = served.get(&format!("/api/v1/webhooks/{id}/health")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{id}");
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_33_the_system_shows_the_addresses_that_requests_come_from() {
    let served = serve("").await;
    let system = served.get("/api/v1/system").await.json();
    assert_eq!(
        (&system["name"], &system["version"]),
        (&json!("porchlight"), &json!(env!("CARGO_PKG_VERSION")))
    );
    assert_eq!(system["public_base_url"], BASE);
    assert!(system["uptime_s"].is_u64() && system["os"].is_string() && system["arch"].is_string());
    let outbound = &system["outbound"];
    assert_eq!((&outbound["mode"], &outbound["https_only"]), (&json!("lan"), &json!(false)));
    assert_eq!(outbound["local_address"], json!(null));
    // The address that a connection to elsewhere would come from is among them.
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").expect("a socket");
    if socket.connect("203.0.113.1:9").is_ok() {
        let own = socket.local_addr().expect("bound").ip().to_string();
        let shown = outbound["source_addresses"].as_array().expect("a list");
        assert!(shown.iter().any(|row| row["address"] == own && row["interface"].is_string()), "{system}");
    }
    served.stop().await;

    let served = serve("[outbound]\nlocal_address = \"127.0.0.1\"\nmode = \"strict\"\n").await;
    let outbound = served.get("/api/v1/system/").await.json()["outbound"].clone();
    assert_eq!((&outbound["local_address"], &outbound["mode"]), (&json!("127.0.0.1"), &json!("strict")));
    served.stop().await;
}
