//! The socket of a connection that this daemon has made. Through the relay the handshake begins with the ticket, before the other side is there: the
//! directory's byte that tells of it then comes ahead of the other side's first.
//!
//! What always holds: nothing that comes is passed on before that byte, and nothing if it is another one.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use dos_protocol::directory::RELAY_OPEN;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// See the module.
#[derive(Debug)]
pub(crate) struct Socket {
    tcp: TcpStream,
    /// The other side is there.
    is_open: bool,
}

impl Socket {
    /// Of a call through the relay whose ticket was sent.
    pub(crate) fn relayed(tcp: TcpStream) -> Self {
        Self { tcp, is_open: false }
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (mut room, tcp) = ([0], Pin::new(&mut self.tcp));
        let mut room = ReadBuf::new(&mut room);
        ready!(tcp.poll_read(context, &mut room))?;
        let failed = |kind, text| Poll::Ready(Err(io::Error::new(kind, text)));
        match room.filled() {
            [RELAY_OPEN] => {
                self.is_open = true;
                Poll::Ready(Ok(()))
            }
            [] => failed(io::ErrorKind::UnexpectedEof, "the other side did not come"),
            _ => failed(io::ErrorKind::InvalidData, "the directory does not relay so"),
        }
    }
}

impl From<TcpStream> for Socket {
    fn from(tcp: TcpStream) -> Self {
        Self { tcp, is_open: true }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.is_open {
            ready!(self.poll_open(context))?;
        }
        Pin::new(&mut self.tcp).poll_read(context, room)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// What a relayed connection reads of what the directory sends.
    async fn read(sent: &[u8]) -> io::Result<Vec<u8>> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        far.write_all(sent).await.unwrap();
        drop(far);
        let mut read = Vec::new();
        Socket::relayed(near).read_to_end(&mut read).await.map(|_| read)
    }

    #[tokio::test]
    async fn the_byte_of_the_directory_comes_first_and_is_no_part_of_what_the_other_side_says() {
        assert_eq!(read(&[RELAY_OPEN, 7, 8]).await.unwrap(), [7, 8]);
        assert!(read(&[RELAY_OPEN]).await.unwrap().is_empty());
        assert_eq!(read(&[]).await.unwrap_err().to_string(), "the other side did not come");
        assert_eq!(read(&[RELAY_OPEN + 1, 7]).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
