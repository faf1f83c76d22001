//! A bare loop: sends each datagram back to where it came from, and prints first where it listens. Nothing that relays with a
//! socket can cost less, so that the benchmarks measure it beside the relays.

use std::error::Error;
use std::net::UdpSocket;
use std::os::fd::AsFd;

use mediaha_net::sys::udp;

fn main() -> Result<(), Box<dyn Error>> {
    // As long a queue as a relay has whose ports share one.
    let options = udp::Options { receive_buffer: Some(2 << 20), ..udp::Options::default() };
    let bound = udp::UdpSocket::bind("127.0.0.1:0".parse()?, &options)?;
    let socket = UdpSocket::from(bound.as_fd().try_clone_to_owned()?);
    socket.set_nonblocking(false)?;
    println!("{}", socket.local_addr()?);
    let mut buffer = [0; 2048];
    loop {
        let (length, source) = socket.recv_from(&mut buffer)?;
        // A party that has closed its socket is told so by the kernel; the others go on.
        let _ = socket.send_to(&buffer[..length], source);
    }
}
