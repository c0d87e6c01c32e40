//! Pages of peers and images, for those who see them.

use dos_protocol::{
    PeerId, Visibility,
    directory::{Set, Share},
};

use super::*;
use crate::store::listing::{PageQuery, Peers};

on_both_engines!(a_private_image_is_on_the_pages_of_its_owner_and_of_holders_of_grants_alone);

/// The names of the images on the caller's page.
async fn images(store: &Store, caller: PeerId) -> Vec<String> {
    let query = PageQuery { caller, peers: Peers::All, after: None, limit: 50 };
    let page = store.page(query).await.unwrap();
    page.peers.iter().flat_map(|peer| &peer.images).map(|image| image.name.to_string()).collect()
}

async fn a_private_image_is_on_the_pages_of_its_owner_and_of_holders_of_grants_alone(place: Place) {
    lived_in(&place).await;
    let (store, thread) = place.open();
    let mut peers = Vec::new();
    for number in [1, 2, 3] {
        peers.push(join(&store, number, Admission::Open).await.unwrap());
    }
    let (owner, viewer, other) = (peers[0], peers[1], peers[2]);
    for peer in [owner, viewer, other] {
        assert_eq!(images(&store, peer).await, ["sea"]);
    }
    let image = store.preview(owner, owner, "sea".parse().unwrap()).await.unwrap().0.no;
    let set = Set { image, visibility: Some(Visibility::Private), record: None };
    store.set_image(by(owner, NOW), set).await.unwrap();
    assert_eq!(images(&store, owner).await, ["sea"]);
    assert_eq!(images(&store, viewer).await, ["sea"]);
    assert_eq!(images(&store, other).await, Vec::<String>::new());
    assert!(store.preview(other, owner, "sea".parse().unwrap()).await.is_err());
    let revoke = Share {
        image,
        viewer: PeerRef::Id(viewer),
        views: ViewsChange::Revoke,
        expiry: ExpiryChange::Keep,
        key: None,
        lasts_ms: None,
        allow_offline: None,
    };
    store.share(by(owner, NOW), revoke).await.unwrap();
    assert_eq!(images(&store, viewer).await, Vec::<String>::new());
    close((store, thread)).await;
}
