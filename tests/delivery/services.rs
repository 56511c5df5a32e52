//! The formats of services that are not ours: chats, push messages, automations; judged by their own libraries where there are any.

use porchlight::config::WebhookConfig;
use porchlight::delivery::Payload;
use porchlight::model::Event;
use serde_json::{Value, json};

use crate::agent::BASE;
use crate::rendered::{ID, body, judged, known, sent, thumbnail, webhook};

/// Their addresses only.
fn without_pictures(webhook: &mut WebhookConfig) {
    webhook.payload.attachments = Some(Vec::new());
}

const JPEG: &[u8] = b"\xff\xd8\xff\xe0 not much of a picture \r\n--\xff\xd9";

#[test]
fn s1_23_slack_gets_the_guides_blocks_and_a_text() {
    let request = sent("slack", &known(), None, |_| {});
    assert_eq!(
        request.text(),
        r#"{"text":"Person at Front Door: A person at Front Door","blocks":[{"type":"section","text":{"type":"mrkdwn","text":"*Person at Front Door*\nA person at Front Door"}},{"type":"context","elements":[{"type":"mrkdwn","text":"Camera: Front Door"},{"type":"mrkdwn","text":"Time: 2026-11-22T05:44:06Z"}]}]}"#
    );
    assert_eq!(request.header("webhook-signature"), None);
    let long = Event { description: "<a & b> ".repeat(2000), ..known() };
    let script = "import sys, json\nfrom slack_sdk.models.blocks import Block\n\
                  body = json.load(sys.stdin)\n\
                  blocks = [Block.parse(block) for block in body['blocks']]\n\
                  [block.validate_json() for block in blocks]\n\
                  assert len(body['text']) < 40000\n\
                  assert all(len(e['text']) <= 2000 for e in body['blocks'][1]['elements'])\n\
                  assert len(body['blocks'][0]['text']['text']) <= 3000\n\
                  print([type(block).__name__ for block in blocks])";
    for event in [known(), long] {
        let body = body(&webhook("slack"), &event).unwrap();
        assert_eq!(judged("venv", &["-c", script], body.as_bytes()), "['SectionBlock', 'ContextBlock']");
    }
}

#[test]
fn s1_24_discord_gets_the_guides_embed_and_the_picture() {
    let embed = |url: &str| {
        json!({"embeds": [{
            "title": "Person at Front Door", "description": "A person at Front Door", "color": 15_158_332,
            "fields": [
                {"name": "Camera", "value": "Front Door", "inline": true},
                {"name": "Detection", "value": "person", "inline": true},
            ],
            "thumbnail": {"url": url}, "timestamp": "2026-11-22T05:44:06Z",
        }]})
    };
    let without = sent("discord", &known(), Some(JPEG), without_pictures);
    assert_eq!(without.header("content-type"), Some("application/json"));
    assert_eq!(without.json(), embed(&thumbnail()));

    let with = sent("discord", &known(), Some(JPEG), |_| {});
    let parts = with.parts();
    assert_eq!(
        parts[0].0,
        "Content-Disposition: form-data; name=\"payload_json\"\r\nContent-Type: application/json"
    );
    let payload: Value = serde_json::from_slice(&parts[0].1).unwrap();
    assert_eq!(payload, embed("attachment://thumbnail.jpg"));
    assert_eq!(
        parts[1].0,
        "Content-Disposition: form-data; name=\"files[0]\"; filename=\"thumbnail.jpg\"\r\nContent-Type: image/jpeg"
    );
    assert_eq!((parts[1].1.as_slice(), parts.len()), (JPEG, 2));

    let script = "import sys, json, discord\n\
                  embed = discord.Embed.from_dict(json.load(sys.stdin)['embeds'][0])\n\
                  assert 0 < len(embed) <= 6000 and all(0 < len(f.value) <= 1024 for f in embed.fields)\n\
                  print(embed.thumbnail.url, embed.timestamp.isoformat(), embed.colour)";
    let judged_embed = judged("venv", &["-c", script], &parts[0].1);
    assert_eq!(judged_embed, "attachment://thumbnail.jpg 2026-11-22T05:44:06+00:00 #e74c3c");
    let bare = Event { thumbnail: None, label: None, camera: None, ..known() };
    let bare = body(&webhook("discord"), &bare).unwrap();
    assert!(judged("venv", &["-c", script], bare.as_bytes()).starts_with("None 2026"));
}

#[test]
fn s1_25_home_assistants_automation_finds_what_it_reads() {
    let request = sent("homeassistant", &known(), Some(JPEG), |_| {});
    assert!(request.request_line.starts_with("POST /hook"));
    let json = request.json();
    assert_eq!(json["rule"]["name"], "Person at Front Door");
    assert_eq!(json["event"]["description"], "A person at Front Door");
    assert_eq!(json["event"]["thumbnail_url"], thumbnail());
}

#[test]
fn s1_26_node_reds_function_finds_what_it_reads() {
    // The guide's function node.
    let script = "const msg = {payload: JSON.parse(require('fs').readFileSync(0))};\n\
                  const payload = msg.payload;\nconst event = payload.event;\n\
                  msg.notification = {title: payload.rule.name, message: event.description,\n\
                  camera: event.camera_name, thumbnail: event.thumbnail_url};\n\
                  console.log(JSON.stringify(msg.notification))";
    let request = sent("argus", &known(), Some(JPEG), |_| {});
    let expected = json!({"title": "Person at Front Door", "message": "A person at Front Door",
                          "camera": "Front Door", "thumbnail": thumbnail()});
    assert_eq!(judged("node", &["-e", script], &request.body), expected.to_string());
}

#[test]
fn s1_27_ifttt_gets_its_three_values() {
    let request = sent("ifttt", &known(), None, |_| {});
    assert_eq!(
        request.text(),
        r#"{"value1":"Person at Front Door","value2":"A person at Front Door","value3":"Front Door"}"#
    );
}

#[test]
fn s1_28_pushover_gets_a_form_with_the_picture() {
    let request = sent("pushover", &known(), Some(JPEG), |webhook| {
        webhook.payload.options.insert("token".into(), "app".into());
        webhook.payload.options.insert("user".into(), "me".into());
    });
    for (name, value) in [
        ("token", "app"),
        ("user", "me"),
        ("title", "Person at Front Door"),
        ("message", "A person at Front Door"),
        ("url", &format!("{BASE}/?event={ID}")),
        ("url_title", "View Event"),
    ] {
        assert_eq!(request.field(name).as_deref(), Some(value), "{name}");
    }
    let (head, content) = request.parts().pop().unwrap();
    assert_eq!(
        head,
        "Content-Disposition: form-data; name=\"attachment\"; filename=\"thumbnail.jpg\"\r\nContent-Type: image/jpeg"
    );
    assert_eq!(content, JPEG);
    let (key, message) = Payload::compile(&webhook("pushover")).unwrap_err();
    assert_eq!((key, message.as_str()), ("options", "the format `pushover` needs the option `token`"));
}

#[test]
fn s1_29_telegram_gets_the_picture_and_a_caption_that_it_can_parse() {
    let event = Event { description: "A_person *here* [now] `x`".to_owned(), ..known() };
    let request = sent("telegram", &event, Some(JPEG), |webhook| {
        webhook.payload.options.insert("chat_id".into(), "-1001".into());
    });
    assert_eq!(request.field("chat_id").as_deref(), Some("-1001"));
    assert_eq!(request.field("parse_mode").as_deref(), Some("Markdown"));
    assert_eq!(
        request.field("caption").unwrap(),
        "*Person at Front Door*\n\nA\\_person \\*here\\* \\[now] \\`x\\`\n\nCamera: Front Door"
    );
    let (head, content) = request.parts().pop().unwrap();
    assert!(head.contains("name=\"photo\"; filename=\"thumbnail.jpg\""), "{head}");
    assert_eq!(content, JPEG);
    let without = sent("telegram", &event, Some(JPEG), |webhook| {
        webhook.payload.options.insert("chat_id".into(), "-1001".into());
        without_pictures(webhook);
    });
    assert_eq!(without.field("photo").unwrap(), thumbnail());
    // The library's own signature of sendPhoto, and its limit.
    let script = "import sys, inspect, telegram\n\
                  known = set(inspect.signature(telegram.Bot.send_photo).parameters)\n\
                  assert {'chat_id', 'photo', 'caption', 'parse_mode'} <= known\n\
                  assert telegram.constants.ParseMode('Markdown')\n\
                  print(len(sys.stdin.read()) <= telegram.constants.MessageLimit.CAPTION_LENGTH)";
    let long = Event { description: "_".repeat(5000), ..known() };
    let long = sent("telegram", &long, None, |webhook| {
        webhook.payload.options.insert("chat_id".into(), "1".into());
    });
    assert_eq!(judged("venv", &["-c", script], long.field("caption").unwrap().as_bytes()), "False");
    let plain = long.field("caption").unwrap().replace('\\', "");
    assert_eq!(judged("venv", &["-c", script], plain.as_bytes()), "True");
}
