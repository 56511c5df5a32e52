//! Real HTTP receivers on port 0, well-behaved and nasty ones, on plain threads.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) request_line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) at: Instant,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let named = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }
}

/// What a receiver does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Status(u16),
    /// Status line and headers without the empty line, and the body.
    Answer(String, Vec<u8>),
    /// After this time.
    Late(Duration, u16),
    /// Takes the request and says nothing.
    Hang,
    /// Hangs up without a word.
    Close,
    /// 200, and then a byte of the body now and then.
    Drip,
    /// 200, and then a body without end.
    Flood,
    /// These bytes, and then those again and again with a pause between; hangs up if there are none.
    Raw(Vec<u8>, Vec<u8>, Duration),
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<Received>>,
    changed: Condvar,
}

/// A running receiver.
pub(crate) struct Receiver {
    pub(crate) url: String,
    seen: Arc<Seen>,
}

impl Receiver {
    /// `script` is asked with the number of the request, from 0.
    pub(crate) fn start(script: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/hook?token=url-secret", listener.local_addr().expect("bound"));
        let (seen, script) = (Arc::new(Seen::default()), Arc::new(script));
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, script) = (Arc::clone(&shared), Arc::clone(&script));
                std::thread::spawn(move || serve(stream, &seen, &*script));
            }
        });
        Self { url, seen }
    }

    pub(crate) fn requests(&self) -> Vec<Received> {
        self.seen.requests.lock().expect("no panic").clone()
    }

    /// Waits until that many requests are there.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Received> {
        let requests = self.seen.requests.lock().expect("no panic");
        let too_few = |requests: &mut Vec<Received>| requests.len() < count;
        let (requests, waited) = self
            .seen
            .changed
            .wait_timeout_while(requests, Duration::from_secs(10), too_few)
            .expect("no panic");
        assert!(!waited.timed_out(), "{} requests instead of {count}", requests.len());
        requests.clone()
    }
}

fn serve(stream: TcpStream, seen: &Seen, script: &dyn Fn(usize, &Received) -> Reply) {
    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
    while let Some(request) = read_request(&mut reader) {
        let number = {
            let mut requests = seen.requests.lock().expect("no panic");
            requests.push(request.clone());
            requests.len() - 1
        };
        seen.changed.notify_all();
        if reply(&stream, script(number, &request)).is_none() {
            return;
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    let header = |line: &String| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    };
    let headers: Vec<(String, String)> = lines.iter().skip(1).filter_map(header).collect();
    let mut received =
        Received { request_line: lines.remove(0), headers, body: Vec::new(), at: Instant::now() };
    let length = received.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    received.body = vec![0; length];
    reader.read_exact(&mut received.body).ok()?;
    Some(received)
}

/// `None`: the connection is over.
fn reply(mut stream: &TcpStream, reply: Reply) -> Option<()> {
    match reply {
        Reply::Status(code) => {
            let text = format!("HTTP/1.1 {code} Whatever\r\ncontent-length: 2\r\n\r\nok");
            stream.write_all(text.as_bytes()).ok()
        }
        Reply::Answer(head, body) => {
            let head = format!("{head}\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).ok()?;
            stream.write_all(&body).ok()
        }
        Reply::Late(pause, code) => {
            std::thread::sleep(pause);
            self::reply(stream, Reply::Status(code))
        }
        Reply::Hang => {
            std::thread::sleep(Duration::from_secs(60));
            None
        }
        Reply::Close => None,
        Reply::Drip => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n").ok()?;
            loop {
                stream.write_all(b".").ok()?;
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Reply::Flood => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
            loop {
                stream.write_all(&[b'x'; 4096]).ok()?;
            }
        }
        Reply::Raw(first, again, pause) => {
            stream.write_all(&first).ok()?;
            while !again.is_empty() {
                stream.write_all(&again).ok()?;
                std::thread::sleep(pause);
            }
            None
        }
    }
}
