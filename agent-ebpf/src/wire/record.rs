//! What every record has, and the macro that makes a list of records.
//!
//! The list itself stands in the [table](crate::table).
use super::Kind;

/// One record: a struct that starts with a [`Head`](super::Head) of its kind.
pub trait Record: 'static {
    /// Its kind.
    const KIND: Kind;
}

/// Declares [`Kind`], implements [`Record`] for each struct, and declares [`AnyRecord`].
macro_rules! records {
    ($($record:ident = $number:literal),+ $(,)?) => {
        numbered! {
            /// What a record is about; the first word of every record.
            Kind {
                $(
                    #[doc = concat!("[`", stringify!($record), "`]")]
                    $record = $number
                ),+
            }
        }

        $(
            impl Record for $record {
                const KIND: Kind = Kind::$record;
            }
        )+

        impl Kind {
            /// Bytes of a record of this kind.
            #[must_use]
            pub const fn size(self) -> usize {
                match self {
                    $(Self::$record => size_of::<$record>()),+
                }
            }
        }

        /// A record of any kind.
        #[cfg(feature = "decode")]
        #[allow(clippy::large_enum_variant, reason = "it is taken apart where it was read")]
        pub enum AnyRecord {
            $(
                #[doc = concat!("[`Kind::", stringify!($record), "`]")]
                $record($record)
            ),+
        }

        #[cfg(feature = "decode")]
        impl AnyRecord {
            /// Reads a record. `None` if its kind is not known or its length is not that of its kind:
            /// the ring pads nothing.
            #[must_use]
            pub fn read(bytes: &[u8]) -> Option<Self> {
                use zerocopy::FromBytes as _;
                let kind = bytes.first_chunk().map(|word| u32::from_ne_bytes(*word))?;
                match Kind::from_number(kind)? {
                    $(Kind::$record => $record::read_from_bytes(bytes).ok().map(Self::$record)),+
                }
            }
        }
    };
}

pub(crate) use records;
