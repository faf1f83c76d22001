//! What it costs to go on with the calls of another process: `adoption_cost [CALLS] [sockets|steered]`.
//!
//! Both servers are in this process, one after the other, and no packet flows.

use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;

use mediaha_net::estate::{Keeper, News};
use mediaha_net::{MediaServer, MediaServerConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let calls: usize = arguments.next().map_or(Ok(10_000), |text| text.parse())?;
    let datapath = arguments.next().unwrap_or_else(|| "steered".to_owned()).parse()?;
    let config = MediaServerConfig {
        datapath,
        ..MediaServerConfig::new("127.0.0.1:9998".parse()?, vec!["127.0.0.1".parse()?], 10_000..=59_999)
    };
    let keeper = Keeper::start()?;
    let (_, line) = keeper.line_here(Some(("media", b"")))?;
    let first = MediaServer::start_on(config.clone(), Some(line))?;
    let began = Instant::now();
    set_up(first.listen_ng(), calls)?;
    println!("{calls} calls set up in {:?}", began.elapsed());
    for round in 0..3 {
        let (number, mut spare) = keeper.line_here(None)?;
        spare.ready()?;
        keeper.hand_over("media");
        while !keeper.news().iter().any(|news| matches!(news, News::Given { line, .. } if *line == number)) {}
        spare.assignment()?;
        let began = Instant::now();
        let next = MediaServer::start_on(config.clone(), Some(spare))?;
        let took = began.elapsed();
        for record in next.records().take() {
            println!("round {round}: {took:?}: {} {}", record.event, record.fields_json());
        }
        // It stays: the one after it takes over from it.
        std::mem::forget(next);
    }
    Ok(())
}

/// Offers and answers, one after the other.
fn set_up(server: SocketAddr, calls: usize) -> std::io::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(server)?;
    let mut buffer = [0; 4096];
    for call in 0..calls {
        for (command, to) in [("offer", ""), ("answer", r#","to-tag":"b""#)] {
            let sdp = "v=0\\r\\no=- 1 1 IN IP4 127.0.0.1\\r\\ns=-\\r\\nc=IN IP4 127.0.0.1\\r\\nt=0 0\\r\\nm=audio 4000 RTP/AVP 0\\r\\n";
            let request = format!(
                r#"{call}{command} {{"command":"{command}","call-id":"c{call}","from-tag":"a"{to},"sdp":"{sdp}"}}"#
            );
            socket.send(request.as_bytes())?;
            let length = socket.recv(&mut buffer)?;
            assert!(!buffer[..length].windows(5).any(|word| word == b"error"), "{call}: refused");
        }
    }
    Ok(())
}
