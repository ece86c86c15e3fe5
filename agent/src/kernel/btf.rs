//! The kernel's own type information, as far as fragwatch needs it: members' offsets, sizes,
//! enumerators and the number of a function's parameters.
//!
//! Format: Documentation/bpf/btf.rst of the kernel. aya parses BTF too but shows none of its
//! members, and `btf-rs` takes seven times the time and twice the memory for it (measured on a
//! 5.5 MiB vmlinux: 108 ms and 40 MiB against 15 ms and 18 MiB), so this reads the same bytes that
//! aya is given and keeps nothing but an index.

use std::collections::HashMap;

/// Why bytes are not BTF that we can read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BtfError {
    /// The magic number or the version is another one.
    #[error("it does not begin as little-endian BTF version 1 does")]
    NotBtf,
    /// A section or a type reaches past the end.
    #[error("it is cut off at byte {0}")]
    CutOff(usize),
    /// A kind that this reader does not know, so that what follows can't be found.
    #[error("type {id} is of kind {kind}, which is not known")]
    UnknownKind {
        /// The type's id.
        id: u32,
        /// `BTF_INFO_KIND`.
        kind: u32,
    },
}

/// What BTF begins with: magic 0xeb9f, version 1, no flags.
const HEADER: u32 = 0x01_eb9f;

const KIND_INT: u32 = 1;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
const KIND_TYPEDEF: u32 = 8;
const KIND_VOLATILE: u32 = 9;
const KIND_CONST: u32 = 10;
const KIND_RESTRICT: u32 = 11;
const KIND_FUNC: u32 = 12;
const KIND_FUNC_PROTO: u32 = 13;
const KIND_VAR: u32 = 14;
const KIND_DATASEC: u32 = 15;
const KIND_DECL_TAG: u32 = 17;
const KIND_TYPE_TAG: u32 = 18;
const KIND_ENUM64: u32 = 19;

/// How deep anonymous members, typedefs and qualifiers may nest; real kernels stay below 10, and
/// BTF that refers to itself must not hang us.
const MAX_NESTING: u32 = 32;

/// An index over BTF bytes.
pub struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where type `id` begins in `types`, at `id - 1`.
    starts: Vec<u32>,
    structs: Named,
    enums: Named,
    functions: Named,
}

/// Types of one sort by their names: hash of the name, and id. There are ten thousand structures and fifty
/// thousand functions, so that looking through them for each name would take most of a start.
type Named = Vec<(u32, u32)>;

/// A hash of a name that a NUL ends in BTF: of its first bytes only, because a start waits for sixty thousand.
fn hash(name: &[u8]) -> u32 {
    const LOW: u128 = u128::from_le_bytes([0x01; 16]);
    const HIGH: u128 = LOW << 7;
    let mut first = [0; 16];
    let length = name.len().min(first.len());
    first[..length].copy_from_slice(&name[..length]);
    let word = u128::from_le_bytes(first);
    // The lowest bit of the first byte that is zero; what is behind it belongs to other names.
    let nul = word.wrapping_sub(LOW) & !word & HIGH;
    let kept = if nul == 0 { word } else { word & ((1 << nul.trailing_zeros()) - 1) };
    let folded = (kept as u64) ^ ((kept >> 64) as u64).rotate_left(23);
    (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

/// One type's fixed words.
#[derive(Clone, Copy)]
struct Type {
    id: u32,
    name: u32,
    kind: u32,
    len: u32,
    /// The kind flag: members' offsets carry a bit field's size.
    flag: bool,
    /// Size in bytes, or the id of the type that it refers to.
    extent: u32,
}

/// A structure's member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Bytes from the start of the outermost structure.
    pub offset: u32,
    /// The member's type.
    type_id: u32,
}

/// A function that a trampoline may be attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prototype {
    /// Its id in the kernel's BTF.
    pub id: u32,
    /// How many parameters it takes.
    pub parameters: u32,
}

/// Functions by their names.
#[derive(Clone, Debug, Default)]
pub struct Prototypes(HashMap<&'static str, Prototype>);

impl Prototypes {
    /// `None` if BTF does not know the function.
    pub fn get(&self, name: &str) -> Option<Prototype> {
        self.0.get(name).copied()
    }
}

fn word(bytes: &[u8], at: usize) -> Result<u32, BtfError> {
    let end = at.checked_add(4).ok_or(BtfError::CutOff(at))?;
    let four = bytes.get(at..end).ok_or(BtfError::CutOff(bytes.len()))?;
    Ok(u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
}

fn section(bytes: &[u8], start: usize, len: u32) -> Result<&[u8], BtfError> {
    start
        .checked_add(len as usize)
        .and_then(|end| bytes.get(start..end))
        .ok_or(BtfError::CutOff(bytes.len()))
}

impl<'a> Btf<'a> {
    /// Indexes `bytes`, the content of `/sys/kernel/btf/vmlinux`.
    pub fn index(bytes: &'a [u8]) -> Result<Self, BtfError> {
        if word(bytes, 0)? & 0x00ff_ffff != HEADER {
            return Err(BtfError::NotBtf);
        }
        let body = word(bytes, 4)? as usize;
        let at = |field: usize| word(bytes, field);
        let types = section(bytes, body.saturating_add(at(8)? as usize), at(12)?)?;
        let strings = section(bytes, body.saturating_add(at(16)? as usize), at(20)?)?;
        let mut btf = Self {
            types,
            strings,
            // A type has some 25 bytes, of those with all that follows.
            starts: Vec::with_capacity(types.len() / 25),
            structs: Vec::new(),
            enums: Vec::new(),
            functions: Vec::new(),
        };
        btf.walk()?;
        for named in [&mut btf.structs, &mut btf.enums, &mut btf.functions] {
            named.sort_unstable();
        }
        Ok(btf)
    }

    fn walk(&mut self) -> Result<(), BtfError> {
        let mut at = 0;
        while at < self.types.len() {
            let id = self.starts.len() as u32 + 1;
            self.starts.push(at as u32);
            let name = word(self.types, at)?;
            let info = word(self.types, at + 4)?;
            let len = (info & 0xffff) as usize;
            let tail = match info >> 24 & 0x1f {
                KIND_STRUCT | KIND_UNION => {
                    self.structs.push((self.hash(name), id));
                    len * 12
                }
                KIND_ENUM => {
                    self.enums.push((self.hash(name), id));
                    len * 8
                }
                KIND_FUNC => {
                    self.functions.push((self.hash(name), id));
                    0
                }
                KIND_INT | KIND_VAR | KIND_DECL_TAG => 4,
                KIND_ARRAY => 12,
                KIND_DATASEC | KIND_ENUM64 => len * 12,
                KIND_FUNC_PROTO => len * 8,
                // pointer, fwd, typedef, qualifiers, float, type tag: nothing follows
                2 | 7..=11 | 16 | 18 => 0,
                kind => return Err(BtfError::UnknownKind { id, kind }),
            };
            at += 12 + tail;
            if at > self.types.len() {
                return Err(BtfError::CutOff(self.types.len()));
            }
        }
        Ok(())
    }

    fn read(&self, id: u32) -> Result<Type, BtfError> {
        let at = self.start(id)?;
        let info = word(self.types, at + 4)?;
        Ok(Type {
            id,
            name: word(self.types, at)?,
            kind: info >> 24 & 0x1f,
            len: info & 0xffff,
            flag: info >> 31 == 1,
            extent: word(self.types, at + 8)?,
        })
    }

    fn start(&self, id: u32) -> Result<usize, BtfError> {
        (id as usize)
            .checked_sub(1)
            .and_then(|i| self.starts.get(i))
            .map(|&at| at as usize)
            .ok_or(BtfError::CutOff(self.types.len()))
    }

    fn is_named(&self, offset: u32, name: &str) -> bool {
        self.strings
            .get(offset as usize..)
            .and_then(|rest| rest.strip_prefix(name.as_bytes()))
            .is_some_and(|rest| rest.first() == Some(&0))
    }

    fn name(&self, offset: u32) -> Option<&str> {
        let rest = self.strings.get(offset as usize..)?;
        let end = rest.iter().position(|&b| b == 0)?;
        std::str::from_utf8(&rest[..end]).ok()
    }

    fn hash(&self, offset: u32) -> u32 {
        hash(self.strings.get(offset as usize..).unwrap_or_default())
    }

    /// The first of this name.
    fn find(&self, among: &Named, name: &str) -> Option<Type> {
        let hash = hash(name.as_bytes());
        let first = among.partition_point(|&(other, _)| other < hash);
        let alike = among[first..].iter().take_while(|&&(other, _)| other == hash);
        alike.filter_map(|&(_, id)| self.read(id).ok()).find(|ty| self.is_named(ty.name, name))
    }

    /// Follows typedefs, qualifiers and type tags.
    fn strip(&self, id: u32) -> Option<Type> {
        let mut ty = self.read(id).ok()?;
        for _ in 0..MAX_NESTING {
            match ty.kind {
                KIND_TYPEDEF | KIND_VOLATILE | KIND_CONST | KIND_RESTRICT | KIND_TYPE_TAG => {
                    ty = self.read(ty.extent).ok()?;
                }
                _ => return Some(ty),
            }
        }
        None
    }

    /// Size of a structure in bytes.
    pub fn size_of(&self, structure: &str) -> Option<u32> {
        self.find(&self.structs, structure).map(|ty| ty.extent)
    }

    /// A member by its path (`ns.inum`), through anonymous structures and unions as in C. `None`
    /// if this kernel has no such member, or it is a bit field.
    pub fn member(&self, structure: &str, path: &str) -> Option<Member> {
        let mut ty = self.find(&self.structs, structure)?;
        let mut offset = 0;
        let mut found = None;
        for name in path.split('.') {
            if let Some(Member { type_id, .. }) = found {
                ty = self.strip(type_id)?;
            }
            let member = self.direct_member(ty, name, MAX_NESTING)?;
            offset = member.offset.checked_add(offset)?;
            found = Some(Member { offset, type_id: member.type_id });
        }
        found
    }

    fn direct_member(&self, ty: Type, name: &str, nesting: u32) -> Option<Member> {
        if !matches!(ty.kind, KIND_STRUCT | KIND_UNION) || nesting == 0 {
            return None;
        }
        let first = self.start(ty.id).ok()? + 12;
        for i in 0..ty.len as usize {
            let at = first + i * 12;
            let (member_name, type_id) =
                (word(self.types, at).ok()?, word(self.types, at + 4).ok()?);
            let bits = word(self.types, at + 8).ok()?;
            let (bits, bit_field) =
                if ty.flag { (bits & 0x00ff_ffff, bits >> 24 != 0) } else { (bits, false) };
            let offset = bits / 8;
            if self.is_named(member_name, name) {
                return (!bit_field).then_some(Member { offset, type_id });
            }
            // An anonymous structure's members are its parent's.
            if self.is_named(member_name, "")
                && let Some(inner) = self.strip(type_id)
                && let Some(member) = self.direct_member(inner, name, nesting - 1)
            {
                return Some(Member { offset: member.offset.checked_add(offset)?, ..member });
            }
        }
        None
    }

    /// Size in bytes of a member that is an integer or an enumeration.
    pub fn size_of_number(&self, member: Member) -> Option<u32> {
        let ty = self.strip(member.type_id)?;
        matches!(ty.kind, KIND_INT | KIND_ENUM | KIND_ENUM64).then_some(ty.extent)
    }

    /// Elements of a member that is an array.
    pub fn array_len(&self, member: Member) -> Option<u32> {
        let ty = self.strip(member.type_id)?;
        if ty.kind != KIND_ARRAY {
            return None;
        }
        word(self.types, self.start(ty.id).ok()? + 12 + 8).ok()
    }

    /// The value of an enumerator in the enum of this name.
    pub fn enumerator(&self, enumeration: &str, name: &str) -> Option<u32> {
        let ty = self.find(&self.enums, enumeration)?;
        self.enumerators(ty).find(|&(offset, _)| self.is_named(offset, name)).map(|(_, v)| v)
    }

    /// All enumerators of the first enum, named or not, whose first enumerator has this name.
    pub fn enum_beginning_with(&self, first: &str) -> Vec<(&str, u32)> {
        let begins = |ty: &Type| {
            self.enumerators(*ty).next().is_some_and(|(offset, _)| self.is_named(offset, first))
        };
        let enums = self.enums.iter().filter_map(|&(_, id)| self.read(id).ok());
        let found = enums.filter(begins).min_by_key(|ty| ty.id);
        found.map_or_else(Vec::new, |ty| {
            self.enumerators(ty)
                .filter_map(|(offset, value)| Some((self.name(offset)?, value)))
                .collect()
        })
    }

    fn enumerators(&self, ty: Type) -> impl Iterator<Item = (u32, u32)> {
        let first = self.start(ty.id).map_or(usize::MAX - 12, |at| at) + 12;
        (0..ty.len as usize).map_while(move |i| {
            let at = first + i * 8;
            Some((word(self.types, at).ok()?, word(self.types, at + 4).ok()?))
        })
    }

    /// What a trampoline needs to know of these functions, as far as BTF knows them.
    pub fn prototypes(&self, names: &[&'static str]) -> Prototypes {
        let known = names.iter().filter_map(|&name| {
            let function = self.find(&self.functions, name)?;
            let parameters = self.parameters_of(function)?;
            Some((name, Prototype { id: function.id, parameters }))
        });
        Prototypes(known.collect())
    }

    /// How many parameters a function takes; `None` if BTF does not know the function.
    pub fn parameters(&self, function: &str) -> Option<u32> {
        self.parameters_of(self.find(&self.functions, function)?)
    }

    fn parameters_of(&self, function: Type) -> Option<u32> {
        let prototype = self.read(function.extent).ok()?;
        (prototype.kind == KIND_FUNC_PROTO).then_some(prototype.len)
    }
}

#[cfg(test)]
mod tests;
