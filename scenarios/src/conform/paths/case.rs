//! A recorded case: the network, what was typed, what was asked, what came of it.

use super::pcap::{self, Captured};
use serde_json::Value;
use sim_core::wire::Mac;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

/// An end of a cable: node and interface or port.
pub type End = (String, String);

/// The network of a case. A node without an Ethernet address is a learning bridge.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Topology {
    /// Cables.
    pub links: Vec<[End; 2]>,
    /// Ethernet addresses.
    pub macs: BTreeMap<End, Mac>,
}

impl Topology {
    /// The hosts in the order of the cables, each with its interfaces.
    pub fn hosts(&self) -> Vec<(String, Vec<String>)> {
        let mut hosts: Vec<(String, Vec<String>)> = Vec::new();
        for end in self.links.iter().flatten().filter(|e| self.macs.contains_key(*e)) {
            match hosts.iter_mut().find(|h| h.0 == end.0) {
                Some(host) => host.1.push(end.1.clone()),
                None => hosts.push((end.0.clone(), vec![end.1.clone()])),
            }
        }
        hosts
    }
}

/// A command typed on a host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Typed {
    /// Where.
    pub host: String,
    /// What.
    pub command: String,
}

/// What a user of a connection does.
#[derive(Clone, PartialEq, Debug)]
pub enum Act {
    /// Open it.
    Connect,
    /// Send so many bytes; what the server is asked to do.
    Send(u32, Wish),
    /// Wait for an answer.
    Receive,
    /// Wait so many milliseconds.
    Sleep(u64),
    /// Keepalive: seconds idle, seconds between probes, probes.
    Keepalive(u64, u64, u8),
    /// Close it.
    Close,
}

/// What a request asks the server to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// Answer and keep the connection.
    Keep,
    /// Reset the connection.
    Reset,
}

/// One request, a step of a case.
#[derive(Clone, PartialEq, Debug)]
pub enum Request {
    /// An HTTP/1.0 exchange.
    Tcp(IpAddr, u16),
    /// A datagram and its answer.
    Udp(IpAddr, u16),
    /// A command.
    Command(String),
    /// Nothing for some milliseconds.
    Wait(u64),
    /// A connection driven act by act; with a name, in the background.
    Session(Option<String>, IpAddr, u16, Vec<Act>),
    /// Waits for the end of a session in the background.
    Join(String),
}

/// How a request was made, other than usual.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Options {
    /// Bytes of the request (of an HTTP request: more than usual).
    pub size: Option<u32>,
    /// Bytes of the response, or of its body.
    pub response: Option<u32>,
    /// Source port.
    pub sport: Option<u16>,
    /// Source address.
    pub source: Option<IpAddr>,
    /// Patience in milliseconds.
    pub timeout: Option<u64>,
    /// Time to live of the request.
    pub ttl: Option<u8>,
}

/// A step with its result.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// What.
    pub request: Request,
    /// When, in milliseconds since the start of the capture, if that was noted.
    pub at: Option<u64>,
    /// By whom.
    pub host: String,
    /// How.
    pub options: Options,
    /// What came of it.
    pub result: Value,
    /// The director's connections after it.
    pub connections: Option<Value>,
}

/// A case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// Its network.
    pub topology: Topology,
    /// What was typed before, in order.
    pub setup: Vec<Typed>,
    /// What was asked, in order.
    pub steps: Vec<Step>,
    /// `case.json`, for the tables at the end.
    pub json: Value,
    /// The frames of each captured interface.
    pub captures: BTreeMap<End, Vec<Captured>>,
}

impl Case {
    /// Reads a folder with a `case.json`. Its `topology.json` may be in the folder above.
    ///
    /// # Errors
    /// What is missing or cannot be understood, and in which file.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let json = json(&folder.join("case.json"))?;
        let own = folder.join("topology.json");
        let above = folder.parent().map(|p| p.join("topology.json"));
        let file = if own.is_file() { own } else { above.unwrap_or(own) };
        let topology = topology(&self::json(&file)?)
            .ok_or_else(|| format!("{}: not a topology", file.display()))?;
        let setup = json["setup"].as_array().ok_or("case.json: `setup` is no list")?;
        let setup = setup.iter().map(|s| typed(s).ok_or_else(|| unknown("setup", s)));
        let requests = json["requests"].as_array().ok_or("case.json: `requests` is no list")?;
        let steps = requests.iter().map(|r| step(r).ok_or_else(|| unknown("requests", r)));
        Ok(Self {
            name: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            setup: setup.collect::<Result<_, _>>()?,
            steps: steps.collect::<Result<_, _>>()?,
            captures: captures(folder, &topology)?,
            topology,
            json,
        })
    }

    /// What was typed on a host before.
    pub fn typed_on<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a str> {
        self.setup.iter().filter(move |t| t.host == host).map(|t| t.command.as_str())
    }
}

/// The captures of the interfaces that have an Ethernet address: `HOST.INTERFACE.pcap`.
fn captures(folder: &Path, topology: &Topology) -> Result<BTreeMap<End, Vec<Captured>>, String> {
    let mut all = BTreeMap::new();
    for end in topology.macs.keys() {
        let stem = format!("{}.{}", end.0, end.1);
        let found = ["pcap", "pcapng"].map(|e| folder.join(format!("{stem}.{e}")));
        let Some(path) = found.iter().find(|p| p.is_file()) else { continue };
        let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let frames = pcap::read(&bytes).map_err(|e| format!("{}: {e}", path.display()))?;
        all.insert(end.clone(), frames);
    }
    Ok(all)
}

fn unknown(list: &str, value: &Value) -> String {
    let mut text = value.to_string();
    if text.len() > 160 {
        let end = (0..=160).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        text.truncate(end);
        text.push_str("...");
    }
    format!("case.json: `{list}`: not understood: {text}")
}

fn json(path: &Path) -> Result<Value, String> {
    let wrong = |e: String| format!("{}: {e}", path.display());
    let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
    serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))
}

fn end(text: &str) -> Option<End> {
    text.split_once(':').map(|(node, port)| (node.to_owned(), port.to_owned()))
}

/// An Ethernet address as `02:00:00:00:01:0a`.
pub fn mac(text: &str) -> Option<Mac> {
    let mut bytes = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut bytes {
        *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    parts.next().is_none().then_some(Mac(bytes))
}

fn topology(value: &Value) -> Option<Topology> {
    let mut topology = Topology::default();
    for link in value["links"].as_array()? {
        topology.links.push([end(link["a"].as_str()?)?, end(link["b"].as_str()?)?]);
    }
    for (name, address) in value["mac"].as_object()? {
        topology.macs.insert(end(name)?, mac(address.as_str()?)?);
    }
    Some(topology)
}

fn typed(value: &Value) -> Option<Typed> {
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    Some(Typed { host: text("host")?, command: text("command")? })
}

fn step(value: &Value) -> Option<Step> {
    let opts = &value["opts"];
    let small = |key: &str| opts[key].as_u64().and_then(|n| u32::try_from(n).ok());
    let request = value["req"].as_array()?;
    let mut options = Options {
        size: small("size"),
        response: small("resp"),
        sport: small("sport").and_then(|n| u16::try_from(n).ok()),
        source: opts["src"].as_str().and_then(|s| s.parse().ok()),
        timeout: opts["timeout"].as_f64().map(milliseconds),
        ttl: small("ttl").and_then(|n| u8::try_from(n).ok()),
    };
    // the first recordings noted a size above the usual as the fourth word
    if opts.is_null() {
        options.size = request.get(3).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    }
    Some(Step {
        request: self::request(request)?,
        at: value["t_ms"].as_u64(),
        host: value["host"].as_str().unwrap_or("client").to_owned(),
        options,
        result: value["result"].clone(),
        connections: value.get("conns_after").cloned(),
    })
}

fn request(words: &[Value]) -> Option<Request> {
    let text = |i: usize| words.get(i).and_then(Value::as_str);
    let target = |i: usize| -> Option<(IpAddr, u16)> {
        let port = words.get(i + 1)?.as_u64()?;
        Some((text(i)?.parse().ok()?, u16::try_from(port).ok()?))
    };
    Some(match text(0)? {
        "tcp" => target(1).map(|(ip, port)| Request::Tcp(ip, port))?,
        "udp" => target(1).map(|(ip, port)| Request::Udp(ip, port))?,
        "cmd" => Request::Command(text(1)?.to_owned()),
        "wait" => Request::Wait(milliseconds(words.get(1)?.as_f64()?)),
        "session" => {
            let (ip, port) = target(1)?;
            Request::Session(None, ip, port, acts(words.get(3)?)?)
        }
        "start" => {
            let (ip, port) = target(2)?;
            Request::Session(Some(text(1)?.to_owned()), ip, port, acts(words.get(4)?)?)
        }
        "join" => Request::Join(text(1)?.to_owned()),
        _ => return None,
    })
}

fn acts(value: &Value) -> Option<Vec<Act>> {
    value.as_array()?.iter().map(|a| act(a.as_array()?)).collect()
}

fn act(words: &[Value]) -> Option<Act> {
    let number = |i: usize| words.get(i).and_then(Value::as_u64);
    Some(match words.first()?.as_str()? {
        "connect" => Act::Connect,
        "send" => {
            // a small request that keeps the connection unless it says otherwise
            let text = words.get(1).and_then(Value::as_str).unwrap_or("KEEP");
            let wish = if text.starts_with("RSTME") { Wish::Reset } else { Wish::Keep };
            Act::Send(u32::try_from(text.len()).ok()?, wish)
        }
        "recv" => Act::Receive,
        "sleep" => Act::Sleep(milliseconds(words.get(1)?.as_f64()?)),
        "keepalive" => Act::Keepalive(number(1)?, number(2)?, u8::try_from(number(3)?).ok()?),
        "close" => Act::Close,
        _ => return None,
    })
}

fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1000.0 + 0.5) as u64
}
