//! Every address works with and without a slash at its end, without a redirect.

use reqwest::{Method, StatusCode};

use crate::rig::{NOON, event, jpeg, serve, serve_guarded};

#[tokio::test(flavor = "multi_thread")]
async fn s4_2_both_forms_of_an_address_are_the_same_route() {
    let served =
        serve("[inspector]\nenabled = true\n[[camera]]\nid = \"hall\"\nsource = \"rtsp://10.0.0.1/x\"\n")
            .await;
    let event = event(NOON, "front_door", "person");
    served.commit(&event, Some(&jpeg()), &["home"]).await;
    let one = format!("/api/v1/events/{}", event.id);
    for path in [
        "/healthz",
        "/readyz",
        "/metrics",
        "/api/v1/health",
        "/api/v1/events",
        &one,
        &format!("{one}/states"),
        &format!("{one}/thumbnail"),
        "/api/v1/cameras",
        "/api/v1/cameras/hall",
        "/api/v1/webhook-deliveries",
        "/api/v1/webhook-test/logs",
        "/api/v1/tokens",
    ] {
        for form in [path.to_owned(), format!("{path}/"), format!("{path}/?")] {
            assert_eq!(served.get(&form).await.status, StatusCode::OK, "{form}");
        }
    }
    for form in ["/webhook-test", "/webhook-test/", "/webhook-test/?status=200"] {
        let answer = served.send(Method::POST, form, &[], b"{}".to_vec()).await;
        assert_eq!(answer.status, StatusCode::OK, "{form}");
    }
    let limited = served.get("/api/v1/events/?limit=0").await;
    assert_eq!(limited.status, StatusCode::UNPROCESSABLE_ENTITY, "the query stays");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_2_a_slash_opens_nothing() {
    let served = serve_guarded("loopback_scopes = []", "").await;
    for path in [
        "/api/v1/events/",
        "//",
        "//api/v1/events",
        "/api/v1/events//",
        "/api/v1/tokens/",
        "/healthz/../metrics/",
    ] {
        let status = served.get(path).await.status;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
    }
    served.stop().await;
}
