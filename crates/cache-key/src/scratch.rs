//! Buffers that a thread uses again: a short request is keyed in less time than its few allocations
//! would take.

use std::cell::Cell;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::thread::LocalKey;

/// What a thread keeps at most of one kind of buffers. Those of a long request are given back.
const KEEP: usize = 256 * 1024;

/// Buffers that can be used again once they are empty.
pub(crate) trait Buffers: Default + 'static {
    /// Where a thread keeps them.
    fn kept() -> &'static LocalKey<Cell<Self>>;

    /// Empties them.
    fn clear(&mut self);

    /// How many bytes they take.
    fn bytes(&self) -> usize;
}

/// Buffers on loan: dropped, they are kept for the next user on this thread.
#[derive(Default)]
pub(crate) struct Scratch<B: Buffers>(B);

impl<B: Buffers> Scratch<B> {
    /// Those that the thread has kept; empty ones if someone else uses them now.
    pub(crate) fn take() -> Self {
        Self(B::kept().try_with(Cell::take).unwrap_or_default())
    }
}

impl<B: Buffers> Drop for Scratch<B> {
    fn drop(&mut self) {
        if self.0.bytes() <= KEEP {
            let mut buffers = mem::take(&mut self.0);
            buffers.clear();
            // A thread that ends keeps nothing.
            let _ = B::kept().try_with(|kept| kept.set(buffers));
        }
    }
}

impl<B: Buffers> Deref for Scratch<B> {
    type Target = B;

    fn deref(&self) -> &B {
        &self.0
    }
}

impl<B: Buffers> DerefMut for Scratch<B> {
    fn deref_mut(&mut self) -> &mut B {
        &mut self.0
    }
}

/// Declares a struct of vectors that is [`Buffers`].
macro_rules! buffers {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $item:ty,)+ }) => {
        $(#[$doc])*
        #[derive(Default)]
        pub(crate) struct $name {
            $($(#[$field_doc])* pub(crate) $field: Vec<$item>,)+
        }

        impl $crate::scratch::Buffers for $name {
            fn kept() -> &'static std::thread::LocalKey<std::cell::Cell<Self>> {
                thread_local! {
                    static KEPT: std::cell::Cell<$name> =
                        const { std::cell::Cell::new($name { $($field: Vec::new(),)+ }) };
                }
                &KEPT
            }

            fn clear(&mut self) {
                $(self.$field.clear();)+
            }

            fn bytes(&self) -> usize {
                0 $(+ self.$field.capacity() * size_of::<$item>())+
            }
        }
    };
}
pub(crate) use buffers;

#[cfg(test)]
mod tests {
    use super::*;

    buffers! {
        Numbers {
            list: u64,
        }
    }

    #[test]
    fn buffers_come_back_empty_unless_they_are_large() {
        let mut first = Scratch::<Numbers>::take();
        first.list.extend([1, 2, 3]);
        let capacity = first.list.capacity();
        assert_eq!(Scratch::<Numbers>::take().list.capacity(), 0, "in use elsewhere");
        drop(first);
        let mut second = Scratch::<Numbers>::take();
        assert_eq!((second.list.len(), second.list.capacity()), (0, capacity));
        second.list.reserve(KEEP);
        drop(second);
        assert_eq!(Scratch::<Numbers>::take().list.capacity(), 0, "too large to keep");
    }
}
