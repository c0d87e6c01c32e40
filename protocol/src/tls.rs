//! TLS 1.3 with raw public keys on both sides (RFC 8446, RFC 7250). The only module that names rustls.
//!
//! A connection that comes out of here is authenticated: a client knows that the server holds the pinned key before it
//! sends anything of its own, a server knows the client's key. Nothing is resumed and no early data is taken, so that
//! every connection proves its keys anew.

use std::{io, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{WebPkiSupportedAlgorithms, ring as provider, verify_tls13_signature_with_raw_key},
    pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
    sign::CertifiedKey,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::{
    key::{PublicKey, SecretKey},
    limits::HANDSHAKE_TIME_MAX,
};

/// An authenticated connection over `IO`.
pub type Stream<IO> = tokio_rustls::TlsStream<IO>;

/// What is spoken over the connection, and in which version: the ALPN name (RFC 7301).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpn {
    /// Between a peer and the directory: `dos/1`.
    Directory,
    /// Between two peers: `dos-peer/1`.
    Peer,
    /// Between two nodes of one directory: `dos-node/1`.
    Node,
}

impl Alpn {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Directory => b"dos/1",
            Self::Peer => b"dos-peer/1",
            Self::Node => b"dos-node/1",
        }
    }
}

/// Why there is no authenticated connection.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Our own key cannot be used.
    #[error("the key cannot be used for TLS")]
    Key,
    /// rustls refused the configuration.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
    /// The other side did not finish in time.
    #[error("the TLS handshake did not finish in time")]
    Slow,
    /// The server is not the one whose key is pinned.
    #[error("the server's key is not the expected one")]
    WrongKey,
    /// The other side speaks another protocol or another version of ours.
    #[error("the other side does not speak this version of the protocol")]
    Protocol,
    /// The handshake failed.
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
}

/// The serving half: accepts connections and tells whose they are.
#[derive(Clone)]
pub struct ServerTls(TlsAcceptor);

impl ServerTls {
    /// Serves as the holder of `secret`.
    ///
    /// # Errors
    /// [`TlsError::Key`] or [`TlsError::Setup`].
    pub fn new(secret: &SecretKey, alpn: Alpn) -> Result<Self, TlsError> {
        let certified = certified_key(secret)?;
        let resolver = Arc::new(rustls::server::AlwaysResolvesServerRawPublicKeys::new(certified));
        let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(provider::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(TlsError::Setup)?
            .with_client_cert_verifier(Arc::new(AnyKey(algorithms())))
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![alpn.name().to_vec()];
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Finishes the handshake on `io` within [`HANDSHAKE_TIME_MAX`] and tells the client's key.
    ///
    /// # Errors
    /// As in [`TlsError`].
    pub async fn accept<IO>(&self, io: IO) -> Result<(PublicKey, Stream<IO>), TlsError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let stream = timeout(HANDSHAKE_TIME_MAX, self.0.accept(io)).await.map_err(|_| TlsError::Slow)?;
        let stream = stream.map_err(explain)?;
        let session = stream.get_ref().1;
        if session.alpn_protocol().is_none() {
            return Err(TlsError::Protocol);
        }
        let key = session.peer_certificates().and_then(|certs| certs.first()).and_then(|cert| key_of(cert));
        Ok((key.ok_or(TlsError::Key)?, stream.into()))
    }
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerTls(..)")
    }
}

/// The calling half: connects to the holder of one key only.
#[derive(Clone)]
pub struct ClientTls(TlsConnector);

impl ClientTls {
    /// Calls as the holder of `secret`, and only whoever holds the key `server`.
    ///
    /// # Errors
    /// [`TlsError::Key`] or [`TlsError::Setup`].
    pub fn new(secret: &SecretKey, server: PublicKey, alpn: Alpn) -> Result<Self, TlsError> {
        let certified = certified_key(secret)?;
        let resolver = Arc::new(rustls::client::AlwaysResolvesClientRawPublicKeys::new(certified));
        let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(provider::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(TlsError::Setup)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(PinnedKey { key: server, algorithms: algorithms() }))
            .with_client_cert_resolver(resolver);
        config.alpn_protocols = vec![alpn.name().to_vec()];
        config.resumption = rustls::client::Resumption::disabled();
        config.enable_sni = false;
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Finishes the handshake on `io` within [`HANDSHAKE_TIME_MAX`].
    ///
    /// # Errors
    /// As in [`TlsError`].
    pub async fn connect<IO>(&self, io: IO) -> Result<Stream<IO>, TlsError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        // Required by the interface, never sent: the key alone says who the server is.
        let name = ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into());
        let stream =
            timeout(HANDSHAKE_TIME_MAX, self.0.connect(name, io)).await.map_err(|_| TlsError::Slow)?;
        let stream = stream.map_err(explain)?;
        if stream.get_ref().1.alpn_protocol().is_none() { Err(TlsError::Protocol) } else { Ok(stream.into()) }
    }
}

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientTls(..)")
    }
}

fn explain(error: io::Error) -> TlsError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(other)))
            if other.0.downcast_ref::<NotThePinnedKey>().is_some() =>
        {
            TlsError::WrongKey
        }
        Some(rustls::Error::NoApplicationProtocol | rustls::Error::PeerIncompatible(_)) => TlsError::Protocol,
        _ => TlsError::Handshake(error),
    }
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    provider::default_provider().signature_verification_algorithms
}

fn certified_key(secret: &SecretKey) -> Result<Arc<CertifiedKey>, TlsError> {
    let der = secret.to_pkcs8();
    let signer = provider::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(der.as_slice()))
        .map_err(|_| TlsError::Key)?;
    let spki = spki_of(&secret.public().map_err(|_| TlsError::Key)?);
    Ok(Arc::new(CertifiedKey::new(vec![CertificateDer::from(spki)], signer)))
}

/// What precedes the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410, section 4).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

fn spki_of(key: &PublicKey) -> Vec<u8> {
    [SPKI_PREFIX.as_slice(), key.as_bytes()].concat()
}

fn key_of(spki: &[u8]) -> Option<PublicKey> {
    let key: [u8; 32] = spki.strip_prefix(SPKI_PREFIX.as_slice())?.try_into().ok()?;
    Some(PublicKey::from(key))
}

/// The server's key is not the pinned one.
#[derive(Debug, thiserror::Error)]
#[error("not the pinned key")]
struct NotThePinnedKey;

/// Accepts exactly one server.
#[derive(Debug)]
struct PinnedKey {
    key: PublicKey,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for PinnedKey {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if key_of(end_entity) == Some(self.key) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::Other(OtherError(Arc::new(NotThePinnedKey))).into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::PeerIncompatible(rustls::PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_raw(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// Accepts every client that proves to hold an Ed25519 key: who that is, the caller decides.
#[derive(Debug)]
struct AnyKey(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for AnyKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if key_of(end_entity).is_some() {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(CertificateError::BadEncoding.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::PeerIncompatible(rustls::PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_raw(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

fn verify_raw(
    message: &[u8],
    spki: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    verify_tls13_signature_with_raw_key(
        message,
        &SubjectPublicKeyInfoDer::from(spki.as_ref()),
        dss,
        algorithms,
    )
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn both_sides_learn_who_the_other_is() -> Result<(), Box<dyn std::error::Error>> {
        let (server, client) = (SecretKey::generate()?, SecretKey::generate()?);
        let (near, far) = duplex(16 << 10);
        let accepting = ServerTls::new(&server, Alpn::Directory)?;
        let calling = ClientTls::new(&client, server.public()?, Alpn::Directory)?;
        let (accepted, called) = tokio::join!(accepting.accept(far), calling.connect(near));
        let (key, mut stream) = accepted?;
        assert_eq!(key, client.public()?);
        let mut called = called?;
        called.write_all(b"hi").await?;
        called.flush().await?;
        let mut got = [0; 2];
        stream.read_exact(&mut got).await?;
        assert_eq!(&got, b"hi");
        Ok(())
    }

    #[tokio::test]
    async fn a_wrong_server_key_is_refused_before_the_client_says_who_it_is()
    -> Result<(), Box<dyn std::error::Error>> {
        let (server, client) = (SecretKey::generate()?, SecretKey::generate()?);
        let (near, far) = duplex(16 << 10);
        let accepting = ServerTls::new(&server, Alpn::Directory)?;
        let calling = ClientTls::new(&client, client.public()?, Alpn::Directory)?;
        let (accepted, called) = tokio::join!(accepting.accept(far), calling.connect(near));
        assert!(matches!(called, Err(TlsError::WrongKey)));
        assert!(accepted.is_err());
        Ok(())
    }

    #[tokio::test]
    async fn another_protocol_is_refused() -> Result<(), Box<dyn std::error::Error>> {
        let (server, client) = (SecretKey::generate()?, SecretKey::generate()?);
        let (near, far) = duplex(16 << 10);
        let accepting = ServerTls::new(&server, Alpn::Peer)?;
        let calling = ClientTls::new(&client, server.public()?, Alpn::Directory)?;
        let (accepted, called) = tokio::join!(accepting.accept(far), calling.connect(near));
        assert!(matches!(accepted, Err(TlsError::Protocol)));
        assert!(called.is_err());
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_is_given_up() -> Result<(), Box<dyn std::error::Error>> {
        let (_near, far) = duplex(64);
        let accepting = ServerTls::new(&SecretKey::generate()?, Alpn::Peer)?;
        assert!(matches!(accepting.accept(far).await, Err(TlsError::Slow)));
        Ok(())
    }
}
