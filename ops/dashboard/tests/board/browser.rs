//! Chromium, if it is installed, over its own debugging socket: open a page, wait until it shows something, take a picture,
//! and hear what the console says.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

/// How long a page may take to show what is waited for; this machine may be busy.
const PATIENCE: Duration = Duration::from_secs(40);

pub struct Browser {
    process: Child,
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    session: String,
    asked: u64,
    /// Errors and warnings of the console, exceptions, and requests to elsewhere.
    pub complaints: Vec<String>,
    /// Addresses asked for.
    pub requests: Vec<String>,
    _profile: tempfile::TempDir,
}

pub fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("chromium")).find(|file| file.is_file())
}

impl Browser {
    pub fn start(program: &Path) -> Browser {
        let profile = tempfile::tempdir().unwrap();
        let mut process = Command::new(program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"])
            .args(["--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address =
            lines.by_ref().find_map(|line| line.ok()?.strip_prefix("DevTools listening on ").map(str::to_owned));
        // What it says afterwards has to go somewhere.
        std::thread::spawn(move || lines.for_each(drop));
        let (socket, _) = tungstenite::connect(address.expect("chromium says where it listens")).unwrap();
        let mut browser = Browser {
            process,
            socket,
            session: String::new(),
            asked: 0,
            complaints: Vec::new(),
            requests: Vec::new(),
            _profile: profile,
        };
        let target = browser.ask("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let attached = browser.ask("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        attached["sessionId"].as_str().unwrap().clone_into(&mut browser.session);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable", "Network.enable"] {
            browser.ask(domain, json!({}));
        }
        browser
    }

    /// One command and its answer; events on the way are looked at for complaints.
    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let mut request = json!({"id": self.asked, "method": method, "params": params});
        if !self.session.is_empty() {
            request["sessionId"] = json!(self.session);
        }
        self.socket.send(Message::text(request.to_string())).unwrap();
        loop {
            let Message::Text(text) = self.socket.read().unwrap() else { continue };
            let said: Value = serde_json::from_str(&text).unwrap();
            if said["id"] == json!(self.asked) {
                assert!(said["error"].is_null(), "{method}: {said}");
                return said["result"].clone();
            }
            self.hear(&said);
        }
    }

    fn hear(&mut self, event: &Value) {
        let params = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Runtime.consoleAPICalled" if matches!(params["type"].as_str(), Some("error" | "warning" | "assert")) => {
                self.complaints.push(params["args"].to_string());
            }
            "Runtime.exceptionThrown" => self.complaints.push(params["exceptionDetails"].to_string()),
            "Log.entryAdded" if params["entry"]["level"] == "error" => {
                self.complaints.push(params["entry"].to_string())
            }
            "Network.requestWillBeSent" => {
                let url = params["request"]["url"].as_str().unwrap_or_default();
                if !url.starts_with("http://127.0.0.1:") && !url.starts_with("data:") {
                    self.complaints.push(format!("asked {url}"));
                }
                self.requests.push(url.to_owned());
            }
            _ => {}
        }
    }

    pub fn size(&mut self, width: u32, height: u32, scheme: &str) {
        let screen = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.ask("Emulation.setDeviceMetricsOverride", screen);
        self.ask(
            "Emulation.setEmulatedMedia",
            json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]}),
        );
    }

    pub fn open(&mut self, url: &str) {
        self.ask("Page.navigate", json!({"url": url}));
    }

    /// Runs a script before any of the next page's own.
    pub fn first(&mut self, script: &str) -> Value {
        self.ask("Page.addScriptToEvaluateOnNewDocument", json!({"source": script}))["identifier"].clone()
    }

    /// No longer runs it.
    pub fn no_longer_first(&mut self, script: &Value) {
        self.ask("Page.removeScriptToEvaluateOnNewDocument", json!({"identifier": script}));
    }

    /// The value of a JavaScript expression.
    pub fn value(&mut self, expression: &str) -> Value {
        self.ask("Runtime.evaluate", json!({"expression": expression, "returnByValue": true}))["result"]["value"]
            .clone()
    }

    /// Waits until the expression is true.
    #[track_caller]
    pub fn wait(&mut self, expression: &str) {
        let until = Instant::now() + PATIENCE;
        while self.value(expression) != json!(true) {
            let text = self.value("document.body.innerText");
            assert!(Instant::now() < until, "not within {PATIENCE:?}: {expression}\n{text}\n{:?}", self.complaints);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    #[track_caller]
    pub fn wait_text(&mut self, text: &str) {
        self.wait(&format!("document.body.innerText.toLowerCase().includes({})", json!(text.to_lowercase())));
    }

    /// A picture of what is seen, as a PNG in base64.
    pub fn picture(&mut self) -> String {
        self.ask("Page.captureScreenshot", json!({"format": "png"}))["data"].as_str().unwrap().to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its own children follow.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
