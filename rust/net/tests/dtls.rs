//! A real DTLS handshake between two parties behind the relay, as DTLS-SRTP begins with (RFC 5764).

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::client::{Client, address_in, sdp};
use common::ports;
use mediaha_net::{MediaServer, MediaServerConfig};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// openssl, ended with the test.
struct OpenSsl(Child);

impl OpenSsl {
    fn start(arguments: &str) -> Self {
        let mut command = Command::new("openssl");
        command
            .args(arguments.split_whitespace())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    /// Waits for a line that contains `text`.
    fn says(&mut self, text: &str) {
        let lines = BufReader::new(self.0.stdout.as_mut().unwrap()).lines();
        let mut heard = Vec::new();
        for line in lines.map_while(Result::ok) {
            if line.contains(text) {
                return;
            }
            heard.push(line);
        }
        panic!("openssl has not said {text} but {heard:#?}");
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A certificate and its key in one file.
fn certificate() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (key, certificate) = (folder.join("dtls-key.pem"), folder.join("dtls-certificate.pem"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=party", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stderr(Stdio::null())
        .status();
    assert!(made.unwrap().success());
    let both = folder.join("dtls.pem");
    fs::write(&both, fs::read_to_string(key).unwrap() + &fs::read_to_string(certificate).unwrap()).unwrap();
    both
}

fn free_port() -> u16 {
    UdpSocket::bind((V4, 0)).unwrap().local_addr().unwrap().port()
}

#[test]
fn two_parties_agree_on_srtp_keys_through_the_relay() {
    if Command::new("openssl").arg("version").output().is_err() {
        println!("skipped: openssl is missing (apt-get install openssl)");
        return;
    }
    let interfaces = vec!["127.0.0.1".parse().unwrap()];
    let server = MediaServer::start(MediaServerConfig::new((V4, 0).into(), interfaces, ports(4))).unwrap();
    let mut client = Client::of(server.listen_ng());
    let (active, passive) = (free_port(), free_port());
    let keyed = |port: u16| sdp((V4, port).into(), "").replace("RTP/AVP", "UDP/TLS/RTP/SAVP");
    let tags = [("call-id", "keyed"), ("from-tag", "a")];
    client.ask("offer", &[&tags[..], &[("sdp", &keyed(active))]].concat());
    let answer = client.ask("answer", &[&tags[..], &[("to-tag", "b"), ("sdp", &keyed(passive))]].concat());
    let for_active = address_in(&answer);

    let certificate = certificate().display().to_string();
    let srtp = "-use_srtp SRTP_AES128_CM_SHA1_80";
    let mut listening =
        OpenSsl::start(&format!("s_server -dtls1_2 -accept 127.0.0.1:{passive} -cert {certificate} {srtp}"));
    listening.says("ACCEPT");
    let mut calling =
        OpenSsl::start(&format!("s_client -dtls1_2 -connect {for_active} -bind 127.0.0.1:{active} {srtp}"));
    calling.says("SRTP Extension negotiated, profile=SRTP_AES128_CM_SHA1_80");
    listening.says("SRTP Extension negotiated, profile=SRTP_AES128_CM_SHA1_80");
}
