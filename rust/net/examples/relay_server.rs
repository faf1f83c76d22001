//! A media server until its standard input ends: `relay_server NG_ADDRESS INTERFACE FIRST_PORT LAST_PORT [DATAPATH] [WORKERS]
//! [COALESCE_US]`.

use std::error::Error;
use std::io::Read;
use std::time::Duration;

use mediaha_net::{MediaServer, MediaServerConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen_ng, interface, first, last, rest @ ..] = arguments.as_slice() else {
        return Err(
            "relay_server NG_ADDRESS INTERFACE FIRST_PORT LAST_PORT [DATAPATH] [WORKERS] [COALESCE_US]".into()
        );
    };
    let ports = first.parse()?..=last.parse()?;
    let mut config = MediaServerConfig::new(listen_ng.parse()?, vec![interface.parse()?], ports);
    if let Some(datapath) = rest.first() {
        config.datapath = datapath.parse()?;
    }
    if let Some(workers) = rest.get(1) {
        config.workers = workers.parse()?;
    }
    if let Some(micros) = rest.get(2) {
        config.coalesce = Duration::from_micros(micros.parse()?);
    }
    let server = MediaServer::start(config)?;
    for record in server.records().take() {
        println!("{} {} {}", record.level.name(), record.event, record.fields_json());
    }
    std::io::stdin().read_to_end(&mut Vec::new())?;
    println!("{}", server.statistics_json()?);
    server.close();
    Ok(())
}
