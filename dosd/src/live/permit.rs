//! How many sessions each address has, on this server.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use parking_lot::Mutex;

/// See the module. Addresses without a session take no memory.
#[derive(Debug, Clone, Default)]
pub(super) struct Permits(Arc<Mutex<HashMap<IpAddr, u32>>>);

/// A permit for one session of an address, given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    permits: Permits,
    address: IpAddr,
}

impl Permits {
    /// A permit, if the address has fewer than `most`.
    pub(super) fn take(&self, address: IpAddr, most: u32) -> Option<Permit> {
        let mut taken = self.0.lock();
        let count = taken.entry(address).or_default();
        if *count >= most {
            // A count of zero is never kept.
            if *count == 0 {
                taken.remove(&address);
            }
            return None;
        }
        *count += 1;
        Some(Permit { permits: self.clone(), address })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut taken = self.permits.0.lock();
        if let Some(count) = taken.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_is_free_again_when_its_session_is_over() {
        let permits = Permits::default();
        let (here, there) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let first = permits.take(here, 2).unwrap();
        let _second = permits.take(here, 2).unwrap();
        assert!(permits.take(here, 2).is_none());
        assert!(permits.take(there, 2).is_some(), "another address is not concerned");
        assert!(permits.take(there, 0).is_none());
        drop(first);
        assert!(permits.take(here, 2).is_some());
        assert_eq!(permits.0.lock().len(), 1, "nothing is kept of addresses without a session");
    }
}
