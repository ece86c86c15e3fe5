//! Enums whose numbers both sides rely on.

/// Declares an enum with `ALL`, its members in order, and `from_number`, the way back from a number.
macro_rules! numbered {
    (
        $(#[$meta:meta])*
        $name:ident { $($(#[$doc:meta])* $member:ident $(= $number:literal)?),+ $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum $name {
            $($(#[$doc])* $member $(= $number)?),+
        }

        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$member),+];

            /// The one with this number; `None` if none has it.
            #[must_use]
            pub fn from_number(number: u32) -> Option<Self> {
                Self::ALL.iter().copied().find(|member| *member as u32 == number)
            }
        }
    };
}

pub(crate) use numbered;
