//! The page for people.

use porchlight::model::{CameraSlug, Offline};
use reqwest::{Method, StatusCode};

use crate::rig::{NOON, event, jpeg, serve};

const CONFIG: &str = "[inspector]\nenabled = true\n[[camera]]\nid = \"front_door\"\nname = \"Front Door\"\n\
                      source = \"rtsp://10.0.0.1/x\"\n[[webhook]]\nid = \"home\"\nname = \"Home\"\nurl = \"http://10.0.0.2/x\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_events_cameras_messages_and_what_the_inspector_received() {
    let served = serve(CONFIG).await;
    let event = event(NOON, "front_door", "person");
    served.commit(&event, Some(&jpeg()), &["home"]).await;
    let camera = CameraSlug::parse("front_door").expect("a slug");
    served.telemetry.cameras.offline(&camera, Offline::Auth, "camera refused the password".to_owned());
    served.send(Method::POST, "/webhook-test", &[], b"{\"a\":1}".to_vec()).await;

    let page = served.get("/").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.header("content-security-policy").starts_with("default-src 'none'; img-src 'self'"));
    let html = page.text();
    for part in [
        "<html lang=\"en\">",
        "A person at Front Door",
        &format!("/api/v1/events/{}/thumbnail?box=true", event.id),
        "alt=\"A person at Front Door\"",
        "camera refused the password",
        "<span class=\"word\">offline</span>",
        "1 waiting",
        "unsigned",
        "1 problem<",
    ] {
        assert!(html.contains(part), "{part} in {html}");
    }
    // Nothing from elsewhere, and every file that is named is there.
    assert!(!html.contains("=\"http"), "{html}");
    assert_eq!(html.matches("\"/assets/").count(), 4);
    for (index, _) in html.match_indices("\"/assets/") {
        let address = html[index + 1..].split('"').next().expect("quoted");
        assert_eq!(served.get(address).await.status, StatusCode::OK, "{address}");
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_wrote_is_text_on_the_page() {
    let served = serve(CONFIG).await;
    let mut event = event(NOON, "front_door", "person");
    event.description = "<script>alert(1)</script>\"'&".to_owned();
    served.commit(&event, Some(&jpeg()), &[]).await;
    let body = b"</pre><img src=x onerror=alert(2)>".to_vec();
    served.send(Method::POST, "/webhook-test", &[], body).await;
    served.send(Method::POST, "/webhook-test", &[("x-note", "<b>\"")], Vec::new()).await;
    let html = served.get("/").await.text();
    for marked_up in ["<script>alert", "<img src=x", "<b>", "&\"", "\"'&"] {
        assert!(!html.contains(marked_up), "{marked_up}");
    }
    assert!(html.contains("&lt;script&gt;alert(1)"));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn older_events_are_a_link_away_and_filters_stay() {
    let served = serve("").await;
    for minute in 0..30 {
        let at = NOON.after(std::time::Duration::from_secs(60 * minute));
        served.commit(&event(at, "front_door", "person"), None, &[]).await;
    }
    let html = served.get("/?label=person").await.text();
    assert_eq!(html.matches("class=\"card\"").count(), 24);
    let link = html.split("class=\"older\"><a href=\"").nth(1).and_then(|rest| rest.split('"').next());
    let link = link.expect("a link").replace("&amp;", "&").replace("&#x2f;", "/");
    assert!(link.contains("label=person"), "{link}");
    let older = served.get(&link).await.text();
    assert_eq!(older.matches("class=\"card\"").count(), 6);
    assert!(!older.contains("data-live") && !older.contains("class=\"older\""));
    assert_eq!(served.get("/?label=ghost").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    served.stop().await;
}
