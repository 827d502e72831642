//! What clients may use of a listener: connections of each address, bytes of unread answers.

pub(crate) mod unread;

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use parking_lot::Mutex;

/// The connections of each address, with a limit for one.
#[derive(Clone, Debug)]
pub(crate) struct PeerConnections {
    most: usize,
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection of an address, counted until it is dropped.
#[derive(Debug)]
pub(crate) struct PeerShare {
    peer: IpAddr,
    peers: PeerConnections,
}

impl PeerConnections {
    /// No connections yet; an address may have `most` at a time.
    pub(crate) fn new(most: usize) -> Self {
        let counts = Arc::default();
        Self { most, counts }
    }

    /// Counts a connection of this address, unless it has too many.
    pub(crate) fn admit(&self, address: IpAddr) -> Option<PeerShare> {
        let peer = network(address);
        let mut counts = self.counts.lock();
        let count = counts.entry(peer).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        let peers = self.clone();
        Some(PeerShare { peer, peers })
    }
}

impl Drop for PeerShare {
    fn drop(&mut self) {
        let mut counts = self.peers.counts.lock();
        if let Some(count) = counts.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.peer);
            }
        }
    }
}

/// The address that counts: of IPv6 the network, within which a host may take any address
/// ([RFC 6177](https://www.rfc-editor.org/rfc/rfc6177)).
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
        address => address,
    }
}
