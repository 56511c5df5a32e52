//! The pictures of events.

use std::time::Duration;

use image::{ImageFormat, load_from_memory_with_format};
use reqwest::{Method, StatusCode};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::rig::{NOON, event, jpeg, serve};

#[tokio::test(flavor = "multi_thread")]
async fn s1_18_a_picture_is_served_as_it_was_committed_under_the_address_in_the_event() {
    let served = serve("").await;
    let (event, jpeg) = (event(NOON, "front_door", "person"), jpeg());
    served.commit(&event, Some(&jpeg), &[]).await;
    let told = served.get(&format!("/api/v1/events/{}", event.id)).await.json();
    let url = told["thumbnail"]["url"].as_str().expect("an address");
    let path = url.strip_prefix(crate::rig::BASE).expect("begins with public_base_url");
    assert_eq!(path, format!("/api/v1/events/{}/thumbnail", event.id));

    for path in [path.to_owned(), format!("{path}/"), format!("{path}?v=1234")] {
        let picture = served.get(&path).await;
        assert_eq!(picture.status, StatusCode::OK);
        assert_eq!(picture.body, jpeg);
        assert_eq!(picture.header("content-type"), "image/jpeg");
        assert_eq!(picture.header("content-length"), jpeg.len().to_string());
        assert_eq!(picture.header("etag"), format!("\"{}\"", hex::encode(Sha256::digest(&jpeg))));
        assert_eq!(picture.header("cache-control"), "private, no-cache");
        assert_eq!(picture.header("x-content-type-options"), "nosniff");
    }
    let tag = format!("\"{}\"", hex::encode(Sha256::digest(&jpeg)));
    let again = served.send(Method::GET, path, &[("if-none-match", &tag)], Vec::new()).await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
    let head = served.send(Method::HEAD, path, &[], Vec::new()).await;
    assert_eq!(head.header("content-length"), jpeg.len().to_string());
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_is_drawn_on_request() {
    let served = serve("").await;
    let event = event(NOON, "front_door", "person");
    served.commit(&event, Some(&jpeg()), &[]).await;
    let path = format!("/api/v1/events/{}/thumbnail", event.id);
    let plain = served.get(&path).await;
    let boxed = served.get(&format!("{path}?box=true")).await;
    assert_eq!(boxed.status, StatusCode::OK);
    assert_ne!(boxed.header("etag"), plain.header("etag"));
    let picture = load_from_memory_with_format(&boxed.body, ImageFormat::Jpeg).expect("a JPEG").into_rgb8();
    assert_eq!((picture.width(), picture.height()), (64, 48));
    // The lower edge of the box is yellow, the other half of the picture is as it was.
    let [red, _, blue] = picture.get_pixel(18, 42).0;
    assert!(red > 180 && blue < 90, "{:?}", picture.get_pixel(18, 42));
    assert!(picture.get_pixel(55, 40).0.iter().all(|value| value.abs_diff(90) < 12));
    assert_eq!(served.get(&format!("{path}?box=false")).await.body, plain.body);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_not_there_is_told_so() {
    let served = serve("").await;
    let event = event(NOON, "front_door", "person");
    served.commit(&event, None, &[]).await;
    let path = format!("/api/v1/events/{}/thumbnail", event.id);
    let answer = served.get(&path).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let detail = "the event has no picture, or it made room for newer ones";
    assert_eq!(answer.json(), json!({"detail": detail}));
    let other = crate::rig::event(NOON.after(Duration::from_secs(1)), "front_door", "person");
    let answer = served.get(&format!("/api/v1/events/{}/thumbnail", other.id)).await;
    assert_eq!(
        (answer.status, answer.json()),
        (StatusCode::NOT_FOUND, json!({"detail": "there is no such event"}))
    );
    served.stop().await;
}
