//! `Members`: the one or two directories that hold a ledger's journal, and which of them a start
//! believes.
//!
//! Holds: both directories are locked before anything is decided; nothing is changed before. Leaves
//! to others: the decision (`journal::plan`), bringing a member up again (`resync`).

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    OpenError, Places, StoreParams,
    copies::Copies,
    images,
    open::{acquire, write_superblock},
    resync,
};
use disk::{Direct, DirectFile, DirectoryLock, DiskError, directory};
use journal::{
    Active, Directory, FrameKey, IMAGE_BYTES, ImageCopy, ImageError, Member, Membership, Other, Plan,
    Refused, Slot, Superblock, plan,
};

type Images = [[u8; IMAGE_BYTES]; 2];

/// The directories of a ledger, as a start sees them.
#[derive(Debug)]
pub(crate) struct Members {
    /// Where checkpoints and derived files lie.
    pub(crate) home: Places,
    /// The directories that are believed, one or two.
    pub(crate) believed: Vec<(Member, Places)>,
    /// The directory that is brought up again before anything is answered.
    pub(crate) behind: Option<(Member, Places)>,
    /// The newest record; `None` before there is a ledger.
    pub(crate) membership: Option<Membership>,
    /// The newest superblock; `None` before there is a ledger.
    pub(crate) superblock: Option<Superblock>,
    pub(crate) locks: Vec<Arc<DirectoryLock>>,
}

/// What lies in one directory.
struct Found {
    superblock: Option<Images>,
    membership: Option<Images>,
    has_segments: bool,
    lock: Option<DirectoryLock>,
}

impl Members {
    /// Looks at both directories and decides.
    ///
    /// # Errors
    /// `OpenError`: nothing was changed.
    pub(crate) fn find(params: &StoreParams) -> Result<Self, OpenError> {
        let has_mirror = params.mirror.is_some();
        let second = params.mirror.as_ref().unwrap_or(&params.directory);
        let places = [&params.directory, second].map(|root| Places { root: root.clone() });
        let beside = if has_mirror { look(&places[1], false)? } else { Ok(Found::nothing()) };
        let looked = [look(&places[0], true)?, beside];
        let superblocks = [superblock_of(&places[0], &looked[0])?, superblock_of(&places[1], &looked[1])?];
        let known = newest(superblocks.iter().flatten());
        let [first, second] =
            [0, 1].map(|index| directory(&looked[index], superblocks[index].as_ref(), known));
        if has_mirror {
            warn_of_one_device(&places[0].root, &places[1].root);
            check_mirror(&places[1], &looked[1], &superblocks)?;
        } else if let Err(error) = &looked[0] {
            return Err(error.clone().into());
        }
        let second = if has_mirror { second } else { Directory::Unset };
        let plan = plan(first, second, false).map_err(|refused| refusal(refused, &places, &looked))?;
        let mut members = Self::new(plan, &places, looked);
        let believed = members.believed.iter().filter_map(|(member, _)| superblocks[member.index()].as_ref());
        members.superblock = newest(believed).or(known).cloned();
        if has_mirror && plan == Plan::Create {
            // A ledger that is made now gets its mirror as one that had none does.
            members.behind = Some((Member::Second, places[1].clone()));
        }
        Ok(members)
    }

    fn new(plan: Plan, places: &[Places; 2], looked: [Result<Found, DiskError>; 2]) -> Self {
        let home = if looked[0].is_ok() { places[0].clone() } else { places[1].clone() };
        let locks = looked.into_iter().filter_map(|found| found.ok()?.lock).map(Arc::new).collect();
        let at = |member: Member| (member, places[member.index()].clone());
        let (believed, behind, membership) = match plan {
            Plan::Create => (vec![at(Member::First)], None, None),
            Plan::Both(membership) => (Member::BOTH.map(at).into(), None, Some(membership)),
            Plan::One { survivor, membership, other, .. } => {
                let behind = (other == Other::Copy).then(|| at(survivor.other()));
                (vec![at(survivor)], behind, Some(membership))
            }
        };
        Self { home, believed, behind, membership, superblock: None, locks }
    }

    /// The believed copies of the journal.
    ///
    /// # Errors
    /// If a directory cannot be listed.
    pub(crate) fn copies(
        &self,
        superblock: &Superblock,
        key: &FrameKey,
        direct: Direct,
    ) -> Result<Copies, DiskError> {
        Copies::open(self.believed.iter().map(|(_, places)| places), superblock, key, direct)
    }

    /// Brings the member that is behind up again and writes down who counts from now on; also how many
    /// bytes were copied. A mirror that cannot be written is left out, and that is told.
    ///
    /// # Errors
    /// `OpenError` if what is believed cannot be read or written.
    pub(crate) fn settle(
        &mut self,
        params: &StoreParams,
        superblock: &Superblock,
        key: &FrameKey,
        slot: &Slot,
    ) -> Result<(Membership, u64), OpenError> {
        let record = self.membership.unwrap_or(Membership::alone(superblock.ledger, superblock.incarnation));
        let Some((member, places)) = self.behind.take() else { return Ok((record, 0)) };
        let (survivor, source) = self.believed.first().cloned().expect("one is believed");
        let copied = bring_up(params, superblock, key, slot, &record, (&source, &places, member));
        let copied = match copied {
            Ok((copied, lock)) => {
                self.locks.extend(lock.map(Arc::new));
                copied
            }
            Err(error) if places.root == self.home.root => return Err(error.into()),
            Err(error) => {
                tracing::error!(path = %places.root.display(), "the mirror cannot be brought up again, the ledger goes on without it: {error}");
                return Ok((record, 0));
            }
        };
        // The survivor first: whoever holds the newest record has everything.
        let pair = record.next(survivor, Active::Both);
        write_record(params, &source, key, &pair)?;
        let twin = Membership { holder: member, ..pair };
        write_record(params, &places, key, &twin)?;
        tracing::info!(path = %places.root.display(), copied, generation = pair.generation, "a copy counts again");
        self.believed.push((member, places));
        self.believed.sort_unstable_by_key(|(member, _)| *member);
        Ok((pair, copied))
    }
}

impl Found {
    const fn nothing() -> Self {
        Self { superblock: None, membership: None, has_segments: false, lock: None }
    }
}

/// Reads what there is. The ledger's own directory is made if it is not there; a mirror's only when
/// something is to be copied into it, because where there is none a device may be missing.
fn look(places: &Places, make: bool) -> Result<Result<Found, DiskError>, OpenError> {
    match try_look(places, make) {
        Ok(found) => Ok(Ok(found)),
        // Not of the device: the same answer as for a ledger without a mirror.
        Err(error @ DiskError::Locked { .. }) => Err(error.into()),
        Err(error) if error.is_shortage() || error.is_denied() => Err(error.into()),
        Err(error) => Ok(Err(error)),
    }
}

fn try_look(places: &Places, make: bool) -> Result<Found, DiskError> {
    if make {
        for directory in [&places.root, &places.segments(), &places.checkpoints()] {
            directory::create_private_dir(directory)?;
        }
    } else if !places.root.exists() {
        return Ok(Found::nothing());
    }
    let lock = Some(acquire(&places.root.join(journal::LOCK_FILE))?);
    let read = |name: &str| {
        let path = places.root.join(name);
        path.exists().then(|| images::read_both(&path)).transpose()
    };
    let has_segments = match directory::list(&places.segments()) {
        Ok(entries) => !entries.is_empty(),
        Err(error) if error.is_not_found() => false,
        Err(error) => return Err(error),
    };
    Ok(Found {
        superblock: read(journal::SUPERBLOCK_FILE)?.filter(|copies| !is_blank(copies)),
        membership: read(journal::MEMBERSHIP_FILE)?.filter(|copies| !is_blank(copies)),
        has_segments,
        lock,
    })
}

fn is_blank(copies: &Images) -> bool {
    copies.iter().flatten().all(|byte| *byte == 0)
}

/// The superblock of a directory; `None` if there is none, or it is damaged beside a record that the
/// other one's can be held against.
fn superblock_of(places: &Places, found: &Result<Found, DiskError>) -> Result<Option<Superblock>, OpenError> {
    let Ok(Found { superblock: Some([first, second]), membership, .. }) = found else { return Ok(None) };
    match Superblock::pick(first, second) {
        Ok(superblock) => Ok(Some(superblock)),
        Err(ImageError::BothDamaged) if membership.is_some() => Ok(None),
        Err(error) => {
            let path = places.root.join(journal::SUPERBLOCK_FILE);
            Err(if matches!(error, ImageError::Newer { .. } | ImageError::Older { .. }) {
                OpenError::SuperblockFormat { path, error }
            } else {
                OpenError::Superblock { path, error }
            })
        }
    }
}

fn newest<'a>(superblocks: impl Iterator<Item = &'a Superblock>) -> Option<&'a Superblock> {
    superblocks.max_by_key(|superblock| (superblock.incarnation, superblock.epoch))
}

/// Whether what lies in the mirror's directory may be a member of this ledger at all.
fn check_mirror(
    places: &Places,
    found: &Result<Found, DiskError>,
    superblocks: &[Option<Superblock>; 2],
) -> Result<(), OpenError> {
    let is_stranger = match superblocks {
        [Some(one), Some(other)] => one.ledger != other.ledger || one.frame_key != other.frame_key,
        [_, _] => false,
    };
    let has_no_record = found.as_ref().is_ok_and(|found| found.has_segments && found.membership.is_none());
    if is_stranger || has_no_record {
        return Err(OpenError::MirrorForeign { path: places.root.clone() });
    }
    Ok(())
}

/// What the plan is made from. A member whose superblock is lost is known by its record, which is
/// keyed; its superblock is written again from the other.
fn directory(
    found: &Result<Found, DiskError>,
    own: Option<&Superblock>,
    newest: Option<&Superblock>,
) -> Directory {
    let Ok(found) = found else { return Directory::Unreadable };
    let Some(superblock) = own.or(newest) else { return Directory::Empty };
    let alone = Membership::alone(superblock.ledger, superblock.incarnation);
    let Some([first, second]) = &found.membership else {
        return if own.is_some() { Directory::Ledger(alone) } else { Directory::Empty };
    };
    let key = FrameKey::new(&superblock.frame_key);
    match Membership::pick(first, second, &key, superblock.ledger) {
        Ok(record) => Directory::Ledger(record),
        // The first record was being written when a start ended; nothing rests on it.
        Err(_) if [first, second].iter().any(|copy| copy.iter().all(|byte| *byte == 0)) => {
            if own.is_some() {
                Directory::Ledger(alone)
            } else {
                Directory::Empty
            }
        }
        Err(error) => {
            tracing::error!("a membership record is unreadable: {error}");
            Directory::Unreadable
        }
    }
}

fn refusal(refused: Refused, places: &[Places; 2], looked: &[Result<Found, DiskError>; 2]) -> OpenError {
    let path = |member: Member| places[member.index()].root.clone();
    match refused {
        Refused::Needs(member) => {
            let cause = match &looked[member.index()] {
                Ok(_) => "there is no ledger in it, or its record is damaged".into(),
                Err(error) => error.to_string(),
            };
            OpenError::MirrorMissing { path: path(member), cause }
        }
        Refused::Unset => OpenError::MirrorUnset { path: path(Member::First) },
        Refused::Apart => OpenError::MirrorApart { first: path(Member::First), second: path(Member::Second) },
        Refused::Foreign(member) => OpenError::MirrorForeign { path: path(member) },
    }
}

/// Two copies on one device are one copy.
fn warn_of_one_device(first: &Path, second: &Path) {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| {
        path.ancestors().find_map(|path| std::fs::metadata(path).ok()).map(|metadata| metadata.dev())
    };
    if device(first).is_some_and(|first| Some(first) == device(second)) {
        tracing::warn!(
            first = %first.display(),
            second = %second.display(),
            "ledger.mirror lies on the device of the ledger: it does not outlive it"
        );
    }
}

/// What the committer writes of one member beside its segments.
#[derive(Debug)]
pub struct MemberFiles {
    /// Which.
    pub member: Member,
    /// Its directory of segments.
    pub segments: PathBuf,
    /// The file of its slot.
    pub slot: Arc<DirectFile>,
    /// The file of its membership record, where there is another member to be lost.
    pub membership: Option<Arc<DirectFile>>,
}

impl MemberFiles {
    /// The directory of segments of each member that there is.
    pub(crate) fn segments_of(files: &[Self]) -> [Option<&Path>; 2] {
        let of = |member| files.iter().find(|files| files.member == member);
        Member::BOTH.map(|member| of(member).map(|files| files.segments.as_path()))
    }

    /// Opens them.
    pub(crate) fn open(
        member: Member,
        places: &Places,
        active: Active,
        params: &StoreParams,
    ) -> Result<Self, DiskError> {
        let open = |name: &str| images::open_or_create(&places.root.join(name), params.direct).map(Arc::new);
        let pair = active == Active::Both;
        Ok(Self {
            member,
            segments: places.segments(),
            slot: open(journal::SLOT_FILE)?,
            membership: pair.then(|| open(journal::MEMBERSHIP_FILE)).transpose()?,
        })
    }
}

/// Copies everything of the journal to a member that is behind, but for the record that it counts.
fn bring_up(
    params: &StoreParams,
    superblock: &Superblock,
    key: &FrameKey,
    slot: &Slot,
    record: &Membership,
    (source, places, member): (&Places, &Places, Member),
) -> Result<(u64, Option<DirectoryLock>), DiskError> {
    let is_new = !places.root.exists();
    directory::create_private_dir(&places.root)?;
    let lock = if is_new { Some(acquire(&places.root.join(journal::LOCK_FILE))?) } else { None };
    // What lies there from now on is a member in the making, and says so.
    write_record(params, places, key, &record.in_the_making(member))?;
    let copied = resync::segments(source, places, params.direct)?;
    let mut image = [0; IMAGE_BYTES];
    slot.encode(key, &mut image);
    let file = images::open_or_create(&places.root.join(journal::SLOT_FILE), params.direct)?;
    images::write_both(&file, ImageCopy::BOTH, &image)?;
    write_superblock(params, places, superblock)?;
    Ok((copied.bytes, lock))
}

/// Writes the record durably into the directory of its holder.
pub(super) fn write_record(
    params: &StoreParams,
    places: &Places,
    key: &FrameKey,
    record: &Membership,
) -> Result<(), DiskError> {
    let mut image = [0; IMAGE_BYTES];
    record.encode(key, &mut image);
    let file = images::open_or_create(&places.root.join(journal::MEMBERSHIP_FILE), params.direct)?;
    images::write_one(&file, record.copy(), &image)
}
