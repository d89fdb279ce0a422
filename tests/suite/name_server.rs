//! A name server that knows what a test tells it, over UDP (RFC 1035).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Default)]
struct Known {
    names: BTreeMap<String, Vec<IpAddr>>,
    asked: Vec<String>,
    closed: bool,
}

/// A running name server; dropping it makes it silent.
pub struct NameServer(Arc<Mutex<Known>>);

impl NameServer {
    /// Listens on port 53 of an address, which takes root.
    pub fn start(address: &str) -> Self {
        let socket = UdpSocket::bind(SocketAddr::new(address.parse().unwrap(), 53)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let known = Arc::new(Mutex::new(Known::default()));
        let shared = known.clone();
        std::thread::spawn(move || {
            let mut packet = [0; 1500];
            while !shared.lock().unwrap().closed {
                let Ok((length, from)) = socket.recv_from(&mut packet) else { continue };
                let answer = answer(&packet[..length], &mut shared.lock().unwrap());
                let _ = socket.send_to(&answer, from);
            }
        });
        Self(known)
    }

    /// Sets the addresses of a name.
    pub fn set(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|a| a.parse().unwrap()).collect();
        self.0.lock().unwrap().names.insert(name.into(), addresses);
    }

    /// How often a name was asked for.
    pub fn asked(&self, name: &str) -> usize {
        self.0.lock().unwrap().asked.iter().filter(|n| *n == name).count()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.0.lock().unwrap().closed = true;
    }
}

fn answer(query: &[u8], known: &mut Known) -> Vec<u8> {
    let mut labels = Vec::new();
    let mut at = 12;
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    let name = labels.join(".");
    let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    known.asked.push(name.clone());
    let found = known.names.get(&name);
    let wanted = |a: &&IpAddr| (kind == 1 && a.is_ipv4()) || (kind == 28 && a.is_ipv6());
    let addresses: Vec<&IpAddr> = found.map(|all| all.iter().filter(wanted).collect()).unwrap_or_default();
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, if found.is_some() { 0x80 } else { 0x83 }, 0, 1]);
    answer.extend(u16::try_from(addresses.len()).unwrap().to_be_bytes());
    answer.extend([0; 4]);
    answer.extend(&query[12..at + 5]);
    for address in addresses {
        // The name is that of the question; a time to live that a cache would love.
        answer.extend([0xc0, 12]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1, 0, 1, 0x51, 0x80]);
        let bytes = match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        answer.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
        answer.extend(bytes);
    }
    answer
}
