//! The kernel's own type information, as far as fragwatch needs it: members' offsets, sizes,
//! enumerators and the number of a function's parameters.
//!
//! Format: Documentation/bpf/btf.rst of the kernel. aya parses BTF too but shows none of its
//! members, and `btf-rs` takes seven times the time and twice the memory for it (measured on a
//! 5.5 MiB vmlinux: 108 ms and 40 MiB against 15 ms and 18 MiB), so this reads the same bytes that
//! aya is given and keeps nothing but an index.

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
/// Length of the header in bytes.
const HEADER_LEN: u32 = 24;

const KIND_INT: u32 = 1;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
const KIND_FWD: u32 = 7;
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
    structs: Vec<u32>,
    enums: Vec<u32>,
    functions: Vec<u32>,
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

fn word(bytes: &[u8], at: usize) -> Result<u32, BtfError> {
    let end = at.checked_add(4).ok_or(BtfError::CutOff(at))?;
    let four = bytes.get(at..end).ok_or(BtfError::CutOff(bytes.len()))?;
    Ok(u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
}

/// Words as they are in BTF of a little-endian kernel.
fn bytes<const N: usize>(words: [u32; N]) -> Vec<u8> {
    words.map(u32::to_le_bytes).concat()
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
            starts: Vec::new(),
            structs: Vec::new(),
            enums: Vec::new(),
            functions: Vec::new(),
        };
        btf.walk()?;
        Ok(btf)
    }

    fn walk(&mut self) -> Result<(), BtfError> {
        let mut at = 0;
        while at < self.types.len() {
            let id = self.starts.len() as u32 + 1;
            self.starts.push(at as u32);
            let ty = self.read(id)?;
            let tail = match ty.kind {
                KIND_STRUCT | KIND_UNION => {
                    self.structs.push(id);
                    ty.len as usize * 12
                }
                KIND_ENUM => {
                    self.enums.push(id);
                    ty.len as usize * 8
                }
                KIND_FUNC => {
                    self.functions.push(id);
                    0
                }
                KIND_INT | KIND_VAR | KIND_DECL_TAG => 4,
                KIND_ARRAY => 12,
                KIND_DATASEC | KIND_ENUM64 => ty.len as usize * 12,
                KIND_FUNC_PROTO => ty.len as usize * 8,
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

    fn find(&self, among: &[u32], name: &str) -> Option<Type> {
        among.iter().filter_map(|&id| self.read(id).ok()).find(|ty| self.is_named(ty.name, name))
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
        let found = self.enums.iter().filter_map(|&id| self.read(id).ok()).find(begins);
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

    /// BTF of these functions alone, with the numbers of their parameters. With `ids` they have the ids that
    /// they have here, and types without a name lie between them.
    ///
    /// aya looks for nothing but the ids of functions that trampolines are attached to; parsing all
    /// that the kernel's BTF says would take it longer than the rest of a start.
    pub fn functions_alone(&self, names: &[&str], ids: bool) -> Vec<u8> {
        let mut found: Vec<Type> =
            names.iter().filter_map(|name| self.find(&self.functions, name)).collect();
        found.sort_unstable_by_key(|function| function.id);
        found.dedup_by_key(|function| function.id);
        let id = |(index, function): (usize, &Type)| {
            if ids { function.id } else { index as u32 + 1 }
        };
        let last = found.iter().enumerate().next_back().map_or(0, id);
        // Its lengths are known at the end.
        let mut all = vec![0; HEADER_LEN as usize];
        all.resize(HEADER_LEN as usize + last as usize * 12, 0);
        let filler = bytes([0, KIND_FWD << 24, 0]);
        for between in all[HEADER_LEN as usize..].chunks_exact_mut(12) {
            between.copy_from_slice(&filler);
        }
        let mut strings = vec![0];
        // The prototypes follow the last function, in the functions' order.
        for ((index, function), prototype) in found.iter().enumerate().zip(last + 1..) {
            let at = HEADER_LEN as usize + (id((index, function)) as usize - 1) * 12;
            let function_type = bytes([strings.len() as u32, KIND_FUNC << 24, prototype]);
            all[at..at + 12].copy_from_slice(&function_type);
            strings.extend(self.name(function.name).unwrap_or_default().bytes().chain([0]));
        }
        for function in &found {
            let parameters = self.parameters_of(*function).unwrap_or(0);
            all.extend(bytes([0, KIND_FUNC_PROTO << 24 | parameters, 0]));
            all.extend([0; 8].repeat(parameters as usize));
        }
        let (type_len, string_len) = (all.len() as u32 - HEADER_LEN, strings.len() as u32);
        let header = bytes([HEADER, HEADER_LEN, 0, type_len, type_len, string_len]);
        all[..HEADER_LEN as usize].copy_from_slice(&header);
        all.extend(strings);
        all
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
pub(crate) mod tests;
