//! The network of a world: what is sent between the pool and a server is lost, late, or comes twice.

use std::net::SocketAddr;

use mediaha_failover::{Cookie, Input, ServerId};
use mediaha_ng::bundle::{self, Bundle};
use mediaha_ng::{Datagram, datagram_untrusted, reply_untrusted};
use mediaha_time::{Duration, Time};

use crate::calendar::Happens;
use crate::effect::Effect;
use crate::server::Server;
use crate::telling::answered;
use crate::world::World;

/// Some six adoptions.
const BUNDLE_BYTES_MAX: usize = 4_096;

impl World {
    /// The sockets of a probe: 10.2.0.1 and 10.2.0.2.
    pub(crate) fn open_probe(&mut self, server: ServerId) {
        self.pool_input(Input::ProbeOpened { server, ours: [ours(0), ours(1)] });
    }

    pub(crate) fn probe(&mut self, id: ServerId, number: u64, side: usize, to: SocketAddr) {
        let Some(server) = self.index(id) else { return };
        if !self.servers[server].effects.has(&Effect::DeafServer) {
            for at in self.ways(server) {
                self.arrange(at, Happens::ThroughServer(server, number, side, to));
            }
        }
    }

    pub(crate) fn through_server(&mut self, server: usize, number: u64, side: usize, at: SocketAddr) {
        let is_up = self.servers[server].is_up();
        let to = self.servers[server].forward(at, number, ours(side), self.now);
        if !is_up || self.servers[server].effects.has(&Effect::DumbServer) || to != Some(ours(1 - side)) {
            return;
        }
        for at in self.ways(server) {
            self.arrange(at, Happens::Probed(server, number));
        }
    }

    /// Adoptions that are asked for at the same time travel together, and are lost together.
    pub(crate) fn send_bundles(&mut self, id: ServerId, datagrams: Vec<Vec<u8>>) {
        let mut bundle = Bundle::default();
        for datagram in datagrams {
            if let Err(datagram) = bundle.add(datagram, BUNDLE_BYTES_MAX) {
                self.send_to_server(id, &std::mem::take(&mut bundle).into_requests(b"bundle"));
                let _ = bundle.add(datagram, BUNDLE_BYTES_MAX);
            }
        }
        if !bundle.is_empty() {
            self.send_to_server(id, &bundle.into_requests(b"bundle"));
        }
    }

    pub(crate) fn send_to_server(&mut self, id: ServerId, datagram: &[u8]) {
        let Some(server) = self.index(id) else { return };
        if !self.servers[server].effects.has(&Effect::DeafServer) {
            for at in self.ways(server) {
                self.arrange(at, Happens::AtServer(server, datagram.to_vec()));
            }
        }
    }

    pub(crate) fn at_server(&mut self, server: usize, datagram: Vec<u8>) {
        if self.servers[server].is_up() {
            if let Some(reply) = self.servers[server].receive(datagram, self.now) {
                self.send_to_pool(server, &reply);
            }
        } else if self.servers[server].refuses && !self.servers[server].effects.has(&Effect::DumbServer) {
            let at = self.now + Duration::from_micros(self.servers[server].way_us.0);
            self.arrange(at, Happens::Unreachable(server));
        }
    }

    pub(crate) fn send_to_pool(&mut self, server: usize, datagram: &[u8]) {
        if !self.servers[server].effects.has(&Effect::DumbServer) {
            for at in self.ways(server) {
                self.arrange(at, Happens::AtPool(server, datagram.to_vec()));
            }
        }
    }

    pub(crate) fn at_pool(&mut self, server: usize, datagram: &[u8]) {
        let Ok(datagram) = datagram_untrusted(datagram) else { return };
        let Some(replies) = bundle::replies(&datagram.body) else { return self.reply_at_pool(server, &datagram) };
        for reply in replies {
            if let Ok(reply) = datagram_untrusted(reply) {
                self.reply_at_pool(server, &reply);
            }
        }
    }

    fn reply_at_pool(&mut self, server: usize, datagram: &Datagram) {
        let cookie =
            std::str::from_utf8(&datagram.cookie).ok().and_then(|text| u64::from_str_radix(text, 16).ok());
        let (Some(cookie), Ok(reply)) = (cookie, reply_untrusted(&datagram.body)) else { return };
        if !matches!(reply, mediaha_ng::Reply::Pong { .. }) {
            self.story.tell(self.now, || format!("  pool ← m{} {cookie:x} {}", server + 1, answered(&reply)));
        }
        self.pool_input(Input::Reply { server: self.id(server), cookie: Cookie(cookie), reply });
    }

    /// When copies of a packet arrive that is sent now: none when it is lost, two when it is duplicated.
    fn ways(&mut self, server: usize) -> Vec<Time> {
        let Server { effects, way_us, loss_permille, .. } = &self.servers[server];
        let loss =
            effects.worst(|effect| if let Effect::Loss { permille } = effect { Some(*permille) } else { None });
        let slow =
            effects.worst(|effect| if let Effect::Delay { ms_max } = effect { Some(*ms_max) } else { None });
        let twice = effects
            .worst(|effect| if let Effect::Duplication { permille } = effect { Some(*permille) } else { None });
        let (loss, shortest, longest) = (loss.max(*loss_permille), way_us.0, way_us.1 + slow * 1000);
        let copies = 1 + usize::from(self.chance.happens(twice));
        let mut ways = Vec::with_capacity(copies);
        for _ in 0..copies {
            if !self.chance.happens(loss) {
                ways.push(self.now + Duration::from_micros(self.chance.within(shortest..=longest)));
            }
        }
        ways
    }
}

fn ours(side: usize) -> SocketAddr {
    let last = if side == 0 { 1 } else { 2 };
    SocketAddr::from(([10, 2, 0, last], 4_000))
}
