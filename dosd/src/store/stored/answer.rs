//! The answer to a change, kept under its operation ID.

use dos_protocol::{
    ImageNo, PeerId, PeerName, Visibility,
    directory::{Blocked, Request},
    model::{Format, Grant, ImageInfo, ImagePath, Original, PreviewInfo},
};

use super::{
    StoredError, VERSION, decode, encode,
    v1::{self, Answer, MoreOfGrant, MoreOfRequest},
};

/// What a change answers, if it can be asked again.
pub(in crate::store) trait Answered: Sized {
    /// The answer as it is kept.
    fn to_bytes(&self) -> Result<Vec<u8>, StoredError>;

    /// The kept answer; `None` if it is one of another kind of change.
    fn from_bytes(bytes: &[u8]) -> Result<Option<Self>, StoredError>;
}

fn read(bytes: &[u8]) -> Result<Answer<'_>, StoredError> {
    match bytes.split_first() {
        Some((&VERSION, body)) => decode(body),
        other => Err(StoredError::Version(other.map(|(version, _)| *version))),
    }
}

/// Whether this is a kept answer, of whichever change.
pub(in crate::store) fn is_answer(bytes: &[u8]) -> bool {
    read(bytes).is_ok()
}

impl Answered for () {
    fn to_bytes(&self) -> Result<Vec<u8>, StoredError> {
        encode(&Answer::Done)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Option<Self>, StoredError> {
        Ok(matches!(read(bytes)?, Answer::Done).then_some(()))
    }
}

impl Answered for Grant {
    fn to_bytes(&self) -> Result<Vec<u8>, StoredError> {
        encode(&match MoreOfGrant::of(self) {
            None => Answer::Grant(self.into()),
            Some(more) => Answer::FullerGrant(self.into(), more),
        })
    }

    fn from_bytes(bytes: &[u8]) -> Result<Option<Self>, StoredError> {
        match read(bytes)? {
            Answer::Grant(grant) => Ok(Some(grant.try_into()?)),
            Answer::FullerGrant(grant, more) => Ok(Some(more.on(grant)?)),
            _ => Ok(None),
        }
    }
}

impl Answered for Request {
    fn to_bytes(&self) -> Result<Vec<u8>, StoredError> {
        encode(&match MoreOfRequest::of(self) {
            None => Answer::Request(self.into()),
            Some(more) => Answer::FullerRequest(self.into(), more),
        })
    }

    fn from_bytes(bytes: &[u8]) -> Result<Option<Self>, StoredError> {
        match read(bytes)? {
            Answer::Request(request) => Ok(Some(request.try_into()?)),
            Answer::FullerRequest(request, more) => Ok(Some(more.on(request)?)),
            _ => Ok(None),
        }
    }
}

impl Answered for ImageInfo {
    fn to_bytes(&self) -> Result<Vec<u8>, StoredError> {
        let path = ImagePath { owner: self.owner, name: self.name.clone() };
        let answer = match self.visibility {
            Visibility::Listed => Answer::Image,
            Visibility::Private => Answer::PrivateImage,
        };
        encode(&answer(v1::Image {
            no: self.no.0,
            path: (&path).into(),
            image_id: *self.original.image_id.as_bytes(),
            original: v1::Picture {
                format: Format::as_str(self.original.format),
                width: self.original.width,
                height: self.original.height,
                bytes: self.original.bytes,
            },
            sealed: self.sealed.into(),
            preview: v1::Picture {
                format: Format::as_str(self.preview.format),
                width: self.preview.width,
                height: self.preview.height,
                bytes: self.preview.bytes.into(),
            },
        }))
    }

    fn from_bytes(bytes: &[u8]) -> Result<Option<Self>, StoredError> {
        let (image, visibility) = match read(bytes)? {
            Answer::Image(image) => (image, Visibility::Listed),
            Answer::PrivateImage(image) => (image, Visibility::Private),
            _ => return Ok(None),
        };
        let path = ImagePath::try_from(image.path)?;
        let format = |name: &str| name.parse().map_err(|()| StoredError::Value);
        Ok(Some(Self {
            no: ImageNo(image.no),
            owner: path.owner,
            name: path.name,
            original: Original {
                image_id: image.image_id.into(),
                format: format(image.original.format)?,
                width: image.original.width,
                height: image.original.height,
                bytes: image.original.bytes,
            },
            sealed: image.sealed.into(),
            preview: PreviewInfo {
                format: format(image.preview.format)?,
                width: image.preview.width,
                height: image.preview.height,
                bytes: image.preview.bytes.try_into().map_err(|_| StoredError::Value)?,
            },
            access: None,
            // What the owner has signed it knows.
            record: None,
            signature: None,
            visibility,
            added_at: None,
        }))
    }
}

impl Answered for Blocked {
    fn to_bytes(&self) -> Result<Vec<u8>, StoredError> {
        encode(&Answer::Blocked(v1::Blocked {
            peer: self.peer.number(),
            name: self.name.as_ref().map(PeerName::as_str),
            messages_purged: self.messages_purged,
            requests_purged: self.requests_purged,
            grants: self.rights,
        }))
    }

    fn from_bytes(bytes: &[u8]) -> Result<Option<Self>, StoredError> {
        let Answer::Blocked(blocked) = read(bytes)? else { return Ok(None) };
        let name = blocked.name.map(|name| name.parse().map_err(|_| StoredError::Value));
        Ok(Some(Self {
            peer: PeerId::from_number(blocked.peer).ok_or(StoredError::Value)?,
            name: name.transpose()?,
            messages_purged: blocked.messages_purged,
            requests_purged: blocked.requests_purged,
            rights: blocked.grants,
        }))
    }
}
